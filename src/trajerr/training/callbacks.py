"""What happens beside the steps: checkpoints, random state, what TensorBoard shows."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.figure import Figure
from torch import Tensor

from trajerr.training.checkpoint import BEST, LAST, RESULT
from trajerr.training.task import as_task

OBJECTIVE = "val/loss"


class BestCheckpoint(ModelCheckpoint):
    """Keeps the checkpoint of least validation loss, across a resume into another folder.

    Parameters
    ----------
    folder
        Where it goes.
    say
        What to do with a line for the user.
    monitor
        What is least; None: the last there is.
    by_epoch
        Whether validation comes with the end of each epoch, and not within.
    """

    def __init__(
        self, folder: Path, say: Callable[[str], None], monitor: str | None, by_epoch: bool
    ) -> None:
        self._say = say
        super().__init__(
            dirpath=folder,
            filename=Path(BEST).stem,
            monitor=monitor,
            save_on_train_epoch_end=by_epoch or monitor is None,
            enable_version_counter=False,
            auto_insert_metric_name=False,
        )

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Save if the epoch is the best so far, and say so."""
        if self.monitor is not None and self.monitor not in trainer.callback_metrics:
            return  # an epoch that steps have ended before its validation
        before = self.best_model_score
        super().on_train_epoch_end(trainer, pl_module)
        self._tell(before)

    def on_validation_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Save where validation comes within epochs."""
        before = self.best_model_score
        super().on_validation_end(trainer, pl_module)
        self._tell(before)

    def _tell(self, before: Tensor | None) -> None:
        if self.best_model_score is not before:
            self._say(f"  ✓ Saved checkpoint: {self.best_model_path}")

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Carry the best so far along: its loss and its file."""
        before, score = Path(state_dict["best_model_path"]), state_dict["best_model_score"]
        if score is None or not before.is_file():
            return
        here = Path(str(self.dirpath)) / BEST
        here.parent.mkdir(parents=True, exist_ok=True)
        if before.resolve() != here.resolve():
            shutil.copyfile(before, here)
        self.best_model_path = self.kth_best_model_path = str(here)
        self.best_model_score = self.kth_value = score
        self.best_k_models = {str(here): score}


class LastCheckpoint(ModelCheckpoint):
    """Keeps the checkpoint of the last whole epoch, to resume from.

    Ctrl-C in the first epoch leaves what there is: better than nothing, though not exact.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            dirpath=folder,
            filename=Path(LAST).stem,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )

    def on_fit_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Mark the run as unfinished, once all processes have seen what it was."""
        if trainer.is_global_zero:
            (Path(str(self.dirpath)).parent / RESULT).unlink(missing_ok=True)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Forget where the run before kept its own."""

    def on_exception(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        exception: BaseException,
    ) -> None:
        """Save if there is nothing yet."""
        path = Path(str(self.dirpath)) / LAST
        if isinstance(exception, KeyboardInterrupt) and not path.is_file():
            trainer.save_checkpoint(path)


class PatientEnd(EarlyStopping):
    """Lightning's early stopping, whose patience is the config's, also after a resume."""

    @property
    def state_key(self) -> str:
        """Name of its state in checkpoints, as Lightning's own."""
        return super().state_key.replace(type(self).__qualname__, EarlyStopping.__qualname__, 1)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over how long there has been nothing better."""
        super().load_state_dict({**state_dict, "patience": self.patience})


class EpochSeed(lightning.Callback):
    """Seeds each epoch by its number, so that a resumed one draws the same dropout.

    Parameters
    ----------
    seed
        Of the run.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: Any,  # noqa: ANN401 - Lightning's signature
        batch_idx: int,
    ) -> None:
        """Seed at the first batch, after all that sets an epoch up has drawn its numbers."""
        if batch_idx == 0:
            epoch = trainer.current_epoch * trainer.world_size + trainer.global_rank
            torch.manual_seed(self._seed * 1_000_003 + epoch)


class HopelessEnd(lightning.Callback):
    """Ends a training that is judged not to be worth going on, as one of many in a search.

    Parameters
    ----------
    judge
        Asked after each epoch with its number and validation loss.
    """

    def __init__(self, judge: Callable[[int, float], bool]) -> None:
        self._judge = judge

    def on_validation_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Ask on one process, end on all."""
        loss = float(trainer.callback_metrics[OBJECTIVE])
        ends = trainer.is_global_zero and self._judge(trainer.current_epoch, loss)
        trainer.should_stop = trainer.strategy.broadcast(ends) or trainer.should_stop


class StepRecord(lightning.Callback):
    """Records what the steps show: loss and errors, the gradient's norm and histograms.

    Lightning's ``log`` in each step would cost a small network a tenth of its time; so it is
    called for the steps that are written, and once for the means of an epoch.

    Parameters
    ----------
    every_n_steps
        Between steps that are written; 0 writes none.
    every_n_epochs
        Between histograms.
    """

    def __init__(self, every_n_steps: int, every_n_epochs: int) -> None:
        self._every_n_steps = every_n_steps
        self._every_n_epochs = every_n_epochs

    def on_before_optimizer_step(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        """Record a step and its gradients, as they are before clipping."""
        if self._every_n_steps and (trainer.global_step + 1) % self._every_n_steps == 0:
            last = as_task(pl_module).training_metrics.last
            pl_module.log_dict({f"train/{name}_step": value for name, value in last.items()})
            norm = torch.nn.utils.get_total_norm(_gradients(pl_module).values())
            pl_module.log("train/gradient_norm", norm)
        first = trainer.fit_loop.epoch_loop.batch_idx == 0
        if first and trainer.current_epoch % self._every_n_epochs == 0:
            for writer in _writers(trainer):
                for name, gradient in _gradients(pl_module).items():
                    if not torch.isfinite(gradient).all():  # of a loss that diverges
                        continue
                    writer.add_histogram(f"gradients/{name}", gradient, trainer.current_epoch)

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Record the means of the epoch, before the report wants them."""
        as_task(pl_module).log_training_means()


def _gradients(module: lightning.LightningModule) -> dict[str, Tensor]:
    return {n: p.grad for n, p in module.named_parameters() if p.grad is not None}


class LayerFigure(lightning.Callback):
    """Draws predicted and true error of a stretch of validation data each few epochs.

    Parameters
    ----------
    features : (N, 15)
        Raw, of one uninterrupted stretch.
    target : (N, 2)
        mm, of the same.
    sample_rate
        Hz.
    every_n_epochs
        Between figures.
    """

    def __init__(
        self, features: Tensor, target: Tensor, sample_rate: float, every_n_epochs: int
    ) -> None:
        self._features, self._target = features, target
        self._sample_rate = sample_rate
        self._every = every_n_epochs

    def on_validation_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Draw, except while Lightning only checks that validation runs."""
        if trainer.sanity_checking or trainer.current_epoch % self._every:
            return
        with torch.no_grad():
            predicted = pl_module(self._features.to(pl_module.device).unsqueeze(0))[0].cpu()
        for writer in _writers(trainer):
            figure = self._draw(predicted)
            writer.add_figure("val/predicted_and_true", figure, trainer.current_epoch)

    def _draw(self, predicted: Tensor) -> Figure:
        time = torch.arange(len(self._target)) / self._sample_rate
        figure = Figure(figsize=(10.0, 5.0), layout="constrained")
        for axis, (panel, name) in enumerate(
            zip(figure.subplots(2, sharex=True), "xy", strict=True)
        ):
            panel.plot(time, self._target[:, axis] * 1000.0, label="true", color="0.6", lw=2.0)
            panel.plot(time, predicted[:, axis] * 1000.0, label="predicted", color="C0", lw=0.8)
            panel.set_ylabel(f"error {name}, µm")
        panel.set_xlabel("time, s")
        figure.axes[0].legend(loc="upper right")
        return figure


def _writers(trainer: lightning.Trainer) -> list[Any]:
    return [
        logger.experiment
        for logger in trainer.loggers
        if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero
    ]
