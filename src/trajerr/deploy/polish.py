"""Learn on with the planner in the loop: move the knots of what will really be written.

The first iteration (:mod:`trajerr.deploy.learning`) corrects a trajectory on a fine uniform
grid. What is written has fewer knots, and between them the firmware speeds up and slows
down in its own way. Here the pieces are planned as the firmware will plan them, the error
is predicted for that motion, and each knot moves against the error around it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from trajerr.data.collection import lead_in
from trajerr.deploy.belief import Belief, with_variation
from trajerr.deploy.feedrates import Driven, assemble, keep_time
from trajerr.deploy.inverse import learning_step
from trajerr.deploy.joins import Joins, Role
from trajerr.deploy.knots import Cut, EmissionSettings
from trajerr.deploy.learning import REFRESH, LearningSettings, Restrict, Score, Scores
from trajerr.motion.limits import MachineLimits
from trajerr.motion.planner import Plan
from trajerr.motion.sampling import sample
from trajerr.motion.trajectory import Trajectory

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

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
class _Window:
    """One layer while its knots move."""

    lead_in: float  # s of the nominal plan, from which its motion is sampled
    begin: float  # s
    finish: float  # s
    time: Floats = field(default_factory=lambda: np.zeros(1))  # (T,) s of the nominal plan
    variation: Floats = field(default_factory=lambda: np.zeros((0, 1, 2)))  # (V − 1, T, 2) mm

    def variation_at(self, time: Floats) -> Floats:
        """Return the differences within a family at other times."""
        columns = [_interpolated(time, self.time, values) for values in self.variation]
        return np.stack(columns) if columns else np.zeros((0, len(time), 2))


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
    bed: Floats  # (2,) mm, reach of x and y from 0

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
        chosen = self._chosen(windows)
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
            for first in range(0, len(spans), self.learning.batch):
                rows = slice(first, first + self.learning.batch)
                self._learn(windows[rows], scores[rows], planned, clock, knots, change, iteration)
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
        base = self.nominal.position(time)[:, :2]
        offset = division.pieces.target[:, :2] - base
        asked = time.copy()
        for hold in self.joins.holds:
            if hold.after == Role.CORRECTED and hold.before != Role.CORRECTED:
                first = np.searchsorted(time, hold.start - 1e-9)
                last = np.searchsorted(time, hold.start + 1e-9)
                asked[first:last] = hold.end
        return _Knots(time, asked, base, offset, offset.copy(), np.ones(len(time)))

    def _chosen(self, windows: Sequence[_Window]) -> Bools:
        """Return (M,) the moves around the given layers."""
        start, end = self.move_times
        chosen = np.zeros(len(start), dtype=np.bool_)
        for window in windows:
            first = np.searchsorted(end, window.lead_in - MARGIN)
            last = np.searchsorted(start, window.finish + self.learning.lead_out_s + MARGIN)
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
        iteration: int,
    ) -> None:
        """Score some layers as planned, and find how their knots should move; in place."""
        sampled = [self._sampled(window, planned, clock) for window in windows]
        commanded = [trajectory.position for trajectory in sampled]
        modelled = self.belief.modelled(commanded)
        times = [clock.to_nominal(trajectory.time) for trajectory in sampled]
        if iteration % REFRESH == 0:
            varied = self.belief.variation(commanded)
            for window, time, values in zip(windows, times, varied, strict=True):
                window.time, window.variation = time, values
        variation = [w.variation_at(time) for w, time in zip(windows, times, strict=True)]
        actual = with_variation(modelled, variation)
        for i, window in enumerate(windows):
            core = (times[i] >= window.begin) & (times[i] < window.finish)
            judge = self.score(times[i][core])
            scores[i].add([judge(xy[core]) for xy in actual[i]])
            step = learning_step(
                actual[i] - self.nominal.position(times[i])[:, :2],
                self.belief.members,
                self.belief.weights,
                self.restrict(times[i], window.begin, window.finish),
                self.belief.rate,
                self.learning.cutoff,
            )
            inside = np.flatnonzero((knots.asked > window.begin) & (knots.asked <= window.finish))
            at = clock.to_corrected(knots.asked[inside])
            change[inside] = _interpolated(at, sampled[i].time, _smoothed(step))

    def _sampled(self, window: _Window, planned: Plan, clock: Clock) -> Trajectory:
        learning = self.learning
        reach = np.array([window.lead_in, window.finish + learning.lead_out_s])
        start, stop = clock.to_corrected(reach)
        return sample(planned, self.belief.rate, float(start), float(stop))


def bounded(offset: Floats, base: Floats, most: float, bed: Floats) -> Floats:
    """Return corrections no longer than the largest, and that lead to no place off the bed.

    Parameters
    ----------
    offset : (N, 2)
        Corrections, mm.
    base : (N, 2)
        What they correct, mm; what is off the bed already may stay there.
    most
        The largest correction, mm.
    bed : (2,)
        Reach of x and y from 0, mm.
    """
    size = np.linalg.norm(offset, axis=1, keepdims=True)
    shorter = offset * np.minimum(1.0, most / np.maximum(size, most))
    place = np.clip(base + shorter, np.minimum(base, 0.0), np.maximum(base, bed))
    return np.asarray(place - base)


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
