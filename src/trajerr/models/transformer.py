"""Causal transformer encoder with a recurrent decoder: ``base``, ``small`` and ``large``."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.jit import is_scripting  # type: ignore[attr-defined]

from trajerr.checks import require
from trajerr.errors import ConfigError
from trajerr.models.attention import BandedAttention, EncoderLayer
from trajerr.models.inputs import Scaling, draw_turns, make_inputs, unfold_streams
from trajerr.models.physics import SEEN, AxisEquation, with_solution
from trajerr.models.recurrence import Recurrence


class TransformerRecurrent(nn.Module):
    """Attention to the recent motion, then an LSTM that remembers friction's history.

    With an axis equation, the network sees what a mass on a belt with friction would do, and its
    output is what that leaves unexplained; the equation's parameters are learnt along.

    Parameters
    ----------
    d_model
        Width of embedding and encoder.
    num_layers
        Encoder layers.
    num_heads
        Heads of each.
    feedforward
        Hidden size of each encoder layer's feed-forward part.
    attention_context
        Samples that one encoder layer looks back, itself included.
    positions
        How distances enter attention: ``sinusoidal`` or, cheaper, ``linear``.
    decoder_size, decoder_layers
        Width and layers of the LSTM, which sees the inputs beside the encoder's output.
    decoder_attention
        Whether the decoder's output attends to the encoder's recent outputs; both are of
        one width then.
    dropout
        In encoder, decoder and head, in training only.
    axes
        ``shared``: one set of weights for each axis in turn; ``joint``: both axes at once.
    kinematics
        ``cartesian`` or ``corexy``, where the motors move x + y and x - y.
    ripple_periods_mm
        Periods of the motors' ripple, mm; their phases become inputs.
    context_length
        Samples after which a prediction no longer depends on where a window was cut; the
        recurrence makes this a matter of degree, settled in training.
    sample_rate_hz
        Of the features, for the equation.
    equation
        Arguments of :class:`~trajerr.models.physics.AxisEquation` beside the rate; None: no
        equation, the output is the whole error.
    mirrored
        Whether training turns the motion of every other sequence round, with its error. All
        forces on an axis do so, friction and ringing alike; a motor's ripple is taken as a
        drive beside the motion, that turns with it.

    Raises
    ------
    ConfigError
        The decoder shall attend to an encoder of another width, or ``axes`` is unknown.
    """

    context_length: Final[int]
    streams: Final[int]
    d_model: Final[int]
    attention_context: Final[int]
    recalls: Final[int]
    odd: Tensor  # (inputs,) 1 for those that turn round with the motion

    def __init__(
        self,
        d_model: int,
        num_layers: int,
        num_heads: int,
        feedforward: int,
        attention_context: int,
        positions: str,
        decoder_size: int,
        decoder_layers: int,
        decoder_attention: bool,
        dropout: float,
        axes: str,
        kinematics: str | None,
        ripple_periods_mm: Sequence[float],
        context_length: int,
        sample_rate_hz: float | None,
        equation: Mapping[str, Any] | None,
        mirrored: bool = False,  # as in networks of former versions, which name none
    ) -> None:
        super().__init__()
        fits = decoder_size == d_model or not decoder_attention
        expected = f"model.d_model, {d_model}, as model.decoder_attention is true"
        require("model.decoder_size", decoder_size, fits, expected)
        self.context_length = context_length
        self.d_model = d_model
        self.attention_context = attention_context
        self.recalls = 2 + num_layers  # where a state holds what the decoder recalls
        self.mirrored = mirrored
        self.scaling = Scaling()
        self.inputs = make_inputs(axes, kinematics, ripple_periods_mm)
        self.streams = self.inputs.streams
        self.hidden_size = self.streams * decoder_size
        self.equation = _axis_equation(sample_rate_hz, equation)
        solution = 0 if equation is None else SEEN * 2 // self.streams
        size = self.inputs.size + solution
        odd = torch.cat([self.inputs.odd, torch.ones(solution)])
        self.register_buffer("odd", odd, persistent=False)
        self.embedding = nn.Sequential(nn.Linear(size, d_model), nn.LayerNorm(d_model))
        self.encoder = nn.ModuleList(
            EncoderLayer(d_model, num_heads, attention_context, positions, feedforward, dropout)
            for _ in range(num_layers)
        )
        self.decoder = Recurrence(d_model + size, decoder_size, decoder_layers, dropout)
        self.recall = (
            BandedAttention(d_model, num_heads, attention_context, positions)
            if decoder_attention
            else None
        )
        self.head = make_head(decoder_size, 2 // self.streams, dropout)
        self.shortcut = nn.Linear(size, 2 // self.streams)
        if self.equation is not None:
            self._start_from_the_equation()

    def forward(self, features: Tensor) -> Tensor:
        """Return the error [B, T, 2] mm of raw features [B, T, 15], from rest."""
        if not is_scripting():  # TorchScript skips a bare condition only
            by_chance = self.mirrored and self.training
            if by_chance:
                turned: Tensor = self._turned(features)
                return turned
        error, _ = self.stream(features, self.initial_state(features.shape[0]))
        return error

    @torch.jit.unused
    def _turned(self, features: Tensor) -> Tensor:
        """Return the error [B, T, 2] mm, read off sequences that chance has turned round."""
        state = self.initial_state(features.shape[0])
        inputs, known, _ = self._inputs(features, state)
        turn = draw_turns(inputs)
        inputs = torch.where(self.odd > 0.0, turn * inputs, inputs)
        decoded, _ = self._decode(inputs, state)
        return known + self._beside(decoded, inputs, turn)

    def hidden(self, features: Tensor) -> Tensor:
        """Return what the decoder knows of each sample, [B, T, streams * decoder_size]."""
        state = self.initial_state(features.shape[0])
        inputs, _, _ = self._inputs(features, state)
        decoded, _ = self._decode(inputs, state)
        return torch.unflatten(decoded, 0, [-1, self.streams]).transpose(1, 2).flatten(2)

    @torch.jit.export
    def stream(self, features: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the error [B, T, 2] mm of the samples that follow a state, and the next state.

        A state holds the decoder's hidden and cell state [layers, streams * B, decoder_size],
        then the keys and values [streams * B, context, 2 * d_model] of each attention, then
        the equation's state [2, B, 2].
        """
        inputs, known, solved = self._inputs(features, state)
        decoded, state = self._decode(inputs, state)
        return self._error(decoded, inputs, known), state + solved

    @torch.jit.export
    def step(self, state: list[Tensor], sample: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the error [B, 2] mm of one sample [B, 15] of raw features, and the next state."""
        stretch, known, solved = self._inputs(sample.unsqueeze(1), state)
        inputs = stretch.squeeze(1)
        vector = self.embedding(inputs)
        pasts: list[Tensor] = []
        for index, layer in enumerate(self.encoder):
            vector, past = layer.step(vector, state[2 + index])  # type: ignore[operator]
            pasts.append(past)
        both = torch.cat([vector, inputs], dim=-1).unsqueeze(1)
        decoded, hidden, cell = self.decoder(both, state[0], state[1])
        if self.recall is not None:
            recalled, past = self.recall.step(decoded.squeeze(1), vector, state[self.recalls])
            decoded = decoded + recalled.unsqueeze(1)
            pasts.append(past)
        error = self._error(decoded, stretch, known).squeeze(1)
        return error, [hidden, cell] + pasts + solved  # noqa: RUF005 - TorchScript cannot unpack

    def guided(self, features: Tensor, states: Tensor) -> Tensor:
        """Return the error [B, T, 2] mm of raw features, from rest, of an equation solved already.

        ``states`` [T, 2, B, 2] are those of :class:`~trajerr.models.physics.AxisEquation`.
        """
        inputs, known = self._seen(features, states)
        decoded, _ = self._decode(inputs, self.initial_state(features.shape[0]))
        return self._error(decoded, inputs, known)

    @torch.jit.export
    def initial_state(self, batch: int) -> list[Tensor]:
        """Return the state at rest of ``batch`` streams."""
        rows = batch * self.streams
        mean = self.scaling.target_mean  # for its device and type
        memory = mean.new_zeros([self.decoder.num_layers, rows, self.decoder.hidden_size])
        attentions = len(self.encoder) + (0 if self.recall is None else 1)
        past = mean.new_zeros([rows, self.attention_context, 2 * self.d_model])
        state = [memory, memory] + [past for _ in range(attentions)]
        if self.equation is not None:
            state.append(mean.new_zeros([2, batch, 2]))
        return state

    def _inputs(self, features: Tensor, state: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the inputs, the error [B, T, 2] mm that is known, and the equation's state."""
        if self.equation is None:
            inputs = self.inputs(features, self.scaling.normalize(features))
            return inputs, self.scaling.target_mean.expand(features.shape[0], 1, 2), []
        states, last = self.equation(features, state[-1])
        inputs, known = self._seen(features, states)
        return inputs, known, [last]

    def _seen(self, features: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inputs [streams * B, T, size], and the equation's error [B, T, 2] mm."""
        inputs = self.inputs(features, self.scaling.normalize(features))
        scales = self.scaling
        if self.equation is not None:  # for TorchScript: who solves has one
            states = self.equation.late(states)
        return with_solution(inputs, states, scales.target_std, scales.feature_std, self.streams)

    def _error(self, decoded: Tensor, inputs: Tensor, known: Tensor) -> Tensor:
        """Return the error [B, T, 2] mm of what was decoded and of what is known."""
        return known + self._beside(decoded, inputs, None)

    def _beside(self, decoded: Tensor, inputs: Tensor, turn: Tensor | None) -> Tensor:
        """Return what was decoded, [B, T, 2] mm, turned back where its motion was turned."""
        output = self.head(decoded) + self.shortcut(inputs)
        if turn is not None:
            output = turn * output
        return unfold_streams(output, self.streams) * self.scaling.target_std

    def _start_from_the_equation(self) -> None:
        """Begin with an output of zero: what the equation says, unchanged."""
        with torch.no_grad():
            for parameter in (*self.head[-1].parameters(), *self.shortcut.parameters()):
                parameter.zero_()

    def _decode(self, inputs: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        encoded = self.embedding(inputs)
        pasts: list[Tensor] = []
        for index, layer in enumerate(self.encoder):
            encoded, past = layer(encoded, state[2 + index])
            pasts.append(past)
        both = torch.cat([encoded, inputs], dim=-1)
        decoded, hidden, cell = self.decoder(both, state[0], state[1])
        if self.recall is not None:
            recalled, past = self.recall(decoded, encoded, state[self.recalls])
            decoded = decoded + recalled
            pasts.append(past)
        return decoded, [hidden, cell] + pasts  # noqa: RUF005 - TorchScript cannot unpack


def _axis_equation(
    sample_rate_hz: float | None, arguments: Mapping[str, Any] | None
) -> AxisEquation | None:
    if arguments is None:
        return None
    if sample_rate_hz is None:
        raise ConfigError("model.sample_rate_hz: got null, expected the data's, for the equation")
    return AxisEquation(sample_rate_hz, **arguments)


def make_head(width: int, outputs: int, dropout: float) -> nn.Sequential:
    """Return the two-layer head that reads the error off a hidden vector."""
    return nn.Sequential(
        nn.Linear(width, width // 2),
        nn.GELU(),
        nn.Dropout(dropout),
        nn.Linear(width // 2, outputs),
    )
