from dataclasses import replace

import numpy as np
import pytest

from trajerr.dataset.resample import measure_sample_rate, resample


def line(record, slope):
    path = np.outer(record.time, slope)
    return replace(record, commanded=path, actual=path[:, :2] + 0.1)


@pytest.mark.parametrize("rate", [50.0, 100.0, 200.0, 333.0, 1000.0])
def test_motion_at_constant_speed_is_exact_at_any_rate(make_record, rate):
    record = line(make_record(), [30.0, -20.0, 0.1])
    found = resample(record, rate)
    np.testing.assert_allclose(found.commanded, np.outer(found.time, [30.0, -20.0, 0.1]), atol=1e-9)
    np.testing.assert_allclose(found.error, 0.1, atol=1e-9)
    assert found.sample_rate == rate
    np.testing.assert_allclose(found.time * rate, np.round(found.time * rate), atol=1e-9)


def test_a_divisor_of_the_rate_picks_samples(make_record):
    record = make_record()
    found = resample(record, 50.0)
    np.testing.assert_allclose(found.commanded, record.commanded[::4], atol=1e-12)
    np.testing.assert_array_equal(found.feature, record.feature[::4])
    np.testing.assert_array_equal(found.extruding, record.extruding[::4])


def test_corners_do_not_overshoot(make_record):
    record = make_record()
    x = np.minimum(record.time, 0.5) * 100.0
    found = resample(replace(record, commanded=np.column_stack([x, x, 0 * x])), 1000.0)
    assert found.commanded[:, 0].max() <= 50.0 + 1e-12


def test_steps_of_two_lengths_have_no_rate():
    assert measure_sample_rate(np.cumsum([0.0, 0.001, 0.02, 0.001, 0.02])) is None


def test_all_but_still_is_still(make_record):
    record = make_record()
    x = 1e-315 * np.sin(record.time)
    found = resample(replace(record, commanded=np.column_stack([x, x, x])), 333.0)
    assert np.abs(found.commanded).max() < 1e-300


def test_error_falls_with_the_source_rate_cubed(make_record):
    """On a smooth path halving the step divides the error by about eight or more."""
    worst = []
    for rate in (50.0, 100.0, 200.0):
        record = make_record(samples=int(rate) + 1, rate=rate)
        x = np.exp(record.time)  # monotone, where the interpolant is third order
        found = resample(replace(record, commanded=np.column_stack([x, x, x])), 1100.0)
        inner = slice(60, -60)  # one-sided slopes at the ends are of second order
        worst.append(np.abs(found.commanded[inner, 0] - np.exp(found.time[inner])).max())
    assert worst[0] / worst[1] > 6.5
    assert worst[1] / worst[2] > 6.5


def test_the_grid_is_that_of_the_whole_print(make_record):
    record = make_record()
    found = resample(replace(record, time=record.time + 131.03 + 0.0013), 100.0)
    assert found.time[0] == 131.04
    assert found.time[-1] <= record.time[-1] + 131.0313


@pytest.mark.parametrize("rate", [99.0, 100.0, 200.0, 1000.0])
def test_the_rate_is_measured_through_gaps_rounding_and_repeats(rate):
    time = np.round(np.arange(2000) / rate, 5)
    time = np.insert(np.delete(time, [5, 6, 900]), 40, time[41])
    assert measure_sample_rate(time) == pytest.approx(rate, rel=1e-4)
    assert measure_sample_rate(np.zeros(5)) is None
