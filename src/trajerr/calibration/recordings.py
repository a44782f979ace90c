"""Accelerometer files as Klipper writes them, and their power spectra as Klipper takes them.

Two kinds: raw data (``TEST_RESONANCES … OUTPUT=raw_data``: ``#time,accel_x,accel_y,accel_z``
in s and mm/s²) and spectra (``SHAPER_CALIBRATE``: ``freq,psd_x,psd_y,psd_z,psd_xyz``, then what
Klipper, its forks and their versions add). What Klipper's ``calibrate_shaper.py`` takes is taken:
comments and blank lines anywhere, raw data without a header, uneven times (:mod:`.clocks`).
"""

import gzip
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from scipy.signal import welch

from trajerr.arrays import Floats
from trajerr.calibration.clocks import UNEVEN, Timing, measure_timing
from trajerr.errors import DataError

RAW = ("time", "accel_x", "accel_y", "accel_z")
PROCESSED = ("freq", "psd_x", "psd_y", "psd_z")
WINDOW_S = 0.5  # Klipper's WINDOW_T_SEC, then up to the next power of two samples
KAISER_BETA = 6.0  # of Klipper's window
LOW_HZ = 10.0  # below it Klipper suppresses noise: twice its MIN_FREQ
HIGH_HZ = 200.0  # Klipper's MAX_FREQ, that its spectra end at
GZIP = b"\x1f\x8b"
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
    names, rows_from = _header(path)
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


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """Open a text file, packed by gzip or not; say in one line what cannot be read."""
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    with path.open("rb") as file:
        packed = file.read(len(GZIP)) == GZIP
    try:
        with (gzip.open if packed else open)(path, "rt", encoding="utf-8-sig") as text:
            yield text
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a text file, expected Klipper's CSV") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: the gzip archive is damaged: {error}; copy it again") from None


def _header(path: Path) -> tuple[tuple[str, ...], int]:
    """Return the columns' names, and how many lines stand before the rows of data.

    The last comment that begins with a time column names raw data's columns; where none does,
    four numbers a row are raw data, as they are to Klipper.
    """
    commented: tuple[str, ...] = ()
    with _opened(path) as file:
        for number, line in enumerate(file):
            cells = tuple(cell.strip() for cell in line.strip().lstrip("#").split(","))
            if line.lstrip().startswith("#"):
                commented = cells if cells[0] == RAW[0] else commented
            elif line.strip():
                if not _all_numbers(cells):
                    return cells, number + 1
                headless = RAW if len(cells) == len(RAW) else cells
                return commented or headless, number
    if not commented:
        raise DataError(f"{path}: is empty, expected Klipper's accelerometer CSV")
    return commented, 0


def _all_numbers(cells: tuple[str, ...]) -> bool:
    try:
        return bool([float(cell) for cell in cells])
    except ValueError:
        return False


def _table(path: Path, columns: int, rows_from: int) -> Floats:
    """Return the first columns of the rows below the header, all finite."""
    try:
        with _opened(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "contained no data": worded below
            for _ in range(rows_from):
                next(file)
            rows = (line for line in file if line.strip())
            table = np.loadtxt(rows, delimiter=",", usecols=range(columns), ndmin=2)
    except ValueError as error:
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


def _raw(path: Path, rows_from: int) -> PowerSpectrum:
    table = _table(path, len(RAW), rows_from)
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
    table = _table(path, len(PROCESSED), rows_from)
    frequency, density = table[:, 0], table[:, 1:]
    require_even(frequency, path)
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
