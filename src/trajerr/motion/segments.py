"""Moves as straight segments: arcs become chords, moves without length vanish.

Knows geometry only; speeds and times are the planner's.
"""

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from trajerr.arrays import Bools, Floats, Ints
from trajerr.gcode.program import MoveKind, Moves

SAG = 0.005  # mm, the farthest that a planned chord leaves its arc
CHORD = 1.0  # mm, the longest chord of an arc, as Marlin's MM_PER_ARC_SEGMENT
NOTHING = 1e-9  # mm; shorter is rounding, not motion


@dataclass(frozen=True)
class Segments:
    """Straight pieces of motion, and holds, in order; S rows."""

    move: Ints  # (S,) index into the program's moves
    start: Floats  # (S, 4) x y z e, mm
    direction: Floats  # (S, 4) change of x y z e per mm of distance; 0 where it holds
    distance: Floats  # (S,) mm, along xyz, or along e where only the extruder moves
    hold: Floats  # (S,) s at rest; 0 where it moves

    def __len__(self) -> int:
        return len(self.move)

    def select(self, index: Bools | Ints | slice) -> Self:
        """Return the chosen segments, every array indexed alike."""
        return replace(self, **{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @property
    def is_motion(self) -> Bools:
        """(S,) whether the segment moves rather than holds."""
        return self.distance > 0.0


def segment(moves: Moves, sag: float = SAG, chord: float = CHORD) -> Segments:
    """Return a program's moves as straight segments and holds.

    A helix is linear in z and e along its angle. A spiral (whose ends have different
    radii by rounding) is linear in the radius.

    Parameters
    ----------
    moves
        M moves.
    sag
        How far a chord may leave its arc, mm.
    chord
        The longest chord of an arc, mm.
    """
    return _cut(moves, chord_counts(moves, sag, chord))


def klipper_segments(moves: Moves, resolution: float) -> Segments:
    """Return a program's moves as straight segments and holds, arcs cut as Klipper does.

    Its chords keep the radius at which the arc starts; the last one ends where the file says.

    Parameters
    ----------
    moves
        M moves.
    resolution
        Klipper's ``resolution`` of ``[gcode_arcs]``, mm.
    """
    return _cut(moves, klipper_chords(moves, resolution), spiral=False)


def _cut(moves: Moves, pieces: Ints, spiral: bool = True) -> Segments:
    move = np.repeat(np.arange(len(moves)), pieces)
    if len(move) == len(moves):
        start, end = moves.start, moves.end
    else:
        first = np.repeat(np.cumsum(pieces) - pieces, pieces)
        step = np.arange(len(move)) - first
        total = pieces[move]
        start = points_along(moves, move, step / total, spiral)
        end = points_along(moves, move, (step + 1) / total, spiral)
    return _assemble(moves, move, start, end)


def chord_counts(moves: Moves, sag: float, chord: float) -> Ints:
    """Return (M,) into how many straight pieces each move is cut."""
    counts = np.ones(len(moves), dtype=np.int64)
    arcs = np.flatnonzero(moves.sweep)
    if len(arcs):
        radius = np.hypot(*(moves.start[arcs, :2] - moves.center[arcs]).T)
        # A chord that spans the angle 2h leaves the circle by r·(1 − cos h) = 2r·sin²(h/2).
        widest = 4.0 * np.arcsin(np.sqrt(np.minimum(sag / np.maximum(radius, sag), 1.0) / 2.0))
        angle = np.minimum(widest, chord / np.maximum(radius, NOTHING))
        counts[arcs] = np.maximum(1, np.ceil(np.abs(moves.sweep[arcs]) / angle)).astype(np.int64)
    return counts


def klipper_chords(moves: Moves, resolution: float) -> Ints:
    """Return (M,) into how many straight pieces Klipper cuts each move.

    As many whole times as ``resolution``, mm, goes into an arc's length, and at least one:
    chords are longer than it, and nothing bounds how far they leave the arc.

    References
    ----------
    Klipper `klippy/extras/gcode_arcs.py`, `ArcSupport.planArc`.
    """
    counts = np.ones(len(moves), dtype=np.int64)
    arcs = np.flatnonzero(moves.sweep)
    radius = np.hypot(*(moves.start[arcs, :2] - moves.center[arcs]).T)
    rise = moves.end[arcs, 2] - moves.start[arcs, 2]
    length = np.hypot(radius * moves.sweep[arcs], rise)
    counts[arcs] = np.maximum(1, np.floor(length / resolution)).astype(np.int64)
    return counts


def points_along(moves: Moves, index: Ints, fraction: Floats, spiral: bool = True) -> Floats:
    """Return (N, 4) where moves are at a fraction of their length, mm.

    Parameters
    ----------
    moves
        M moves.
    index, fraction : (N,)
        Which of them, and where: 0 is the start, 1 the end.
    spiral
        Whether an arc's radius goes evenly from that of its start to that of its end; else it
        keeps the former, and jumps at the end.
    """
    start, end = moves.start[index], moves.end[index]
    point = start + (end - start) * fraction[:, None]
    arcs = np.flatnonzero((moves.sweep[index] != 0.0) & (fraction > 0.0) & (fraction < 1.0))
    if len(arcs):
        center = moves.center[index[arcs]]
        before, after = start[arcs, :2] - center, end[arcs, :2] - center
        part = fraction[arcs]
        radius = np.hypot(*before.T)
        if spiral:
            radius = radius * (1.0 - part) + np.hypot(*after.T) * part
        angle = np.arctan2(before[:, 1], before[:, 0]) + moves.sweep[index[arcs]] * part
        point[arcs, 0] = center[:, 0] + radius * np.cos(angle)
        point[arcs, 1] = center[:, 1] + radius * np.sin(angle)
    point[fraction == 1.0] = end[fraction == 1.0]
    return point


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
    )
