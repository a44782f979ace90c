"""One training run from settings to checkpoints: builds the trainer and drives it."""

import json
import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console

from trajerr.dataset.record import stated_printer
from trajerr.files import write_atomically
from trajerr.models.fir import FirNetwork
from trajerr.models.physics import AxisEquation
from trajerr.models.registry import count_parameters
from trajerr.models.threads import threads_for
from trajerr.training.callbacks import OBJECTIVE, HopelessEnd
from trajerr.training.checkpoint import (
    BEST,
    FOLDER,
    LAST,
    RESULT,
    Loaded,
    load_checkpoint,
    read_checkpoint,
)
from trajerr.training.checkpoint_files import alone_in, unwritten, written
from trajerr.training.datamodule import PrinterDataModule
from trajerr.training.equation_fit import fit_equation
from trajerr.training.messages import own_messages
from trajerr.training.parts import flat
from trajerr.training.products import float32_products
from trajerr.training.progress import EpochReport
from trajerr.training.resume import check_resumable, going_on
from trajerr.training.search import PLOT, find_batch_size, find_learning_rate
from trajerr.training.settings import TrainerSettings, TrainSettings
from trajerr.training.task import TrajectoryTask
from trajerr.training.trainer import PROFILE, make_trainer, resolve_precision
from trajerr.training.transfer import (
    ANCESTORS,
    load_start,
    take_weights,
    with_pretrained,
    with_resumed,
)

Plain = Mapping[str, Any]

BEST_METRICS = "best/"  # of names in logs: of the best checkpoint, at no step of its own


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    best: Path | None  # checkpoint of least validation loss; None where none are kept
    last: Path | None
    objective: float | None  # least validation loss; None without validation
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
        loss=flat(settings.loss),
        optimizer=flat(settings.optimizer),
        schedule=flat(settings.schedule),
        stats=stats,
        printer=printer,
        config=settings.record,
        allowed=settings.allowed,
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
    report = EpochReport(console, settings.trainer["enable_progress_bar"] is not False)
    settings = going_on(settings, output)
    before = {} if settings.resume is not None else written(output)
    task = _start(settings, data, report)
    trainer = make_trainer(settings, data, output, report, extra)
    exactly = float32_products(settings.trainer.float32_products, trainer.strategy.root_device)
    with threads_for(task.network), exactly as products:
        if products is not None:
            report.say(products)
        if isinstance(task.network, FirNetwork):
            _fit_closed_form(trainer, task, task.network, data, settings.trainer)
        else:
            _search(trainer, task, data, settings, output, report)
            _fit(trainer, task, data, settings, output, report)
        if settings.trainer.keeps:
            _keep(trainer, task, data, settings.trainer, unwritten(output, before))
    seconds = time.monotonic() - began
    outcome = _outcome(trainer, task, settings, output, seconds, report.epoch_seconds)
    if trainer.is_global_zero:
        _record(outcome, settings, trainer, output)
        if settings.trainer["profiler"] is not None:
            report.say(f"Profile: {output / f'fit-{PROFILE}.txt'}")
        report.say(_closing(outcome))
    return outcome


def _start(settings: TrainSettings, data: PrinterDataModule, report: EpochReport) -> TrajectoryTask:
    """Return the task with the weights that training starts from, and say what it is."""
    stats, before = data.stats.to_dict(), load_start(settings)
    if beside := data.sources_beside:
        stats[ANCESTORS] = beside
    if before is not None:
        is_pretrained = settings.pretrained is not None
        stats = with_pretrained(stats, before) if is_pretrained else with_resumed(stats, before)
    task = make_task(settings, stats)
    data.burn_in = task.burn_in
    report.say(_opening(settings, task, data))
    if settings.resume is not None:
        report.say(f"Going on from {settings.resume}")
    if before is not None and settings.pretrained is not None:
        take_weights(task, before)
        report.say(f"Weights of {before.path}, trained on {_machine(before)}")
    equation = getattr(task.network, "equation", None)
    begins = settings.equation_fit and settings.resume is None
    if begins and isinstance(equation, AxisEquation):  # a network of one's own may name so anything
        left = fit_equation(equation, data.open_split("train").sequences, task.burn_in)
        report.say(_fitted(equation, left))
    return task


def _fitted(equation: AxisEquation, left_mm: float) -> str:
    found = equation.parameters_by_name()
    x, y = (
        f"{frequency:.1f} Hz, ζ {damping:.3f}, friction {friction:.0f} mm/s², {1e3 * delay:.2f} ms"
        for frequency, damping, friction, delay in zip(*found.values(), strict=True)
    )
    return f"Axis equation fitted: x {x} late; y {y} late; leaves {1e3 * left_mm:.1f} µm RMS"


def _machine(pretrained: Loaded) -> str:
    return "measured motion" if pretrained.printer is None else str(pretrained.printer["name"])


def _search(
    trainer: lightning.Trainer,
    task: TrajectoryTask,
    data: PrinterDataModule,
    settings: TrainSettings,
    output: Path,
    report: EpochReport,
) -> None:
    """Find batch size and learning rate where asked to; what is resumed has its own."""
    if settings.resume is not None:
        if settings.batch_size_find:
            before = load_checkpoint(Path(settings.resume), settings.allowed)
            data.batch_size = int(before.config["data"]["batch_size"])
        return
    device, share = trainer.strategy.root_device, trainer.strategy.broadcast
    if settings.batch_size_find:
        data.batch_size = share(find_batch_size(task, data, device))
        record = task.hparams["config"]
        task.hparams["config"] = _with_batch_size(record, data.batch_size)
        report.say(f"Batch size found: {data.batch_size}")
    if settings.lr_find:
        clip = settings.trainer["gradient_clip_val"]
        steps = _steps(settings.trainer, data)
        task.lr = share(find_learning_rate(task, data, device, clip, steps, output))
        report.say(f"Learning rate found: {task.lr:.3g}, see {output / PLOT}")


def _steps(asked: TrainerSettings, data: PrinterDataModule) -> float:
    """Return the optimiser's steps that a training will take, infinite where it has no end."""
    epochs, most = asked["max_epochs"], asked.max_steps
    of_an_epoch = len(data.train_dataloader()) / int(asked["accumulate_grad_batches"] or 1)
    planned = of_an_epoch * epochs if epochs is not None and epochs > 0 else math.inf
    return min(planned, math.inf if most is None else most)


def _with_batch_size(config: Plain, size: int) -> Plain:
    return {**config, "data": {**config["data"], "batch_size": size}}


def _fit(
    trainer: lightning.Trainer,
    task: TrajectoryTask,
    data: PrinterDataModule,
    settings: TrainSettings,
    output: Path,
    report: EpochReport,
) -> None:
    resumed = settings.resume
    if resumed is not None:
        check_resumable(Path(resumed), task, data.split_identity, settings, output)
    if settings.trainer.compile:
        task.network.compile()
    on_interrupt = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(task, datamodule=data, ckpt_path=resumed, weights_only=True)
    except SystemExit as exit_:  # Lightning's answer to Ctrl-C, after its shutdown
        raise KeyboardInterrupt(_to_go_on(settings, output)) from exit_
    finally:
        signal.signal(signal.SIGINT, on_interrupt)  # Lightning ignores it after the first
    stopping = trainer.early_stopping_callback
    if stopping is not None and stopping.stopped_epoch:
        report.say(f"Stopped early: no better epoch within {stopping.patience}")


def _to_go_on(settings: TrainSettings, output: Path) -> str:
    if not settings.trainer.keeps:
        return "interrupted; it kept no checkpoint to resume from"
    return f"interrupted; run the same command again with hydra.run.dir={output} to resume"


def _fit_closed_form(
    trainer: lightning.Trainer,
    task: TrajectoryTask,
    network: FirNetwork,
    data: PrinterDataModule,
    asked: TrainerSettings,
) -> None:
    """Solve for the weights at once."""
    pairs = {
        split: [s.pair for s in data.open_split(split).sequences] for split in ("train", "val")
    }
    network.fit(pairs["train"], pairs["val"])
    if asked.validates:
        trainer.validate(task, datamodule=data, verbose=False)


def _keep(
    trainer: lightning.Trainer,
    task: TrajectoryTask,
    data: PrinterDataModule,
    asked: TrainerSettings,
    missing: Sequence[Path],
) -> None:
    """Write the checkpoints that no epoch's end has written: of a solution, or a part of one."""
    missing = trainer.strategy.broadcast(missing)
    if missing and asked.validates and OBJECTIVE not in trainer.callback_metrics:
        trainer.validate(task, datamodule=data, verbose=False, weights_only=True)
    for path in missing:
        trainer.save_checkpoint(path)


def _outcome(
    trainer: lightning.Trainer,
    task: TrajectoryTask,
    settings: TrainSettings,
    output: Path,
    seconds: float,
    epoch_seconds: Sequence[float],
) -> Outcome:
    keeps = settings.trainer.keeps
    best, last = (output / FOLDER / name if keeps else None for name in (BEST, LAST))
    if best is None:
        logged = trainer.callback_metrics.items()
        metrics = {name: float(value) for name, value in logged if name.startswith("val/")}
    else:
        metrics = dict(read_checkpoint(best)["trajerr"]["metrics"])
    return Outcome(
        best=best,
        last=last,
        objective=metrics.get(OBJECTIVE),
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
            best = {f"{BEST_METRICS}{name}": value for name, value in outcome.metrics.items()}
            logger.log_hyperparams(_flat(settings.record), best, step=trainer.global_step)
            logger.save()
    result = {
        "model": settings.model,
        "experiment_name": settings.experiment_name,
        "parameters": outcome.parameters,
        "epochs": trainer.current_epoch,
        "seconds": round(outcome.seconds, 1),
        "epoch_seconds": [round(value, 2) for value in outcome.epoch_seconds],
        "best_checkpoint": None if outcome.best is None else str(outcome.best),
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
    splits, asked = data.stats.splits, settings.trainer
    precision = resolve_precision(asked["precision"], asked["accelerator"])
    counts = ", ".join(f"{name} {split.windows} windows" for name, split in splits.items())
    return (
        f"Model {settings.model}: {count_parameters(task.network):,} parameters\n"
        f"Data {data.root}: {counts}, {data.stats.sample_rate_hz:g} Hz\n"
        f"Windows of {data.table('train').sequence_length} samples, "
        f"burn-in {task.burn_in} samples, precision {precision}"
    )


def _closing(outcome: Outcome) -> str:
    m, lines = outcome.metrics, list[str]()
    if outcome.objective is not None:
        lines.append(
            f"Best epoch, validation windows after burn-in: MAE {m['val/mae_mm'] * 1e3:.2f} µm, "
            f"RMSE {m['val/rmse_mm'] * 1e3:.2f} µm, R² {m['val/r2']:.5f}, "
            f"loss {outcome.objective:.5f}"
        )
    lines.append(f"Trained in {outcome.seconds:.0f} s")
    for name, path in (("Last", outcome.last), ("Best", outcome.best)):
        lines.append(f"{name} checkpoint: {'none kept' if path is None else path}")
    return "\n".join(lines)
