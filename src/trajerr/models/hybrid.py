"""The axis equation with a network for what it leaves unexplained: ``hybrid``."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from trajerr.models.inputs import Scaling, make_inputs, unfold_streams
from trajerr.models.physics import SEEN, AxisEquation, with_solution
from trajerr.models.recurrence import Recurrence


class HybridNetwork(nn.Module):
    """An LSTM on the residual of a learnable axis equation, which also sees its solution.

    Parameters
    ----------
    hidden_size, num_layers, dropout
        Of the LSTM.
    axes, kinematics, ripple_periods_mm, context_length
        As for :class:`~trajerr.models.transformer.TransformerRecurrent`.
    sample_rate_hz, substeps, natural_freq_hz, damping_ratio, friction_mm_s2, delay_s
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
        substeps: int | None,
        natural_freq_hz: Sequence[float],
        damping_ratio: Sequence[float],
        friction_mm_s2: Sequence[float],
        delay_s: Sequence[float],
    ) -> None:
        super().__init__()
        self.context_length = context_length
        self.scaling = Scaling()
        self.inputs = make_inputs(axes, kinematics, ripple_periods_mm)
        self.streams = self.inputs.streams
        self.hidden_size = self.streams * hidden_size
        self.equation = AxisEquation(
            sample_rate_hz, substeps, natural_freq_hz, damping_ratio, friction_mm_s2, delay_s
        )
        size = self.inputs.size + SEEN * 2 // self.streams
        self.recurrence = Recurrence(size, hidden_size, num_layers, dropout)
        self.head = nn.Linear(hidden_size, 2 // self.streams)
        self.shortcut = nn.Linear(size, 2 // self.streams, bias=False)
        for weight in (self.shortcut.weight, self.head.weight, self.head.bias):
            nn.init.zeros_(weight)

    def forward(self, features: Tensor) -> Tensor:
        """Return the error [B, T, 2] mm of raw features [B, T, 15], from rest."""
        error, _ = self.stream(features, self.initial_state(features.shape[0]))
        return error

    def hidden(self, features: Tensor) -> Tensor:
        """Return what the LSTM knows of each sample, [B, T, hidden_size of both axes]."""
        state = self.initial_state(features.shape[0])
        states, _ = self.equation(features, state[2])
        inputs, _ = self._seen(features, states)
        decoded, _, _ = self.recurrence(inputs, state[0], state[1])
        return torch.unflatten(decoded, 0, [-1, self.streams]).transpose(1, 2).flatten(2)

    @torch.jit.export
    def stream(self, features: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the error [B, T, 2] mm of the samples that follow a state, and the next state.

        A state holds the LSTM's hidden and cell state and the equation's state.
        """
        states, last = self.equation(features, state[2])
        inputs, known = self._seen(features, states)
        decoded, hidden, cell = self.recurrence(inputs, state[0], state[1])
        return self._error(decoded, inputs, known), [hidden, cell, last]

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

    def guided(self, features: Tensor, states: Tensor) -> Tensor:
        """Return the error [B, T, 2] mm of raw features, from rest, of an equation solved already.

        ``states`` [T, 2, B, 2] are those of :class:`~trajerr.models.physics.AxisEquation`.
        """
        inputs, known = self._seen(features, states)
        start = self.initial_state(features.shape[0])
        decoded, _, _ = self.recurrence(inputs, start[0], start[1])
        return self._error(decoded, inputs, known)

    def _seen(self, features: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return the LSTM's inputs, and the equation's error [B, T, 2] mm."""
        inputs = self.inputs(features, self.scaling.normalize(features))
        scales, states = self.scaling, self.equation.late(states)
        return with_solution(inputs, states, scales.target_std, scales.feature_std, self.streams)

    def _error(self, decoded: Tensor, inputs: Tensor, known: Tensor) -> Tensor:
        """Return the error [B, T, 2] mm of what the LSTM says and of what is known."""
        residual = unfold_streams(self.head(decoded) + self.shortcut(inputs), self.streams)
        return known + residual * self.scaling.target_std
