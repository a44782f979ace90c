"""When a sensor took its samples, in the plan's time.

``plan time = offset + rate · (sensor time − origin)``. First every offset and every rate are
tried with short stretches of the recording, whose explained shares are stacked along the
straight line that a clock is (a Radon transform); then windows are shifted one by one, and the
line through them fitted by weighted least squares.

A share is explained whatever the sensor's direction: it is what both axes' expected accelerations
explain together of all of the sensor's. Delays that all axes share cannot be told from the offset.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import maximum_filter1d

from trajerr.arrays import Floats
from trajerr.errors import DataError
from trajerr.recordings.estimates import Estimate, quantile
from trajerr.recordings.signals import EVEN_HZ, EvenSamples, filtered

LARGEST_RATE_OFF = 0.0125  # of a clock; crystals are within 1e-4, an ADXL345's within 1e-2
# Coarse search: band, Hz, rate of the search, and stretches of the recording.
COARSE_BAND_HZ = (4.0, 35.0)
COARSE_HZ = 100.0
STRETCH_S = 3.0
HALF = round(0.5 * STRETCH_S * COARSE_HZ)  # samples
STRETCHES = 30
SPAN_S = 300.0  # of the recording that the stretches lie in
RATES = np.linspace(-0.8, 0.8, 5) * LARGEST_RATE_OFF  # within stretches: ±0.25 % of 1.5 s is 4 ms
TOLERANCE_S = 0.02  # by which a stretch may be off the line
# A stretch counts by how much it moved; below this share of the strongest ones it is at rest.
QUIET = 0.1
STANDS_OUT = 8.0  # standard deviations of all other offsets
LEAST_EXPLAINED = 0.15  # of a recording's motion in the coarse band
# Fine search.
FINE_BAND_HZ = (3.0, 15.0)  # where a printer that is not yet calibrated is right, too
WINDOW_S = 2.5
SHIFTS_S = (0.020, 0.003)  # within which windows are looked for, from pass to pass
LEAST_SHARE = 0.05  # that a window explains, to count
OUTLIER = 4.0  # robust standard deviations of windows
FEWEST_WINDOWS = 3
LARGEST_SCATTER_S = 0.0025  # RMS of windows; a fifth of what a pause has to be to be seen
LEAST_AGREEING = 0.6  # share of the windows that have to lie on one line


@dataclass(frozen=True)
class Clock:
    """A sensor's clock against the plan's."""

    origin_s: float  # sensor time that the offset holds at, the recording's middle
    offset_s: Estimate  # plan time there
    rate: Estimate  # seconds of the plan a second of the sensor
    scatter_s: float  # RMS of single windows around the line
    windows: int  # that lie on it
    explained: float  # median share of the windows' motion, 3 to 15 Hz

    def plan_time(self, sensor: Floats) -> Floats:
        """Return plan times, s, of (N,) sensor times."""
        times: Floats = self.offset_s.value + self.rate.value * (sensor - self.origin_s)
        return times

    def sensor_time(self, plan: Floats) -> Floats:
        """Return sensor times, s, of (N,) plan times."""
        times: Floats = self.origin_s + (plan - self.offset_s.value) / self.rate.value
        return times

    def to_dict(self) -> dict[str, Any]:
        """Return what a report says."""
        return {
            "origin_s": self.origin_s,
            "offset_s": self.offset_s.to_dict(),
            "rate": self.rate.to_dict(),
            "scatter_s": self.scatter_s,
            "windows": self.windows,
            "explained": self.explained,
        }


@dataclass(frozen=True)
class RoughClock:
    """A clock to within some hundredths of a second."""

    origin_s: float  # sensor time
    offset_s: float  # plan time there
    rate: float
    begin_s: float  # plan time of the first sample
    end_s: float  # plan time of the last sample


def find_roughly(sensors: Sequence[EvenSamples], expected: Floats, start_s: float) -> RoughClock:
    """Find where in a plan sensors were recorded.

    Parameters
    ----------
    sensors
        At least one, on one clock.
    expected : (M, 2)
        mm/s², the acceleration that the whole plan lets expect, at :data:`.signals.EVEN_HZ`.
    start_s
        Plan time of its first sample, s.

    Raises
    ------
    DataError
        Nothing in the recording is like the plan.
    """
    begin = min(sensor.start_s for sensor in sensors)
    end = max(sensor.end_s for sensor in sensors)
    first, rate = _coarse(sensors, expected, begin, end)
    first += start_s
    half = 0.5 * (end - begin)
    return RoughClock(begin + half, first + rate * half, rate, first, first + 2.0 * rate * half)


def find_clock(
    sensors: Sequence[EvenSamples], rough: RoughClock, expected: Floats, start_s: float
) -> Clock:
    """Find the clock that sensors share.

    Parameters
    ----------
    sensors
        As for :func:`find_roughly`.
    rough
        What it returned.
    expected : (M, 2)
        mm/s², the acceleration expected at least where they were recorded.
    start_s
        Plan time of its first sample, s.

    Raises
    ------
    DataError
        No one clock fits.
    """
    line = np.array([rough.offset_s, rough.rate])
    found = _Line(line, np.zeros((2, 2)), 0.0, 0, 0.0)
    for reach in (*SHIFTS_S, SHIFTS_S[-1]):
        found = _refined(sensors, expected, start_s, rough.origin_s, found.values, reach)
    spread = quantile(found.windows - 2) * np.sqrt(np.diag(found.covariance))
    at, slope = (
        Estimate(float(v), float(v - s), float(v + s))
        for v, s in zip(found.values, spread, strict=True)
    )
    return Clock(rough.origin_s, at, slope, found.scatter, found.windows, found.explained)


@dataclass(frozen=True)
class _Line:
    values: Floats  # (2,) plan time at the origin, and rate
    covariance: Floats  # (2, 2)
    scatter: float
    windows: int
    explained: float


def _coarse(
    sensors: Sequence[EvenSamples], expected: Floats, begin: float, end: float
) -> tuple[float, float]:
    """Return the time since the plan's first sample at ``begin``, s, and the rate."""
    every = round(EVEN_HZ / COARSE_HZ)
    plan = filtered(expected, EVEN_HZ, *COARSE_BAND_HZ)[::every]
    own = np.arange(begin, end, 1.0 / EVEN_HZ)
    felt = np.concatenate([sensor.at(own) for sensor in sensors], axis=1)
    felt = _main_directions(filtered(felt, EVEN_HZ, *COARSE_BAND_HZ)[::every])
    centres = _centres(felt)
    search = _Search.along(plan)
    scores = [
        np.stack([search.shares(felt, centre, 1.0 + rate) for centre in centres]) for rate in RATES
    ]
    return _stacked(scores, centres, sensors)


def _main_directions(felt: Floats) -> Floats:
    """Return (N, 2) the two directions in which (N, C) values move most, as a plan has two."""
    _, vectors = np.linalg.eigh(felt.T @ felt)
    return np.asarray(felt @ vectors[:, -2:])


def _centres(felt: Floats) -> NDArray[np.intp]:
    """Return the middles of the stretches: of those that move, spread over the strongest span."""
    energy = np.concatenate([[0.0], np.cumsum((felt**2).sum(axis=1))])
    middles = np.arange(HALF, len(felt) - HALF, HALF)
    moved = energy[middles + HALF] - energy[middles - HALF]
    span = max(1, min(len(middles), round(SPAN_S * COARSE_HZ / HALF)))
    total = np.convolve(moved, np.ones(span), mode="valid")
    first = int(np.argmax(total))
    within = np.arange(first, first + span)
    lively = within[moved[within] >= QUIET * np.quantile(moved[within], 0.9)]
    chosen = lively[np.unique(np.linspace(0, len(lively) - 1, STRETCHES).round().astype(np.intp))]
    return np.asarray(middles[chosen], np.intp)


@dataclass(frozen=True)
class _Search:
    """A plan that stretches are looked for in, with what each look needs."""

    samples: int  # P of the plan
    count: int  # of the transforms
    spectrum: NDArray[np.complex128]  # (2, F) of the plan
    inverse: Floats  # (3, P) xx, xy, yy of the inverse sums of products around each sample

    @classmethod
    def along(cls, plan: Floats) -> "_Search":
        """Prepare a (P, 2) plan."""
        count = next_fast_len(len(plan) + 2 * HALF + 1, real=True)
        products = np.stack([plan[:, 0] ** 2, plan[:, 0] * plan[:, 1], plan[:, 1] ** 2])
        sums = np.concatenate([np.zeros((3, 1)), np.cumsum(products, axis=1)], axis=1)
        index = np.arange(len(plan))
        low, high = np.maximum(index - HALF, 0), np.minimum(index + HALF + 1, len(plan))
        xx, xy, yy = sums[:, high] - sums[:, low]
        floor = 0.02 * float(np.mean(xx + yy)) + 1e-12  # where nothing moves nothing is explained
        xx, yy = xx + floor, yy + floor
        inverse = np.stack([yy, -xy, xx]) / (xx * yy - xy**2)
        return cls(len(plan), count, rfft(plan.T, count), inverse)

    def shares(self, felt: Floats, centre: int, rate: float) -> Floats:
        """Return (P,) the share of a stretch explained where its middle is at each sample."""
        source = centre + np.arange(-HALF, HALF + 1) / rate
        grid = np.arange(len(felt))
        stretch = np.stack([np.interp(source, grid, column) for column in felt.T])
        explained = np.zeros(self.samples)
        xx, xy, yy = self.inverse
        for ahead in np.conj(rfft(stretch, self.count)):
            both = irfft(self.spectrum * ahead, self.count)
            x, y = np.roll(both, HALF, axis=1)[:, : self.samples]
            explained += xx * x**2 + 2.0 * xy * x * y + yy * y**2
        return explained / float(np.sum(stretch**2))


def _stacked(
    scores: list[Floats], centres: NDArray[np.intp], sensors: Sequence[EvenSamples]
) -> tuple[float, float]:
    """Return the line along which stretches explain most.

    Raises
    ------
    DataError
        No line stands out.
    """
    width = 2 * round(TOLERANCE_S * COARSE_HZ) + 1
    padding = int(np.ceil(centres[-1] * (1.0 + LARGEST_RATE_OFF))) + 1
    wide = [
        np.pad(maximum_filter1d(s, width, axis=1), ((0, 0), (padding, padding))) for s in scores
    ]
    span = max(float(centres[-1] - centres[0]), 1.0)
    step = 1.5 * TOLERANCE_S * COARSE_HZ / span
    tried = 2 * int(np.ceil(LARGEST_RATE_OFF / step)) + 1
    rates = np.linspace(-LARGEST_RATE_OFF, LARGEST_RATE_OFF, tried)
    count, best = wide[0].shape[1] - padding, (-1.0, 0, 0.0, 0.0, 1.0)
    for rate in rates:
        nearest = wide[int(np.argmin(np.abs(RATES - rate)))]
        shifts = np.round(centres * (1.0 + rate)).astype(np.intp)
        rows = (nearest[k, shift : shift + count] for k, shift in enumerate(shifts))
        total = sum(rows, np.zeros(count)) / len(centres)
        peak = int(np.argmax(total))
        if total[peak] > best[0]:
            best = (float(total[peak]), peak, float(rate), float(total.mean()), float(total.std()))
    share, place, rate, mean, deviation = best
    if share < LEAST_EXPLAINED or share - mean < STANDS_OUT * deviation:
        raise DataError(
            f"{sensors[0].name}: nothing in it moves like the plan: at the best of all offsets the "
            f"plan explains {100.0 * share:.0f} % of the motion, {(share - mean) / deviation:.1f} "
            f"deviations above other offsets, expected at least {100.0 * LEAST_EXPLAINED:.0f} % "
            f"and {STANDS_OUT:g}; was this the file that was printed?"
        )
    return (place - padding) / COARSE_HZ, 1.0 + rate


def _refined(
    sensors: Sequence[EvenSamples],
    expected: Floats,
    start_s: float,
    origin: float,
    line: Floats,
    reach_s: float,
) -> _Line:
    """Return the line through windows that are looked for near another."""
    plan = filtered(expected, EVEN_HZ, *FINE_BAND_HZ)
    time = start_s + np.arange(len(plan)) / EVEN_HZ
    own = origin + (time - line[0]) / line[1]
    felt = np.concatenate([sensor.at(own) for sensor in sensors], axis=1)
    felt = filtered(felt, EVEN_HZ, *FINE_BAND_HZ)
    there = np.all([sensor.measured_at(own) for sensor in sensors], axis=0)
    middles = _middles(there, felt)
    rows = [
        (time[middle], *shift)
        for middle in middles
        if (shift := _shift(felt, plan, middle, reach_s)) is not None
    ]
    if len(rows) < FEWEST_WINDOWS:
        raise DataError(
            f"{sensors[0].name}: {len(rows)} windows of {WINDOW_S:g} s move like the plan, "
            f"expected {FEWEST_WINDOWS} or more; record a longer stretch of the print"
        )
    return _fitted(np.array(rows), line, origin, len(middles), sensors[0].name)


def _middles(there: NDArray[np.bool_], felt: Floats) -> list[int]:
    """Return the middles of windows that are measured for the most part, and move."""
    width = round(WINDOW_S * EVEN_HZ)
    begins = range(0, len(there) - width + 1, width)
    full = [b for b in begins if there[b : b + width].mean() > 0.9]
    moved = np.array([np.sum(felt[b : b + width] ** 2) for b in full])
    least = QUIET * np.quantile(moved, 0.9) if len(moved) else 0.0
    return [b + width // 2 for b, m in zip(full, moved, strict=True) if m >= least]


def _shift(
    felt: Floats, plan: Floats, middle: int, reach_s: float
) -> tuple[float, float, float] | None:
    """Return by how much, s, a window comes late in the plan, its weight, its explained share."""
    half, reach = round(0.5 * WINDOW_S * EVEN_HZ), round(reach_s * EVEN_HZ)
    window = felt[middle - half : middle + half]
    lags = np.arange(-reach, reach + 1)
    lags = lags[(middle - half + lags >= 0) & (middle + half + lags <= len(plan))]
    total = float(np.sum(window**2))
    shares = np.array(
        [_explained(window, plan[middle - half + lag : middle + half + lag]) for lag in lags]
    )
    shares /= total
    top = int(np.argmax(shares))
    if top in (0, len(lags) - 1) or shares[top] < LEAST_SHARE:
        return None
    before, at, after = shares[top - 1 : top + 2]
    bend = before - 2.0 * at + after
    if bend >= 0.0:
        return None
    late = (lags[top] + 0.5 * (before - after) / bend) / EVEN_HZ
    return late, -bend / max(1.0 - at, 1e-3), float(at)


def _explained(window: Floats, plan: Floats) -> float:
    """Return the part of a window's sum of squares that the plan explains."""
    cross = plan.T @ window
    inverse = np.linalg.pinv(plan.T @ plan, rcond=1e-3, hermitian=True)
    return float(np.sum(cross * (inverse @ cross)))


def _fitted(rows: Floats, line: Floats, origin: float, tried: int, name: str) -> _Line:
    """Return the line moved so that it goes through most windows.

    Parameters
    ----------
    rows : (K, 4)
        Plan time, s, of each window's middle by the line so far, by how much it comes late, its
        weight, and its explained share.
    """
    time, late, weight, share = rows.T
    own = (time - line[0]) / line[1]  # since the origin
    table = np.column_stack([np.ones_like(own), own])
    kept = np.abs(late - np.median(late)) <= max(3.0 * _deviation(late), 1e-4)
    for _ in range(5):
        root = np.sqrt(weight[kept])
        change = np.linalg.lstsq(table[kept] * root[:, None], late[kept] * root, rcond=None)[0]
        left = late - table @ change
        kept = np.abs(left) <= max(OUTLIER * _deviation(left), 2e-4)
    scatter = float(np.sqrt(np.average(left[kept] ** 2, weights=weight[kept])))
    few = np.count_nonzero(kept) < max(FEWEST_WINDOWS, LEAST_AGREEING * tried)
    if few or scatter > LARGEST_SCATTER_S:
        off = int(np.argmax(np.abs(left)))
        raise DataError(
            f"{name}: {np.count_nonzero(kept)} of {tried} windows lie on one clock, within "
            f"{1e3 * scatter:.1f} ms, expected {100.0 * LEAST_AGREEING:.0f} % of them within "
            f"{1e3 * LARGEST_SCATTER_S:.1f} ms: at {time[off]:.1f} s of the plan it is off "
            f"by {1e3 * left[off]:+.1f} ms; was there a pause that the G-code does not say?"
        )
    covariance = _covariance(table[kept], weight[kept], left[kept])
    moved = np.asarray(line + change)
    return _Line(moved, covariance, scatter, int(kept.sum()), float(np.median(share[kept])))


def _deviation(values: Floats) -> float:
    """Return the standard deviation that the median of absolute deviations says."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _covariance(table: Floats, weight: Floats, left: Floats) -> Floats:
    """Return the sandwich covariance of weighted least squares (White, 1980)."""
    bread = np.linalg.inv(table.T @ (table * weight[:, None]))
    middle = table.T @ (table * (weight * left)[:, None] ** 2)
    freedom = len(left) / max(len(left) - 2, 1)
    covariance: Floats = bread @ middle @ bread * freedom
    return covariance
