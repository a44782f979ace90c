"""Faults in usable records: found, counted, and cut out or refused.

Knows one record at a time. A cut splits a record into pieces that are each sampled
uniformly and without a jump, so that no window and no derivative reaches across it.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from trajerr.checks import require_one_of, require_positive
from trajerr.dataset.record import LayerRecord, stated_printer
from trajerr.dataset.resample import resample, snapped_to_grid
from trajerr.errors import DataError
from trajerr.motion.features import HISTORY
from trajerr.motion.limits import highest_speed
from trajerr.shipped import fields_of, shipped

CHOICES = ("cut", "refuse", "keep")
NOT_KEPT = ("not_finite", "duplicate_times", "time_reversals")  # no grid has room for these
UNIFORM = 0.05  # of a step; how far a time may be off the grid, as rounded columns are
SAME_TIME = 1e-6  # of a step; slopes over less would overflow
GAP_STEPS = 1.5  # steps without a sample that count as a gap rather than as uneven sampling
FARTHEST = 1e6  # mm, or °C; what lies beyond was never measured
LATEST = 1e12  # s; clocks that count from 1970 are at 1.7·10⁹
FASTEST = 1000.0  # mm/s; what the fastest printers sold travel at, twice what most do
SPEED_MARGIN = 1.5  # corrections of the command, and noise, add to a machine's own limit
PLANNED_SPEED = "planned_speed_mm_s"  # in params, where it is beyond the machine's own
STATED_TOLERANCE = 5.0  # mm/s, so that starts from rest are no faults


@dataclass(frozen=True)
class FaultSettings:
    """What to do with each fault: ``cut`` it out, ``refuse`` the file, or ``keep`` it.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    not_finite: str  # NaN, infinite or absurd time or position; cannot be kept
    duplicate_times: str  # the same time again; cannot be kept
    time_reversals: str  # time that goes back; cannot be kept
    gaps: str  # time that leaps forward; kept ones are interpolated
    jumps: str  # steps of the path faster than the machine moves
    stated_speed: str  # steps beyond the file's own v_mag_ref, times the factor
    max_speed_mm_s: float | None  # of the machine; None: as its file says, see repair
    stated_speed_factor: float

    def __post_init__(self) -> None:
        for name in (*NOT_KEPT, "gaps", "jumps", "stated_speed"):
            allowed = CHOICES[:2] if name in NOT_KEPT else CHOICES
            require_one_of(f"faults.{name}", getattr(self, name), allowed)
        require_positive("faults.stated_speed_factor", self.stated_speed_factor)
        require_positive("faults.max_speed_mm_s", self.max_speed_mm_s, or_null=True)

    @classmethod
    def shipped(cls, **changes: Any) -> Self:  # noqa: ANN401 - of any field
        """Return what ``conf/prepare.yaml`` says, with changes."""
        return cls(**{**fields_of(cls, shipped("prepare")["faults"]), **changes})


@dataclass(frozen=True)
class Repaired:
    """The usable pieces of one record and what was wrong with it."""

    pieces: tuple[LayerRecord, ...]
    faults: Counter[str]  # by name of a setting, and non_uniform and short pieces


def repair(
    record: LayerRecord,
    settings: FaultSettings,
    *,
    min_samples: int = HISTORY + 1,
    sample_rate: float | None = None,
    where: str = "",
) -> Repaired:
    """Cut a record into uniformly sampled pieces without faults.

    Parameters
    ----------
    record
        As read from a file.
    settings
        What to do with each fault.
    min_samples
        Shorter pieces are dropped, and counted as ``short``. Of the lead-in no more than the
        history that features need is counted.
    sample_rate
        Hz to resample to, see :func:`trajerr.dataset.resample.resample`; the record's own by
        default, and then only where its times are off the grid.
    where
        The file, for messages.

    Raises
    ------
    DataError
        A fault is to be refused, and the record has it.
    """
    faults: Counter[str] = Counter()
    usable = _drop_rows(record, settings, faults, where)
    cuts = _find_cuts(usable, settings, faults, where)
    pieces = []
    for start, stop in zip([0, *cuts], [*cuts, len(usable.time)], strict=True):
        piece = _on_grid(usable.select(slice(start, stop)), sample_rate, faults)
        if len(piece.time) - max(0, piece.context - HISTORY) >= min_samples:
            pieces.append(piece)
        elif not piece.context or piece.context < len(piece.time):  # not lead-in alone
            faults["short"] += 1
    return Repaired(tuple(pieces), +faults)


def _drop_rows(
    record: LayerRecord, settings: FaultSettings, faults: Counter[str], where: str
) -> LayerRecord:
    """Remove rows that are not finite or absurd, then rows that repeat a time."""
    columns = [record.commanded, record.actual]
    if record.temperatures is not None:
        columns.append(record.temperatures)
    if record.adhesion is not None:
        columns.append(record.adhesion[:, None])
    with np.errstate(invalid="ignore"):
        finite = np.logical_and.reduce(np.abs(np.hstack(columns)) <= FARTHEST, axis=1)
        finite &= np.abs(record.time) <= LATEST
    _count(faults, "not_finite", ~finite, settings.not_finite, where)
    record = record if finite.all() else record.select(finite)
    step = np.diff(record.time, prepend=-np.inf) * record.sample_rate
    repeated = np.abs(step) < SAME_TIME
    _count(faults, "duplicate_times", repeated, settings.duplicate_times, where)
    return record.select(~repeated) if repeated.any() else record


def _find_cuts(
    record: LayerRecord, settings: FaultSettings, faults: Counter[str], where: str
) -> list[int]:
    """Return the rows at which a new piece begins."""
    step = np.diff(record.time)
    distance = np.linalg.norm(np.diff(record.commanded, axis=0), axis=1)
    # A step of the path is judged over the time that the grid gives it, at least.
    speed = distance / np.maximum(step, 1.0 / record.sample_rate)
    found = {
        "time_reversals": step < 0.0,
        "gaps": step * record.sample_rate > GAP_STEPS,
        "jumps": speed > (settings.max_speed_mm_s or plausible_speed(record)),
        "stated_speed": _beyond_stated(record, speed, settings.stated_speed_factor),
    }
    cut = np.zeros(len(step), np.bool_)
    for name, mask in found.items():
        choice = getattr(settings, name)
        _count(faults, name, mask, choice, where)
        if choice == "cut":
            cut |= mask
    return [int(row) + 1 for row in np.flatnonzero(cut)]


def plausible_speed(record: LayerRecord) -> float:
    """Return the speed, mm/s, that no honest step of a record's path exceeds.

    One and a half times what the printer in ``params`` may reach with all axes together, or
    was planned to reach because its G-code raised its limits; or else what the file itself
    states as its highest speed, though no more than :data:`FASTEST`: a file that took its
    speeds from its own jumps states anything.
    """
    own = _machine_speed(record.params)
    if own is not None:
        planned = record.params.get(PLANNED_SPEED)
        return SPEED_MARGIN * max(own, planned if isinstance(planned, float) else 0.0)
    stated = record.stated_speed
    highest = 0.0 if stated is None else np.max(stated[np.isfinite(stated)], initial=0.0)
    return min(FASTEST, SPEED_MARGIN * float(highest)) or FASTEST


def _machine_speed(params: Mapping[str, str | float]) -> float | None:
    """Return how fast the printer that is noted in a file may move, mm/s; None if unknown."""
    printer = stated_printer(params) or {}
    try:
        limits = printer["limits"]
        along = limits.get("path_velocity_mm_s")
        axes = [float(v) for v in limits["max_velocity_mm_s"]]
        return highest_speed(axes, None if along is None else float(along))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _beyond_stated(
    record: LayerRecord, speed: NDArray[np.float64], factor: float
) -> NDArray[np.bool_]:
    if record.stated_speed is None:
        return np.zeros(len(speed), np.bool_)
    stated = np.maximum(record.stated_speed[1:], record.stated_speed[:-1])
    beyond: NDArray[np.bool_] = speed > factor * stated + STATED_TOLERANCE
    return beyond


def _count(
    faults: Counter[str], name: str, mask: NDArray[np.bool_], choice: str, where: str
) -> None:
    found = int(mask.sum())
    if found and choice == "refuse":
        raise DataError(
            f"{where}: {found} faults of kind {name}, the first after row "
            f"{int(np.argmax(mask))}; faults.{name}=cut would cut them out"
        )
    faults[name] += found


def _on_grid(piece: LayerRecord, sample_rate: float | None, faults: Counter[str]) -> LayerRecord:
    """Return the piece on the grid k/rate, resampled only where it must be."""
    if len(piece.time) < 2:
        return piece
    elapsed = (piece.time - piece.time[0]) * piece.sample_rate
    uniform = bool(np.max(np.abs(elapsed - np.arange(len(elapsed)))) < UNIFORM)
    faults["non_uniform"] += 0 if uniform else 1
    target = sample_rate or piece.sample_rate
    if uniform and abs(target - piece.sample_rate) <= 1e-9 * target:
        return piece
    source = snapped_to_grid(piece) if uniform else piece
    return replace(resample(source, target), stated_speed=None)
