"""Learn on with the planner in the loop: move the knots of what will really be written.

The first iteration (:mod:`trajerr.deploy.learning`) corrects a trajectory on a fine uniform
grid. What is written has fewer knots, and between them the firmware speeds up and slows
down in its own way. Here the pieces are planned as the firmware will plan them, the error
is predicted for that motion, and each knot moves against the error around it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trajerr.deploy.belief import Belief
from trajerr.deploy.feedrates import Driven, assemble, keep_time
from trajerr.deploy.inverse import learning_step
from trajerr.deploy.joins import Joins, Role
from trajerr.deploy.knots import Cut, EmissionSettings
from trajerr.deploy.learning import LearningSettings, Restrict, Score, Scores
from trajerr.motion.limits import MachineLimits
from trajerr.motion.planner import Plan
from trajerr.motion.sampling import sample

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


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
class Polisher:
    """What moving the knots needs to know beside the knots."""

    belief: Belief
    nominal: Plan
    joins: Joins
    restrict: Restrict
    limits: MachineLimits
    move_end: Floats  # (M,) s, when each nominal move ends
    score: Score
    learning: LearningSettings
    emission: EmissionSettings
    bound: float  # mm, the largest correction
    bed: Floats  # (2,) mm, reach of x and y from 0

    def drive(self, division: Cut, speeds: Floats | None, rounds: int) -> Driven:
        """Return the corrected program's moves, each piece timed."""
        driven = assemble(self.nominal, division, self.limits, self.emission, speeds)
        return keep_time(driven, self.limits, rounds)

    def clock(self, driven: Driven, division: Cut) -> tuple[Plan, Clock]:
        """Return the plan of the corrected program, and how its time maps to the nominal."""
        planned, taken = driven.planned(self.limits)
        is_piece = driven.piece >= 0
        ends = self.move_end[driven.nominal]
        ends[is_piece] = division.pieces.end[driven.piece[is_piece]]
        corrected = np.concatenate([[0.0], np.cumsum(taken)])
        nominal = np.concatenate([[0.0], np.maximum.accumulate(ends)])
        return planned, Clock(corrected, nominal)

    def _base(self, division: Cut) -> Floats:
        return self.nominal.position(division.pieces.end)[:, :2]

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
        knots = division.pieces.end
        acts = self.joins.weight(knots)[:, None] > 0.0
        base = self._base(division)
        asked = self._asked_at(knots)
        offset = division.pieces.target[:, :2] - base
        best = offset.copy()
        scores = [Scores(self.belief.weights) for _ in spans]
        speeds: Floats | None = None
        for iteration in range(self.learning.planned_iterations + 1):
            driven = self.drive(_moved(division, base + offset), speeds, 4 if speeds is None else 2)
            speeds = driven.program.moves.feedrate
            planned, clock = self.clock(driven, division)
            change = np.zeros_like(offset)
            for first in range(0, len(spans), self.learning.batch):
                rows = range(first, min(first + self.learning.batch, len(spans)))
                self._learn(rows, spans, planned, clock, asked, scores, change)
            for row, (begin, finish) in enumerate(spans):
                if scores[row].best == iteration:
                    inside = (knots > begin) & (knots <= finish)
                    best[inside] = offset[inside]
            if iteration < self.learning.planned_iterations:
                offset = self._bounded(offset - self.learning.gain * change * acts, base)
        return _moved(division, base + best), scores

    def _learn(
        self,
        rows: range,
        spans: Sequence[tuple[float, float]],
        planned: Plan,
        clock: Clock,
        asked: Floats,
        scores: list[Scores],
        change: Floats,
    ) -> None:
        """Score some layers as planned, and find how their knots should move; in place."""
        windows = []
        for row in rows:
            begin, finish = spans[row]
            reach = np.array([begin - self.learning.lead_in_s, finish + self.learning.lead_out_s])
            start, stop = clock.to_corrected(reach)
            windows.append(sample(planned, self.belief.rate, float(start), float(stop)))
        actual = self.belief.actual([w.position for w in windows])
        for row, window, positions in zip(rows, windows, actual, strict=True):
            begin, finish = spans[row]
            time = clock.to_nominal(window.time)
            core = (time >= begin) & (time < finish)
            scores[row].add([self.score(time[core], xy[core]) for xy in positions])
            step = learning_step(
                positions - self.nominal.position(time)[:, :2],
                self.belief.members,
                self.belief.weights,
                self.restrict(time, begin, finish),
                self.belief.rate,
                self.learning.cutoff,
            )
            step = _smoothed(step)
            inside = np.flatnonzero((asked > begin) & (asked <= finish))
            at = clock.to_corrected(asked[inside])
            for axis in range(2):
                change[inside, axis] = np.interp(at, window.time, step[:, axis])

    def _asked_at(self, knots: Floats) -> Floats:
        """Return when each knot's position matters: after a hold, where a wall follows it."""
        asked = knots.copy()
        for hold in self.joins.holds:
            if hold.after == Role.CORRECTED and hold.before != Role.CORRECTED:
                asked[np.abs(knots - hold.start) < 1e-9] = hold.end
        return asked

    def _bounded(self, offset: Floats, base: Floats) -> Floats:
        return bounded(offset, base, self.bound, self.bed)


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
