"""What a print's sensor would feel of an axis: the plant, and how the sensor sees it.

The axis is simulated; where the sensor sits adds a gain, a time and a share of the other axis,
which a recording does not tell apart from scale, clock and mounting.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import CubicSpline

from trajerr.arrays import Floats
from trajerr.calibration.print_spectra import Segments, Spectra
from trajerr.dynamics.axis import AxisParameters
from trajerr.dynamics.plant import simulate
from trajerr.dynamics.printer import Printer
from trajerr.dynamics.second_mode import LARGEST_SHARE, SecondMode
from trajerr.motion.trajectory import Trajectory

FINER = 4  # steps of the plant a sample of the recording
MOTORS = ("ripple", "quantisation", "belt")  # effects that a fit takes from the base printer
FIRST = ("natural_freq_hz", "damping_ratio", "drag_share", "friction_mm_s2")
SECOND = ("second_frequency_hz", "second_damping_ratio", "second_mass_share")
SENSOR = ("time_s", "gain", "leak")
LOGARITHMIC = frozenset(("natural_freq_hz", "damping_ratio", "second_frequency_hz"))
LOWEST = {"natural_freq_hz": 5.0, "damping_ratio": 0.003, "drag_share": 0.0, "friction_mm_s2": 0.0}
LOWEST |= {"second_frequency_hz": 10.0, "second_damping_ratio": 0.0, "second_mass_share": 0.005}
LOWEST |= {"time_s": -0.05, "gain": 0.3, "leak": -0.5}
HIGHEST = {"natural_freq_hz": 150.0, "damping_ratio": 0.9, "drag_share": 1.0}
HIGHEST |= {"friction_mm_s2": 2e4, "second_frequency_hz": 250.0, "second_damping_ratio": 0.5}
HIGHEST |= {"second_mass_share": LARGEST_SHARE, "time_s": 0.05, "gain": 3.0, "leak": 0.5}
STEPS = {"drag_share": 0.02, "friction_mm_s2": 20.0, "second_damping_ratio": 2e-3}
STEPS |= {"second_mass_share": 2e-3}
LOG_STEP = 1e-3
SCALES = {"natural_freq_hz": 0.05, "damping_ratio": 0.3, "drag_share": 0.3, "friction_mm_s2": 300.0}
SCALES |= {"second_frequency_hz": 0.05, "second_damping_ratio": 0.03, "second_mass_share": 0.05}
SCALES |= {"time_s": 1e-3, "gain": 0.05, "leak": 0.05}

Values = dict[str, float]


def axis_of(values: Values, base: AxisParameters) -> AxisParameters:
    """Return the axis that values describe, with the mass of ``base`` and without delay."""
    omega = 2.0 * math.pi * values["natural_freq_hz"]
    damping = 2.0 * values["damping_ratio"] * omega * base.mass_kg
    second = None
    if SECOND[0] in values:
        second = SecondMode(*(values[name] for name in SECOND))
    return replace(
        base,
        stiffness_n_per_m=base.mass_kg * omega**2,
        damping_n_s_per_m=damping * (1.0 - values["drag_share"]),
        viscous_n_s_per_m=damping * values["drag_share"],
        coulomb_n=base.mass_kg * values["friction_mm_s2"] / 1000.0,
        delay_s=0.0,
        second_mode=second,
    )


def values_of(axis: AxisParameters, *, friction: bool) -> Values:
    """Return the values of :data:`FIRST` that describe an axis."""
    both = axis.damping_n_s_per_m + axis.viscous_n_s_per_m
    return {
        "natural_freq_hz": axis.natural_freq_hz,
        "damping_ratio": max(axis.damping_ratio, LOWEST["damping_ratio"]),
        "drag_share": axis.viscous_n_s_per_m / both if both else 0.0,
        "friction_mm_s2": 1000.0 * axis.coulomb_n / axis.mass_kg if friction else 0.0,
    }


@dataclass(frozen=True)
class AxisModel:
    """One axis under the command of a print."""

    base: Printer
    axis: str  # "x" or "y"
    command: Floats  # (K,) mm, as motors are told, FINER times finer than the recording
    rate: float  # Hz, of the command
    segments: Segments
    other: Spectra  # (S, B) what the other axis was told, mm/s²

    @property
    def own(self) -> AxisParameters:
        """The base printer's axis."""
        found: AxisParameters = getattr(self.base, self.axis)
        return found

    def motions(self, axes: Sequence[AxisParameters]) -> list[Floats]:
        """Return where each of some axes goes, (M,) mm; the plant takes two at a time."""
        found: list[Floats] = []
        path = Trajectory.of_positions(np.column_stack([self.command] * 2), self.rate)
        for index in range(0, len(axes), 2):
            pair = axes[index], axes[min(index + 1, len(axes) - 1)]
            xy = simulate(self._machine(*pair), path, seed=0).xy[::FINER]
            found += [xy[:, 0], xy[:, 1]][: len(axes) - index]
        return found

    def _machine(self, first: AxisParameters, second: AxisParameters) -> Printer:
        motors = [e for e in MOTORS if self.base.has(e) and self.base.kinematics == "cartesian"]
        return replace(
            self.base,
            x=first,
            y=second,
            kinematics="cartesian",
            belt_imbalance=0.0,
            effects=("friction", *motors),
            shaper=None,
        )

    def felt(self, plain: Spectra, values: Values) -> Spectra:
        """Return what the sensor shows, (S, B) mm/s², of an axis' own acceleration."""
        late = np.exp(-2j * np.pi * self.segments.frequency * values["time_s"])
        seen: Spectra = values["gain"] * plain * late + values["leak"] * self.other
        return seen

    def predict(self, values: Values) -> Spectra:
        """Return what the sensor shows of the axis that values describe, (S, B) mm/s²."""
        (motion,) = self.motions([axis_of(values, self.own)])
        return self.felt(self.segments.of_position(motion), values)

    def derivatives(self, values: Values, names: Sequence[str]) -> list[Spectra]:
        """Return what the prediction gains per unit of each value (or of its logarithm)."""
        moving = [name for name in names if name not in SENSOR]
        changed = [stepped(values, name) for name in moving]
        axes = [axis_of(v, self.own) for v in (values, *(v for v, _ in changed))]
        plain, *others = (self.segments.of_position(motion) for motion in self.motions(axes))
        late = self.felt(plain, values | {"leak": 0.0})
        slopes = {
            "time_s": -2j * np.pi * self.segments.frequency * late,
            "gain": late / values["gain"],
            "leak": self.other,
        }
        for name, spectra, (_, step) in zip(moving, others, changed, strict=True):
            slopes[name] = self.felt((spectra - plain) / step, values | {"leak": 0.0})
        return [slopes[name] for name in names]


def stepped(values: Values, name: str) -> tuple[Values, float]:
    """Return values with one moved, away from its nearer bound, and by how much."""
    if name in LOGARITHMIC:
        return values | {name: values[name] * math.exp(LOG_STEP)}, LOG_STEP
    step = STEPS[name] if values[name] + STEPS[name] <= HIGHEST[name] else -STEPS[name]
    return values | {name: values[name] + step}, step


def told(base: Printer, commanded: Floats, rate: float) -> Floats:
    """Return what motors are told, (K, 2) mm, FINER times finer: a cubic through the samples.

    Straight lines would take 3 % off what a corner excites at a tenth of the sample rate.
    """
    known = np.arange(len(commanded))
    fine = np.arange((len(commanded) - 1) * FINER + 1) / FINER
    path: Floats = CubicSpline(known, commanded)(fine)
    return path if base.shaper is None else base.shaper.shape(path, FINER * rate)
