"""What a person sees during training: a bar with the errors in mm, one line an epoch."""

import math
import time
from collections.abc import Mapping
from typing import Any

import lightning
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor

from trajerr.training.callbacks import OBJECTIVE
from trajerr.training.task import as_task

PARTS = 4  # of an epoch, after each of which a line is written where there is no terminal


class EpochReport(lightning.Callback):
    """A live bar, and for every epoch a line each for train and validation.

    Where there is no terminal, a line for each part of an epoch stands for the bar.

    Parameters
    ----------
    console
        Where to write; a quiet one on all processes but the first.
    shows_bar
        Whether to show what goes on within epochs.
    """

    def __init__(self, console: Console, shows_bar: bool = True) -> None:
        super().__init__()
        self._console = console
        self._shows_bar = shows_bar
        self._bar: Progress | None = None
        self._task: Any = None
        self._best = float("inf")
        self._began = 0.0
        self.epoch_seconds: list[float] = []

    def say(self, text: str) -> None:
        """Write a line as it is."""
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Start the epoch's bar."""
        self._began = time.monotonic()
        title = _title(trainer)
        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(
            *columns,
            TextColumn("{task.fields[errors]}"),
            console=self._console,
            transient=True,
            disable=not (self._shows_bar and self._console.is_terminal),
        )
        total = trainer.num_training_batches
        known = int(total) if math.isfinite(total) else None
        self._task = self._bar.add_task(title, total=known, errors="")
        self._bar.start()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401 - Lightning's signature
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Move the bar, or say how far the epoch is."""
        if self._shows_bar and not self._console.is_terminal:
            self._say_part(trainer, pl_module, batch_idx + 1)
        if self._bar is None or self._bar.disable or batch_idx % 10:
            return
        self._bar.update(
            self._task,
            completed=batch_idx + 1,
            errors=_errors(as_task(pl_module).training_metrics.last, ""),
        )

    def _say_part(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, done: int
    ) -> None:
        total = trainer.num_training_batches
        if not math.isfinite(total) or total < PARTS or done == total:
            return
        if done * PARTS // total == (done - 1) * PARTS // total:
            return
        errors = _errors(as_task(pl_module).training_metrics.last, "")
        self.say(f"{_title(trainer)}  {done}/{int(total)} batches  {errors}")

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Replace the bar by the epoch's lines."""
        self.stop()
        self.epoch_seconds.append(time.monotonic() - self._began)
        metrics = trainer.callback_metrics
        self.say(f"{_title(trainer)}\n  ▶ Train {_errors(metrics, 'train/')}")
        if OBJECTIVE in metrics:
            loss = float(metrics[OBJECTIVE])
            mark = "  ★ best" if loss < self._best else ""
            self._best = min(self._best, loss)
            self.say(f"  ▶ Val   {_errors(metrics, 'val/')}{mark}")

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def on_exception(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        exception: BaseException,
    ) -> None:
        """Leave the terminal clean."""
        self.stop()


def _title(trainer: lightning.Trainer) -> str:
    epochs = trainer.max_epochs
    of = f"/{epochs}" if epochs is not None and epochs > 0 else ""
    return f"Epoch {trainer.current_epoch + 1}{of}"


def _errors(metrics: Mapping[str, Tensor], prefix: str) -> str:
    def value(name: str) -> float:
        return float(metrics.get(f"{prefix}{name}", torch.nan))

    return (
        f"Loss: {value('loss'):.6f} | X-Err: {value('mae_x_mm'):.6f} mm"
        f" | Y-Err: {value('mae_y_mm'):.6f} mm"
    )
