import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trajerr.gcode.program import FeatureType
from trajerr.metrics import strata

RATE = 200.0


def test_feature_types_cover_every_sample_once():
    feature = np.array([1, 2, 3, 4, 5, 6, 7, 9, 1, 2], np.uint8)
    extruding = np.array([1, 1, 1, 1, 1, 1, 1, 1, 0, 0], bool)
    travel = np.array([0, 0, 0, 0, 0, 0, 0, 0, 1, 0], bool)
    groups = strata.by_feature_type(feature, extruding, travel)
    assert np.sum(list(groups.values()), axis=0).tolist() == [1] * 10
    assert groups["walls"].tolist() == [True] * 3 + [False] * 7
    assert groups["infill"].nonzero()[0].tolist() == [3, 4, 5]
    assert groups["travel"].nonzero()[0].tolist() == [8]
    assert FeatureType.BRIDGE == 7
    assert groups["other"][6]


@given(st.lists(st.floats(0, 500), min_size=1, max_size=40))
def test_bins_hold_each_value_once(values):
    groups = strata.by_bins(np.array(values), (0, 20, 50, 100), "mm/s")
    assert np.sum(list(groups.values()), axis=0).tolist() == [1] * len(values)
    assert list(groups) == ["0–20 mm/s", "20–50 mm/s", "50–100 mm/s", "≥ 100 mm/s"]


@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0, 135.0, 180.0])
def test_a_corner_turns_by_its_angle_for_the_lookback(degrees):
    angle = np.radians(degrees)
    before, after = np.array([1.0, 0.0]), np.array([np.cos(angle), np.sin(angle)])
    velocity = 40.0 * np.concatenate([np.tile(before, (100, 1)), np.tile(after, (100, 1))])
    turning = strata.turning_angle(velocity, RATE, lookback=0.1)
    np.testing.assert_allclose(turning[:100], 0.0, atol=1e-4)
    np.testing.assert_allclose(turning[100:120], degrees, atol=1e-4)
    np.testing.assert_allclose(turning[120:], 0.0, atol=1e-4)


def test_a_circle_turns_by_its_rate_times_the_lookback():
    phase = np.arange(400) / RATE * 3.0  # rad, 3 rad/s
    velocity = np.column_stack([np.cos(phase), np.sin(phase)])
    turning = strata.turning_angle(velocity, RATE, lookback=0.1)
    np.testing.assert_allclose(turning[20:], np.degrees(0.3), atol=1e-6)


def test_rest_keeps_the_last_direction_and_a_start_turns_nowhere():
    velocity = np.zeros((60, 2))
    velocity[10:20] = [30.0, 0.0]
    velocity[30:] = [0.0, 30.0]
    turning = strata.turning_angle(velocity, RATE, lookback=0.1)
    np.testing.assert_allclose(turning[:30], 0.0, atol=1e-5)
    np.testing.assert_allclose(turning[30:50], 90.0, atol=1e-4)
