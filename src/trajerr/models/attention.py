"""Causal self-attention over a bounded past, alike for whole sequences and streams.

A sample attends to itself and the ``context - 1`` samples before it. Sequences are cut
into blocks of ``context`` samples, each attending to itself and the block before, so the
cost grows linearly with length and any length works.

Before the first sample stands a past of zero keys and values, attended to like any
other: a stream then starts from a cache of zeros, and no mask depends on time.

Positions enter as sinusoids that rotate queries and keys (Su et al., RoFormer, 2021),
so that only the distance of two samples matters, and printing for an hour is like
printing for a second.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

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
    """

    num_heads: torch.jit.Final[int]
    context: torch.jit.Final[int]

    def __init__(self, width: int, num_heads: int, context: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.context = context
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)
        cosine, sine = _rotations(2 * context, width // num_heads)
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("sine", sine, persistent=False)
        self.register_buffer("band", _band(context), persistent=False)

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
        padding = -asking.shape[1] % self.context
        blocks = self._blocks(functional.pad(history, (0, 0, 0, padding)), 2)
        pairs = torch.cat([blocks[:, :-1], blocks[:, 1:]], dim=3)  # [B, N, 2 heads, 2K, d]
        key, value = pairs.chunk(2, dim=2)
        query = self._blocks(functional.pad(self.query(asking), (0, 0, 0, padding)), 1)
        query = rotate(query, self.cosine[self.context :], self.sine[self.context :])
        mixed = _attend(query, rotate(key, self.cosine, self.sine), value, self.band)
        joined = mixed.transpose(2, 3).flatten(3).flatten(1, 2)
        return self.output(joined[:, : asking.shape[1]]), history[:, -self.context :]

    def step(self, asking: Tensor, memory: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Attend from one sample [B, width]; returns [B, width] and the next past."""
        recent = self.key_value(memory).unsqueeze(1)
        history = torch.cat([past[:, 1:], recent], dim=1)
        key, value = self._blocks(history, 2).chunk(2, dim=2)  # [B, 1, heads, K, d]
        query = self.query(asking).unflatten(1, (1, self.num_heads, 1, -1))
        last = self.context - 1
        query = rotate(query, self.cosine[last : last + 1], self.sine[last : last + 1])
        key = rotate(key, self.cosine[: self.context], self.sine[: self.context])
        mixed = _attend(query, key, value, torch.zeros_like(self.cosine[0, :1]))
        return self.output(mixed.flatten(1)), history

    def _blocks(self, vectors: Tensor, parts: int) -> Tensor:
        """Return [B, N * K, parts * width] as [B, N, parts * heads, K, d]."""
        blocks = vectors.unflatten(1, (-1, self.context))
        return blocks.unflatten(3, (parts * self.num_heads, -1)).transpose(2, 3)


class EncoderLayer(nn.Module):
    """Pre-norm transformer layer: banded attention, then a feed-forward part.

    Parameters
    ----------
    width, num_heads, context
        As for :class:`BandedAttention`.
    feedforward
        Hidden size of the feed-forward part.
    dropout
        On both residual branches, in training only.
    """

    def __init__(
        self, width: int, num_heads: int, context: int, feedforward: int, dropout: float
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = BandedAttention(width, num_heads, context)
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


def rotate(vectors: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate the pairs (first half, second half) of vectors [..., T, d] by their positions."""
    first, second = vectors.chunk(2, dim=-1)
    turned = [first * cosine - second * sine, second * cosine + first * sine]
    return torch.cat(turned, dim=-1)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    return torch.softmax(scores + mask, dim=-1) @ value


def _rotations(length: int, size: int) -> tuple[Tensor, Tensor]:
    """Return cosine and sine [length, size / 2] of position times frequency."""
    frequency = ROTATION_BASE ** (-torch.arange(0, size, 2) / size)
    angle = torch.arange(length).unsqueeze(1) * frequency
    return torch.cos(angle), torch.sin(angle)


def _band(context: int) -> Tensor:
    """Return the additive mask [K, 2K]: 0 from itself to K - 1 samples back, else -inf."""
    query = torch.arange(context, 2 * context).unsqueeze(1)
    distance = query - torch.arange(2 * context)
    outside = (distance < 0) | (distance >= context)
    return torch.zeros(context, 2 * context).masked_fill(outside, -torch.inf)
