"""Finding a learning rate or a batch size before training.

A rate is found by what is wanted of it: short trainings, each with the rise and fall of the
schedule to come, and the validation loss that they come to. The slope of a range test's training
loss says little about that, as it is steepest where nothing has been learnt yet. The longer a
training, the lower its best rate: measured here on ``base`` without its equation, 0.032 for 200
steps, 0.014 for 1200, 0.004 for 12,000, as one over the square root of the steps.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.optim import Optimizer

from trajerr.errors import ConfigError
from trajerr.training import memory
from trajerr.training.datamodule import Batch, PrinterDataModule
from trajerr.training.optimizers import make_optimizer
from trajerr.training.parts import OptimizerSettings, ScheduleSettings
from trajerr.training.schedules import cosine_factor
from trajerr.training.task import TrajectoryTask

COARSE = tuple(10.0 ** (exponent / 2.0) for exponent in range(-10, 1))  # 1e-5 to 1
COARSE_STEPS, FINE_STEPS = 50, 200
FINE = (0.4, 0.63, 1.0, 1.6, 2.5)  # times the best of the coarse ones
WARM_UP = 0.1  # share of a trial's steps
JUDGED = 256  # windows of validation
HOPELESS = 3.0  # times the loss at its begin, at which a trial ends
PLOT = "lr_find.png"
MOST = 0.8  # share of free memory that a step may take


@dataclass(frozen=True)
class Trial:
    """A short training at one rate."""

    rate: float
    steps: int
    loss: float  # of validation at its end; infinite where it diverged


def find_learning_rate(
    task: TrajectoryTask,
    data: PrinterDataModule,
    device: torch.device,
    clip: float | None,
    steps: float,
    output: Path,
) -> float:
    """Set the task's learning rate by the one whose short trainings validate best, with a plot.

    Parameters
    ----------
    task
        To be trained; its weights are left as they are.
    data
        To train and to validate on.
    device
        Where to.
    clip
        Norm of the gradient, as in the training to come.
    steps
        Of the training to come.
    output
        Where the plot goes.

    Raises
    ------
    ConfigError
        No rate lowers the loss.
    """
    start = copy.deepcopy(task.state_dict())
    task.to(device)
    trainer = _ShortTraining(task, data, device, clip, start)
    coarse = [trainer.run(rate, COARSE_STEPS) for rate in COARSE]
    best = min(coarse, key=lambda trial: trial.loss)
    if not math.isfinite(best.loss):
        raise ConfigError("lr_find: no rate lowers the loss; set model.optimizer.lr instead")
    fine = [trainer.run(best.rate * factor, FINE_STEPS) for factor in FINE]
    chosen = min(fine, key=lambda trial: trial.loss)
    task.load_state_dict(start)
    task.train()
    task.training_metrics.reset()
    task.lr = rate_for(chosen, steps)
    task.hparams["optimizer"] = {**task.hparams["optimizer"], "lr": task.lr}
    _plot((coarse, fine), task.lr, steps).savefig(output / PLOT)
    return task.lr


def rate_for(trial: Trial, steps: float) -> float:
    """Return the rate for a training of some steps, from the best of trials that were shorter."""
    if not math.isfinite(steps) or steps <= trial.steps:
        return trial.rate
    return trial.rate * math.sqrt(trial.steps / steps)


def trial_factor(schedule: ScheduleSettings, step: int, steps: int) -> float:
    """Return the share of the peak rate at a step of a trial, as a schedule's own rate goes.

    One that waits for validation, or that is not known, holds it all the while.
    """
    warm_up = round(WARM_UP * steps)
    if schedule.needs_an_end:
        return cosine_factor(step, warm_up, steps)
    rises = schedule.name == "constant" and step < warm_up
    return (step + 1) / warm_up if rises else 1.0


class _ShortTraining:
    """Trains a task from the same weights on the same batches, at any rate."""

    def __init__(
        self,
        task: TrajectoryTask,
        data: PrinterDataModule,
        device: torch.device,
        clip: float | None,
        start: dict[str, Tensor],
    ) -> None:
        self._task, self._data, self._device = task, data, device
        self._clip, self._start = clip, start
        self._optimizer = OptimizerSettings.from_dict(task.hparams["optimizer"])
        self._schedule = ScheduleSettings.from_dict(task.hparams["schedule"])

    def run(self, rate: float, steps: int) -> Trial:
        """Train some steps; a trial that diverges ends early."""
        task = self._task
        task.load_state_dict(self._start)
        torch.manual_seed(0)
        optimizer = make_optimizer(task.parameters(), self._optimizer, rate)
        first = None
        task.train()
        for step, batch in enumerate(islice(self._batches(), steps)):
            for group in optimizer.param_groups:
                group["lr"] = rate * trial_factor(self._schedule, step, steps)
            loss = self._step(batch, optimizer)
            first = loss if first is None else first
            if not math.isfinite(loss) or loss > HOPELESS * first:
                return Trial(rate, steps, math.inf)
        return Trial(rate, steps, self._validate())

    def _step(self, batch: Batch, optimizer: Optimizer) -> float:
        optimizer.zero_grad()
        loss = self._task.training_step(batch, 0)
        loss.backward()  # type: ignore[no-untyped-call]
        if self._clip:
            nn.utils.clip_grad_norm_(self._task.parameters(), self._clip)
        optimizer.step()
        return float(loss.detach())

    def _batches(self) -> Iterator[Batch]:
        while True:
            for batch in self._data.train_dataloader():
                yield {name: value.to(self._device) for name, value in batch.items()}

    def _validate(self) -> float:
        self._task.eval()
        count = max(1, JUDGED // self._data.batch_size)
        total, windows = 0.0, 0
        with torch.no_grad():
            for batch in islice(self._data.val_dataloader(), count):
                moved = {name: value.to(self._device) for name, value in batch.items()}
                size = len(moved["input_features"])
                total += size * float(self._task.training_step(moved, 0))
                windows += size
        loss = total / windows
        return loss if math.isfinite(loss) else math.inf


def _plot(rounds: Sequence[Sequence[Trial]], rate: float, steps: float) -> Figure:
    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    axes = figure.subplots()
    for trials in rounds:
        kept = [trial for trial in trials if math.isfinite(trial.loss)]
        kept.sort(key=lambda trial: trial.rate)
        label = f"{trials[0].steps} steps"
        axes.plot([t.rate for t in kept], [t.loss for t in kept], "o-", label=label)
    label = f"chosen for {steps:g} steps: {rate:.2g}"
    axes.axvline(rate, color="0.3", ls="--", label=label)
    axes.set(xscale="log", yscale="log", xlabel="peak learning rate", ylabel="validation loss")
    axes.legend()
    return figure


def find_batch_size(task: TrajectoryTask, data: PrinterDataModule, device: torch.device) -> int:
    """Set the data's batch size to the largest double of it whose step memory holds.

    At most an epoch's windows. What a step takes is measured at each size, and the next is
    tried only where twice that is free.
    """
    task.to(device).train()
    table, size = data.table("train"), data.batch_size
    most = len(table.strided(data.stride)) if data.samples is None else data.samples
    while True:
        rows = table.random(size, torch.Generator().manual_seed(0))
        batch = {name: value.to(device) for name, value in table.gather(rows).items()}
        taken, free = _memory_of_step(task, batch, device)
        if 2 * size > most or 2 * taken > MOST * free:
            break
        size *= 2
    task.zero_grad(set_to_none=True)
    task.training_metrics.reset()
    data.batch_size = size
    return size


def _memory_of_step(task: TrajectoryTask, batch: Batch, device: torch.device) -> tuple[int, int]:
    """Return the bytes that a step's forward and backward take, and those that are free."""
    on_cuda = device.type == "cuda"
    if on_cuda:
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    else:
        before = memory.resident()
    task.zero_grad(set_to_none=True)
    task.training_step(batch, 0).backward()  # type: ignore[no-untyped-call]
    if on_cuda:
        taken = torch.cuda.max_memory_allocated(device) - before
        return taken, torch.cuda.mem_get_info(device)[0]
    return max(0, memory.peak() - before), memory.available()
