"""Learn on with the planner in the loop: what will be written, as firmware will plan it.

The first iteration corrects a trajectory on a fine uniform grid. What is written are fewer, longer
pieces, within which the firmware speeds up and slows down in its own way. Here the pieces' ends
follow the correction, the pieces are planned as the firmware will plan them, and the error is
predicted for that motion.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from trajerr.arrays import Bools, Floats
from trajerr.correction.feedrates import TimedProgram, assemble, keep_time
from trajerr.correction.layer_windows import LayerWindow, batches
from trajerr.correction.learning import (
    Learned,
    Learning,
    Prediction,
    Progress,
    Tell,
    bounded,
    untold,
)
from trajerr.correction.nozzle import FINER
from trajerr.correction.pieces import EmissionSettings, Segmentation
from trajerr.correction.regions import Role
from trajerr.correction.steps import on_steps
from trajerr.inversion.response import Response
from trajerr.motion.bed import Bed
from trajerr.motion.limits import MachineLimits
from trajerr.motion.planner import Plan
from trajerr.motion.sampling import sample
from trajerr.motion.trajectory import Trajectory

FIRST_ROUNDS = 3  # of timing the pieces before the first iteration; then one in each
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


class Polisher:
    """The ends of K pieces while they move.

    Parameters
    ----------
    learning
        The windows, and how their correction is learned.
    windows
        The same on the nominal plan's clock.
    segmentation
        The pieces to begin with.
    correction : (N, 2)
        What they were made from, mm at the windows' samples.
    emission
        Limits while pieces run.
    """

    def __init__(
        self,
        learning: Learning,
        windows: Sequence[LayerWindow],
        segmentation: Segmentation,
        correction: Floats,
        emission: EmissionSettings,
    ) -> None:
        self.segmentation = segmentation
        self._learning, self._windows, self._emission = learning, windows, emission
        self._scope, self._start = learning.scope, correction.copy()
        time = segmentation.pieces.end
        self._base = self._scope.nominal.asked(time)[:, :2]
        self._first = segmentation.pieces.target[:, :2] - self._base
        self._acts = self._scope.region.weight(time)[:, None] > 0.0
        self._asked = self._when_asked(time)
        self._feed_factor = np.ones(len(time))  # (K,) each piece's feedrate over its mean speed

    def polish(self, learned: Sequence[Learned], iterations: int, tell: Tell = untold) -> None:
        """Move the pieces' ends.

        Parameters
        ----------
        learned
            What was known before.
        iterations
            At most.
        tell
            Is told, after each iteration, how many windows of how many are as good as done.
        """
        result, begun = self._start.copy(), self._feed_factor.copy()
        progress = Progress(tell, len(self._windows))

        def polished(together: slice) -> None:
            windows = range(together.start, together.stop)
            responses = [learned[i].response for i in windows]
            correction = self._polished(windows, responses, begun, iterations, progress)
            for rows in self._learning.sampled.rows[together]:
                result[rows.own] = correction[rows.own]

        groups = batches(self._lengths, self._learning.settings.batch)
        self._learning.nozzle.map_groups(polished, groups)
        self.segmentation = self._moved(result, slice(None))

    def _polished(
        self,
        windows: range,
        responses: Sequence[Response],
        feed_factor: Floats,
        iterations: int,
        progress: Progress,
    ) -> Floats:
        """Return the (N, 2) correction of some windows, planned together, the others' as it was."""
        correction, limits = self._start.copy(), self._limits
        chosen, rows = self._chosen(windows), [self._learning.sampled.rows[i] for i in windows]
        around = slice(rows[0].whole.start, rows[-1].whole.stop)
        timed, _ = self._timed(correction, chosen, around)
        tried = [keep_time(timed, limits, feed_factor, FIRST_ROUNDS)[1]]
        step = len(windows) / (iterations + 1)

        def predict(correction: Floats, active: Sequence[int]) -> list[Prediction]:
            timed, moved = self._timed(correction, chosen, around)
            planned, taken = timed.at(tried[-1]).planned(limits)
            tried.append(timed.adjusted(tried[-1], planned, taken))
            progress.add(step)
            return self._predicted(active, planned, self._clock(timed, taken, moved))

        gain = self._learning.settings.planned_gain
        found = self._learning.iterate(correction, windows, responses, predict, iterations, gain)
        for window, each in zip(windows, found, strict=True):
            self._keep(window, tried[each.best])
        progress.add(len(windows) - step * (len(tried) - 1))
        return correction

    def _keep(self, window: int, feed_factor: Floats) -> None:
        """Keep the feedrates with which a window's pieces were best."""
        time, own = self.segmentation.pieces.end, self._windows[window]
        inside = slice(*np.searchsorted(time, [own.begin, own.end], side="right"))
        self._feed_factor[inside] = feed_factor[inside]

    def timed(self, segmentation: Segmentation) -> TimedProgram:
        """Return the whole corrected program, each of its pieces timed."""
        whole = assemble(self._scope.nominal, segmentation, self._limits, self._emission)
        return whole.at(self._feed_factor)

    def forecast(self, segmentation: Segmentation, timed: TimedProgram) -> list[float]:
        """Return each window's score with the pieces at the feedrates that they will have, mm.

        Of each window the best that any iteration found is kept, at the feedrates of that
        iteration; what all of them do together, firmware decides.

        Parameters
        ----------
        segmentation
            The pieces.
        timed
            The whole program with its pieces.
        """
        planned, taken = timed.planned(self._limits)
        clock = self._clock(timed, taken, segmentation)
        windows = range(len(self._windows))
        return [each.own_mm for each in self._predicted(windows, planned, clock, finely=True)]

    @property
    def _limits(self) -> MachineLimits:
        return self._scope.original.printer.limits

    @property
    def _lengths(self) -> list[int]:
        """Samples of each window."""
        return [len(rows) for rows in self._learning.sampled.rows]

    def _chosen(self, windows: Sequence[int]) -> Bools:
        """Return (M,) the moves in and around some windows."""
        start, end = self._scope.move_start, self._scope.move_end
        chosen = np.zeros(len(start), dtype=np.bool_)
        for window in (self._windows[i] for i in windows):
            first = np.searchsorted(end, window.lead_in - MARGIN)
            last = np.searchsorted(start, window.lead_out + MARGIN)
            chosen[first:last] = True
        return chosen

    def _timed(
        self, correction: Floats, chosen: Bools, around: slice
    ) -> tuple[TimedProgram, Segmentation]:
        moved, nominal = self._moved(correction, around), self._scope.nominal
        return assemble(nominal, moved, self._limits, self._emission, chosen), moved

    def _moved(self, correction: Floats, around: slice) -> Segmentation:
        """Return the pieces whose ends have followed a correction from where it was.

        Only those that end around some of its samples; the others end where they did.
        """
        time = self._learning.sampled.time[around]
        ends = slice(0, len(self._asked))
        if around != slice(None):
            ends = slice(*np.searchsorted(self._asked, time[[0, -1]]).tolist())
        change = correction[around] - self._start[around]
        moved = _interpolated(self._asked[ends], time, change) * self._acts[ends]
        # Between the samples at which it was bounded, a correction may leave its bounds.
        bed, most = Bed(self._scope.original.printer.bed_mm), self._learning.most_mm
        base = self._base[ends]
        pieces = self.segmentation.pieces
        target = pieces.target.copy()
        target[ends, :2] = base + bounded(self._first[ends] + moved, base, most, bed)
        step = 1.0 / min(self._limits.steps_per_mm[:2])
        beside = [target[ends, :2] + sense * step for sense in (-1.0, 1.0)]
        free = np.linalg.norm(target[ends, :2] - base, axis=1) < most - step
        free &= np.all([np.all(bed.held(xy, base) == xy, axis=1) for xy in beside], axis=0)
        segmentation = replace(self.segmentation, pieces=replace(pieces, target=target))
        return on_steps(segmentation, ends, free, self._scope.nominal.program.moves, self._limits)

    def _clock(self, timed: TimedProgram, taken: Floats, segmentation: Segmentation) -> Clock:
        """Return how the time of a corrected plan maps to the nominal one."""
        pieces, is_piece = segmentation.pieces, timed.piece >= 0
        moves = (self._scope.move_start, self._scope.move_end)
        spans = np.column_stack([time[timed.nominal] for time in moves])
        times = np.column_stack([pieces.start, pieces.end])
        spans[is_piece] = times[timed.piece[is_piece]]
        done = np.cumsum(taken)
        corrected = np.column_stack([done - taken, done])
        return Clock(np.maximum.accumulate(corrected.ravel()), np.maximum.accumulate(spans.ravel()))

    def _predicted(
        self, windows: Sequence[int], planned: Plan, clock: Clock, *, finely: bool = False
    ) -> list[Prediction]:
        """Return where the nozzle will be in some windows as planned; finely, between samples too.

        Firmware may brake within a piece, for less than a sample.
        """
        nozzle, lengths = self._learning.nozzle, self._lengths
        result: list[Prediction] = []
        for part in batches([lengths[i] for i in windows], self._learning.settings.batch):
            chosen = windows[part]
            motions = nozzle.map(lambda i: self._sampled(self._windows[i], planned, clock), chosen)
            commanded = [motion.position for motion in motions]
            positions = nozzle.positions(commanded)
            if finely:
                fine = nozzle.map(partial(_finer, planned), motions)
                unseen = nozzle.map(nozzle.unseen, commanded, fine)
                positions = [xy + more for xy, more in zip(positions, unseen, strict=True)]
            aimed = nozzle.aimed(commanded, positions)
            result += nozzle.map(partial(self._judged, clock), chosen, motions, positions, aimed)
        return result

    def _judged(
        self, clock: Clock, window: int, motion: Trajectory, positions: Floats, aimed: Floats
    ) -> Prediction:
        """Judge a window's motion at its own samples; its error is on the nominal clock."""
        time = clock.to_nominal(motion.time)
        core = self._windows[window].contains(time)
        error = aimed - self._scope.nominal.asked(time)[:, :2]
        sampled = self._learning.sampled
        at = clock.to_corrected(sampled.time[sampled.rows[window].whole])
        error = _interpolated(at, motion.time, error)
        return Prediction.of(error, self._scope.walls.at(time[core]), positions, aimed, core)

    def _sampled(self, window: LayerWindow, planned: Plan, clock: Clock) -> Trajectory:
        start, stop = clock.to_corrected(np.array([window.lead_in, window.lead_out]))
        return sample(planned, self._learning.nozzle.rate, float(start), float(stop))

    def _when_asked(self, time: Floats) -> Floats:
        """Return when the position of each end matters: after a hold if a wall follows, s."""
        asked = time.copy()
        for hold in self._scope.region.holds:
            if hold.after == Role.CORRECTED and hold.before != Role.CORRECTED:
                first = np.searchsorted(time, hold.start - 1e-9)
                last = np.searchsorted(time, hold.start + 1e-9)
                asked[first:last] = hold.end
        return asked


def _interpolated(wanted: Floats, time: Floats, values: Floats) -> Floats:
    return np.column_stack([np.interp(wanted, time, values[:, i]) for i in range(2)])


def _finer(planned: Plan, motion: Trajectory) -> Floats:
    """Return the (N, 2) positions of a sampled motion in mm, on a finer grid."""
    begin, end = (motion.time[[0, -1]]).tolist()
    return sample(planned, FINER * motion.sample_rate, begin, end).position[:, :2]
