import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from trajerr.metrics.errors import moving_axes
from trajerr.training.metrics import ErrorMetrics, StepMetrics, mean_errors

BURN_IN = 5


def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    made = []
    for size in (4, 4, 1):
        target = torch.randn(size, 20, 2, generator=generator) * torch.tensor([0.1, 0.2])
        made.append((target + 0.03 * torch.randn(size, 20, 2, generator=generator), target))
    return made


def settled(index: int) -> np.ndarray:
    return np.concatenate([pair[index][:, BURN_IN:].reshape(-1, 2).numpy() for pair in batches()])


def test_metrics_over_batches_are_scikit_learn_s_over_all() -> None:
    metrics = ErrorMetrics()
    for predicted, target in batches():
        metrics.update(predicted, target, BURN_IN)
    scale = torch.tensor([0.1, 0.2])
    found = {name: float(value) for name, value in metrics.compute(scale).items()}
    truth, guess = settled(1), settled(0)
    mae = mean_absolute_error(truth, guess, multioutput="raw_values")
    mse = mean_squared_error(truth, guess, multioutput="raw_values")
    r2 = r2_score(truth, guess, multioutput="raw_values")
    expected = {
        "mae_x_mm": mae[0],
        "mae_y_mm": mae[1],
        "mae_mm": mae.mean(),
        "rmse_x_mm": np.sqrt(mse[0]),
        "rmse_y_mm": np.sqrt(mse[1]),
        "rmse_mm": np.sqrt(mse.mean()),
        "r2_x": r2[0],
        "r2_y": r2[1],
        "r2": r2.mean(),
        "loss": mae[0] / 0.1 + mae[1] / 0.2,
    }
    early = found.pop("burn_in_mae_mm")
    assert found == pytest.approx(expected, rel=1e-4)
    pairs = [(p[:, :BURN_IN], t[:, :BURN_IN]) for p, t in batches()]
    all_early = torch.cat([(p - t).abs().flatten() for p, t in pairs])
    assert early == pytest.approx(float(all_early.mean()), rel=1e-5)


def test_reset_forgets() -> None:
    metrics = ErrorMetrics()
    for predicted, target in batches():
        metrics.update(predicted + 1.0, target, BURN_IN)
    metrics.reset()
    predicted, target = batches()[0]
    metrics.update(predicted, target, 0)
    expected = float((predicted - target).abs().mean())
    values = metrics.compute(torch.ones(2))
    assert float(values["mae_mm"]) == pytest.approx(expected, rel=1e-5)
    assert "burn_in_mae_mm" not in values


def test_mean_errors_leave_the_burn_in_out() -> None:
    predicted, target = torch.zeros(2, 4, 2), torch.zeros(2, 4, 2)
    predicted[:, 0], predicted[:, 1:, 0], predicted[:, 1:, 1] = 9.0, 1.0, -2.0
    assert mean_errors(predicted, target, 1).tolist() == [1.0, 2.0]


def test_a_single_window_of_a_network_that_runs_time_first_counts_alike() -> None:
    """Its errors keep the strides of [T, B, 2], as the last of many batches may have one window."""
    predicted, target = batches()[-1]
    lanes = torch.empty(20, 2, 1).permute(2, 0, 1).copy_(predicted)
    metrics, plain = ErrorMetrics(), ErrorMetrics()
    for strides in (lanes, predicted[0].T.contiguous().T[None]):
        metrics.reset()
        metrics.update(strides, target, BURN_IN)
        plain.reset()
        plain.update(predicted, target, BURN_IN)
        scale = torch.ones(2)
        assert metrics.compute(scale) == plain.compute(scale)


@pytest.mark.parametrize("offset", [0.0, 0.02])  # mm, as a sensor may have at rest
def test_an_axis_at_rest_does_not_dilute_the_metrics_of_the_other(offset: float) -> None:
    metrics = ErrorMetrics()
    still, off = torch.tensor([1.0, 0.0]), torch.tensor([0.0, offset])
    for predicted, target in batches():
        metrics.update(predicted * still, target * still + off, BURN_IN)
    found = metrics.compute(torch.tensor([0.1, 0.2]))
    for name in ("mae{}_mm", "rmse{}_mm", "r2{}"):
        assert float(found[name.format("")]) == float(found[name.format("_x")]) > 0.0
    targets = torch.cat([target * still + off for _, target in batches()])
    assert moving_axes(targets) == [0]


def test_where_no_axis_moves_both_count() -> None:
    metrics = ErrorMetrics()
    metrics.update(torch.full((2, 9, 2), 0.5), torch.zeros(2, 9, 2), 0)
    assert float(metrics.compute(torch.ones(2))["mae_mm"]) == 0.5
    assert moving_axes(np.zeros((2, 9, 2))) == [0, 1]


def test_step_metrics_average_over_windows_and_keep_the_last() -> None:
    metrics = StepMetrics()
    metrics.add({"loss": torch.tensor(9.0)}, 5)
    metrics.reset()
    assert metrics.mean() == {}
    metrics.add({"loss": torch.tensor(1.0, requires_grad=True)}, 3)
    metrics.add({"loss": torch.tensor(5.0)}, 1)
    assert metrics.mean()["loss"].item() == 2.0
    assert metrics.last["loss"].item() == 5.0
    assert not metrics.mean()["loss"].requires_grad
