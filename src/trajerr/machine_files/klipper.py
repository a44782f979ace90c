"""Klipper's ``printer.cfg`` → what it says about a printer.

Names, defaults and ranges as in Klipper's ``docs/Config_Reference.md``, ``klippy/toolhead.py``,
``klippy/stepper.py``, ``klippy/kinematics/extruder.py`` and ``klippy/extras/input_shaper.py``.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from trajerr.dynamics.input_shaper import AxisShaper, InputShaper
from trajerr.dynamics.printer import KINEMATICS
from trajerr.dynamics.shapers import SHAPERS
from trajerr.errors import DataError
from trajerr.machine_files.klipper_text import Sections, read_klipper_text
from trajerr.machine_files.stated import Stated, Word

FULL_STEPS = 200  # full_steps_per_rotation
DAMPING = 0.1  # damping_ratio of [input_shaper]
CORNER = 5.0  # mm/s, square_corner_velocity
CRUISE = 0.5  # minimum_cruise_ratio
OF_HOMING = 0.2  # share of its travel by which an axis may reach beyond the bed's corner
BESIDE = (  # understood, without a place in a printer's config
    ("extruder", "pressure_advance"),
    ("extruder", "pressure_advance_smooth_time"),
    ("extruder", "nozzle_diameter"),
    ("extruder", "filament_diameter"),
    ("extruder", "max_extrude_cross_section"),
)
STEPPERS = {"x": "stepper_x", "y": "stepper_y", "z": "stepper_z", "e": "extruder"}


def read_printer_cfg(path: Path, firmware: str | None) -> tuple[Stated, tuple[Path, ...]]:
    """Read a ``printer.cfg``.

    Parameters
    ----------
    path
        The file; those that it includes lie where it says.
    firmware
        Which Klipper runs it, as ``printer.limits.firmware`` names it; ``None``: as the file's
        options tell.

    Returns
    -------
    tuple
        What it states, and the files that were read.

    Raises
    ------
    DataError
        If it cannot be read, or describes a machine that trajerr does not know.
    """
    text = read_klipper_text(path)
    found = _Options(text.sections, path)
    stated = Stated()
    _kinematics(found, stated)
    _limits(found, stated, firmware)
    _steps(found, stated)
    _bed(found, stated)
    _shaper(found, stated)
    for section, option in BESIDE:
        value = found.text(section, option)
        if value is not None:
            stated.beside.append(Word(f"[{section}]", option, value))
    stated.not_understood += found.rest()
    return stated, text.files


@dataclass
class _Options:
    """A config's options, and which were taken."""

    sections: Sections
    path: Path
    taken: set[tuple[str, str]] = field(default_factory=set)

    def text(self, section: str, option: str) -> str | None:
        value = self.sections.get(section, {}).get(option)
        if value is not None:
            self.taken.add((section, option))
        return value

    def number(self, section: str, option: str, *, above: float = -math.inf) -> float | None:
        text = self.text(section, option)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value > above):
            wanted = f"a number above {above:g}" if math.isfinite(above) else "a number"
            raise self.wrong(section, option, wanted)
        return value

    def positive(self, section: str, option: str) -> float | None:
        return self.number(section, option, above=0.0)

    def needed(self, section: str, option: str) -> float:
        value = self.positive(section, option)
        if value is None:
            raise DataError(f"{self.path}: [{section}] {option}: not there, expected a number")
        return value

    def wrong(self, section: str, option: str, wanted: str) -> DataError:
        value = " ".join(self.sections[section][option].split())[:60]
        return DataError(f"{self.path}: [{section}] {option}: got {value}, expected {wanted}")

    def rest(self) -> Iterator[Word]:
        for section, options in self.sections.items():
            if not options:
                yield Word(f"[{section}]", "(no option)", "")
            for option, value in options.items():
                if (section, option) not in self.taken:
                    yield Word(f"[{section}]", option, value)


def _kinematics(found: _Options, stated: Stated) -> None:
    kinematics = found.text("printer", "kinematics")
    if kinematics not in KINEMATICS:
        got = " ".join((kinematics or "no [printer] kinematics").split())[:60]
        raise DataError(
            f"{found.path}: [printer] kinematics: got {got}, expected {' or '.join(KINEMATICS)}"
        )
    stated.kinematics = kinematics
    stated.sources["kinematics"] = "[printer] kinematics"


def _limits(found: _Options, stated: Stated, firmware: str | None) -> None:
    limits, sources = stated.limits, stated.sources
    speed, acceleration = (
        found.needed("printer", "max_velocity"),
        found.needed("printer", "max_accel"),
    )
    z_speed = found.positive("printer", "max_z_velocity")
    z_acceleration = found.positive("printer", "max_z_accel")
    e_speed, e_acceleration = _extruder_alone(found, speed, acceleration)
    limits["max_velocity_mm_s"] = (speed, speed, min(z_speed or speed, speed), e_speed)
    limits["max_acceleration_mm_s2"] = (
        acceleration,
        acceleration,
        min(z_acceleration or acceleration, acceleration),
        e_acceleration,
    )
    limits["path_velocity_mm_s"] = speed
    limits["print_acceleration_mm_s2"] = limits["travel_acceleration_mm_s2"] = acceleration
    corner = found.number("printer", "square_corner_velocity")
    limits["square_corner_velocity_mm_s"] = CORNER if corner is None else corner
    jump = found.number("extruder", "instantaneous_corner_velocity")
    limits["extruder_corner_velocity_mm_s"] = 1.0 if jump is None else jump
    limits["arc_resolution_mm"] = found.positive("gcode_arcs", "resolution") or 1.0
    limits["lookahead_blocks"] = None
    _smoothing(found, stated, firmware)
    words = {
        "max_velocity_mm_s": "max_velocity, max_z_velocity; [extruder] max_extrude_only_velocity",
        "max_acceleration_mm_s2": "max_accel, max_z_accel; [extruder] max_extrude_only_accel",
        "path_velocity_mm_s": "max_velocity",
        "print_acceleration_mm_s2": "max_accel",
        "travel_acceleration_mm_s2": "max_accel",
        "square_corner_velocity_mm_s": "square_corner_velocity",
    }
    own = ", or Klipper's default"
    sources |= {f"limits.{key}": f"[printer] {said}{own}" for key, said in words.items()}
    sources["limits.extruder_corner_velocity_mm_s"] = (
        f"[extruder] instantaneous_corner_velocity{own}"
    )
    sources["limits.arc_resolution_mm"] = f"[gcode_arcs] resolution{own}"
    sources["limits.lookahead_blocks"] = "Klipper looks as far ahead as it needs"


def _extruder_alone(found: _Options, speed: float, acceleration: float) -> tuple[float, float]:
    """Return what the extruder alone may do, mm/s and mm/s² (``PrinterExtruder.__init__``)."""
    own = found.positive("extruder", "max_extrude_only_velocity")
    own_acceleration = found.positive("extruder", "max_extrude_only_accel")
    nozzle = found.positive("extruder", "nozzle_diameter") or 0.4
    filament = found.positive("extruder", "filament_diameter") or 1.75
    share = 4.0 * nozzle**2 / (math.pi * (0.5 * filament) ** 2)
    return own or share * speed, own_acceleration or share * acceleration


def _smoothing(found: _Options, stated: Stated, firmware: str | None) -> None:
    """Take what keeps short peaks of speed low, whose option tells Klipper's age."""
    ratio = found.number("printer", "minimum_cruise_ratio")
    slowing = found.positive("printer", "max_accel_to_decel")
    if ratio is not None and not 0.0 <= ratio < 1.0:
        raise found.wrong("printer", "minimum_cruise_ratio", "0 or more and below 1")
    if firmware is None:
        firmware = "klipper_0_12" if slowing is not None and ratio is None else "klipper"
    stated.limits["firmware"] = firmware
    stated.limits["minimum_cruise_ratio"] = CRUISE if ratio is None else ratio
    stated.limits["max_accel_to_decel_mm_s2"] = slowing
    stated.sources["limits.minimum_cruise_ratio"] = "[printer] minimum_cruise_ratio, or 0.5"
    stated.sources["limits.max_accel_to_decel_mm_s2"] = "[printer] max_accel_to_decel, or none"
    stated.sources["limits.firmware"] = "which options there are, or firmware="
    if slowing is not None:
        stated.notes.append(
            f"[printer] max_accel_to_decel is an option of Klipper up to 2024; taken as "
            f"{firmware}, firmware=klipper_0_13 or firmware=klipper says otherwise"
        )


def _steps(found: _Options, stated: Stated) -> None:
    """Take steps of each axis: rotation distance, gears, full steps and microsteps."""
    steps_per_mm = []
    for axis, section in STEPPERS.items():
        full = _full_step(found, section)
        microsteps = found.positive(section, "microsteps")
        if full is None or microsteps is None:
            stated.notes.append(
                f"[{section}]: no rotation_distance with microsteps; the printer's own steps stay"
            )
            return
        steps_per_mm.append(microsteps / full)
        if axis in ("x", "y"):
            stated.full_step_mm[axis], stated.microstep_mm[axis] = full, full / microsteps
            words = f"[{section}] rotation_distance, gear_ratio, full_steps_per_rotation"
            stated.sources[f"{axis}.ripple_periods_mm"] = f"full step and cycle; {words}"
            stated.sources[f"{axis}.microstep_mm"] = f"{words}, microsteps"
    stated.limits["steps_per_mm"] = tuple(steps_per_mm)
    stated.sources["limits.steps_per_mm"] = "rotation_distance and steps of each stepper"


def _full_step(found: _Options, section: str) -> float | None:
    """Return how far a full step goes, mm (``stepper.parse_step_distance``)."""
    distance = found.positive(section, "rotation_distance")
    steps = found.positive(section, "full_steps_per_rotation") or FULL_STEPS
    gears = found.text(section, "gear_ratio")
    ratio = 1.0 if gears is None else _gearing(found, section, gears)
    return None if distance is None else distance / (steps * ratio)


def _gearing(found: _Options, section: str, gears: str) -> float:
    ratio = 1.0
    for pair in filter(None, (part.strip() for part in gears.split(","))):
        try:
            driven, driving = (float(side) for side in pair.split(":"))
            ratio *= driven / driving
        except (ValueError, ZeroDivisionError):
            ratio = math.nan
    if not 0.0 < ratio < math.inf:
        raise found.wrong(section, "gear_ratio", "pairs such as 80:16, 3:1")
    return ratio


def _bed(found: _Options, stated: Stated) -> None:
    """Take the bed from how far the axes reach: a file does not say where the bed is in that."""
    size, origin = [], []
    for axis in "xyz":
        section = STEPPERS[axis]
        low = found.number(section, "position_min") or 0.0
        high = found.number(section, "position_max")
        if high is None:
            return
        if high <= low:
            raise found.wrong(section, "position_max", f"above position_min, {low:g}")
        corner = 0.0 if axis == "z" or abs(low) <= OF_HOMING * (high - low) else low
        if high <= corner:
            raise found.wrong(section, "position_max", f"above {corner:g}")
        size.append(high - corner)
        origin.append(corner)
    stated.bed_mm = (size[0], size[1], size[2])
    stated.bed_origin_mm = (origin[0], origin[1])
    words = "[stepper_x], [stepper_y], [stepper_z] position_max, position_min"
    stated.sources["bed_mm"] = f"{words}: how far the axes reach"
    stated.sources["bed_origin_mm"] = "0 where position_min is near it"
    stated.notes.append(
        f"the bed is taken as {size[0]:g} × {size[1]:g} mm, as far as x and y reach; printer.cfg "
        "does not say where it ends: make bed_mm smaller in the new file where it is"
    )


def _shaper(found: _Options, stated: Stated) -> None:
    common = found.text("input_shaper", "shaper_type")
    axes: dict[str, AxisShaper | None] = {}
    for axis in ("x", "y"):
        kind = found.text("input_shaper", f"shaper_type_{axis}") or common or "mzv"
        frequency = found.number("input_shaper", f"shaper_freq_{axis}") or 0.0
        ratio = found.number("input_shaper", f"damping_ratio_{axis}")
        if kind.lower() not in SHAPERS:
            stated.not_understood.append(Word("[input_shaper]", f"shaper_type of {axis}", kind))
            stated.notes.append(
                f"[input_shaper] {axis}: {kind} is none of {', '.join(SHAPERS)}; the printer is "
                f"written without a shaper for {axis}, which it has"
            )
            axes[axis] = None
            continue
        damping = DAMPING if ratio is None else ratio
        axes[axis] = AxisShaper(kind.lower(), frequency, damping) if frequency > 0.0 else None
    stated.shaper, stated.knows_shaper = InputShaper(**axes), True
    stated.sources["shaper"] = "[input_shaper], or none"
