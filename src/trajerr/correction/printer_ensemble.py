"""A printer as it is modelled, and how far a real one may be from that.

A model knows one printer. A real one drifts: belts lengthen, loads change. So a correction is
found for a small ensemble of printers around the modelled one, softer and stiffer. All of them
are simulated; what the model knows beyond simulation, the gap between the two, is taken to be
the same for all. A correction that suits the ensemble is worth nearly as much on the modelled
printer, and more beside it.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from trajerr.arrays import Floats
from trajerr.correction.error_models import ErrorModel, TwinModel
from trajerr.correction.response import Response
from trajerr.dynamics.printer import Printer
from trajerr.motion.features import compute_features

Result = TypeVar("Result")

ENSEMBLE_RATE_HZ = 600.0  # at least; at which the ensemble is simulated


@dataclass(frozen=True)
class EnsembleMotion:
    """One trajectory, simulated on every printer of an ensemble."""

    positions: Floats  # (V, T, 2) mm
    responses: tuple[Response, ...]  # of each printer along its motion


@dataclass(frozen=True)
class PrinterEnsemble:
    """A model of a printer's error, and an ensemble of printers around the modelled one.

    Parameters
    ----------
    model
        Predicts the modelled printer's error.
    printer
        Its parameters.
    variants
        (factor on stiffness, weight) of each further printer; the modelled one has
        weight 1.
    threads
        At work on the trajectories of one call.
    """

    model: ErrorModel
    printer: Printer
    variants: tuple[tuple[float, float], ...] = ()
    threads: int = 2

    @property
    def rate(self) -> float:
        """Samples per second, Hz."""
        return self.model.sample_rate_hz

    @property
    def weights(self) -> Floats:
        """(V,) weight of each printer, the modelled one first."""
        return np.array([1.0, *(weight for _, weight in self.variants)])

    @cached_property
    def printers(self) -> tuple[Printer, ...]:
        """The V printers, the modelled one first."""
        scaled = (self.printer.with_stiffness_scale(factor) for factor, _ in self.variants)
        return (self.printer, *scaled)

    @cached_property
    def _twins(self) -> list[TwinModel]:
        smooth = [printer.without("quantisation") for printer in self.printers]
        return [TwinModel(printer, self.rate, 1, ENSEMBLE_RATE_HZ) for printer in smooth]

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads)

    def map(self, function: Callable[..., Result], *values: Iterable[Any]) -> list[Result]:
        """Return what a function makes of each of some values, worked on side by side."""
        return list(self._pool.map(function, *values))

    def modelled(self, commanded: Sequence[Floats]) -> list[Floats]:
        """Return where the modelled nozzle will be for each of several trajectories.

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
        shares = np.array_split(np.stack(features), min(self.threads, len(commanded)))
        errors = np.concatenate(self.map(self.model.errors, shares))
        return [c[:, :2] + errors[row, : len(c)] for row, c in enumerate(commanded)]

    def simulated(self, commanded: Sequence[Floats]) -> list[EnsembleMotion]:
        """Simulate every printer on each of several (T, 3) trajectories, from rest."""
        twins, times = self._twins, self._twins[0].times
        tasks = [(twin, c[:, :2]) for c in commanded for twin in twins]
        positions = self.map(TwinModel.motion, *zip(*tasks, strict=True))
        motions = []
        for first in range(0, len(positions), len(twins)):
            fine = np.stack(positions[first : first + len(twins)])
            pairs = zip(self.printers, fine, strict=True)
            responses = tuple(Response.along(p, xy, self.rate, times) for p, xy in pairs)
            motions.append(EnsembleMotion(fine[:, ::times], responses))
        return motions


def _padded(commanded: Sequence[Floats]) -> Floats:
    """Return (B, T, 3) trajectories; the shorter ones rest at their end."""
    longest = max(len(c) for c in commanded)
    rests = [np.repeat(c[-1:], longest - len(c), axis=0) for c in commanded]
    return np.stack([np.concatenate(pair) for pair in zip(commanded, rests, strict=True)])
