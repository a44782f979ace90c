"""The printers that can be chosen: the folder's own, and those that are shipped."""

from pathlib import Path

from trajerr.dynamics.printer import Printer
from trajerr.errors import TrajerrError, in_one_line
from trajerr.post.settings import read_printer
from trajerr.workbench.folder import PRINTERS, Folder

HEAD = ("printer", "", "firmware", "kind", "bed / mm", "swings a second, x and y")


def named_printer(name: str, root: Path) -> Printer:
    """Return a printer by its name, one of a folder's own before a shipped one.

    Raises
    ------
    ConfigError
        If there is none, or its values cannot be.
    """
    own = root / PRINTERS / f"{name}.yaml"
    return Printer.from_dict(read_printer(str(own) if own.is_file() else name))


def described(folder: Folder) -> list[tuple[str, ...]]:
    """Return a row for each printer, below :data:`HEAD`; what cannot be read says why."""
    return [_row(name, folder) for name in folder.printers()]


def _row(name: str, folder: Folder) -> tuple[str, ...]:
    whose = "yours" if (folder.root / PRINTERS / f"{name}.yaml").is_file() else "shipped"
    try:
        printer = named_printer(name, folder.root)
    except TrajerrError as error:
        return name, whose, f"cannot be used: {in_one_line(error)}", "", "", ""
    bed = " × ".join(f"{size:g}" for size in printer.bed_mm)
    swings = f"{printer.x.natural_freq_hz:.1f}, {printer.y.natural_freq_hz:.1f}"
    return name, whose, printer.limits.firmware, printer.kinematics, bed, swings
