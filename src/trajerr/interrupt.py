"""Ctrl-C while a command is still being imported, which takes seconds: one line as well.

Some libraries turn an interrupt of their import into an error of another kind, so that none
may be raised there; and there is nothing yet that would have to be finished.
"""

import os
import signal
import sys
from types import FrameType


def module_being_started() -> str:
    """Return which module Python is locating for ``python -m MODULE``; "" if none.

    Notes
    -----
    Until it has found the module, ``sys.argv[0]`` is "-m" (Python's reference on ``sys.argv``).
    """
    if sys.argv[:1] != ["-m"]:
        return ""
    return sys.orig_argv[-len(sys.argv)].removeprefix("-m")


def end_imports_at_once() -> None:
    """Have an interrupt end this process, until :func:`let_commands_end` is called."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def let_commands_end() -> None:
    """Have an interrupt raise again, so that a command can finish what it writes."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    name = module_being_started() or os.path.basename(sys.argv[0])  # noqa: PTH119 - light
    os.write(2, f"{name.removesuffix('.py')}: interrupted\n".encode())
    os._exit(130)
