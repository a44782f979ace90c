"""Linear least squares on the recent motion, ``fir``: the baseline to beat."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from trajerr.models.inputs import Scaling, motion

QUANTITIES = 3  # v, a, sign(v)
RIDGES = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)


class FirNetwork(nn.Module):
    """The error of each axis as a linear function of its last v, a and sign(v).

    Before the first sample the axis is taken to have moved as in the first sample.

    Parameters
    ----------
    taps
        Samples of history.
    constant
        Whether an axis may also err by a constant. Without it, an axis that moves the other
        way errs the other way, and data of one direction teaches both.
    """

    context_length: Final[int]

    # Checkpoints of earlier versions lack `constant`; true is what held then.
    def __init__(self, taps: int, constant: bool = True) -> None:
        super().__init__()
        self.constant = constant
        self.context_length = taps
        self.scaling = Scaling()
        self.weight = nn.Parameter(torch.zeros(2, QUANTITIES, taps))
        self.bias = nn.Parameter(torch.zeros(2))

    def forward(self, features: Tensor) -> Tensor:
        """Return the error [B, T, 2] mm of raw features [B, T, 15]."""
        signals = torch.cat([self._signals(features, axis) for axis in (0, 1)], dim=-1)
        padded = functional.pad(
            signals.transpose(1, 2), (self.context_length - 1, 0), mode="replicate"
        )
        error = functional.conv1d(padded, self.weight, self.bias, groups=2)
        return error.transpose(1, 2) * self.scaling.target_std

    def _signals(self, features: Tensor, axis: int) -> Tensor:
        """Return v, a (in standard deviations) and sign(v) of one axis, [B, T, 3]."""
        _, velocity, acceleration, _ = motion(features)
        _, velocity_scale, acceleration_scale, _ = motion(self.scaling.feature_std)
        return torch.stack(
            [
                velocity[..., axis] / velocity_scale[axis],
                acceleration[..., axis] / acceleration_scale[axis],
                torch.sign(velocity[..., axis]),
            ],
            dim=-1,
        )

    def fit(
        self,
        training: Sequence[tuple[Tensor, Tensor]],
        validation: Sequence[tuple[Tensor, Tensor]],
        ridges: Sequence[float] = RIDGES,
    ) -> float:
        """Set weight and bias by ridge regression in closed form.

        Parameters
        ----------
        training, validation
            Pairs of features [C + N, 15] and errors [N, 2] mm, one per layer: C samples of
            what comes before it, 0 or more, whose errors do not count.
        ridges
            Candidates for the penalty on squared weights, relative to the mean square of
            the regressors; the one with the least validation error is taken.

        Returns
        -------
        float
            The chosen ridge.
        """
        best = (np.inf, ridges[0])
        moments = [self._moments(training, axis) for axis in range(2)]
        for ridge in ridges:
            self._solve(moments, ridge)
            best = min(best, (self._mean_square_error(validation), ridge))
        self._solve(moments, best[1])
        return best[1]

    def _moments(
        self, sequences: Sequence[tuple[Tensor, Tensor]], axis: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the normal equations of one axis; the last regressor is the constant."""
        size = QUANTITIES * self.context_length + 1
        gram, moment = np.zeros((size, size)), np.zeros(size)
        for features, error in sequences:
            signals = self._signals(features, axis).double()
            padded = functional.pad(signals.T, (self.context_length - 1, 0), mode="replicate")
            windows = padded.unfold(1, self.context_length, 1).transpose(0, 1).flatten(1)
            windows = windows[-len(error) :]
            rows = torch.cat([windows, torch.ones(len(windows), 1)], dim=1).numpy()
            gram += rows.T @ rows
            scaled = error[:, axis] / self.scaling.target_std[axis]
            moment += rows.T @ scaled.double().numpy()
        if not self.constant:
            gram[-1, :], gram[:, -1], moment[-1] = 0.0, 0.0, 0.0
            gram[-1, -1] = 1.0  # the constant is zero, and solvable
        return gram, moment

    def _solve(
        self, moments: list[tuple[NDArray[np.float64], NDArray[np.float64]]], ridge: float
    ) -> None:
        for axis, (gram, moment) in enumerate(moments):
            penalty = ridge * np.trace(gram) / len(gram) * np.eye(len(gram))
            penalty[-1, -1] = 0.0
            solution = torch.from_numpy(np.linalg.solve(gram + penalty, moment))
            with torch.no_grad():
                self.weight[axis] = solution[:-1].reshape(QUANTITIES, self.context_length)
                self.bias[axis] = solution[-1]

    def _mean_square_error(self, sequences: Sequence[tuple[Tensor, Tensor]]) -> float:
        with torch.no_grad():
            squares = [
                (self(f.unsqueeze(0))[0, -len(e) :] - e).square().sum() for f, e in sequences
            ]
        return float(torch.stack(squares).sum()) / sum(error.numel() for _, error in sequences)
