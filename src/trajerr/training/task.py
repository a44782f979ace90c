"""The LightningModule: steps, logging, optimiser. What is computed is in ``models``."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Self

import lightning
from torch import Tensor

from trajerr.checks import require
from trajerr.dynamics.printer import Printer
from trajerr.errors import ConfigError, DataError
from trajerr.models.foreign import is_foreign, make, require_allowed
from trajerr.models.losses import (
    PhysicsResidual,
    physics_loss,
    settled_errors,
    settling_samples,
    trajectory_loss,
    trust_in,
)
from trajerr.models.registry import Network, Neural, build_network
from trajerr.models.thermal import ThermalHead
from trajerr.training.metrics import ErrorMetrics, StepMetrics, mean_errors
from trajerr.training.optimizers import make_optimizer
from trajerr.training.parts import LossSettings, OptimizerSettings, ScheduleSettings
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
    loss, optimizer, schedule
        Fields of :class:`~trajerr.training.settings.LossSettings`, ``OptimizerSettings`` and
        ``ScheduleSettings``.
    stats
        What ``stats.json`` says, see :class:`trajerr.dataset.stats.Stats`.
    printer
        The simulated printer, see :meth:`trajerr.dynamics.printer.Printer.to_dict`; None for
        measured motion.
    config
        The whole resolved config of the run, for the record.
    version
        Of trajerr that made it, for the record.
    allowed
        Classes of the user's own that network, loss, optimiser and schedule may name; not kept
        in the checkpoint, so that none brings its own permission along.

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
        allowed: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["allowed"])
        self._allowed = frozenset(allowed)
        self.network = build_network(network, allowed)
        self.network.scaling.set_statistics(stats)
        self._loss = LossSettings.from_dict(loss)
        self.criterion = _criterion(self._loss, allowed)
        self.lr = float(optimizer["lr"])
        axes = _axes(printer)
        _require_known(printer, self._loss)
        self.burn_in = _burn_in(self._loss, axes, stats["sample_rate_hz"])
        self.physics = _physics(self._loss, axes, stats["sample_rate_hz"])
        self.thermal = _thermal(self._loss, self.network, stats)
        self.training_metrics = StepMetrics()
        self.validation_metrics = ErrorMetrics()
        self.test_metrics = ErrorMetrics()

    @classmethod
    def load_from_checkpoint(
        cls,
        checkpoint_path: Any,  # noqa: ANN401 - Lightning's
        *arguments: Any,  # noqa: ANN401
        allowed: Collection[str] = (),
        **keywords: Any,  # noqa: ANN401
    ) -> Self:
        """Load as Lightning does; what may be imported is said here, whatever the file says."""
        return super().load_from_checkpoint(
            checkpoint_path, *arguments, allowed=tuple(allowed), **keywords
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return the error [B, T, 2] mm of raw features [B, T, 15]."""
        error: Tensor = self.network(features)
        return error

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the loss of one batch."""
        features, target = batch["input_features"], batch["trajectory_targets"]
        predicted = self.network(features).float()
        trajectory = self._trajectory(predicted, target, self._trust(batch))
        errors = mean_errors(predicted, target, self.burn_in)
        metrics = {"trajectory": trajectory, "mae_x_mm": errors[0], "mae_y_mm": errors[1]}
        loss = trajectory
        for name, weight, term in self._further_terms(batch, predicted):
            metrics[name] = term
            loss = loss + weight * term
        self.training_metrics.add({"loss": loss, **metrics}, len(target))
        return loss

    def predict_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the error [B, T, 2] mm of one batch."""
        error: Tensor = self.network(batch["input_features"]).float()
        return error

    def on_train_epoch_start(self) -> None:
        """Forget the steps of the epoch before."""
        self.training_metrics.reset()

    def on_train_epoch_end(self) -> None:
        """Log the means of the epoch, once."""
        self.log_training_means()

    def log_training_means(self) -> None:
        """Log what the epoch's steps came to, where nobody has."""
        means = self.training_metrics.mean()
        if means and not self.trainer.barebones:
            self.log_dict({f"train/{n}": value for n, value in means.items()}, sync_dist=True)
        self.training_metrics.reset()

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Gather the metrics of one validation batch."""
        self._evaluate(batch, self.validation_metrics)

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """Gather the metrics of one test batch."""
        self._evaluate(batch, self.test_metrics)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the validation split."""
        self._log_metrics("val", self.validation_metrics)

    def on_test_epoch_end(self) -> None:
        """Log the metrics of the test split."""
        self._log_metrics("test", self.test_metrics)

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - one of Lightning's many forms
        """Return the optimiser and its schedule."""
        said = {part: self.hparams[part] for part in ("optimizer", "schedule")}
        for part, values in said.items():
            require_allowed(f"model.{part}", values, self._allowed)
        optimizer_settings = OptimizerSettings.from_dict(said["optimizer"])
        optimizer = make_optimizer(self.parameters(), optimizer_settings, self.lr)
        steps = self.trainer.estimated_stepping_batches  # infinite where there is no end
        schedule = make_schedule(optimizer, ScheduleSettings.from_dict(said["schedule"]), steps)
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

    def _trust(self, batch: Batch) -> Tensor | None:
        """Return what each window's axes count in training, [B, 2]; None: all alike."""
        half = self._loss.uncertainty_mm
        if half is None:
            return None
        if "target_uncertainty" not in batch:
            raise DataError(
                f"loss.uncertainty_mm: got {half:g}, expected null: no layer that is trained on "
                "says by what its errors are uncertain, as recordings of accelerometers do"
            )
        return trust_in(batch["target_uncertainty"], half)

    def _trajectory(self, predicted: Tensor, target: Tensor, trust: Tensor | None) -> Tensor:
        if self.criterion is None:
            weight = self._loss.squared_weight
            return trajectory_loss(predicted, target, self._scale, self.burn_in, weight, trust)
        return self.criterion(*settled_errors(predicted, target, self._scale, self.burn_in))

    def _further_terms(
        self, batch: Batch, predicted: Tensor
    ) -> Iterator[tuple[str, float, Tensor]]:
        """Yield name, weight and value of each term of the loss beside the trajectory's."""
        features = batch["input_features"]
        if self.physics is not None:
            residual = physics_loss(self.physics, predicted, features, self._scale, self.burn_in)
            yield "physics", self._loss.lambda_physics, residual
        if self.thermal is not None and isinstance(self.network, Neural):
            temperatures = self.thermal(self.network.hidden(features))
            difference: Tensor = (temperatures - batch["thermal_targets"]) / self.thermal.std
            start = min(self.burn_in, difference.shape[1] - 1)
            yield "thermal", self._loss.thermal_weight, difference[:, start:].abs().mean()

    def _evaluate(self, batch: Batch, metrics: ErrorMetrics) -> None:
        predicted = self.network(batch["input_features"]).float()
        metrics.update(predicted, batch["trajectory_targets"], self.burn_in)

    def _log_metrics(self, stage: str, metrics: ErrorMetrics) -> None:
        values = {f"{stage}/{name}": v for name, v in metrics.compute(self._scale).items()}
        if not self.trainer.barebones:
            self.log_dict(values, sync_dist=True)
        metrics.reset()


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


def _criterion(
    loss: LossSettings, allowed: Collection[str]
) -> Callable[[Tensor, Tensor], Tensor] | None:
    if not is_foreign(loss.arguments):
        return None
    require_allowed("loss", loss.arguments, allowed)
    wanted = "0, as a loss of your own stands in the place of the squares, too"
    require("loss.squared_weight", loss.squared_weight, loss.squared_weight == 0, wanted)
    wanted = "null, as a loss of your own weighs nothing by it"
    require("loss.uncertainty_mm", loss.uncertainty_mm, loss.uncertainty_mm is None, wanted)
    made: Callable[[Tensor, Tensor], Tensor] = make("loss", loss.arguments)
    return made


def _axes(printer: Plain | None) -> tuple[Any, ...]:
    if printer is None:
        return ()
    machine = Printer.from_dict(printer)
    return machine.x, machine.y


def _require_known(printer: Plain | None, loss: LossSettings) -> None:
    """Refuse the physics loss where its equation is not the printer's.

    It takes the command as motors get it, and knows a mass on a belt alone.
    """
    shaped = printer is not None and Printer.from_dict(printer).shaper is not None
    holds = loss.lambda_physics == 0.0 or not shaped
    expected = "0 for a printer with an input shaper, whose motors are told another command"
    require("loss.lambda_physics", loss.lambda_physics, holds, expected)
    holds = loss.lambda_physics == 0.0 or all(axis.second_mode is None for axis in _axes(printer))
    expected = "0 for a printer with a second mode: its equation has none"
    require("loss.lambda_physics", loss.lambda_physics, holds, expected)


def _burn_in(loss: LossSettings, axes: tuple[Any, ...], sample_rate: float) -> int:
    if loss.burn_in is not None:
        return int(loss.burn_in)
    damped = [axis for axis in axes if axis.damping_ratio > 0.0]
    return settling_samples(damped, sample_rate) if damped else int(loss.burn_in_without_printer)


def _physics(
    loss: LossSettings, axes: tuple[Any, ...], sample_rate: float
) -> PhysicsResidual | None:
    if loss.lambda_physics == 0.0:
        return None
    if not axes:
        raise ConfigError(
            "loss.lambda_physics needs the printer's parameters, which this data (measured, or of"
            " several printers) does not name; set loss.lambda_physics=0 or loss.printer"
        )
    return PhysicsResidual(axes, sample_rate)


def _thermal(loss: LossSettings, network: Network, stats: Plain) -> ThermalHead | None:
    if loss.thermal_weight == 0.0:
        return None
    if stats["temperature_mean"] is None:
        raise ConfigError("loss.thermal_weight needs temperatures, which this data lacks; set it 0")
    if not isinstance(network, Neural):
        raise ConfigError("loss.thermal_weight needs a neural network; set it 0 for this model")
    return ThermalHead(network.hidden_size, stats["temperature_mean"], stats["temperature_std"])
