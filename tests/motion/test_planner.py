"""Properties that every plan must have, whatever the program and the firmware."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.machines import simple_limits
from trajerr.errors import ConfigError, GcodeError
from trajerr.gcode.firmware import is_klipper
from trajerr.gcode.program import LimitSettings, MoveKind
from trajerr.gcode.reader import parse_program
from trajerr.motion.limits import FIRMWARES
from trajerr.motion.planner import plan

LIMITS = simple_limits(
    max_velocity_mm_s=(120.0, 100.0, 12.0, 40.0),
    max_acceleration_mm_s2=(900.0, 700.0, 200.0, 3000.0),
    jerk_mm_s=(8.0, 6.0, 0.4, 4.5),
    print_acceleration_mm_s2=800.0,
    travel_acceleration_mm_s2=1200.0,
    retract_acceleration_mm_s2=1000.0,
    firmware="marlin",
)
STEPS = np.array(LIMITS.steps_per_mm)
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
).filter(lambda rows: any(max(map(abs, row[:4])) >= 0.3 for row in rows))
firmwares = st.sampled_from(FIRMWARES)
windows = st.sampled_from([None, 1, 2, 16])


def program_of(build, rows, **columns):
    change = np.array(rows)
    points = np.vstack([np.zeros(4), np.cumsum(change[:, :4], axis=0)])
    return build(points, change[:, 4], **columns)


def one_step(planned):
    """(S,) mm of path that one step of the axis with most of them is; 0 without rounding."""
    if is_klipper(planned.limits.firmware):
        return np.zeros(len(planned))
    travel = np.abs(planned.segments.direction) * planned.segments.distance[:, None]
    return planned.segments.distance / np.max(travel * STEPS, axis=1)


def end_velocities(planned):
    direction = planned.segments.direction
    return direction * planned.entry[:, None], direction * planned.exit[:, None]


@given(rows=moves_strategy, firmware=firmwares, window=windows)
@settings(deadline=None)
def test_no_limit_is_exceeded(build, rows, firmware, window):
    limits = replace(LIMITS, firmware=firmware, lookahead_blocks=window)
    planned = plan(program_of(build, rows), limits)
    share, step = np.abs(planned.segments.direction), one_step(planned)
    # Marlin's speeds are whole steps a second, at least 31 or 120.
    speed = np.maximum(planned.cruise - step * 1.01, 0.0)
    most = np.broadcast_to(limits.max_velocity_mm_s, share.shape).copy()
    if is_klipper(firmware):  # it limits no extruder that prints
        most[share[:, :2].any(axis=1) & (planned.segments.direction[:, 3] > 0.0), 3] = np.inf
    assert np.all(share * speed[:, None] <= most * (1 + 1e-6))
    # It makes up for their rounding by its acceleration, and limits none of a lone extruder.
    slack = 4.0 * planned.cruise * step / planned.segments.distance + 2.0 * step
    heads = (step == 0.0) | np.any(share[:, :3] > 0.0, axis=1)
    rates = share * (planned.acceleration - slack)[:, None]
    rates[np.isinf(most)] = 0.0
    assert np.all(rates[heads] <= np.array(limits.max_acceleration_mm_s2) * (1 + 1e-6))
    feedrate = planned.program.moves.feedrate[planned.move]
    assert np.all(speed <= feedrate * (1 + 1e-6))
    assert np.all(planned.cruise + 1e-9 >= np.maximum(planned.entry, planned.exit))


@given(rows=moves_strategy, firmware=firmwares, window=windows)
@settings(deadline=None)
def test_segments_keep_their_distance_and_ramps(build, rows, firmware, window):
    limits = replace(LIMITS, firmware=firmware, lookahead_blocks=window)
    planned = plan(program_of(build, rows), limits)
    v0, vc, v1, a = planned.entry, planned.cruise, planned.exit, planned.acceleration
    on_ramps = (2 * vc**2 - v0**2 - v1**2) / (2 * a)
    distance, phases = planned.segments.distance, planned.phases
    if phases is None:
        level = planned.duration - (2 * vc - v0 - v1) / a
        np.testing.assert_allclose(on_ramps + level * vc, distance, atol=1e-9)
    else:
        assert np.all(on_ramps <= distance * (1 + 1e-6))
        np.testing.assert_allclose(phases.way.sum(axis=1), distance, atol=1e-6)
        np.testing.assert_allclose(phases.time.sum(axis=1), planned.duration, atol=1e-9)


@given(rows=moves_strategy, window=windows)
@settings(deadline=None)
def test_classic_jerk_bounds_each_axis_at_each_junction(build, rows, window):
    planned = plan(program_of(build, rows), replace(LIMITS, lookahead_blocks=window))
    entering, leaving = end_velocities(planned)
    rest = np.zeros((1, 4))
    before, after = np.vstack([rest, leaving]), np.vstack([entering, rest])
    step = one_step(planned)
    # "High acceleration limits override low jerk": no block begins or ends slower than this.
    slowest = np.sqrt(0.5 * planned.acceleration * step) + 32.0 * step
    slowest = np.maximum(np.append(slowest, 0.0), np.append(0.0, slowest))[:, None]
    share = np.abs(planned.segments.direction)
    slack = slowest * (np.vstack([rest, share]) + np.vstack([share, rest]))
    assert np.all(np.abs(after - before) <= np.array(LIMITS.jerk_mm_s) * (1 + 1e-6) + slack)


@given(rows=moves_strategy, window=windows)
@settings(deadline=None)
@pytest.mark.parametrize("firmware", ["klipper", "marlin_junction_deviation"])
def test_speed_along_the_path_is_continuous(build, rows, firmware, window):
    limits = replace(LIMITS, firmware=firmware, lookahead_blocks=window)
    planned = plan(program_of(build, rows), limits)
    # 2.1.2 takes no block slower than 120 steps/s, and rounds up to whole ones.
    slack = 1e-7 + 121.0 * one_step(planned)
    change = np.abs(planned.entry[1:] - planned.exit[:-1])
    assert np.all(change <= np.maximum(slack[1:], slack[:-1]))
    assert max(planned.entry[0] - slack[0], planned.exit[-1] - slack[-1]) <= 0.0


@given(rows=moves_strategy, firmware=firmwares)
@settings(deadline=None)
def test_positions_pass_through_every_vertex(build, rows, firmware):
    program = program_of(build, rows)
    planned = plan(program, replace(LIMITS, firmware=firmware))
    end = planned.position(planned.start_time + planned.duration)
    vertices = program.moves.end[planned.move]
    near = 1e-6 if is_klipper(firmware) else 0.5 / STEPS + 1e-5  # to a half step
    # A later segment may begin with the extruder half a step elsewhere.
    assert np.all(np.abs(end - vertices) <= near)
    assert np.all(np.abs(planned.position(planned.start_time) - planned.segments.start) <= near)
    inside = planned.position_in(np.arange(len(planned)), planned.start_time + planned.duration)
    assert np.all(np.abs(inside - vertices) <= near)


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
    if planned.phases is None:
        ramps = np.stack([planned.cruise - planned.entry, planned.cruise - planned.exit])
        kinks = ramps / planned.acceleration * [[1], [-1]] + [[0], [1]] * planned.duration
    else:
        kinks = np.cumsum(planned.phases.time[:, :2], axis=1).T
    smooth = inside & (np.abs(kinks - 0.37 * planned.duration).min(axis=0) > 10 * tick)
    np.testing.assert_allclose(planned.acceleration_at(time)[smooth], bend[smooth], atol=0.5)


@given(rows=moves_strategy)
@settings(deadline=None)
def test_distance_and_extrusion_are_conserved(build, rows):
    program = program_of(build, rows)
    planned = plan(program, replace(LIMITS, firmware="klipper"))
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
    if not is_klipper(firmware):
        # In another order of sums a rate may round to one step a second more.
        assert moved.move.tolist() == plain.move.tolist()
        np.testing.assert_allclose(moved.duration, plain.duration, rtol=0.02, atol=1e-3)
        return
    np.testing.assert_allclose(moved.duration, plain.duration, rtol=1e-6, atol=1e-9)
    time = np.linspace(0.0, plain.print_time, 50)
    np.testing.assert_allclose(moved.position(time), transform(plain.position(time)), atol=1e-5)


def test_speed_is_carried_through_collinear_vertices(build):
    points = [[x, 0, 0, 0.03 * x] for x in range(0, 101, 5)]
    whole = plan(build([points[0], points[-1]], 50.0), LIMITS)
    split = plan(build(points, 50.0), LIMITS)
    # The extruder's whole steps are no exact multiple: its jump is limited, too.
    assert split.print_time == pytest.approx(whole.print_time, rel=0.01)
    split, whole = (plan(x.program, replace(LIMITS, firmware="klipper")) for x in (split, whole))
    assert split.print_time == pytest.approx(whole.print_time, rel=1e-9)


def test_time_of_one_move_from_rest_to_rest(build):
    # t = d/v + (v − s)²/(a·v): where the queue has run empty Marlin begins and ends at the mean
    # speed of a first step from rest, s² = a·step/2, whatever the jerk; its ticks take 0.3 % off.
    planned = plan(build([[0, 0, 0, 0], [50, 0, 0, 1.5]], 60.0), LIMITS)
    slow = np.sqrt(0.5 * 800.0 / 80.0)
    expected = 50.0 / 60.0 + (60.0 - slow) ** 2 / (800.0 * 60.0)
    assert planned.print_time == pytest.approx(expected / 1.003, rel=1e-3)
    exact = plan(planned.program, replace(LIMITS, firmware="klipper"))
    assert exact.print_time == pytest.approx(50.0 / 60.0 + 60.0 / 800.0, rel=1e-12)


def test_kinds_of_move_have_their_own_acceleration(build):
    points = [[0, 0, 0, 0], [50, 0, 0, 2], [50, 0, 0, 1], [0, 0, 0, 1], [0, 50, 0, 1]]
    planned = plan(build(points, 30.0), LIMITS)
    assert planned.acceleration == pytest.approx([800.0, 1000.0, 900.0, 700.0], rel=1e-3)


def test_axes_reduce_acceleration_and_speed_by_direction(build):
    planned = plan(build([[0, 0, 0, 0], [30, 40, 0, 0]], 500.0), LIMITS)
    assert planned.acceleration[0] == pytest.approx(700.0 / 0.8, rel=1e-3)
    assert planned.cruise[0] <= 100.0 / 0.8 + 0.02


def test_the_file_overrides_the_machine(build):
    states = (
        LimitSettings(),
        LimitSettings(print_acceleration=100.0, max_velocity=(None, None, None, 10.0)),
    )
    points = [[0, 0, 0, 0], [50, 0, 0, 2], [100, 0, 0, 4]]
    planned = plan(build(points, 30.0, settings=[0, 1], settings_states=states), LIMITS)
    assert planned.acceleration == pytest.approx([800.0, 100.0], rel=1e-3)


def test_scales_apply_after_the_files_limits(build):
    states = (LimitSettings(print_acceleration=200.0),)
    program = build([[0, 0, 0, 0], [50, 0, 0, 2]], 30.0, settings_states=states)
    planned = plan(program, LIMITS, acceleration_scale=2.0, speed_scale=1.5)
    assert planned.acceleration[0] == pytest.approx(400.0, rel=1e-3)
    assert planned.cruise[0] == pytest.approx(45.0, rel=1e-3)
    # The axis' limit scales too; its maximal velocity does not.
    fast = plan(program, LIMITS, acceleration_scale=10.0, speed_scale=100.0)
    assert fast.acceleration[0] == pytest.approx(2000.0, rel=1e-3)
    assert np.abs(fast.segments.direction * fast.cruise[:, None])[0, 0] <= 120.02


def test_stops_and_pauses(build):
    points = [[0, 0, 0, 0], [20, 0, 0, 1], [20, 0, 0, 1], [40, 0, 0, 2], [60, 0, 0, 3]]
    kind = [MoveKind.PRINT, MoveKind.PAUSE, MoveKind.PRINT, MoveKind.PRINT]
    pause, stop = [0, 1.5, 0, 0], [False, True, True, False]
    program = build(points, [50.0, 0.0, 50.0, 50.0], kind=kind, pause=pause, stop=stop)
    planned = plan(program, LIMITS)
    assert planned.duration[1] == 1.5
    assert planned.exit[0] == pytest.approx(2.24, abs=0.02)  # a step in the time it takes at
    assert planned.entry[2] == pytest.approx(2.24, abs=0.02)  # 800 mm/s² from rest
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
    assert planned.exit[0] == pytest.approx(planned.entry[2], abs=0.02)
    assert planned.exit[0] <= (8.0 if firmware == "marlin_estimated" else 2.3)  # its jerk, or steps


def test_a_stop_without_time_or_length_still_stops(build):
    points = [[0, 0, 0, 0], [20, 0, 0, 1], [20, 0, 0, 1], [40, 0, 0, 2]]
    kind = [MoveKind.PRINT, MoveKind.PAUSE, MoveKind.PRINT]
    planned = plan(build(points, 50.0, kind=kind, stop=[False, True, False]), LIMITS)
    assert len(planned) == 2
    assert planned.exit[0] < 2.3


def test_moves_without_length_vanish(build):
    points = [[0, 0, 0, 0], [20, 0, 0, 1], [20, 0, 0, 1], [40, 0, 0, 2]]
    kind = [MoveKind.PRINT, MoveKind.TRAVEL, MoveKind.PRINT]
    planned = plan(build(points, 50.0, kind=kind), LIMITS)
    assert planned.move.tolist() == [0, 2]
    assert planned.exit[0] == pytest.approx(50.0, abs=0.02)


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


ARC = b"G90\nM83\nG1 X10 Y0 F3000\nG3 X-10 Y0 I-10 J0 E2\nG1 X-20 Y0 E1\n"
STAIRS = b"".join(b"G1 X%.3f Y0 E.001\n" % (10.0 + 0.02 * i) for i in range(1, 4))


def planned_by(firmware, text):
    return plan(parse_program(text, "arc.gcode", firmware), replace(LIMITS, firmware=firmware))


@pytest.mark.parametrize("firmware", FIRMWARES)
def test_the_file_wants_the_machine_on_the_arc_itself(firmware):
    """Klipper's chords of 1 mm leave a radius of 10 mm by 12.5 µm."""
    planned = planned_by(firmware, ARC)
    time = np.linspace(0.0, planned.print_time, 4001)
    curved = planned.program.moves.sweep[planned.move[planned.segment_at(time)]] != 0.0
    asked, actual = (
        np.linalg.norm(f(time[curved])[:, :2], axis=1) for f in (planned.asked, planned.position)
    )
    assert np.count_nonzero(curved) > 1000
    np.testing.assert_allclose(asked, 10.0, atol=1e-9)
    if firmware == "klipper":
        assert np.min(actual) == pytest.approx(10.0 - 0.0125, abs=1e-3)
    straight = planned.asked(time[~curved])
    assert np.all(straight[:, 1] == 0.0)


def test_what_was_merged_into_an_arc_stays_where_the_file_wants_it():
    """Moves of less than two steps go with the first chord; they are straight all the same."""
    text = ARC.replace(b"G3 X-10 Y0 I-10", STAIRS + b"G3 X-9.94 Y0 I-10")
    planned = planned_by("marlin_2_1_2", text)
    assert len(planned.merged) == 3
    time = np.linspace(0.0, planned.print_time, 40001)
    asked = planned.asked(time)
    near = (asked[:, 0] > 10.005) & (asked[:, 0] < 10.055) & (asked[:, 1] < 1e-6)
    assert np.count_nonzero(near) > 2
    assert np.all(np.abs(asked[near, 1]) < 1e-9)
