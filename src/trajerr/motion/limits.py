"""What a machine can do: limits of its axes, and how its firmware corners.

Knows how a printer's own limits combine with those a file sets. Does not know time.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, fields, replace
from typing import Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from trajerr.arrays import Floats
from trajerr.checks import require, require_from_zero, require_positive
from trajerr.gcode.firmware import is_klipper
from trajerr.gcode.program import LimitSettings

# Marlin's jerk as rewritten for 2.1.3, as up to 2.1.2, and junction deviation as in 2.1.2.
Marlin = Literal["marlin", "marlin_2_1_2", "marlin_junction_deviation"]
# Classic jerk as slicers' estimators reckon with it ("marlin_estimated"), which no firmware runs.
# Klipper's builds of 2025-08 and later, of 2024-03 to then (release 0.13), and before (0.12).
Firmware = Literal[Marlin, "marlin_estimated", "klipper", "klipper_0_13", "klipper_0_12"]
MARLIN: tuple[str, ...] = get_args(Marlin)
FIRMWARES: tuple[str, ...] = get_args(Firmware)
AXES = 4
# Klipper's default for what the extruder alone may do, in shares of what the head may: four
# squared nozzles of 0.4 mm over the section of a filament of 1.75 mm.
EXTRUDE_ONLY_SHARE = 4.0 * 0.4**2 / (np.pi * 0.875**2)

_PER_AXIS = ("max_velocity_mm_s", "max_acceleration_mm_s2", "jerk_mm_s", "steps_per_mm")
_POSITIVE = (
    "print_acceleration_mm_s2",
    "travel_acceleration_mm_s2",
    "retract_acceleration_mm_s2",
    "arc_resolution_mm",
)
_OF_ALL = (  # that no file changes
    "firmware",
    "lookahead_blocks",
    "extruder_corner_velocity_mm_s",
    "arc_resolution_mm",
    "steps_per_mm",
    "min_steps",
    "jerk_cap_mm_s",
    "min_segment_time_s",
)
_OPTIONAL = ("path_velocity_mm_s", "max_accel_to_decel_mm_s2", "jerk_cap_mm_s")
_NON_NEGATIVE = (
    "min_print_velocity_mm_s",
    "min_travel_velocity_mm_s",
    "junction_deviation_mm",
    "square_corner_velocity_mm_s",
    "extruder_corner_velocity_mm_s",
    "min_segment_time_s",
)
_ABOVE_ZERO = (*_POSITIVE, "max_velocity_mm_s", "max_acceleration_mm_s2", "path_velocity_mm_s")
# A file's limit (LimitSettings) and the field of the machine that it replaces.
_OVERRIDES = {
    "max_velocity": "max_velocity_mm_s",
    "max_acceleration": "max_acceleration_mm_s2",
    "jerk": "jerk_mm_s",
    "print_acceleration": "print_acceleration_mm_s2",
    "travel_acceleration": "travel_acceleration_mm_s2",
    "retract_acceleration": "retract_acceleration_mm_s2",
    "min_print_velocity": "min_print_velocity_mm_s",
    "min_travel_velocity": "min_travel_velocity_mm_s",
    "junction_deviation": "junction_deviation_mm",
    "square_corner_velocity": "square_corner_velocity_mm_s",
    "minimum_cruise_ratio": "minimum_cruise_ratio",
    "velocity_limit": "path_velocity_mm_s",
}
# Klipper has M204 and SET_VELOCITY_LIMIT; M201, M203, M205 and M566 mean nothing to it, nor
# can a file change what its z axis and its extruder may do (docs/G-Codes.md).
_KLIPPER_OVERRIDES = (
    ("acceleration_limit", "print_acceleration_mm_s2"),
    ("acceleration_limit", "travel_acceleration_mm_s2"),
    ("square_corner_velocity", "square_corner_velocity_mm_s"),
    ("velocity_limit", "path_velocity_mm_s"),
)


@dataclass(frozen=True)
class MachineLimits:
    """Limits of a machine and the cornering rule of its firmware; four-tuples are x, y, z, e.

    On Klipper the entries of e are ``max_extrude_only_velocity`` and ``max_extrude_only_accel``,
    which bound the extruder alone, retracts and wipes, not what prints; ``None`` is its default.

    Raises
    ------
    ConfigError
        If a limit is out of range; the message names the key.
    """

    max_velocity_mm_s: Sequence[float]  # e may be None on Klipper
    max_acceleration_mm_s2: Sequence[float]  # same
    _: KW_ONLY
    # A machine's file has the limits of its own firmware; those of the others keep their defaults.
    jerk_mm_s: Sequence[float] = (8.0, 8.0, 0.4, 5.0)  # classic jerk: allowed jumps in velocity
    print_acceleration_mm_s2: float
    travel_acceleration_mm_s2: float
    retract_acceleration_mm_s2: float = 1000.0  # not on Klipper
    min_print_velocity_mm_s: float = 0.0
    min_travel_velocity_mm_s: float = 0.0
    junction_deviation_mm: float = 0.013  # "marlin_junction_deviation"
    square_corner_velocity_mm_s: float = 5.0  # "klipper"
    minimum_cruise_ratio: float = 0.5  # "klipper", "klipper_0_13"
    max_accel_to_decel_mm_s2: float | None = None  # "klipper_0_12"; None: half its max_accel
    arc_resolution_mm: float = 1.0  # Klipper's [gcode_arcs] resolution, the shortest chords
    extruder_corner_velocity_mm_s: float = 1.0  # "klipper": instantaneous_corner_velocity
    path_velocity_mm_s: float | None = None  # limit along the path: Klipper's max_velocity
    steps_per_mm: Sequence[float] = (80.0, 80.0, 400.0, 93.0)  # Marlin: what it rounds to
    jerk_cap_mm_s: float | None = None  # the greatest that M205 X and Y accept; None: any
    min_steps: int = 6  # Marlin: a shorter block is merged into the next, MIN_STEPS_PER_SEGMENT
    min_segment_time_s: float = 0.02  # Marlin: a draining queue's blocks take longer; 0 is off
    firmware: Firmware
    lookahead_blocks: int | None = None  # moves known ahead; None, neutral, is the whole file

    def __post_init__(self) -> None:
        for key in _POSITIVE:
            require_positive(f"printer.limits.{key}", getattr(self, key))
        _require("firmware", self.firmware, self.firmware in FIRMWARES, " or ".join(FIRMWARES))
        for key in _OPTIONAL:
            require_positive(f"printer.limits.{key}", getattr(self, key), or_null=True)
        for key in _PER_AXIS:
            object.__setattr__(self, key, self._axes(key))
        for key in _NON_NEGATIVE:
            require_from_zero(f"printer.limits.{key}", getattr(self, key))
        ratio = self.minimum_cruise_ratio
        _require("minimum_cruise_ratio", ratio, 0.0 <= ratio < 1.0, "0 or more and below 1")
        steps = self.min_steps
        _require("min_steps", steps, isinstance(steps, int) and steps >= 1, "a whole number from 1")
        blocks = self.lookahead_blocks
        whole = blocks is None or (isinstance(blocks, int) and blocks >= 1)
        _require("lookahead_blocks", blocks, whole, "null or a whole number from 1")

    def _axes(self, key: str) -> tuple[float, ...]:
        given = getattr(self, key)
        if is_klipper(self.firmware) and len(given) == AXES and given[-1] is None:
            given = (*given[:-1], self._extrude_only(key))
        values = tuple(np.nan if value is None else float(value) for value in given)
        _require(key, list(given), len(values) == AXES, "four numbers: x, y, z, e")
        finite = all(0.0 <= value < np.inf for value in values)
        if key == "jerk_mm_s":
            _require(key, list(given), finite, "four finite numbers, 0 or more")
        else:
            _require(key, list(given), finite and all(values), "four positive, finite numbers")
        return values

    def _extrude_only(self, key: str) -> float | None:
        """Return Klipper's default for the extruder alone (``PrinterExtruder.__init__``)."""
        along = self.path_velocity_mm_s
        of_head = {
            "max_velocity_mm_s": self.max_velocity_mm_s[0] if along is None else along,
            "max_acceleration_mm_s2": self.print_acceleration_mm_s2,
        }
        return EXTRUDE_ONLY_SHARE * of_head[key] if key in of_head else None

    def overridden(self, settings: LimitSettings) -> Self:
        """Return these limits with those that a file sets in their place, as the firmware does.

        Klipper knows one acceleration and none of Marlin's other limits. A velocity or
        acceleration of zero means "no value" in slicers and is passed over; a jerk of zero
        is one.

        Parameters
        ----------
        settings
            What the file sets; ``None`` leaves the machine's own limit.
        """
        changes: dict[str, object] = {}
        on_klipper = is_klipper(self.firmware)
        pairs = _KLIPPER_OVERRIDES if on_klipper else _OVERRIDES.items()
        for source, key in pairs:
            value = getattr(settings, source)
            if key in _PER_AXIS:
                own = getattr(self, key)
                changes[key] = tuple(map(_or_own, value, own, [key] * AXES))
            elif value is not None:
                changes[key] = _or_own(value, getattr(self, key), key)
        if on_klipper:
            changes |= self._lifted(settings) | self._smoothed(settings)
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def highest_speed(self) -> float:
        """mm/s of the head with all axes together."""
        return highest_speed(self.max_velocity_mm_s, self.path_velocity_mm_s)

    def _lifted(self, settings: LimitSettings) -> dict[str, object]:
        """Return the limits of x and y where the file asks for more: Klipper has none of its own.

        Its cartesian and CoreXY kinematics limit z alone (``max_z_velocity``, ``max_z_accel``).
        """

        def lifted(own: Sequence[float], asked: float | None) -> tuple[float, ...]:
            x, y, *rest = own
            return max(x, asked or 0.0), max(y, asked or 0.0), *rest

        return {
            "max_velocity_mm_s": lifted(self.max_velocity_mm_s, settings.velocity_limit),
            "max_acceleration_mm_s2": lifted(
                self.max_acceleration_mm_s2, settings.acceleration_limit
            ),
        }

    def _smoothed(self, settings: LimitSettings) -> dict[str, object]:
        """Return what keeps peaks of speed low: a ratio, or an acceleration on builds to 2024-03.

        References
        ----------
        Klipper, docs/Config_Changes.md, 20240313 and 20250811; ``toolhead.py`` of 0.12 and 0.13.
        """
        ratio = settings.minimum_cruise_ratio
        if self.firmware == "klipper_0_13" and settings.cruise_ratio_from is not None:
            slowing, acceleration = settings.cruise_ratio_from
            ratio = 1.0 - min(1.0, slowing / (acceleration or self.print_acceleration_mm_s2))
        smoothed: dict[str, object] = {
            "max_accel_to_decel_mm_s2": settings.accel_to_decel or self.accel_to_decel
        }
        return smoothed if ratio is None else {**smoothed, "minimum_cruise_ratio": ratio}

    @property
    def accel_to_decel(self) -> float:
        """Klipper's ``max_accel_to_decel``, mm/s², whose default is half its ``max_accel``."""
        return self.max_accel_to_decel_mm_s2 or 0.5 * self.print_acceleration_mm_s2


def highest_speed(axes: Sequence[float], along: float | None) -> float:
    """Return the head's greatest speed, mm/s, by limits of x, y, z and, if any, of its path."""
    together = float(np.linalg.norm(axes[:3]))
    return together if along is None else min(together, along)


def _or_own(value: float | None, own: float, key: str) -> float:
    if value is None or (value == 0.0 and key in _ABOVE_ZERO):
        return own
    return value


def _require(key: str, value: object, holds: bool, expected: str) -> None:
    require(f"printer.limits.{key}", value, holds, expected)


@dataclass(frozen=True)
class LimitTable:
    """The limits in force for S states or moves, as arrays; a row for each."""

    max_velocity: Floats  # (S, 4) mm/s
    max_acceleration: Floats  # (S, 4) mm/s²
    jerk: Floats  # (S, 4) mm/s
    print_acceleration: Floats  # (S,) mm/s²
    travel_acceleration: Floats  # (S,) mm/s²
    retract_acceleration: Floats  # (S,) mm/s²
    min_print_velocity: Floats  # (S,) mm/s
    min_travel_velocity: Floats  # (S,) mm/s
    junction_deviation: Floats  # (S,) mm
    square_corner_velocity: Floats  # (S,) mm/s
    minimum_cruise_ratio: Floats  # (S,) 0..1
    max_accel_to_decel: Floats  # (S,) mm/s², of Klipper 0.12
    path_velocity: Floats  # (S,) mm/s, infinite where unlimited

    def rows(self, index: NDArray[np.integer]) -> Self:
        """Return the chosen rows, every array indexed alike."""
        return replace(self, **{f.name: getattr(self, f.name)[index] for f in fields(self)})


def tabulate(
    limits: MachineLimits, settings: Sequence[LimitSettings], acceleration_scale: float = 1.0
) -> LimitTable:
    """Return the limits in force under each state of a file's settings.

    Parameters
    ----------
    limits
        The machine's own.
    settings
        What the file sets; an empty sequence counts as one state that sets nothing.
    acceleration_scale
        Multiplies every acceleration, after the file's overrides. Jerk, junction deviation
        and corner velocities stay: they are jumps that the machine takes, not rates.
    """
    resolved = [limits.overridden(state) for state in settings or [LimitSettings()]]
    column = {
        f.name: np.array([_or_infinite(getattr(r, f.name)) for r in resolved])
        for f in fields(MachineLimits)
        if f.name not in _OF_ALL
    }
    scaled = {
        key: values * acceleration_scale if key.endswith("_mm_s2") else values
        for key, values in column.items()
    }
    return LimitTable(**{_without_unit(key): values for key, values in scaled.items()})


def _or_infinite(value: float | Sequence[float] | None) -> float | Sequence[float]:
    return np.inf if value is None else value


def _without_unit(key: str) -> str:
    for unit in ("_mm_s2", "_mm_s", "_mm"):
        if key.endswith(unit):
            return key.removesuffix(unit)
    return key
