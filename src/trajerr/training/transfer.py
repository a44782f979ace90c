"""What a training starts from: nothing, its own interruption, or another printer's network.

A transfer takes a network's weights, and neither its optimiser nor its epoch. What the network
sees stays scaled as it was: its weights mean something in these units only, and a few layers
would be poor estimates of how a printer moves. What it says is scaled to the new data's
errors, which has a stiffer printer's network begin with smaller errors of the same shape.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trajerr.errors import ConfigError, DataError
from trajerr.models.fir import FirNetwork
from trajerr.training.checkpoint import Loaded, load_checkpoint
from trajerr.training.task import TrajectoryTask

Plain = Mapping[str, Any]

RESUME, TRANSFER = "resume", "transfer"
SCALES_OF_INPUTS = ("feature_mean", "feature_std")
SCALES_OF_OUTPUTS = ("scaling.target_mean", "scaling.target_std")
ANCESTORS = "ancestors"  # of stats: training sources of the networks that it came from
NOT_OF_SHAPE = ("dropout", "context_length")  # may differ between a network and its heir


def find_origin(config: Plain) -> Loaded | None:
    """Read the checkpoint that a training starts from; None where it starts from nothing.

    Raises
    ------
    ConfigError
        ``start`` is unknown, or asks for a checkpoint that is not named.
    DataError
        The checkpoint cannot be used.
    """
    start, path = config["start"], config["checkpoint"]
    if start not in (RESUME, TRANSFER):
        raise ConfigError(f"start is {start!r}, expected {RESUME} or {TRANSFER}")
    if start == TRANSFER and path is None:
        raise ConfigError("start=transfer needs a trained network: give checkpoint=FILE")
    return None if path is None else load_checkpoint(Path(path))


def with_origin(stats: Plain, origin: Loaded, start: str) -> dict[str, Any]:
    """Return the data's statistics, with those of the features that the origin's weights expect.

    What the origin was trained on is noted beside, so that nobody judges the heir on it.
    """
    before = list(origin.stats.get(ANCESTORS, ()))
    if start == TRANSFER:
        before += [source for source in origin.stats["sources"] if source["split"] == "train"]
    scales = {name: origin.stats[name] for name in SCALES_OF_INPUTS}
    return {**stats, **scales, **({ANCESTORS: before} if before else {})}


def take_weights(task: TrajectoryTask, origin: Loaded) -> None:
    """Give a task's network the origin's weights; the scales of its outputs stay its own.

    Raises
    ------
    ConfigError
        The network is not trained by steps.
    DataError
        The origin is another network, or knows another sample rate.
    """
    if isinstance(task.network, FirNetwork):
        raise ConfigError("start=transfer: model=fir is solved at once, from its own data alone")
    here, there = float(task.hparams["stats"]["sample_rate_hz"]), origin.sample_rate_hz
    if abs(here - there) > 1e-6 * there:
        raise DataError(
            f"{origin.path}: was trained at {there:g} Hz, the data has {here:g} Hz; "
            f"prepare it with sample_rate_hz={there:g}"
        )
    _require_same(origin, task.hparams["network"])
    own = {name: task.network.state_dict()[name].clone() for name in SCALES_OF_OUTPUTS}
    task.network.load_state_dict({**origin.network.state_dict(), **own})


def _require_same(origin: Loaded, wanted: Plain) -> None:
    theirs = origin.network_config
    if theirs["name"] != wanted["name"]:
        raise DataError(
            f"{origin.path}: holds model={theirs['name']}, not model={wanted['name']}; "
            "a transfer keeps the network"
        )
    different = [
        f"{key} is {theirs.get(key)} there, {value} here"
        for key, value in wanted.items()
        if key not in NOT_OF_SHAPE and theirs.get(key) != value
    ]
    if different:
        raise DataError(
            f"{origin.path}: holds another network: {', '.join(different)}; "
            "a transfer keeps the network, so give its sizes by model.KEY=VALUE"
        )
