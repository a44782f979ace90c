"""Moves as straight segments: arcs become chords, moves without length vanish.

Knows geometry only; speeds and times are the planner's.
"""

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from trajerr.arrays import Bools, Floats, Ints
from trajerr.gcode.program import MoveKind, Moves
from trajerr.motion.arcs import BY_SAG, NOTHING, Cutting, cut


@dataclass(frozen=True)
class Segments:
    """Straight pieces of motion, and holds, in order; S rows."""

    move: Ints  # (S,) index into the program's moves
    start: Floats  # (S, 4) x y z e, mm
    direction: Floats  # (S, 4) change of x y z e per mm of distance; 0 where it holds
    distance: Floats  # (S,) mm, along xyz, or along e where only the extruder moves
    hold: Floats  # (S,) s at rest; 0 where it moves
    asked: Floats  # (S, 4) where the file wants it to end, before rounding to steps, mm

    def __len__(self) -> int:
        return len(self.move)

    def select(self, index: Bools | Ints | slice) -> Self:
        """Return the chosen segments, every array indexed alike."""
        return replace(self, **{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @property
    def is_motion(self) -> Bools:
        """(S,) whether the segment moves rather than holds."""
        return self.distance > 0.0


def segment(moves: Moves, cutting: Cutting = BY_SAG) -> Segments:
    """Return a program's moves as straight segments and holds.

    Parameters
    ----------
    moves
        M moves.
    cutting
        How arcs are cut.
    """
    counts, move, end = cut(moves, cutting)
    start = np.concatenate([moves.start[:1], end[:-1]])
    first = np.cumsum(counts) - counts
    start[first] = moves.start
    return _assemble(moves, move, start, end)


def _assemble(moves: Moves, move: Ints, start: Floats, end: Floats) -> Segments:
    delta = end - start
    distance = np.sqrt(np.einsum("ij,ij->i", delta[:, :3], delta[:, :3]))
    only_e = distance <= NOTHING
    distance = np.where(only_e, np.abs(delta[:, 3]), distance)
    moving = distance > NOTHING
    hold = np.where(moves.kind[move] == MoveKind.PAUSE, moves.pause[move], 0.0)
    hold = np.nan_to_num(hold, nan=0.0)
    # A pause that also moves (homing) becomes its motion, then its wait.
    both = moving & (hold > 0.0)
    distance = np.where(moving, distance, 0.0)
    direction = np.divide(delta, distance[:, None], where=moving[:, None], out=np.zeros_like(delta))
    keep = np.repeat(np.arange(len(move)), np.where(both, 2, (moving | (hold > 0.0)) * 1))
    second = np.zeros(len(keep), dtype=bool)
    second[1:] = keep[1:] == keep[:-1]
    still = second | ~moving[keep]
    return Segments(
        move=move[keep],
        start=np.where(second[:, None], end[keep], start[keep]),
        direction=np.where(still[:, None], 0.0, direction[keep]),
        distance=np.where(still, 0.0, distance[keep]),
        hold=np.where(still, hold[keep], 0.0),
        asked=end[keep],
    )
