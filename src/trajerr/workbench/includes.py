"""Klipper's ``[include …]``: a config that is dropped may name other files, but none elsewhere."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from trajerr.errors import DataError
from trajerr.machine_files.klipper_text import HEADER, INCLUDE

MOST_FILES = 100


def require_includes_inside(path: Path) -> None:
    """Refuse a config of which an include, or one of an included file, leads out of its folder.

    Raises
    ------
    DataError
        Naming the include, or where there are too many.
    """
    top, waiting, seen = path.parent.resolve(), [path], set[Path]()
    while waiting:
        file = waiting.pop()
        if file in seen or not file.is_file():
            continue
        seen.add(file)
        if len(seen) > MOST_FILES:
            raise DataError(f"{path.name}: includes more than {MOST_FILES} files")
        for named in _includes(file.read_text(encoding="utf-8", errors="replace")):
            waiting += _included(file, named, top)


def _includes(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        header = HEADER.match(line.partition("#")[0])
        if header and header["header"].startswith(INCLUDE):
            yield header["header"].removeprefix(INCLUDE).strip()


def _included(file: Path, named: str, top: Path) -> list[Path]:
    pattern = PurePosixPath(named)
    if pattern.is_absolute() or ".." in pattern.parts or named.startswith("~") or not named:
        raise DataError(f"{file.name}: [include {named}] leads out of the chosen folder")
    found = list(file.parent.glob(named))
    for each in found:
        if not each.resolve().is_relative_to(top):
            raise DataError(f"{file.name}: [include {named}] leads out of the chosen folder")
    return found
