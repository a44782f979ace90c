"""Arcs against circles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trajerr.errors import GcodeError
from trajerr.gcode.program import Moves
from trajerr.gcode.reader import parse_program


def read(*lines: str) -> Moves:
    return parse_program("\n".join([*lines, ""]).encode(), "arc.gcode").moves


@pytest.mark.parametrize(
    ("line", "center", "sweep"),
    [
        ("G3 X0 Y10 I-10 J0", (0, 0), np.pi / 2),
        ("G2 X0 Y10 I-10 J0", (0, 0), -1.5 * np.pi),
        ("G3 X0 Y10 R10", (0, 0), np.pi / 2),
        ("G3 X0 Y10 R-10", (10, 10), 1.5 * np.pi),
        ("G2 X0 Y10 R10", (10, 10), -np.pi / 2),
        ("G2 X0 Y10 R-10", (0, 0), -1.5 * np.pi),
        ("G2 X-10 I-10", (0, 0), -np.pi),
        ("G3 X-10 R10", (0, 0), np.pi),
        ("G3 I-10", (0, 0), 2 * np.pi),
        ("G2 X10 Y0 J5", (10, 5), -2 * np.pi),
        ("G2 I-10 P3", (0, 0), -6 * np.pi),
        ("G3 X0 Y10 I-10 P2", (0, 0), 4.5 * np.pi),
        ("G3 Z5 I-10 P1", (0, 0), 2 * np.pi),
    ],
)
def test_closed_forms(line: str, center: tuple[float, float], sweep: float) -> None:
    moves = read("G1 X10", line)
    np.testing.assert_allclose(moves.center[-1], center, atol=1e-12)
    np.testing.assert_allclose(moves.sweep[-1], sweep, atol=1e-12)


def test_helix_ends_at_its_height() -> None:
    moves = read("G1 X10 E0", "M83", "G3 X-10 Z4 I-10 E2")
    assert moves.end[-1].tolist() == [-10, 0, 4, 2]
    assert moves.is_extruding[-1]


def test_a_full_circle_prints_though_it_ends_where_it_starts() -> None:
    assert read("M83", "G1 X10", "G3 I-10 E2").is_extruding.tolist() == [False, True]


def test_relative_positions_and_inches() -> None:
    moves = read("G20", "G1 X1", "G91", "G3 X-1 Y1 I-1")
    np.testing.assert_allclose(moves.center[-1], (0, 0), atol=1e-12)
    np.testing.assert_allclose(moves.end[-1, :2], (0, 25.4), atol=1e-12)


def test_centre_under_g92_and_absolute_centres() -> None:
    offset = read("G1 X10", "G92 X110 Y100", "G3 X100 Y110 I-10")
    np.testing.assert_allclose(offset.center[-1], (0, 0), atol=1e-12)
    absolute = read("G90.1", "G1 X10", "G92 X110 Y100", "G3 X100 Y110 I100 J100")
    np.testing.assert_allclose(absolute.center[-1], (0, 0), atol=1e-12)


@given(
    angle=st.floats(-3.1, 3.1),
    start=st.floats(0, 6.28),
    radius=st.floats(1, 100),
    major=st.booleans(),
)
def test_centre_and_radius_forms_agree(
    angle: float, start: float, radius: float, major: bool
) -> None:
    if abs(angle) < 0.1:
        angle = 0.1
    command = "G3" if angle > 0 else "G2"
    sweep = angle if not major else np.sign(angle) * (2 * np.pi - abs(angle))
    command = "G3" if sweep > 0 else "G2"
    begin = radius * np.array([np.cos(start), np.sin(start)])
    end = radius * np.array([np.cos(start + sweep), np.sin(start + sweep)])
    to = f"X{end[0]:.12f} Y{end[1]:.12f}"
    first = f"G1 X{begin[0]:.12f} Y{begin[1]:.12f}"
    by_centre = read(first, f"{command} {to} I{-begin[0]:.12f} J{-begin[1]:.12f}")
    by_radius = read(first, f"{command} {to} R{-radius if major else radius:.12f}")
    np.testing.assert_allclose(by_centre.sweep[-1], sweep, atol=1e-8)
    np.testing.assert_allclose(by_radius.sweep[-1], sweep, atol=2e-4)  # sqrt near half circles
    np.testing.assert_allclose(by_centre.center[-1], (0, 0), atol=1e-8)
    np.testing.assert_allclose(by_radius.center[-1], (0, 0), atol=1e-3)


@given(
    x=st.integers(-9000, 9000),
    y=st.integers(-9000, 9000),
    start=st.floats(0, 6.28),
    sweep=st.floats(0.3, 5.9),
    radius=st.floats(2, 80),
)
def test_rounded_centres_become_equidistant(
    x: int, y: int, start: float, sweep: float, radius: float
) -> None:
    """Slicers round to 1 µm; the circle must still pass through both ends."""
    begin = np.round([x / 1e3, y / 1e3], 3)
    center = begin - radius * np.array([np.cos(start), np.sin(start)])
    end = np.round(center + radius * np.array([np.cos(start + sweep), np.sin(start + sweep)]), 3)
    offset = np.round(center - begin, 3)
    line = f"G3 X{end[0]:.3f} Y{end[1]:.3f} I{offset[0]:.3f} J{offset[1]:.3f}"
    moves = read("G1 Z1", f"G1 X{begin[0]:.3f} Y{begin[1]:.3f}", line)
    radii = [np.hypot(*(p[-1, :2] - moves.center[-1])) for p in (moves.start, moves.end)]
    assert abs(radii[0] - radii[1]) < 1e-9
    np.testing.assert_allclose(moves.center[-1], begin + offset, atol=0.02)


def test_radius_too_small_becomes_a_half_circle() -> None:
    """Marlin's G2_G3: where 2 R is less than the distance, the centre is the midpoint."""
    moves = read("G1 X10", "G2 X0 Y0 R4")
    np.testing.assert_allclose(moves.center[-1], (5, 0), atol=1e-12)
    np.testing.assert_allclose(moves.sweep[-1], -np.pi)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("G2 X0 Y10", "without I, J or R"),
        ("G2 X10 Y0 R5", "ends where it starts"),
        ("G2 X-10 Y0 R4", "expected at most 2 R"),
        ("G2 X-20 Y0 I-10", "lie 10 and 20 mm from its centre"),
        ("G2 X10 Y0 I0 J0", "radius zero"),
        ("G3 X5 Y0 R0", "expected at most 2 R"),
        ("G3 I-5 P100000", "of 100000 turns, expected at most 1000"),
    ],
)
def test_impossible_arcs(line: str, message: str) -> None:
    with pytest.raises(GcodeError, match=rf"^arc\.gcode:2: .*{message}"):
        read("G1 X10", line)
