"""Lightning's Trainer with what a run hangs on it: callbacks, logs, checkpoints."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import lightning
import torch
from lightning.fabric.plugins.precision.precision import _PRECISION_INPUT_STR
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import (
    Callback,
    LearningRateMonitor,
    ModelCheckpoint,
    RichModelSummary,
)
from lightning.pytorch.profilers import (
    AdvancedProfiler,
    Profiler,
    PyTorchProfiler,
    SimpleProfiler,
)

from trajerr.checks import require_known
from trajerr.errors import ConfigError
from trajerr.models.foreign import TARGET, is_foreign, make, parameters
from trajerr.training.callbacks import (
    OBJECTIVE,
    BestCheckpoint,
    EpochSeed,
    LastCheckpoint,
    LayerFigure,
    PatientEnd,
    StepRecord,
)
from trajerr.training.checkpoint import FOLDER
from trajerr.training.checkpoint_files import WholeCheckpointFiles
from trajerr.training.datamodule import PrinterDataModule
from trajerr.training.loggers import make_loggers
from trajerr.training.progress import EpochReport
from trajerr.training.settings import TrainSettings

Plain = Mapping[str, Any]

FIGURE_S = 5.0  # of a layer that is drawn
CHECKPOINT = "checkpoint"  # the entry of callbacks that is Lightning's own
TRIGGERS = ("every_n_train_steps", "every_n_epochs", "train_time_interval")
PROFILE = "profile"
PROFILERS: Mapping[str, type[Profiler]] = {
    "simple": SimpleProfiler,
    "advanced": AdvancedProfiler,
    "pytorch": PyTorchProfiler,
}
NOTHING_BESIDE = {  # what Lightning wants of a barebones trainer
    "logger": False,
    "callbacks": None,
    "enable_checkpointing": False,
    "log_every_n_steps": None,
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,
}


def make_trainer(
    settings: TrainSettings,
    data: PrinterDataModule,
    output: Path,
    report: EpochReport,
    extra: Sequence[Callback] = (),
) -> lightning.Trainer:
    """Return Lightning's trainer with all callbacks, the extra ones among them.

    Raises
    ------
    ConfigError
        Lightning refuses a setting of ``trainer``, or a callback or log cannot be made.
    DataError
        The data has no validation split.
    """
    asked = settings.trainer
    arguments: dict[str, Any] = {
        **asked.arguments,
        "precision": resolve_precision(asked["precision"], asked["accelerator"]),
        "default_root_dir": asked["default_root_dir"] or output,
        "plugins": [*_several(asked["plugins"]), WholeCheckpointFiles()],
        "profiler": _profiler(asked["profiler"], output),
        "enable_progress_bar": False,  # the report has its own
        "enable_model_summary": False,  # likewise
    }
    if asked["barebones"]:
        arguments |= NOTHING_BESIDE
    else:
        loggers = make_loggers(settings.logger, output, settings.experiment_name)
        callbacks = [*_beside(settings, data, report, bool(loggers)), *extra]
        if asked["enable_checkpointing"] is not False:
            callbacks += _checkpoints(settings, output / FOLDER, report)
        arguments |= {"logger": loggers or False, "callbacks": callbacks}
    try:
        return lightning.Trainer(**arguments)
    except (MisconfigurationException, ValueError, TypeError, ModuleNotFoundError) as error:
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from error


def _beside(
    settings: TrainSettings, data: PrinterDataModule, report: EpochReport, has_logs: bool
) -> list[Callback]:
    """Return what happens beside the steps, checkpoints excepted."""
    asked, stopping = settings.trainer, settings.early_stopping
    every = asked.figure_every_n_epochs
    callbacks: list[Callback] = [
        StepRecord(asked["log_every_n_steps"] or 0, every),
        report,
        EpochSeed(settings.seed),
    ]
    if asked.validates:
        sequence = data.open_split("val").sequences[0].trimmed()
        stretch = slice(0, round(FIGURE_S * data.stats.sample_rate_hz))
        features, targets = sequence.features[stretch], sequence.targets[stretch]
        callbacks.append(LayerFigure(features, targets, data.stats.sample_rate_hz, every))
    if has_logs:
        callbacks.append(LearningRateMonitor(logging_interval="step"))
    if stopping is not None and (asked.validates or "monitor" in stopping.arguments):
        # a training that steps end within its first epoch has no validation loss yet
        strict = stopping.arguments.get("monitor", OBJECTIVE) != OBJECTIVE
        usual = {"monitor": OBJECTIVE, "verbose": False, "strict": strict}
        stated = {**usual, **stopping.arguments}
        callbacks.append(PatientEnd(**stated))
    if asked["enable_model_summary"]:
        callbacks.append(RichModelSummary())
    return [*callbacks, *_own(settings.callbacks)]


def _own(config: Plain) -> list[Callback]:
    """Return the callbacks of the user's own."""
    found = []
    for name, values in config.items():
        if name == CHECKPOINT and not is_foreign(values or {}):
            continue
        if not isinstance(values, Mapping) or not is_foreign(values):
            raise ConfigError(
                f"callbacks.{name}: got no {TARGET}, expected {CHECKPOINT}, or a class by "
                f"{TARGET} in a file of conf/callbacks/"
            )
        made = make(f"callbacks.{name}", values)
        if not isinstance(made, Callback):
            got = type(made).__name__
            raise ConfigError(f"callbacks.{name}: got a {got}, expected a Lightning Callback")
        found.append(made)
    return found


def _checkpoints(settings: TrainSettings, folder: Path, report: EpochReport) -> list[Callback]:
    """Return what keeps the best, the last, and what else was asked for."""
    asked = settings.trainer
    by_epoch = asked["val_check_interval"] in (None, 1.0) and asked["check_val_every_n_epoch"] == 1
    best = BestCheckpoint(folder, report.say, OBJECTIVE if asked.validates else None, by_epoch)
    further = settings.callbacks.get(CHECKPOINT)
    kept: list[Callback] = [best, LastCheckpoint(folder)]
    if further is None or is_foreign(further):
        return kept
    known = (parameters(ModelCheckpoint) or set()) - {"dirpath"}
    require_known(f"callbacks.{CHECKPOINT}", further, known)
    if all(further.get(trigger) is None for trigger in TRIGGERS):
        return kept
    return [_further(further, folder), *kept]


def _further(values: Plain, folder: Path) -> ModelCheckpoint:
    interval = values.get("train_time_interval")
    try:
        return ModelCheckpoint(
            **{
                "auto_insert_metric_name": False,
                "enable_version_counter": False,
                **values,
                "dirpath": folder,
                "train_time_interval": None if interval is None else _duration(interval),
            }
        )
    except (MisconfigurationException, ValueError, TypeError) as error:
        raise ConfigError(f"callbacks.{CHECKPOINT}: {' '.join(str(error).split())}") from error


def _duration(text: object) -> timedelta:
    parts = str(text).split(":")
    if len(parts) != 4 or not all(part.isdigit() for part in parts):
        raise ConfigError(
            f"callbacks.{CHECKPOINT}.train_time_interval: got {text}, expected DD:HH:MM:SS"
        )
    days, hours, minutes, seconds = map(int, parts)
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _profiler(name: object, output: Path) -> Profiler | None:
    if name is None:
        return None
    if name not in PROFILERS:
        expected = f"one of {', '.join(PROFILERS)}, or null"
        raise ConfigError(f"trainer.profiler: got {name}, expected {expected}")
    return PROFILERS[str(name)](dirpath=output, filename=PROFILE)


def _several(value: object) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def resolve_precision(precision: int | str, accelerator: str) -> str:
    """Return Lightning's word for a precision; 16 is fp16 on CUDA and bf16 elsewhere.

    Raises
    ------
    ConfigError
        It is neither 16, 32, 64 nor one of Lightning's words.
    """
    words = {"32": "32-true", "64": "64-true", "bf16": "bf16-mixed"}
    on_cuda = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    words["16"] = "16-mixed" if on_cuda else "bf16-mixed"
    known = get_args(_PRECISION_INPUT_STR)
    resolved = words.get(str(precision), str(precision))
    if resolved not in known:
        raise ConfigError(
            f"trainer.precision is {precision!r}, expected 16, 32, 64 or one of {', '.join(known)}"
        )
    return resolved
