"""The nominal path: where moves ask the nozzle to go, regardless of time."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from trajerr.arrays import Floats, Ints
from trajerr.gcode.program import Moves
from trajerr.motion.arcs import by_sag, cut

FINE_SAG = 2.5e-4  # mm, so that chords do not show in contour errors


@dataclass(frozen=True)
class NominalPath:
    """The planar path that a list of moves asks for, arcs as fine chords."""

    vertices: Floats  # (P, 2) mm
    progress: Floats  # (P,) mm along the path, from 0
    move_progress: Floats  # (M + 1,) mm, where each move starts, and the end

    @classmethod
    def of_moves(cls, moves: Moves, sag: float = FINE_SAG) -> Self:
        """Return the path of moves that follow each other, of M ≥ 1 moves.

        Parameters
        ----------
        moves
            The moves, in order.
        sag
            How far the chords of an arc may stay from it, mm.
        """
        chords, owner, points = cut(moves, by_sag(sag, np.inf))
        vertices = np.vstack([moves.start[:1, :2], points[:, :2]])
        # An arc's length is the arc's, so that progress is the distance that was planned.
        lengths = move_lengths(moves)
        progress = np.concatenate([[0.0], np.cumsum((lengths / chords)[owner])])
        return cls(vertices, progress, np.concatenate([[0.0], np.cumsum(lengths)]))

    def progress_at(self, moves: Moves, move: Ints, xy: Floats) -> Floats:
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
    arm = moves.start[:, :2] - np.where(moves.sweep[:, None] != 0.0, moves.center, 0.0)
    radius = np.linalg.norm(arm, axis=1)
    lengths: Floats = np.where(moves.sweep != 0.0, radius * np.abs(moves.sweep), chord)
    return lengths
