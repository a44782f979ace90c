"""When an accelerometer took its samples, and what it would have shown at even times.

Klipper's sensors convert at an even rate of their own; the times in a file are Klipper's
estimate, which is off where a sensor is read in bursts (MPU-9250: steps of 0.20 and 0.60 ms
around 0.25 ms), drifts with the sensor's clock, and leaps where messages were lost. Klipper
itself takes the mean rate and lets all of that be. Here two clocks are tried: the sensor's,
which is the times freed of what changes within some twenty samples, and the file's, as it
stands. The wrong one turns vibration at high frequencies into noise at low ones, so the one
that leaves less there is the right one: by Whittle's likelihood (1953), of two spectra of one
process the one with the smaller mean logarithm.

Knows times; does not know what shook the sensor.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from trajerr.arrays import Floats
from trajerr.errors import DataError

UNEVEN = 0.5  # of the median step, how far a step may be off
WANDER = 0.5  # of the mean step, how far a time may be off an even rate without resampling
# A burst was seen to stretch a step to 2.4 mean steps; a lost message of Klipper's is eight
# samples or more. One to three lost samples are taken for a burst: an error of a millisecond.
GAP_STEPS = 4.0
# The fastest sweep (2 Hz/s) shakes a bin of 1.6 Hz for 0.8 s: a gap of 10 ms is 1.3 % of that.
LONGEST_GAP_S = 0.010
# Of any half second: ln S is off by 0.05 there, which is what good fits leave. Of the whole:
# where a line bridges vibration at 1.2 kHz, its ends are noise; 1 % of 5 m/s² RMS stays harmless.
MISSING_SHARE_LOCALLY = 0.05
LOCALLY_S = 0.5
MISSING_SHARE = 0.01
# RMS. Were the wrong clock taken, the sweep's end, 135 Hz, would lose 16 % of its power.
LARGEST_JITTER_S = 0.5e-3
SMOOTH = 16.0  # samples, deviation of the Gaussian; Klipper's messages hold 8 to 10 samples


@dataclass(frozen=True)
class Timing:
    """The times of a recording; N samples, some of them missing."""

    time: Floats  # (N,) s, as in the file
    place: NDArray[np.intp]  # (N,) of each sample among those that the sensor took
    rate_hz: float  # mean, the gaps left out

    @property
    def uneven_steps(self) -> int:
        """How many steps differ from the median step by more than half of it."""
        return int(np.count_nonzero(_off(np.diff(self.time))))

    @property
    def largest_step_s(self) -> float:
        """The longest time between two samples, gaps included."""
        return float(np.diff(self.time).max())

    @property
    def gaps(self) -> int:
        """How many times samples are missing."""
        return int(np.count_nonzero(np.diff(self.place) > 1))

    @property
    def missing(self) -> int:
        """How many samples are missing."""
        return int(self.place[-1]) + 1 - len(self.place)

    @property
    def longest_gap_s(self) -> float:
        """For how long samples are missing, at most."""
        absent = np.diff(self.place) - 1
        return float(absent.max()) / self.rate_hz

    @property
    def wander_s(self) -> float:
        """How far a time is off an even rate, at most; the gaps filled."""
        even = self.time[0] + self.place * ((self.time[-1] - self.time[0]) / self.place[-1])
        return float(np.abs(self.time - even).max())

    @property
    def even(self) -> bool:
        """Whether the samples can be taken as they are."""
        return not self.missing and self.wander_s <= WANDER / self.rate_hz

    def to_dict(self) -> dict[str, int | float]:
        """Return what a report says, SI units."""
        return {
            "samples": len(self.time),
            "rate_hz": self.rate_hz,
            "uneven_steps": self.uneven_steps,
            "largest_step_s": self.largest_step_s,
            "wander_s": self.wander_s,
            "gaps": self.gaps,
            "longest_gap_s": self.longest_gap_s,
            "missing": self.missing,
        }

    def sentences(self) -> list[str]:
        """Return what a user should know of uneven times; nothing where they are even."""
        said = []
        if self.wander_s > WANDER / self.rate_hz:
            said.append(
                f"times are uneven, up to {1e3 * self.wander_s:.2g} ms off an even rate: "
                f"{self.uneven_steps} of {len(self.time) - 1} steps are off by more than half, the "
                f"largest is {1e3 * self.largest_step_s:.3g} ms, the mean "
                f"{1e3 / self.rate_hz:.3g}; resampled at the mean rate, {self.rate_hz:.1f} Hz"
            )
        if self.missing:
            said.append(
                f"{self.missing} of {len(self.time) + self.missing} samples are missing, for up to "
                f"{1e3 * self.longest_gap_s:.3g} ms at a time: bridged by straight lines"
            )
        return said

    def clocks(self) -> dict[str, Floats]:
        """Return by "sensor" and "file" the times (M,) s of all samples, missing ones included."""
        filled = np.interp(np.arange(self.place[-1] + 1), self.place, self.time)
        line = np.linspace(filled[0], filled[-1], len(filled))
        slow = gaussian_filter1d(filled - line, SMOOTH, mode="nearest")
        return {"sensor": line + slow, "file": filled}

    def resampled(self, values: Floats, clock: Floats) -> tuple[Floats, Floats]:
        """Return even times (M,) s at the mean rate, and the values there.

        Gaps are bridged by straight lines; between samples a cubic spline keeps what vibrates
        at up to a third of the rate from folding.

        Parameters
        ----------
        values : (N, C)
            Of the samples in the file.
        clock : (M,)
            s, one of :meth:`clocks`.
        """
        every = np.arange(len(clock))
        full = np.column_stack([np.interp(every, self.place, column) for column in values.T])
        time = np.linspace(clock[0], clock[-1], len(clock))
        found: Floats = CubicSpline(clock, full)(time)
        return time, found


def measure_timing(time: Floats, path: Path) -> Timing:
    """Find rate and gaps of a recording's times.

    Parameters
    ----------
    time : (N,)
        s.
    path
        For messages: the file.

    Raises
    ------
    DataError
        Times do not increase, or scatter by more than 0.5 ms RMS around the sensor's clock;
        samples are missing for more than 10 ms, for 1 % of all, or for 5 % of half a second.
    """
    steps = np.diff(time)
    backwards = np.flatnonzero(steps <= 0.0)
    if not len(steps) or len(backwards):
        raise DataError(f"{path}: time does not increase{_between(backwards)}; record again")
    gap = steps > GAP_STEPS * steps.mean()
    step = float(steps[~gap].mean())
    _require_short(np.where(gap, steps - step, 0.0), path)
    taken = np.where(gap, np.round(steps / step), 1.0).astype(np.intp)
    timing = Timing(time, np.concatenate([[0], np.cumsum(taken)]), 1.0 / step)
    _require_few_missing(timing, path)
    clocks = timing.clocks()
    jitter = float(np.std(clocks["file"] - clocks["sensor"]))
    if jitter > LARGEST_JITTER_S:
        raise DataError(
            f"{path}: times are not uniform: they scatter by {1e3 * jitter:.2g} ms RMS around an "
            f"even rate, most between rows {_rows(int(np.argmax(steps)))} of the data "
            f"({1e3 * steps.max():.3g} ms), at most {1e3 * LARGEST_JITTER_S:g} ms is allowed; "
            "record again, at a lower rate of the sensor"
        )
    return timing


def _require_short(missing_s: Floats, path: Path) -> None:
    longest = int(np.argmax(missing_s))
    if missing_s[longest] > LONGEST_GAP_S:
        raise DataError(
            f"{path}: times are not uniform: samples are missing for "
            f"{1e3 * missing_s[longest]:.4g} ms between rows {_rows(longest)} of the data, at most "
            f"{1e3 * LONGEST_GAP_S:g} ms is bridged; record again"
        )


def _require_few_missing(timing: Timing, path: Path) -> None:
    absent = np.ones(int(timing.place[-1]) + 1)
    absent[timing.place] = 0.0
    width = min(max(1, round(LOCALLY_S * timing.rate_hz)), len(absent))
    local = uniform_filter1d(absent, width, mode="nearest")
    row = int(np.searchsorted(timing.place, int(np.argmax(local)))) + 1
    for share, most, where in (
        (local.max(), MISSING_SHARE_LOCALLY, f"the {LOCALLY_S:g} s around row {row} of"),
        (absent.mean(), MISSING_SHARE, "all of"),
    ):
        if share > most:
            raise DataError(
                f"{path}: times are not uniform: {100.0 * share:.2g} % of the samples in {where} "
                f"the data are missing, at most {100.0 * most:g} % are bridged; record again, at "
                "a lower rate of the sensor"
            )


def _off(steps: Floats) -> NDArray[np.bool_]:
    median = float(np.median(steps))
    off: NDArray[np.bool_] = np.abs(steps - median) > UNEVEN * median
    return off


def _between(steps: NDArray[np.intp]) -> str:
    return f" between rows {_rows(int(steps[0]))} of the data" if len(steps) else ""


def _rows(step: int) -> str:
    return f"{step + 1} and {step + 2}"
