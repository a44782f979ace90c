"""Bringing a record to another or to a uniform sample rate, by a stated method.

Positions and temperatures by piecewise cubic Hermite interpolation without overshoot
(Fritsch and Carlson, SIAM J. Numer. Anal. 17:238, 1980), as a path has corners at which a
spline would ring; what a sample *is* (feature type, extruding, travel) from the nearest one.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from trajerr.dataset.record import LayerRecord
from trajerr.errors import DataError

SLOWEST_HZ, FASTEST_HZ = 0.1, 1e6  # of any log; a rate beyond is a unit's mistake
MOST_SAMPLES = 50_000_000  # of one record; a gap that is bridged may ask for any number
SAME_INSTANT = 1e-9  # s; times that differ by less are one
REGULAR = 0.1  # of the median step; steps that differ more are gaps or glitches


def measure_sample_rate(time: NDArray[np.float64]) -> float | None:
    """Return the rate of a time column, Hz, or ``None`` where it has none of 0.1 Hz to 1 MHz.

    One over the mean of the regular steps: the median alone would carry the rounding of a
    time column with few digits, the mean of all steps the gaps.
    """
    with np.errstate(over="ignore"):
        steps = np.diff(time[np.isfinite(time)])
    steps = steps[steps > 0.0]
    if not len(steps) or not 1.0 / FASTEST_HZ <= np.median(steps) <= 1.0 / SLOWEST_HZ:
        return None
    median = np.median(steps)
    regular = steps[np.abs(steps - median) <= REGULAR * median]
    return float(np.round(1.0 / np.mean(regular), 6)) if len(regular) else None


def resample(record: LayerRecord, sample_rate: float) -> LayerRecord:
    """Return the record on the grid k/``sample_rate`` inside its own time span.

    Parameters
    ----------
    record
        Strictly increasing times; at least two samples.
    sample_rate
        Hz.

    Raises
    ------
    DataError
        The span is so long that the samples would fill the memory.
    """
    count = (record.time[-1] - record.time[0]) * sample_rate
    if count > MOST_SAMPLES:
        raise DataError(
            f"{record.part} layer {record.layer}: {count:.3g} samples at {sample_rate:g} Hz, "
            f"expected at most {MOST_SAMPLES:,}"
        )
    first = int(np.ceil(record.time[0] * sample_rate - 1e-6))
    last = int(np.floor(record.time[-1] * sample_rate + 1e-6))
    time = np.arange(first, last + 1) / sample_rate
    nearest = _nearest(record.time, time)
    temperatures, adhesion = record.temperatures, record.adhesion
    return replace(
        record,
        sample_rate=sample_rate,
        time=time,
        commanded=_interpolate(record.time, record.commanded, time),
        actual=_interpolate(record.time, record.actual, time),
        extruding=record.extruding[nearest],
        travel=record.travel[nearest],
        feature=record.feature[nearest],
        temperatures=temperatures
        if temperatures is None
        else _interpolate(record.time, temperatures, time),
        adhesion=adhesion if adhesion is None else _interpolate(record.time, adhesion, time),
        stated_speed=None,
        context=_resampled_context(record, time),
    )


def snapped_to_grid(record: LayerRecord) -> LayerRecord:
    """Return the record with times exactly k/rate after its first."""
    steps = np.arange(len(record.time)) / record.sample_rate
    return replace(record, time=record.time[0] + steps)


def _resampled_context(record: LayerRecord, time: NDArray[np.float64]) -> int:
    """Return how many of the new times lie before the first row that counts."""
    if record.context == len(record.time):
        return len(time)
    return int(np.searchsorted(time, record.time[record.context] - SAME_INSTANT))


def _interpolate(
    known: NDArray[np.float64], values: NDArray[np.float64], wanted: NDArray[np.float64]
) -> NDArray[np.float64]:
    inside = np.clip(wanted, known[0], known[-1])
    with np.errstate(
        over="ignore"
    ):  # one over a slope of 1e-310 is infinite, and the mean's slope 0
        result: NDArray[np.float64] = PchipInterpolator(known, values, axis=0)(inside)
    return result


def _nearest(known: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.intp]:
    after = np.clip(np.searchsorted(known, wanted), 1, len(known) - 1)
    is_before = wanted - known[after - 1] <= known[after] - wanted
    return after - is_before
