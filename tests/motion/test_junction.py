"""Junction speeds worked out by hand from the firmwares' documents."""

import numpy as np
import pytest

from trajerr.motion import junction

SQUARE = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0]])


def turn(degrees):
    angle = np.radians(degrees)
    return np.array([[1.0, 0, 0, 0], [np.cos(angle), np.sin(angle), 0, 0]])


def deviation(
    direction, distance=10.0, rate=500.0, deviation=0.013, axis=1e9, nominal=100.0, radius=0.0
):
    two = np.ones(2)
    return junction.junction_deviation(
        direction,
        distance * two,
        nominal * two,
        rate * two,
        axis * np.ones((2, 4)),
        deviation * two,
        radius * two,
        0.05,
    )[1]


def test_marlin_square_corner_by_junction_deviation():
    # sin(45°) = 0.70711: v² = 500 · 0.013 · 0.70711 / 0.29289 = 15.692.
    assert deviation(SQUARE) == pytest.approx(3.9614, abs=1e-4)


def test_junction_deviation_is_the_circle_that_misses_the_corner():
    # A circle of radius R tangent to both sides passes the corner at R·(1/cos(φ/2) − 1),
    # φ the change of heading; its centripetal acceleration is v²/R.
    for degrees in (30.0, 60.0, 120.0, 150.0):
        speed = deviation(turn(degrees))
        radius = speed**2 / 500.0
        assert radius * (1 / np.cos(np.radians(degrees) / 2) - 1) == pytest.approx(0.013, rel=1e-9)


def test_junction_deviation_of_a_reversal_is_a_stop_and_of_a_line_is_free():
    assert deviation(turn(180.0)) == pytest.approx(0.05)  # the slowest that Marlin plans
    assert deviation(turn(0.0)) == 100.0


def test_short_flat_segments_are_an_arc():
    # 0.5 mm at 10° a step is a circle of r = 0.5/0.17453 mm; v² = a·r. Marlin looks the angle
    # up in a table that is wrong by up to 0.01 rad.
    angle = np.radians(10.0)
    found = 500.0 * 0.5 / deviation(turn(10.0), distance=0.5) ** 2
    assert found == pytest.approx(angle, abs=0.01)
    assert deviation(turn(10.0), distance=1.5) > deviation(turn(10.0), distance=0.5)


def test_the_table_of_arc_cosines_is_marlins():
    # Slopes and offsets of two of its rows, as `planner.cpp` lists them, in single precision.
    for cosine, slope, offset in (
        (0.6, -1.30760646, 1.70887053),
        (0.99999, -218.532821, 218.534011),
    ):
        assert junction._acos(np.array([cosine])) == pytest.approx(
            slope * cosine + offset, abs=2e-5
        )


def test_within_an_arc_its_radius_counts():
    assert deviation(turn(10.0), distance=0.5, radius=2.0) == pytest.approx(np.sqrt(500.0 * 2.0))


def test_junction_acceleration_is_limited_by_each_axis():
    # The bend of a 90° corner points along the diagonal: each axis takes 1/√2 of it.
    slow = deviation(SQUARE, axis=100.0)
    assert slow**2 / deviation(SQUARE) ** 2 == pytest.approx(100.0 * np.sqrt(2.0) / 500.0)


def test_corner_velocity_zero_stops_at_corners_but_not_on_lines():
    assert corner(SQUARE, scv=0.0) == 0.0
    assert corner(turn(0.0), scv=0.0) == 300.0


def classic(direction, nominal, jerk):
    nominal = np.asarray(nominal, dtype=float)
    limits = np.broadcast_to(np.asarray(jerk, dtype=float), (2, 4))
    axis = direction * nominal[:, None]
    safe = junction.safe_speed(axis, nominal, limits)
    new = junction.classic_jerk(axis, nominal, limits)
    old = junction.classic_jerk_2_1_2(axis, nominal, limits, safe)
    return safe, new[1], old[1]


def test_classic_jerk_at_a_square_corner_is_the_jerk():
    # X goes from v to 0 and Y from 0 to v: v may be the jerk.
    safe, new, old = classic(SQUARE, [60, 60], [8, 8, 0.4, 5])
    assert new == old == pytest.approx(8.0)
    assert safe == pytest.approx([8.0, 8.0])


def test_classic_jerk_at_a_slight_bend():
    # 10°: X loses v·(1 − cos), Y gains v·sin, which is the larger.
    _, new, old = classic(turn(10.0), [60, 60], [8, 8, 0.4, 5])
    assert new == old == pytest.approx(8.0 / np.sin(np.radians(10.0)))


def test_classic_jerk_counts_a_reversal_in_full_and_once_counted_it_on_each_side_of_rest():
    _, new, old = classic(turn(180.0), [60, 60], [8, 8, 0.4, 5])
    assert new == pytest.approx(4.0)
    assert old == pytest.approx(8.0)


def test_classic_jerk_limits_the_extruder():
    direction = np.array([[1.0, 0, 0, 0.05], [1.0, 0, 0, 0.25]])
    _, new, old = classic(direction, [60, 60], [8, 8, 0.4, 5])
    assert new == old == pytest.approx(60.0 * 5.0 / (0.2 * 60.0))


def test_classic_jerk_lets_a_straight_line_speed_up_and_once_braked_it():
    # Up to 2.1.2 the faster segment counts at its own 60 mm/s: a jump of 40, where 8 is allowed.
    _, new, old = classic(turn(0.0), [20, 60], [8, 8, 0.4, 5])
    assert new == pytest.approx(20.0)
    assert old == pytest.approx(8.0)  # not 20·8/40 = 4: both are left and entered at 8 as well


def test_a_segment_was_once_entered_faster_than_the_one_before_runs():
    # Both safe speeds, 4 and 8, exceed the shared one: the second is entered at its own.
    _, new, old = classic(SQUARE, [4, 60], [8, 8, 0.4, 5])
    assert new == pytest.approx(4.0)
    assert old == pytest.approx(8.0)


def test_safe_speed_scales_all_axes_together():
    direction = np.array([[0.6, 0.8, 0, 0]] * 2)
    safe, _, _ = classic(direction, [60, 60], [8, 8, 0.4, 5])
    assert safe == pytest.approx([10.0, 10.0])  # 0.8 · 10 mm/s = 8 mm/s


def corner(direction, scv=5.0, rate=3000.0, distance=50.0, extruder=1.0):
    two = np.ones(2)
    radius = scv**2 * (np.sqrt(2.0) - 1.0) / rate * two
    squared = junction.square_corner(
        direction, distance * two, 300.0 * two, rate * two, radius, extruder
    )
    return np.sqrt(squared[1])


@pytest.mark.parametrize("scv", [1.0, 5.0, 12.0])
def test_klipper_takes_a_square_corner_at_the_square_corner_velocity(scv):
    assert corner(SQUARE, scv) == pytest.approx(scv, rel=1e-12)


def test_klipper_keeps_the_touching_circle_within_half_a_move():
    # R = (d/2)·tan(θ/2), θ the angle between the moves; v² = a·R.
    degrees, distance = 5.0, 0.2
    tangent = np.tan(np.radians(180.0 - degrees) / 2)
    expected = np.sqrt(3000.0 * 0.5 * distance * tangent)
    assert corner(turn(degrees), scv=100.0, distance=distance) == pytest.approx(expected, rel=1e-9)


def test_klipper_limits_the_extruders_jump():
    direction = np.array([[1.0, 0, 0, 0.04], [1.0, 0, 0, 0.06]])
    assert corner(direction) == pytest.approx(1.0 / 0.02)


def test_klipper_stops_between_head_and_extruder():
    assert corner(np.array([[1.0, 0, 0, 0], [0, 0, 0, 1.0]])) == 0.0
    assert corner(turn(180.0)) == pytest.approx(0.0, abs=1e-6)
