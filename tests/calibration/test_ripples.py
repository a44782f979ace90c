"""Ripples on a wall → a frequency with what an eye and a ruler leave open."""

import math

import numpy as np
import pytest

from trajerr.calibration.ripples import Reading, Ripples
from trajerr.errors import ConfigError

READING = Reading(distance_mm=0.25, ripples=0.15)


def test_a_frequency_is_speed_times_ripples_over_distance():
    found = Ripples("x", 100.0, 10.0, 20.0).natural_frequency(0.0, READING)
    assert found.value == 50.0
    assert found.low < 50.0 < found.high


def test_what_is_seen_is_the_damped_frequency():
    found = Ripples("x", 100.0, 10.0, 20.0).natural_frequency(0.2, READING)
    assert found.value == pytest.approx(50.0 / math.sqrt(0.96))


def test_intervals_hold_in_95_of_100():
    rng, held = np.random.default_rng(0), 0
    for _ in range(400):
        natural, damping = rng.uniform(25.0, 80.0), rng.uniform(0.0, 0.2)
        wave = 60.0 / (natural * math.sqrt(1.0 - damping**2))
        ripples = rng.integers(4, 9) + rng.normal(scale=0.15)
        distance = max(round(ripples) * wave + rng.normal(scale=0.25), 0.5)
        found = Ripples("y", 60.0, ripples, distance).natural_frequency(0.1, READING)
        held += found.low <= natural <= found.high
    assert held >= 0.95 * 400


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"speed_mm_s": 60, "ripples": 6}, "ringing.x.distance_mm: got null, expected a number"),
        ({"speed_mm_s": 60, "ripples": 0.5, "distance_mm": 3}, "ripples: got 0.5, expected 1"),
        ({"speed_mm_s": 0, "ripples": 6, "distance_mm": 9}, "speed_mm_s: got 0.0, expected a"),
        ({"speed_mm_s": 60, "ripples": 6, "distance_mm": "9"}, "distance_mm: got '9', expected a"),
        ({"speed_mm_s": 60, "ripples": 6, "distance_mm": 900}, "got 0.4, expected 5 to 250 Hz"),
        ({"speed_mm_s": 60, "ripples": 6, "distance_mm": 1}, "got 360.0, expected 5 to 250 Hz"),
        ({"speed": 60}, "ringing.x.speed: got 60, expected a known key"),
        ("60 6 9", "ringing.x: got 60 6 9, expected the keys"),
        ([60, 6, 9], "expected the keys speed_mm_s, ripples, distance_mm"),
        ({"speed_mm_s": True, "ripples": 6, "distance_mm": 9}, "speed_mm_s: got true"),
    ],
)
def test_a_mistake_is_named(values, message):
    with pytest.raises(ConfigError) as caught:
        Ripples.read("x", values)
    assert message in str(caught.value)


@pytest.mark.parametrize("key", ["distance_mm", "ripples"])
@pytest.mark.parametrize("value", [0.0, -1.0, "much", None])
def test_a_reading_is_checked(key, value):
    with pytest.raises(ConfigError, match=f"reading.{key}: got"):
        Reading(**{"distance_mm": 0.25, "ripples": 0.15, key: value})
