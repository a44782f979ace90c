"""The nominal path against where the plan itself goes."""

import numpy as np
import pytest

from trajerr.motion.path import FINE_SAG, NominalPath
from trajerr.motion.segments import segment


def test_an_arc_that_nearly_closes_is_the_spiral_that_is_planned(build):
    """Its ends have different radii: the radius runs from one to the other."""
    turn = 2.0 * np.pi - 0.02
    end = 20.4 * np.array([np.cos(turn), np.sin(turn)])
    points = [[20.0, 0.0, 0.2, 0.0], [*end, 0.2, 1.0], [60.0, 0.0, 0.2, 2.0]]
    center = [[0.0, 0.0], [np.nan, np.nan]]
    program = build(points, 40.0, center=center, sweep=[turn, 0.0])
    path = NominalPath.of_moves(program.moves)
    angle = np.unwrap(np.arctan2(path.vertices[:-1, 1], path.vertices[:-1, 0]))
    radius = np.hypot(*path.vertices[:-1].T)
    np.testing.assert_allclose(radius, 20.0 + 0.4 * angle / turn, atol=1e-9)

    knots = segment(program.moves).start[:, :2]  # on the arc itself, between them are chords
    across = np.hypot(*knots.T)[:-1] - np.interp(
        np.unwrap(np.arctan2(knots[:, 1], knots[:, 0]))[:-1], angle, radius
    )
    assert np.abs(across).max() < FINE_SAG


def test_progress_is_the_planned_distance(build):
    points = [[0, 0, 0.2, 0], [10, 0, 0.2, 1], [10, 0, 0.2, 0.5], [20, 0, 0.2, 0.5]]
    path = NominalPath.of_moves(build(points, 40.0).moves)
    assert path.move_progress.tolist() == [0.0, 10.0, 10.0, 20.0]
    assert path.vertices.tolist() == [[0, 0], [10, 0], [10, 0], [20, 0]]
    assert path.progress[-1] == pytest.approx(20.0)
