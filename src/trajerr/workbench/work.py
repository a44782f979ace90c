"""A piece of work: command lines one after the other, and what became of them, in a folder.

``work.json`` says what is to be done and is written once, by the page. ``state.json`` says how
far it is and is written by the process that does it (:mod:`.worker`), so that neither waits for
the other and both can be read at any time. ``output.txt`` is what the commands have said.
"""

import json
import shlex
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from trajerr.errors import DataError
from trajerr.files import write_atomically

WORK_FILE, STATE_FILE, OUTPUT_FILE = "work.json", "state.json", "output.txt"
WAITS, RUNS, DONE = "waits", "runs", "done"
FAILED, CANCELLED, LOST = "failed", "cancelled", "lost"
OPEN = (WAITS, RUNS)
TAIL = 64_000  # bytes of the output that are shown
MOST_READ = 8_000_000  # bytes of it that are looked at


@dataclass(frozen=True)
class Step:
    """One command line."""

    title: str  # for people
    module: str  # of the package: correct, train, workbench.look, …
    arguments: tuple[str, ...]

    @property
    def line(self) -> str:
        """The line for a POSIX shell, to be run in the chosen folder."""
        return shlex.join(["python", "-m", f"trajerr.{self.module}", *self.arguments])


@dataclass(frozen=True)
class Work:
    """What is to be done."""

    id: str
    kind: str  # the screen that it belongs to
    title: str
    steps: tuple[Step, ...]
    began: float  # s since the epoch
    form: Mapping[str, str] = field(default_factory=dict)  # as it was filled in
    results: Mapping[str, str] = field(default_factory=dict)  # name → path in the chosen folder

    @classmethod
    def new(cls, kind: str, title: str, steps: Sequence[Step], form: Mapping[str, str]) -> Self:
        """Return work that nobody has begun."""
        return cls(uuid.uuid4().hex[:12], kind, title, tuple(steps), time.time(), dict(form))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return what a folder of work says.

        Raises
        ------
        DataError
            If it says nothing that can be read.
        """
        content = _read(folder / WORK_FILE)
        try:
            steps = [
                Step(each["title"], each["module"], tuple(each["arguments"]))
                for each in content["steps"]
            ]
            return cls(**(content | {"steps": tuple(steps)}))
        except (TypeError, KeyError) as error:
            raise DataError(f"{folder / WORK_FILE}: not a piece of work: {error}") from error

    def write(self, folder: Path) -> None:
        """Write it into its folder."""
        write_atomically(folder / WORK_FILE, json.dumps(asdict(self), indent=2).encode())


@dataclass(frozen=True)
class State:
    """How far a piece of work is."""

    name: str = WAITS
    step: int = 0  # the one under way, or the first that is left
    step_began: float = 0.0  # s since the epoch
    offset: int = 0  # bytes of the output before this step
    ended: float | None = None
    code: int | None = None  # exit code of the last command; negative: the signal that ended it

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return what a folder of work says; one that says nothing waits."""
        if not (folder / STATE_FILE).is_file():
            return cls()
        try:
            return cls(**_read(folder / STATE_FILE))
        except TypeError as error:
            raise DataError(f"{folder / STATE_FILE}: not a state of work: {error}") from error

    def write(self, folder: Path) -> None:
        """Write it into the folder of its work."""
        write_atomically(folder / STATE_FILE, json.dumps(asdict(self)).encode(), flush=False)

    def ending(self, name: str, code: int | None = None) -> Self:
        """Return the state in which work has ended."""
        return replace(self, name=name, code=code, ended=time.time())


def output_since(folder: Path, offset: int = 0) -> str:
    """Return what the commands have said from a byte on, the last of it where it is long."""
    path = folder / OUTPUT_FILE
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(offset, size - MOST_READ))
        return file.read().decode("utf-8", "replace")


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path.parent.name}: no such piece of work") from None
    except ValueError as error:
        raise DataError(f"{path}: damaged: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: damaged, expected keys and values")
    return content
