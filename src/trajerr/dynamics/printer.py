"""A printer as one value: its axes, its limits, its temperatures, and which effects act.

Knows how a printer is put together and checked. Does not know how it moves.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, fields, replace
from typing import Any, Self, TypeVar

from trajerr.checks import require, require_number, require_numbers, require_one_of
from trajerr.dynamics.axis import AxisParameters
from trajerr.dynamics.thermal import ThermalParameters
from trajerr.errors import ConfigError
from trajerr.gcode.program import Program
from trajerr.motion.bed import Bed, from_corner
from trajerr.motion.limits import MachineLimits

KINEMATICS = ("cartesian", "corexy")
T = TypeVar("T")

EFFECTS: tuple[str, ...] = ("belt", "friction", "ripple", "quantisation", "jitter")


@dataclass(frozen=True)
class Printer:
    """A printer.

    On a ``corexy`` machine two belts pull on both axes: ripple, microsteps, jitter and the
    belts' spans belong to the motor coordinates A = x + y and B = x − y, for which the motor
    and belt keys of ``x`` and ``y`` stand. Masses, friction and the stiffness and damping
    that the carriage feels stay those of x and y.

    Positions, such as the belts' pulleys, count from the bed's front left corner, whatever
    G-code calls that; :meth:`placed` brings a program there.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    name: str
    x: AxisParameters
    y: AxisParameters
    limits: MachineLimits
    bed_mm: Sequence[float]  # reach of x, y, z from the bed's front left corner
    thermal: ThermalParameters
    _: KW_ONLY
    # Printers in bundles and layer files of earlier versions lack it; None is what held then.
    bed_origin_mm: Sequence[float] | None = None  # x, y of that corner in G-code; None: by file
    kinematics: str
    belt_imbalance: float = 0.0  # corexy: belt A is stiffer by this share, belt B softer
    effects: Sequence[str]
    source: str = ""  # where the numbers come from

    def __post_init__(self) -> None:
        require_numbers("printer.bed_mm", self.bed_mm, "three sizes above 0: x, y, z")
        require_number("printer.belt_imbalance", self.belt_imbalance)
        object.__setattr__(self, "bed_mm", tuple(float(size) for size in self.bed_mm))
        chosen = set(_known(self.effects))
        object.__setattr__(self, "effects", tuple(e for e in EFFECTS if e in chosen))
        _require(
            "kinematics", self.kinematics, self.kinematics in KINEMATICS, " or ".join(KINEMATICS)
        )
        good = len(self.bed_mm) == 3 and all(size > 0.0 for size in self.bed_mm)
        _require("bed_mm", list(self.bed_mm), good, "three sizes above 0: x, y, z")
        self._check_origin()
        _require(
            "belt_imbalance", self.belt_imbalance, abs(self.belt_imbalance) <= 0.5, "-0.5 to 0.5"
        )
        if self.kinematics == "corexy":
            for key in ("stiffness_n_per_m", "damping_n_s_per_m"):
                both = (getattr(self.x, key), getattr(self.y, key))
                _require(f"y.{key}", both[1], both[0] == both[1], f"x's, {both[0]:g}, on a corexy")

    def _check_origin(self) -> None:
        origin, wanted = self.bed_origin_mm, "null or two finite numbers: x, y"
        if origin is None:
            return
        require_numbers("printer.bed_origin_mm", origin, wanted)
        good = len(origin) == 2 and all(map(math.isfinite, origin))
        _require("bed_origin_mm", list(origin), good, wanted)
        object.__setattr__(self, "bed_origin_mm", tuple(float(value) for value in origin))

    def bed(self, program: Program) -> Bed:
        """Return where the bed is in a program's coordinates."""
        return Bed.of(program.slicer, self.bed_mm, self.bed_origin_mm)

    def placed(self, program: Program) -> Program:
        """Return a program, read from a file, with positions from the bed's front left corner."""
        return from_corner(program, self.bed(program))

    def has(self, effect: str) -> bool:
        """Whether an effect of :data:`EFFECTS` acts."""
        return effect in self.effects

    def without(self, *effects: str) -> Self:
        """Return the printer with some of its :data:`EFFECTS` switched off.

        Raises
        ------
        ConfigError
            If there is no such effect.
        """
        off = _known(effects)
        return replace(self, effects=tuple(e for e in self.effects if e not in off))

    def only(self, *effects: str) -> Self:
        """Return the printer with no effect but these; none leaves the linear part alone."""
        return replace(self, effects=_known(effects))

    def with_stiffness_scale(self, scale: float) -> Self:
        """Return the printer with both stiffnesses multiplied; damping in N·s/m stays."""
        return replace(self, x=self.x.scaled(scale), y=self.y.scaled(scale))

    def to_dict(self) -> dict[str, Any]:
        """Return plain containers that JSON holds and :meth:`from_dict` reads."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build a printer from plain containers.

        Raises
        ------
        ConfigError
            If a key is unknown or missing, or a value is out of range.
        """
        plain = {key: value for key, value in values.items() if not key.startswith("_")}
        parts = {
            "x": AxisParameters,
            "y": AxisParameters,
            "limits": MachineLimits,
            "thermal": ThermalParameters,
        }
        for key, kind in parts.items():
            if key in plain:
                plain[key] = _build(kind, plain[key], f"printer.{key}")
        return _build(cls, plain, "printer")


def _known(effects: Iterable[str]) -> tuple[str, ...]:
    effects = tuple(effects)
    for effect in effects:
        require_one_of("printer.effects", effect, EFFECTS)
    return effects


def _require(key: str, value: object, holds: bool, expected: str) -> None:
    require(f"printer.{key}", value, holds, expected)


def _build(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    values = {key: value for key, value in values.items() if not key.startswith("_")}
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    for key in values:
        require(f"{where}.{key}", values[key], key in known, f"one of the keys {', '.join(known)}")
    try:
        return kind(**values)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from error


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
