"""The limits that a file sets: its slicer's machine limits, M201 to M205 and Klipper's."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from trajerr.errors import GcodeError
from trajerr.gcode import words as text
from trajerr.gcode.program import LimitSettings

AXES = "XYZE"
# Flavours whose M203 and M566 are in mm/min (PrusaSlicer's GCodeProcessor treats them so).
_PER_MINUTE = frozenset({"reprap", "reprapfirmware", "repetier", "sprinter", "rrf"})
Words = Mapping[str, float | None]


@dataclass
class LimitLog:
    """Every state of the limits, in the order in which a file reaches them."""

    flavor: str
    states: list[LimitSettings]
    lines: list[int] = field(default_factory=list)
    index: list[int] = field(default_factory=list)  # into states, from each line on
    _known: dict[LimitSettings, int] = field(default_factory=dict)
    _after: dict[tuple[int, str, str, float], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known = {state: i for i, state in enumerate(self.states)}

    @property
    def current(self) -> LimitSettings:
        """The limits in force after all lines so far."""
        return self.states[self.index[-1] if self.index else 0]

    def read(self, line: int, name: str, body: str, unit: float) -> None:
        """Read one command that sets limits; ``unit`` is mm per unit of the file."""
        before = self.index[-1] if self.index else 0
        command = (before, name, body, unit)
        after = self._after.get(command)
        if after is None:  # files repeat few commands thousands of times
            after = self._after[command] = self._apply(name, body, unit)
        if after != before:
            self.lines.append(line)
            self.index.append(after)

    def _apply(self, name: str, body: str, unit: float) -> int:
        """Return which state a command leaves in force."""
        if name == "SET_VELOCITY_LIMIT":
            state = klipper_limits(self.current, text.parameters(body))
        else:
            words = text.loose_words(body)
            state = _READERS[name](self.current, words, unit, self.flavor)
        if state not in self._known:
            self._known[state] = len(self.states)
            self.states.append(state)
        return self._known[state]


def klipper_limits(state: LimitSettings, named: Mapping[str, str]) -> LimitSettings:
    """Apply SET_VELOCITY_LIMIT (Klipper ``toolhead.py``, ``cmd_SET_VELOCITY_LIMIT``).

    What ACCEL_TO_DECEL means is the build's: an acceleration until March 2024; then the ratio
    1 − ACCEL_TO_DECEL/ACCEL, at the acceleration that the same command leaves in force and
    unless it states the ratio itself; nothing since August 2025 (docs/Config_Changes.md). Both
    meanings are noted, and the machine's limits choose.

    Raises
    ------
    GcodeError
        If the cruise ratio is none, which Klipper refuses as well.
    """
    velocity = text.number(named.get("VELOCITY"))
    acceleration = text.number(named.get("ACCEL"))
    corner = text.number(named.get("SQUARE_CORNER_VELOCITY"))
    slowing = _newer(text.number(named.get("ACCEL_TO_DECEL")), None)
    ratio = text.number(named.get("MINIMUM_CRUISE_RATIO"))
    if ratio is not None and not 0.0 <= ratio < 1.0:
        raise GcodeError(f"MINIMUM_CRUISE_RATIO is {ratio:g}, expected 0 or more and below 1")
    limit = _newer(acceleration, state.acceleration_limit)
    ratio_from = state.cruise_ratio_from if slowing is None else (slowing, limit)
    return replace(
        state,
        velocity_limit=_newer(velocity, state.velocity_limit),
        print_acceleration=_newer(acceleration, state.print_acceleration),
        travel_acceleration=_newer(acceleration, state.travel_acceleration),
        acceleration_limit=limit,
        square_corner_velocity=_newer(corner, state.square_corner_velocity, least=0.0),
        minimum_cruise_ratio=_newer(ratio, state.minimum_cruise_ratio, least=0.0),
        accel_to_decel=_newer(slowing, state.accel_to_decel),
        cruise_ratio_from=ratio_from if ratio is None else None,
    )


def _newer(new: float | None, old: float | None, least: float = 1e-9) -> float | None:
    """Return the new value if there is a usable one, else what was in force."""
    return old if new is None or new < least else new


def _per_axis(
    before: tuple[float | None, ...], words: Words, scale: float, least: float = 1e-9
) -> tuple[float | None, ...]:
    given = [words.get(axis) for axis in AXES]
    scaled = [None if value is None else value * scale for value in given]
    return tuple(_newer(new, old, least) for old, new in zip(before, scaled, strict=True))


def _accelerations(state: LimitSettings, words: Words, unit: float, _: str) -> LimitSettings:
    return replace(state, max_acceleration=_per_axis(state.max_acceleration, words, unit))


def _velocities(state: LimitSettings, words: Words, unit: float, flavor: str) -> LimitSettings:
    scale = unit / 60.0 if flavor in _PER_MINUTE else unit
    return replace(state, max_velocity=_per_axis(state.max_velocity, words, scale))


def _jerks_per_minute(state: LimitSettings, words: Words, unit: float, _: str) -> LimitSettings:
    return replace(state, jerk=_per_axis(state.jerk, words, unit / 60.0, least=0.0))


def _move_accelerations(
    state: LimitSettings, words: Words, unit: float, flavor: str
) -> LimitSettings:
    """Apply M204: beside S, a T means retraction, as Marlin 1 and PrusaSlicer have it."""
    given = {k: v * unit for k, v in words.items() if v is not None and v > 0}
    single = _klipper_acceleration(given)
    state = replace(state, acceleration_limit=_newer(single, state.acceleration_limit))
    if flavor == "klipper":
        return replace(
            state,
            print_acceleration=_newer(single, state.print_acceleration),
            travel_acceleration=_newer(single, state.travel_acceleration),
        )
    both = given.get("S")
    printing, travel, retract = (
        (both, both, given.get("T")) if both else (given.get("P"), given.get("T"), given.get("R"))
    )
    return replace(
        state,
        print_acceleration=_newer(printing, state.print_acceleration),
        travel_acceleration=_newer(travel, state.travel_acceleration),
        retract_acceleration=_newer(retract, state.retract_acceleration),
    )


def _klipper_acceleration(given: Mapping[str, float]) -> float | None:
    """Return what Klipper takes from M204: S, or the lesser of P and T, or nothing.

    References
    ----------
    Klipper, docs/G-Codes.md: "If S is not specified and both P and T are specified, then the
    acceleration is set to the minimum of P and T. If only one of P or T is specified, the
    command has no effect."
    """
    if "S" in given:
        return given["S"]
    return min(given["P"], given["T"]) if "P" in given and "T" in given else None


def _advanced(state: LimitSettings, words: Words, unit: float, _: str) -> LimitSettings:
    """Apply M205: jerks, junction deviation, least feed rates."""
    scaled = {k: v * unit for k, v in words.items() if v is not None}
    return replace(
        state,
        jerk=_per_axis(state.jerk, words, unit, least=0.0),
        min_print_velocity=_newer(scaled.get("S"), state.min_print_velocity, least=0.0),
        min_travel_velocity=_newer(scaled.get("T"), state.min_travel_velocity, least=0.0),
        junction_deviation=_newer(scaled.get("J"), state.junction_deviation, least=0.0),
    )


_READERS = {
    "M201": _accelerations,
    "M203": _velocities,
    "M204": _move_accelerations,
    "M205": _advanced,
    "M566": _jerks_per_minute,
}


def initial_limits(slicer: Mapping[str, str], known: bool = False) -> LimitSettings:
    """Return the machine limits of a slicer's configuration, where it has them.

    PrusaSlicer, SuperSlicer, OrcaSlicer, Bambu Studio and Creality Print share these keys
    (but ``machine_max_speed_x`` for ``machine_max_feedrate_x``); of a comma list the first
    value is that of the normal mode.

    Parameters
    ----------
    slicer
        Its settings.
    known
        Whether a printer is named: then its own limits hold, and those that the file's commands
        set. What a slicer only reckons with never reaches the machine.
    """
    if known or slicer.get("machine_limits_usage") == "ignore":
        return LimitSettings()

    def first(key: str) -> float | None:
        value = text.number(slicer.get(f"machine_{key}", "").split(",")[0].strip())
        return value if value and value > 0 else None

    def axes(quantity: str) -> tuple[float | None, ...]:
        return tuple(first(f"max_{quantity}_{axis.lower()}") for axis in AXES)

    return LimitSettings(
        max_velocity=tuple(a or b for a, b in zip(axes("feedrate"), axes("speed"), strict=True)),
        max_acceleration=axes("acceleration"),
        jerk=axes("jerk"),
        print_acceleration=first("max_acceleration_extruding"),
        travel_acceleration=first("max_acceleration_travel"),
        retract_acceleration=first("max_acceleration_retracting"),
        min_print_velocity=first("min_extruding_rate"),
        min_travel_velocity=first("min_travel_rate"),
        junction_deviation=first("max_junction_deviation"),
    )
