"""Mean, deviation and RMS over many sequences, independent of their order on disk."""

from collections.abc import Sequence

import torch
from torch import Tensor

Scale = tuple[tuple[float, ...], tuple[float, ...]]  # mean and deviation of each column

CONSTANT = 1e-9  # relative; a channel that varies less does not vary


def measure_scale(tables: Sequence[Tensor]) -> Scale:
    """Return mean and population deviation of each column over all rows of all tables.

    Two passes in float64: the mean first, so that a position of 100 mm that varies by
    1 mm keeps its digits.
    """
    count = sum(map(len, tables))
    mean = torch.stack([t.double().sum(0) for t in tables]).sum(0) / count
    square = torch.stack([((t.double() - mean) ** 2).sum(0) for t in tables]).sum(0) / count
    std = square.sqrt()
    is_constant = std <= CONSTANT * mean.abs().clamp(min=1.0)
    std = torch.where(is_constant, torch.ones_like(std), std)
    return tuple(mean.tolist()), tuple(std.tolist())


def measure_error_rms(targets: Sequence[Tensor]) -> float:
    """Return the RMS of the error's magnitude, mm; 0 without data."""
    count = sum(map(len, targets))
    total = sum(float((t.double() ** 2).sum()) for t in targets)
    return float((total / count) ** 0.5) if count else 0.0
