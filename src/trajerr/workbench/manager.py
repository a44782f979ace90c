"""Who starts, ends and remembers pieces of work: their processes, and nothing of what they do."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trajerr.errors import DataError
from trajerr.workbench.folder import WORK, Folder
from trajerr.workbench.work import (
    CANCELLED,
    DONE,
    LOST,
    OPEN,
    WAITS,
    WORK_FILE,
    State,
    Work,
)
from trajerr.workbench.worker import CANCEL, environment

NAME = re.compile(r"[0-9a-f]{12}")  # as Work.new gives it
MOST_LISTED = 200
LAST_WORDS_S = 45.0  # in which workers end their commands when the page's process ends


class Manager:
    """The pieces of work of one folder.

    Parameters
    ----------
    folder
        Where they are written, and where their commands run.
    at_once
        How many run at the same time; others wait their turn.
    """

    def __init__(self, folder: Folder, at_once: int) -> None:
        self._folder = folder
        self._slots = asyncio.Semaphore(at_once)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    def begin(self, work: Work) -> None:
        """Write work down and have it done as soon as there is a place."""
        work.write(self._path(work.id))
        self._schedule(work.id)

    async def resume(self, name: str) -> None:
        """Go on with work that was cancelled, failed or got lost, from the step that is left.

        Raises
        ------
        DataError
            If there is no such work, it is under way, or nothing of it is left.
        """
        state = self.state(name)
        if state.name in (*OPEN, DONE):
            raise DataError(f"{name}: {state.name}, expected work that has ended before its end")
        before = self._tasks.get(name)  # its process may not have ended yet, though its work has
        if before is not None:
            await asyncio.wait([before])
        if name in self._tasks:
            raise DataError(f"{name}: goes on already, another page has seen to that")
        replace(state, name=WAITS, ended=None, code=None).write(self._path(name))
        self._schedule(name)

    async def cancel(self, name: str) -> None:
        """Have work end; what it has done so far stays.

        Raises
        ------
        DataError
            If there is no such work, or it has ended.
        """
        if self.state(name).name not in OPEN:
            raise DataError(f"{name}: has ended, expected work that is under way")
        process = self._processes.get(name)
        if process is None:
            self._tasks[name].cancel()
            State.read(self._path(name)).ending(CANCELLED).write(self._path(name))
        elif process.stdin is not None:
            with contextlib.suppress(ConnectionError):
                process.stdin.write(CANCEL + b"\n")
                await process.stdin.drain()

    def work(self, name: str) -> Work:
        """Return a piece of work by its name."""
        return Work.read(self._path(name))

    def state(self, name: str) -> State:
        """Return how far a piece of work is; lost, where nobody does what seems to run."""
        path = self._path(name)
        if not (path / WORK_FILE).is_file():
            raise DataError(f"{name}: no such piece of work")
        state = State.read(path)
        if state.name in OPEN and name not in self._tasks:
            state = state.ending(LOST)
        return state

    def all(self, kind: str | None = None) -> list[tuple[Work, State]]:
        """Return pieces of work, the newest first, those of one kind or all."""
        found: list[Work] = []
        for path in (self._folder.root / WORK).glob(f"*/{WORK_FILE}"):
            with contextlib.suppress(DataError):  # a damaged one hides itself, not the others
                found.append(Work.read(path.parent))
        chosen = [work for work in found if kind in (None, work.kind)]
        chosen.sort(key=lambda work: -work.began)
        return [(work, self.state(work.id)) for work in chosen[:MOST_LISTED]]

    async def end(self) -> None:
        """End all work, each command as Ctrl-C would, so that it can be resumed."""
        for task in (task for name, task in self._tasks.items() if name not in self._processes):
            task.cancel()
        for process in self._processes.values():
            if process.stdin is not None:
                process.stdin.close()
        waiting: Sequence[asyncio.Task[None]] = list(self._tasks.values())
        if waiting:
            await asyncio.wait(waiting, timeout=LAST_WORDS_S)

    def _path(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise DataError(f"{name[:40]!r}: no such piece of work")
        return self._folder.root / WORK / name

    def _schedule(self, name: str) -> None:
        task = asyncio.create_task(self._do(name))
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name))

    async def _do(self, name: str) -> None:
        async with self._slots:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "trajerr.workbench.worker", str(self._path(name))),
                cwd=self._folder.root,
                stdin=asyncio.subprocess.PIPE,
                env=environment(),
                start_new_session=True,
            )
            self._processes[name] = process
            try:
                await process.wait()
            finally:
                self._processes.pop(name, None)
                _end_group(process.pid)
        path = self._path(name)
        state = State.read(path)
        if state.name in OPEN:  # the worker could not say how it ended
            state.ending(LOST, process.returncode).write(path)


def _end_group(leader: int) -> None:
    """End what a worker that was killed has left running, where processes have groups."""
    if not hasattr(os, "killpg"):
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
