"""What training minimises: the error's size, and how far it is from obeying the axis equation.

Predictions and targets enter in mm and are weighed in standard deviations of the target,
so that both axes count alike and the weights mean the same for every printer.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from trajerr.checks import require
from trajerr.dynamics.axis import AxisParameters, discretise, recurrence
from trajerr.models.inputs import motion


def trajectory_mae(predicted: Tensor, target: Tensor, scale: Tensor, burn_in: int) -> Tensor:
    """Return ``MAE_x + MAE_y`` of normalised errors after the burn-in.

    Parameters
    ----------
    predicted, target
        [B, T, 2] mm.
    scale
        [2] mm, standard deviations of the target.
    burn_in
        First samples of each window left out; at least one sample always counts.
    """
    return trajectory_loss(predicted, target, scale, burn_in, squared_weight=0.0)


def trajectory_loss(
    predicted: Tensor,
    target: Tensor,
    scale: Tensor,
    burn_in: int,
    squared_weight: float,
    trust: Tensor | None = None,
) -> Tensor:
    """Return ``MAE_x + MAE_y + w (MSE_x + MSE_y)`` of normalised errors after the burn-in.

    Parameters and units as for :func:`trajectory_mae`; ``squared_weight`` is w. The squares
    are what large errors are judged by, the absolute values what makes small ones smaller.
    ``trust`` [B, 2] is what each window and axis counts, 1 where it is None.
    """
    start = min(burn_in, predicted.shape[1] - 1)
    difference = (predicted - target)[:, start:] / scale
    each = difference.abs() + squared_weight * difference * difference
    if trust is not None:
        each = each * trust.unsqueeze(1)
    return each.mean(dim=(0, 1)).sum()


def trust_in(uncertainty: Tensor, half_mm: float) -> Tensor:
    """Return what targets count that may be off, 1 / (1 + (u / h)²): h counts half.

    Parameters
    ----------
    uncertainty
        [B, 2] mm RMS.
    half_mm
        h, mm.
    """
    return 1.0 / (1.0 + (uncertainty / half_mm) ** 2)


def settled_errors(
    predicted: Tensor, target: Tensor, scale: Tensor, burn_in: int
) -> tuple[Tensor, Tensor]:
    """Return prediction and target after the burn-in, normalised, for a loss of another form.

    Parameters and units as for :func:`trajectory_mae`.
    """
    start = min(burn_in, predicted.shape[1] - 1)
    return predicted[:, start:] / scale, target[:, start:] / scale


class PhysicsResidual(nn.Module):
    """How far predicted errors are from solving the axis equation, sample by sample.

    The sampled linear axis obeys ``e[k] + a1 e[k-1] + a2 e[k-2] = b a[k] / f_s²`` exactly
    (:func:`trajerr.dynamics.axis.recurrence`), with ``a`` the backward second difference
    of the commanded position. Coulomb friction adds a force that is not known where the
    carriage sticks, but never exceeds F_c; held over a sample it moves the recurrence by at
    most ``(|g0| + |T01 g1 - T11 g0|) F_c``. What is left beyond that bound no axis can do.

    Parameters
    ----------
    axes
        Parameters of x and y.
    sample_rate
        Hz.

    Raises
    ------
    ConfigError
        An axis has no damping, so it has no settling time.
    """

    a1: Tensor
    a2: Tensor
    drive: Tensor
    bound: Tensor

    def __init__(self, axes: Sequence[AxisParameters], sample_rate: float) -> None:
        super().__init__()
        ratios = [axis.damping_ratio for axis in axes]
        holds = all(ratio > 0.0 for ratio in ratios)
        require("damping_ratio", ratios, holds, "numbers above 0, as the physics loss needs")
        terms = [recurrence(axis, sample_rate) for axis in axes]
        columns = {
            "a1": [term.a1 for term in terms],
            "a2": [term.a2 for term in terms],
            "drive": [term.b / sample_rate**2 for term in terms],
            "bound": [_friction_bound(axis, sample_rate) for axis in axes],
        }
        for name, values in columns.items():
            self.register_buffer(name, torch.tensor(values), persistent=False)

    def forward(self, error: Tensor, features: Tensor) -> Tensor:
        """Return the residual [B, T - 2, 2] mm of errors [B, T, 2] mm, friction unaccounted.

        ``features`` are the raw ones, [B, T, 15]. Zero for an exact solution of the linear
        axis under acceleration that is constant around each sample.
        """
        _, _, acceleration, _ = motion(features[:, 2:])
        past = self.a1 * error[:, 1:-1] + self.a2 * error[:, :-2]
        return error[:, 2:] + past - self.drive * acceleration

    def excess(self, residual: Tensor) -> Tensor:
        """Return the part of a residual's size that friction cannot explain, mm."""
        return torch.relu(residual.abs() - self.bound)


def physics_loss(
    physics: PhysicsResidual, predicted: Tensor, features: Tensor, scale: Tensor, burn_in: int
) -> Tensor:
    """Return the mean unexplained residual of predictions after the burn-in, normalised.

    Parameters
    ----------
    physics
        The axis equation.
    predicted
        [B, T, 2] mm.
    features
        [B, T, 15], raw.
    scale
        [2] mm, standard deviations of the target.
    burn_in
        First samples of each window left out.
    """
    if predicted.shape[1] < 3:
        return predicted.sum() * 0.0
    excess = physics.excess(physics(predicted, features)) / scale
    start = min(burn_in, excess.shape[1] - 1)
    return excess[:, start:].mean(dim=(0, 1)).sum()


def settling_samples(axes: Sequence[AxisParameters], sample_rate: float) -> int:
    """Return the longest settling time ``4 / (ζ ω)`` of the axes in samples, rounded up."""
    return math.ceil(max(axis.settling_time for axis in axes) * sample_rate)


def _friction_bound(axis: AxisParameters, sample_rate: float) -> float:
    """Return how much Coulomb friction can move the recurrence, mm."""
    step = discretise(axis, 1.0 / sample_rate)
    newest, velocity_gain = step.force
    before = step.transition[0, 1] * velocity_gain - step.transition[1, 1] * newest
    millinewton = axis.coulomb_n * 1000.0
    return float((np.abs(newest) + np.abs(before)) * millinewton)
