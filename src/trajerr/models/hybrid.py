"""The axis equation with a network for what it leaves unexplained: ``hybrid``."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from trajerr.models.inputs import Scaling, direction, make_inputs, motion, unfold_streams
from trajerr.models.physics import AxisEquation
from trajerr.models.recurrence import Recurrence

PHYSICS_INPUTS = 3  # error, nozzle velocity, its direction


class HybridNetwork(nn.Module):
    """An LSTM on the residual of a learnable axis equation, which also sees its solution.

    Parameters
    ----------
    hidden_size, num_layers, dropout
        Of the LSTM.
    axes, kinematics, ripple_periods_mm, context_length
        As for :class:`~trajerr.models.transformer.TransformerRecurrent`.
    sample_rate_hz, substeps, natural_freq_hz, damping_ratio, friction_mm_s2
        As for :class:`~trajerr.models.physics.AxisEquation`.
    """

    context_length: Final[int]
    streams: Final[int]

    def __init__(
        self,
        hidden_size: int,
        num_layers: int,
        dropout: float,
        axes: str,
        kinematics: str | None,
        ripple_periods_mm: Sequence[float],
        context_length: int,
        sample_rate_hz: float,
        substeps: int,
        natural_freq_hz: Sequence[float],
        damping_ratio: Sequence[float],
        friction_mm_s2: Sequence[float],
    ) -> None:
        super().__init__()
        self.context_length = context_length
        self.scaling = Scaling()
        self.inputs = make_inputs(axes, kinematics, ripple_periods_mm)
        self.streams = self.inputs.streams
        self.hidden_size = self.streams * hidden_size
        self.equation = AxisEquation(
            sample_rate_hz, substeps, natural_freq_hz, damping_ratio, friction_mm_s2
        )
        size = self.inputs.size + PHYSICS_INPUTS * 2 // self.streams
        self.recurrence = Recurrence(size, hidden_size, num_layers, dropout)
        self.head = nn.Linear(hidden_size, 2 // self.streams)
        self.shortcut = nn.Linear(size, 2 // self.streams, bias=False)
        nn.init.zeros_(self.shortcut.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Return the error [B, T, 2] mm of raw features [B, T, 15], from rest."""
        error, _ = self.stream(features, self.initial_state(features.shape[0]))
        return error

    def hidden(self, features: Tensor) -> Tensor:
        """Return what the LSTM knows of each sample, [B, T, hidden_size of both axes]."""
        state = self.initial_state(features.shape[0])
        inputs, _, _ = self._inputs(features, state[2])
        decoded, _, _ = self.recurrence(inputs, state[0], state[1])
        return torch.unflatten(decoded, 0, [-1, self.streams]).transpose(1, 2).flatten(2)

    @torch.jit.export
    def stream(self, features: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the error [B, T, 2] mm of the samples that follow a state, and the next state.

        A state holds the LSTM's hidden and cell state and the equation's state.
        """
        inputs, solution, last = self._inputs(features, state[2])
        decoded, hidden, cell = self.recurrence(inputs, state[0], state[1])
        residual = unfold_streams(self.head(decoded) + self.shortcut(inputs), self.streams)
        return solution + residual * self.scaling.target_std, [hidden, cell, last]

    @torch.jit.export
    def step(self, state: list[Tensor], sample: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the error [B, 2] mm of one sample [B, 15] of raw features, and the next state."""
        error, state = self.stream(sample.unsqueeze(1), state)
        return error.squeeze(1), state

    @torch.jit.export
    def initial_state(self, batch: int) -> list[Tensor]:
        """Return the state at rest of ``batch`` streams."""
        shape = [self.recurrence.num_layers, batch * self.streams, self.recurrence.hidden_size]
        mean = self.scaling.target_mean  # for its device and type
        memory = mean.new_zeros(shape)
        return [memory, memory, mean.new_zeros([2, batch, 2])]

    def _inputs(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the LSTM's inputs, the equation's error [B, T, 2] mm and its last state."""
        states, last = self.equation(features, state)
        error, nozzle = states[:, 0].transpose(0, 1), states[:, 1].transpose(0, 1)
        solved = torch.stack(
            [
                error / self.scaling.target_std,
                nozzle / motion(self.scaling.feature_std)[1],
                direction(nozzle),
            ],
            dim=-1,
        )  # [B, T, 2, 3]
        solved = solved.transpose(1, 2).flatten(0, 1) if self.streams == 2 else solved.flatten(-2)
        inputs = self.inputs(features, self.scaling.normalize(features))
        return torch.cat([inputs, solved], dim=-1), error, last
