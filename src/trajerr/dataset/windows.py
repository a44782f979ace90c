"""Windows of fixed length over sequences of any length: which there are, and many at once.

Knows tensors only. No window crosses from one sequence into the next.
"""

from collections.abc import Sequence as Sized
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from trajerr.checks import require
from trajerr.dataset.store import Sequence


def count_windows(length: int, sequence_length: int, stride: int) -> int:
    """Return how many windows fit a sequence of ``length`` samples."""
    return max(0, (length - sequence_length) // stride + 1)


def window_starts(lengths: Sized[int], sequence_length: int, stride: int) -> Tensor:
    """Return the (W, 2) int64 windows: index of the sequence, first sample in it."""
    pieces = []
    for index, length in enumerate(lengths):
        starts = torch.arange(count_windows(length, sequence_length, stride)) * stride
        pieces.append(torch.stack([torch.full_like(starts, index), starts], dim=1))
    return torch.cat(pieces) if pieces else torch.empty((0, 2), dtype=torch.int64)


@dataclass(frozen=True)
class WindowTable:
    """Sequences laid end to end, from which windows are gathered many at a time."""

    features: Tensor  # (M, 15)
    targets: Tensor  # (M, 2) mm
    temperatures: Tensor | None  # (M, 3) °C
    uncertainty: Tensor  # (S, 2) mm RMS, of each sequence's targets; 0 where not known
    lengths: Tensor  # (S,) samples of each sequence
    sequence_length: int

    @classmethod
    def of(cls, sequences: Sized[Sequence], sequence_length: int, lead: int = 0) -> "WindowTable":
        """Lay sequences end to end in memory, once.

        Parameters
        ----------
        sequences
            Of a split.
        sequence_length
            Samples a window.
        lead
            Samples at a window's begin that nothing counts: so many of a sequence's context,
            less one window's last sample, may begin a window.

        Raises
        ------
        ConfigError
            No sequence is long enough for one window.
        """
        own = [s.trimmed(min(lead, sequence_length - 1)) for s in sequences]
        long_enough = [s for s in own if len(s) >= sequence_length]
        longest = max((len(s) for s in own), default=0)
        expected = f"at most {longest}, the samples of the longest sequence"
        require("sequence_length", sequence_length, len(long_enough) > 0, expected)
        thermal = [s.temperatures for s in long_enough if s.temperatures is not None]
        return cls(
            features=torch.cat([s.features for s in long_enough]),
            targets=torch.cat([s.targets for s in long_enough]),
            temperatures=torch.cat(thermal) if len(thermal) == len(long_enough) else None,
            uncertainty=torch.stack([s.uncertainty for s in long_enough]),
            lengths=torch.tensor([len(s) for s in long_enough]),
            sequence_length=sequence_length,
        )

    @property
    def first(self) -> Tensor:
        """(S,) row at which each sequence begins."""
        return torch.cumsum(self.lengths, 0) - self.lengths

    def strided(self, stride: int) -> Tensor:
        """Return the (W,) first rows of all windows at ``stride``."""
        windows = window_starts(self.lengths.tolist(), self.sequence_length, stride)
        return self.first[windows[:, 0]] + windows[:, 1]

    def random(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw the (count,) first rows of windows at any offset, evenly over the data.

        The offsets are stratified: the k-th of ``count`` equal shares of all offsets gives
        one, so that an epoch misses no stretch of the data; their order is random.
        """
        offsets = self.lengths - self.sequence_length + 1
        ends = torch.cumsum(offsets, 0)
        share = torch.rand(count, generator=generator, dtype=torch.float64)
        draw = ((torch.arange(count) + share) / count * int(ends[-1])).long()
        draw = draw.clamp(max=int(ends[-1]) - 1)
        sequence = torch.searchsorted(ends, draw, right=True)
        rows = self.first[sequence] + draw - (ends - offsets)[sequence]
        return rows[torch.randperm(count, generator=generator)]

    def gather(self, rows: Tensor) -> dict[str, Tensor]:
        """Return the windows that begin at ``rows`` (B,) as one batch.

        Returns
        -------
        dict
            ``input_features`` (B, T, 15), ``trajectory_targets`` (B, T, 2) mm and, where
            the data has them, ``thermal_targets`` (B, T, 3) °C and ``target_uncertainty``
            (B, 2) mm.
        """
        batch = {name: views.index_select(0, rows) for name, views in self.views.items()}
        if self.is_uncertain:
            sequence = torch.searchsorted(self.first, rows, right=True) - 1
            batch["target_uncertainty"] = self.uncertainty[sequence]
        return batch

    @cached_property
    def is_uncertain(self) -> bool:
        """Whether anything is known of how far the targets may be off."""
        return bool(torch.any(self.uncertainty > 0.0))

    @cached_property
    def views(self) -> dict[str, Tensor]:
        """Every window there could be, by a batch's names; row i begins at row i, uncopied."""
        tables = {
            "input_features": self.features,
            "trajectory_targets": self.targets,
            "thermal_targets": self.temperatures,
        }
        length = self.sequence_length
        return {
            name: table.as_strided(
                (len(table) - length + 1, length, table.shape[1]),
                (table.shape[1], table.shape[1], 1),
            )
            for name, table in tables.items()
            if table is not None
        }
