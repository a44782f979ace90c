"""Learn on with the planner in the loop: move the knots of what will really be written.

The first iteration (:mod:`trajerr.correction.learning`) corrects a trajectory on a fine uniform
grid. What is written has fewer knots, and between them the firmware speeds up and slows
down in its own way. Here the pieces are planned as the firmware will plan them, the error
is predicted for that motion, and each knot moves against the error around it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trajerr.arrays import Bools, Floats
from trajerr.correction.feedrates import Driven, assemble, keep_time
from trajerr.correction.inverse import Smoothing, learning_step
from trajerr.correction.learning import LearningSettings, Restrict, Score, Scores
from trajerr.correction.pieces import Cut, EmissionSettings
from trajerr.correction.printer_ensemble import Belief
from trajerr.correction.regions import Joins, Role
from trajerr.correction.windows import batches
from trajerr.motion.bed import Bed
from trajerr.motion.lead_in import lead_in
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


@dataclass(frozen=True)
class _Window:
    """One layer, or a part of a long one, while its knots move."""

    lead_in: float  # s of the nominal plan, from which its motion is sampled
    begin: float  # s
    finish: float  # s


@dataclass
class _Knots:
    """The knots while they move, and what is known of them."""

    time: Floats  # (K,) s
    asked: Floats  # (K,) s, when a knot's position matters: after a hold if a wall follows
    base: Floats  # (K, 2) mm, the nominal position
    offset: Floats  # (K, 2) mm
    best: Floats  # (K, 2) mm
    haste: Floats  # (K,) multiple of the mean speed at which a piece is driven


@dataclass(frozen=True)
class Polisher:
    """What moving the knots needs to know beside the knots."""

    belief: Belief
    nominal: Plan
    joins: Joins
    restrict: Restrict
    limits: MachineLimits
    move_times: tuple[Floats, Floats]  # (M,) s each, when nominal moves begin and end
    score: Score
    learning: LearningSettings
    emission: EmissionSettings
    bound: float  # mm, the largest correction
    bed: Bed

    def polish(
        self, division: Cut, spans: Sequence[tuple[float, float]]
    ) -> tuple[Cut, list[Scores]]:
        """Move the knots of the given layers; return the best knots and all scores.

        Parameters
        ----------
        division
            The pieces to begin with.
        spans
            When each layer to correct begins and ends, s of the nominal plan.
        """
        knots = self._knots(division)
        acts = self.joins.weight(knots.time)[:, None] > 0.0
        windows = [_Window(lead_in(self.nominal, span[0]), *span) for span in spans]
        lengths = [int((w.finish - w.lead_in) * self.belief.rate) for w in windows]
        chosen = self.chosen(spans)
        scores = [Scores(self.belief.weights) for _ in spans]
        for iteration in range(self.learning.planned_iterations + 1):
            driven = assemble(
                self.nominal,
                _moved(division, knots.base + knots.offset),
                self.limits,
                self.emission,
                chosen,
            )
            if iteration == 0:
                _, knots.haste = keep_time(driven, self.limits, knots.haste, FIRST_ROUNDS)
            planned, taken = driven.at(knots.haste).planned(self.limits)
            clock = self._clock(driven, division, taken)
            change = np.zeros_like(knots.offset)
            for rows in batches(lengths, self.learning.batch):
                self._learn(windows[rows], scores[rows], planned, clock, knots, change)
            for (begin, finish), values in zip(spans, scores, strict=True):
                if values.best == iteration:
                    inside = (knots.time > begin) & (knots.time <= finish)
                    knots.best[inside] = knots.offset[inside]
            moved = knots.offset - self.learning.gain * change * acts
            knots.offset = bounded(moved, knots.base, self.bound, self.bed)
            knots.haste = driven.hastened(knots.haste, taken)
        return _moved(division, knots.base + knots.best), scores

    def _knots(self, division: Cut) -> _Knots:
        time = division.pieces.end
        base = self.nominal.asked(time)[:, :2]
        # Between the samples at which it was bounded, a correction may leave its bounds.
        offset = bounded(division.pieces.target[:, :2] - base, base, self.bound, self.bed)
        asked = time.copy()
        for hold in self.joins.holds:
            if hold.after == Role.CORRECTED and hold.before != Role.CORRECTED:
                first = np.searchsorted(time, hold.start - 1e-9)
                last = np.searchsorted(time, hold.start + 1e-9)
                asked[first:last] = hold.end
        return _Knots(time, asked, base, offset, offset.copy(), np.ones(len(time)))

    def chosen(self, spans: Sequence[tuple[float, float]]) -> Bools:
        """Return (M,) the moves in and around the layers with the given spans, s."""
        start, end = self.move_times
        chosen = np.zeros(len(start), dtype=np.bool_)
        for begin, finish in spans:
            first = np.searchsorted(end, lead_in(self.nominal, begin) - MARGIN)
            last = np.searchsorted(start, finish + self.learning.lead_out_s + MARGIN)
            chosen[first:last] = True
        return chosen

    def _clock(self, driven: Driven, division: Cut, taken: Floats) -> Clock:
        """Return how the time of a corrected plan maps to the nominal one."""
        is_piece = driven.piece >= 0
        piece = driven.piece[is_piece]
        spans = np.column_stack([times[driven.nominal] for times in self.move_times])
        spans[is_piece] = np.column_stack([division.pieces.start, division.pieces.end])[piece]
        done = np.cumsum(taken)
        corrected = np.column_stack([done - taken, done])
        return Clock(np.maximum.accumulate(corrected.ravel()), np.maximum.accumulate(spans.ravel()))

    def _learn(
        self,
        windows: Sequence[_Window],
        scores: Sequence[Scores],
        planned: Plan,
        clock: Clock,
        knots: _Knots,
        change: Floats,
    ) -> None:
        """Score some layers as planned, and find how their knots should move; in place."""
        sampled = self.belief.map(lambda w: self._sampled(w, planned, clock), windows)
        commanded = [trajectory.position for trajectory in sampled]
        modelled = self.belief.modelled(commanded)
        times = [clock.to_nominal(trajectory.time) for trajectory in sampled]
        families = self.belief.family(commanded)
        smoothing = Smoothing.of(self.belief.printer, self.learning.cutoff, self.belief.rate)

        def step(i: int) -> Floats:
            window, time, family = windows[i], times[i], families[i]
            core = (time >= window.begin) & (time < window.finish)
            judge = self.score(time[core])
            actual = family.positions + (modelled[i] - family.positions[0])
            scores[i].add([judge(xy[core]) for xy in actual])
            return learning_step(
                actual - self.nominal.asked(time)[:, :2],
                family.responses,
                self.belief.weights,
                self.restrict(time, window.begin, window.finish),
                smoothing,
            )

        for i, values in enumerate(self.belief.map(step, range(len(windows)))):
            after = knots.asked > windows[i].begin
            inside = np.flatnonzero(after & (knots.asked <= windows[i].finish))
            at = clock.to_corrected(knots.asked[inside])
            change[inside] = _interpolated(at, sampled[i].time, _smoothed(values))

    def _sampled(self, window: _Window, planned: Plan, clock: Clock) -> Trajectory:
        learning = self.learning
        reach = np.array([window.lead_in, window.finish + learning.lead_out_s])
        start, stop = clock.to_corrected(reach)
        return sample(planned, self.belief.rate, float(start), float(stop))


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


def _moved(division: Cut, xy: Floats) -> Cut:
    target = division.pieces.target.copy()
    target[:, :2] = xy
    return replace(division, pieces=replace(division.pieces, target=target))


def _smoothed(values: Floats) -> Floats:
    """Average over neighbours, so that a knot hears the samples around it."""
    result = values.copy()
    result[1:-1] = 0.25 * values[:-2] + 0.5 * values[1:-1] + 0.25 * values[2:]
    return result


def _interpolated(wanted: Floats, time: Floats, values: Floats) -> Floats:
    return np.column_stack([np.interp(wanted, time, values[:, i]) for i in range(2)])
