"""Where a correction acts: one on walls, zero where lines stay, constant where the nozzle rests."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.correction.cases import Dialect, Writer, limits, small_print
from trajerr.correction.blocks import move_times
from trajerr.correction.regions import SHORTEST_FADE, Role, find_region, roles
from trajerr.gcode.program import WALLS
from trajerr.motion.planner import plan


def prepared(program, layers=(1, 2), fade=0.08):
    nominal = plan(program, limits())
    role = roles(program.moves, WALLS, layers)
    start, end = move_times(nominal)
    return nominal, role, start, end, find_region(start, end, role, fade)


def test_full_on_walls_beside_travels_and_zero_on_infill():
    program = small_print()
    nominal, role, _start, _end, region = prepared(program)
    time = np.arange(0.0, nominal.print_time, 1e-3)
    move = nominal.move[nominal.segment_at(time)]
    weight = region.weight(time)
    assert np.all(weight[role[move] == Role.FIXED] == 0.0)
    # Every wall here begins and ends with a retraction and a travel long enough to fade in.
    np.testing.assert_allclose(weight[role[move] == Role.CORRECTED], 1.0)
    inside = (role[move] == Role.FREE) & (weight > 0.0) & (weight < 1.0)
    assert inside.any()


def test_weight_is_continuous_and_fades_within_the_fade_time():
    program = small_print()
    nominal, _role, _start, _end, region = prepared(program)
    time = np.arange(0.0, nominal.print_time, 1e-4)
    step = np.abs(np.diff(region.weight(time)))
    assert step.max() <= 1.5 * 1e-4 / SHORTEST_FADE * 1.01  # the slope of 3r² − 2r³ is at most 1.5


def test_a_wall_that_infill_touches_fades_inside_the_wall():
    w = Writer(Dialect())
    w.say(";LAYER_CHANGE")
    w.move(z=0.2, feed=10)
    w.path([(30, 30), (60, 30)], 50.0, "Perimeter")
    w.say(";TYPE:Internal infill")
    w.move(60, 60, e=1.0)
    program = w.program()
    _nominal, role, start, _end, region = prepared(program, layers=(1,))
    meet = start[np.flatnonzero(role == Role.FIXED)[-1]]
    assert region.weight(np.array([meet]))[0] == 0.0
    assert region.weight(np.array([meet - SHORTEST_FADE]))[0] == pytest.approx(1.0)


def test_layers_that_are_not_chosen_stay():
    program = small_print(layers=3)
    _, role, _, _, _ = prepared(program, layers=(2,))
    others = program.moves.layer != 2
    assert np.all(role[others] == Role.FIXED)


def test_a_shifted_planar_zero_stops_a_correction():
    w = Writer(Dialect())
    w.say(";LAYER_CHANGE")
    w.move(z=0.2, feed=10)
    w.path([(30, 30), (60, 30)], 50.0, "Perimeter")
    w.say("G92 X0 Y0")
    w.at[:2] = 0.0
    w.move(0, 30, e=1.0)
    program = w.program()
    role = roles(program.moves, WALLS, (1,))
    assert role[-1] == Role.FIXED or role[-2] == Role.FIXED


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_settled_correction_is_constant_in_holds_and_zero_outside(seed):
    rng = np.random.default_rng(seed)
    program = small_print()
    nominal, role, start, end, region = prepared(program)
    time = np.arange(0.0, nominal.print_time, 1 / 200)
    rough = np.cumsum(rng.normal(size=(len(time), 2)), axis=0) * 0.01
    correction = rough * region.weight(time)[:, None]
    region.settle(correction, time)
    offset = region.offset(correction, time)
    for hold in region.holds:
        inside = np.linspace(hold.start, hold.end, 7)
        np.testing.assert_allclose(np.ptp(offset(inside), axis=0), 0.0, atol=1e-12)
    fixed = np.flatnonzero((role == Role.FIXED) & (end > start))
    middle = 0.5 * (start + end)[fixed]
    np.testing.assert_allclose(offset(middle), 0.0, atol=1e-12)
