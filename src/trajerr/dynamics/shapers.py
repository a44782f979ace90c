"""Input shapers as firmware applies them to the commanded trajectory: today's remedy.

A shaper replaces the command by a weighted sum of delayed copies of it, chosen so that the
ringing that each copy excites cancels. Formulas: Singer and Seering, ASME JDSMC 112:76 (1990)
for ZV and ZVD; Singhose, Seering and Singer, ASME JMD 116:654 (1994) and Singhose, Porter and
Singer (1995) for EI and its multi-hump forms; the weights of MZV are Klipper's. Damping enters
through powers of ``K = exp(−ζπ/√(1−ζ²))``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trajerr.arrays import Floats
from trajerr.checks import require
from trajerr.dynamics.axis import AxisParameters
from trajerr.dynamics.printer import Printer
from trajerr.motion.trajectory import Trajectory

TOLERANCE = 0.05  # ringing that EI shapers allow, as firmware sets it


@dataclass(frozen=True)
class Shaper:
    """Impulses; amplitudes add up to 1 and the mean delay ΣA·T is 0."""

    name: str
    amplitudes: Floats  # (n,)
    times: Floats  # (n,) s


Impulses = tuple[list[float], list[float]]  # weights before damping, times in periods


def _zv() -> Impulses:
    return [1.0, 1.0], [0.0, 0.5]


def _zvd() -> Impulses:
    return [1.0, 2.0, 1.0], [0.0, 0.5, 1.0]


def _mzv() -> Impulses:
    side = 1.0 - 1.0 / math.sqrt(2.0)
    return [side, math.sqrt(2.0) - 1.0, side], [0.0, 0.375, 0.75]


def _ei() -> Impulses:
    side = 0.25 * (1.0 + TOLERANCE)
    return [side, 0.5 * (1.0 - TOLERANCE), side], [0.0, 0.5, 1.0]


def _two_hump_ei() -> Impulses:
    square = TOLERANCE**2
    x = (square * (math.sqrt(1.0 - square) + 1.0)) ** (1.0 / 3.0)
    outer = (3.0 * x**2 + 2.0 * x + 3.0 * square) / (16.0 * x)
    return [outer, 0.5 - outer, 0.5 - outer, outer], [0.0, 0.5, 1.0, 1.5]


def _three_hump_ei() -> Impulses:
    v = TOLERANCE
    outer = 0.0625 * (1.0 + 3.0 * v + 2.0 * math.sqrt(2.0 * (v + 1.0) * v))
    inner = 0.25 * (1.0 - v)
    return [outer, inner, 0.5 * (1.0 + v) - 2.0 * outer, inner, outer], [0.0, 0.5, 1.0, 1.5, 2.0]


_IMPULSES: dict[str, Callable[[], Impulses]] = {
    "zv": _zv,
    "mzv": _mzv,
    "zvd": _zvd,
    "ei": _ei,
    "2hump_ei": _two_hump_ei,
    "3hump_ei": _three_hump_ei,
}
SHAPERS: tuple[str, ...] = tuple(_IMPULSES)


def shaper(name: str, frequency: float, damping: float) -> Shaper:
    """Return a shaper tuned to one mode.

    Parameters
    ----------
    name
        One of :data:`SHAPERS`; case and a leading "2hei" or "3hei" spelling do not matter.
    frequency
        Undamped natural frequency, Hz.
    damping
        Damping ratio.

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
    weights, periods = (np.array(values) for values in _IMPULSES[key]())
    stretch = math.sqrt(1.0 - damping**2)
    amplitudes = weights * np.exp(-2.0 * np.pi * damping / stretch * periods)
    amplitudes /= amplitudes.sum()
    times = periods / (frequency * stretch)
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


def shape_trajectory(trajectory: Trajectory, printer: Printer, name: str) -> Trajectory:
    """Return the trajectory shaped for the printer's natural frequencies; "none" shapes nothing.

    Parameters
    ----------
    trajectory
        Finely sampled.
    printer
        The printer that firmware believes to drive.
    name
        One of :data:`SHAPERS` or "none".
    """
    if name.lower() == "none":
        return trajectory
    shaped = [
        apply(_tuned(name, axis), trajectory.position[:, column], trajectory.sample_rate)
        for column, axis in enumerate((printer.x, printer.y))
    ]
    return trajectory.with_xy(np.column_stack(shaped))


def reach(printer: Printer, name: str) -> float:
    """Return how far, s, a printer's shaper looks before and behind an instant."""
    return max(float(np.max(np.abs(_tuned(name, axis).times))) for axis in (printer.x, printer.y))


def _tuned(name: str, axis: AxisParameters) -> Shaper:
    return shaper(name, axis.natural_freq_hz, axis.damping_ratio)
