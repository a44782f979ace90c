"""The run to record: motion without filament that shows all that a machine's motion can show.

It begins and ends with shakes that align clocks; between them come passes, each at a speed and
an acceleration of its own, of strokes in all directions, reversals, stops, corners, circles and
short moves as prints have them. Each kind of motion in each pass is marked as a layer, and no two
have the same geometry: what is learned from some can be judged on others.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trajerr.checks import require, require_number, require_positive
from trajerr.dynamics.printer import Printer
from trajerr.errors import ConfigError
from trajerr.gcode.firmware import is_klipper
from trajerr.gcode.reader import parse_program
from trajerr.motion.planner import Plan, plan
from trajerr.test_prints.second_reading import require_harmless

Point = tuple[float, float]
NAME = "trajerr"  # of Klipper's recording, in its file's name
CHIP = r"a name of a sensor in printer.cfg: letters, digits, _ and -"
SMALLEST_MM = 25.0  # half of the field: less reaches no speed
LARGEST_MM = 90.0  # half of it: more would be travelled at full speed, which tells little
SHAKE_MM = 2.0  # each way along both axes at once
BEGIN = (3, 1, 2)  # shakes at a time, a pause after each group; no print moves so
END = (2, 1, 3)
PAUSES_MS = (400, 250, 650)
# Shares of the greatest speed; the first four are those of a run that slow axes make short.
SPEEDS = (0.75, 0.3, 1.0, 0.5, 0.15)
ACCELERATIONS = (1.0, 0.5, 1.0, 0.25)  # of the printer's own; so that each meets each speed
TURN = math.radians(17.0)  # from one pass to the next, so that directions are all different
SMALLER, SIZES = 0.04, 11  # each pass is so much smaller than the one before, until it begins anew
MARK = ";LAYER:"
SPOTS = ((0.0, 0.0), (-0.5, -0.5), (0.5, 0.5), (-0.5, 0.5), (0.5, -0.5))  # of half of the field
STROKES_MM = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
RADII_MM = (1.5, 4.0, 10.0)
CHORD_MM = 0.6  # of circles, as slicers cut them
CORNERS_DEG = (30.0, 60.0, 90.0, 120.0, 150.0)
LONGEST_S = 900.0
MOST_PASSES = 200


@dataclass(frozen=True)
class Shakedown:
    """How the run to record is made.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    seconds: float  # about how long, at least two passes
    speed_mm_s: float | None  # the greatest; None: 200, or what the machine allows
    height_mm: float  # of the nozzle above the bed
    edge_mm: float  # kept free at each edge of the bed
    chips: Sequence[str]  # Klipper's names of its sensors; [] starts none

    def __post_init__(self) -> None:
        for key in ("seconds", "height_mm"):
            require_positive(f"record.{key}", getattr(self, key))
        require("record.seconds", self.seconds, 30.0 <= self.seconds <= LONGEST_S, "30 to 900")
        require_positive("record.speed_mm_s", self.speed_mm_s, or_null=True)
        require_number("record.edge_mm", self.edge_mm)
        require("record.edge_mm", self.edge_mm, self.edge_mm >= 5.0, "5 or more")
        listed = isinstance(self.chips, Sequence) and not isinstance(self.chips, str)
        holds = listed and all(_is_name(chip) for chip in self.chips)
        require("record.chips", self.chips, holds, f"a list, each {CHIP}")


def _is_name(chip: object) -> bool:
    return isinstance(chip, str) and chip.replace("_", "").replace("-", "").isalnum()


@dataclass(frozen=True)
class Written:
    """A program that was made, and how the machine will run it."""

    text: bytes
    planned: Plan


def shakedown(printer: Printer, how: Shakedown, name: str) -> Written:
    """Return the run to record, proved by the planner and by a second reader.

    Parameters
    ----------
    printer
        Its bed, limits and firmware hold.
    how
        Length, speed, height, sensors.
    name
        Of the file, for messages.

    Raises
    ------
    ConfigError
        If the bed is too small, or a height or speed is not the machine's.
    GcodeError
        If it would leave the field; a fault of this program, nothing is written then.
    """
    field = _Field.of(printer, how)
    speed = min(how.speed_mm_s or 200.0, printer.limits.highest_speed)
    full = _Writer(printer, how, field)
    ends = []
    full.begin()
    for number in range(MOST_PASSES):
        share, scale = SPEEDS[number % len(SPEEDS)], ACCELERATIONS[number % len(ACCELERATIONS)]
        _one_pass(full, field, number, share * speed, scale * _acceleration(printer))
        ends.append(len(full.lines))
        if number % 4 == 3 and _seconds(full, printer, name) > how.seconds:
            break
    keep = _fitting(full, ends, printer, how.seconds, name)
    done = _Writer(printer, how, field, full.lines[: ends[keep]])
    done.end(_own_accelerations(printer))
    text = done.text
    planned = plan(parse_program(text, name, printer.limits.firmware), printer.limits)
    low, high = (*field.low, how.height_mm), (*field.high, how.height_mm)
    require_harmless(text, printer.limits.firmware, low, high)
    return Written(text, planned)


def _seconds(writer: "_Writer", printer: Printer, name: str) -> float:
    program = parse_program(writer.text, name, printer.limits.firmware)
    return plan(program, printer.limits).print_time


def _fitting(
    writer: "_Writer", ends: Sequence[int], printer: Printer, seconds: float, name: str
) -> int:
    """Return how many passes last about so long, less one; at least two are kept."""
    planned = plan(parse_program(writer.text, name, printer.limits.firmware), printer.limits)
    line = planned.program.moves.line
    last = np.searchsorted(line, np.array(ends), side="left") - 1
    times = planned.move_end[last]
    return max(int(np.argmin(np.abs(times - seconds))), 1)


def _acceleration(printer: Printer) -> float:
    """Return the greatest that the machine prints with, mm/s²."""
    limits = printer.limits
    return min(limits.print_acceleration_mm_s2, *limits.max_acceleration_mm_s2[:2])


def _own_accelerations(printer: Printer) -> str:
    limits = printer.limits
    own = limits.print_acceleration_mm_s2, limits.travel_acceleration_mm_s2
    return "M204 P{:.0f} T{:.0f}".format(*own)


@dataclass(frozen=True)
class _Field:
    """The part of the bed that is moved over, in the file's coordinates."""

    low: Point  # mm
    high: Point

    @classmethod
    def of(cls, printer: Printer, how: Shakedown) -> "_Field":
        origin = printer.bed_origin_mm or (0.0, 0.0)
        half = [min(0.5 * size - how.edge_mm, LARGEST_MM) for size in printer.bed_mm[:2]]
        if min(half) < SMALLEST_MM:
            least = 2.0 * (SMALLEST_MM + how.edge_mm)
            x, y, _ = printer.bed_mm
            raise ConfigError(
                f"printer.bed_mm: got {x:g} × {y:g}, expected {least:g} mm or more each for the "
                f"test print with record.edge_mm={how.edge_mm:g}"
            )
        height = how.height_mm
        holds = height <= 0.5 * printer.bed_mm[2]
        require("record.height_mm", height, holds, f"up to half of z, {0.5 * printer.bed_mm[2]:g}")
        middle = [origin[k] + 0.5 * printer.bed_mm[k] for k in range(2)]
        low = (middle[0] - half[0], middle[1] - half[1])
        return cls(low, (middle[0] + half[0], middle[1] + half[1]))

    @property
    def middle(self) -> Point:
        return 0.5 * (self.low[0] + self.high[0]), 0.5 * (self.low[1] + self.high[1])

    @property
    def half(self) -> float:
        """Of the shorter side, mm."""
        return 0.5 * min(self.high[k] - self.low[k] for k in range(2))

    def spot(self, number: int) -> Point:
        """Return the middle of what a pass does in small."""
        u, v = SPOTS[number % len(SPOTS)]
        return self.middle[0] + u * self.half, self.middle[1] + v * self.half


class _Writer:
    """Lines of G-code; a point is where the nozzle goes, in the file's coordinates."""

    def __init__(
        self, printer: Printer, how: Shakedown, field: _Field, lines: Sequence[str] = ()
    ) -> None:
        self.on_klipper = is_klipper(printer.limits.firmware)
        self.how, self.field, self.lines = how, field, list(lines)
        self.acceleration = _acceleration(printer)

    @property
    def text(self) -> bytes:
        return ("\n".join(self.lines) + "\n").encode()

    def go(self, point: Point, speed: float) -> None:
        self.lines.append(f"G1 X{point[0]:.3f} Y{point[1]:.3f} F{60.0 * speed:.0f}")

    def wait(self, milliseconds: int) -> None:
        self.lines.append(f"G4 P{milliseconds}")

    def accelerate(self, acceleration: float) -> None:
        self.lines.append(f"M204 P{acceleration:.0f} T{acceleration:.0f}")

    def section(self) -> None:
        """Mark what follows as a layer of its own."""
        self.lines.append(f"{MARK}{sum(line.startswith(MARK) for line in self.lines)}")

    def begin(self) -> None:
        height, chips = self.how.height_mm, ", ".join(self.how.chips) or "none"
        self.lines += [
            "; Motion to record, without filament; the nozzle stays cold",
            f"; sensors started by this file: {chips if self.on_klipper else 'none'}",
            "G21",
            "G90",
            "G28",
            f"G1 Z{height:.3f} F300",
        ]
        self.go(self.field.middle, 50.0)
        self.wait(2000)
        self.sensors("")
        self.wait(1000)
        self.shake(BEGIN)

    def end(self, restore: str) -> None:
        self.section()
        self.go(self.field.middle, 50.0)
        self.shake(END)
        self.wait(1000)
        self.sensors(f" NAME={NAME}")
        self.lines += [restore, "M84"]

    def sensors(self, name: str) -> None:
        """Start the sensors, or stop them and have their files written."""
        if not self.on_klipper:
            return
        for chip in self.how.chips:
            self.lines.append(f"ACCELEROMETER_MEASURE CHIP={chip}{name}")

    def shake(self, groups: Sequence[int]) -> None:
        """Mark the recording: groups of short strokes along both axes, at odd pauses."""
        self.accelerate(self.acceleration)
        (x, y), speed = self.field.middle, 100.0
        for count, pause in zip(groups, PAUSES_MS, strict=True):
            for _ in range(count):
                self.go((x + SHAKE_MM, y + SHAKE_MM), speed)
                self.go((x - SHAKE_MM, y - SHAKE_MM), speed)
            self.go((x, y), speed)
            self.wait(pause)


def _one_pass(
    writer: _Writer, field: _Field, number: int, speed: float, acceleration: float
) -> None:
    """Write one pass: all kinds of motion at one speed and acceleration."""
    writer.accelerate(acceleration)
    angle, spot = number * TURN, field.spot(number)
    size = 1.0 - SMALLER * (number % SIZES)
    circles = (_circle(spot, size * radius, number % 2 == 0) for radius in RADII_MM)
    for path in (
        _star(field.middle, 0.95 * size * field.half, angle),
        _reversals(spot, angle, size),
        _corners(spot, angle, size),
        (point for circle in circles for point in circle),
        _zigzag(spot, angle, size),
    ):
        writer.section()
        for point in path:
            writer.go(point, speed)
    writer.section()
    for point in _stops(spot, angle, size):
        writer.go(point, speed)
        writer.wait(120)


def _at(point: Point, distance: float, angle: float) -> Point:
    return point[0] + distance * math.cos(angle), point[1] + distance * math.sin(angle)


def _star(middle: Point, reach: float, angle: float) -> Iterator[Point]:
    """Yield long strokes through the middle, there and back, in eight directions."""
    for step in range(4):
        direction = angle + step * math.pi / 4.0
        yield _at(middle, reach, direction)
        yield _at(middle, -reach, direction)
    yield middle


def _reversals(spot: Point, angle: float, size: float) -> Iterator[Point]:
    """Yield strokes to and fro, of growing length, along both axes and aslant."""
    for direction in (0.0, 0.5 * math.pi, angle + 0.25 * math.pi):
        for stroke in STROKES_MM:
            yield _at(spot, size * stroke, direction)
            yield _at(spot, -0.5 * size * stroke, direction)
        yield spot


def _corners(spot: Point, angle: float, size: float) -> Iterator[Point]:
    """Yield corners of several angles, between moves of a few millimetres."""
    point, direction = spot, angle
    for turn in CORNERS_DEG:
        for sign in (1.0, 1.0, -1.0, -1.0):
            point = _at(point, 3.0 * size, direction)
            yield point
            direction += sign * math.radians(turn)
    yield spot


def _circle(spot: Point, radius: float, is_left: bool) -> Iterator[Point]:
    count = max(math.ceil(2.0 * math.pi * radius / CHORD_MM), 12)
    for step in range(count + 1):
        turned = 2.0 * math.pi * step / count
        yield _at(spot, radius, turned if is_left else -turned)


def _zigzag(spot: Point, angle: float, size: float) -> Iterator[Point]:
    """Yield fill as prints have it: parallel lines, whose length changes."""
    for row in range(16):
        base = _at(spot, 0.45 * size * (row - 8), angle)
        length = size * (1.0 + row) * (0.5 if row % 2 else -0.5)
        yield _at(base, length, angle + 0.5 * math.pi)


def _stops(spot: Point, angle: float, size: float) -> Iterator[Point]:
    """Yield strokes, after each of which the machine rests and rings out."""
    for step in range(4):
        yield _at(spot, 10.0 * size, angle + step * 2.0 * math.pi / 4.0 + 0.3)
    yield spot
