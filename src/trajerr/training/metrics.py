"""Running metrics of the error in mm, per axis and overall, over the batches of an epoch."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanSquaredError, Metric, R2Score


class MovingAxes(Metric):
    """Which columns of targets ever change; all of them if none does.

    What :func:`trajerr.metrics.errors.moving_axes` says of a whole split, said of batches.
    """

    least: Tensor
    most: Tensor

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.add_state("least", torch.full((columns,), torch.inf), dist_reduce_fx="min")
        self.add_state("most", torch.full((columns,), -torch.inf), dist_reduce_fx="max")

    def update(self, target: Tensor) -> None:
        """Take targets [N, columns] into account."""
        self.least = torch.minimum(self.least, target.amin(dim=0))
        self.most = torch.maximum(self.most, target.amax(dim=0))

    def compute(self) -> Tensor:
        """Return [columns], true where a column moves."""
        moving = self.most > self.least
        return moving | ~moving.any()


class ErrorMetrics(nn.Module):
    """MAE, RMSE and R² of x and y, synchronised among processes by torchmetrics."""

    def __init__(self) -> None:
        super().__init__()
        self.early = MeanAbsoluteError()
        self.mae = MeanAbsoluteError(num_outputs=2)
        self.rmse = MeanSquaredError(squared=False, num_outputs=2)
        self.r2 = R2Score(multioutput="raw_values")
        self.moving = MovingAxes(2)

    def update(self, predicted: Tensor, target: Tensor, burn_in: int) -> None:
        """Add errors [B, T, 2] mm; those before the burn-in are counted apart."""
        start = min(burn_in, predicted.shape[1] - 1)
        rows = _rows(predicted[:, start:]), _rows(target[:, start:])
        for metric in (self.mae, self.rmse, self.r2):
            metric.update(*rows)
        self.moving.update(rows[1])
        if start:
            self.early.update(_rows(predicted[:, :start]), _rows(target[:, :start]))

    def compute(self, scale: Tensor) -> dict[str, Tensor]:
        """Return ``mae_x_mm``, ``mae_y_mm``, ``mae_mm``, likewise ``rmse``, and ``r2``.

        What is of no axis is the mean over those whose error moves: a log may hold one only.
        Also ``loss``, the sum of both axes' MAE in units of ``scale`` [2] mm, and
        ``burn_in_mae_mm`` where there is a burn-in.
        """
        mae, rmse, r2 = self.mae.compute(), self.rmse.compute(), self.r2.compute()
        moving = self.moving.compute()
        overall = {
            "mae": mae[moving].mean(),
            "rmse": rmse[moving].square().mean().sqrt(),
            "r2": r2[moving].mean(),
        }
        metrics = {"mae": mae, "rmse": rmse, "r2": r2}
        named = {"loss": (mae / scale).sum()}
        if self.early.update_called:
            named["burn_in_mae_mm"] = self.early.compute()
        for name, value in metrics.items():
            unit = "" if name == "r2" else "_mm"
            named[f"{name}_x{unit}"], named[f"{name}_y{unit}"] = value[0], value[1]
            named[f"{name}{unit}"] = overall[name]
        return named

    def reset(self) -> None:
        """Forget everything; what is left can be added to in any of torch's modes."""
        with torch.inference_mode(mode=False):
            for metric in (self.mae, self.rmse, self.r2, self.moving, self.early):
                metric.reset()


def _rows(errors: Tensor) -> Tensor:
    # A batch of one window may keep the strides of a network that runs time first.
    return errors.detach().float().reshape(-1, 2).contiguous()


def mean_errors(predicted: Tensor, target: Tensor, burn_in: int) -> Tensor:
    """Return the mean absolute error of x and y after the burn-in, [2] mm, of [B, T, 2] mm."""
    start = min(burn_in, predicted.shape[1] - 1)
    return (predicted.detach() - target)[:, start:].abs().mean(dim=(0, 1))


class StepMetrics:
    """Metrics of training steps: the last one's, and their mean over the windows of an epoch.

    Only sums, kept on the device: a step never waits for them.
    """

    def __init__(self) -> None:
        self.last: dict[str, Tensor] = {}
        self._sums: dict[str, Tensor] = {}
        self._windows = 0

    def add(self, values: Mapping[str, Tensor], windows: int) -> None:
        """Note metrics of one batch of some windows; the names are the same for each batch."""
        self.last = {name: value.detach() for name, value in values.items()}
        for name, value in self.last.items():
            self._sums[name] = self._sums.get(name, 0.0) + windows * value
        self._windows += windows

    def mean(self) -> dict[str, Tensor]:
        """Return the mean of each metric since the last reset; nothing without a batch."""
        return {name: value / self._windows for name, value in self._sums.items()}

    def reset(self) -> None:
        """Forget everything."""
        self.last, self._sums, self._windows = {}, {}, 0
