"""Where a model says that the nozzle will be, for many commands at once.

A model knows one printer. A real one drifts: belts lengthen, loads change. So a correction may
aim at the mean of a small family around the modelled one, softer and stiffer: what these would do
otherwise is simulated, as a difference that is added to the model's own prediction.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from trajerr.arrays import Floats
from trajerr.correction.error_models import ErrorModel, TwinModel
from trajerr.dynamics.printer import Printer
from trajerr.motion.features import compute_features

Group = TypeVar("Group")
Result = TypeVar("Result")

FINER = 10  # times the sample rate, at which motion between samples is simulated
FAMILY_RATE_HZ = 600.0  # at least; at which the family is simulated


@dataclass(frozen=True)
class Nozzle:
    """The nozzle as a model predicts it.

    Parameters
    ----------
    model
        Predicts the modelled printer's error.
    printer
        Its parameters.
    family
        (factor on stiffness, weight) of each further printer that is aimed at; the modelled one
        has weight 1.
    threads
        At work on the trajectories of one call.
    """

    model: ErrorModel
    printer: Printer
    family: tuple[tuple[float, float], ...] = ()
    threads: int = 2

    @property
    def rate(self) -> float:
        """Samples per second, Hz."""
        return self.model.sample_rate_hz

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads)

    @cached_property
    def _groups(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads)

    def map(self, function: Callable[..., Result], *values: Iterable[Any]) -> list[Result]:
        """Return what a function makes of each of some values, worked on side by side."""
        return list(self._pool.map(function, *values))

    def map_groups(
        self, function: Callable[[Group], Result], groups: Iterable[Group]
    ) -> list[Result]:
        """Return what a function that itself calls :meth:`map` makes of each of some groups.

        While one group is planned or searched, what another asks of the model keeps busy.
        """
        return list(self._groups.map(function, groups))

    def begin(self, function: Callable[[], Result]) -> "Future[Result]":
        """Begin what itself calls :meth:`map`, and return where its result will be."""
        return self._groups.submit(function)

    def positions(self, commanded: Sequence[Floats]) -> list[Floats]:
        """Return where the nozzle will be for each of several trajectories.

        Parameters
        ----------
        commanded : (T, 3)
            mm each, from rest; T may differ.

        Returns
        -------
        list : (T, 2)
            mm each.
        """
        features = self.map(lambda c: compute_features(c, self.rate), _padded(commanded))
        own = [f[None, : len(c)] for f, c in zip(features, commanded, strict=True)]
        errors = self.map(self.model.errors, own)
        return [c[:, :2] + error[0] for c, error in zip(commanded, errors, strict=True)]

    def aimed(self, commanded: Sequence[Floats], positions: list[Floats]) -> list[Floats]:
        """Return where the family's mean will be: without a family, the positions themselves.

        Parameters
        ----------
        commanded, positions
            (T, 3) mm each, and (T, 2) mm, what :meth:`positions` makes of them.
        """
        if not self.family:
            return positions
        drifts = self.map(self._drift, commanded)
        return [xy + drift for xy, drift in zip(positions, drifts, strict=True)]

    def unseen(self, commanded: Floats, fine: Floats) -> Floats:
        """Return what a motion between samples adds to where the nozzle is, as simulated.

        Parameters
        ----------
        commanded : (T, 3)
            mm; the model takes it as straight in between.
        fine : ((T − 1) · FINER + 1, 2)
            mm, the same motion in full.

        Returns
        -------
        (T, 2)
            mm.
        """
        at = np.arange(len(fine)) / FINER
        straight = [np.interp(at, np.arange(len(commanded)), column) for column in commanded.T[:2]]
        rate = FINER * self.rate
        twin = TwinModel(self.printer.without("quantisation"), rate, 1, rate)
        apart = twin.motion(fine) - twin.motion(np.column_stack(straight))
        return np.asarray(apart[::FINER])

    def _drift(self, commanded: Floats) -> Floats:
        own, *others = (twin.errors(commanded[None])[0] for twin in self._twins)
        weights = np.array([weight for _, weight in self.family])
        apart = np.stack(others) - own
        return np.asarray(np.tensordot(weights, apart, axes=1) / (1.0 + np.sum(weights)))

    @cached_property
    def _twins(self) -> list[TwinModel]:
        smooth = self.printer.without("quantisation")
        scaled = (smooth.with_stiffness_scale(factor) for factor, _ in self.family)
        return [TwinModel(p, self.rate, 1, FAMILY_RATE_HZ) for p in (smooth, *scaled)]


def _padded(commanded: Sequence[Floats]) -> Floats:
    """Return (B, T, 3) trajectories; the shorter ones rest at their end."""
    longest = max(len(c) for c in commanded)
    rests = [np.repeat(c[-1:], longest - len(c), axis=0) for c in commanded]
    return np.stack([np.concatenate(pair) for pair in zip(commanded, rests, strict=True)])
