"""Properties that every plan must have, whatever the program and the firmware."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.machines import simple_limits
from trajerr.errors import ConfigError, GcodeError
from trajerr.gcode.program import LimitSettings, MoveKind
from trajerr.motion.limits import FIRMWARES
from trajerr.motion.planner import plan

LIMITS = simple_limits(
    max_velocity_mm_s=(120.0, 100.0, 12.0, 40.0),
    max_acceleration_mm_s2=(900.0, 700.0, 200.0, 3000.0),
    jerk_mm_s=(8.0, 6.0, 0.4, 4.5),
    print_acceleration_mm_s2=800.0,
    travel_acceleration_mm_s2=1200.0,
    retract_acceleration_mm_s2=1000.0,
)
SYMMETRIC = replace(
    LIMITS,
    max_velocity_mm_s=(110.0, 110.0, 12.0, 40.0),
    max_acceleration_mm_s2=(900.0, 900.0, 200.0, 3000.0),
    jerk_mm_s=(8.0, 8.0, 0.4, 4.5),
)

step = st.sampled_from([-20.0, -1.0, -0.1, 0.0, 0.0, 0.05, 0.3, 2.0, 15.0])
lift = st.sampled_from([0.0, 0.0, 0.0, 0.0, 0.2, -0.4])
filament = st.sampled_from([0.0, 0.02, 0.05, 0.5, -0.8, 0.8])
moves_strategy = st.lists(
    st.tuples(step, step, lift, filament, st.sampled_from([3.0, 20.0, 60.0, 200.0])),
    min_size=1,
    max_size=30,
).filter(lambda rows: any(any(row[:4]) for row in rows))
firmwares = st.sampled_from(FIRMWARES)
windows = st.sampled_from([None, 1, 2, 16])


def program_of(build, rows, **columns):
    change = np.array(rows)
    points = np.vstack([np.zeros(4), np.cumsum(change[:, :4], axis=0)])
    return build(points, change[:, 4], **columns)


def end_velocities(planned):
    direction = planned.segments.direction
    return direction * planned.entry[:, None], direction * planned.exit[:, None]


@given(rows=moves_strategy, firmware=firmwares, window=windows)
@settings(deadline=None)
def test_no_limit_is_exceeded(build, rows, firmware, window):
    limits = replace(LIMITS, firmware=firmware, lookahead_blocks=window)
    planned = plan(program_of(build, rows), limits)
    share = np.abs(planned.segments.direction)
    assert np.all(share * planned.cruise[:, None] <= np.array(limits.max_velocity_mm_s) + 1e-9)
    rates = share * planned.acceleration[:, None]
    assert np.all(rates <= np.array(limits.max_acceleration_mm_s2) + 1e-9)
    feedrate = planned.program.moves.feedrate[planned.move]
    assert np.all(planned.cruise <= feedrate + 1e-9)
    assert np.all(planned.cruise + 1e-9 >= np.maximum(planned.entry, planned.exit))


@given(rows=moves_strategy, firmware=firmwares, window=windows)
@settings(deadline=None)
def test_segments_keep_their_distance_and_ramps(build, rows, firmware, window):
    limits = replace(LIMITS, firmware=firmware, lookahead_blocks=window)
    planned = plan(program_of(build, rows), limits)
    v0, vc, v1, a = planned.entry, planned.cruise, planned.exit, planned.acceleration
    on_ramps = (2 * vc**2 - v0**2 - v1**2) / (2 * a)
    level = planned.duration - (2 * vc - v0 - v1) / a
    np.testing.assert_allclose(on_ramps + level * vc, planned.segments.distance, atol=1e-9)


@given(rows=moves_strategy, window=windows)
@settings(deadline=None)
def test_classic_jerk_bounds_each_axis_at_each_junction(build, rows, window):
    planned = plan(program_of(build, rows), replace(LIMITS, lookahead_blocks=window))
    entering, leaving = end_velocities(planned)
    rest = np.zeros((1, 4))
    before, after = np.vstack([rest, leaving]), np.vstack([entering, rest])
    reverses = before * after <= 0
    jump = np.where(reverses, np.maximum(abs(before), abs(after)), abs(after - before))
    assert np.all(jump <= np.array(LIMITS.jerk_mm_s) * (1 + 1e-9))


@given(rows=moves_strategy, window=windows)
@settings(deadline=None)
@pytest.mark.parametrize("firmware", ["klipper", "marlin_junction_deviation"])
def test_speed_along_the_path_is_continuous(build, rows, firmware, window):
    limits = replace(LIMITS, firmware=firmware, lookahead_blocks=window)
    planned = plan(program_of(build, rows), limits)
    np.testing.assert_allclose(planned.entry[1:], planned.exit[:-1], atol=1e-7)
    assert planned.entry[0] == planned.exit[-1] == 0.0


@given(rows=moves_strategy, firmware=firmwares)
@settings(deadline=None)
def test_positions_pass_through_every_vertex(build, rows, firmware):
    program = program_of(build, rows)
    planned = plan(program, replace(LIMITS, firmware=firmware))
    end = planned.position(planned.start_time + planned.duration)
    vertices = program.moves.end[planned.move]
    np.testing.assert_allclose(end, vertices, rtol=0, atol=1e-6)
    assert np.abs(planned.position(planned.start_time) - planned.segments.start).max() <= 1e-6
    inside = planned.position_in(np.arange(len(planned)), planned.start_time + planned.duration)
    assert np.abs(inside - vertices).max() <= 1e-6


@given(rows=moves_strategy, firmware=firmwares)
@settings(deadline=None)
def test_velocity_is_the_derivative_of_position(build, rows, firmware):
    planned = plan(program_of(build, rows), replace(LIMITS, firmware=firmware))
    tick = 1e-6
    time = planned.start_time + 0.37 * planned.duration
    inside = planned.duration > 10 * tick
    slope = (planned.position(time + tick) - planned.position(time - tick)) / (2 * tick)
    np.testing.assert_allclose(planned.velocity(time)[inside], slope[inside], atol=2e-3)
    bend = (planned.velocity(time + tick) - planned.velocity(time - tick)) / (2 * tick)
    ramps = np.stack([planned.cruise - planned.entry, planned.cruise - planned.exit])
    kinks = ramps / planned.acceleration * [[1], [-1]] + [[0], [1]] * planned.duration
    smooth = inside & (np.abs(kinks - 0.37 * planned.duration).min(axis=0) > 10 * tick)
    np.testing.assert_allclose(planned.acceleration_at(time)[smooth], bend[smooth], atol=0.5)


@given(rows=moves_strategy, firmware=firmwares)
@settings(deadline=None)
def test_distance_and_extrusion_are_conserved(build, rows, firmware):
    program = program_of(build, rows)
    planned = plan(program, replace(LIMITS, firmware=firmware))
    change = program.moves.end - program.moves.start
    head = np.linalg.norm(change[:, :3], axis=1)
    moved = planned.segments.direction * planned.segments.distance[:, None]
    assert np.linalg.norm(moved[:, :3], axis=1).sum() == pytest.approx(head.sum(), abs=1e-9)
    np.testing.assert_allclose(moved.sum(axis=0), change.sum(axis=0), atol=1e-9)


def mirrored(points):
    return points * [-1, 1, 1, 1]


def swapped(points):
    return points[:, [1, 0, 2, 3]]


def turned(points):
    return mirrored(swapped(points))


def shifted(points):
    return points + np.array([64.0, -32.0, 0.0, 0.0])


@given(rows=moves_strategy, firmware=firmwares, window=windows)
@settings(deadline=None)
@pytest.mark.parametrize("transform", [mirrored, swapped, turned, shifted])
def test_symmetries_of_the_machine_commute_with_planning(build, rows, transform, firmware, window):
    limits = replace(SYMMETRIC, firmware=firmware, lookahead_blocks=window)
    change = np.array(rows)
    points = np.vstack([np.zeros(4), np.cumsum(change[:, :4], axis=0)])
    plain = plan(build(points, change[:, 4]), limits)
    moved = plan(build(transform(points), change[:, 4]), limits)
    np.testing.assert_allclose(moved.duration, plain.duration, rtol=1e-6, atol=1e-9)
    time = np.linspace(0.0, plain.print_time, 50)
    np.testing.assert_allclose(moved.position(time), transform(plain.position(time)), atol=1e-5)


def test_speed_is_carried_through_collinear_vertices(build):
    points = [[x, 0, 0, 0.03 * x] for x in range(0, 101, 5)]
    whole = plan(build([points[0], points[-1]], 50.0), LIMITS)
    split = plan(build(points, 50.0), LIMITS)
    assert split.print_time == pytest.approx(whole.print_time, rel=1e-9)


def test_time_of_one_move_from_jerk_to_jerk(build):
    # Starts and stops at the jerk of X: t = d/v + (v − j)²/(a·v).
    planned = plan(build([[0, 0, 0, 0], [50, 0, 0, 1.5]], 60.0), LIMITS)
    expected = 50.0 / 60.0 + (60.0 - 8.0) ** 2 / (800.0 * 60.0)
    assert planned.print_time == pytest.approx(expected, rel=1e-12)


def test_kinds_of_move_have_their_own_acceleration(build):
    points = [[0, 0, 0, 0], [50, 0, 0, 2], [50, 0, 0, 1], [0, 0, 0, 1], [0, 50, 0, 1]]
    planned = plan(build(points, 30.0), LIMITS)
    assert planned.acceleration == pytest.approx([800.0, 1000.0, 900.0, 700.0])


def test_axes_reduce_acceleration_and_speed_by_direction(build):
    planned = plan(build([[0, 0, 0, 0], [30, 40, 0, 0]], 500.0), LIMITS)
    assert planned.acceleration[0] == pytest.approx(700.0 / 0.8)
    assert planned.cruise[0] <= 100.0 / 0.8 + 1e-9


def test_the_file_overrides_the_machine(build):
    states = (
        LimitSettings(),
        LimitSettings(print_acceleration=100.0, max_velocity=(None, None, None, 10.0)),
    )
    points = [[0, 0, 0, 0], [50, 0, 0, 2], [100, 0, 0, 4]]
    planned = plan(build(points, 30.0, settings=[0, 1], settings_states=states), LIMITS)
    assert planned.acceleration == pytest.approx([800.0, 100.0])


def test_scales_apply_after_the_files_limits(build):
    states = (LimitSettings(print_acceleration=200.0),)
    program = build([[0, 0, 0, 0], [50, 0, 0, 2]], 30.0, settings_states=states)
    planned = plan(program, LIMITS, acceleration_scale=2.0, speed_scale=1.5)
    assert planned.acceleration[0] == pytest.approx(400.0)
    assert planned.cruise[0] == pytest.approx(45.0)
    # The axis' limit scales too; its maximal velocity does not.
    fast = plan(program, LIMITS, acceleration_scale=10.0, speed_scale=100.0)
    assert fast.acceleration[0] == pytest.approx(2000.0)
    assert np.abs(fast.segments.direction * fast.cruise[:, None])[0, 0] <= 120.0


def test_stops_and_pauses(build):
    points = [[0, 0, 0, 0], [20, 0, 0, 1], [20, 0, 0, 1], [40, 0, 0, 2], [60, 0, 0, 3]]
    kind = [MoveKind.PRINT, MoveKind.PAUSE, MoveKind.PRINT, MoveKind.PRINT]
    pause, stop = [0, 1.5, 0, 0], [False, True, True, False]
    program = build(points, [50.0, 0.0, 50.0, 50.0], kind=kind, pause=pause, stop=stop)
    planned = plan(program, LIMITS)
    assert planned.duration[1] == 1.5
    assert planned.exit[0] == planned.entry[2] == pytest.approx(8.0)  # rest, by the jerk
    assert planned.exit[2] > 40.0
    waiting = planned.start_time[1] + np.array([0.1, 1.4])
    assert np.all(planned.velocity(waiting) == 0.0)
    assert np.all(planned.position(waiting) == [20, 0, 0, 1])


def test_time_begins_with_the_first_motion(build):
    points = [[0, 0, 0, 0], [0, 0, 0, 0], [20, 0, 0, 1]]
    kind = [MoveKind.PAUSE, MoveKind.PRINT]
    planned = plan(build(points, 50.0, kind=kind, pause=[30.0, 0.0]), LIMITS)
    assert planned.move.tolist() == [1]
    assert planned.print_time < 1.0


@pytest.mark.parametrize("firmware", FIRMWARES)
def test_a_pause_is_rest_under_every_firmware(build, firmware):
    points = [[0, 0, 0, 0], [20, 0, 0, 1], [20, 0, 0, 1], [40, 0, 0, 2]]
    kind = [MoveKind.PRINT, MoveKind.PAUSE, MoveKind.PRINT]
    program = build(points, [50.0, np.nan, 50.0], kind=kind, pause=[0, 2.0, 0])
    planned = plan(program, replace(LIMITS, firmware=firmware))
    assert planned.duration[1] == 2.0
    assert np.all(planned.velocity(planned.start_time[[1]] + 1.0) == 0.0)
    assert planned.exit[0] == planned.entry[2] <= 8.0


def test_a_stop_without_time_or_length_still_stops(build):
    points = [[0, 0, 0, 0], [20, 0, 0, 1], [20, 0, 0, 1], [40, 0, 0, 2]]
    kind = [MoveKind.PRINT, MoveKind.PAUSE, MoveKind.PRINT]
    planned = plan(build(points, 50.0, kind=kind, stop=[False, True, False]), LIMITS)
    assert len(planned) == 2
    assert planned.exit[0] == pytest.approx(8.0)


def test_moves_without_length_vanish(build):
    points = [[0, 0, 0, 0], [20, 0, 0, 1], [20, 0, 0, 1], [40, 0, 0, 2]]
    kind = [MoveKind.PRINT, MoveKind.TRAVEL, MoveKind.PRINT]
    planned = plan(build(points, 50.0, kind=kind), LIMITS)
    assert planned.move.tolist() == [0, 2]
    assert planned.exit[0] == pytest.approx(50.0)


def test_layer_span_begins_where_the_layer_before_ends(build):
    points = [[0, 0, 0, 0], [20, 0, 0, 1], [20, 0, 1, 1], [40, 0, 1, 2]]
    planned = plan(build(points, 50.0, layer=[1, 2, 2]), LIMITS)
    assert planned.layers.tolist() == [1, 2]
    assert planned.layer_span(1) == (0.0, planned.duration[0])
    assert planned.layer_span(2) == (planned.duration[0], planned.print_time)
    with pytest.raises(GcodeError, match=r"built\.gcode: layer 9 does not exist.*1 to 2"):
        planned.layer_span(9)


def test_unusable_programs_are_named(build):
    with pytest.raises(GcodeError, match="no motion"):
        plan(build([[0, 0, 0, 0], [0, 0, 0, 0]]), LIMITS)
    with pytest.raises(GcodeError, match=r"built\.gcode:2: feedrate is 0 "):
        plan(build([[0, 0, 0, 0], [1, 0, 0, 0], [2, 0, 0, 0]], [10.0, 0.0]), LIMITS)
    with pytest.raises(ConfigError, match="acceleration_scale"):
        plan(build([[0, 0, 0, 0], [1, 0, 0, 0]]), LIMITS, acceleration_scale=0.0)
