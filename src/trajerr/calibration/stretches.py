"""What an axis was told and did, in stretches of a measured log."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline

from trajerr.arrays import Floats
from trajerr.calibration.recordings import require_even
from trajerr.dataset.logs import LogFormat, read_log
from trajerr.dataset.record import LayerRecord
from trajerr.errors import DataError

SLOWEST_HZ = 50.0  # sample rate
SHORTEST = 200  # samples
LEAST_MOTION_MM = 1e-3
START_S = 0.01  # that the speed at the start of a stretch is measured over
HELD_OUT = "test"  # the split of sections that only judge


@dataclass(frozen=True)
class Stretch:
    """One axis over one uninterrupted piece of a log; N samples."""

    time: Floats  # (N,) s
    commanded: Floats  # (N,) mm
    measured: Floats  # (N,) mm

    @property
    def error(self) -> Floats:
        """(N,) mm, measured − commanded."""
        return self.measured - self.commanded

    @property
    def sample_rate(self) -> float:
        """Hz."""
        return (len(self.time) - 1) / float(self.time[-1] - self.time[0])

    @property
    def start_speed(self) -> float:
        """Measured speed at the start, mm/s."""
        rows = max(3, round(START_S * self.sample_rate))
        return float(np.polyfit(self.time[:rows] - self.time[0], self.measured[:rows], 1)[0])

    def follows(self, before: "Stretch") -> bool:
        """Whether this begins one sample after ``before`` ends."""
        step = 1.0 / self.sample_rate
        return abs(float(self.time[0] - before.time[-1]) - step) < 0.5 * step

    def with_next(self, after: "Stretch") -> "Stretch":
        """Return this and the one that follows as one."""
        return Stretch(
            np.concatenate([self.time, after.time]),
            np.concatenate([self.commanded, after.commanded]),
            np.concatenate([self.measured, after.measured]),
        )

    def command_at(self, time: Floats) -> Floats:
        """Return the command (M,) mm between and before samples: a cubic spline.

        Straight lines would let a resonance at a tenth of the sample rate look weaker by 3 %.
        Before the first sample the axis is taken to have moved as it did there.
        """
        known = np.concatenate([[self.time[0] - 1.0], self.time])
        slope = (self.commanded[1] - self.commanded[0]) / (self.time[1] - self.time[0])
        values = np.concatenate([[self.commanded[0] - slope], self.commanded])
        found: Floats = CubicSpline(known, values, bc_type="natural")(time)
        return found


@dataclass(frozen=True)
class AxisLog:
    """The stretches of one axis: those to fit and those that only judge the fit."""

    fitted: tuple[Stretch, ...]
    held_out: tuple[Stretch, ...]


def read_axes(path: Path, log: LogFormat, test_share: float) -> dict[str, AxisLog]:
    """Read a log's axes.

    Parameters
    ----------
    path
        CSV or MATLAB file.
    log
        Its columns, units and sections. Sections of the split "test" are held out; without
        sections the last ``test_share`` of the file is.
    test_share
        0 to below 1.

    Returns
    -------
    dict
        By "x" and "y", those that the log has.

    Raises
    ------
    DataError
        A value is missing or infinite, times are uneven, or an axis never moves or never errs.
    """
    records = [record.without_context() for record in read_log(path, log)]
    for record in records:
        _require_usable(record, path)
    named = log.sections and any(record.params.get("split") for record in records)
    axes = {}
    for index, name in enumerate("xy"):
        if getattr(log, name) is None:
            continue
        cut = [_stretch(record, index) for record in records]
        if named:
            judges = [record.params.get("split") == HELD_OUT for record in records]
            fitted = tuple(s for s, judge in zip(cut, judges, strict=True) if not judge)
            held_out = tuple(s for s, judge in zip(cut, judges, strict=True) if judge)
        else:
            parts = [_divide(stretch, test_share) for stretch in cut]
            fitted = tuple(first for first, _ in parts)
            held_out = tuple(last for _, last in parts if last is not None)
        _require_motion(fitted, name, path)
        axes[name] = AxisLog(_joined(fitted), _joined(held_out))
    return axes


def _stretch(record: LayerRecord, index: int) -> Stretch:
    return Stretch(record.time, record.commanded[:, index], record.actual[:, index])


def _divide(stretch: Stretch, share: float) -> tuple[Stretch, Stretch | None]:
    count = len(stretch.time)
    at = round(count * (1.0 - share))
    if count - at < SHORTEST:
        return stretch, None
    return _cut(stretch, 0, at), _cut(stretch, at, count)


def _cut(stretch: Stretch, start: int, stop: int) -> Stretch:
    return Stretch(*(column[start:stop] for column in vars(stretch).values()))


def _joined(stretches: tuple[Stretch, ...]) -> tuple[Stretch, ...]:
    """Return the stretches, those in one where one follows right after the other."""
    joined: list[Stretch] = []
    for stretch in stretches:
        if joined and stretch.follows(joined[-1]):
            joined[-1] = joined[-1].with_next(stretch)
        else:
            joined.append(stretch)
    return tuple(joined)


def _require_usable(record: LayerRecord, path: Path) -> None:
    table = np.column_stack([record.time, record.commanded, record.actual])
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if len(bad):
        raise DataError(f"{path}: row {bad[0] + 1} of section {record.layer} holds NaN or infinity")
    if len(table) < SHORTEST:
        raise DataError(
            f"{path}: section {record.layer} has {len(table)} samples, expected {SHORTEST} or more"
        )
    rate = require_even(record.time, path)
    if rate < SLOWEST_HZ:
        raise DataError(
            f"{path}: {rate:.4g} samples a second, expected {SLOWEST_HZ:.0f} or more: ringing "
            "would not be seen"
        )


def _require_motion(stretches: tuple[Stretch, ...], name: str, path: Path) -> None:
    if not stretches:
        raise DataError(f"{path}: all sections are of the split test, expected some to fit")
    if max(float(np.ptp(s.commanded)) for s in stretches) < LEAST_MOTION_MM:
        raise DataError(f"{path}: {name} is never commanded to move, so nothing can be learnt")
    if max(float(np.ptp(s.error)) for s in stretches) < 1e-3 * LEAST_MOTION_MM:
        raise DataError(f"{path}: {name} is measured where it was commanded: no error to explain")
