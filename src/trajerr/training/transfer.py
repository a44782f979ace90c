"""Training that starts from another printer's network, or goes on from its own interruption.

A transfer takes a pretrained network's weights, and neither its optimiser nor its epoch. What
the network sees stays scaled as it was: its weights mean something in these units only, and a
few layers would be poor estimates of how a printer moves. What it says is scaled to the new
data's errors, which has a stiffer printer's network begin with smaller errors of the same shape.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trajerr.checks import require
from trajerr.errors import DataError
from trajerr.models.fir import FirNetwork
from trajerr.models.registry import LABELS, architecture
from trajerr.training.checkpoint import Loaded, load_checkpoint
from trajerr.training.settings import TrainSettings
from trajerr.training.task import TrajectoryTask

Plain = Mapping[str, Any]

SCALES_OF_INPUTS = ("feature_mean", "feature_std")
SCALES_OF_OUTPUTS = ("scaling.target_mean", "scaling.target_std")
# Of stats: training sources of the networks that it came from, and of data beside its own.
ANCESTORS = "ancestors"
NOT_OF_SHAPE = (
    "dropout",
    "mirrored",
    "context_length",
    *LABELS,
)  # may differ between a network and its pretrained one


def load_start(settings: TrainSettings) -> Loaded | None:
    """Read the checkpoint that a training starts from; None where it starts from nothing.

    Raises
    ------
    DataError
        The checkpoint cannot be used.
    """
    path = settings.pretrained or settings.resume
    return None if path is None else load_checkpoint(Path(path), settings.allowed)


def with_pretrained(stats: Plain, pretrained: Loaded) -> dict[str, Any]:
    """Return the data's statistics, but those of the features that the pretrained weights expect.

    What it was trained on is noted beside, so that nobody judges the new network on it.
    """
    trained_on = [source for source in pretrained.stats["sources"] if source["split"] == "train"]
    known = [*stats.get(ANCESTORS, ()), *pretrained.stats.get(ANCESTORS, ()), *trained_on]
    return {**with_resumed(stats, pretrained), **({ANCESTORS: known} if known else {})}


def with_resumed(stats: Plain, interrupted: Loaded) -> dict[str, Any]:
    """Return the data's statistics, but what an interrupted training had from a pretrained one."""
    kept = (*SCALES_OF_INPUTS, *(() if ANCESTORS not in interrupted.stats else (ANCESTORS,)))
    return {**stats, **{name: interrupted.stats[name] for name in kept}}


def take_weights(task: TrajectoryTask, pretrained: Loaded) -> None:
    """Give a task's network the pretrained weights; the scales of its outputs stay its own.

    Raises
    ------
    ConfigError
        The network is not trained by steps.
    DataError
        The pretrained network is another, or knows another sample rate.
    """
    by_steps = not isinstance(task.network, FirNetwork)
    expected = "null for model=fir, which is solved at once, from its own data alone"
    require("pretrained", pretrained.path, by_steps, expected)
    here, there = float(task.hparams["stats"]["sample_rate_hz"]), pretrained.sample_rate_hz
    if abs(here - there) > 1e-6 * there:
        raise DataError(
            f"{pretrained.path}: was trained at {there:g} Hz, the data has {here:g} Hz; "
            f"prepare it with sample_rate_hz={there:g}"
        )
    _require_same(pretrained, task.hparams["network"])
    own = {name: task.network.state_dict()[name].clone() for name in SCALES_OF_OUTPUTS}
    task.network.load_state_dict({**pretrained.network.state_dict(), **own})


def _require_same(pretrained: Loaded, wanted: Plain) -> None:
    theirs = pretrained.network_config
    if architecture(theirs) != architecture(wanted):
        raise DataError(
            f"{pretrained.path}: holds model={theirs['name']}, not model={wanted['name']}; "
            "a transfer keeps the network"
        )
    different = [
        f"{key} is {theirs.get(key)} there, {value} here"
        for key, value in wanted.items()
        if key not in NOT_OF_SHAPE and theirs.get(key) != value
    ]
    if different:
        raise DataError(
            f"{pretrained.path}: holds another network: {', '.join(different)}; "
            "a transfer keeps the network, so give its sizes by model.KEY=VALUE"
        )
