"""Prepared sequences on disk: one ``.pt`` a layer and variant, memory-mapped when read.

Knows tensors and their files; nothing about how layers are split or read. Files hold
tensors and plain values only and load with ``weights_only``.
"""

import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from trajerr.checks import is_number, require_one_of
from trajerr.dataset.record import UNCERTAINTY, LayerRecord
from trajerr.dataset.stats import FILE, SPLITS, Stats, read_stats
from trajerr.dataset.tensor_files import read_dict
from trajerr.errors import DataError
from trajerr.files import write_atomically
from trajerr.motion.features import FEATURES, HISTORY, TARGETS, compute_features

WINDOW = "sample_"  # begins the name of a file that holds one window

Metadata = Mapping[str, str | int | float]


@dataclass(frozen=True)
class Sequence:
    """One uninterrupted stretch of a layer in one variant; N samples.

    The first ``context`` are its lead-in: a network's input, and nothing that counts.
    """

    features: Tensor  # (N, 15) float32, raw physical units
    targets: Tensor  # (N, 2) float32 mm
    temperatures: Tensor | None  # (N, 3) float32 °C
    time: Tensor  # (N,) float64 s
    feature: Tensor  # (N,) uint8 FeatureType
    extruding: Tensor  # (N,) bool
    travel: Tensor  # (N,) bool
    metadata: Metadata  # part, layer, variant, kind, piece, source, sample_rate_hz, …
    context: int = 0

    def __len__(self) -> int:
        return len(self.features)

    @property
    def pair(self) -> tuple[Tensor, Tensor]:
        """Features (N, 15) and the errors after the context, (N - context, 2) mm."""
        return self.features, self.targets[self.context :]

    @property
    def uncertainty(self) -> Tensor:
        """(2,) mm RMS by which the errors of x and y are uncertain; 0 where nothing says so."""
        told = [self.metadata.get(key) for key in UNCERTAINTY]  # files of others may hold any text
        return torch.tensor([v if is_number(v) else 0.0 for v in told], dtype=torch.float32)

    def trimmed(self, lead: int = 0) -> Self:
        """Return the samples that count after the last ``lead`` of the context, as views."""
        first = max(0, self.context - lead)
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        kept: dict[str, Any] = {k: v[first:] for k, v in columns.items() if isinstance(v, Tensor)}
        return replace(self, **kept, context=self.context - first)


@dataclass(frozen=True)
class Split:
    """The sequences of one split and what the folder says about them."""

    name: str
    sequences: tuple[Sequence, ...]
    stats: Stats

    @property
    def has_temperatures(self) -> bool:
        """Whether every sequence has thermal targets."""
        return all(s.temperatures is not None for s in self.sequences)

    def select(self, kinds: Collection[str]) -> "Split":
        """Return the split with sequences of the given kinds only, e.g. ``{"nominal"}``.

        Raises
        ------
        DataError
            No sequence is of these kinds.
        """
        chosen = tuple(s for s in self.sequences if s.metadata.get("kind") in kinds)
        if not chosen:
            present = sorted({str(s.metadata.get("kind")) for s in self.sequences})
            raise DataError(f"split {self.name}: none of kinds {sorted(kinds)}; it has {present}")
        return Split(self.name, chosen, self.stats)


def make_sequence(record: LayerRecord, metadata: Metadata) -> Sequence:
    """Turn a record into tensors; its first three samples, which lack history, go.

    Raises
    ------
    DataError
        The record is too short to have features.
    """
    if len(record.time) <= HISTORY:
        raise DataError(f"{len(record.time)} samples are too few, expected more than {HISTORY}")
    features = compute_features(record.commanded, record.sample_rate)
    kept = record.select(slice(HISTORY, None))
    temperatures = kept.temperatures
    return Sequence(
        features=_float32(features[HISTORY:]),
        targets=_float32(kept.error),
        temperatures=None if temperatures is None else _float32(temperatures),
        time=torch.from_numpy(np.array(kept.time, np.float64)),
        feature=torch.from_numpy(np.array(kept.feature, np.uint8)),
        extruding=torch.from_numpy(np.array(kept.extruding, np.bool_)),
        travel=torch.from_numpy(np.array(kept.travel, np.bool_)),
        metadata=metadata,
        context=max(0, record.context - HISTORY),
    )


def save_sequence(path: Path, sequence: Sequence) -> None:
    """Write one sequence atomically."""
    content: dict[str, Any] = {
        "features": sequence.features,
        "targets": sequence.targets,
        "time": sequence.time,
        "feature": sequence.feature,
        "extruding": sequence.extruding,
        "travel": sequence.travel,
        "metadata": dict(sequence.metadata),
        "context": sequence.context,
    }
    if sequence.temperatures is not None:
        content["temperatures"] = sequence.temperatures
    save_tensors(path, content)


def load_sequence(path: Path) -> Sequence:
    """Open one sequence; its tensors are views of the mapped file.

    Raises
    ------
    DataError
        The file is damaged, foreign, or holds other tensors.
    """
    content = load_tensors(path)
    try:
        sequence = Sequence(
            features=content["features"],
            targets=content["targets"],
            temperatures=content.get("temperatures"),
            time=content["time"],
            feature=content["feature"],
            extruding=content["extruding"],
            travel=content["travel"],
            metadata=content["metadata"],
            context=content.get("context", 0),  # none in folders prepared before there was one
        )
    except KeyError as error:
        raise DataError(f"{path}: tensor {error} is missing; prepare the data again") from error
    _check_shapes(sequence, path)
    return sequence


def save_tensors(path: Path, content: Mapping[str, Any], *, flush: bool = True) -> None:
    """Write tensors and plain values as one ``.pt`` file, atomically."""
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    write_atomically(path, buffer.getvalue(), flush=flush)


def load_tensors(path: Path) -> dict[str, Any]:
    """Map one ``.pt`` file of tensors and plain values; nothing else is ever unpickled.

    Raises
    ------
    DataError
        The file is missing, damaged, or holds more than tensors and plain values.
    """
    return read_dict(path, "a .pt file of tensors", mapped=True)


def split_files(root: Path, split: str) -> list[Path]:
    """Return the ``.pt`` files of one split in order.

    Raises
    ------
    ConfigError
        The split's name is unknown.
    DataError
        The folder has none.
    """
    require_one_of("split", split, SPLITS)
    files = sorted((root / split).glob("*.pt"), key=_place)
    if not files:
        raise DataError(f"{root / split}: no .pt files; this folder has no split {split}")
    return files


def _place(path: Path) -> tuple[int, str]:
    """Return what orders files: their names, but windows beyond the 99,999th by number."""
    return len(path.name) if path.name.startswith(WINDOW) else 0, path.name


def prepared_folder(path: Path | str) -> Path:
    """Return a prepared folder, of which a split's own folder may be named."""
    folder = Path(path)
    is_split = folder.name in SPLITS and (folder.parent / FILE).is_file()
    return folder.parent if is_split else folder


def open_split(
    root: Path | str,
    split: str,
    kinds: Collection[str] | None = None,
    sample_rate: float | None = None,
) -> Split:
    """Open one split of a prepared folder of layout ``sequences``.

    Parameters
    ----------
    root
        The prepared folder, which holds ``stats.json``.
    split
        ``train``, ``val`` or ``test``.
    kinds
        Only sequences of these kinds (``nominal``, ``perturbed``, …); all by default.
    sample_rate
        Hz; data of another rate is refused.

    Raises
    ------
    ConfigError
        There is no split of that name.
    DataError
        The folder is not prepared, has another layout or sample rate, or lacks the split.
    """
    folder = Path(root)
    stats = read_stats(folder)
    if sample_rate is not None:
        stats.require_sample_rate(sample_rate)
    if stats.layout != "sequences":
        raise DataError(
            f"{folder}: layout is {stats.layout}, expected sequences; "
            "run prepare with layout=sequences"
        )
    opened = Split(split, tuple(map(load_sequence, split_files(folder, split))), stats)
    return opened if kinds is None else opened.select(kinds)


def _float32(values: Any) -> Tensor:  # noqa: ANN401 - any NumPy array
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _check_shapes(sequence: Sequence, path: Path) -> None:
    n = len(sequence)
    expected = {"features": (n, len(FEATURES)), "targets": (n, len(TARGETS)), "time": (n,)}
    for name, shape in expected.items():
        found = tuple(getattr(sequence, name).shape)
        if found != shape:
            raise DataError(f"{path}: {name} has shape {found}, expected {shape}")
    if not (isinstance(sequence.context, int) and 0 <= sequence.context < n):
        raise DataError(f"{path}: context is {sequence.context}, expected 0 to {n - 1}")
