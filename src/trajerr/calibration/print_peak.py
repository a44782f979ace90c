"""An axis' resonance from how strongly it was felt, where nothing tells its phase.

A slow print commands little near the natural frequency. What rings there was shaken by motors and
guides, at phases that no model knows; a fit of phases takes that for damping. Power needs no
phase: an axis that is shaken evenly is felt to accelerate, around its resonance, by the density

    S = a rᵖ / ((1 − r²)² + (2 ζ r)²) + b,    r = f / f₀

where p is how what shakes it grows with frequency, and b what else is felt: noise, other modes.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.optimize import least_squares

from trajerr.arrays import Floats
from trajerr.calibration.print_spectra import Spectra

NEAR = (0.65, 1.5)  # times a frequency, where its peak is sought
AROUND = (0.65, 1.45)  # times a peak's frequency, where its shape is fitted
SMOOTHED_BINS = 5
PROMINENT = 3.0  # times the least power on either side
DAMPING = (0.01, 0.25)  # of peaks that are taken for a resonance
START_DAMPING = (0.03, 0.1)
BLOCKS = 12  # of segments, left out one after the other


@dataclass(frozen=True)
class Peak:
    """A resonance that was felt."""

    natural_freq_hz: float
    damping_ratio: float
    replicates: dict[str, Floats]  # logarithms of both, one for each block of segments left out


def find_peak(frequency: Floats, felt: Spectra, near_hz: float) -> Peak | None:
    """Return the resonance near a frequency; None where no peak stands out.

    Parameters
    ----------
    frequency : (B,)
        Hz.
    felt : (S, B)
        Spectra of the acceleration in segments.
    near_hz
        About where it is.
    """
    power = np.abs(felt) ** 2
    mean = uniform_filter1d(power.mean(axis=0), SMOOTHED_BINS)
    top = _top(frequency, mean, near_hz)
    if top is None:
        return None
    inside = (frequency >= AROUND[0] * top) & (frequency <= AROUND[1] * top)
    own, shaken = frequency[inside], power[:, inside]
    found = _shape(own, shaken.mean(axis=0), top)
    if not DAMPING[0] < math.exp(found[1]) < DAMPING[1]:
        return None
    blocks = np.array_split(np.arange(len(shaken)), min(BLOCKS, len(shaken) // 2))
    without = [_shape(own, np.delete(shaken, block, axis=0).mean(axis=0), top) for block in blocks]
    each = np.array(without)
    replicates = {"natural_freq_hz": each[:, 0], "damping_ratio": each[:, 1]}
    return Peak(math.exp(found[0]), math.exp(found[1]), replicates)


def _top(frequency: Floats, power: Floats, near_hz: float) -> float | None:
    """Return the frequency of the strongest peak near another, if it stands out on both sides."""
    inside = np.flatnonzero((frequency >= NEAR[0] * near_hz) & (frequency <= NEAR[1] * near_hz))
    top = int(inside[np.argmax(power[inside])])
    low = power[(frequency >= AROUND[0] * frequency[top]) & (frequency < frequency[top])]
    high = power[(frequency > frequency[top]) & (frequency <= AROUND[1] * frequency[top])]
    stands_out = len(low) > 0 and len(high) > 0
    stands_out = stands_out and power[top] > PROMINENT * max(low.min(), high.min())
    return float(frequency[top]) if stands_out else None


def _shape(frequency: Floats, power: Floats, top: float) -> Floats:
    """Return (5,) ln f₀, ln ζ, ln a, p and ln b, by least squares of the power's logarithm."""
    told = np.log(uniform_filter1d(power, SMOOTHED_BINS))

    def residual(q: Floats) -> Floats:
        r = frequency / math.exp(q[0])
        peak = (1.0 - r**2) ** 2 + (2.0 * math.exp(q[1]) * r) ** 2
        return np.asarray(np.logaddexp(q[2] + q[3] * np.log(r) - np.log(peak), q[4]) - told)

    starts = [
        np.array(
            [math.log(top), math.log(z), told.max() + 2.0 * math.log(2.0 * z), 2.0, told.min()]
        )
        for z in START_DAMPING
    ]
    found = [least_squares(residual, start) for start in starts]
    shape: Floats = min(found, key=lambda search: float(search.cost)).x
    return shape
