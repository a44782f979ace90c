"""One training run from settings to checkpoints: builds the trainer and drives it."""

import json
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EarlyStopping, LearningRateMonitor
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console

from trajerr.dataset.record import stated_printer
from trajerr.errors import ConfigError
from trajerr.files import write_atomically
from trajerr.models.fir import FirNetwork
from trajerr.models.registry import count_parameters
from trajerr.models.threads import threads_for
from trajerr.training.callbacks import (
    OBJECTIVE,
    BestCheckpoint,
    EpochSeed,
    HopelessEnd,
    LastCheckpoint,
    LayerFigure,
    StepRecord,
)
from trajerr.training.checkpoint import (
    BEST,
    FOLDER,
    LAST,
    RESULT,
    Loaded,
    check_resumable,
    read_checkpoint,
)
from trajerr.training.checkpoint_files import WholeCheckpointFiles, alone_in
from trajerr.training.datamodule import PrinterDataModule
from trajerr.training.messages import own_messages
from trajerr.training.progress import EpochReport
from trajerr.training.search import PLOT, find_batch_size, find_learning_rate
from trajerr.training.settings import TrainerSettings, TrainSettings
from trajerr.training.task import TrajectoryTask
from trajerr.training.transfer import load_start, take_weights, with_pretrained, with_resumed

Plain = Mapping[str, Any]

FIGURE_SAMPLES = 1000  # 5 s at 200 Hz


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    best: Path  # checkpoint of least validation loss
    last: Path
    objective: float  # least validation loss
    metrics: Mapping[str, float]  # of the validation split, at the best checkpoint
    parameters: int
    seconds: float
    epoch_seconds: Sequence[float]  # of each epoch, its validation included


def make_task(settings: TrainSettings, stats: Plain) -> TrajectoryTask:
    """Return the task that settings describe, on data with these stats.

    Raises
    ------
    ConfigError
        The network's values are out of range.
    """
    network = dict(settings.network)
    printer = settings.loss.printer or stated_printer(stats["params"])
    of_the_data = {
        "sample_rate_hz": stats["sample_rate_hz"],
        "kinematics": printer["kinematics"] if printer else "cartesian",
    }
    for key, value in of_the_data.items():
        if key in network and network[key] is None:
            network[key] = value
    return TrajectoryTask(
        network=network,
        loss=asdict(settings.loss),
        optimizer=asdict(settings.optimizer),
        schedule=asdict(settings.schedule),
        stats=stats,
        printer=printer,
        config=settings.record,
    )


def train(
    settings: TrainSettings,
    data: PrinterDataModule,
    output: Path,
    is_hopeless: Callable[[int, float], bool] | None = None,
) -> Outcome:
    """Train a model and leave its checkpoints, its log and ``train.json`` in a folder.

    Parameters
    ----------
    settings
        What to train, and how.
    data
        The prepared data.
    output
        The run's folder.
    is_hopeless
        Asked after each epoch, with its validation loss, whether to end there.

    Raises
    ------
    ConfigError, DataError
        A value is out of range, or data or checkpoint cannot be used.
    """
    began = time.monotonic()
    extra = [] if is_hopeless is None else [HopelessEnd(is_hopeless)]
    with own_messages(output), alone_in(output):
        return _train(settings, data, output, began, extra)


def _train(
    settings: TrainSettings,
    data: PrinterDataModule,
    output: Path,
    began: float,
    extra: Sequence[Callback],
) -> Outcome:
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    console = Console(quiet=getattr(rank_zero_only, "rank", 0) != 0)
    report = EpochReport(console)
    task = _start(settings, data, report)
    trainer = make_trainer(settings, data, output, report, extra)
    with threads_for(task.network):
        if isinstance(task.network, FirNetwork):
            _fit_closed_form(trainer, task, task.network, data, output / FOLDER)
        else:
            _search(trainer, task, data, settings, output, report)
            _fit(trainer, task, data, settings, report)
    outcome = _outcome(task, output, time.monotonic() - began, report.epoch_seconds)
    if trainer.is_global_zero:
        _record(outcome, settings, trainer, output)
        report.say(_closing(outcome))
    return outcome


def _start(settings: TrainSettings, data: PrinterDataModule, report: EpochReport) -> TrajectoryTask:
    """Return the task with the weights that training starts from, and say what it is."""
    stats, before = data.stats.to_dict(), load_start(settings)
    if before is not None:
        is_pretrained = settings.pretrained is not None
        stats = with_pretrained(stats, before) if is_pretrained else with_resumed(stats, before)
    task = make_task(settings, stats)
    report.say(_opening(settings, task, data))
    if before is not None and settings.pretrained is not None:
        take_weights(task, before)
        report.say(f"Weights of {before.path}, trained on {_machine(before)}")
    return task


def _machine(pretrained: Loaded) -> str:
    return "measured motion" if pretrained.printer is None else str(pretrained.printer["name"])


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
        Lightning refuses a setting of ``trainer``.
    DataError
        The data has no validation split.
    """
    asked, every = settings.trainer, settings.trainer.figure_every_n_epochs
    sequence = data.open_split("val").sequences[0]
    stretch = slice(0, FIGURE_SAMPLES)
    folder = output / FOLDER
    callbacks: list[Callback] = [
        StepRecord(asked["log_every_n_steps"], every),
        report,
        EpochSeed(settings.seed),
        LayerFigure(
            sequence.features[stretch], sequence.targets[stretch], data.stats.sample_rate_hz, every
        ),
        LearningRateMonitor(logging_interval="step"),
        EarlyStopping(OBJECTIVE, **settings.early_stopping.arguments, verbose=False),
        *extra,
        BestCheckpoint(folder, report.say),
        LastCheckpoint(folder),
    ]
    logger = TensorBoardLogger(output, name="", version="tensorboard", default_hp_metric=False)
    try:
        return lightning.Trainer(
            **{**asked.arguments, "precision": _precision(asked)},
            default_root_dir=output,
            logger=logger,
            callbacks=callbacks,
            plugins=[WholeCheckpointFiles()],
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
    except (MisconfigurationException, ValueError, TypeError) as error:
        raise ConfigError(f"trainer: {error}") from error


def _precision(trainer: TrainerSettings) -> str:
    return resolve_precision(trainer["precision"], trainer["accelerator"])


def resolve_precision(precision: int | str, accelerator: str) -> str:
    """Return Lightning's word for a precision; 16 is fp16 on CUDA and bf16 elsewhere.

    Raises
    ------
    ConfigError
        It is neither 16, 32, 64 nor one of Lightning's words.
    """
    words = {"32": "32-true", "64": "64-true"}
    on_cuda = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    words["16"] = "16-mixed" if on_cuda else "bf16-mixed"
    known = ("16-mixed", "bf16-mixed", "32-true", "64-true")
    resolved = words.get(str(precision), str(precision))
    if resolved not in known:
        raise ConfigError(
            f"trainer.precision is {precision!r}, expected 16, 32, 64 or one of {', '.join(known)}"
        )
    return resolved


def _search(
    trainer: lightning.Trainer,
    task: TrajectoryTask,
    data: PrinterDataModule,
    settings: TrainSettings,
    output: Path,
    report: EpochReport,
) -> None:
    """Find batch size and learning rate where asked to."""
    if settings.batch_size_find:
        report.say(f"Batch size found: {find_batch_size(trainer, task, data)}")
    if settings.lr_find:
        rate = find_learning_rate(trainer, task, data, output)
        report.say(f"Learning rate found: {rate:.3g}, see {output / PLOT}")


def _fit(
    trainer: lightning.Trainer,
    task: TrajectoryTask,
    data: PrinterDataModule,
    settings: TrainSettings,
    report: EpochReport,
) -> None:
    resumed = settings.resume
    if resumed is not None:
        epochs = int(settings.trainer["max_epochs"])
        check_resumable(Path(resumed), task, data.split_identity, epochs)
    if settings.trainer.compile:
        task.network.compile()
    on_interrupt = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(task, datamodule=data, ckpt_path=resumed, weights_only=True)
    except SystemExit as exit_:  # Lightning's answer to Ctrl-C, after its shutdown
        raise KeyboardInterrupt from exit_
    finally:
        signal.signal(signal.SIGINT, on_interrupt)  # Lightning ignores it after the first
    stopping = trainer.early_stopping_callback
    if stopping is not None and stopping.stopped_epoch:
        report.say(f"Stopped early: no better epoch within {stopping.patience}")


def _fit_closed_form(
    trainer: lightning.Trainer,
    task: TrajectoryTask,
    network: FirNetwork,
    data: PrinterDataModule,
    folder: Path,
) -> None:
    """Solve for the weights at once; the checkpoint is best and last in one."""
    pairs = {
        split: [(s.features, s.targets) for s in data.open_split(split).sequences]
        for split in ("train", "val")
    }
    network.fit(pairs["train"], pairs["val"])
    trainer.validate(task, datamodule=data, verbose=False)
    for name in (BEST, LAST):
        trainer.save_checkpoint(folder / name)


def _outcome(
    task: TrajectoryTask, output: Path, seconds: float, epoch_seconds: Sequence[float]
) -> Outcome:
    best, last = output / FOLDER / BEST, output / FOLDER / LAST
    metrics = dict(read_checkpoint(best)["trajerr"]["metrics"])
    return Outcome(
        best=best,
        last=last,
        objective=metrics[OBJECTIVE],
        metrics=metrics,
        parameters=count_parameters(task.network),
        seconds=seconds,
        epoch_seconds=epoch_seconds,
    )


def _record(
    outcome: Outcome, settings: TrainSettings, trainer: lightning.Trainer, output: Path
) -> None:
    """Write hyper-parameters with their metrics to TensorBoard, and ``train.json``."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(_flat(settings.record), dict(outcome.metrics))
            logger.save()
    result = {
        "model": settings.model,
        "experiment_name": settings.experiment_name,
        "parameters": outcome.parameters,
        "epochs": trainer.current_epoch,
        "seconds": round(outcome.seconds, 1),
        "epoch_seconds": [round(value, 2) for value in outcome.epoch_seconds],
        "best_checkpoint": str(outcome.best),
        "metrics": dict(outcome.metrics),
    }
    write_atomically(output / RESULT, (json.dumps(result, indent=2) + "\n").encode())


def _flat(config: Plain, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, int | float | str) else str(value)
    return flat


def _opening(settings: TrainSettings, task: TrajectoryTask, data: PrinterDataModule) -> str:
    splits = data.stats.splits
    counts = ", ".join(f"{name} {split.windows} windows" for name, split in splits.items())
    return (
        f"Model {settings.model}: {count_parameters(task.network):,} parameters\n"
        f"Data {data.root}: {counts}, {data.stats.sample_rate_hz:g} Hz\n"
        f"Windows of {data.table('train').sequence_length} samples, "
        f"burn-in {task.burn_in} samples, precision {_precision(settings.trainer)}"
    )


def _closing(outcome: Outcome) -> str:
    m = outcome.metrics
    return (
        f"Best epoch, validation windows after burn-in: MAE {m['val/mae_mm'] * 1e3:.2f} µm, "
        f"RMSE {m['val/rmse_mm'] * 1e3:.2f} µm, R² {m['val/r2']:.5f}, "
        f"loss {outcome.objective:.5f}\n"
        f"Trained in {outcome.seconds:.0f} s\n"
        f"Last checkpoint: {outcome.last}\n"
        f"Best checkpoint: {outcome.best}"
    )
