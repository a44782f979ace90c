"""The log of calls, since slicers hide what a script says."""

import os
import sys
import time
from pathlib import Path

from trajerr.files import from_home
from trajerr.version import __version__

_MOST = 1 << 20  # bytes, after which a new file is begun; the one before is kept


def log_file(log: str | None, bundle: str | None) -> Path:
    """Return where calls are logged: as asked for, beside the bundle, or in the system's place."""
    if log:
        return from_home(log)
    if bundle:
        folder = Path(bundle)
        return folder.with_name(f"{folder.name}.log")
    return _systems_file()


def write_log(path: Path, shown: str, outcome: str) -> None:
    """Add a call to a log; where that cannot be written, to the system's, and say so.

    Parameters
    ----------
    path
        The log.
    shown
        The file's name.
    outcome
        What came of it; several lines are indented.
    """
    text = "\n    ".join(outcome.splitlines())
    line = f"{time.strftime('%Y-%m-%d %H:%M:%S')}  trajerr {__version__}  {shown}: {text}\n"
    try:
        _append(path, line)
    except OSError as error:
        other = _systems_file()
        sys.stderr.write(f"trajerr-post: {path}: {error.strerror}; logged in {other}\n")
        try:
            _append(other, line)
        except OSError as fault:
            sys.stderr.write(f"trajerr-post: {other}: {fault.strerror}; nothing is logged\n")


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and path.stat().st_size > _MOST:
        os.replace(path, path.with_name(f"{path.name}.1"))  # noqa: PTH105 - one call that says so
    with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(line)


def _systems_file() -> Path:
    from platformdirs import user_log_path  # needed in few calls

    return user_log_path("trajerr", appauthor=False) / "post.log"
