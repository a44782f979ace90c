"""What is believed of a printer: how it errs, and how far it may be from that.

A model knows one printer. A real one drifts: belts lengthen, loads change. The belief is a
small family of printers around the modelled one, softer and stiffer, whose errors are the
model's plus what simulation says the change of stiffness adds. A correction that suits the
family is worth nearly as much on the modelled printer, and more beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trajerr.data.features import FEATURES, compute_features
from trajerr.deploy.error_models import TwinModel
from trajerr.dynamics.printer import Printer

Floats = NDArray[np.float64]

VARIANT_RATE_HZ = 1000.0  # at which the effect of a change of stiffness is simulated


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
class Belief:
    """A model of a printer's error, and a family of printers around it.

    Parameters
    ----------
    model
        Predicts the modelled printer's error.
    printer
        Its parameters.
    variants
        (factor on stiffness, weight) of each further member; the modelled printer has
        weight 1.
    """

    model: ErrorModel
    printer: Printer
    variants: tuple[tuple[float, float], ...] = ()

    @property
    def rate(self) -> float:
        """Samples per second, Hz."""
        return self.model.sample_rate_hz

    @property
    def weights(self) -> Floats:
        """(V,) weight of each member, the modelled printer first."""
        return np.array([1.0, *(weight for _, weight in self.variants)])

    @cached_property
    def members(self) -> tuple[Printer, ...]:
        """The V printers, the modelled one first."""
        scaled = (self.printer.with_stiffness_scale(factor) for factor, _ in self.variants)
        return (self.printer, *scaled)

    def modelled(self, commanded: Sequence[Floats]) -> list[Floats]:
        """Return where the modelled nozzle will be for each of several trajectories.

        Parameters
        ----------
        commanded
            (T, 3) mm each, from rest; T may differ.

        Returns
        -------
        list
            (T, 2) mm each.
        """
        errors = self.model.errors(_padded_features(commanded, self.rate))
        return [c[:, :2] + errors[row, : len(c)] for row, c in enumerate(commanded)]

    def variation(self, commanded: Sequence[Floats]) -> list[Floats]:
        """Return how the nozzles of the further members differ from the modelled one.

        It changes little from one iteration to the next.

        Returns
        -------
        list
            (V − 1, T, 2) mm each.
        """
        if not self.variants:
            return [np.zeros((0, len(c), 2)) for c in commanded]
        features = _padded_features(commanded, self.rate)
        errors = [
            TwinModel(
                member.without("quantisation"), self.rate, least_rate_hz=VARIANT_RATE_HZ
            ).errors(features)
            for member in self.members
        ]
        return [
            np.stack([e[row, : len(c)] - errors[0][row, : len(c)] for e in errors[1:]])
            for row, c in enumerate(commanded)
        ]

    def actual(self, commanded: Sequence[Floats]) -> list[Floats]:
        """Return where every member's nozzle will be, the modelled one first.

        Returns
        -------
        list
            (V, T, 2) mm each.
        """
        return with_variation(self.modelled(commanded), self.variation(commanded))


def with_variation(modelled: Sequence[Floats], variation: Sequence[Floats]) -> list[Floats]:
    """Return (V, T, 2) positions of a family from the modelled ones and the differences."""
    pairs = zip(modelled, variation, strict=True)
    return [np.concatenate([xy[None], xy + change]) for xy, change in pairs]


def _padded_features(commanded: Sequence[Floats], rate: float) -> Floats:
    """Return (B, T, 15) features; the shorter trajectories rest at their end."""
    longest = max(len(c) for c in commanded)
    features = np.zeros((len(commanded), longest, len(FEATURES)))
    for row, c in enumerate(commanded):
        padded = np.concatenate([c, np.repeat(c[-1:], longest - len(c), axis=0)])
        features[row] = compute_features(padded, rate)
    return features
