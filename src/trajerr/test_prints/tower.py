"""The ringing tower: a hollow square whose walls show, behind each corner, how an axis rings.

Printed at one speed, so that a ripple's length tells its frequency: f = speed × ripples /
distance (Klipper, docs/Resonance_Compensation.md). Behind a corner the axis that has just been
stopped rings; it is seen on the wall that runs along the other axis. Height by height the
acceleration grows: more of it rings higher, and needs less way to reach the speed.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from trajerr.checks import require, require_positive
from trajerr.dynamics.printer import Printer
from trajerr.errors import ConfigError, GcodeError
from trajerr.gcode.firmware import is_klipper
from trajerr.gcode.reader import parse_program
from trajerr.motion.bed import check_inside
from trajerr.motion.planner import plan
from trajerr.test_prints.second_reading import require_harmless
from trajerr.test_prints.shakedown import Written

FIRST_SPEED = 20.0  # mm/s, of the first layer
TRAVEL = 100.0  # mm/s
RETRACT_MM = 0.8
BRIM_LINES = 6
BANDS = (0.25, 0.5, 0.75, 1.0)  # shares of the printer's own acceleration, from below
EDGE_MM = 10.0  # of the bed, kept free
CLEAR_MM = 10.0  # of height above what is on the bed
CLEAR_SHARE = 0.5  # of a wall, at least, that has to be run at full speed in the highest band


@dataclass(frozen=True)
class RingingTower:
    """How the tower is printed.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    speed_mm_s: float
    side_mm: float
    band_mm: float  # height of each band of one acceleration
    layer_mm: float
    nozzle_mm: float
    filament_mm: float
    nozzle_c: float
    bed_c: float

    def __post_init__(self) -> None:
        for key in ("speed_mm_s", "side_mm", "band_mm", "layer_mm", "nozzle_mm", "filament_mm"):
            require_positive(f"tower.{key}", getattr(self, key))
        self._within("speed_mm_s", 10.0, 500.0)
        self._within("side_mm", 30.0, 150.0)
        self._within("band_mm", 2.0, 30.0)
        self._within("nozzle_mm", 0.2, 1.2)
        self._within("layer_mm", 0.05, 0.75 * self.nozzle_mm)
        self._within("filament_mm", 1.5, 3.2)
        self._within("nozzle_c", 170.0, 300.0)
        self._within("bed_c", 0.0, 120.0)

    def _within(self, key: str, low: float, high: float) -> None:
        value = getattr(self, key)
        holds = isinstance(value, int | float) and low <= value <= high
        require(f"tower.{key}", value, holds, f"{low:g} to {high:g}")

    @property
    def layers(self) -> int:
        """Layers of a band."""
        return max(round(self.band_mm / self.layer_mm), 1)

    @property
    def width_mm(self) -> float:
        """Of a line: a fifth wider than the nozzle."""
        return 1.2 * self.nozzle_mm

    def filament(self, length: float) -> float:
        """Return mm of filament for mm of a line."""
        section = (self.width_mm - self.layer_mm) * self.layer_mm + math.pi * (
            0.5 * self.layer_mm
        ) ** 2
        return length * section / (math.pi * (0.5 * self.filament_mm) ** 2)


def tower(printer: Printer, how: RingingTower, name: str) -> Written:
    """Return the tower for a printer, proved by the planner and by a second reader.

    Parameters
    ----------
    printer
        Its bed, limits and firmware hold.
    how
        Speed, size, temperatures.
    name
        Of the file, for messages.

    Raises
    ------
    ConfigError
        If it does not fit the machine, or its walls are too short to reach the speed.
    GcodeError
        If the program made would not be what was meant; nothing is written then.
    """
    _require_fit(printer, how)
    text = ("\n".join(_lines(printer, how)) + "\n").encode()
    program = parse_program(text, name, printer.limits.firmware)
    check_inside(program, printer.bed(program), margin=0.0)
    planned = plan(program, printer.limits)
    expected = 1 + len(BANDS) * how.layers
    if len(planned.layers) != expected:
        raise GcodeError(f"{name}: {len(planned.layers)} layers, expected {expected}")
    middle, reach = _middle(printer), 0.5 * how.side_mm + BRIM_LINES * how.width_mm
    low, high = (tuple(at + sign * reach for at in middle) for sign in (-1.0, 1.0))
    top = min(expected * how.layer_mm + CLEAR_MM, printer.bed_mm[2])
    require_harmless(
        text, printer.limits.firmware, (*low, how.layer_mm), (*high, top), _filament(how)
    )
    return Written(text, planned)


def reach_mm(acceleration: float, speed: float) -> float:
    """Return behind how many mm of a wall the speed is constant, from rest at the corner."""
    return speed**2 / (2.0 * acceleration)


def _middle(printer: Printer) -> tuple[float, float]:
    """Return the middle of the bed in the file's coordinates, mm."""
    x, y = printer.bed_origin_mm or (0.0, 0.0)
    return x + 0.5 * printer.bed_mm[0], y + 0.5 * printer.bed_mm[1]


def _filament(how: RingingTower) -> float:
    """Return what brim and walls take, without the retraction at the end, mm of filament."""
    walls = 1 + len(BANDS) * how.layers
    sides = walls * (2.0 * how.side_mm - 2.0 * how.width_mm)
    sides += sum(how.side_mm + 2.0 * ring * how.width_mm for ring in range(1, BRIM_LINES + 1))
    return how.filament(4.0 * sides) - RETRACT_MM


def _require_fit(printer: Printer, how: RingingTower) -> None:
    x, y, z = printer.bed_mm
    around = how.side_mm + 2.0 * (EDGE_MM + how.width_mm * BRIM_LINES)
    if min(x, y) < around or z < 1.2 * len(BANDS) * how.band_mm:
        raise ConfigError(
            f"printer.bed_mm: got {x:g} × {y:g} × {z:g}, expected {around:g} mm or more of x and y "
            f"and {1.2 * len(BANDS) * how.band_mm:g} of z for the tower; tower.side_mm and "
            "tower.band_mm make it smaller"
        )
    limits = printer.limits
    fastest = min(limits.max_velocity_mm_s[:2])
    require("tower.speed_mm_s", how.speed_mm_s, how.speed_mm_s <= fastest, f"up to {fastest:g}")
    needed = 2.0 * reach_mm(_greatest(printer), how.speed_mm_s)
    allowed = (1.0 - CLEAR_SHARE) * how.side_mm
    holds = needed <= allowed
    slower = math.sqrt(allowed * _greatest(printer))
    wanted = f"{slower:.0f} or less, as walls of {how.side_mm:g} mm at {_greatest(printer):g} mm/s²"
    require("tower.speed_mm_s", how.speed_mm_s, holds, f"{wanted} reach it but in part")


def _greatest(printer: Printer) -> float:
    limits = printer.limits
    return min(limits.print_acceleration_mm_s2, *limits.max_acceleration_mm_s2[:2])


def _lines(printer: Printer, how: RingingTower) -> Iterator[str]:
    middle = _middle(printer)
    yield from _head(printer, how)
    yield from _first_layer(how, middle)
    height, z = how.layers, how.layer_mm
    for band, share in enumerate(BANDS):
        acceleration = share * _greatest(printer)
        clear = reach_mm(acceleration, how.speed_mm_s)
        said = f"{acceleration:.0f} mm/s²; full speed from {clear:.1f} mm behind corners"
        yield f"; band {band + 1}: {said}"
        yield f"M204 P{acceleration:.0f} T{acceleration:.0f}"
        for _ in range(height):
            z += how.layer_mm
            yield from _layer(how, middle, z)
    yield from _end(printer, z)


def _head(printer: Printer, how: RingingTower) -> Iterator[str]:
    yield f"; Ringing tower: {how.speed_mm_s:g} mm/s, {len(BANDS)} bands of {how.band_mm:g} mm"
    yield "; The axis y is read on walls that run along x, the axis x on those along y."
    yield from ("G21", "G90", "M83")
    yield from (f"M140 S{how.bed_c:.0f}", f"M104 S{how.nozzle_c:.0f}")
    yield from (f"M190 S{how.bed_c:.0f}", f"M109 S{how.nozzle_c:.0f}")
    yield from ("G28", "G92 E0", "M107")
    if is_klipper(printer.limits.firmware):
        corner = printer.limits.square_corner_velocity_mm_s
        yield f"; corners are taken at {corner:g} mm/s, square_corner_velocity"


def _first_layer(how: RingingTower, middle: tuple[float, float]) -> Iterator[str]:
    """Yield a brim, outside in, and the first layer of the wall.

    The nozzle comes down where the brim begins: on its way there, clips may stand on the bed.
    """
    halves = [0.5 * how.side_mm + ring * how.width_mm for ring in range(BRIM_LINES, 0, -1)]
    x, y = middle
    yield f"G1 Z{CLEAR_MM:.3f} F300"
    yield f"G0 X{x:.3f} Y{y - halves[0]:.3f} F{60.0 * TRAVEL:.0f}"
    yield from (";LAYER:0", f"G1 Z{how.layer_mm:.3f} F300")
    for half in halves:
        yield from _square(how, middle, half, FIRST_SPEED, "SKIRT")
    yield from _walls(how, middle, FIRST_SPEED)


def _layer(how: RingingTower, middle: tuple[float, float], z: float) -> Iterator[str]:
    number = round(z / how.layer_mm) - 1
    yield from (f";LAYER:{number}", f"G1 Z{z:.3f} F600")
    yield from _walls(how, middle, how.speed_mm_s)


def _walls(how: RingingTower, middle: tuple[float, float], speed: float) -> Iterator[str]:
    yield from _square(how, middle, 0.5 * how.side_mm - how.width_mm, speed, "WALL-INNER")
    yield from _square(how, middle, 0.5 * how.side_mm, speed, "WALL-OUTER")


def _square(
    how: RingingTower, middle: tuple[float, float], half: float, speed: float, kind: str
) -> Iterator[str]:
    """Yield a closed square that begins in the middle of a side, away from the corners."""
    x, y = middle
    yield f";TYPE:{kind}"
    yield f"G0 X{x:.3f} Y{y - half:.3f} F{60.0 * TRAVEL:.0f}"
    path = [(half, -half), (half, half), (-half, half), (-half, -half), (0.0, -half)]
    at = (0.0, -half)
    for point in path:
        length = math.dist(at, point)
        yield (
            f"G1 X{x + point[0]:.3f} Y{y + point[1]:.3f} E{how.filament(length):.5f} "
            f"F{60.0 * speed:.0f}"
        )
        at = point


def _end(printer: Printer, z: float) -> Iterator[str]:
    limits = printer.limits
    yield f"G1 E-{RETRACT_MM:g} F1800"
    yield f"G1 Z{min(z + CLEAR_MM, printer.bed_mm[2]):.3f} F600"
    yield f"M204 P{limits.print_acceleration_mm_s2:.0f} T{limits.travel_acceleration_mm_s2:.0f}"
    yield from ("M104 S0", "M140 S0", "M84")
