"""Causal self-attention over a bounded past, alike for whole sequences and streams.

A sample attends to itself and the ``context - 1`` samples before it. Sequences are cut
into blocks of ``context`` samples, each attending to itself and the block before, so the
cost grows linearly with length and any length works.

Before the first sample stands a past of zero keys and values, attended to like any
other: a stream then starts from a cache of zeros, and no mask depends on time.

Only the distance of two samples matters, so that printing for an hour is like printing for
a second. It enters as sinusoids that rotate queries and keys (Su et al., RoFormer, 2021), or
cheaper, as a penalty on the score that grows linearly (Press et al., ALiBi, 2022).
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.jit import is_scripting  # type: ignore[attr-defined]
from torch.nn import functional

from trajerr.checks import require, require_one_of

POSITIONS = ("sinusoidal", "linear")
ROTATION_BASE = 10_000.0  # Vaswani et al., Attention is all you need, 2017, section 3.5


class BandedAttention(nn.Module):
    """Multi-head attention of each sample to its last ``context`` samples.

    Parameters
    ----------
    width
        Size of the vectors, a multiple of ``2 * num_heads``.
    num_heads
        Number of heads.
    context
        How many samples, itself included, one sample sees.
    positions
        Of :data:`POSITIONS`: how distances enter.

    Raises
    ------
    ConfigError
        ``positions`` is unknown, or the width does not divide among the heads.
    """

    num_heads: Final[int]
    context: Final[int]
    rotates: Final[bool]
    cosine: Tensor
    sine: Tensor
    band: Tensor
    window: Tensor

    def __init__(self, width: int, num_heads: int, context: int, positions: str) -> None:
        super().__init__()
        require_one_of("model.positions", positions, POSITIONS)
        expected = f"a multiple of 2 * model.num_heads, {2 * num_heads}"
        require("model.d_model", width, width % (2 * num_heads) == 0, expected)
        self.rotates = positions == "sinusoidal"
        self.num_heads = num_heads
        self.context = context
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)
        cosine, sine = _rotations(2 * context, width // num_heads)
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("sine", sine, persistent=False)
        slopes = torch.zeros(1) if self.rotates else _slopes(num_heads)
        band = _band(context, slopes)
        self.register_buffer("band", band, persistent=False)
        self.register_buffer("window", band[:, :, -1:, context:], persistent=False)

    def forward(self, asking: Tensor, memory: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Attend from each sample to the memory's samples up to its own.

        Parameters
        ----------
        asking
            [B, T, width], what queries are made of.
        memory
            [B, T, width], what keys and values are made of; ``asking`` for self-attention.
        past
            [B, context, 2 * width], keys and values before ``memory``, not yet rotated,
            oldest first; the oldest lies outside the band and only rounds the block.

        Returns
        -------
        tuple[Tensor, Tensor]
            [B, T, width], and the past [B, context, 2 * width] of what follows.
        """
        history = torch.cat([past, self.key_value(memory)], dim=1)
        query = self.query(asking)
        # torch.export cannot prove that the blocks' sizes fit every length
        if not is_scripting() and is_plain_export():
            mixed = self._each(query, history)
        else:
            mixed = self._blockwise(query, history)
        return self.output(mixed), history[:, -self.context :]

    def step(self, asking: Tensor, memory: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Attend from one sample [B, width]; returns [B, width] and the next past."""
        history = torch.cat([past, self.key_value(memory).unsqueeze(1)], dim=1)
        mixed = self._each(self.query(asking).unsqueeze(1), history)
        return self.output(mixed.squeeze(1)), history[:, 1:]

    def _blockwise(self, query: Tensor, history: Tensor) -> Tensor:
        """Mix values block by block: [B, T, width] of queries and [B, K + T, 2 * width]."""
        steps, width = query.shape[1], query.shape[2]
        padding = -steps % self.context
        memory = functional.pad(history, (0, 0, 0, padding))
        memory = torch.unflatten(memory, 1, [-1, self.context])
        pairs = torch.cat([memory[:, :-1], memory[:, 1:]], dim=2)
        query = functional.pad(query, (0, 0, 0, padding))
        query = torch.unflatten(query, 1, [-1, self.context])
        query = self._heads(query, 1)
        key, value = self._heads(pairs, 2).chunk(2, dim=1)  # [B * N, heads, 2K, d]
        if self.rotates:
            query = rotate(query, self.cosine[self.context :], self.sine[self.context :])
            key = rotate(key, self.cosine, self.sine)
        mixed = functional.scaled_dot_product_attention(query, key, value, self.band)
        joined = mixed.transpose(1, 2).reshape(pairs.shape[0], pairs.shape[1] * self.context, width)
        return joined[:, :steps]

    def _each(self, query: Tensor, history: Tensor) -> Tensor:
        """Mix values sample by sample: simple, but copies the past of each; as _blockwise."""
        steps, width = query.shape[1], query.shape[2]
        windows = history[:, 1:].unfold(1, self.context, 1).transpose(2, 3)
        last = self.context - 1
        query = self._heads(query.unsqueeze(2), 1)
        key, value = self._heads(windows, 2).chunk(2, dim=1)  # [B * T, heads, K, d]
        if self.rotates:
            query = rotate(query, self.cosine[last : last + 1], self.sine[last : last + 1])
            key = rotate(key, self.cosine[: self.context], self.sine[: self.context])
        mixed = functional.scaled_dot_product_attention(query, key, value, self.window)
        return mixed.reshape(windows.shape[0], steps, width)

    def _heads(self, blocks: Tensor, parts: int) -> Tensor:
        """Return [B, N, L, parts * width] as [B * N, parts * heads, L, d]."""
        together = blocks.flatten(0, 1)
        return torch.unflatten(together, 2, [parts * self.num_heads, -1]).transpose(1, 2)


class EncoderLayer(nn.Module):
    """Pre-norm transformer layer: banded attention, then a feed-forward part.

    Parameters
    ----------
    width, num_heads, context, positions
        As for :class:`BandedAttention`.
    feedforward
        Hidden size of the feed-forward part.
    dropout
        On both residual branches, in training only.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        context: int,
        positions: str,
        feedforward: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = BandedAttention(width, num_heads, context, positions)
        self.feedforward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, feedforward),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(feedforward, width),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs [B, T, width] and the past [B, context, 2 * width] of what follows."""
        normed = self.norm(inputs)
        attended, history = self.attention(normed, normed, past)
        hidden = inputs + self.dropout(attended)
        return hidden + self.dropout(self.feedforward(hidden)), history

    def step(self, sample: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output [B, width] of one sample and the past of the next."""
        normed = self.norm(sample)
        attended, history = self.attention.step(normed, normed, past)
        hidden = sample + attended
        return hidden + self.feedforward(hidden), history


@torch.jit.unused
def is_plain_export() -> bool:
    """Whether ``torch.export`` is tracing for a program of its own, not for ONNX."""
    return torch.compiler.is_exporting() and not torch.onnx.is_in_onnx_export()


def rotate(vectors: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate the pairs (first half, second half) of vectors [..., T, d] by their positions."""
    first, second = vectors.chunk(2, dim=-1)
    turned = [first * cosine - second * sine, second * cosine + first * sine]
    return torch.cat(turned, dim=-1)


def _rotations(length: int, size: int) -> tuple[Tensor, Tensor]:
    """Return cosine and sine [length, size / 2] of position times frequency."""
    frequency = ROTATION_BASE ** (-torch.arange(0, size, 2) / size)
    angle = torch.arange(length).unsqueeze(1) * frequency
    return torch.cos(angle), torch.sin(angle)


def _slopes(num_heads: int) -> Tensor:
    """Return the heads' penalties per sample, 2^-(8 h / H) for h = 1 … H (Press et al.)."""
    return 2.0 ** (-8.0 * torch.arange(1, num_heads + 1) / num_heads)


def _band(context: int, slopes: Tensor) -> Tensor:
    """Return the additive mask [1, heads, K, 2K]: the penalty, -inf where unseen."""
    query = torch.arange(context, 2 * context).unsqueeze(1)
    distance = query - torch.arange(2 * context)
    outside = (distance < 0) | (distance >= context)
    penalty = -slopes[:, None, None] * distance.clamp(min=0)
    return penalty.masked_fill(outside, -torch.inf).unsqueeze(0)
