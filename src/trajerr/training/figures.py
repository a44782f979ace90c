"""Running figures of the error in mm, per axis and overall, over the batches of an epoch."""

import torch
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanSquaredError, R2Score


class ErrorFigures(nn.Module):
    """MAE, RMSE and R² of x and y, synchronised among processes by torchmetrics."""

    def __init__(self) -> None:
        super().__init__()
        self.mae = MeanAbsoluteError(num_outputs=2)
        self.rmse = MeanSquaredError(squared=False, num_outputs=2)
        self.r2 = R2Score(multioutput="raw_values")

    def update(self, predicted: Tensor, target: Tensor) -> None:
        """Add errors [..., 2] mm."""
        rows = predicted.detach().float().flatten(0, -2), target.float().flatten(0, -2)
        for metric in (self.mae, self.rmse, self.r2):
            metric.update(*rows)

    def compute(self) -> dict[str, Tensor]:
        """Return ``mae_x_mm``, ``mae_y_mm``, ``mae_mm``, likewise ``rmse``, and ``r2``."""
        mae, rmse, r2 = self.mae.compute(), self.rmse.compute(), self.r2.compute()
        overall = {"mae": mae.mean(), "rmse": rmse.square().mean().sqrt(), "r2": r2.mean()}
        figures = {"mae": mae, "rmse": rmse, "r2": r2}
        named: dict[str, Tensor] = {}
        for name, value in figures.items():
            unit = "" if name == "r2" else "_mm"
            named[f"{name}_x{unit}"], named[f"{name}_y{unit}"] = value[0], value[1]
            named[f"{name}{unit}"] = overall[name]
        return named

    def reset(self) -> None:
        """Forget everything."""
        for metric in (self.mae, self.rmse, self.r2):
            metric.reset()


def mean_errors(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute error of x and y, [2] mm, of errors [B, T, 2] mm."""
    return torch.mean((predicted.detach() - target).abs(), dim=(0, 1))
