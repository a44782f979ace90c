import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sklearn_metrics
from torchmetrics import functional as torchmetrics

from trajerr.metrics import errors as metrics

RNG = np.random.default_rng(7)
TARGET = RNG.normal(0.02, [0.1, 0.2], (501, 2))
PREDICTION = TARGET + RNG.normal(0.003, [0.01, 0.03], (501, 2))


def test_equal_to_scikit_learn():
    assert metrics.mean_absolute_error(PREDICTION, TARGET) == pytest.approx(
        sklearn_metrics.mean_absolute_error(TARGET, PREDICTION), rel=1e-12
    )
    assert metrics.r_squared(PREDICTION, TARGET) == pytest.approx(
        sklearn_metrics.r2_score(TARGET, PREDICTION), rel=1e-12
    )
    assert metrics.root_mean_square_error(PREDICTION, TARGET) ** 2 == pytest.approx(
        sklearn_metrics.mean_squared_error(TARGET, PREDICTION), rel=1e-12
    )
    assert metrics.tail_summary(PREDICTION[:, :1], TARGET[:, :1])["max_mm"] == pytest.approx(
        sklearn_metrics.max_error(TARGET[:, 0], PREDICTION[:, 0]), rel=1e-12
    )


def test_equal_to_torchmetrics():
    prediction, target = torch.from_numpy(PREDICTION), torch.from_numpy(TARGET)
    ours = metrics.axis_summary(PREDICTION, TARGET)
    assert ours["overall"]["mae_mm"] == pytest.approx(
        float(torchmetrics.mean_absolute_error(prediction, target))
    )
    assert ours["overall"]["r2"] == pytest.approx(float(torchmetrics.r2_score(prediction, target)))
    for i, axis in enumerate("xy"):
        pair = prediction[:, i].contiguous(), target[:, i].contiguous()
        rmse = torchmetrics.mean_squared_error(*pair, squared=False)
        assert ours[axis]["rmse_mm"] == pytest.approx(float(rmse))
        assert ours[axis]["mae_mm"] == pytest.approx(float(torchmetrics.mean_absolute_error(*pair)))
        assert ours[axis]["r2"] == pytest.approx(float(torchmetrics.r2_score(*pair)))


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_constant_target_scores_as_in_scikit_learn(value):
    target = np.full((9, 2), value)
    assert metrics.r_squared(target, target) == 1.0
    assert metrics.r_squared(target + 0.1, target) == 0.0
    assert sklearn_metrics.r2_score(target, target + 0.1) == 0.0


def test_percentiles_are_order_statistics():
    shuffled = RNG.permutation(101).astype(float)
    assert metrics.percentiles(shuffled) == {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0}


def test_components_and_magnitude_of_a_known_residual():
    target = np.zeros((4, 2))
    tails = metrics.tail_summary(np.tile([0.03, -0.04], (4, 1)), target)
    assert tails["max_mm"] == pytest.approx(0.04)
    assert tails["max_magnitude_mm"] == pytest.approx(0.05)
    assert tails["percentiles_mm"]["p50"] == pytest.approx(0.035)
    assert tails["percentiles_magnitude_mm"]["p50"] == pytest.approx(0.05)


def test_batched_equals_whole():
    windows = PREDICTION[:500].reshape(5, 100, 2), TARGET[:500].reshape(5, 100, 2)
    assert metrics.axis_summary(*windows) == metrics.axis_summary(PREDICTION[:500], TARGET[:500])
    assert metrics.tail_summary(*windows) == metrics.tail_summary(PREDICTION[:500], TARGET[:500])


def test_single_precision_is_summed_in_double():
    target = np.full((400_000, 2), 0.1, np.float32)
    assert metrics.mean_absolute_error(np.zeros_like(target), target) == pytest.approx(
        float(np.float32(0.1)), rel=1e-12
    )


numbers = arrays(np.float64, (12, 2), elements=st.floats(-1, 1, width=32))


@given(numbers, numbers, st.floats(0.1, 10))
def test_errors_scale_with_the_unit_and_do_not_see_shifts(prediction, target, unit):
    one = metrics.summary(prediction, target)
    other = metrics.summary(unit * (prediction + 3), unit * (target + 3))
    assert other["mae_mm"] == pytest.approx(unit * one["mae_mm"], abs=1e-9)
    assert other["rmse_mm"] == pytest.approx(unit * one["rmse_mm"], abs=1e-9)
    assert (
        one["mae_mm"]
        <= one["rmse_mm"] + 1e-12
        <= metrics.tail_summary(prediction, target)["max_mm"] + 2e-12
    )


def test_groups_of_samples():
    first = np.arange(501) < 200
    groups = {"first": first, "rest": ~first, "none": np.zeros(501, bool)}
    found = metrics.grouped_summary(PREDICTION, TARGET, groups)
    assert list(found) == ["first", "rest"]
    assert found["first"]["n_points"] == 200
    assert found["rest"]["mae_mm"] == metrics.mean_absolute_error(PREDICTION[200:], TARGET[200:])


@pytest.mark.parametrize(
    ("prediction", "target"),
    [
        (np.zeros((4, 2)), np.zeros((4, 1))),
        (np.zeros((4, 2)), np.zeros(2)),
        (np.zeros(0), np.zeros(0)),
    ],
)
def test_shapes_that_would_broadcast_or_are_empty_are_refused(prediction, target):
    with pytest.raises(ValueError, match=r"shape|no samples"):
        metrics.summary(prediction, target)
