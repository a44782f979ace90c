"""Print times against what slicers wrote into their own files: a second source."""

import numpy as np
import pytest

from tests.machines import simple_limits
from trajerr.gcode.reader import read_program
from trajerr.motion.planner import plan

# The files set all their limits themselves; nothing of these reaches the plan.
ANY = simple_limits((100, 100, 5, 25), (100, 100, 100, 100))

# File, the slicer's estimate, and its estimate of the first layer, s.
ESTIMATES = [
    ("prusaslicer_mini_helix.gcode", 6 * 60 + 39, 15),
    ("prusaslicer_screw_arcs.gcode", 31 * 60 + 3, 60 + 48),
    ("prusaslicer_mk3s_plate.gcode", 3600 + 3 * 60 + 21, 5 * 60 + 27),
]


@pytest.fixture(scope="module", params=ESTIMATES, ids=[name for name, _, _ in ESTIMATES])
def printed(request, shared):
    name, whole, first = request.param
    return plan(read_program(shared / "data" / "gcode" / name), ANY), whole, first


def test_print_time_is_within_one_percent_of_the_slicers(printed):
    # The estimator runs its forward pass before its backward pass, which leaves speeds that
    # its accelerations cannot reach, and ends segments at the next one's safe speed; that is
    # worth 1 % of the plate.
    planned, whole, _ = printed
    assert planned.print_time == pytest.approx(whole, rel=0.01)


SIMPLIFY3D = "simplify3d_31min17s.gcode"  # names no limits; 23 min by its slicer, 31:17 on a clock


@pytest.fixture(scope="module")
def simplify3d(shared):
    return read_program(shared / "data" / "gcode" / SIMPLIFY3D)


def same_for_all(acceleration, jerk, velocity=5.0):
    return simple_limits(
        (300, 300, velocity, 5 * velocity),
        (acceleration, acceleration, acceleration / 5, 20 * acceleration),
        jerk_mm_s=(jerk, jerk, jerk / 20, jerk / 2),
        print_acceleration_mm_s2=acceleration,
        travel_acceleration_mm_s2=acceleration,
        retract_acceleration_mm_s2=6 * acceleration,
    )


def test_without_limits_the_time_is_that_of_a_slicer_that_knows_none(simplify3d):
    unlimited = plan(simplify3d, same_for_all(1e6, 1e5, velocity=1e3)).print_time
    assert unlimited == pytest.approx(23 * 60 + 30, abs=30)  # "0 hours 23 minutes"


def test_a_clock_lies_between_what_common_limits_give(simplify3d):
    slow, fast = (plan(simplify3d, same_for_all(*x)).print_time for x in ((500, 8), (1000, 10)))
    assert fast < 31 * 60 + 17 < slow


def test_first_layer_is_within_a_second_or_one_percent_of_the_slicers(printed):
    planned, _, first = printed
    assert planned.layer_span(int(planned.layers[0]))[1] == pytest.approx(first, rel=0.01, abs=1.0)


def test_real_files_keep_their_limits(printed):
    planned, _, _ = printed
    moves = planned.program.moves
    share = np.abs(planned.segments.direction)
    states = planned.program.settings
    velocity = np.array([s.max_velocity for s in states])[moves.settings[planned.move]]
    rate = np.array([s.max_acceleration for s in states])[moves.settings[planned.move]]
    assert np.all(share * planned.cruise[:, None] <= velocity * (1 + 1e-9))
    assert np.all(share * planned.acceleration[:, None] <= rate * (1 + 1e-9))


def test_real_files_conserve_their_path(printed):
    planned, _, _ = printed
    moves = planned.program.moves
    last = np.flatnonzero(np.append(np.diff(planned.move) > 0, True) & planned.segments.is_motion)
    reached = planned.position_in(last, planned.start_time[last] + planned.duration[last])
    np.testing.assert_allclose(reached, moves.end[planned.move[last]], rtol=0, atol=1e-6)
