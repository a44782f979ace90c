"""Iterative learning: find the command whose actual motion is the nominal one.

Knows trajectories on a uniform grid and an error model; nothing of G-code. The iteration
is ``r_c ← r_c − γ · w · G⁻¹(ê)`` with ``ê`` the predicted actual minus the nominal position,
``G⁻¹`` the regularised inverse of the axis and ``w`` where a correction may act
(iterative learning control; Bristow, Tharayil and Alleyne, IEEE CSM 26:96, 2006, eq. 5).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trajerr.data.features import FEATURES, compute_features
from trajerr.dynamics.axis import AxisParameters, invert
from trajerr.errors import ConfigError

Floats = NDArray[np.float64]
Axes = tuple[AxisParameters, AxisParameters]
Project = Callable[[Floats, slice], None]
Score = Callable[[Floats, Floats], float]


class ErrorModel(Protocol):
    """Predicts the tracking error of commanded trajectories that begin at rest."""

    @property
    def sample_rate_hz(self) -> float:
        """Samples per second that the features must have."""
        ...

    def errors(self, features: Floats) -> Floats:
        """Return the (B, T, 2) error in mm for (B, T, 15) features of B trajectories."""
        ...


@dataclass(frozen=True)
class LearningSettings:
    """How to iterate.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    gain: float = 0.4  # γ, share of the inverse that one iteration takes
    cutoff: float = 1.6  # natural frequencies above which the inverse fades out
    iterations: int = 25  # on the trajectory
    planned_iterations: int = 10  # on the moves that will be written, planner in the loop
    patience: int = 6  # iterations without improvement after which a layer is done
    lead_in_s: float = 1.0  # motion before a layer that lets the model's memory settle
    lead_out_s: float = 0.2  # motion after it that the inverse looks ahead into
    batch: int = 8  # layers predicted at a time

    def __post_init__(self) -> None:
        _check("gain", self.gain, 0.0 < self.gain <= 1.0, "above 0, up to 1")
        _check("cutoff", self.cutoff, self.cutoff >= 1.0, "1 or more")
        for key in ("iterations", "patience", "batch"):
            _check(key, getattr(self, key), getattr(self, key) >= 1, "1 or more")
        for key in ("planned_iterations", "lead_in_s", "lead_out_s"):
            _check(key, getattr(self, key), getattr(self, key) >= 0.0, "0 or more")


def _check(key: str, value: float, holds: bool, wanted: str) -> None:
    if not holds:
        raise ConfigError(f"correction {key}: got {value}, expected {wanted}")


@dataclass(frozen=True)
class Episode:
    """One layer within a longer trajectory, as indices into its samples."""

    first: int  # where the lead-in begins
    begin: int  # where the layer begins
    end: int  # one past its last sample
    last: int  # one past the lead-out


@dataclass(frozen=True)
class Learned:
    """What an iteration found."""

    correction: Floats  # (N, 2) mm, added to the nominal position
    scores: tuple[tuple[float, ...], ...]  # per episode and iteration, the uncorrected first


def predict_actual(model: ErrorModel, commanded: Sequence[Floats]) -> list[Floats]:
    """Return where the nozzle will be for each of several trajectories.

    Parameters
    ----------
    model
        Predicts errors.
    commanded
        (T, 3) mm each, at the model's rate, from rest; T may differ.

    Returns
    -------
    list
        (T, 2) mm each.
    """
    longest = max(len(c) for c in commanded)
    features = np.zeros((len(commanded), longest, len(FEATURES)))
    for row, c in enumerate(commanded):
        # The shorter ones rest at their end.
        padded = np.concatenate([c, np.repeat(c[-1:], longest - len(c), axis=0)])
        features[row] = compute_features(padded, model.sample_rate_hz)
    errors = model.errors(features)
    return [c[:, :2] + errors[row, : len(c)] for row, c in enumerate(commanded)]


def learning_step(axes: Axes, error: Floats, rate: float, cutoff: float) -> Floats:
    """Return the (T, 2) change of command whose effect is an error at the nozzle, mm.

    Parameters
    ----------
    axes
        Linear parameters of x and y.
    error : (T, 2)
        Actual minus wanted, mm.
    rate
        Hz.
    cutoff
        Natural frequencies above which it fades out.
    """
    columns = [invert(axes[i], error[:, i], rate, cutoff=cutoff) for i in range(2)]
    return np.column_stack(columns)


def learn(
    model: ErrorModel,
    nominal: Floats,
    time: Floats,
    weight: Floats,
    axes: Axes,
    episodes: Sequence[Episode],
    score: Score,
    project: Project,
    settings: LearningSettings,
) -> Learned:
    """Find the correction for which the model predicts the nominal path.

    Parameters
    ----------
    model
        Predicts the error of any commanded trajectory.
    nominal : (N, 3)
        What the file commands, mm, at the model's rate.
    time : (N,)
        s.
    weight : (N,)
        How much of a correction may act, 0..1.
    axes
        Linear parameters of x and y, for the learning filter.
    episodes
        The layers to correct, in order of time.
    score
        Returns the figure to minimise from times and predicted actual positions there.
    project
        Brings a part of the (N, 2) correction within its bounds, in place.
    settings
        Gain, iterations, batches.
    """
    correction = np.zeros((len(nominal), 2))
    scores: list[tuple[float, ...]] = []
    for start in range(0, len(episodes), settings.batch):
        batch = _Batch(model, nominal, time, weight, axes, episodes[start : start + settings.batch])
        scores += batch.iterate(correction, score, project, settings)
    return Learned(correction, tuple(scores))


@dataclass(frozen=True)
class _Batch:
    """Some layers that are predicted together."""

    model: ErrorModel
    nominal: Floats
    time: Floats
    weight: Floats
    axes: Axes
    episodes: Sequence[Episode]

    def iterate(
        self, correction: Floats, score: Score, project: Project, settings: LearningSettings
    ) -> list[tuple[float, ...]]:
        """Improve the correction of these layers in place, keep the best; return the scores."""
        scores: list[list[float]] = [[] for _ in self.episodes]
        kept = [correction[e.begin : e.end].copy() for e in self.episodes]
        for iteration in range(settings.iterations + 1):
            actual = self._actual(correction)
            for row, e in enumerate(self.episodes):
                core = actual[row][e.begin - e.first : e.end - e.first]
                scores[row].append(score(self.time[e.begin : e.end], core))
                if scores[row][-1] <= min(scores[row]):
                    kept[row] = correction[e.begin : e.end].copy()
            stale = min(iteration - int(np.argmin(values)) for values in scores)
            if iteration == settings.iterations or stale >= settings.patience:
                break
            self._improve(correction, actual, settings)
            project(correction, slice(self.episodes[0].begin, self.episodes[-1].end))
        for e, values in zip(self.episodes, kept, strict=True):
            correction[e.begin : e.end] = values
        return [tuple(values) for values in scores]

    def _actual(self, correction: Floats) -> list[Floats]:
        commanded = []
        for e in self.episodes:
            part = self.nominal[e.first : e.last].copy()
            part[:, :2] += correction[e.first : e.last]
            commanded.append(part)
        return predict_actual(self.model, commanded)

    def _improve(
        self, correction: Floats, actual: list[Floats], settings: LearningSettings
    ) -> None:
        rate = self.model.sample_rate_hz
        for e, positions in zip(self.episodes, actual, strict=True):
            error = positions - self.nominal[e.first : e.last, :2]
            change = learning_step(self.axes, error, rate, settings.cutoff)
            change *= self.weight[e.first : e.last, None]
            core = slice(e.begin - e.first, e.end - e.first)
            correction[e.begin : e.end] -= settings.gain * change[core]
