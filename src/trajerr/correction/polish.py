"""Learn on with the planner in the loop: move the ends of the pieces that will be written.

The first iteration (:mod:`trajerr.correction.learning`) corrects a trajectory on a fine uniform
grid. What is written are fewer, longer pieces, within which the firmware speeds up and slows
down in its own way. Here the pieces are planned as the firmware will plan them, the error
is predicted for that motion, and each piece's end moves against the error around it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trajerr.arrays import Bools, Floats
from trajerr.correction.feedrates import TimedProgram, assemble, keep_time
from trajerr.correction.inverse import Smoothing, learning_step
from trajerr.correction.layer_windows import LayerWindow, batches
from trajerr.correction.learning import LearningSettings, Restrict, Score, Scores
from trajerr.correction.pieces import EmissionSettings, Segmentation
from trajerr.correction.printer_ensemble import PrinterEnsemble
from trajerr.correction.regions import CorrectionRegion, Role
from trajerr.motion.bed import Bed
from trajerr.motion.limits import MachineLimits
from trajerr.motion.planner import Plan
from trajerr.motion.sampling import sample
from trajerr.motion.trajectory import Trajectory

FIRST_ROUNDS = 4  # of timing the pieces before the first iteration; then one in each
MARGIN = 0.2  # s of motion beyond what is sampled, where a part of a print begins at rest


@dataclass(frozen=True)
class Clock:
    """Which instant of the nominal plan each instant of the corrected one stands for."""

    corrected: Floats  # (N,) s
    nominal: Floats  # (N,) s

    def to_nominal(self, time: Floats) -> Floats:
        """Return (N,) s of the nominal plan."""
        return np.interp(time, self.corrected, self.nominal)

    def to_corrected(self, time: Floats) -> Floats:
        """Return (N,) s of the corrected plan."""
        return np.interp(time, self.nominal, self.corrected)


@dataclass
class _PieceEnds:
    """The ends of K pieces while they move, and what is known of them."""

    time: Floats  # (K,) s
    asked: Floats  # (K,) s, when an end's position matters: after a hold if a wall follows
    base: Floats  # (K, 2) mm, the nominal position
    offset: Floats  # (K, 2) mm
    best: Floats  # (K, 2) mm
    feed_factor: Floats  # (K,) each piece's feedrate, as a multiple of its mean speed


@dataclass(frozen=True)
class Polisher:
    """What moving the pieces' ends needs to know beside them."""

    ensemble: PrinterEnsemble
    nominal: Plan
    region: CorrectionRegion
    restrict: Restrict
    limits: MachineLimits
    move_times: tuple[Floats, Floats]  # (M,) s each, when nominal moves begin and end
    score: Score
    learning: LearningSettings
    emission: EmissionSettings
    bound: float  # mm, the largest correction
    bed: Bed

    def polish(
        self, segmentation: Segmentation, windows: Sequence[LayerWindow]
    ) -> tuple[Segmentation, list[Scores]]:
        """Move the pieces' ends in the given windows; return the best pieces and all scores.

        Parameters
        ----------
        segmentation
            The pieces to begin with.
        windows
            Where to correct.
        """
        ends = self._piece_ends(segmentation)
        acts = self.region.weight(ends.time)[:, None] > 0.0
        lengths = [int((w.end - w.lead_in) * self.ensemble.rate) for w in windows]
        chosen = self.chosen(windows)
        scores = [Scores(self.ensemble.weights) for _ in windows]
        for iteration in range(self.learning.planned_iterations + 1):
            timed = assemble(
                self.nominal,
                _moved(segmentation, ends.base + ends.offset),
                self.limits,
                self.emission,
                chosen,
            )
            if iteration == 0:
                _, ends.feed_factor = keep_time(timed, self.limits, ends.feed_factor, FIRST_ROUNDS)
            planned, taken = timed.at(ends.feed_factor).planned(self.limits)
            clock = self._clock(timed, segmentation, taken)
            change = np.zeros_like(ends.offset)
            for rows in batches(lengths, self.learning.batch):
                self._learn(windows[rows], scores[rows], planned, clock, ends, change)
            for window, values in zip(windows, scores, strict=True):
                if values.best == iteration:
                    inside = (ends.time > window.begin) & (ends.time <= window.end)
                    ends.best[inside] = ends.offset[inside]
            moved = ends.offset - self.learning.gain * change * acts
            ends.offset = bounded(moved, ends.base, self.bound, self.bed)
            ends.feed_factor = timed.adjusted(ends.feed_factor, taken)
        return _moved(segmentation, ends.base + ends.best), scores

    def _piece_ends(self, segmentation: Segmentation) -> _PieceEnds:
        time = segmentation.pieces.end
        base = self.nominal.asked(time)[:, :2]
        # Between the samples at which it was bounded, a correction may leave its bounds.
        offset = bounded(segmentation.pieces.target[:, :2] - base, base, self.bound, self.bed)
        asked = time.copy()
        for hold in self.region.holds:
            if hold.after == Role.CORRECTED and hold.before != Role.CORRECTED:
                first = np.searchsorted(time, hold.start - 1e-9)
                last = np.searchsorted(time, hold.start + 1e-9)
                asked[first:last] = hold.end
        return _PieceEnds(time, asked, base, offset, offset.copy(), np.ones(len(time)))

    def chosen(self, windows: Sequence[LayerWindow]) -> Bools:
        """Return (M,) the moves in and around the given windows."""
        start, end = self.move_times
        chosen = np.zeros(len(start), dtype=np.bool_)
        for window in windows:
            first = np.searchsorted(end, window.lead_in - MARGIN)
            last = np.searchsorted(start, window.lead_out + MARGIN)
            chosen[first:last] = True
        return chosen

    def _clock(self, timed: TimedProgram, segmentation: Segmentation, taken: Floats) -> Clock:
        """Return how the time of a corrected plan maps to the nominal one."""
        pieces, is_piece = segmentation.pieces, timed.piece >= 0
        spans = np.column_stack([time[timed.nominal] for time in self.move_times])
        times = np.column_stack([pieces.start, pieces.end])
        spans[is_piece] = times[timed.piece[is_piece]]
        done = np.cumsum(taken)
        corrected = np.column_stack([done - taken, done])
        return Clock(np.maximum.accumulate(corrected.ravel()), np.maximum.accumulate(spans.ravel()))

    def _learn(
        self,
        windows: Sequence[LayerWindow],
        scores: Sequence[Scores],
        planned: Plan,
        clock: Clock,
        ends: _PieceEnds,
        change: Floats,
    ) -> None:
        """Score some windows as planned, and find how their pieces' ends should move; in place."""
        sampled = self.ensemble.map(lambda w: self._sampled(w, planned, clock), windows)
        commanded = [trajectory.position for trajectory in sampled]
        modelled = self.ensemble.modelled(commanded)
        times = [clock.to_nominal(trajectory.time) for trajectory in sampled]
        motions = self.ensemble.simulated(commanded)
        smoothing = Smoothing.of(self.ensemble.printer, self.learning.cutoff, self.ensemble.rate)

        def step(i: int) -> Floats:
            window, time, motion = windows[i], times[i], motions[i]
            core = window.contains(time)
            judge = self.score(time[core])
            actual = motion.positions + (modelled[i] - motion.positions[0])
            scores[i].add([judge(xy[core]) for xy in actual])
            return learning_step(
                actual - self.nominal.asked(time)[:, :2],
                motion.responses,
                self.ensemble.weights,
                self.restrict(time, window.begin, window.end),
                smoothing,
            )

        for i, values in enumerate(self.ensemble.map(step, range(len(windows)))):
            after = ends.asked > windows[i].begin
            inside = np.flatnonzero(after & (ends.asked <= windows[i].end))
            at = clock.to_corrected(ends.asked[inside])
            change[inside] = _interpolated(at, sampled[i].time, _smoothed(values))

    def _sampled(self, window: LayerWindow, planned: Plan, clock: Clock) -> Trajectory:
        start, stop = clock.to_corrected(np.array([window.lead_in, window.lead_out]))
        return sample(planned, self.ensemble.rate, float(start), float(stop))


def bounded(offset: Floats, base: Floats, most: float, bed: Bed) -> Floats:
    """Return corrections no longer than the largest, and that lead to no place off the bed.

    Parameters
    ----------
    offset : (N, 2)
        Corrections, mm.
    base : (N, 2)
        What they correct, mm; what is off the bed already may stay there.
    most
        The largest correction, mm.
    bed
        In the coordinates of ``base``.
    """
    size = np.linalg.norm(offset, axis=1, keepdims=True)
    shorter = offset * np.minimum(1.0, most / np.maximum(size, most))
    return np.asarray(bed.held(base + shorter, base) - base)


def _moved(segmentation: Segmentation, xy: Floats) -> Segmentation:
    target = segmentation.pieces.target.copy()
    target[:, :2] = xy
    return replace(segmentation, pieces=replace(segmentation.pieces, target=target))


def _smoothed(values: Floats) -> Floats:
    """Average over neighbours, so that a piece's end hears the samples around it."""
    result = values.copy()
    result[1:-1] = 0.25 * values[:-2] + 0.5 * values[1:-1] + 0.25 * values[2:]
    return result


def _interpolated(wanted: Floats, time: Floats, values: Floats) -> Floats:
    return np.column_stack([np.interp(wanted, time, values[:, i]) for i in range(2)])
