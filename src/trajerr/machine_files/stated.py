"""What a machine's own file has stated, word by word: what was understood, and what was not."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from trajerr.dynamics.axis import AxisParameters
from trajerr.dynamics.input_shaper import InputShaper
from trajerr.dynamics.printer import Printer
from trajerr.errors import DataError
from trajerr.motion.limits import MachineLimits

NEEDED = (  # of a machine whose firmware the base does not run
    "max_velocity_mm_s",
    "max_acceleration_mm_s2",
    "print_acceleration_mm_s2",
    "travel_acceleration_mm_s2",
)
STEPS_A_CYCLE = 4  # full steps in a stepper motor's electrical cycle


@dataclass(frozen=True)
class Word:
    """One setting of a file."""

    place: str  # section, or line
    name: str
    value: str

    @property
    def said(self) -> str:
        """The word in one line."""
        return f"{self.place} {self.name}: {' '.join(self.value.split())}"


@dataclass
class Stated:
    """What a machine's file has said; filled while it is read."""

    limits: dict[str, Any] = field(default_factory=dict)  # by field of MachineLimits
    kinematics: str | None = None
    bed_mm: tuple[float, float, float] | None = None
    bed_origin_mm: tuple[float, float] | None = None
    shaper: InputShaper | None = None
    knows_shaper: bool = False  # whether the file settles what shaper there is, none included
    microstep_mm: dict[str, float] = field(default_factory=dict)  # by "x" and "y"
    full_step_mm: dict[str, float] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)  # dotted key of the config → words
    notes: list[str] = field(default_factory=list)  # what a person should know
    beside: list[Word] = field(default_factory=list)  # understood; a printer's config has no place
    not_understood: list[Word] = field(default_factory=list)

    def applied(self, base: Printer, name: str, source: str) -> Printer:
        """Return the base printer with what the file states in the place of its own.

        The pulleys keep their distances from the bed's edges.

        Parameters
        ----------
        base
            Gives all that the file does not state.
        name
            Of the new printer.
        source
            Where the values come from.

        Raises
        ------
        ConfigError
            If a stated value is out of range.
        DataError
            If the file leaves out a limit that the base has of another kind of firmware.
        """
        kinematics, bed = self.kinematics or base.kinematics, self.bed_mm or tuple(base.bed_mm)
        if kinematics != base.kinematics:
            raise DataError(
                f"kinematics: the file has {kinematics}, the printer {base.name} "
                f"{base.kinematics}; expected printer=NAME of a {kinematics} machine"
            )
        return replace(
            base,
            name=name,
            source=source,
            kinematics=kinematics,
            recordings=(),
            bed_mm=bed,
            bed_origin_mm=self.bed_origin_mm or base.bed_origin_mm,
            shaper=self.shaper if self.knows_shaper else base.shaper,
            limits=self._limits(base.limits),
            x=self._axis("x", base.x, base, bed),
            y=self._axis("y", base.y, base, bed),
        )

    def _limits(self, base: MachineLimits) -> MachineLimits:
        firmware = self.limits.get("firmware", base.firmware)
        same = firmware.partition("_")[0] == base.firmware.partition("_")[0]
        if same:
            return replace(base, **self.limits)
        for key in NEEDED:
            if key not in self.limits:
                raise DataError(
                    f"{key}: the file states none, and {base.firmware}'s cannot stand for "
                    f"{firmware}'s; expected the whole file, or printer=NAME of such a machine"
                )
        return MachineLimits(**self.limits)

    def _axis(
        self, axis: str, old: AxisParameters, base: Printer, bed: Sequence[float]
    ) -> AxisParameters:
        before = _travel(axis, base.kinematics, base.bed_mm)
        after = _travel(axis, base.kinematics, bed)
        changes: dict[str, Any] = {
            "belt_start_mm": old.belt_start_mm + after[0] - before[0],
            "belt_end_mm": old.belt_end_mm + after[1] - before[1],
        }
        if axis in self.microstep_mm:
            changes["microstep_mm"] = self.microstep_mm[axis]
        step = self.full_step_mm.get(axis)
        if step is not None and _is_of_steps(old.ripple_periods_mm):
            changes["ripple_periods_mm"] = (step, STEPS_A_CYCLE * step)
        return replace(old, **changes)

    def comments(self, base: Printer) -> Mapping[str, str]:
        """Return what to say of keys of the config, by dotted key."""
        moved = f"as far beyond the bed as {base.name}'s"
        belts = {f"{axis}.belt_{end}_mm": moved for axis in ("x", "y") for end in ("start", "end")}
        return {**(belts if self.bed_mm else {}), **self.sources}


def _travel(axis: str, kinematics: str, bed: Sequence[float]) -> tuple[float, float]:
    """Return between which coordinates an axis, or a CoreXY's motor, moves over a bed, mm."""
    x, y = bed[:2]
    if kinematics == "corexy":
        return (0.0, x + y) if axis == "x" else (-y, x)
    return (0.0, x if axis == "x" else y)


def _is_of_steps(periods: Sequence[float]) -> bool:
    """Whether ripple is that of full steps and of electrical cycles."""
    return len(periods) == 2 and math.isclose(periods[1], STEPS_A_CYCLE * periods[0])
