"""Closed forms of one segment: textbook kinematics is the second source."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trajerr.motion.profile import peak_v2, speed_at, trapezoid_time, travelled

positive = st.floats(0.1, 500.0)


def row(*values):
    return [np.array([float(value)]) for value in values]


def test_trapezoid_takes_distance_over_speed_plus_ramp():
    # From rest to rest: t = d/v + v/a, as long as d ≥ v²/a.
    distance, speed, rate = 100.0, 50.0, 1000.0
    took = trapezoid_time(*row(distance, 0, speed, 0, rate))
    assert took[0] == pytest.approx(distance / speed + speed / rate, rel=1e-14)


def test_triangle_takes_twice_the_root_of_distance_over_acceleration():
    distance, rate = 1.0, 1000.0
    peak = np.sqrt(peak_v2(*row(0, 0, 2 * rate * distance, 500)))
    assert peak[0] == pytest.approx(np.sqrt(rate * distance), rel=1e-14)
    took = trapezoid_time(*row(distance, 0), peak, *row(0, rate))
    assert took[0] == pytest.approx(2.0 * np.sqrt(distance / rate), rel=1e-14)


@given(distance=positive, nominal=positive, rate=st.floats(10.0, 5000.0), first=st.floats(0, 1))
def test_profile_is_the_integral_of_its_speed(distance, nominal, rate, first):
    entry = first * nominal
    exits = np.sqrt(max(0.0, entry**2 - rate * distance))
    d, v0, v1, a = row(distance, entry, exits, rate)
    vc = np.sqrt(peak_v2(v0**2, v1**2, 2 * a * d, np.array([nominal])))
    duration = trapezoid_time(d, v0, vc, v1, a)
    knots = np.array([0.0, (vc[0] - entry) / rate, duration[0] - (vc[0] - exits) / rate])
    knots = np.append(knots, duration[0])
    # Speed is linear between the knots, so the trapezoid rule is exact.
    speed, _ = speed_at(knots, duration, v0, vc, v1, a)
    area = np.concatenate([[0.0], np.cumsum(0.5 * (speed[1:] + speed[:-1]) * np.diff(knots))])
    # The knots are known to rounding of the duration, so the speed there is off by a·ε·t.
    off = 1e-9 + 1e-15 * rate * duration[0] ** 2
    np.testing.assert_allclose(travelled(knots, d, duration, v0, vc, v1, a), area, atol=off)
    assert area[-1] == pytest.approx(distance, abs=off)


@given(part=st.floats(0.0, 1.0))
def test_a_hold_stays_at_rest(part):
    zero = np.zeros(1)
    gone = travelled(np.array([2.0 * part]), zero, np.array([2.0]), zero, zero, zero, zero)
    speed, rate = speed_at(np.array([2.0 * part]), np.array([2.0]), zero, zero, zero, zero)
    assert gone[0] == speed[0] == rate[0] == 0.0
