"""A printer as one value: its axes, its limits, its temperatures, and which effects act.

Knows how a printer is put together and checked. Does not know how it moves.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, fields, is_dataclass, replace
from typing import Any, Self, TypeVar

from trajerr.checks import is_number, require, require_number, require_numbers, require_one_of
from trajerr.dynamics.axis import AxisParameters
from trajerr.dynamics.input_shaper import InputShaper
from trajerr.dynamics.thermal import ThermalParameters
from trajerr.errors import ConfigError
from trajerr.gcode.program import Program
from trajerr.motion.bed import Bed, from_corner
from trajerr.motion.limits import MachineLimits

KINEMATICS = ("cartesian", "corexy")
T = TypeVar("T")

EFFECTS: tuple[str, ...] = ("belt", "friction", "ripple", "quantisation", "jitter")
# What makes a printer's motion; the rest names it, bounds it or says where it stands.
OF_MOTION = ("kinematics", "x", "y", "effects", "belt_imbalance", "shaper", "recordings")
# Of an axis: keys of which nothing is said where they do not act.
NEUTRAL = {"delay_s": 0.0, "viscous_n_s_per_m": 0.0, "second_mode": None}
DIGEST = re.compile(r"[0-9a-f]{64}")
SHORT = 12  # hexadecimal digits of an identity


@dataclass(frozen=True)
class Printer:
    """A printer.

    On a ``corexy`` machine two belts pull on both axes: ripple, microsteps, jitter and the
    belts' spans belong to the motor coordinates A = x + y and B = x − y, for which the motor
    and belt keys of ``x`` and ``y`` stand. Masses, friction and the stiffness and damping
    that the carriage feels stay those of x and y. An input shaper shapes x and y of the tool
    head on any machine.

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
    # Printers in bundles and layer files of earlier versions lack some of these; what stands
    # here is what held then.
    bed_origin_mm: Sequence[float] | None = None  # x, y of that corner in G-code; None: by file
    shaper: InputShaper | None = None  # of its firmware; plain containers are read as one
    recordings: Sequence[str] = ()  # SHA-256s of the files that it was calibrated from
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
        self._check_recordings()
        object.__setattr__(self, "shaper", InputShaper.read(self.shaper))
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

    def _check_recordings(self) -> None:
        given, wanted = self.recordings, "a list of SHA-256s, each of 64 hexadecimal digits"
        listed = isinstance(given, Sequence) and not isinstance(given, str)
        good = listed and all(isinstance(one, str) and DIGEST.fullmatch(one) for one in given)
        _require("recordings", given, good, wanted)
        object.__setattr__(self, "recordings", tuple(sorted(set(given))))

    @property
    def identity(self) -> str:
        """A short digest of what makes its motion, the same in every version that knows it.

        Kinematics, axes, effects, belts, shaper, and the recordings that it was calibrated from;
        neither name nor limits, bed or temperatures.
        """
        text = json.dumps(self.motion(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:SHORT]

    def motion(self) -> dict[str, Any]:
        """Return what makes its motion, by key; what has its neutral value is left out."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name in OF_MOTION}
        stated: dict[str, Any] = _stated(plain)
        return {key: value for key, value in stated.items() if value not in (None, 0.0, [])}

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
        """Return plain containers that JSON holds and :meth:`from_dict` reads.

        An axis' delay, viscous friction and second mode stand there only where they act, so
        that a printer without them reads the same in data of any version.
        """
        plain: dict[str, Any] = _plain(asdict(self))
        for axis in ("x", "y"):
            acting = {key: value for key, value in plain[axis].items() if _acts(key, value)}
            plain[axis] = acting
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


def _acts(key: str, value: object) -> bool:
    return key not in NEUTRAL or value != NEUTRAL[key]


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


def _stated(value: Any) -> Any:  # noqa: ANN401 - whatever a printer holds
    """Return plain containers that are equal where values are; defaults of parts are left out."""
    if isinstance(value, Mapping):
        return {key: _stated(item) for key, item in value.items()}
    if is_dataclass(value):
        chosen = {f.name: getattr(value, f.name) for f in fields(value)}
        told = {f.name: chosen[f.name] for f in fields(value) if chosen[f.name] != f.default}
        return _stated(told)
    if isinstance(value, tuple | list):
        return [_stated(item) for item in value]
    return float(value) if is_number(value) else value


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
