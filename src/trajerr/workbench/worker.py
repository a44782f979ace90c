"""``python -m trajerr.workbench.worker FOLDER``: does one piece of work, command by command.

A process of its own, so that a page stays quick and a command that is killed takes nothing with
it. It listens on standard input: "cancel" ends the command as Ctrl-C would, and so does the end
of the page's process, whose side of the pipe then closes. Commands that can go on do so when the
work is begun again.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from trajerr.errors import in_one_line
from trajerr.workbench.work import (
    CANCELLED,
    DONE,
    FAILED,
    OUTPUT_FILE,
    RUNS,
    State,
    Step,
    Work,
)

CANCEL = b"cancel"
PATIENCE_S = 20.0  # between asking a command to end, and ending it
COLUMNS = "100"
# Windows knows no Ctrl-C for one process alone: there a command is ended at once.
ENDINGS = (
    (signal.SIGTERM,)
    if sys.platform == "win32"
    else (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
)


class Worker:
    """Runs the steps of one piece of work that are left.

    Parameters
    ----------
    folder
        Of the work.
    root
        The chosen folder, in which commands run.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self._folder, self._root = folder, root
        self._cancelled = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> State:
        """Run until all is done, a step fails, or somebody cancels."""
        work, state = Work.read(self._folder), State.read(self._folder)
        with (self._folder / OUTPUT_FILE).open("ab") as output:
            for index in range(state.step, len(work.steps)):
                state = State(RUNS, index, time.time(), output.seek(0, os.SEEK_END))
                state.write(self._folder)
                code = self._step(work.steps[index], output)
                if self._cancelled.is_set():
                    return self._end(state.ending(CANCELLED, code))
                if code != 0:
                    return self._end(state.ending(FAILED, code))
        return self._end(replace(state, step=len(work.steps)).ending(DONE, 0))

    def cancel(self) -> None:
        """Have the command end; one that does not hear is ended."""
        self._cancelled.set()
        for number in ENDINGS:
            process = self._process
            if process is None or process.poll() is not None:
                return
            process.send_signal(number)
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                continue

    def listen(self, orders: Iterable[bytes]) -> None:
        """Cancel when told so, or when nobody is left who could tell."""
        for line in orders:
            if line.strip() == CANCEL:
                break
        self.cancel()

    def _step(self, step: Step, output: BinaryIO) -> int:
        output.write(f"$ {step.line}\n".encode())
        output.flush()
        if self._cancelled.is_set():
            return -int(signal.SIGINT)
        self._process = subprocess.Popen(  # noqa: S603 - our own modules
            [sys.executable, "-m", f"trajerr.{step.module}", *step.arguments],
            cwd=self._root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(),
        )
        if self._cancelled.is_set():  # between the two looks
            self._process.send_signal(ENDINGS[0])
        return self._process.wait()

    def _end(self, state: State) -> State:
        state.write(self._folder)
        return state


def environment() -> dict[str, str]:
    """Return the variables that commands run with: no colours, and no code of the folder's."""
    plain = {"PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "COLUMNS": COLUMNS}
    return dict(os.environ) | plain


def main() -> None:
    """Do the work of the folder that the command line names."""
    # A terminal's Ctrl-C is the page's to pass on; ignored, it would be so by commands as well.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    folder = Path(sys.argv[1]).resolve()
    worker = Worker(folder, folder.parents[1])
    # Without a buffer, whose lock the thread would hold while the interpreter ends.
    orders = open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)  # noqa: SIM115
    threading.Thread(target=worker.listen, args=(orders,), daemon=True).start()
    try:
        state = worker.run()
    except OSError as error:  # no room to write down how far it is: the page says that it is lost
        sys.stderr.write(f"worker of {folder.name}: {in_one_line(error)}\n")
        sys.exit(1)
    sys.exit(0 if state.name == DONE else 1)


if __name__ == "__main__":
    main()
