"""The processes of one training: how Lightning starts the others, and what is left of them."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.strategies.launchers import subprocess_script as of_fabric
from lightning.pytorch.strategies.launchers import subprocess_script as of_trainer

STARTS = "_hydra_subprocess_cmd"  # of Lightning: the command line of a further process
OF_A_RUN = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")


@contextmanager
def started_by(command: Callable[[int], Sequence[str]], folder: Path) -> Iterator[None]:
    """Have Lightning start further processes by a command, and clear up after them.

    Lightning would repeat the command line of this process, which starts a sweep anew where
    this is one of its runs. A sweep's next run begins in this process, too, so nothing of this
    one's group may be left.

    Parameters
    ----------
    command
        Takes a process's local rank, from 1 on, and returns its command line.
    folder
        Where to run it.
    """
    before = {name: os.environ.get(name) for name in OF_A_RUN}
    modules = [module for module in (of_fabric, of_trainer) if hasattr(module, STARTS)]
    usual: list[Any] = [getattr(module, STARTS) for module in modules]
    for module in modules:
        setattr(module, STARTS, lambda local_rank: (list(command(local_rank)), str(folder)))
    try:
        yield
    finally:
        for module, function in zip(modules, usual, strict=True):
            setattr(module, STARTS, function)
        distributed = torch.distributed
        if distributed.is_available() and distributed.is_initialized():
            distributed.destroy_process_group()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
