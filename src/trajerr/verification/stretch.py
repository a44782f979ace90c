"""A stretch of lines that a correction has replaced: what it lays down, how far it reaches."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trajerr.arrays import Floats
from trajerr.errors import GcodeError
from trajerr.verification.interpreter import FIRMWARES, Move

POSITION_MM = 1e-3  # to which written coordinates are rounded
FILAMENT_SHARE = 1e-4  # a tenth of what is promised; what is written differs by 1e-5 mm
FILAMENT_MM = 5e-4
ROUNDED_MM = 2e-3  # of filament; the cross section of less is only its rounding
AREA_SHARE = 0.05  # by which a piece may be thicker than the thickest of the original
SPEED_UP_SHARE = 0.4  # of the printing time, by which a stretch may be asked for faster
SPEED_UP_S = 0.05  # and this many s: short pieces make up for their acceleration


@dataclass(frozen=True)
class VerifySettings:
    """What a corrected file may do, and on which machine.

    Raises
    ------
    GcodeError
        If a value is out of range.
    """

    firmware: str = "marlin"  # whose rules hold
    e_rule: str = ""  # what G90 and G91 do to E, where that is not the firmware's own
    begin: tuple[bytes, ...] = ()  # lines that tell what the machine knows before the file
    max_correction_mm: float = 0.5
    bed_mm: tuple[Floats, Floats] | None = None  # (2,) lowest and (2,) highest x y; None: any
    filament_diameter_mm: float = 1.75
    max_extrude_cross_section_mm2: float = 0.64  # Klipper's default, 4 nozzles squared

    def __post_init__(self) -> None:
        if self.firmware not in FIRMWARES:
            expected = " or ".join(FIRMWARES)
            raise GcodeError(f"firmware of the check: got {self.firmware!r}, expected {expected}")
        for key in ("max_correction_mm", "filament_diameter_mm", "max_extrude_cross_section_mm2"):
            value = getattr(self, key)
            if not 0.0 < value < math.inf:
                raise GcodeError(f"{key} of the check: got {value}, expected above 0")

    @property
    def filament_mm2(self) -> float:
        """Cross section of the filament."""
        return math.pi / 4.0 * self.filament_diameter_mm**2


class Extent:
    """What the moves of one file do at most within a stretch, and in which of its lines.

    Parameters
    ----------
    is_placed
        Of x and y, whether it counts from a place on the machine, so that it tells where the
        bed ends.
    """

    def __init__(self, is_placed: Sequence[bool] = (True, True)) -> None:
        self.is_placed = tuple(is_placed)
        self.low = [math.inf, math.inf]  # mm, x y
        self.high = [-math.inf, -math.inf]
        self.lines = [0, 0, 0, 0]  # of these four
        self.z = [math.inf, -math.inf]  # mm, lowest and highest while extruding
        self.z_lines = [0, 0]
        self.fed = 0.0  # mm of filament
        self.gross = 0.0  # mm, without what is pulled back
        self.largest = 0.0  # mm, of one move
        self.ratio, self.ratio_line = 0.0, 0  # mm of filament per mm of path
        self.peak = 0.0  # mm, the most that was fed so far
        self.pulled, self.pulled_line = 0.0, 0  # mm, at most back from there
        self.pushed, self.pushed_line = 0.0, 0  # mm, by one move of the extruder only
        self.time = 0.0  # s, of what is printed, at the feedrates asked for
        self.fastest, self.fast_line = 0.0, 0  # mm/s, of a printing move

    def add(self, move: Move, line: int, speed: float, is_free: bool = False) -> None:
        """Take one more move at mm/s; one that is free may lead anywhere."""
        if move.filament > 0.0 and move.length > 0.0 and speed > 0.0:
            self.time += move.length / speed
            if speed > self.fastest:
                self.fastest, self.fast_line = speed, line
        for point in () if is_free else (move.start, move.end, *move.between):
            self._reach(point, line)
        if move.filament == move.filament and move.filament != 0.0:
            self._lay(move, line)

    def _reach(self, point: tuple[float, float, float], line: int) -> None:
        x, y, _ = point
        low, high, lines = self.low, self.high, self.lines
        if x < low[0]:
            low[0], lines[0] = x, line
        if y < low[1]:
            low[1], lines[1] = y, line
        if x > high[0]:
            high[0], lines[2] = x, line
        if y > high[1]:
            high[1], lines[3] = y, line

    def _lay(self, move: Move, line: int) -> None:
        filament, length = move.filament, move.length
        self.fed += filament
        if self.peak - self.fed > self.pulled:
            self.pulled, self.pulled_line = self.peak - self.fed, line
        if filament < 0.0:
            return
        self.peak = max(self.peak, self.fed)
        self.gross += filament
        self.largest = max(self.largest, filament)
        if length == 0.0:
            if filament > self.pushed:
                self.pushed, self.pushed_line = filament, line
            return
        if filament > ROUNDED_MM and filament > self.ratio * length:
            self.ratio, self.ratio_line = filament / length, line
        for z in (move.start[2], move.end[2]):
            if z < self.z[0]:
                self.z[0], self.z_lines[0] = z, line
            if z > self.z[1]:
                self.z[1], self.z_lines[1] = z, line


def filament_slack(gross: float) -> float:
    """Return by how many mm the filament of a stretch may differ, of ``gross`` mm extruded."""
    return max(FILAMENT_SHARE * gross, FILAMENT_MM)


def compare(before: Extent, after: Extent, settings: VerifySettings) -> tuple[str, int] | None:
    """Return what a corrected stretch does that it must not, and in which line; or ``None``."""
    faults = (_reaches, _thickens, _pulls, _rises, _speeds_up)
    found = (fault(before, after, settings) for fault in faults)
    return next((fault for fault in found if fault is not None), None)


def _reaches(before: Extent, after: Extent, settings: VerifySettings) -> tuple[str, int] | None:
    for i, axis in enumerate("XY"):
        bed = settings.bed_mm if after.is_placed[i] else None
        for side, sign in ((0, -1.0), (1, 1.0)):
            was, now = (e.high[i] if side else e.low[i] for e in (before, after))
            line, beyond = after.lines[2 * side + i], sign * (now - was)
            if bed is not None and beyond > POSITION_MM and sign * (now - bed[side][i]) > 0.0:
                return f"leave the bed at {axis}{now:.3f}", line
            if beyond > settings.max_correction_mm + POSITION_MM:
                return f"go to {axis}{now:.3f}, {beyond:.3f} mm off the original's path", line
    return None


def _thickens(before: Extent, after: Extent, settings: VerifySettings) -> tuple[str, int] | None:
    allowed = settings.max_extrude_cross_section_mm2 / settings.filament_mm2
    if after.ratio <= max(allowed, (1.0 + AREA_SHARE) * before.ratio):
        return None
    area, was = (e.ratio * settings.filament_mm2 for e in (after, before))
    return f"lay down {area:.3g} mm² at once, the original at most {was:.3g}", after.ratio_line


def _pulls(before: Extent, after: Extent, settings: VerifySettings) -> tuple[str, int] | None:
    if after.pulled > before.pulled + FILAMENT_MM:
        pulled = f"pull {after.pulled:.4g} mm of filament back"
        return f"{pulled}, the original at most {before.pulled:.4g}", after.pulled_line
    if after.pushed > before.pushed + FILAMENT_MM:
        pushed = f"push {after.pushed:.4g} mm of filament in one place"
        return f"{pushed}, the original at most {before.pushed:.4g}", after.pushed_line
    return None


def _rises(before: Extent, after: Extent, settings: VerifySettings) -> tuple[str, int] | None:
    for side, sign in ((0, -1.0), (1, 1.0)):
        if after.gross > 0.0 and sign * (after.z[side] - before.z[side]) > POSITION_MM:
            low, high = before.z
            where = f"extrude at Z{after.z[side]:.4f}"
            return f"{where}, the original from {low:.4f} to {high:.4f}", after.z_lines[side]
    return None


def _speeds_up(before: Extent, after: Extent, settings: VerifySettings) -> tuple[str, int] | None:
    """Compare the time that printing takes at the feedrates asked for: real ones are below."""
    if before.time - after.time <= SPEED_UP_SHARE * before.time + SPEED_UP_S:
        return None
    asked = f"be printed in {after.time:.3g} s at the feedrates asked for"
    return f"{asked}, the original in {before.time:.3g} s", after.fast_line
