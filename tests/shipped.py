"""Settings as the shipped configs have them, with a test's own changes."""

from pathlib import Path
from typing import Any, TypeVar

from trajerr.commands.building import pick
from trajerr.shipped import shipped
from trajerr.training.datamodule import PrinterDataModule

T = TypeVar("T")


def as_shipped(kind: type[T], config: str, *groups: str, **changes: Any) -> T:
    """What a group of a config, or its root, says; ``as_shipped(Bins, "evaluate", "bins")``."""
    values = shipped(config)
    for group in groups:
        values = values[group]
    return pick(kind, values, **changes)


def data_module(root: Path, **changes: Any) -> PrinterDataModule:
    """All windows of a prepared folder, as it was prepared, 64 a batch."""
    values = shipped("data/default")
    open_ended = dict.fromkeys(("sequence_length", "stride", "samples_per_epoch"))
    values |= {**open_ended, "batch_size": 64, "seed": 0, "root": root, **changes}
    return PrinterDataModule(**{k: v for k, v in values.items() if k != "_target_"})
