"""Files that are whole or absent: what is written here is never found half done."""

import contextlib
import os
import shutil
import socket
import time
from pathlib import Path

from trajerr.errors import DataError
from trajerr.running import is_running

LEFT_S = 24 * 3600.0  # after which another host's temporary file is nobody's


def from_home(path: str | Path) -> Path:
    """Return a path in which ``~`` and ``~name`` at its begin are a home.

    A name that only begins so, and that nobody has, stays as it is; pathlib's own refuses it.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111


def write_atomically(
    path: Path, content: bytes, *, flush: bool = True, keep_mode: bool = False
) -> None:
    """Write a file by way of a temporary one beside it, flushed to disk, then renamed.

    Without ``flush`` it is whole after any end of the program, but not after a power cut. With
    ``keep_mode`` it has the permissions of the one that it replaces.

    Raises
    ------
    DataError
        ``path`` is a folder or a device, which a rename would destroy.
    OSError
        The folder cannot be written or the disk is full; nothing is left behind then.
    """
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: is not a regular file, so it cannot be replaced")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            if flush:
                file.flush()
                os.fsync(file.fileno())
        if keep_mode and path.exists():
            shutil.copymode(path, temporary)
        temporary.replace(path)
    except OSError as error:
        error.filename = str(path)  # a full disk does not say which file it was
        raise
    finally:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            temporary.unlink(missing_ok=True)


def clear_leftovers(folder: Path) -> None:
    """Remove the temporary files of processes that were killed while they wrote.

    Files of processes that live, on this host or maybe on another, stay.
    """
    for rest in folder.glob(".*.tmp"):
        host, _, pid = rest.name.removesuffix(".tmp").rpartition("-")
        if pid.isdigit() and host.endswith(f".{socket.gethostname()}"):
            left = not is_running(int(pid))
        else:
            left = _age(rest) > LEFT_S
        if left:
            rest.unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:  # its writer has just renamed it
        return 0.0
