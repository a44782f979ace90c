"""Finding a learning rate or a batch size before training."""

from pathlib import Path

import lightning
from lightning.pytorch.tuner.tuning import Tuner

from trajerr.errors import ConfigError
from trajerr.training.datamodule import PrinterDataModule
from trajerr.training.task import TrajectoryTask

RATES = (1e-6, 0.3)
TRIALS = 100
PLOT = "lr_find.png"


def find_learning_rate(
    trainer: lightning.Trainer, task: TrajectoryTask, data: PrinterDataModule, output: Path
) -> float:
    """Set the task's learning rate where the loss falls fastest (Smith, 2017), with a plot.

    Raises
    ------
    ConfigError
        The loss never fell.
    """
    epochs, trainer.fit_loop.max_epochs = trainer.fit_loop.max_epochs, TRIALS
    finder = Tuner(trainer).lr_find(
        task, datamodule=data, min_lr=RATES[0], max_lr=RATES[1], num_training=TRIALS
    )
    trainer.fit_loop.max_epochs = epochs
    rate = finder.suggestion() if finder is not None else None
    if finder is None or rate is None:
        raise ConfigError("lr_find: the loss never fell; set model.optimizer.lr instead")
    figure = finder.plot(suggest=True)
    if figure is not None:
        figure.savefig(output / PLOT)
    task.lr = rate
    return rate


def find_batch_size(
    trainer: lightning.Trainer, task: TrajectoryTask, data: PrinterDataModule
) -> int:
    """Double the batch until memory is short, and set the data's batch size to the last fit."""
    return Tuner(trainer).scale_batch_size(task, datamodule=data, mode="power", max_trials=8) or 0
