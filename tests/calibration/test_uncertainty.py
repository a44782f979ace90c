"""Intervals hold the truth as often as they say."""

import numpy as np
from scipy.signal import lfilter

from trajerr.calibration.uncertainty import Estimate, deviations, quantile


def covers(correlation, lag, runs=400):
    """Share of runs in which the interval of a slope holds it; residuals are AR(1), uneven."""
    random = np.random.default_rng(0)
    time = np.linspace(0.0, 1.0, 500)
    table = np.column_stack([np.ones(500), time, np.sin(12.0 * time)])
    held = 0
    for _ in range(runs):
        noise = lfilter([1.0], [1.0, -correlation], random.normal(size=500)) * (0.5 + time)
        solved, *_ = np.linalg.lstsq(table, 2.0 * time + noise, rcond=None)
        spread = deviations(table, table @ solved - 2.0 * time - noise, lag)
        reach = quantile(500 / (lag + 1) - 3) * spread[1]
        held += abs(solved[1] - 2.0) <= reach
    return held / runs


def test_uncorrelated_residuals():
    assert 0.93 <= covers(0.0, 0) <= 0.97


def test_correlated_residuals_need_and_get_their_lag():
    assert covers(0.8, 0) < 0.6
    assert 0.85 <= covers(0.8, 40) <= 0.97


def test_a_parameter_without_effect_does_not_spoil_the_others():
    random = np.random.default_rng(1)
    table = random.normal(size=(200, 2))
    noise = random.normal(size=200)
    alone = deviations(table, noise, 2)
    beside = deviations(np.column_stack([table, np.zeros(200)]), noise, 2)
    np.testing.assert_allclose(beside[:2], alone, rtol=5e-3)
    assert beside[2] == 0.0


def test_spread_is_relative():
    assert Estimate(10.0, 9.0, 12.0).spread == 0.15
    assert Estimate(0.0, -1.0, 1.0).spread == np.inf
