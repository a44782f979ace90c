"""The contour error against closed forms, a brute-force search, and walls that fool it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trajerr.gcode.program import Moves
from trajerr.metrics.contour import contour_offsets
from trajerr.motion.path import NominalPath, move_lengths


def make_moves(points, centers=None, sweeps=None) -> Moves:
    points = np.asarray(points, dtype=float)
    n = len(points) - 1
    state = np.column_stack([points, np.zeros((n + 1, 2))])
    center = np.full((n, 2), np.nan) if centers is None else np.asarray(centers, float)
    return Moves(
        start=state[:-1],
        end=state[1:],
        center=center,
        offset=center - points[:-1, :2],
        sweep=np.zeros(n) if sweeps is None else np.asarray(sweeps, float),
        feedrate=np.full(n, 50.0),
        kind=np.zeros(n, np.uint8),
        feature=np.ones(n, np.uint8),
        layer=np.ones(n, np.int32),
        line=np.arange(n),
        settings=np.zeros(n, np.int32),
        pause=np.zeros(n),
        stop=np.zeros(n, bool),
        origin=np.zeros((n, 4)),
        absolute=np.ones((n, 2), bool),
        unit=np.ones(n),
        flow=np.ones(n),
        whole=np.zeros(n, bool),
        nozzle=np.full(n, 210.0),
        bed=np.full(n, 60.0),
        fan=np.ones(n),
    )


def test_offset_of_a_straight_line_is_signed_left_positive():
    path = NominalPath.of_moves(make_moves([[0, 0], [10, 0]]))
    actual = np.array([[2.0, 0.03], [5.0, -0.04], [11.0, 0.0]])
    offsets = contour_offsets(actual, path, np.array([2.1, 4.9, 10.0]))
    np.testing.assert_allclose(offsets, [0.03, -0.04, 1.0], atol=1e-12)


@pytest.mark.parametrize("sweep", [1.5 * np.pi, -1.5 * np.pi, 2 * np.pi])
def test_offset_of_an_arc_is_radial(sweep):
    radius = 7.0
    end = radius * np.array([np.cos(sweep), np.sin(sweep)])
    moves = make_moves([[radius, 0], end], centers=[[0, 0]], sweeps=[sweep])
    path = NominalPath.of_moves(moves)
    angle = np.linspace(0.05, 0.95, 200) * sweep
    on_arc = radius * np.column_stack([np.cos(angle), np.sin(angle)])
    move = np.zeros(len(angle), np.int64)
    progress = path.progress_at(moves, move, on_arc)
    np.testing.assert_allclose(progress, radius * np.abs(angle), atol=1e-9)
    offsets = contour_offsets(on_arc * 1.01, path, progress)
    outwards = -np.sign(sweep) * 0.01 * radius
    np.testing.assert_allclose(offsets, outwards, atol=3e-4)
    assert move_lengths(moves)[0] == pytest.approx(radius * abs(sweep))


def test_a_neighbouring_wall_is_not_mistaken_for_the_own_one():
    # Two walls 0.4 mm apart; the nozzle strays 0.3 mm towards the neighbour.
    moves = make_moves([[0, 0], [20, 0], [20, 0.4], [0, 0.4]])
    path = NominalPath.of_moves(moves)
    offset = contour_offsets(np.array([[5.0, 0.3]]), path, np.array([5.0]))
    np.testing.assert_allclose(offset, 0.3, atol=1e-12)


def test_time_lag_along_the_path_is_no_contour_error():
    moves = make_moves([[0, 0], [10, 0], [10, 10]])
    path = NominalPath.of_moves(moves)
    commanded = np.column_stack([np.linspace(1, 9, 50), np.zeros(50)])
    progress = path.progress_at(moves, np.zeros(50, np.int64), commanded)
    np.testing.assert_allclose(contour_offsets(commanded - [0.4, 0], path, progress), 0, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_equals_brute_force_where_all_of_the_path_is_in_reach(seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(6, 2))
    path = NominalPath.of_moves(make_moves(points))
    actual = rng.normal(size=(20, 2))
    offsets = contour_offsets(actual, path, np.zeros(20), reach=1e3)
    fraction = np.linspace(0, 1, 4001)[:, None]
    dense = np.vstack([a + (b - a) * fraction for a, b in pairwise(points)])
    nearest = np.sqrt(((actual[:, None] - dense[None]) ** 2).sum(-1)).min(1)
    np.testing.assert_allclose(np.abs(offsets), nearest, atol=2e-3)


def test_rotation_and_translation_change_nothing():
    rng = np.random.default_rng(3)
    points = np.cumsum(rng.normal(size=(9, 2)), axis=0)
    actual = points[:-1] + 0.05 * rng.normal(size=(8, 2))
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    first = NominalPath.of_moves(make_moves(points))
    second = NominalPath.of_moves(make_moves(points @ turn.T + 3.0))
    progress = first.move_progress[:-1]
    np.testing.assert_allclose(
        contour_offsets(actual, first, progress),
        contour_offsets(actual @ turn.T + 3.0, second, progress),
        atol=1e-12,
    )


def test_lengths_that_differ_are_refused():
    path = NominalPath.of_moves(make_moves([[0, 0], [1, 0]]))
    with pytest.raises(ValueError, match="expected"):
        contour_offsets(np.zeros((3, 2)), path, np.zeros(2))
