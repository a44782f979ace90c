"""A plain recurrent network, ``lstm``."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from trajerr.models.inputs import Scaling, make_inputs, unfold_streams
from trajerr.models.recurrence import Recurrence


class LstmNetwork(nn.Module):
    """An LSTM from inputs to error, its state carried from sample to sample.

    Parameters
    ----------
    hidden_size, num_layers
        Sizes of the LSTM.
    dropout
        Between its layers, in training only.
    axes, kinematics, ripple_periods_mm, context_length
        As for :class:`~trajerr.models.transformer.TransformerRecurrent`.
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
    ) -> None:
        super().__init__()
        self.context_length = context_length
        self.scaling = Scaling()
        self.inputs = make_inputs(axes, kinematics, ripple_periods_mm)
        self.streams = self.inputs.streams
        self.hidden_size = self.streams * hidden_size
        self.recurrence = Recurrence(self.inputs.size, hidden_size, num_layers, dropout)
        self.head = nn.Linear(hidden_size, 2 // self.streams)
        self.shortcut = nn.Linear(self.inputs.size, 2 // self.streams, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return the error [B, T, 2] mm of raw features [B, T, 15], from rest."""
        error, _ = self.stream(features, self.initial_state(features.shape[0]))
        return error

    def hidden(self, features: Tensor) -> Tensor:
        """Return what the LSTM knows of each sample, [B, T, streams * hidden_size]."""
        inputs = self.inputs(features, self.scaling.normalize(features))
        state = self.initial_state(features.shape[0])
        decoded, _, _ = self.recurrence(inputs, state[0], state[1])
        return torch.unflatten(decoded, 0, [-1, self.streams]).transpose(1, 2).flatten(2)

    @torch.jit.export
    def stream(self, features: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the error [B, T, 2] mm of the samples that follow a state, and the next state.

        A state holds hidden and cell state [layers, streams * B, hidden_size].
        """
        inputs = self.inputs(features, self.scaling.normalize(features))
        decoded, hidden, cell = self.recurrence(inputs, state[0], state[1])
        output = self.head(decoded) + self.shortcut(inputs)
        return self.scaling.to_mm(unfold_streams(output, self.streams)), [hidden, cell]

    @torch.jit.export
    def step(self, state: list[Tensor], sample: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the error [B, 2] mm of one sample [B, 15] of raw features, and the next state."""
        error, state = self.stream(sample.unsqueeze(1), state)
        return error.squeeze(1), state

    @torch.jit.export
    def initial_state(self, batch: int) -> list[Tensor]:
        """Return the state at rest of ``batch`` streams."""
        shape = [self.recurrence.num_layers, batch * self.streams, self.recurrence.hidden_size]
        zeros = self.scaling.target_mean.new_zeros(shape)
        return [zeros, zeros]
