"""The chosen folder: what lies in it, and no way out of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trajerr.errors import DataError
from trajerr.shipped import conf_dir

UPLOADS, BUNDLES, WORK, DATA = "uploads", "bundles", "work", "data"
PRINTERS = Path("conf/printer")  # where commands that run in the folder find printers
MANIFEST = "bundle.json"
TRAININGS, BEST = "outputs/train", "checkpoints/best.ckpt"
GCODE_ENDINGS = (".gcode", ".gco", ".g", ".nc", ".bgcode", ".gcode.gz", ".g.gz", ".3mf")
RECORDING_ENDINGS = (".csv", ".csv.gz", ".json.gz", ".cfg", ".txt", ".mat", ".log")
DEEPEST = 4  # folders within folders that are looked into
MOST_LISTED = 2000
MOST_NAME = 150  # bytes
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')  # in names, on some system or other


@dataclass(frozen=True)
class Folder:
    """A folder that a person has chosen to work in."""

    root: Path  # absolute, without links

    def inside(self, name: str) -> Path:
        """Return a path below the folder, links followed.

        Raises
        ------
        DataError
            If it would leave the folder, or names what is hidden there.
        """
        parts = Path(name).parts
        hidden = any(part.startswith(".") for part in parts)
        if not name or "\0" in name or "\\" in name or Path(name).is_absolute() or hidden:
            raise DataError(f"{name!r}: expected a path within the chosen folder")
        path = (self.root / name).resolve()
        if not path.is_relative_to(self.root):
            raise DataError(f"{name!r}: leads out of the chosen folder")
        return path

    def name(self, path: Path) -> str:
        """Return a path below the folder as it is called from there."""
        return path.relative_to(self.root).as_posix()

    def existing(self, name: str, what: str) -> str:
        """Return the name of a file or folder that is there.

        Raises
        ------
        DataError
            If it is not there, or outside.
        """
        if not name:
            raise DataError(f"{what}: nothing is chosen, expected one of the list")
        if not self.inside(name).exists():
            raise DataError(f"{name}: no such {what} in the chosen folder")
        return name

    def gcode(self) -> list[str]:
        """Return the names of G-code files, the newest first."""
        return self._newest(GCODE_ENDINGS)

    def recordings(self) -> list[str]:
        """Return the names of files that may hold measurements, the newest first."""
        return self._newest(RECORDING_ENDINGS)

    def bundles(self) -> list[str]:
        """Return the names of folders that hold a bundle."""
        return sorted(self.name(path.parent) for path in self._files() if path.name == MANIFEST)

    def collections(self) -> list[str]:
        """Return the names of folders of recorded layers, as ``collect`` leaves them."""
        found = {path.parent.parent for path in self._files() if path.suffix == ".mat"}
        return sorted(self.name(path) for path in found if path != self.root)

    def trainings(self) -> list[str]:
        """Return the names of checkpoints that trainings have left, the newest first."""
        found = (self.root / TRAININGS).glob(f"*/{BEST}")
        by_age = sorted(found, key=lambda path: -path.stat().st_mtime)
        return [self.name(path) for path in by_age]

    def printers(self) -> list[str]:
        """Return the names of printers, those of one's own first."""
        own = sorted(path.stem for path in (self.root / PRINTERS).glob("*.yaml"))
        ours = sorted(path.stem for path in (conf_dir() / "printer").glob("*.yaml"))
        return own + [name for name in ours if name not in own]

    def free(self, place: str, name: str) -> Path:
        """Return a path for a new file: its own name, or with a number where that is taken.

        Raises
        ------
        DataError
            If a file cannot be called so.
        """
        name = checked_name(name)
        stem, dot, ending = name.partition(".")
        path, number = self.root / place / name, 2
        while path.exists():
            path = self.root / place / f"{stem}_{number}{dot}{ending}"
            number += 1
        return path

    def _newest(self, endings: tuple[str, ...]) -> list[str]:
        found = [path for path in self._files() if path.name.lower().endswith(endings)]
        by_age = sorted(found, key=lambda path: (-path.stat().st_mtime, path.name))
        return [self.name(path) for path in by_age]

    def _files(self) -> Iterator[Path]:
        """Yield files that are not hidden, none of the work's own, some levels deep."""
        count, waiting = 0, [self.root]
        while waiting:
            folder = waiting.pop()
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                if path.name.startswith(".") or path.is_symlink():
                    continue
                deep = len(path.relative_to(self.root).parts)
                if path.is_dir():
                    is_own = deep == 1 and path.name in (WORK, "outputs")
                    waiting += [path] if deep < DEEPEST and not is_own else []
                elif count < MOST_LISTED:
                    count += 1
                    yield path


def checked_name(name: str) -> str:
    """Return a file's name.

    Raises
    ------
    DataError
        If it has a folder in it, is hidden, too long, or has signs that some system refuses.
    """
    good = bool(name.strip()) and not name.startswith(".") and not _FORBIDDEN.search(name)
    if not good or len(name.encode()) > MOST_NAME or name != name.strip():
        raise DataError(
            f"file name: got {name[:60]!r}, expected at most {MOST_NAME} bytes, no folder, no "
            'leading dot, and none of < > : " / \\ | ? *'
        )
    return name
