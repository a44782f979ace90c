"""Accelerometer files as Klipper writes them, and their power spectra as Klipper takes them.

Two kinds: raw data (``TEST_RESONANCES … OUTPUT=raw_data``: ``#time,accel_x,accel_y,accel_z``
in s and mm/s²) and spectra (``SHAPER_CALIBRATE``: ``freq,psd_x,psd_y,psd_z,psd_xyz``).
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import welch

from trajerr.errors import DataError

Floats = NDArray[np.float64]

RAW = ("#time", "accel_x", "accel_y", "accel_z")
PROCESSED = ("freq", "psd_x", "psd_y", "psd_z")
WINDOW_S = 0.5  # Klipper's WINDOW_T_SEC, then up to the next power of two samples
KAISER_BETA = 6.0  # of Klipper's window
LOW_HZ = 10.0  # below it Klipper suppresses noise: twice its MIN_FREQ
SLOWEST_HZ = 400.0  # sample rate; below it 135 Hz and its surroundings are not resolved
UNEVEN = 0.5  # of the median step, how far a step may be off


@dataclass(frozen=True)
class PowerSpectrum:
    """One-sided power spectral densities of an accelerometer's three axes."""

    frequency: Floats  # (F,) Hz, from 0 in equal steps
    density: Floats  # (F, 3) (mm/s²)²/Hz
    segments: int | None = None  # averaged; None where a file does not say

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
    names = _header(path)
    if names[: len(RAW)] == RAW:
        return klipper_spectrum(*_raw(path))
    if names[: len(PROCESSED)] == PROCESSED:
        return _processed(path, names)
    raise DataError(
        f"{path}: starts with {','.join(names)[:60]!r}, expected Klipper's "
        f"{','.join(RAW)!r} or {','.join(PROCESSED)!r}"
    )


def klipper_spectrum(time: Floats, acceleration: Floats) -> PowerSpectrum:
    """Average periodograms as Klipper's ``shaper_calibrate.py`` does (commit 034cb67).

    Kaiser window, β = 6, of at least half a second and a power of two samples, half
    overlapping, each segment freed of its mean: Welch, IEEE Trans. Audio Electroacoustics
    15:70, 1967.

    Parameters
    ----------
    time
        (N,) s.
    acceleration
        (N, 3) mm/s².
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


def _header(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        with path.open(encoding="utf-8-sig") as file:
            line = next((line for line in file if line.strip()), "")
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a text file, expected Klipper's CSV") from None
    if not line:
        raise DataError(f"{path}: is empty, expected Klipper's accelerometer CSV")
    return tuple(cell.strip() for cell in line.split(","))


def _table(path: Path, columns: int) -> Floats:
    """Return the first columns of the rows below the header, all finite."""
    try:
        with path.open(encoding="utf-8-sig") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "contained no data": worded below
            next(line for line in file if line.strip())
            table = np.loadtxt(file, delimiter=",", usecols=range(columns), ndmin=2)
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {_plain(error)}") from error
    if not len(table):
        raise DataError(f"{path}: has no rows of data")
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if len(bad):
        raise DataError(f"{path}: row {bad[0] + 1} of the data holds NaN or infinity")
    return np.asarray(table, np.float64)


def _plain(error: Exception) -> str:
    """Return what NumPy says about a cell, without its advice on its own arguments."""
    return str(error).split("; use")[0].rstrip(".")


def _raw(path: Path) -> tuple[Floats, Floats]:
    table = _table(path, len(RAW))
    time = table[:, 0]
    rate = require_even(time, path)
    if rate < SLOWEST_HZ:
        raise DataError(
            f"{path}: {rate:.0f} samples a second, expected {SLOWEST_HZ:.0f} or more "
            "(an ADXL345 gives 3200)"
        )
    if len(time) / rate < 4.0 * WINDOW_S:
        raise DataError(f"{path}: {len(time) / rate:.2f} s, expected a whole resonance test")
    return time, table[:, 1:]


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


def _processed(path: Path, names: tuple[str, ...]) -> PowerSpectrum:
    table = _table(path, len(PROCESSED))
    frequency, density = table[:, 0], table[:, 1:]
    require_even(frequency, path)
    if len(frequency) < 16 or frequency[0] < 0.0:
        raise DataError(f"{path}: {len(frequency)} frequencies, expected 16 or more from 0 Hz")
    if any(name.startswith("mzv(") for name in names):  # Klipper's own sign of a normalised file
        density = density / _to_klipper(frequency)[:, None]
    return PowerSpectrum(frequency, density)


def _to_klipper(frequency: Floats) -> Floats:
    """Return the factor by which Klipper relates a density to the frequency of excitation."""
    shifted = frequency + 0.1
    quiet = np.exp((1.0 - (LOW_HZ / shifted) ** 2) * (frequency < LOW_HZ))
    factor: Floats = np.maximum(quiet, 1e-300) / shifted
    return factor
