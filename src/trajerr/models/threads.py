"""How many threads a network computes on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from trajerr.models.registry import count_parameters

SMALL_NETWORK = 1_000_000  # parameters, below which a step is too short to share among cores


@contextmanager
def threads_for(network: nn.Module) -> Iterator[None]:
    """Let a small network compute on one thread, unless OMP_NUM_THREADS says otherwise.

    Its steps are too short to share: a second thread mostly waits for the first, several
    times as long as it helps.
    """
    small = count_parameters(network) < SMALL_NETWORK and "OMP_NUM_THREADS" not in os.environ
    with on_threads(1 if small else torch.get_num_threads()):
        yield


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """Compute on so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
