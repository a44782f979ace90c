"""Going on with an interrupted training: from which checkpoint, and whether that can be."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_only

from trajerr.checks import require
from trajerr.errors import ConfigError, DataError
from trajerr.models.foreign import require_allowed
from trajerr.models.registry import same_network
from trajerr.training.checkpoint import (
    FOLDER,
    LAST,
    RESULT,
    Loaded,
    load_checkpoint,
    read_checkpoint,
)
from trajerr.training.parts import OptimizerSettings, ScheduleSettings, flat
from trajerr.training.settings import TrainSettings
from trajerr.training.task import TrajectoryTask

Plain = Mapping[str, Any]

GOES_ON = "TRAJERR_GOES_ON"  # in the environment of processes: what is resumed, or nothing
HOW = "for another, start from its weights: pretrained={path} in another folder"


def going_on(settings: TrainSettings, output: Path) -> TrainSettings:
    """Return settings that go on with what was interrupted in a run's folder, if anything was.

    A finished training, or one without a whole epoch, is begun anew. Processes that the first
    one starts do as it does.
    """
    if getattr(rank_zero_only, "rank", 0) != 0 and GOES_ON in os.environ:
        path = os.environ[GOES_ON]
        return replace(settings, resume=path, pretrained=None) if path else settings
    found = _open_training(settings, output)
    os.environ[GOES_ON] = str(found or "")
    return settings if found is None else replace(settings, resume=str(found), pretrained=None)


def _open_training(settings: TrainSettings, output: Path) -> Path | None:
    last = output / FOLDER / LAST
    is_open = settings.resume is None and last.is_file() and not (output / RESULT).is_file()
    if not is_open or not settings.trainer.keeps or _whole_epochs(read_checkpoint(last)) < 1:
        return None
    return last


def _whole_epochs(content: Plain) -> int:
    progress = content.get("loops", {}).get("fit_loop", {}).get("epoch_progress", {})
    return int(progress.get("current", {}).get("processed", 0))


def check_resumable(
    path: Path,
    task: TrajectoryTask,
    split_identity: str,
    settings: TrainSettings,
    output: Path,
) -> None:
    """Refuse a checkpoint of another network, of other data, or with nothing left to do.

    A training that was stopped after its last epoch has its result left to write, in its own
    folder. Refused as well is what it has in its own state, and a config says otherwise: optimiser
    and schedule. All else that a config says takes effect.

    Parameters
    ----------
    path
        The checkpoint.
    task, split_identity
        What would be trained, and on which data.
    settings
        Of the training to come.
    output
        Its folder.

    Raises
    ------
    DataError, ConfigError
        It is not a checkpoint to go on from.
    """
    loaded, content = load_checkpoint(path, settings.allowed), read_checkpoint(path)
    if not same_network(loaded.network_config, task.hparams["network"]):
        raise DataError(
            f"{path}: holds another network than model={task.hparams['network']['name']}"
        )
    if loaded.split_identity != split_identity:
        raise DataError(f"{path}: was trained on data that was prepared otherwise")
    _refuse_contradictions(path, loaded, content["hyper_parameters"], settings)
    wanted = settings.trainer["max_epochs"]
    done = int(content["epoch"]) + 1
    is_own = path == output / FOLDER / LAST and not (output / RESULT).is_file()
    left = wanted is None or wanted < 0 or wanted > done or (is_own and wanted == done)
    expected = f"more than the {done} epochs that {path} has behind it"
    require("trainer.max_epochs", wanted, left, expected)


def _refuse_contradictions(
    path: Path, loaded: Loaded, before: Plain, settings: TrainSettings
) -> None:
    for part in ("optimizer", "schedule"):  # which would be imported to be read
        require_allowed(f"{path}: model.{part}", before[part], settings.allowed)
    optimizer = flat(OptimizerSettings.from_dict(before["optimizer"]))
    now = flat(settings.optimizer)
    if settings.lr_find:
        now["lr"] = optimizer["lr"]  # what was found
    _require_same(path, "model.optimizer", optimizer, now)
    schedule = flat(ScheduleSettings.from_dict(before["schedule"]))
    _require_same(path, "model.schedule", schedule, flat(settings.schedule))
    if settings.schedule.name == "one_cycle":
        trainers = (loaded.config.get("trainer", {}), settings.trainer)
        ends = [{key: t[key] for key in ("max_epochs", "max_steps")} for t in trainers]
        _require_same(path, "trainer", *ends)


def _require_same(path: Path, where: str, before: Plain, now: Plain) -> None:
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            raise ConfigError(
                f"{where}.{key}: got {now.get(key)}, expected {before.get(key)} as in {path}, "
                f"whose state goes on; {HOW.format(path=path)}"
            )
