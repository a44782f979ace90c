"""Long rests leave the clock, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machines import simple_limits
from trajerr.gcode.program import MoveKind
from trajerr.motion.lead_in import LONGEST_S, lead_in
from trajerr.motion.planner import Plan, plan
from trajerr.motion.rests import LONGEST_REST_S, busy_span, on_the_clock, without_long_rests
from trajerr.motion.sampling import sample

LIMITS = simple_limits((500, 500, 12, 50), (1000, 1000, 200, 5000), firmware="klipper")


@pytest.fixture(scope="module")
def paused(build):
    """Return what plans two layers of walls with a pause in the first, and a way along z."""

    def make(seconds: float, z: float = 0.2) -> Plan:
        points = [(0, 0, 0, 0), (20, 0, 0, 1), (20, 20, 0, 2), (20, 20, 0, 2), (0, 20, 0, 3)]
        points += [(0, 20, z, 3), (0, 0, z, 4), (20, 0, z, 5)]
        pause = np.zeros(7)
        pause[2] = seconds
        kind = np.array([0, 0, MoveKind.PAUSE, 0, 1, 0, 0], dtype=np.uint8)
        layer = np.array([1, 1, 1, 1, 2, 2, 2], dtype=np.int32)
        program = build(points, 40.0, pause=pause, kind=kind, layer=layer, stop=pause > 0.0)
        return plan(program, LIMITS)

    return make


@given(seconds=st.floats(0.0, LONGEST_REST_S))
def test_a_short_pause_stays(paused, seconds):
    planned = paused(seconds)
    assert without_long_rests(planned) is planned


@given(seconds=st.floats(LONGEST_REST_S, 1e6, exclude_min=True), share=st.floats(0.0, 1.0))
def test_a_long_pause_moves_as_a_short_one(paused, seconds, share):
    planned, short = paused(seconds), paused(LONGEST_REST_S)
    cut = without_long_rests(planned)
    assert cut.print_time == pytest.approx(short.print_time, abs=1e-9)
    time = np.array([share * short.print_time])
    np.testing.assert_allclose(cut.position(time), short.position(time), rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        planned.position(on_the_clock(planned, cut, time)), cut.position(time), rtol=0, atol=1e-6
    )


def test_what_is_planned_from_a_program_without_long_pauses_keeps_its_clock(paused):
    cut = without_long_rests(paused(3600.0))
    again = plan(cut.program, LIMITS)
    np.testing.assert_array_equal(again.start_time, cut.start_time)


@pytest.mark.parametrize("hours", [1.0, 1000.0])
def test_samples_do_not_grow_with_a_pause(paused, hours):
    cut = without_long_rests(paused(3600.0 * hours))
    assert len(sample(cut, 200.0)) == len(sample(paused(LONGEST_REST_S), 200.0))


@pytest.mark.parametrize("z", [400.0, 4990.0])
def test_a_long_way_along_z_is_not_busy(paused, z):
    planned = paused(0.0, z)
    begin, end = planned.layer_span(2)
    assert end - begin > z / 12.0
    start, stop = busy_span(planned, 2)
    assert stop == end
    moves = planned.start_time[planned.segments.direction[:, 1] < 0.0]  # the first in the plane
    assert start == pytest.approx(float(moves[0]) - LONGEST_REST_S)


def test_a_layer_that_moves_at_once_is_busy_from_its_beginning(paused):
    for layer in (1, 2):
        assert busy_span(paused(0.0), layer) == paused(0.0).layer_span(layer)


def test_a_lead_in_does_not_begin_with_a_long_rest(paused):
    planned = paused(0.0, 4990.0)
    begin, _ = busy_span(planned, 2)
    moves = begin + LONGEST_REST_S
    assert lead_in(planned, moves) == pytest.approx(begin)


def test_a_lead_in_ends_where_one_axis_creeps(build):
    """Y moved an hour ago, X creeps since: no lead-in of an hour."""
    points = [(0, 0, 0, 0), (0, 100, 0, 1), (36, 100, 0, 2), (36, 0, 0, 3)]
    planned = plan(build(points, [50.0, 0.01, 50.0]), LIMITS)
    begin = float(planned.start_time[2])
    assert begin > 3600.0
    assert lead_in(planned, begin) == begin - LONGEST_S
