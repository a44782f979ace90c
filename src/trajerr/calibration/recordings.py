"""Accelerometer files as Klipper writes them, and their power spectra as Klipper takes them.

Two kinds: raw data (``TEST_RESONANCES … OUTPUT=raw_data``: ``#time,accel_x,accel_y,accel_z``
in s and mm/s²) and spectra (``SHAPER_CALIBRATE``: ``freq,psd_x,psd_y,psd_z,psd_xyz``, then what
Klipper, its forks and their versions add). What Klipper's ``calibrate_shaper.py`` takes is taken:
comments and blank lines anywhere, raw data without a header, uneven times (:mod:`.clocks`).
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import welch

from trajerr.arrays import Floats
from trajerr.calibration.clocks import UNEVEN, Timing, measure_timing
from trajerr.errors import DataError
from trajerr.recordings.accelerometer import LARGEST_MM_S2, require_felt
from trajerr.recordings.klipper_csv import RAW, read_header, read_table

PROCESSED = ("freq", "psd_x", "psd_y", "psd_z")
WINDOW_S = 0.5  # Klipper's WINDOW_T_SEC, then up to the next power of two samples
KAISER_BETA = 6.0  # of Klipper's window
LOW_HZ = 10.0  # below it Klipper suppresses noise: twice its MIN_FREQ
HIGH_HZ = 200.0  # Klipper's MAX_FREQ, that its spectra end at
LARGEST_DENSITY = LARGEST_MM_S2**2  # of all power within a hertz
SLOWEST_HZ = 400.0  # sample rate; below it 135 Hz and its surroundings are not resolved


@dataclass(frozen=True)
class PowerSpectrum:
    """One-sided power spectral densities of an accelerometer's three axes."""

    frequency: Floats  # (F,) Hz, from 0 in equal steps
    density: Floats  # (F, 3) (mm/s²)²/Hz
    segments: int | None = None  # averaged; None where a file does not say
    timing: Timing | None = None  # of the samples; None where a file does not say
    clock: str | None = None  # that uneven samples were resampled by: sensor or file

    @property
    def step(self) -> float:
        """Distance of two bins, Hz."""
        return float(self.frequency[-1] - self.frequency[0]) / (len(self.frequency) - 1)

    @property
    def normalised(self) -> Floats:
        """(F,) sum over the axes per Hz of frequency, as Klipper's recommendation reads it."""
        total: Floats = self.density.sum(axis=1) * _to_klipper(self.frequency)
        return total


def read_spectrum(path: Path) -> PowerSpectrum:
    """Read either kind of file and return its spectrum.

    Raises
    ------
    DataError
        The file is missing, not of either kind, holds no finite numbers, has uneven times, a
        low sample rate, or too few samples.
    """
    names, rows_from = read_header(path)
    if names[: len(RAW)] == RAW:
        return _raw(path, rows_from)
    if names[: len(PROCESSED)] == PROCESSED:
        return _processed(path, names, rows_from)
    if names[0] == PROCESSED[0]:
        raise DataError(
            f"{path}: holds sums over the axes, of several recordings ({','.join(names)[:60]!r}), "
            f"expected one recording's {','.join(PROCESSED)!r}; give its own file"
        )
    raise DataError(
        f"{path}: starts with {','.join(names)[:60]!r}, expected Klipper's "
        f"'#{','.join(RAW)}' or {','.join(PROCESSED)!r}"
    )


def klipper_spectrum(time: Floats, acceleration: Floats) -> PowerSpectrum:
    """Average periodograms as Klipper's ``shaper_calibrate.py`` does (commit 034cb67).

    Kaiser window, β = 6, of at least half a second and a power of two samples, half
    overlapping, each segment freed of its mean: Welch, IEEE Trans. Audio Electroacoustics
    15:70, 1967.

    Parameters
    ----------
    time : (N,)
        s.
    acceleration : (N, 3)
        mm/s².
    """
    rate = len(time) / float(time[-1] - time[0])
    length = 1 << int(rate * WINDOW_S - 1.0).bit_length()
    window: Any = np.kaiser(length, KAISER_BETA)  # symmetric, as Klipper's; not in SciPy's stubs
    frequency, density = welch(
        acceleration,
        rate,
        window=window,
        noverlap=length // 2,
        detrend="constant",
        axis=0,
    )
    segments = (len(time) - length // 2) // (length // 2)
    return PowerSpectrum(frequency, np.asarray(density, np.float64), segments)


def _raw(path: Path, rows_from: int) -> PowerSpectrum:
    table = read_table(path, range(len(RAW)), rows_from)
    require_felt(table[:, 1:], str(path))
    timing = measure_timing(table[:, 0], path)
    rate = timing.rate_hz
    if rate < SLOWEST_HZ:
        raise DataError(
            f"{path}: {rate:.0f} samples a second, expected {SLOWEST_HZ:.0f} or more "
            "(an ADXL345 gives 3200)"
        )
    if len(table) / rate < 4.0 * WINDOW_S:
        raise DataError(f"{path}: {len(table) / rate:.2f} s, expected a whole resonance test")
    return recorded_spectrum(timing, table[:, 1:])


def recorded_spectrum(timing: Timing, acceleration: Floats) -> PowerSpectrum:
    """Return the spectrum of samples at even times, or of what they become there.

    Parameters
    ----------
    timing
        Of N samples.
    acceleration : (N, 3)
        mm/s².
    """
    if timing.even:
        return replace(klipper_spectrum(timing.time, acceleration), timing=timing)
    spectra = {
        name: klipper_spectrum(*timing.resampled(acceleration, clock))
        for name, clock in timing.clocks().items()
    }
    quieter = min(spectra, key=lambda name: _loudness(spectra[name]))
    return replace(spectra[quieter], timing=timing, clock=quieter)


def _loudness(spectrum: PowerSpectrum) -> float:
    """Return the mean logarithm of the density over the frequencies that are analysed."""
    analysed = (spectrum.frequency >= LOW_HZ) & (spectrum.frequency <= HIGH_HZ)
    total = spectrum.density[analysed].sum(axis=1)
    return float(np.log(np.maximum(total, 1e-300)).mean())


def require_even(time: Floats, path: Path) -> float:
    """Return the rate of evenly spaced times, Hz.

    Raises
    ------
    DataError
        A step differs from the median step by more than half of it.
    """
    steps = np.diff(time)
    median = float(np.median(steps)) if len(steps) else 0.0
    if median <= 0.0:
        raise DataError(f"{path}: time does not increase")
    bad = np.flatnonzero(np.abs(steps - median) > UNEVEN * median)
    if len(bad):
        raise DataError(
            f"{path}: times are not uniform: {steps[bad[0]]:.6g} s between rows {bad[0] + 1} and "
            f"{bad[0] + 2} of the data, {median:.6g} s elsewhere"
        )
    return len(steps) / float(time[-1] - time[0])


def _processed(path: Path, names: tuple[str, ...], rows_from: int) -> PowerSpectrum:
    table = read_table(path, range(len(PROCESSED)), rows_from)
    frequency, density = table[:, 0], table[:, 1:]
    require_even(frequency, path)
    if not (np.abs(density) <= LARGEST_DENSITY).all():
        raise DataError(f"{path}: holds densities beyond {LARGEST_DENSITY:g}, expected Klipper's")
    if len(frequency) < 16 or frequency[0] < 0.0:
        raise DataError(f"{path}: {len(frequency)} frequencies, expected 16 or more from 0 Hz")
    if any("(" in name or name == "shapers:" for name in names):  # normalised where shapers follow
        density = density / _to_klipper(frequency)[:, None]
    return PowerSpectrum(frequency, density)


def _to_klipper(frequency: Floats) -> Floats:
    """Return the factor by which Klipper relates a density to the frequency of excitation."""
    shifted = frequency + 0.1
    quiet = np.exp((1.0 - (LOW_HZ / shifted) ** 2) * (frequency < LOW_HZ))
    factor: Floats = np.maximum(quiet, 1e-300) / shifted
    return factor
