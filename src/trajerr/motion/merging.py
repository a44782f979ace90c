"""What Marlin's planner makes of pieces before it plans them: whole steps, and none too short.

Knows steps and order, not speeds. A piece of fewer than six steps on every axis is dropped;
the next one runs from where the machine stands, straight and at its own feedrate.

References
----------
Marlin 2.1 `planner.cpp`, `Planner::buffer_segment` (rounding) and `Planner::_populate_block`
(`MIN_STEPS_PER_SEGMENT`).
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from trajerr.arrays import Bools, Floats, Ints
from trajerr.gcode.program import Moves
from trajerr.motion.axes import largest
from trajerr.motion.limits import MachineLimits
from trajerr.motion.segments import Segments


@dataclass(frozen=True)
class Merged:
    """Pieces that do not run by themselves; (D,) rows, in order."""

    move: Ints  # of each piece
    segment: Ints  # that runs it as part of its way; the number of segments where none does
    share: Floats  # of that segment's way at which the piece would have ended, 0..1
    asked: Floats  # (D, 4) where the file wanted it to end, mm

    def __len__(self) -> int:
        return len(self.move)

    @classmethod
    def none(cls) -> Self:
        """Nothing merged."""
        nothing = np.zeros(0, dtype=np.int64)
        return cls(nothing, nothing, np.zeros(0), np.zeros((0, 4)))

    def behind(self, holds: int) -> Self:
        """Return the same where segments have been left out in front."""
        return replace(self, segment=self.segment - holds)


def merge(moves: Moves, pieces: Segments, limits: MachineLimits) -> tuple[Segments, Ints, Merged]:
    """Return the blocks that Marlin runs, which piece gives each its feedrate, and what merged.

    Positions are rounded to whole steps from the file's zero, those of the extruder from the
    zero in force (G92 moves it). What was dropped before a pause is taken up after it, what
    was dropped at the end of the print never runs.

    Parameters
    ----------
    moves
        Of the program.
    pieces
        S pieces and holds, as the file asks for them.
    limits
        The machine's, with its steps per mm.

    Returns
    -------
    tuple
        B blocks and holds, (B,) the piece that each is, and the pieces that were merged.
    """
    per_mm = np.asarray(limits.steps_per_mm)
    zero = np.column_stack(
        [np.broadcast_to(moves.origin[0, :3], (len(pieces), 3)), moves.origin[pieces.move, 3]]
    )
    finish = pieces.start + pieces.direction * pieces.distance[:, None]
    start, end = _to_steps(pieces.start - zero, per_mm), _to_steps(finish - zero, per_mm)
    # The same steps without the leaps at which a new zero is set.
    leap = np.concatenate([np.zeros((1, 4)), start[1:] - end[:-1]])
    counter = end - np.cumsum(leap, axis=0)
    runs = _long_enough(counter, start[0], pieces.is_motion, limits.min_steps)
    kept = np.flatnonzero(runs | ~pieces.is_motion)
    blocks = _blocks(pieces, kept, counter, start[0], zero + end / per_mm, limits)
    return blocks, kept, _merged(pieces, kept, runs)


def _merged(pieces: Segments, kept: Ints, runs: Bools) -> Merged:
    dropped = np.flatnonzero(pieces.is_motion & ~runs)
    if not len(dropped):
        return Merged.none()
    way = np.cumsum(pieces.distance)
    blocks = np.flatnonzero(runs)
    place = np.searchsorted(blocks, dropped)
    begin = np.where(place > 0, way[blocks[place - 1]], 0.0)
    holder = blocks[np.minimum(place, len(blocks) - 1)]
    share = (way[dropped] - begin) / np.maximum(way[holder] - begin, way[dropped] - begin)
    segment = np.where(place < len(blocks), np.searchsorted(kept, holder), len(kept))
    return Merged(pieces.move[dropped], segment, share, pieces.asked[dropped])


def _to_steps(position: Floats, per_mm: Floats) -> Floats:
    """Return (S, 4) whole steps, halves away from zero, in the firmware's single precision."""
    steps = (position.astype(np.float32) * per_mm.astype(np.float32)).astype(np.float64)
    return np.copysign(np.floor(np.abs(steps) + 0.5), steps)


def _long_enough(counter: Floats, first: Floats, moves: Bools, fewest: int) -> Bools:
    """Return (S,) which pieces run, given (S, 4) the steps at their ends."""
    own = largest(np.abs(np.diff(counter, axis=0, prepend=first[None])))
    runs = moves & (own >= fewest)
    checked = -1
    for row in np.flatnonzero(moves & ~runs).tolist():
        if row <= checked:
            continue
        x, y, z, e = (counter[row - 1] if row else first).tolist()
        for i in range(row, len(counter)):
            checked = i
            if not moves[i]:
                continue
            to_x, to_y, to_z, to_e = counter[i].tolist()
            way = max(abs(to_x - x), abs(to_y - y), abs(to_z - z), abs(to_e - e))
            runs[i] = way >= fewest
            if way >= fewest:
                break
    return runs


def _blocks(
    pieces: Segments,
    kept: Ints,
    counter: Floats,
    first: Floats,
    finish: Floats,
    limits: MachineLimits,
) -> Segments:
    moving = pieces.is_motion[kept]
    rows = kept[moving]
    steps = np.diff(counter[rows], axis=0, prepend=first[None])
    travel = steps / np.asarray(limits.steps_per_mm)
    # Marlin measures a block along e where x, y and z make fewer than six steps, if not none.
    x, y, z, _ = np.abs(steps).T
    along_e = np.maximum(np.maximum(x, y), z) < limits.min_steps
    length = np.sqrt(np.einsum("ij,ij->i", travel[:, :3], travel[:, :3]))
    length = np.where(along_e, np.abs(travel[:, 3]), length)
    start, direction = pieces.start[kept], np.zeros((len(kept), 4))
    start[moving] = finish[rows] - travel
    direction[moving] = travel / length[:, None]
    start[~moving] = _resting(kept, moving, finish, pieces.start)
    distance = np.zeros(len(kept))
    distance[moving] = length
    return Segments(
        move=pieces.move[kept],
        start=start,
        direction=direction,
        distance=distance,
        hold=pieces.hold[kept],
        asked=pieces.asked[kept],
    )


def _resting(kept: Ints, moving: Bools, finish: Floats, asked: Floats) -> Floats:
    """Return (H, 4) where the machine stands during holds: where its last block ended, mm."""
    last = np.maximum.accumulate(np.where(moving, kept, -1))[~moving]
    return np.where(last[:, None] >= 0, finish[last], asked[kept[~moving]])
