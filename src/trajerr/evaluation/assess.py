"""One evaluation: from checkpoints and a split to predictions and scores.

Knows the order of things; every score comes from :mod:`.scores`.
"""

import platform
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import torch

from trajerr.checks import require, require_count, require_one_of
from trajerr.dataset.stats import SPLITS
from trajerr.dataset.store import Split, open_split
from trajerr.dynamics.printer import Printer
from trajerr.evaluation import baselines, scores
from trajerr.evaluation.leakage import refuse_overlap
from trajerr.evaluation.prediction import (
    Layers,
    Network,
    Prediction,
    Windows,
    cut_windows,
    lay_out,
    predict,
)
from trajerr.evaluation.timing import measure_inference
from trajerr.models.devices import CPU, device_of
from trajerr.models.registry import count_parameters
from trajerr.models.threads import threads_for
from trajerr.training.checkpoint import Loaded, find_best_checkpoint, load_checkpoint

PACKAGES = ("trajerr", "torch", "numpy", "matplotlib")


@dataclass(frozen=True)
class EvaluateSettings:
    """What to evaluate, on what, and what to write.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    checkpoint: str | Sequence[str] | None  # None: the last finished training
    split: str
    root: str  # the prepared folder
    output_dir: str
    visualize: bool
    save_predictions: bool
    generate_report: bool
    allow_overlap: bool
    kinds: Sequence[str] | None  # of variants; None: all
    stride: int | None  # samples between windows; None: the data's own
    burn_in: int | None  # samples; None: what the checkpoint's training left out
    targets_on: str  # which metrics the targets judge, of scores.CONDITIONS
    runs: str  # folder whose train/ holds the trainings
    targets: Mapping[str, float | None]
    bins: scores.Bins
    accelerator: str  # of models.devices.ACCELERATORS: what predicts
    allowed: Collection[str] = frozenset()  # classes of the user's own that a checkpoint may name

    def __post_init__(self) -> None:
        require_one_of("split", self.split, SPLITS)
        device_of(self.accelerator)
        require_one_of("targets_on", self.targets_on, scores.CONDITIONS)
        require_count("stride", self.stride, or_null=True)
        require_count("burn_in", self.burn_in, at_least=0, or_null=True)
        for name in self.targets:
            require_one_of("targets", name, scores.TARGETS)

    @property
    def checkpoints(self) -> list[Path]:
        """Return the files to evaluate, at least one.

        Raises
        ------
        ConfigError
            The list is empty.
        DataError
            None is named and no training is finished.
        """
        if self.checkpoint is None:
            return [find_best_checkpoint(Path(self.runs))]
        named = [self.checkpoint] if isinstance(self.checkpoint, str) else list(self.checkpoint)
        require("checkpoint", named, len(named) > 0, "one file or more")
        return [Path(name) for name in named]


@dataclass(frozen=True)
class Material:
    """What all checkpoints of one evaluation are judged on."""

    split: Split
    layers: Layers
    windows: Windows
    baselines: Mapping[str, Prediction]
    printer: Printer | None
    noise_floor_mm: float | None


@dataclass(frozen=True)
class Assessed:
    """What one checkpoint predicts, and how well."""

    folder: Path  # where its files belong
    name: str  # of the network, numbered where several share it
    scores: Mapping[str, Any]
    prediction: Prediction


def assess(
    settings: EvaluateSettings, config: Mapping[str, Any]
) -> tuple[Material, Iterator[Assessed]]:
    """Judge every checkpoint, one after the other.

    Parameters
    ----------
    settings
        What to evaluate, on what, and where the files belong.
    config
        The resolved configuration, kept in the scores.

    Returns
    -------
    material
        What all are judged on.
    assessed
        One checkpoint after the other.

    Raises
    ------
    DataError
        A checkpoint or the data cannot be used, or a checkpoint was trained on this split.
    """
    files = settings.checkpoints
    loaded = [load_checkpoint(file, settings.allowed) for file in files]
    overlaps = [_check(settings, checkpoint) for checkpoint in loaded]
    left_out = max(checkpoint.burn_in for checkpoint in loaded)
    if settings.burn_in is not None:
        left_out = min(left_out, settings.burn_in)
    material = gather(settings, left_out)
    output, names = Path(settings.output_dir), unique_names([_name(c) for c in loaded])
    folders = [output] if len(files) == 1 else [output / name for name in names]

    device = device_of(settings.accelerator)

    def judged() -> Iterator[Assessed]:
        for i, checkpoint in enumerate(loaded):
            network = cast(Network, checkpoint.network.to(device))
            with threads_for(checkpoint.network):
                prediction = predict(network, material.split, material.windows, device)
            checkpoint.network.to(CPU)  # where one sample's time is measured
            found = _score(settings, material, checkpoint, prediction)
            found["overlap"] = overlaps[i]
            found["provenance"] = _provenance(files[i], checkpoint, material, config)
            yield Assessed(folders[i], names[i], found, prediction)

    return material, judged()


def gather(settings: EvaluateSettings, burn_in: int) -> Material:
    """Open the split and predict it with every baseline, once for all checkpoints.

    Windows are long enough for ``burn_in``, the samples at their head that are left out.
    """
    root = Path(settings.root)
    split, train, val = (
        open_split(root, name, kinds=settings.kinds) for name in (settings.split, "train", "val")
    )
    layers, windows = lay_out(split), cut_windows(split, settings.stride, burn_in)
    printer = baselines.read_printer(split.stats)
    others = {
        "zero": baselines.predict_zero(layers, windows),
        "fir": baselines.predict_fir(train, val, split, windows),
    }
    if printer is not None:
        others["physics"] = baselines.predict_physics(printer, split, windows)
    floor = baselines.measure_noise_floor(printer, layers)
    return Material(split, layers, windows, others, printer, floor)


def unique_names(names: Sequence[str]) -> list[str]:
    """Return names for folders: repeated ones are numbered, ``base``, ``base_2``."""
    return [
        name if (count := names[: i + 1].count(name)) == 1 else f"{name}_{count}"
        for i, name in enumerate(names)
    ]


def _check(settings: EvaluateSettings, checkpoint: Loaded) -> list[str]:
    """Refuse data of another sample rate, or that the checkpoint was trained on."""
    split = open_split(Path(settings.root), settings.split, sample_rate=checkpoint.sample_rate_hz)
    return refuse_overlap(
        checkpoint.stats, split.stats, settings.split, allow=settings.allow_overlap
    )


def _name(checkpoint: Loaded) -> str:
    return str(checkpoint.network_config["name"])


def _score(
    settings: EvaluateSettings, material: Material, checkpoint: Loaded, prediction: Prediction
) -> dict[str, Any]:
    layers, windows = material.layers, material.windows
    found: dict[str, Any] = {"schema_version": scores.SCHEMA_VERSION, "split": settings.split}
    burn_in = checkpoint.burn_in if settings.burn_in is None else settings.burn_in
    found |= scores.score(prediction, layers, windows, burn_in=burn_in, bins=settings.bins)
    found["baselines"] = {
        name: scores.baseline_scores(other, layers, windows, burn_in)
        for name, other in material.baselines.items()
    }
    found["noise_floor_mm"] = material.noise_floor_mm
    first = int(windows.row[0])
    counted = torch.cat([s.trimmed().features for s in material.split.sequences])
    sample = counted[first : first + windows.length]
    found["inference"] = measure_inference(cast(Network, checkpoint.network), sample)
    found["targets"] = scores.check_targets(found, settings.targets, settings.targets_on)
    found["targets_on"] = settings.targets_on
    found["model"] = {
        "name": _name(checkpoint),
        "parameters": count_parameters(checkpoint.network),
    }
    return found


def _provenance(
    file: Path, checkpoint: Loaded, material: Material, config: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the metrics were made from and with."""
    stats = material.split.stats
    return {
        "checkpoint": str(file),
        "checkpoint_sha256": sha256(file.read_bytes()).hexdigest(),
        "data_identity": stats.identity,
        "training_data_identity": checkpoint.split_identity,
        "trained_with_version": checkpoint.version,
        "sample_rate_hz": stats.sample_rate_hz,
        "sequence_length": material.windows.length,
        **{f"{package}_version": version(package) for package in PACKAGES},
        "python_version": platform.python_version(),
        "machine": f"{platform.machine()}, {platform.system()}, {torch.get_num_threads()} threads",
        "evaluation_config": config,
        "training_config": checkpoint.config,
    }
