"""A head that reads the three temperatures off a network's hidden vectors."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ThermalHead(nn.Module):
    """T_nozzle, T_interface and T_surface from what the decoder knows.

    Parameters
    ----------
    width
        Size of the hidden vectors.
    mean, std
        Statistics of the three temperatures, °C.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, width: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 3)
        self.register_buffer("mean", torch.tensor(list(mean)))
        self.register_buffer("std", torch.tensor(list(std)))

    def forward(self, hidden: Tensor) -> Tensor:
        """Return temperatures [B, T, 3] °C of hidden vectors [B, T, width]."""
        normalized: Tensor = self.linear(hidden)
        return normalized * self.std + self.mean
