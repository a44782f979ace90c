"""Parts B: what is corrected and judged, never recorded (those are in :mod:`.recording`).

None of the embedded layers is among those that the default collection takes (1, 6, 11, …).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trajerr.correction.original import Original
from trajerr.dynamics.printer import Printer
from trajerr.gcode.parts import load_part
from trajerr.gcode.reader import read_program

MOST_LAYERS = 4  # groups of layers of each part


@dataclass(frozen=True)
class Part:
    """One part and the layers of it that may be taken, in that order."""

    name: str
    layers: Sequence[Sequence[int]]  # taken group by group: short layers come several at once
    file: str | None = None  # in a folder of G-code; None: an embedded part

    def first(self, count: int) -> list[int]:
        """Return the layers of the first ``count`` groups."""
        return sorted(layer for group in self.layers[:count] for layer in group)

    def read(self, printer: Printer, folder: Path) -> Original:
        """Read it as a printer is to print it."""
        if self.file is None:
            return Original(load_part(self.name, printer.limits.firmware), printer)
        return Original(read_program(folder / self.file, printer.limits.firmware), printer)


HELIX = Part(
    "helix",
    [tuple(range(100, 108)), tuple(range(200, 208)), tuple(range(145, 153)), tuple(range(30, 38))],
    "prusaslicer_mini_helix.gcode",
)
PARTS = (
    Part("nautilus", [(28,), (9,), (37,), (18,)]),
    Part("bearing", [(33,), (8,), (18,), (28,)]),
    HELIX,
)


def present(names: Sequence[str], folder: Path) -> list[Part]:
    """Return the parts of some names that are at hand; a file that is absent is left out."""
    wanted = [part for part in PARTS if part.name in names]
    return [part for part in wanted if part.file is None or (folder / part.file).is_file()]
