"""Arcs as chords against the circle's own equation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machines import simple_limits
from trajerr.gcode.program import MoveKind
from trajerr.motion.arcs import AS_MARLIN, CHORD, SAG, by_sag
from trajerr.motion.planner import plan
from trajerr.motion.segments import segment

# Without a firmware's rounding to steps, arcs are as they are asked for.
LIMITS = simple_limits((500, 500, 12, 50), (1000, 1000, 200, 5000), firmware="klipper")


def arc(build, radius, sweep, first=0.3, rise=0.0, filament=1.0, feedrate=40.0):
    """One arc around (100, 100)."""
    angle = np.array([first, first + sweep])
    x, y = 100 + radius * np.cos(angle), 100 + radius * np.sin(angle)
    points = np.column_stack([x, y, [0.2, 0.2 + rise], [0, filament]])
    return build(points, feedrate, center=[[100.0, 100.0]], sweep=[sweep])


@given(
    radius=st.floats(0.2, 150.0), sweep=st.floats(0.05, 2 * np.pi), sign=st.sampled_from([-1, 1])
)
def test_chords_stay_near_the_circle_and_meet_its_ends(build, radius, sweep, sign):
    program = arc(build, radius, sign * sweep)
    pieces = segment(program.moves)
    end = pieces.start + pieces.direction * pieces.distance[:, None]
    middle = 0.5 * (pieces.start + end)
    from_center = np.hypot(*(middle[:, :2] - 100.0).T)
    assert np.all(np.abs(radius - from_center) <= SAG + 1e-9)
    assert np.all(pieces.distance <= CHORD + 1e-9)
    np.testing.assert_allclose(end[-1], program.moves.end[0], atol=1e-9)
    np.testing.assert_allclose(np.hypot(*(end[:, :2] - 100.0).T), radius, atol=1e-9)
    turned = np.diff(np.unwrap(np.arctan2(*(end[:, 1::-1] - [100.0, 100.0]).T)))
    assert np.all(sign * turned > 0)


def test_length_of_a_full_circle(build):
    program = arc(build, 20.0, 2 * np.pi)
    pieces = segment(program.moves, by_sag(sag=1e-5))
    assert pieces.distance.sum() == pytest.approx(2 * np.pi * 20.0, rel=1e-5)
    assert len(segment(program.moves)) > 100


def test_helix_rises_and_extrudes_with_its_angle(build):
    pieces = segment(arc(build, 5.0, 4 * np.pi, rise=2.0, filament=3.0).moves)
    angle = np.unwrap(np.arctan2(pieces.start[:, 1] - 100, pieces.start[:, 0] - 100)) - 0.3
    np.testing.assert_allclose(pieces.start[:, 2], 0.2 + 2.0 * angle / (4 * np.pi), atol=1e-9)
    np.testing.assert_allclose(pieces.start[:, 3], 3.0 * angle / (4 * np.pi), atol=1e-9)


def test_a_large_circle_runs_at_its_feedrate(build):
    planned = plan(arc(build, 50.0, 2 * np.pi), LIMITS)
    along = planned.velocity(np.linspace(1.0, planned.print_time - 1.0, 200))
    np.testing.assert_allclose(np.hypot(along[:, 0], along[:, 1]), 40.0, rtol=1e-9)
    straight = 2 * np.pi * 50.0 / 40.0 + 40.0 / 500.0
    assert planned.print_time == pytest.approx(straight, rel=1e-3)


@pytest.mark.parametrize("radius", [2.0, 5.0, 10.0])
def test_junction_deviation_keeps_centripetal_acceleration(build, radius):
    limits = simple_limits(
        (500, 500, 12, 50), (1e3, 1e3, 200, 5e3), firmware="marlin_junction_deviation"
    )
    planned = plan(arc(build, radius, 2 * np.pi, feedrate=400.0), limits)
    # v²/r is the acceleration 500 mm/s² between the arc's pieces, up to the steps' rounding.
    assert np.median(planned.entry) ** 2 / radius == pytest.approx(500.0, rel=0.02)


def test_a_pause_that_moves_moves_then_waits(build):
    program = build(
        [[5, 5, 0, 0], [0, 0, 0, 0]], 50.0, kind=[MoveKind.PAUSE], pause=[2.0], stop=[True]
    )
    pieces = segment(program.moves)
    assert pieces.hold.tolist() == [0.0, 2.0]
    assert pieces.distance == pytest.approx([np.sqrt(50.0), 0.0])
    assert pieces.start[1].tolist() == [0, 0, 0, 0]


@given(radius=st.floats(0.5, 60.0), sweep=st.floats(0.1, 2 * np.pi), clockwise=st.booleans())
def test_mirroring_an_arc_mirrors_its_motion(build, radius, sweep, clockwise):
    sweep = -sweep if clockwise else sweep
    plain = plan(arc(build, radius, sweep, first=0.0), LIMITS)
    # Around (100, 100), y → 200 − y turns the angle and its sign.
    mirror = plan(arc(build, radius, -sweep, first=0.0), LIMITS)
    time = np.linspace(0.0, plain.print_time, 30)
    there, here = plain.position(time), mirror.position(time)
    np.testing.assert_allclose(there * [1, -1, 1, 1] + [0, 200, 0, 0], here, atol=1e-6)


@pytest.mark.parametrize(
    ("radius", "sweep", "pieces"),
    [
        (0.2, 2 * np.pi, 12),  # 72 would be shorter than 0.1 mm: as many of 0.1 mm as fit
        (5.0, 2 * np.pi, 72),  # 0.44 mm each
        (5.0, -np.pi / 2, 18),
        (50.0, np.pi, 158),  # 157 would be longer than 1 mm
        (50.0, 1.55 / 50.0, 2),  # a piece would be longer than 1 mm
    ],
)
def test_marlin_cuts_at_least_seventy_two_pieces_a_circle(build, radius, sweep, pieces):
    cut = segment(arc(build, radius, sweep).moves, AS_MARLIN)
    assert len(cut) == pieces
    np.testing.assert_allclose(cut.asked[-1], arc(build, radius, sweep).moves.end[0])
    # Between its exact points Marlin turns by a short series.
    off = np.hypot(*(cut.start[:, :2] - 100.0).T) - radius
    assert np.abs(off).max() < (1e-2 if radius < 1.0 else 5e-4)
