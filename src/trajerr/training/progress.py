"""What a person sees during training: a bar with the errors in mm, one line an epoch."""

import time
from collections.abc import Mapping
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor

from trajerr.training.callbacks import OBJECTIVE
from trajerr.training.task import as_task


class EpochReport(ProgressBar):
    """A live bar in a terminal, and for every epoch a line each for train and validation.

    Parameters
    ----------
    console
        Where to write.
    """

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._bar: Progress | None = None
        self._task: Any = None
        self._best = float("inf")
        self._began = 0.0
        self.epoch_seconds: list[float] = []

    def say(self, text: str) -> None:
        """Write a line as it is."""
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def disable(self) -> None:
        """Stay silent, as on all processes but the first."""
        self._console = Console(quiet=True)

    def enable(self) -> None:
        """Nothing to do: a report is on from the start."""

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Start the epoch's bar."""
        self._began = time.monotonic()
        title = f"Epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(
            *columns,
            TextColumn("{task.fields[errors]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        total = self.total_train_batches
        self._task = self._bar.add_task(title, total=total, errors="")
        self._bar.start()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401 - Lightning's signature
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Move the bar."""
        if self._bar is None or self._bar.disable or batch_idx % 10:
            return
        self._bar.update(
            self._task,
            completed=batch_idx + 1,
            errors=_errors(as_task(pl_module).training_metrics.last, ""),
        )

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Replace the bar by the epoch's lines."""
        self.stop()
        self.epoch_seconds.append(time.monotonic() - self._began)
        metrics = trainer.callback_metrics
        epoch = f"Epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        self.say(f"{epoch}\n  ▶ Train {_errors(metrics, 'train/')}")
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


def _errors(metrics: Mapping[str, Tensor], prefix: str) -> str:
    def value(name: str) -> float:
        return float(metrics.get(f"{prefix}{name}", torch.nan))

    return (
        f"Loss: {value('loss'):.6f} | X-Err: {value('mae_x_mm'):.6f} mm"
        f" | Y-Err: {value('mae_y_mm'):.6f} mm"
    )
