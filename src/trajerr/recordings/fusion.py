"""The tracking error that a sensor and a simulated printer show together.

Twice integrated, the difference of felt and commanded acceleration is the tracking error, but its
noise grows with the fourth power of the period: above a crossover frequency it is trusted, below
it the simulated printer is. With H a high-pass of sixth order and zero phase,

    error = e + H (x_felt − x_expected) + (1 − H) late · v,      H = f⁶ / (f⁶ + f_c⁶)

where e is the simulated error, and ``late`` a delay of each axis that the printer does not have,
found where the sensor is good: a delay's error lies mostly below the crossover. What of it both
axes share is one with the clock's offset.

The crossover is where what the sensor's noise adds above it and what the printer is likely to be
off below it are least together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import csd, spectrogram, welch

from trajerr.arrays import Floats
from trajerr.errors import DataError
from trajerr.recordings.alignment import Aligned
from trajerr.recordings.signals import (
    band_pass,
    filtered,
    inverse,
    low_pass,
    second_derivative,
    transform,
)

ORDER = 6
HIGHEST_HZ = 150.0  # above it an acceleration of 1 m/s² is an error of a micrometre
DELAY_BAND_HZ = (5.0, 25.0)  # where sensors are good and axes follow
CROSSOVERS_HZ = np.arange(3.0, 20.25, 0.5)
COHERENCE_BAND_HZ = (5.0, 40.0)
LEAST_COHERENCE = 0.3  # mean over the band; below it the recording adds noise
SEGMENT_S = 4.0  # of the spectra
# Quantile over segments; of exponentially distributed periodograms it is -ln(1 - q) of the mean.
QUIETER = 0.2


@dataclass(frozen=True)
class Crossover:
    """Where one axis' sensor takes over from its simulation, and why there."""

    frequency_hz: float
    sensor_mm: float  # RMS that the sensor's noise adds above it
    printer_mm: float  # RMS that the printer is likely to be off below it

    @property
    def reason(self) -> str:
        """One line for a report."""
        return (
            f"{self.frequency_hz:.1f} Hz: above it the sensor's noise adds "
            f"{1e3 * self.sensor_mm:.1f} µm RMS, below it the printer is off by some "
            f"{1e3 * self.printer_mm:.1f} µm, together the least"
        )


@dataclass(frozen=True)
class Fused:
    """Errors on a plan's clock; M samples."""

    sample_rate: float  # Hz
    time_s: Floats  # (M,)
    commanded: Floats  # (M, 2) mm
    error: Floats  # (M, 2) mm, actual − commanded
    below: Floats  # (M, 2) mm, the part that the printer and the delay tell
    above: Floats  # (M, 2) mm, the part that the sensor adds
    measured: NDArray[np.bool_]  # (M, 2)
    late_s: Mapping[str, float]  # by axis: delay that the printer does not have
    crossover: Mapping[str, Crossover]
    frequency: Floats  # (F,) Hz
    coherence: Floats  # (F, 2) of felt and expected acceleration
    doubt: Floats  # (M, 2) mm, difference of both parts in the octave above the crossover

    def uncertainty(self, rows: slice) -> Floats:
        """Return (2,) the estimated RMS of the error's own error over some samples, mm.

        The sensor's part is the recording's; the printer's is what the sensor says against it
        in those samples in the octave above the crossover, taken to be as wide below it.
        """
        sensor = np.array([self.crossover[axis].sensor_mm for axis in "xy"])
        rms: Floats = np.sqrt(sensor**2 + np.mean(self.doubt[rows] ** 2, axis=0))
        return rms

    def to_dict(self) -> dict[str, Any]:
        """Return what a report says."""
        whole = self.uncertainty(slice(None))
        return {
            axis: {
                "crossover_hz": self.crossover[axis].frequency_hz,
                "reason": self.crossover[axis].reason,
                "late_s": self.late_s[axis],
                "error_rms_um": 1e3 * float(np.sqrt(np.mean(self.error[:, i] ** 2))),
                "uncertainty_um": 1e3 * float(whole[i]),
            }
            for i, axis in enumerate("xy")
        }


def fuse(aligned: Aligned) -> Fused:
    """Return the errors over what was measured.

    Raises
    ------
    DataError
        The felt acceleration does not cohere with the expected one.
    """
    rate, span = aligned.sample_rate, aligned.span
    expected = second_derivative(aligned.expected, rate, aligned.passed_hz)[span]
    measured, commanded = aligned.measured[span], aligned.commanded[span]
    felt = _bridged(aligned.acceleration[span] - expected, measured) + expected
    frequency, coherence, noise = _spectra(felt, expected, rate)
    _require_coherent(frequency, coherence, aligned)
    apart = _integrated(felt - expected, rate)
    speed = np.gradient(commanded, 1.0 / rate, axis=0)
    late = [_delay(apart[i], speed[:, i], rate) for i in range(2)]
    below, above, doubt, crossover = [], [], [], {}
    for i, axis in enumerate("xy"):
        told = -late[i] * speed[:, i]
        told_spectrum = transform(told[:, None], rate)[0][:, 0]
        left = apart[i].spectrum - told_spectrum
        chosen = _choose(apart[i].frequency, left, frequency, noise[:, i], len(told), rate)
        gain = _high_pass(apart[i].frequency, chosen.frequency_hz)
        gain *= low_pass(apart[i].frequency, HIGHEST_HZ)
        above.append(_signal(left * gain, len(told), rate))
        below.append((aligned.expected - aligned.commanded)[span, i] + told)
        octave = band_pass(apart[i].frequency, chosen.frequency_hz, 2.0 * chosen.frequency_hz)
        doubt.append(_signal(left * octave, len(told), rate))
        crossover[axis] = chosen
    return Fused(
        sample_rate=rate,
        time_s=aligned.time_s[span],
        commanded=commanded,
        error=np.column_stack(below) + np.column_stack(above),
        below=np.column_stack(below),
        above=np.column_stack(above),
        measured=measured,
        late_s=dict(zip("xy", late, strict=True)),
        crossover=crossover,
        frequency=frequency,
        coherence=coherence,
        doubt=np.column_stack(doubt),
    )


@dataclass(frozen=True)
class _Apart:
    """One axis' difference of felt and expected position, as a spectrum."""

    frequency: Floats  # (F,) Hz
    spectrum: NDArray[np.complex128]  # (F,) mm; nothing at 0 Hz


def _integrated(difference: Floats, rate: float) -> list[_Apart]:
    """Return both axes' twice integrated acceleration."""
    spectrum, frequency = transform(difference, rate)
    gain = np.zeros_like(frequency)
    gain[1:] = -1.0 / (2.0 * np.pi * frequency[1:]) ** 2
    return [_Apart(frequency, column * gain) for column in spectrum.T]


def _signal(spectrum: NDArray[np.complex128], count: int, rate: float) -> Floats:
    signal: Floats = inverse(spectrum[:, None], count, rate)[:, 0]
    return signal


def _high_pass(frequency: Floats, crossover_hz: float) -> Floats:
    ratio = np.maximum(frequency, 1e-9) / crossover_hz
    gain: Floats = 1.0 / (1.0 + ratio**-ORDER)
    return gain


def _bridged(values: Floats, measured: NDArray[np.bool_]) -> Floats:
    """Return values with straight lines where nothing was measured."""
    index, filled = np.arange(len(values)), values.copy()
    for i in range(2):
        there = measured[:, i]
        filled[~there, i] = np.interp(index[~there], index[there], values[there, i])
    return filled


def _spectra(felt: Floats, expected: Floats, rate: float) -> tuple[Floats, Floats, Floats]:
    """Return (F,) Hz, (F, 2) coherence, and the sensors' (F, 2) density of noise, (mm/s²)²/Hz.

    What a machine does beyond its simulation comes and goes with its motion, a sensor's noise
    does not: it is taken from the quieter fifth of the segments, and never above the incoherent
    part of all.
    """
    length = min(round(SEGMENT_S * rate), len(felt) // 4)
    frequency, own = welch(felt, rate, nperseg=length, axis=0)
    _, plan = welch(expected, rate, nperseg=length, axis=0)
    _, cross = csd(felt, expected, rate, nperseg=length, axis=0)
    coherence = np.abs(cross) ** 2 / np.maximum(own * plan, 1e-300)
    _, _, short = spectrogram(felt - expected, rate, nperseg=length, noverlap=length // 2, axis=0)
    floor = np.quantile(short, QUIETER, axis=-1) / -np.log(1.0 - QUIETER)
    return (
        np.asarray(frequency, np.float64),
        np.asarray(coherence, np.float64),
        np.asarray(np.minimum((1.0 - coherence) * own, floor), np.float64),
    )


def _require_coherent(frequency: Floats, coherence: Floats, aligned: Aligned) -> None:
    band = (frequency >= COHERENCE_BAND_HZ[0]) & (frequency <= COHERENCE_BAND_HZ[1])
    for axis, mean in zip("xy", coherence[band].mean(axis=0), strict=True):
        if mean < LEAST_COHERENCE:
            raise DataError(
                f"{aligned.mounts[axis].sensor}: along {axis} its coherence with the plan is "
                f"{mean:.2f} on average from {COHERENCE_BAND_HZ[0]:g} to {COHERENCE_BAND_HZ[1]:g} "
                f"Hz, expected at least {LEAST_COHERENCE:g}; it would add noise to the errors"
            )


def _delay(apart: _Apart, speed: Floats, rate: float) -> float:
    """Return by how much, s, an axis is later than the printer says, by least squares."""
    gain = band_pass(apart.frequency, *DELAY_BAND_HZ)
    left = _signal(apart.spectrum * gain, len(speed), rate)
    moved = filtered(speed[:, None], rate, *DELAY_BAND_HZ)[:, 0]
    return -float(moved @ left) / float(moved @ moved)


def _choose(
    frequency: Floats,
    left: NDArray[np.complex128],
    bins: Floats,
    noise: Floats,
    count: int,
    rate: float,
) -> Crossover:
    """Return the crossover at which both parts are off the least.

    Parameters
    ----------
    frequency, left : (F,)
        Hz; spectrum of the position by which sensor and printer differ, mm.
    bins, noise : (B,)
        Hz; density of the sensor's noise, (mm/s²)²/Hz.
    count, rate
        Samples, and how many a second.
    """
    step = bins[1] - bins[0]
    position = noise[1:] / (2.0 * np.pi * bins[1:]) ** 4
    position *= low_pass(bins[1:], HIGHEST_HZ)
    tried = []
    for crossover in CROSSOVERS_HZ.tolist():
        gain = _high_pass(bins[1:], crossover)
        sensor = float(np.sum(gain**2 * position) * step)
        octave = _signal(left * band_pass(frequency, crossover, 2.0 * crossover), count, rate)
        printer = float(np.mean(octave**2))
        tried.append((sensor + printer, crossover, sensor, printer))
    _, crossover, sensor, printer = min(tried)
    return Crossover(crossover, sensor**0.5, printer**0.5)
