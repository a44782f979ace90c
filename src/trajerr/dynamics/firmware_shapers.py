"""Input shapers as Klipper's firmware makes them for a damped mode.

ZV and MZV are those of :mod:`trajerr.dynamics.shapers`. Its EI forms are exact without
damping and take it in as powers of K; firmware uses the curves that Singhose, Porter, Tuttle
and Singer (ASME JDSMC 119:320, 1997) fitted to the exact damped solutions. At a damping of
0.1 the two differ by up to 0.06 in an amplitude, enough to change a recommendation.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.polynomial import polyval

from trajerr.dynamics.shapers import Shaper, shaper

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class _Curves:
    """Polynomials in the damping ratio, lowest power first, one row an impulse."""

    amplitudes: Rows
    times: Rows  # in periods
    damped: bool  # whether those periods are the damped mode's


# All for a tolerance of 5 %.
_CURVES = {
    "ei": _Curves(
        (
            (0.2621605, 0.861744, 0.654648),
            (0.4756125, -0.099993, -1.261411),
            (0.262227, -0.761751, 0.606763),
        ),
        ((0.0,), (0.4999, 0.044525575, -0.0585255, 0.930273), (1.0,)),
        damped=True,
    ),
    "2hump_ei": _Curves(
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
    ),
    "3hump_ei": _Curves(
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
    ),
}


def firmware_shaper(name: str, frequency: float, damping: float) -> Shaper:
    """Return a shaper tuned to one mode, its mean delay taken out.

    Parameters
    ----------
    name
        zv, mzv, ei, 2hump_ei or 3hump_ei.
    frequency
        Hz.
    damping
        Damping ratio, to 0.2.
    """
    if name not in _CURVES:
        return shaper(name, frequency, damping)
    curves = _CURVES[name]
    amplitudes = np.array([polyval(damping, row) for row in curves.amplitudes])
    amplitudes /= amplitudes.sum()
    stretch = math.sqrt(1.0 - damping**2) if curves.damped else 1.0
    times = np.array([polyval(damping, row) for row in curves.times]) / (frequency * stretch)
    return Shaper(name, amplitudes, times - amplitudes @ times)
