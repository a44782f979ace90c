"""Uniform signals in the frequency domain: bands, derivatives, and uneven samples made even.

All filters have zero phase. A signal is taken as at rest before and after its samples.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.interpolate import CubicSpline

from trajerr.arrays import Floats
from trajerr.recordings.accelerometer import LOST_STEP, Recording

EVEN_HZ = 1000.0  # that recordings are kept at
PASSED_HZ = 300.0  # up to which they are kept; what vibrates above would fold
EDGE_OCTAVES = 0.5  # over which a band begins and ends
PAD_S = 2.0  # of rest, so that the end does not reach the beginning
# Below 5 ms a ring of 100 Hz goes through half a period: a cubic bridges it to some percent.
LONGEST_BRIDGED_S = 0.002


def low_pass(frequency: Floats, edge_hz: float) -> Floats:
    """Return the (F,) gain that is ½ at an edge and falls as cos² over half an octave."""
    above = np.log2(np.maximum(frequency, 1e-12) / edge_hz) / EDGE_OCTAVES + 0.5
    gain: Floats = np.cos(0.5 * np.pi * np.clip(above, 0.0, 1.0)) ** 2
    return gain


def band_pass(frequency: Floats, low_hz: float, high_hz: float) -> Floats:
    """Return the (F,) gain of a band."""
    return (1.0 - low_pass(frequency, low_hz)) * low_pass(frequency, high_hz)


def filtered(values: Floats, rate: float, low_hz: float | None, high_hz: float) -> Floats:
    """Return (N, C) values within a band, Hz; from 0 Hz on without a lower edge."""
    spectrum, frequency = transform(values, rate)
    gain = low_pass(frequency, high_hz)
    if low_hz is not None:
        gain = band_pass(frequency, low_hz, high_hz)
    return inverse(spectrum * gain[:, None], len(values), rate)


def second_derivative(position: Floats, rate: float, high_hz: float) -> Floats:
    """Return the (N, C) second derivative of positions up to a frequency.

    The straight line from the first position to the last has none; without it a motion between
    two rests begins and ends at zero.
    """
    line = np.linspace(position[0], position[-1], len(position))
    spectrum, frequency = transform(position - line, rate)
    gain = -((2.0 * np.pi * frequency) ** 2) * low_pass(frequency, high_hz)
    return inverse(spectrum * gain[:, None], len(position), rate)


def transform(values: Floats, rate: float) -> tuple[NDArray[np.complex128], Floats]:
    """Return the (F, C) spectrum of values with rest after them, and its (F,) frequencies, Hz."""
    count = next_fast_len(len(values) + round(PAD_S * rate), real=True)
    return rfft(values, count, axis=0), rfftfreq(count, 1.0 / rate)


def inverse(spectrum: NDArray[np.complex128], count: int, rate: float) -> Floats:
    """Return (N, C) values of a spectrum that :func:`transform` gave for ``count`` of them."""
    whole = next_fast_len(count + round(PAD_S * rate), real=True)
    values: Floats = irfft(spectrum, whole, axis=0)[:count]
    return values


@dataclass(frozen=True)
class EvenSamples:
    """A recording at even times of its own clock, freed of its mean; M samples."""

    start_s: float  # of the first, on the sensor's clock
    values: Floats  # (M, 3) mm/s² up to PASSED_HZ
    measured: NDArray[np.bool_]  # (M,) False where samples are lost for too long to bridge
    mean: Floats  # (3,) mm/s²
    name: str

    @property
    def end_s(self) -> float:
        """Time of the last sample on the sensor's clock, s."""
        return self.start_s + (len(self.values) - 1) / EVEN_HZ

    def at(self, times: Floats) -> Floats:
        """Return the (K, 3) values at times of the sensor's clock; zero outside."""
        inside = (times >= self.start_s) & (times <= self.end_s)
        own = self.start_s + np.arange(len(self.values)) / EVEN_HZ
        found = np.zeros((len(times), 3))
        if inside.any():
            found[inside] = CubicSpline(own, self.values)(times[inside])
        return found

    def measured_at(self, times: Floats) -> NDArray[np.bool_]:
        """Return whether there are samples at (K,) times of the sensor's clock."""
        place = (times - self.start_s) * EVEN_HZ
        inside = (place >= 0.0) & (place <= len(self.values) - 1)
        near = np.clip(place, 0.0, len(self.values) - 1.0)
        low, high = np.floor(near).astype(np.intp), np.ceil(near).astype(np.intp)
        return np.asarray(inside & self.measured[low] & self.measured[high])


def even_samples(recording: Recording) -> EvenSamples:
    """Resample a recording at :data:`EVEN_HZ`, without what vibrates above :data:`PASSED_HZ`.

    Single lost samples are bridged by straight lines; between samples a cubic spline keeps what
    vibrates at up to a third of the sensor's rate from folding.
    """
    times, values = _filled(recording)
    mean = recording.acceleration_mm_s2.mean(axis=0)
    finer = max(1, int(np.ceil(recording.rate_hz / EVEN_HZ)))
    count = int((times[-1] - times[0]) * EVEN_HZ) + 1
    grid = times[0] + np.arange((count - 1) * finer + 1) / (finer * EVEN_HZ)
    fine = CubicSpline(times, values - mean)(grid)
    kept = filtered(fine, finer * EVEN_HZ, None, PASSED_HZ)[::finer]
    return EvenSamples(float(times[0]), kept, ~_lost(recording, count), mean, recording.name)


def _filled(recording: Recording) -> tuple[Floats, Floats]:
    """Return times and values with straight lines where samples are lost."""
    place = np.concatenate([[0], np.cumsum(1 + recording.lost)])
    every = np.arange(place[-1] + 1)
    times = np.interp(every, place, recording.time_s)
    columns = [np.interp(every, place, column) for column in recording.acceleration_mm_s2.T]
    return times, np.column_stack(columns)


def _lost(recording: Recording, count: int) -> NDArray[np.bool_]:
    """Return at which of ``count`` even times too many samples are lost."""
    steps, lost = np.diff(recording.time_s), np.zeros(count, np.bool_)
    longest = max(LONGEST_BRIDGED_S, LOST_STEP * recording.step_s)
    begin = recording.time_s[:-1] - recording.time_s[0]
    for index in np.flatnonzero(steps > longest):
        first = int(np.floor(begin[index] * EVEN_HZ))
        last = int(np.ceil((begin[index] + steps[index]) * EVEN_HZ))
        lost[first : last + 1] = True
    return lost
