"""The text of a machine's own file, whatever bytes it has."""

import re
from pathlib import Path

from trajerr.errors import DataError

LARGEST = 4 << 20  # bytes; real configs and answers have some 10 kB
# Patterns that are tried at each blank of a run take its length squared.
BLANKS = re.compile(r"(?<=\S)[^\S\n]{100,}")


def read_text(path: Path, what: str) -> str:
    """Return a file's text, with a replacement for what is no UTF-8, and long runs of blanks short.

    Parameters
    ----------
    path
        The file.
    what
        What it should be, for messages.

    Raises
    ------
    DataError
        If it is absent, no file, or too large.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if not path.is_file():
        raise DataError(f"{path}: expected a file")
    size = path.stat().st_size
    if size > LARGEST:
        raise DataError(f"{path}: {size} bytes, expected {what} of at most {LARGEST}")
    return BLANKS.sub(" ", path.read_bytes().decode("utf-8", "replace"))
