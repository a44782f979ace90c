"""The LightningModule: steps, logging, optimiser. What is computed is in ``models``."""

from collections.abc import Iterator, Mapping
from typing import Any

import lightning
from torch import Tensor

from trajerr.dynamics.printer import Printer
from trajerr.errors import ConfigError
from trajerr.models.losses import (
    PhysicsResidual,
    physics_loss,
    settling_samples,
    trajectory_mae,
)
from trajerr.models.registry import Network, Neural, build_network
from trajerr.models.thermal import ThermalHead
from trajerr.training.figures import ErrorFigures, StepFigures, mean_errors
from trajerr.training.optimizers import make_optimizer
from trajerr.training.schedules import make_schedule
from trajerr.version import __version__

Batch = Mapping[str, Tensor]
Plain = Mapping[str, Any]


class TrajectoryTask(lightning.LightningModule):
    """Training a network to predict the tracking error.

    All arguments are plain values and travel in the checkpoint, so that
    ``load_from_checkpoint`` needs nothing else.

    Parameters
    ----------
    network
        ``name`` and arguments for :func:`trajerr.models.registry.build_network`.
    loss
        ``lambda_physics``, ``thermal_weight``, ``burn_in`` (samples; None: one settling time
        of the printer) and ``burn_in_without_printer``.
    optimizer
        As :func:`~trajerr.training.optimizers.make_optimizer` takes them, and ``lr``.
    schedule
        ``name`` of the learning rate's schedule and its arguments.
    stats
        What ``stats.json`` says, see :class:`trajerr.dataset.stats.Stats`.
    printer
        The simulated printer, see :meth:`trajerr.dynamics.printer.Printer.to_dict`; None for
        measured motion.
    config
        The whole resolved config of the run, for the record.
    version
        Of trajerr that made it, for the record.

    Raises
    ------
    ConfigError
        A value is out of range, or the physics loss lacks a printer.
    """

    def __init__(
        self,
        network: Plain,
        loss: Plain,
        optimizer: Plain,
        schedule: Plain,
        stats: Plain,
        printer: Plain | None = None,
        config: Plain | None = None,
        version: str = __version__,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.network = build_network(network)
        self.network.scaling.set_statistics(stats)
        self.lr = float(optimizer["lr"])
        axes = _axes(printer)
        self.burn_in = _burn_in(loss, axes, stats["sample_rate_hz"])
        self.physics = _physics(loss, axes, stats["sample_rate_hz"])
        self.thermal = _thermal(loss, self.network, stats)
        self.training_figures = StepFigures()
        self.validation_figures = ErrorFigures()
        self.test_figures = ErrorFigures()

    def forward(self, features: Tensor) -> Tensor:
        """Return the error [B, T, 2] mm of raw features [B, T, 15]."""
        error: Tensor = self.network(features)
        return error

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the loss of one batch."""
        features, target = batch["input_features"], batch["trajectory_targets"]
        predicted = self.network(features).float()
        trajectory = trajectory_mae(predicted, target, self._scale, self.burn_in)
        errors = mean_errors(predicted, target, self.burn_in)
        figures = {"loss": trajectory, "mae_x_mm": errors[0], "mae_y_mm": errors[1]}
        loss = trajectory
        for name, weight, term in self._further_terms(batch, predicted):
            figures[name] = term
            loss = loss + weight * term
        self.training_figures.add(figures, len(target))
        return loss

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Gather the figures of one validation batch."""
        self._evaluate(batch, self.validation_figures)

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """Gather the figures of one test batch."""
        self._evaluate(batch, self.test_figures)

    def on_validation_epoch_end(self) -> None:
        """Log the figures of the validation split."""
        self._log_figures("val", self.validation_figures)

    def on_test_epoch_end(self) -> None:
        """Log the figures of the test split."""
        self._log_figures("test", self.test_figures)

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - one of Lightning's many forms
        """Return the optimiser and its schedule."""
        optimizer = make_optimizer(self.parameters(), self.hparams["optimizer"], self.lr)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = make_schedule(optimizer, self.hparams["schedule"], steps)
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a reader wants to know without building the task."""
        metrics = {
            name: float(value)
            for name, value in self.trainer.callback_metrics.items()
            if name.startswith("val/")
        }
        checkpoint["trajerr"] = {"metrics": metrics, "burn_in": self.burn_in}

    @property
    def _scale(self) -> Tensor:
        return self.network.scaling.target_std

    def _further_terms(
        self, batch: Batch, predicted: Tensor
    ) -> Iterator[tuple[str, float, Tensor]]:
        """Yield name, weight and value of each term of the loss beside the trajectory's."""
        features, weights = batch["input_features"], self.hparams["loss"]
        if self.physics is not None:
            residual = physics_loss(self.physics, predicted, features, self._scale, self.burn_in)
            yield "physics", weights["lambda_physics"], residual
        if self.thermal is not None and isinstance(self.network, Neural):
            temperatures = self.thermal(self.network.hidden(features))
            difference: Tensor = (temperatures - batch["thermal_targets"]) / self.thermal.std
            yield "thermal", weights["thermal_weight"], difference.abs().mean()

    def _evaluate(self, batch: Batch, figures: ErrorFigures) -> None:
        predicted = self.network(batch["input_features"]).float()
        figures.update(predicted, batch["trajectory_targets"], self.burn_in)

    def _log_figures(self, stage: str, figures: ErrorFigures) -> None:
        values = {f"{stage}/{name}": v for name, v in figures.compute(self._scale).items()}
        self.log_dict(values, sync_dist=True)
        figures.reset()


def as_task(module: lightning.LightningModule) -> TrajectoryTask:
    """Return the module as what Lightning's hooks do not know that it is.

    Raises
    ------
    TypeError
        It is something else.
    """
    if not isinstance(module, TrajectoryTask):
        raise TypeError(f"got {type(module).__name__}, expected a TrajectoryTask")
    return module


def _axes(printer: Plain | None) -> tuple[Any, ...]:
    if printer is None:
        return ()
    machine = Printer.from_dict(printer)
    return machine.x, machine.y


def _burn_in(loss: Plain, axes: tuple[Any, ...], sample_rate: float) -> int:
    if loss["burn_in"] is not None:
        return int(loss["burn_in"])
    damped = [axis for axis in axes if axis.damping_ratio > 0.0]
    return settling_samples(damped, sample_rate) if damped else int(loss["burn_in_without_printer"])


def _physics(loss: Plain, axes: tuple[Any, ...], sample_rate: float) -> PhysicsResidual | None:
    weight = loss["lambda_physics"]
    if weight < 0.0:
        raise ConfigError(f"loss.lambda_physics is {weight}, expected 0 or more")
    if weight == 0.0:
        return None
    if not axes:
        raise ConfigError(
            "loss.lambda_physics needs the printer's parameters, which this data (measured, or of"
            " several printers) does not name; set loss.lambda_physics=0 or loss.printer"
        )
    return PhysicsResidual(axes, sample_rate)


def _thermal(loss: Plain, network: Network, stats: Plain) -> ThermalHead | None:
    if loss["thermal_weight"] == 0.0:
        return None
    if stats["temperature_mean"] is None:
        raise ConfigError("loss.thermal_weight needs temperatures, which this data lacks; set it 0")
    if not isinstance(network, Neural):
        raise ConfigError("loss.thermal_weight needs a neural network; set it 0 for this model")
    return ThermalHead(network.hidden_size, stats["temperature_mean"], stats["temperature_std"])
