"""Spectra of a recorded print in segments: what follows the command, and in which band.

Commanded and felt acceleration are compared in overlapping segments under Hann's window, bin by
bin. Samples that were lost count in neither.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from trajerr.arrays import Floats
from trajerr.errors import DataError

Spectra = NDArray[np.complex128]

SEGMENT_S = 4.096
LEAST_MEASURED = 0.8  # share of a segment's samples
FEWEST_SEGMENTS = 12
SEARCHED_HZ = (2.0, 150.0)  # a print moves no axis beyond, an accelerometer tells little below
COHERENT = 0.2  # of the power, in bins that are fitted
SMOOTHED_HZ = 2.0  # over which coherence is averaged to choose a band
NARROWEST_OCTAVES = 1.5


@dataclass(frozen=True)
class Segments:
    """How a recorded print is cut: S segments of ``length`` samples, B bins of each."""

    sample_rate: float  # Hz
    length: int
    starts: NDArray[np.intp]  # (S,)
    measured: NDArray[np.bool_]  # (M,) of the axis
    bins: NDArray[np.intp]  # (B,)

    @property
    def frequency(self) -> Floats:
        """(B,) Hz."""
        return np.asarray(self.bins * (self.sample_rate / self.length), dtype=np.float64)

    @property
    def density_scale(self) -> float:
        """Power of a bin times this is a one-sided density, per Hz."""
        return 2.0 / (self.sample_rate * float(np.sum(np.hanning(self.length) ** 2)))

    def spectra(self, values: Floats) -> Spectra:
        """Return the (S, B) spectra of (M,) values at the plan's samples."""
        window, known = np.hanning(self.length), np.where(self.measured, values, 0.0)
        rows = [known[start : start + self.length] * window for start in self.starts]
        return np.asarray(np.fft.rfft(rows, axis=1)[:, self.bins])

    def of_position(self, position: Floats) -> Spectra:
        """Return the (S, B) spectra of the acceleration of (M,) positions, mm.

        By second differences, whose gain against ω² is known: ``(sin(πfh)/(πfh))²``.
        """
        second = np.zeros_like(position)
        second[1:-1] = np.diff(position, 2) * self.sample_rate**2
        gain = np.sinc(self.frequency / self.sample_rate) ** 2
        return self.spectra(second) / gain

    def within(self, low_hz: float, high_hz: float) -> "Segments":
        """Return the same segments with the bins of a band."""
        chosen = self.bins[(self.frequency >= low_hz) & (self.frequency <= high_hz)]
        return Segments(self.sample_rate, self.length, self.starts, self.measured, chosen)


def cut(
    measured: NDArray[np.bool_], moving: NDArray[np.bool_], rate: float, where: str
) -> Segments:
    """Cut a print into segments, half overlapping, in which the axis moves.

    Parameters
    ----------
    measured : (M,)
        Where the sensor has samples.
    moving : (M,)
        Where the command accelerates.
    rate
        Hz.
    where
        For messages.

    Raises
    ------
    DataError
        Too few segments are left.
    """
    length = round(SEGMENT_S * rate)
    starts = np.arange(0, len(measured) - length + 1, length // 2)
    kept = [
        start
        for start in starts
        if measured[start : start + length].mean() >= LEAST_MEASURED
        and moving[start : start + length].any()
    ]
    if len(kept) < FEWEST_SEGMENTS:
        seconds = 0.5 * SEGMENT_S * len(kept)
        raise DataError(
            f"{where}: moves and is recorded for {seconds:.0f} s, expected "
            f"{0.5 * SEGMENT_S * FEWEST_SEGMENTS:.0f} s or more"
        )
    step = rate / length
    bins = np.arange(math.ceil(SEARCHED_HZ[0] / step), int(SEARCHED_HZ[1] / step) + 1)
    return Segments(rate, length, np.array(kept, dtype=np.intp), measured, bins)


def coherence(first: Spectra, second: Spectra) -> Floats:
    """Return the (B,) share of power that is linear in each other, 0 to 1, of (S, B) spectra."""
    cross = np.abs(np.sum(np.conj(first) * second, axis=0)) ** 2
    powers = np.sum(np.abs(first) ** 2, axis=0) * np.sum(np.abs(second) ** 2, axis=0)
    shares: Floats = cross / np.maximum(powers, np.finfo(np.float64).tiny)
    return shares


def coherent_band(frequency: Floats, shares: Floats, where: str) -> tuple[float, float]:
    """Return the widest band, Hz, over which coherence, smoothed, is above a bound.

    Raises
    ------
    DataError
        There is none that is wide enough to tell a resonance.
    """
    step = float(frequency[1] - frequency[0])
    smooth = uniform_filter1d(shares, max(1, round(SMOOTHED_HZ / step)))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], smooth >= COHERENT, [False]])))
    bands = [(a, b - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    widths = [math.log2(frequency[b] / frequency[a]) for a, b in bands]
    if not bands or max(widths) < NARROWEST_OCTAVES:
        said = "in no band" if not bands else f"over {max(widths):.1f} octaves"
        raise DataError(
            f"{where}: the sensor follows the command {said} (coherence {COHERENT:g} or more; "
            f"highest {smooth.max():.2f}), expected {NARROWEST_OCTAVES:g} octaves or more"
        )
    low, high = bands[int(np.argmax(widths))]
    return float(frequency[low]), float(frequency[high])
