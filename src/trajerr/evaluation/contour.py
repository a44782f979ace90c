"""Contour error: how far the nozzle is from the nominal path, regardless of time.

Knows geometry only. Walls of one layer run 0.4 mm apart, so the nearest point of the whole
layer may lie on a neighbour; each actual point is therefore compared with the part of the
path near the progress at which it was commanded.
"""

from dataclasses import dataclass
from typing import Self

import numba
import numpy as np
from numpy.typing import NDArray

from trajerr.gcode.program import Moves

Floats = NDArray[np.float64]

CHORD_SAG = 2.5e-4  # mm, how far the chords of an arc stay from it
REACH = 1.5  # mm of path searched before and after the progress of a point


@dataclass(frozen=True)
class NominalPath:
    """The planar path that a list of moves asks for, arcs as fine chords."""

    vertices: Floats  # (P, 2) mm
    progress: Floats  # (P,) mm along the path, from 0
    move_progress: Floats  # (M + 1,) mm, where each move starts, and the end

    @classmethod
    def of_moves(cls, moves: Moves, sag: float = CHORD_SAG) -> Self:
        """Return the path of moves that follow each other, of M ≥ 1 moves.

        Parameters
        ----------
        moves
            The moves, in order.
        sag
            How far the chords of an arc may stay from it, mm.
        """
        chords = _chord_counts(moves, sag)
        owner = np.repeat(np.arange(len(moves)), chords)
        step = np.arange(len(owner)) - np.repeat(np.cumsum(chords) - chords, chords) + 1
        points = _points_at(moves, owner, step / chords[owner])
        vertices = np.vstack([moves.start[:1, :2], points])
        # An arc's length is the arc's, so that progress is the distance that was planned.
        lengths = move_lengths(moves)
        progress = np.concatenate([[0.0], np.cumsum((lengths / chords)[owner])])
        return cls(vertices, progress, np.concatenate([[0.0], np.cumsum(lengths)]))

    def progress_at(self, moves: Moves, move: NDArray[np.int64], xy: Floats) -> Floats:
        """Return how far along the path commanded points on given moves are.

        Parameters
        ----------
        moves
            The moves that this path was made of.
        move : (N,)
            Index into ``moves`` for each point.
        xy : (N, 2)
            Points on those moves, mm.

        Returns
        -------
        (N,)
            Distance along the path, mm.
        """
        chord = np.linalg.norm(xy - moves.start[move, :2], axis=1)
        sweep = moves.sweep[move]
        arm = xy - np.where(sweep[:, None] != 0.0, moves.center[move], 0.0)
        first = moves.start[move, :2] - np.where(sweep[:, None] != 0.0, moves.center[move], 0.0)
        turn = np.arctan2(
            first[:, 0] * arm[:, 1] - first[:, 1] * arm[:, 0], np.sum(first * arm, axis=1)
        )
        turn = np.where(sweep < 0.0, -turn, turn) % (2.0 * np.pi)
        along = np.where(sweep != 0.0, turn * np.linalg.norm(first, axis=1), chord)
        length = np.diff(self.move_progress)[move]
        return np.asarray(self.move_progress[move] + np.minimum(along, length))


def move_lengths(moves: Moves) -> Floats:
    """Return the planar length of each move, arcs along the arc; (M,) mm."""
    chord = np.linalg.norm(moves.end[:, :2] - moves.start[:, :2], axis=1)
    return np.where(moves.sweep != 0.0, _radius(moves) * np.abs(moves.sweep), chord)


def contour_offsets(
    actual: Floats, path: NominalPath, progress: Floats, reach: float = REACH
) -> Floats:
    """Return the signed distance of actual points to the path near their progress.

    Parameters
    ----------
    actual : (N, 2)
        Where the nozzle was, mm.
    path
        The nominal path.
    progress : (N,)
        Roughly how far along the path each point was commanded to be, mm.
    reach
        How much of the path before and after that progress is searched, mm. It must
        exceed the tracking error and stay below the length of a loop.

    Returns
    -------
    (N,)
        mm, positive where the nozzle is left of the path in the direction of travel.

    Raises
    ------
    ValueError
        If the arrays' lengths differ.
    """
    if actual.shape != (len(progress), 2):
        message = f"actual has shape {actual.shape}, expected ({len(progress)}, 2) like progress"
        raise ValueError(message)
    return np.asarray(
        _signed_distance(
            np.ascontiguousarray(actual, dtype=np.float64),
            np.ascontiguousarray(path.vertices),
            path.progress,
            np.ascontiguousarray(progress, dtype=np.float64),
            float(reach),
        )
    )


def _radius(moves: Moves) -> Floats:
    arm = moves.start[:, :2] - np.where(moves.sweep[:, None] != 0.0, moves.center, 0.0)
    return np.asarray(np.linalg.norm(arm, axis=1))


def _chord_counts(moves: Moves, sag: float) -> NDArray[np.int64]:
    """Return into how many chords each move is cut: sag = r (1 − cos(φ/2))."""
    radius = np.maximum(_radius(moves), sag)
    angle = 2.0 * np.arccos(1.0 - sag / radius)
    counts = np.ceil(np.abs(moves.sweep) / angle).astype(np.int64)
    return np.maximum(counts, 1)


def _points_at(moves: Moves, move: NDArray[np.int64], fraction: Floats) -> Floats:
    """Return the points at a fraction (0..1] of given moves; (N, 2) mm."""
    start, end = moves.start[move, :2], moves.end[move, :2]
    sweep = moves.sweep[move]
    curved = sweep != 0.0
    centre = np.where(curved[:, None], moves.center[move], 0.0)
    turn = sweep * fraction
    cosine, sine = np.cos(turn), np.sin(turn)
    arm = start - centre
    turned = np.column_stack(
        [arm[:, 0] * cosine - arm[:, 1] * sine, arm[:, 0] * sine + arm[:, 1] * cosine]
    )
    straight = start + (end - start) * fraction[:, None]
    # The last chord ends where the file says, whatever rounding the centre carries.
    whole = (fraction >= 1.0)[:, None]
    return np.where(whole, end, np.where(curved[:, None], centre + turned, straight))


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _signed_distance(
    actual: Floats, vertices: Floats, along: Floats, progress: Floats, reach: float
) -> Floats:
    offsets = np.empty(len(actual))
    segments = len(vertices) - 1
    for i in range(len(actual)):
        first = np.searchsorted(along, progress[i] - reach) - 1
        last = np.searchsorted(along, progress[i] + reach)
        best = np.inf
        side = 0.0
        for j in range(max(first, 0), min(last, segments)):
            dx = vertices[j + 1, 0] - vertices[j, 0]
            dy = vertices[j + 1, 1] - vertices[j, 1]
            px = actual[i, 0] - vertices[j, 0]
            py = actual[i, 1] - vertices[j, 1]
            square = dx * dx + dy * dy
            if square == 0.0:
                continue
            t = min(max((px * dx + py * dy) / square, 0.0), 1.0)
            distance = (px - t * dx) ** 2 + (py - t * dy) ** 2
            if distance < best:
                best = distance
                side = dx * py - dy * px
        offsets[i] = np.sqrt(best) if side >= 0.0 else -np.sqrt(best)
    return offsets
