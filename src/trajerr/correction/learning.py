"""Iterative learning: find the command whose actual motion is the nominal one.

Knows trajectories on a uniform grid and an error model; nothing of G-code. The iteration
is ``r_c ← r_c − γ · G⁻¹(ê)`` with ``ê`` the predicted actual minus the nominal position and
``G⁻¹`` the regularised inverse of the printer's response along its motion, where a correction
may act (iterative learning control; Bristow, Tharayil and Alleyne, IEEE CSM 26:96, 2006, eq. 5).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from trajerr.arrays import Floats
from trajerr.correction.inverse import Freedom, Smoothing, learning_step
from trajerr.correction.layer_windows import SampledWindows, WindowRows, batches
from trajerr.correction.printer_ensemble import EnsembleMotion, PrinterEnsemble
from trajerr.errors import ConfigError
from trajerr.shipped import fields_of, shipped

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

    gain: float  # γ, share of the inverse that one iteration takes
    cutoff: float  # natural frequencies above which the inverse fades out
    iterations: int  # on the trajectory
    planned_iterations: int  # on the moves that will be written, planner in the loop
    patience: int  # iterations without improvement after which a layer is done
    soft_weight: float  # of a printer whose natural frequency is lower by `spread`
    stiff_weight: float  # of one whose natural frequency is higher; the modelled has 1
    spread: float  # relative change of natural frequency
    lead_out_s: float  # motion after it that the inverse looks ahead into
    batch: int  # layers predicted at a time, fewer if they are long
    threads: int  # at work on them

    def __post_init__(self) -> None:
        _check("gain", self.gain, 0.0 < self.gain <= 1.0, "above 0, up to 1")
        _check("cutoff", self.cutoff, self.cutoff >= 1.0, "1 or more")
        for key in ("iterations", "patience", "batch", "threads"):
            _check(key, getattr(self, key), getattr(self, key) >= 1, "1 or more")
        _check("spread", self.spread, 0.0 < self.spread < 0.5, "above 0, below 0.5")
        keys = ("planned_iterations", "lead_out_s", "soft_weight", "stiff_weight")
        for key in keys:
            _check(key, getattr(self, key), getattr(self, key) >= 0.0, "0 or more")

    @classmethod
    def shipped(cls, **changes: float) -> Self:
        """Return what ``conf/correct.yaml`` says, with changes."""
        plain = shipped("correct")
        return cls(**{**fields_of(cls, {**plain, **plain["learning"]}), **changes})

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


@dataclass
class Scores:
    """The errors that each iteration predicts of one window, on every printer of an ensemble."""

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
    scores: tuple[Scores, ...]  # of each window


def learn(
    ensemble: PrinterEnsemble,
    sampled: SampledWindows,
    restrict: Restrict,
    score: Score,
    project: Project,
    settings: LearningSettings,
) -> Learned:
    """Find the correction with which the nozzle is predicted to follow the nominal path.

    Parameters
    ----------
    ensemble
        Predicts where the nozzle goes.
    sampled
        The windows to correct, in order of time, as the file commands them; at the ensemble's
        rate.
    restrict
        Returns where a correction may act, from (T,) times, the first and the last that
        may change.
    score
        From times, returns what finds the error to minimise in actual positions then.
    project
        Brings a part of the (N, 2) correction within its bounds, in place.
    settings
        Gain, iterations, batches.
    """
    correction = np.zeros((len(sampled.time), 2))
    scores: list[Scores] = []
    for chosen in batches([len(rows) for rows in sampled.rows], settings.batch):
        batch = _Batch(ensemble, sampled.nominal, sampled.time, restrict, sampled.rows[chosen])
        scores += batch.iterate(correction, score, project, settings)
    return Learned(correction, tuple(scores))


@dataclass(frozen=True)
class _Batch:
    """Some windows that are predicted together."""

    ensemble: PrinterEnsemble
    nominal: Floats
    time: Floats
    restrict: Restrict
    windows: Sequence[WindowRows]

    def iterate(
        self, correction: Floats, score: Score, project: Project, settings: LearningSettings
    ) -> list[Scores]:
        """Improve the correction of these windows in place, keep the best; return the scores."""
        scores = [Scores(self.ensemble.weights) for _ in self.windows]
        kept = [correction[w.own].copy() for w in self.windows]
        judges = [score(self.time[w.own]) for w in self.windows]
        for iteration in range(settings.iterations + 1):
            commanded = self._commanded(correction)
            motions = self.ensemble.simulated(commanded)
            if iteration % REFRESH == 0:
                gaps = self._gaps(commanded, motions)
            pairs = zip(motions, gaps, strict=True)
            actual = [motion.positions + gap for motion, gap in pairs]
            for i, window in enumerate(self.windows):
                if scores[i].add([judges[i](xy) for xy in actual[i][:, window.core]]):
                    kept[i] = correction[window.own].copy()
            stale = min(iteration - values.best for values in scores)
            if iteration == settings.iterations or stale >= settings.patience:
                break
            self._improve(correction, actual, motions, settings)
            project(correction, slice(self.windows[0].own.start, self.windows[-1].own.stop))
        for window, values in zip(self.windows, kept, strict=True):
            correction[window.own] = values
        return scores

    def _commanded(self, correction: Floats) -> list[Floats]:
        commanded = []
        for window in self.windows:
            part = self.nominal[window.whole].copy()
            part[:, :2] += correction[window.whole]
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

        def change(window: WindowRows, positions: Floats, motion: EnsembleMotion) -> Floats:
            begin, end = self.time[window.own.start], self.time[window.own.stop - 1]
            return learning_step(
                positions - self.nominal[window.whole, :2],
                motion.responses,
                self.ensemble.weights,
                self.restrict(self.time[window.whole], begin, end),
                smoothing,
            )[window.core]

        changes = self.ensemble.map(change, self.windows, actual, motions)
        for window, step in zip(self.windows, changes, strict=True):
            correction[window.own] -= settings.gain * step
