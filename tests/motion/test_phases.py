"""Phases as a firmware runs them: ways are integrals of speeds, and are undone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trajerr.motion.phases import Phases

part = st.floats(1e-3, 10.0)
three = st.tuples(part, part, part)


def at(function, values):
    """A method of phases at values of its only segment."""
    return function(np.zeros(len(values), dtype=np.int64), np.asarray(values))


@given(time=three, way=three, rate=st.floats(0.0, 1e4))
def test_a_way_is_the_integral_of_its_speed_and_is_undone(time, way, rate):
    phases = Phases.of(np.array([time]), np.array([way]), np.array([rate]))
    ends = np.concatenate([[0.0], np.cumsum(time)])
    for i in range(3):
        # Speed is linear within a phase, so the trapezoid rule is exact.
        inside = np.linspace(ends[i], ends[i + 1], 5)[1:-1]
        speed, change = at(phases.speed_at, inside)
        assert np.all(speed >= -1e-9 * way[i] / time[i])
        assert np.all(np.sign(change) * (1, 1, -1)[i] >= 0.0)
        assert np.all(np.abs(change) <= rate)
        gone = at(phases.travelled, inside)
        area = 0.5 * (speed[1:] + speed[:-1]) * np.diff(inside)
        np.testing.assert_allclose(np.diff(gone), area, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(at(phases.reached, gone), inside, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(at(phases.travelled, ends), np.cumsum([0.0, *way]), rtol=1e-9)


def test_it_stays_at_its_ends():
    phases = Phases.of(np.array([[0.1, 0.2, 0.1]]), np.array([[1.0, 4.0, 1.0]]), np.array([100.0]))
    outside = [-1.0, 0.5]
    assert at(phases.travelled, outside).tolist() == [0.0, 6.0]
    assert at(phases.reached, [-1.0, 7.0]).tolist() == [0.0, 0.4]
    assert [values.tolist() for values in at(phases.speed_at, outside)] == [[0.0, 0.0]] * 2


def test_a_phase_that_is_too_short_for_its_rate_does_not_turn_back():
    # One step of 0.0125 mm in 10 ms: 2.5 mm/s at most, whatever the rate.
    phases = Phases.of(
        np.array([[0.0, 0.0, 0.01]]), np.array([[0.0, 0.0, 0.0125]]), np.array([5e3])
    )
    speed, rate = at(phases.speed_at, [0.0, 0.005, 0.01])
    np.testing.assert_allclose(speed, [2.5, 1.25, 0.0], atol=1e-12)
    np.testing.assert_allclose(rate, -250.0)


def test_segments_among_holds_keep_their_phases():
    own = Phases.of(np.full((2, 3), 0.1), np.array([[1.0, 2.0, 1.0]] * 2), np.full(2, 50.0))
    every = own.among(4, np.array([0, 2]))
    index, gone = np.array([0, 1, 2, 3]), np.full(4, 0.15)
    assert every.travelled(index, gone).tolist() == pytest.approx([2.0, 0.0, 2.0, 0.0])
