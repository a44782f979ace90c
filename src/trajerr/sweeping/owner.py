"""Processes that outlive their number: who works on a trial, who started a run."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from trajerr.running import is_running

ENDED = -1


@dataclass(frozen=True)
class Owner:
    """A worker: its process, which a number alone does not name for ever."""

    host: str
    pid: int
    started: int  # clock ticks after boot; 0 where the system does not say

    @classmethod
    def here(cls) -> Self:
        """Return the worker that this process is."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> Self:
        """Return a process of this machine."""
        return cls(socket.gethostname(), pid, _started(pid))

    @property
    def key(self) -> str:
        """Under which the study keeps its last sign of life."""
        return f"alive {self.host} {self.pid} {self.started}"

    def lives(self) -> bool:
        """Whether the process is there; to be asked on its own host."""
        if not is_running(self.pid):
            return False
        return self.started != ENDED and _started(self.pid) == self.started

    def entropy(self, *, shared: bool) -> list[int]:
        """Return what sets its random numbers apart; nothing where one draws at a time."""
        return [] if shared else list(self.key.encode())


def _started(pid: int) -> int:
    """Return when a process started, by Linux's ``proc(5)``: field 22; ENDED if a zombie."""
    try:
        state, *rest = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        )
    except OSError:
        return 0
    return ENDED if state in "ZX" else int(rest[18])
