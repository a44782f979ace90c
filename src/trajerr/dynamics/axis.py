"""One axis as a mass on a belt: its equation, and the exact discretisation of its linear part.

Knows the parameters of an axis and everything that is linear. Does not know friction's
integration (:mod:`trajerr.dynamics.plant`) nor a whole printer.

The linear part of ``m ẍ = k (r − x) + c (ṙ − ẋ) − d ẋ`` with ``e = x − r`` reads
``m ë + (c + d) ė + k e = −m r̈ − d ṙ``. With a second mode the nozzle sits on the tool, which
hangs on the carriage: :mod:`trajerr.dynamics.second_mode`.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from trajerr.arrays import Floats
from trajerr.checks import require, require_number, require_numbers
from trajerr.dynamics.exponential import matrix_exponential
from trajerr.dynamics.second_mode import SecondMode

LONGEST_DELAY_S = 0.1


@dataclass(frozen=True)
class AxisParameters:
    """What one axis is made of.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    mass_kg: float
    stiffness_n_per_m: float  # at the middle of the belt's span
    damping_n_s_per_m: float
    _: KW_ONLY
    # What a machine's file leaves out does not act: its neutral value stands here.
    coulomb_n: float = 0.0  # Coulomb friction
    friction_velocity_mm_s: float  # v_s of the smooth sign tanh(v / v_s)
    belt_start_mm: float  # coordinate of one pulley
    belt_end_mm: float  # coordinate of the other
    belt_strength: float = 0.0  # share of the belt in the compliance: 0 constant, 1 belt alone
    ripple_amplitudes_mm: Sequence[float] = ()
    ripple_periods_mm: Sequence[float] = ()
    microstep_mm: float
    jitter_s: float = 0.0  # RMS timing error that each microstep adds
    jitter_memory_s: float  # time in which firmware makes up for timing errors
    delay_s: float = 0.0  # from command to motor
    viscous_n_s_per_m: float = 0.0  # viscous friction d against the ground
    second_mode: SecondMode | None = None  # plain containers are read as one

    def __post_init__(self) -> None:
        for f in fields(self):
            if not f.name.startswith("ripple") and f.name != "second_mode":
                require_number(f"printer axis {f.name}", getattr(self, f.name))
        for key in ("ripple_amplitudes_mm", "ripple_periods_mm"):
            values = getattr(self, key)
            require_numbers(f"printer axis {key}", values)
            object.__setattr__(self, key, tuple(float(v) for v in values))
        object.__setattr__(self, "second_mode", SecondMode.read(self.second_mode))
        positive = (
            "mass_kg",
            "stiffness_n_per_m",
            "friction_velocity_mm_s",
            "microstep_mm",
            "jitter_memory_s",
        )
        for key in positive:
            _require(key, getattr(self, key), 0.0 < getattr(self, key) < math.inf, "above 0")
        for key in ("damping_n_s_per_m", "viscous_n_s_per_m", "coulomb_n", "jitter_s"):
            _require(key, getattr(self, key), 0.0 <= getattr(self, key) < math.inf, "0 or more")
        wanted = f"0 to {LONGEST_DELAY_S:g} s"
        _require("delay_s", self.delay_s, 0.0 <= self.delay_s <= LONGEST_DELAY_S, wanted)
        both = self.damping_n_s_per_m + self.viscous_n_s_per_m
        key = "damping_n_s_per_m" + (" + viscous_n_s_per_m" if self.viscous_n_s_per_m else "")
        wanted = f"below critical damping, {self.critical_damping:.4g} N·s/m"
        _require(key, both, self.damping_ratio < 1.0, wanted)
        _require("belt_strength", self.belt_strength, 0.0 <= self.belt_strength <= 1.0, "0 to 1")
        _require(
            "belt_end_mm",
            self.belt_end_mm,
            self.belt_start_mm < self.belt_end_mm,
            f"more than belt_start_mm, {self.belt_start_mm:g}",
        )
        self._check_ripple()

    def _check_ripple(self) -> None:
        amplitudes, periods = self.ripple_amplitudes_mm, self.ripple_periods_mm
        same = len(amplitudes) == len(periods)
        _require("ripple_periods_mm", list(periods), same, "one for each of ripple_amplitudes_mm")
        good = all(0.0 <= a < 1.0 for a in amplitudes)
        _require("ripple_amplitudes_mm", list(amplitudes), good, "0 or more and below 1 mm each")
        good = all(0.0 < p < math.inf for p in periods)
        _require("ripple_periods_mm", list(periods), good, "above 0 each")

    @property
    def natural_frequency(self) -> float:
        """Undamped natural frequency ω_n = √(k/m), rad/s."""
        return math.sqrt(self.stiffness_n_per_m / self.mass_kg)

    @property
    def natural_freq_hz(self) -> float:
        """Undamped natural frequency, Hz."""
        return self.natural_frequency / (2.0 * math.pi)

    @property
    def critical_damping(self) -> float:
        """Damping 2√(k m) above which the axis no longer rings, N·s/m."""
        return 2.0 * math.sqrt(self.stiffness_n_per_m * self.mass_kg)

    @property
    def damping_ratio(self) -> float:
        """Damping ratio of free motion, ζ = (c + d) / (2√(k m))."""
        return (self.damping_n_s_per_m + self.viscous_n_s_per_m) / self.critical_damping

    @property
    def plain(self) -> bool:
        """Whether neither delay nor viscous friction nor a second mode acts."""
        return self.delay_s == 0.0 == self.viscous_n_s_per_m and self.second_mode is None

    @property
    def settling_time(self) -> float:
        """Time in which ringing decays to 2 %, 4/(ζ ω_n), s; infinite without damping."""
        decay = self.damping_ratio * self.natural_frequency
        return 4.0 / decay if decay > 0.0 else math.inf

    def scaled(self, stiffness: float) -> Self:
        """Return the axis with its stiffness multiplied, its mount's too; N·s/m stay."""
        second = None if self.second_mode is None else self.second_mode.scaled(stiffness)
        changed = {"stiffness_n_per_m": self.stiffness_n_per_m * stiffness, "second_mode": second}
        return type(self)(**{**vars(self), **changed})


def _require(key: str, value: object, holds: bool, expected: str) -> None:
    require(f"printer axis {key}", value, holds, expected)


@dataclass(frozen=True)
class Discretisation:
    """Exact solution of the linear axis over one step of length ``step``.

    The motor holds the belt at ``r + δ``. With ``w = ẋ − (c/m) δ``, which spares the derivative
    of δ, the state is ``z = (x, w)``. Over a step the command runs straight from r0 to r1
    (mm), while the motor's error δ (mm) and a further force f (mN) on the carriage hold their
    means: ``z1 = transition z0 + start r0 + end r1 + motor δ + force f``. With a second mode
    ``z = (x, w, x₂, ẋ₂)``, the tool's position and speed beside, and m the carriage's mass.
    """

    step: float  # s
    transition: Floats  # (S, S), S = 2, or 4 with a second mode
    start: Floats  # (S,)
    end: Floats  # (S,)
    motor: Floats  # (S,)
    force: Floats  # (S,) per mN


@functools.lru_cache(maxsize=64)
def discretise(axis: AxisParameters, step: float) -> Discretisation:
    """Solve the linear axis exactly over one step (Van Loan, IEEE TAC 23:395, 1978).

    Parameters
    ----------
    axis
        Parameters at the middle of the belt.
    step
        s.
    """
    system = _system(axis)
    size = len(system) - 4
    flow = matrix_exponential(system * step)
    flow.setflags(write=False)  # the result is shared by all who ask for it
    return Discretisation(
        step=step,
        transition=flow[:size, :size],
        start=flow[:size, size] - flow[:size, size + 1] / step,
        end=flow[:size, size + 1] / step,
        motor=flow[:size, size + 2],
        force=flow[:size, size + 3],
    )


def carriage_mass(axis: AxisParameters) -> float:
    """Return the mass, kg, that belt and friction act on directly."""
    if axis.second_mode is None:
        return axis.mass_kg
    return axis.mass_kg * (1.0 - axis.second_mode.mass_share)


def _system(axis: AxisParameters) -> Floats:
    """Return ż of the state z and, as inputs, r, its slope ṙ, the motor's error and a force."""
    mass, second = carriage_mass(axis), axis.second_mode
    spring, damper = axis.stiffness_n_per_m / mass, axis.damping_n_s_per_m / mass
    ground = axis.viscous_n_s_per_m / mass
    size = 2 if second is None else 4
    system = np.zeros((size + 4, size + 4))
    inputs = slice(size, size + 4)
    system[0, 1], system[0, size + 2] = 1.0, damper
    motor = spring - (damper**2 + damper * ground)
    system[1, :2], system[1, inputs] = (
        [-spring, -damper - ground],
        [spring, damper, motor, 1 / mass],
    )
    if second is not None:
        pull, drag = second.constants()  # over the tool's mass
        share = second.mass_share / (1.0 - second.mass_share)  # the tool's mass over the carriage's
        speed = np.array([0.0, 1.0, 0.0, -1.0, 0.0, 0.0, damper, 0.0])  # ẋ₁ − ẋ₂
        stretch = np.array([1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
        mount = pull * stretch + drag * speed
        system[1] -= share * mount
        system[2, 3], system[3] = 1.0, mount
    system[size, size + 1] = 1.0
    return system


@dataclass(frozen=True)
class Recurrence:
    """Exact recurrence of the sampled linear axis, driven by commanded position.

    ``e[k+1] + a1 e[k] + a2 e[k−1] = b (r[k+1] − 2 r[k] + r[k−1])``. With backward
    differences ``v[k] = (r[k] − r[k−1]) f_s`` the right side is ``b (v[k+1] − v[k]) / f_s``.
    """

    sample_rate: float  # Hz
    a1: float
    a2: float
    b: float

    def residual(self, error: Floats, commanded: Floats) -> Floats:
        """Return how far samples are from obeying the axis.

        Parameters
        ----------
        error, commanded : (N,)
            mm.

        Returns
        -------
        Floats
            (N−2,) mm.
        """
        drive = commanded[2:] - 2.0 * commanded[1:-1] + commanded[:-2]
        return error[2:] + self.a1 * error[1:-1] + self.a2 * error[:-2] - self.b * drive


def recurrence(
    axis: AxisParameters, sample_rate: float, *, hold: str = "acceleration"
) -> Recurrence:
    """Return the three-term recurrence of the axis at a data rate.

    Over two samples ``e[k+1] + a1 e[k] + a2 e[k−1] = −∫ K(s) r̈(t_k + s) ds``, where K is the
    exponential B-spline of the poles and the second difference of r is
    ``∫ (h − |s|) r̈(t_k + s) ds``. The coefficient b makes both agree for the chosen command.

    Parameters
    ----------
    axis
        Its linear parameters.
    sample_rate
        Hz.
    hold
        "acceleration": exact where r̈ is constant (∫K), the default, unbiased for a jump in
        velocity at a random instant; "linear": exact where r runs straight between samples,
        so that r̈ is impulses at samples (K(0)).

    Raises
    ------
    ValueError
        If ``hold`` is neither, or the axis has a delay, viscous friction or a second mode.
    """
    if not axis.plain:
        raise ValueError("axis: expected one without delay, viscous friction and second mode")
    step = 1.0 / sample_rate
    transition = discretise(axis, step).transition
    a1 = -float(np.trace(transition))
    a2 = float(np.linalg.det(transition))
    if hold == "acceleration":
        b = -(1.0 + a1 + a2) / (axis.natural_frequency * step) ** 2
    elif hold == "linear":
        b = -float(transition[0, 1]) / step
    else:
        raise ValueError(f"hold: got {hold!r}, expected 'acceleration' or 'linear'")
    return Recurrence(sample_rate=sample_rate, a1=a1, a2=a2, b=b)


def frequency_response(axis: AxisParameters, frequency: Floats) -> NDArray[np.complex128]:
    """Return actual over commanded, without friction, at s = 2πjf.

    ``(c s + k) e^{−s delay} / (m s² + (c + d) s + k)``; with a second mode
    ``N = (c₂ s + k₂) / (m₂ s² + c₂ s + k₂)`` stands behind it, and m is ``m₁ + m₂ N``.

    Parameters
    ----------
    axis
        Its linear parameters.
    frequency : (N,)
        Hz.

    Returns
    -------
    NDArray[np.complex128]
        (N,).
    """
    s = 2j * np.pi * frequency
    spring = axis.damping_n_s_per_m * s + axis.stiffness_n_per_m
    tool, mass = np.ones_like(s), np.full_like(s, axis.mass_kg)
    if axis.second_mode is not None:
        pull, drag = axis.second_mode.constants()
        tool = (drag * s + pull) / (s**2 + drag * s + pull)
        mass = carriage_mass(axis) + axis.mass_kg * axis.second_mode.mass_share * tool
    late = np.exp(-s * axis.delay_s)
    whole = mass * s**2 + axis.viscous_n_s_per_m * s + spring
    return np.asarray(late * tool * spring / whole)
