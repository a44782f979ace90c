"""Whether E makes sense: how it is read where a file does not say it, and what is misread.

A printing move lays down a bead. Read as relative where it is absolute, E grows to metres of
filament a move; read as absolute where it is relative, every other move pulls filament back.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trajerr.arrays import Bools, Floats, Ints
from trajerr.errors import GcodeError
from trajerr.gcode.modal import Rows
from trajerr.gcode.modes import stated_by_slicer
from trajerr.gcode.program import Program
from trajerr.gcode.words import number

FILAMENT_MM = 1.75  # diameter where the file does not name one
WIDEST = 8.0  # mm², cross-section of a bead: the widest nozzles lay down about 2
SHORTEST = 0.1  # mm; a bead shorter than that says nothing
FEW = 20  # moves; what prints less is no print, and says nothing
MISREAD = 0.4  # of the length printed; of relative E read as absolute, half is pulled back
SANE = 0.95  # of the length printed
NOZZLE_MM = 0.4  # diameter where the file does not name one
_NOZZLES = ("nozzle_diameter", "machine_nozzle_size", "extruderDiameter", "Nozzle Diameter")
_DIAMETERS = ("filament_diameter", "material_diameter", "filamentDiameters")


@dataclass(frozen=True)
class Beads:
    """What moves with an E lay down, read in one way."""

    length: Floats  # (b,) mm in the plane
    section: Floats  # (b,) mm², negative where filament is pulled back
    by_word: Floats  # (b,) mm², if each E were what the move itself lays down
    line: Ints  # (b,)

    @property
    def nonsense(self) -> Bools:
        """(b,) which of them no print asks for."""
        return np.asarray((self.section < 0.0) | (self.section > WIDEST))

    @property
    def misread(self) -> Bools:
        """(b,) which of them say that the file is read wrongly.

        Repeated values of E, read as absolute, lay down nothing. That is a travel, unless
        each value for itself would make a bead: then they are relative.
        """
        empty = (self.section <= 0.0) | (self.section > WIDEST)
        sane = self.share((self.by_word > 0.0) & (self.by_word < WIDEST)) > SANE
        return empty if sane else self.nonsense

    def share(self, chosen: Bools) -> float:
        """Share of the length that some of them make up, 0..1."""
        total = float(self.length.sum())
        return float(self.length[chosen].sum()) / total if total else 0.0

    @property
    def spread(self) -> float:
        """How uneven the beads are: spread of the logarithm of their sections."""
        good = self.section[(self.section > 0.0) & (self.section <= WIDEST)]
        return float(np.std(np.log(good))) if len(good) else np.inf


def beads(rows: Rows, slicer: Mapping[str, str], until: int | None = None) -> Beads:
    """Return the beads of a file's rows, or of those before a line."""
    step = np.diff(rows.position, axis=0)
    length = np.hypot(step[:, 0], step[:, 1])
    chosen = rows.is_motion & (rows.words[:, 3] != 0.0) & np.isfinite(rows.words[:, 3])
    chosen &= length > SHORTEST
    if until is not None:
        chosen &= rows.line < until
    row = np.flatnonzero(chosen)
    scale = 0.25 * np.pi * filament_diameter(slicer) ** 2 / length[row]
    by_word = rows.words[row, 3] * rows.flow[row] * scale
    return Beads(length[row], step[row, 3] * scale, by_word, rows.line[row])


def sections(program: Program) -> Floats:
    """Return (M,) the cross-section of what each move lays down, mm²; 0 where it does not."""
    moves = program.moves
    step = moves.end - moves.start
    length = np.hypot(step[:, 0], step[:, 1])
    area = 0.25 * np.pi * filament_diameter(program.slicer) ** 2
    radius = np.hypot(*(moves.start[:, :2] - moves.center).T)
    length = np.where(moves.sweep != 0.0, np.abs(moves.sweep) * np.nan_to_num(radius), length)
    bead = np.divide(step[:, 3] * area, length, out=np.zeros(len(moves)), where=length > 0.0)
    return np.where(moves.is_extruding, bead, 0.0)


def most_section(program: Program) -> float:
    """Return the cross-section, mm², above which a firmware may refuse a move.

    Klipper stops a print at four times the square of the nozzle (``max_extrude_cross_section``,
    docs/Config_Reference.md). Where the file does not state its nozzle, that of 0.4 mm counts, or
    three times what most moves lay down, if they are wider than such a nozzle's.
    """
    nozzle = _first_number(program.slicer, _NOZZLES, 0.05, 5.0)
    if nozzle is not None:
        return 4.0 * nozzle**2
    laid = sections(program)
    laid = laid[laid > 0.0]
    return max(4.0 * NOZZLE_MM**2, 3.0 * float(np.median(laid)) if len(laid) else 0.0)


def filament_diameter(slicer: Mapping[str, str]) -> float:
    """Return the filament's diameter by the slicer's settings, mm."""
    return _first_number(slicer, _DIAMETERS, 0.5, 10.0) or FILAMENT_MM


def _first_number(
    slicer: Mapping[str, str], keys: tuple[str, ...], low: float, high: float
) -> float | None:
    """Return the first of a list of numbers under the first known key, if it is in a range."""
    for key in keys:
        first = number(re.split("[,;|]", slicer.get(key, ""))[0].strip())
        if first is not None and low < first < high:
            return first
    return None


def choose_mode(
    absolute: Beads, relative: Beads, slicer: Mapping[str, str]
) -> tuple[bool, str] | None:
    """Return whether unstated E is relative, and why; ``None`` where nothing tells.

    Parameters
    ----------
    absolute, relative
        What is laid down before the first M82 or M83, read in both ways.
    slicer
        The slicer's own settings.
    """
    stated = stated_by_slicer(slicer)
    if stated:
        key, is_relative = stated
        return is_relative, f"its slicer's {key} says so"
    if max(len(absolute.length), len(relative.length)) < FEW:
        return None
    senses = [(b.share(b.misread) > MISREAD / 4, b.spread) for b in (absolute, relative)]
    return senses[1] < senses[0], "that is how it makes sense"


def check_sense(found: Beads, where: str) -> None:
    """Refuse a reading under which no printer would print.

    Raises
    ------
    GcodeError
        With the line of the first move that makes no sense.
    """
    misread = found.misread
    share = found.share(misread)
    if share <= MISREAD or len(found.length) < FEW:
        return
    first = int(np.argmax(misread))
    section = float(found.section[first])
    does = f"lays down a bead of {section:.3g} mm²" if section > 0 else "lays down nothing"
    does = "pulls filament back" if section < 0 else does
    raise GcodeError(
        f"{where}:{int(found.line[first]) + 1}: E is misread: this move {does}, and so do others "
        f"over {100 * share:.0f} % of what is printed; expected an M82 or M83 before it that says "
        "whether E is absolute or relative, and a printer of the firmware that the file is for "
        "(printer.limits.firmware: G90 and G91 speak for E on Marlin, on Klipper they do not)"
    )
