"""The text log of a run: what a command says, in the file that Hydra has opened for it."""

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # colours and movements of a terminal
LIVE = re.compile("[━╸╺╴⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]")  # bars and spinners
NAME = "trajerr"


@contextmanager
def logged_output() -> Iterator[None]:
    """Have what is written to stdout go to the run's log file as well, line by line."""
    if not _files():
        yield
        return
    usual: Any = sys.stdout
    sys.stdout = _Recorded(usual)
    try:
        yield
    finally:
        sys.stdout = usual


def note(text: str, level: int = logging.INFO) -> None:
    """Write a line to the run's log file, and nowhere else."""
    record = logging.LogRecord(NAME, level, __file__, 0, text, None, None)
    for handler in _files():
        handler.handle(record)


def _files() -> list[logging.FileHandler]:
    found = logging.getLogger().handlers
    return [handler for handler in found if isinstance(handler, logging.FileHandler)]


class _Recorded:
    """A stream whose whole lines are noted, without what only a terminal makes sense of."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._line = stream, ""

    def write(self, text: str) -> int:
        written = self._stream.write(text)
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            plain = CONTROL.sub("", line).rpartition("\r")[2].rstrip()
            if plain and not LIVE.search(plain):
                note(plain)
        return written

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the stream's own
        return getattr(self._stream, name)
