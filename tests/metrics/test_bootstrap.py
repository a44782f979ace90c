import numpy as np
import pytest

from trajerr.metrics import bootstrap
from trajerr.metrics import errors as metrics

RNG = np.random.default_rng(3)
CLUSTER = np.repeat(np.arange(8), RNG.integers(30, 90, 8))
TARGET = RNG.normal(0.05, 0.1, (len(CLUSTER), 2))
PREDICTION = TARGET + RNG.normal(0, 0.01, TARGET.shape) * (1 + CLUSTER[:, None])


def drawn(draw: np.ndarray) -> np.ndarray:
    return np.concatenate([np.flatnonzero(c == CLUSTER) for c in draw])


def test_sums_hold_all_that_the_measures_need():
    sums = bootstrap.cluster_sums(PREDICTION, TARGET, CLUSTER)
    whole = metrics.summary(PREDICTION, TARGET)
    assert sums.measures(np.ones(8)) == pytest.approx(whole, rel=1e-12)


def test_a_resample_equals_the_measures_of_the_samples_drawn():
    sums = bootstrap.cluster_sums(PREDICTION, TARGET, CLUSTER)
    draw = np.array([0, 3, 3, 7, 1, 1, 1, 5])
    weights = np.bincount(draw, minlength=8).astype(float)
    rows = drawn(draw)
    expected = metrics.summary(PREDICTION[rows], TARGET[rows])
    assert sums.measures(weights) == pytest.approx(expected, rel=1e-10)


def test_intervals_equal_a_plain_bootstrap():
    sums = bootstrap.cluster_sums(PREDICTION, TARGET, CLUSTER)
    ours = bootstrap.intervals(sums, resamples=60, seed=4)
    draws = np.random.default_rng(4).integers(8, size=(60, 8))
    plain = [metrics.summary(PREDICTION[drawn(d)], TARGET[drawn(d)]) for d in draws]
    for name, (low, high) in ours.items():
        expected = np.percentile([p[name] for p in plain], [2.5, 97.5])
        assert (low, high) == pytest.approx(tuple(expected), rel=1e-9)


def test_intervals_hold_the_truth_as_often_as_they_say():
    hits = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        cluster = np.repeat(np.arange(25), 4)
        wrong = rng.normal(0, 1, (25, 1))[cluster] * [1.0, 1.0]
        sums = bootstrap.cluster_sums(np.abs(wrong), np.zeros_like(wrong), cluster)
        low, high = bootstrap.intervals(sums, resamples=200, seed=seed)["mae_mm"]
        hits += low < np.sqrt(2 / np.pi) < high
    assert 0.86 <= hits / 120 <= 0.99  # 95 % nominal; percentile intervals of 25 run a little short


def test_paired_differences_are_tighter_than_single_ones():
    first = bootstrap.cluster_sums(PREDICTION, TARGET, CLUSTER)
    second = bootstrap.cluster_sums(PREDICTION + 0.001, TARGET, CLUSTER)
    low, high = bootstrap.paired_intervals(first, second)["mae_mm"]
    alone = bootstrap.intervals(second)["mae_mm"]
    assert high - low < 0.1 * (alone[1] - alone[0])
    fewer = bootstrap.cluster_sums(PREDICTION[:50], TARGET[:50], CLUSTER[:50])
    with pytest.raises(ValueError, match="same layers"):
        bootstrap.paired_intervals(first, fewer)
