"""Input shapers as firmware applies them to the commanded trajectory: today's remedy.

A shaper replaces the command by a weighted sum of delayed copies of it, chosen so that the
ringing that each copy excites cancels. The tables are Klipper's (``klippy/extras/shaper_defs.py``).
Formulas: Singer and Seering, ASME JDSMC 112:76 (1990) for ZV and ZVD, where damping enters
through powers of ``K = exp(−ζπ/√(1−ζ²))``; MZV is Klipper's own. EI and its multi-hump forms
(Singhose, Seering and Singer, ASME JMD 116:654, 1994) have closed forms without damping only;
firmware takes the curves that Singhose, Porter, Tuttle and Singer (ASME JDSMC 119:320, 1997)
fitted to the damped solutions. Knows impulses and arrays; no printer.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.polynomial import polyval
from numpy.typing import ArrayLike

from trajerr.arrays import Floats
from trajerr.checks import require


@dataclass(frozen=True)
class Shaper:
    """Impulses; amplitudes add up to 1 and the mean delay ΣA·T is 0."""

    name: str
    amplitudes: Floats  # (n,)
    times: Floats  # (n,) s

    @property
    def reach(self) -> float:
        """How far it looks before and behind an instant, s."""
        return float(np.max(np.abs(self.times)))


Impulses = tuple[Floats, Floats]  # (n,) weights, and times in undamped periods
Rows = tuple[tuple[float, ...], ...]


def _decaying(weights: ArrayLike, periods: ArrayLike, damping: float) -> Impulses:
    """Return impulses at damped periods, whose weights decay as ringing does."""
    stretch = math.sqrt(1.0 - damping**2)
    damped = np.asarray(periods, dtype=np.float64) / stretch
    return np.asarray(weights) * np.exp(-2.0 * np.pi * damping * damped), damped


def _zv(damping: float) -> Impulses:
    return _decaying([1.0, 1.0], [0.0, 0.5], damping)


def _mzv(damping: float) -> Impulses:
    side = 1.0 - 1.0 / math.sqrt(2.0)
    return _decaying([side, math.sqrt(2.0) - 1.0, side], [0.0, 0.375, 0.75], damping)


def _zvd(damping: float) -> Impulses:
    return _decaying([1.0, 2.0, 1.0], [0.0, 0.5, 1.0], damping)


@dataclass(frozen=True)
class _Curves:
    """Polynomials in the damping ratio, lowest power first, one row an impulse."""

    amplitudes: Rows
    times: Rows  # in periods
    damped: bool  # whether those periods are the damped mode's

    def __call__(self, damping: float) -> Impulses:
        stretch = math.sqrt(1.0 - damping**2) if self.damped else 1.0
        weights, periods = (
            np.array([polyval(damping, row) for row in rows])
            for rows in (self.amplitudes, self.times)
        )
        return weights, periods / stretch


# All for a tolerance of 5 %.
_EI = _Curves(
    (
        (0.2621605, 0.861744, 0.654648),
        (0.4756125, -0.099993, -1.261411),
        (0.262227, -0.761751, 0.606763),
    ),
    ((0.0,), (0.4999, 0.044525575, -0.0585255, 0.930273), (1.0,)),
    damped=True,
)
_TWO_HUMP_EI = _Curves(
    (
        (0.16054, 0.76699, 2.2656, -1.2275),
        (0.33911, 0.45081, -2.5808, 1.7365),
        (0.34089, -0.61533, -0.68765, 0.42261),
        (0.15997, -0.60246, 1.0028, -0.93145),
    ),
    (
        (0.0,),
        (0.4989, 0.1627, -0.54262, 6.1618),
        (0.99748, 0.18382, -1.5827, 8.1712),
        (1.4992, -0.09297, -0.28338, 1.8571),
    ),
    damped=False,
)
_THREE_HUMP_EI = _Curves(
    (
        (0.11275, 0.76632, 3.2916, -1.4438),
        (0.23698, 0.61164, -2.5785, 4.8522),
        (0.30008, -0.19062, -2.1456, 0.13744),
        (0.23775, -0.73297, 0.46885, -2.0865),
        (0.11244, -0.45439, 0.96382, -1.46),
    ),
    (
        (0.0,),
        (0.49974, 0.23834, 0.44559, 12.472),
        (0.99849, 0.29808, -2.3646, 23.399),
        (1.4987, 0.10306, -2.0139, 17.032),
        (1.9996, -0.28231, 0.61536, 5.4045),
    ),
    damped=False,
)
_IMPULSES: dict[str, Callable[[float], Impulses]] = {
    "zv": _zv,
    "mzv": _mzv,
    "zvd": _zvd,
    "ei": _EI,
    "2hump_ei": _TWO_HUMP_EI,
    "3hump_ei": _THREE_HUMP_EI,
}
SHAPERS: tuple[str, ...] = tuple(_IMPULSES)


def shaper(name: str, frequency: float, damping: float) -> Shaper:
    """Return a shaper tuned to one mode, its mean delay taken out, as Klipper does.

    Parameters
    ----------
    name
        One of :data:`SHAPERS`; case and a leading "2hei" or "3hei" spelling do not matter.
    frequency
        Undamped natural frequency, Hz.
    damping
        Damping ratio; the curves of the EI forms were fitted up to 0.2.

    Raises
    ------
    ConfigError
        If there is no such shaper, or the mode is out of range.
    """
    key = name.lower().replace("hei", "hump_ei")
    require("shaper", name, key in _IMPULSES, f"one of {', '.join(SHAPERS)}")
    require(f"frequency of shaper {name}", frequency, 0.0 < frequency < math.inf, "above 0 Hz")
    holds = 0.0 <= damping < 1.0
    require(f"damping ratio of shaper {name}", damping, holds, "from 0 to below 1")
    weights, periods = _IMPULSES[key](damping)
    amplitudes, times = weights / weights.sum(), periods / frequency
    return Shaper(key, amplitudes, times - amplitudes @ times)


def residual(shaper: Shaper, frequency: ArrayLike, damping: float) -> Floats:
    """Return the share of ringing that a shaper leaves in modes (Singer and Seering 1990).

    Parameters
    ----------
    shaper
        Its impulses.
    frequency
        Undamped natural frequencies, Hz, of any shape: the result's.
    damping
        Their damping ratio.
    """
    omega = 2.0 * np.pi * np.asarray(frequency, dtype=np.float64)[..., np.newaxis]
    delays = shaper.times - shaper.times[-1]
    decay = np.exp(damping * omega * delays)
    phase = omega * math.sqrt(1.0 - damping**2) * delays
    return np.asarray(np.abs(np.sum(shaper.amplitudes * decay * np.exp(1j * phase), axis=-1)))


def apply(shaper: Shaper, values: Floats, sample_rate: float) -> Floats:
    """Return the shaped command of one axis; before and after it the command rests.

    Parameters
    ----------
    shaper
        Its impulses.
    values : (N,)
        mm.
    sample_rate
        Hz; delays fall between samples, where the command runs straight.

    Returns
    -------
    Floats : (N,)
        mm.
    """
    index = np.arange(len(values), dtype=np.float64)
    shaped = np.zeros(len(values))
    for amplitude, time in zip(shaper.amplitudes, shaper.times, strict=True):
        shaped += amplitude * np.interp(index - time * sample_rate, index, values)
    return shaped
