"""What training minimises: the error's size, and how far it is from obeying the axis equation.

Predictions and targets enter in mm and are weighed in standard deviations of the target,
so that both axes count alike and the weights mean the same for every printer.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from trajerr.checks import require
from trajerr.dynamics.axis import AxisParameters, discretise, recurrence
from trajerr.models.inputs import motion

SLIDING_MM_S = 1.0  # from which speed a carriage surely slides: about the noise of its speed


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
    of the commanded position. Viscous friction d and, where the carriage slides all the while,
    Coulomb friction F_c act as further acceleration, ``(d ṙ + F_c sign(ẋ)) / m``. Where it may
    stick or turn, the force of Coulomb friction is not known, but never exceeds F_c: held over a
    sample it moves the recurrence by at most ``(|g0| + |T01 g1 - T11 g0|) F_c``, and what is
    left beyond that bound no axis can do. A delay d shifts the nozzle: ``x(t + d) - r(t)`` is
    the axis' error, to second order in d.

    Parameters
    ----------
    axes
        Parameters of x and y.
    sample_rate
        Hz.

    Raises
    ------
    ConfigError
        An axis has no damping, so it has no settling time, or a second mode.
    """

    a1: Tensor
    a2: Tensor
    drive: Tensor
    bound: Tensor
    coulomb: Tensor  # F_c / m, mm/s²
    viscous: Tensor  # d / m, 1/s
    delay: Tensor  # s

    def __init__(self, axes: Sequence[AxisParameters], sample_rate: float) -> None:
        super().__init__()
        ratios = [axis.damping_ratio for axis in axes]
        holds = all(ratio > 0.0 for ratio in ratios)
        require("damping_ratio", ratios, holds, "numbers above 0, as the physics loss needs")
        holds = all(axis.second_mode is None for axis in axes)
        require("second_mode", "one", holds, "none, as the physics loss knows a mass on a belt")
        free = [_without_ground(axis) for axis in axes]
        terms = [recurrence(axis, sample_rate) for axis in free]
        columns = {
            "a1": [term.a1 for term in terms],
            "a2": [term.a2 for term in terms],
            "drive": [term.b / sample_rate**2 for term in terms],
            "bound": [_friction_bound(axis, sample_rate) for axis in free],
            "coulomb": [1e3 * axis.coulomb_n / axis.mass_kg for axis in axes],
            "viscous": [axis.viscous_n_s_per_m / axis.mass_kg for axis in axes],
            "delay": [axis.delay_s for axis in axes],
        }
        for name, values in columns.items():
            self.register_buffer(name, torch.tensor(values), persistent=False)
        self.sample_rate = sample_rate
        self.is_late = any(axis.delay_s > 0.0 for axis in axes)

    def forward(self, error: Tensor, features: Tensor) -> Tensor:
        """Return the residual [B, T - 2, 2] mm of errors [B, T, 2] mm, Coulomb's unaccounted.

        ``features`` are the raw ones, [B, T, 15]. Zero for an exact solution of the linear
        axis under acceleration that is constant around each sample. With a delay, which takes
        a sample more on either side, it is [B, T - 4, 2].
        """
        _, velocity, acceleration, _ = motion(features[:, 2:])
        _, before, _, _ = motion(features[:, 1:-1])
        pushed = acceleration + self.viscous * (0.5 * (before + velocity))
        if self.is_late:
            error, pushed = self._in_time(error, features), pushed[:, 1:-1]
        past = self.a1 * error[:, 1:-1] + self.a2 * error[:, :-2]
        return error[:, 2:] + past - self.drive * pushed

    def unexplained(self, error: Tensor, features: Tensor) -> Tensor:
        """Return what friction does not explain of the residual's size, mm, shaped alike.

        Where the nozzle slides one way over both intervals, all that is left of it.
        """
        residual = self(error, features)
        along = self._sliding(error.detach(), features)
        if self.is_late:
            along = along[:, 1:-1]
        left = residual - self.drive * self.coulomb * along
        return torch.where(along != 0.0, left.abs(), self.excess(residual))

    def excess(self, residual: Tensor) -> Tensor:
        """Return the part of a residual's size that no Coulomb friction can explain, mm."""
        return torch.relu(residual.abs() - self.bound)

    def _speeds(self, error: Tensor, features: Tensor) -> Tensor:
        """Return the nozzle's mean velocity in each interval, [B, T - 1, 2] mm/s."""
        _, velocity, _, _ = motion(features[:, 1:])
        return velocity + torch.diff(error, dim=1) * self.sample_rate

    def _sliding(self, error: Tensor, features: Tensor) -> Tensor:
        """Return the direction [B, T - 2, 2] of a nozzle that surely slides, else 0."""
        speed = self._speeds(error, features)
        sure = torch.where(speed.abs() > SLIDING_MM_S, torch.sign(speed), torch.zeros_like(speed))
        same = sure[:, 1:] == sure[:, :-1]
        return torch.where(same, sure[:, 1:], torch.zeros_like(sure[:, 1:]))

    def _in_time(self, error: Tensor, features: Tensor) -> Tensor:
        """Return the axis' error [B, T - 2, 2] mm, without its delay."""
        speed = self._speeds(error, features)
        mean, change = 0.5 * (speed[:, 1:] + speed[:, :-1]), torch.diff(speed, dim=1)
        ahead = mean + 0.5 * self.delay * change * self.sample_rate
        return error[:, 1:-1] + self.delay * ahead


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
    if predicted.shape[1] < 5:
        return predicted.sum() * 0.0
    left = physics.unexplained(predicted, features) / scale
    start = min(burn_in, left.shape[1] - 1)
    return left[:, start:].mean(dim=(0, 1)).sum()


def settling_samples(axes: Sequence[AxisParameters], sample_rate: float) -> int:
    """Return the longest settling time ``4 / (ζ ω)`` of the axes in samples, rounded up."""
    return math.ceil(max(axis.settling_time for axis in axes) * sample_rate)


def _without_ground(axis: AxisParameters) -> AxisParameters:
    """Return the axis that rings alike, without delay and with its viscous friction in the belt."""
    damping = axis.damping_n_s_per_m + axis.viscous_n_s_per_m
    return replace(axis, delay_s=0.0, viscous_n_s_per_m=0.0, damping_n_s_per_m=damping)


def _friction_bound(axis: AxisParameters, sample_rate: float) -> float:
    """Return how much Coulomb friction can move the recurrence, mm."""
    step = discretise(axis, 1.0 / sample_rate)
    newest, velocity_gain = step.force
    before = step.transition[0, 1] * velocity_gain - step.transition[1, 1] * newest
    millinewton = axis.coulomb_n * 1000.0
    return float((np.abs(newest) + np.abs(before)) * millinewton)
