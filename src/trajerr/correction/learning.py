"""Iterative learning: find the command whose actual motion is the nominal one.

Knows trajectories on a uniform grid and an error model; nothing of G-code. The iteration
is ``r_c ← r_c − γ · G⁻¹(ê)`` with ``ê`` the predicted actual minus the nominal position and
``G⁻¹`` the regularised inverse of the printer's response along its motion, where a correction
may act (iterative learning control; Bristow, Tharayil and Alleyne, IEEE CSM 26:96, 2006, eq. 5).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from trajerr.arrays import Floats
from trajerr.correction.inverse import Freedom, Smoothing, learning_step
from trajerr.correction.printer_ensemble import EnsembleMotion, PrinterEnsemble
from trajerr.correction.windows import batches
from trajerr.errors import ConfigError

Project = Callable[[Floats, slice], None]
Judge = Callable[[Floats], float]
Score = Callable[[Floats], Judge]
REFRESH = 3  # iterations for which the gap between model and simulation is taken as it is
Restrict = Callable[[Floats, float, float], Freedom]


@dataclass(frozen=True)
class LearningSettings:
    """How to iterate.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    gain: float = 0.9  # γ, share of the inverse that one iteration takes
    cutoff: float = 1.6  # natural frequencies above which the inverse fades out
    iterations: int = 9  # on the trajectory
    planned_iterations: int = 4  # on the moves that will be written, planner in the loop
    patience: int = 6  # iterations without improvement after which a layer is done
    soft_weight: float = 0.2  # of a printer whose natural frequency is lower by `spread`
    stiff_weight: float = 0.6  # of one whose natural frequency is higher; the modelled has 1
    spread: float = 0.1  # relative change of natural frequency
    lead_out_s: float = 0.2  # motion after it that the inverse looks ahead into
    batch: int = 8  # layers predicted at a time, fewer if they are long
    threads: int = 2  # at work on them

    def __post_init__(self) -> None:
        _check("gain", self.gain, 0.0 < self.gain <= 1.0, "above 0, up to 1")
        _check("cutoff", self.cutoff, self.cutoff >= 1.0, "1 or more")
        for key in ("iterations", "patience", "batch", "threads"):
            _check(key, getattr(self, key), getattr(self, key) >= 1, "1 or more")
        _check("spread", self.spread, 0.0 < self.spread < 0.5, "above 0, below 0.5")
        keys = ("planned_iterations", "lead_out_s", "soft_weight", "stiff_weight")
        for key in keys:
            _check(key, getattr(self, key), getattr(self, key) >= 0.0, "0 or more")

    @property
    def variants(self) -> tuple[tuple[float, float], ...]:
        """(Factor on stiffness, weight) of the printers beside the modelled one."""
        pairs = (
            ((1.0 - self.spread) ** 2, self.soft_weight),
            ((1.0 + self.spread) ** 2, self.stiff_weight),
        )
        return tuple(pair for pair in pairs if pair[1] > 0.0)


def _check(key: str, value: float, holds: bool, wanted: str) -> None:
    if not holds:
        raise ConfigError(f"correction {key}: got {value}, expected {wanted}")


@dataclass(frozen=True)
class Episode:
    """One layer, or a window of a long one, within a longer trajectory; indices of samples."""

    first: int  # where the lead-in begins
    begin: int  # where the layer begins
    end: int  # one past its last sample
    last: int  # one past the lead-out


@dataclass
class Scores:
    """The errors that each iteration predicts of one layer, on every printer of an ensemble."""

    weights: Floats  # (V,)
    values: list[list[float]] = field(default_factory=list)  # by iteration and printer
    best: int = 0

    def add(self, values: list[float]) -> bool:
        """Note an iteration; return whether it is the best so far."""
        self.values.append(values)
        improves = self._joint(len(self.values) - 1) <= self._joint(self.best)
        if improves:
            self.best = len(self.values) - 1
        return improves

    @property
    def first(self) -> float:
        """The modelled printer's score before any correction."""
        return self.values[0][0]

    @property
    def reached(self) -> float:
        """The modelled printer's score at the best iteration."""
        return self.values[self.best][0]

    def _joint(self, iteration: int) -> float:
        return float(self.weights @ np.square(self.values[iteration]))


@dataclass(frozen=True)
class Learned:
    """What an iteration found."""

    correction: Floats  # (N, 2) mm, added to the nominal position
    scores: tuple[Scores, ...]  # per episode


def learn(
    ensemble: PrinterEnsemble,
    nominal: Floats,
    time: Floats,
    restrict: Restrict,
    episodes: Sequence[Episode],
    score: Score,
    project: Project,
    settings: LearningSettings,
) -> Learned:
    """Find the correction with which the nozzle is predicted to follow the nominal path.

    Parameters
    ----------
    ensemble
        Predicts where the nozzle goes.
    nominal : (N, 3)
        What the file commands, mm, at the ensemble's rate.
    time : (N,)
        s, increasing; uniform within each episode.
    restrict
        Returns where a correction may act, from (T,) times, the first and the last that
        may change.
    episodes
        The layers to correct, in order of time.
    score
        From times, returns what finds the error to minimise in actual positions then.
    project
        Brings a part of the (N, 2) correction within its bounds, in place.
    settings
        Gain, iterations, batches.
    """
    correction = np.zeros((len(nominal), 2))
    scores: list[Scores] = []
    for rows in batches([e.last - e.first for e in episodes], settings.batch):
        batch = _Batch(ensemble, nominal, time, restrict, episodes[rows])
        scores += batch.iterate(correction, score, project, settings)
    return Learned(correction, tuple(scores))


@dataclass(frozen=True)
class _Batch:
    """Some layers that are predicted together."""

    ensemble: PrinterEnsemble
    nominal: Floats
    time: Floats
    restrict: Restrict
    episodes: Sequence[Episode]

    def iterate(
        self, correction: Floats, score: Score, project: Project, settings: LearningSettings
    ) -> list[Scores]:
        """Improve the correction of these layers in place, keep the best; return the scores."""
        scores = [Scores(self.ensemble.weights) for _ in self.episodes]
        kept = [correction[e.begin : e.end].copy() for e in self.episodes]
        judges = [score(self.time[e.begin : e.end]) for e in self.episodes]
        for iteration in range(settings.iterations + 1):
            commanded = self._commanded(correction)
            motions = self.ensemble.simulated(commanded)
            if iteration % REFRESH == 0:
                gaps = self._gaps(commanded, motions)
            pairs = zip(motions, gaps, strict=True)
            actual = [motion.positions + gap for motion, gap in pairs]
            for row, e in enumerate(self.episodes):
                core = actual[row][:, e.begin - e.first : e.end - e.first]
                if scores[row].add([judges[row](xy) for xy in core]):
                    kept[row] = correction[e.begin : e.end].copy()
            stale = min(iteration - values.best for values in scores)
            if iteration == settings.iterations or stale >= settings.patience:
                break
            self._improve(correction, actual, motions, settings)
            project(correction, slice(self.episodes[0].begin, self.episodes[-1].end))
        for e, values in zip(self.episodes, kept, strict=True):
            correction[e.begin : e.end] = values
        return scores

    def _commanded(self, correction: Floats) -> list[Floats]:
        commanded = []
        for e in self.episodes:
            part = self.nominal[e.first : e.last].copy()
            part[:, :2] += correction[e.first : e.last]
            commanded.append(part)
        return commanded

    def _gaps(self, commanded: list[Floats], motions: Sequence[EnsembleMotion]) -> list[Floats]:
        """Return by how much the model and simulation differ, (T, 2) mm each."""
        pairs = zip(self.ensemble.modelled(commanded), motions, strict=True)
        return [xy - motion.positions[0] for xy, motion in pairs]

    def _improve(
        self,
        correction: Floats,
        actual: list[Floats],
        motions: Sequence[EnsembleMotion],
        settings: LearningSettings,
    ) -> None:
        smoothing = Smoothing.of(self.ensemble.printer, settings.cutoff, self.ensemble.rate)

        def change(e: Episode, positions: Floats, motion: EnsembleMotion) -> Floats:
            window = slice(e.first, e.last)
            return learning_step(
                positions - self.nominal[window, :2],
                motion.responses,
                self.ensemble.weights,
                self.restrict(self.time[window], self.time[e.begin], self.time[e.end - 1]),
                smoothing,
            )[e.begin - e.first : e.end - e.first]

        changes = self.ensemble.map(change, self.episodes, actual, motions)
        for e, step in zip(self.episodes, changes, strict=True):
            correction[e.begin : e.end] -= settings.gain * step
