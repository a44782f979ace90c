"""Files that are whole or absent: what is written here is never found half done."""

import os
from pathlib import Path

from trajerr.errors import DataError


def write_atomically(path: Path, content: bytes, *, flush: bool = True) -> None:
    """Write a file by way of a temporary one beside it, flushed to disk, then renamed.

    Without ``flush`` it is whole after any end of the program, but not after a power cut.

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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            if flush:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
