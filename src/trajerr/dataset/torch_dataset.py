"""Windows one at a time, from either layout of a prepared folder."""

import bisect
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from trajerr.dataset.stats import SPLITS, Stats, read_stats
from trajerr.dataset.store import Sequence, load_sequence, load_tensors, split_files
from trajerr.dataset.windows import count_windows
from trajerr.errors import DataError

Item = dict[str, Any]


class PrinterSimulationDataset(Dataset[Item]):
    """The windows of one split as dictionaries, e.g. of ``data/processed/train``.

    Windows hold what counts: none begins in the lead-in of a layer.

    Each item holds ``input_features`` (T, 15) in raw units, ``trajectory_targets`` (T, 2)
    mm, ``thermal_targets`` (T, 3) °C where every layer of the split has them, and
    ``metadata`` (plain values; in layout ``sequences`` with the same keys in every item, NaN or
    "" where a layer has no value, so that torch's own ``DataLoader`` makes batches). Tensors
    are views of the memory-mapped files. For training take
    :class:`trajerr.training.datamodule.PrinterDataModule`, which gathers whole batches.

    Parameters
    ----------
    path
        One split's folder, inside a prepared folder.
    sequence_length, stride
        Samples; what ``prepare`` was asked for by default. Layout ``windows`` has no other.

    Raises
    ------
    DataError
        The folder is not a prepared split, or its windows have another length or stride.
    """

    def __init__(
        self,
        path: Path | str,
        sequence_length: int | None = None,
        stride: int | None = None,
    ) -> None:
        folder = Path(path)
        if folder.name not in SPLITS:
            raise DataError(f"{folder}: not a split's folder, expected …/{'|'.join(SPLITS)}")
        self.stats: Stats = read_stats(folder.parent)
        self.sequence_length = sequence_length or self.stats.sequence_length
        self.stride = stride or self.stats.stride
        files = split_files(folder.parent, folder.name)
        if self.stats.layout == "windows":
            self._require_own_cut(folder)
            self._files, self._sequences = files, []
            self._ends = list(range(1, len(files) + 1))
        else:
            self._files = []
            self._sequences = [load_sequence(file).trimmed() for file in files]
            self._ends = _running_sum(
                [count_windows(len(s), self.sequence_length, self.stride) for s in self._sequences]
            )
        self._blank = _blank([sequence.metadata for sequence in self._sequences])
        self.has_thermal_targets = self.stats.has_temperatures

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Item:
        if not -len(self) <= index < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        index %= len(self)
        if self._files:
            return load_tensors(self._files[index])
        which = bisect.bisect_right(self._ends, index)
        before = self._ends[which - 1] if which else 0
        start = (index - before) * self.stride
        item = make_window(
            self._sequences[which], start, self.sequence_length, self.has_thermal_targets
        )
        item["metadata"] = {**self._blank, **item["metadata"]}
        return item

    def _require_own_cut(self, folder: Path) -> None:
        asked = (self.sequence_length, self.stride)
        stored = (self.stats.sequence_length, self.stats.stride)
        if asked != stored:
            raise DataError(
                f"{folder}: windows were cut with (sequence_length, stride) {stored}, asked for "
                f"{asked}; prepare again, or use layout=sequences"
            )


def make_window(sequence: Sequence, start: int, length: int, thermal: bool) -> Item:
    """Cut one window out of a sequence, as views."""
    rows = slice(start, start + length)
    item: Item = {
        "input_features": sequence.features[rows],
        "trajectory_targets": sequence.targets[rows],
        "metadata": {**sequence.metadata, "start": start},
    }
    if thermal and sequence.temperatures is not None:
        item["thermal_targets"] = sequence.temperatures[rows]
    return item


def own_storage(item: Item) -> Item:
    """Return the item with tensors that own what they show, as a file should hold them."""
    return {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in item.items()}


def _blank(several: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what stands for the value of each key where it has none."""
    known = {key: value for metadata in several for key, value in metadata.items()}
    return {key: "" if isinstance(value, str) else math.nan for key, value in known.items()}


def _running_sum(counts: list[int]) -> list[int]:
    ends, total = [], 0
    for count in counts:
        total += count
        ends.append(total)
    return ends
