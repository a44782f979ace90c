"""Iterative learning on windows of a print: find the correction that puts the nozzle on its path.

Knows windows on a uniform grid and something that says where the nozzle will be; nothing of
G-code. The same iteration (:mod:`trajerr.inversion`) corrects a trajectory first, then the pieces
that will be written, as firmware will plan them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from threading import Lock
from typing import Self

import numpy as np

from trajerr.arrays import Bools, Floats
from trajerr.correction.layer_windows import SampledWindows, WindowRows, batches
from trajerr.correction.nozzle import Nozzle
from trajerr.correction.scope import Judge, Scope
from trajerr.correction.settings import Band, LearningSettings
from trajerr.inversion.least_squares import LowPass
from trajerr.inversion.response import Response, measure
from trajerr.inversion.search import Search
from trajerr.motion.bed import Bed

MOST_PROBED = 0.45  # of the sample rate
POOR = 0.3  # of its first score, at which a window gets half of the iterations at least
ROUNDING = 1e-6  # of a sum of shares
ENOUGH = 0.1  # of its first score, at which a trajectory goes on as pieces


@dataclass(frozen=True)
class Prediction:
    """Where the nozzle will be along one window's samples."""

    error: Floats  # (T, 2) mm, of the mean of a family around the modelled printer
    own_mm: float  # what the modelled printer's score is
    aimed_mm: float  # and the family's

    @classmethod
    def of(
        cls,
        error: Floats,
        judge: Judge,
        positions: Floats,
        aimed: Floats,
        core: slice | Bools,
    ) -> Self:
        """Return a prediction from its error and from (T, 2) positions, judged in their core."""
        own = judge(positions[core])
        return cls(error, own, own if aimed is positions else judge(aimed[core]))


Predict = Callable[[Floats, Sequence[int]], list[Prediction]]
Tell = Callable[[int, int], None]


def untold(done: int, total: int) -> None:
    """Tell nobody how far it is."""


class Progress:
    """Tells how far some threads are together, whichever is done first.

    Parameters
    ----------
    tell
        Is told how much of how much is done, never less than before; by one thread at a time.
    total
        How much there is to do.
    """

    def __init__(self, tell: Tell, total: int) -> None:
        self._tell, self._total = tell, total
        self._done, self._lock = 0.0, Lock()

    def add(self, done: float) -> None:
        """Tell that so much more is done."""
        with self._lock:
            self._done += done
            self._tell(int(self._done + ROUNDING), self._total)


@dataclass(frozen=True)
class Learned:
    """What was found for one window."""

    response: Response  # as learned on the way
    before_mm: float  # the modelled printer's score without any change
    best: int = 0  # the iteration that found what was kept


@dataclass(frozen=True)
class Learning:
    """The windows of a print, and how their correction is learned.

    Parameters
    ----------
    scope
        Where a correction may act, and what it is judged by.
    sampled
        The windows, in order of time, as the file commands them; at the nozzle's rate.
    nozzle
        Says where the nozzle will be.
    settings
        Gain, iterations, batches.
    most_mm
        The largest correction.
    """

    scope: Scope
    sampled: SampledWindows
    nozzle: Nozzle
    settings: LearningSettings
    most_mm: float

    @cached_property
    def _band(self) -> Band:
        return self.settings.within(self.nozzle.model.band_hz)

    @cached_property
    def _wanted(self) -> Floats:
        """(N, 2) mm, where the file wants the nozzle at the windows' samples."""
        return np.asarray(self.scope.nominal.asked(self.sampled.time)[:, :2])

    def learn(self, tell: Tell = untold) -> tuple[Floats, list[Learned]]:
        """Return the (N, 2) correction of the trajectory, mm, and what is known of each window.

        Parameters
        ----------
        tell
            Is told, after each batch, how many windows of how many are done; by one at a time.
        """
        correction = np.zeros((len(self.sampled.time), 2))
        progress = Progress(tell, len(self.sampled.rows))

        def learned(chosen: slice) -> list[Learned]:
            # Groups begin alike, whichever is done first: none sees what another has come to.
            own = np.zeros_like(correction)
            found = self._learned(range(chosen.start, chosen.stop), own)
            for rows in self.sampled.rows[chosen]:
                correction[rows.own] = own[rows.own]
            progress.add(len(found))
            return found

        lengths = [len(rows) for rows in self.sampled.rows]
        groups = self.nozzle.map_groups(learned, batches(lengths, self.settings.batch))
        return correction, list(chain.from_iterable(groups))

    def _learned(self, windows: range, correction: Floats) -> list[Learned]:
        """Learn the correction of some windows, in place."""
        judges = {i: self._judge(i) for i in windows}
        commanded = [self.commanded(correction, i) for i in windows]
        predict, rate, how = self.nozzle.positions, self.nozzle.rate, self.settings
        probed, before = min(self._band.probed_hz, MOST_PROBED * rate), predict(commanded)
        firsts = [self.sampled.rows[i].core.start for i in windows]  # what leads in stays
        responses = measure(predict, commanded, rate, probed, before=before, firsts=firsts)
        first = self._judged(judges, windows, commanded, before)
        learn = partial(self._predicted, judges)
        return self.iterate(
            correction, windows, responses, learn, how.iterations, how.gain, ENOUGH, first
        )

    def commanded(self, correction: Floats, window: int) -> Floats:
        """Return the (T, 3) command of a window, mm, with its part of an (N, 2) correction."""
        whole = self.sampled.rows[window].whole
        result = self.sampled.nominal[whole].copy()
        result[:, :2] += correction[whole]
        return result

    def iterate(
        self,
        correction: Floats,
        windows: Sequence[int],
        responses: Sequence[Response],
        predict: Predict,
        iterations: int,
        gain: float,
        enough: float = 0.0,
        first: Sequence[Prediction] = (),
    ) -> list[Learned]:
        """Improve the correction of some windows in place, and keep the best.

        Parameters
        ----------
        correction : (N, 2)
            mm, added to the nominal position.
        windows
            Their numbers, in order.
        responses
            How the nozzle answers in each.
        predict
            Returns where the nozzle will be with a correction, for each of some windows.
        iterations
            At most.
        gain
            Share of the learning filter's change that the first of them takes.
        enough
            Share of its first score at which a window is done.
        first
            What ``predict`` says of the correction as it is, where that is known.
        """
        rows = [self.sampled.rows[i] for i in windows]
        searches = [self._search(*pair, gain) for pair in zip(rows, responses, strict=True)]
        before: list[float] = []
        active = list(range(len(rows)))
        for iteration in range(iterations + 1):
            found = first or predict(correction, [windows[k] for k in active])
            first = ()
            before = before or [prediction.own_mm for prediction in found]
            for k, prediction in zip(active, found, strict=True):
                change = correction[rows[k].whole].copy()
                searches[k].note(change, prediction.error, prediction.aimed_mm)
            done = {k for k in active if self._is_done(searches[k], enough)}
            for k in active if iteration == iterations else done:
                correction[rows[k].own] = searches[k].found[rows[k].core]
            active = [k for k in active if k not in done]
            if iteration == iterations or not active:
                break
            changes = self.nozzle.map(lambda k: searches[k].next()[rows[k].core], active)
            for k, change in zip(active, changes, strict=True):
                correction[rows[k].own] = change
                self.bound(correction, rows[k].own)
        return [
            Learned(search.response, score, search.best)
            for search, score in zip(searches, before, strict=True)
        ]

    def _is_done(self, search: Search, enough: float) -> bool:
        scores = search.scores
        stale = len(scores) - 1 - search.progress >= self.settings.patience
        poor = min(scores) > POOR * scores[0] and len(scores) <= self.settings.iterations // 2
        return (stale and not poor) or scores[-1] <= enough * scores[0]

    def _search(self, rows: WindowRows, response: Response, gain: float) -> Search:
        time = self.sampled.time
        freedom = self.scope.restrict(
            time[rows.whole], time[rows.own.start], time[rows.own.stop - 1]
        )
        smooth = LowPass(self._band.hz, self.nozzle.rate, len(rows))
        return Search(response, freedom, smooth, gain)

    def _judge(self, window: int) -> Judge:
        return self.scope.walls.at(self.sampled.time[self.sampled.rows[window].own])

    def _predicted(
        self, judges: Mapping[int, Judge], correction: Floats, windows: Sequence[int]
    ) -> list[Prediction]:
        commanded = [self.commanded(correction, i) for i in windows]
        return self._judged(judges, windows, commanded, self.nozzle.positions(commanded))

    def _judged(
        self,
        judges: Mapping[int, Judge],
        windows: Sequence[int],
        commanded: list[Floats],
        positions: list[Floats],
    ) -> list[Prediction]:
        aimed = self.nozzle.aimed(commanded, positions)

        def judged(window: int, positions: Floats, aimed: Floats) -> Prediction:
            rows = self.sampled.rows[window]
            error = aimed - self._wanted[rows.whole]
            return Prediction.of(error, judges[window], positions, aimed, rows.core)

        return self.nozzle.map(judged, windows, positions, aimed)

    def bound(self, correction: Floats, part: slice) -> None:
        """Bring a part of a correction within its bounds, in place."""
        time, nominal = self.sampled.time[part], self.sampled.nominal[part, :2]
        self.scope.region.settle(correction[part], time)
        bed = Bed(self.scope.original.printer.bed_mm)
        correction[part] = bounded(correction[part], nominal, self.most_mm, bed)


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
