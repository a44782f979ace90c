"""Let pieces end where whole steps of the motors are near the path.

Marlin rounds each end to whole steps. An end that slides along its path by a few of them passes
places that lie on a step of one axis, and one of these is near a step of the other as well: what
rounding then does across the path is a tenth of what it does elsewhere. What it does along the
path, time makes up for: an end is taken to be passed when the motion is there.

Knows pieces and steps, not speeds.
"""

from dataclasses import dataclass, replace

import numpy as np

from trajerr.arrays import Bools, Floats
from trajerr.correction.pieces import MARGIN_STEPS, Pieces, Segmentation
from trajerr.gcode.program import Moves
from trajerr.motion.limits import MARLIN, MachineLimits

FARTHEST = 8  # steps that an end may slide
NEARER = 0.02  # steps off the path that a slide by all of them has to gain


def on_steps(
    segmentation: Segmentation, part: slice, free: Bools, moves: Moves, limits: MachineLimits
) -> Segmentation:
    """Return the pieces with ends between two of a block on whole steps, where firmware has such.

    Parameters
    ----------
    segmentation
        The pieces.
    part
        Which of them.
    free : (P,)
        Which of these P may end a step beside, as far as their bounds go.
    moves
        Of the nominal program.
    limits
        The machine's.
    """
    if limits.firmware not in MARLIN or not segmentation.lifts:
        return segmentation
    pieces, zero = segmentation.pieces, moves.origin[0, :2]
    per_mm = np.asarray(limits.steps_per_mm[:2])
    inner = _between(pieces, part) & _free_around(free)
    ends = part.start + np.flatnonzero(inner)
    if not len(ends):
        return segmentation
    target, start, end = pieces.target.copy(), pieces.start.copy(), pieces.end.copy()
    at, before, after = ((target[ends + i, :2] - zero) * per_mm for i in (0, -1, 1))
    follows = np.append(False, inner[:-1])[ends - part.start]
    ahead = _Slide.of(at, after, np.ones(len(ends), dtype=np.bool_), limits.min_steps)
    behind = _Slide.of(at, before, follows, limits.min_steps)
    forward = ahead.off <= behind.off
    share = np.where(forward, ahead.share, behind.share)
    step = np.where(forward[:, None], ahead.step, behind.step)
    near = np.minimum(ahead.off, behind.off) < _off_path(at, after)
    ends, share, step = ends[near], share[near], step[near]
    neighbour = ends + np.where(forward, 1, -1)[near]
    target[ends] += share[:, None] * (pieces.target[neighbour] - pieces.target[ends])
    target[ends, :2] = zero + step / per_mm
    end[ends] += share * (pieces.end[neighbour] - pieces.end[ends])
    start[ends + 1] = end[ends]
    return replace(segmentation, pieces=replace(pieces, start=start, end=end, target=target))


def _between(pieces: Pieces, part: slice) -> Bools:
    """Return (P − 1,) which ends of a part's pieces are those of two of one block's."""
    own, following = slice(part.start, part.stop - 1), slice(part.start + 1, part.stop)
    return np.asarray(
        (pieces.end[own] == pieces.start[following])
        & (pieces.move[own] == pieces.move[following])
        & (pieces.stretch[own] >= 0)
    )


def _free_around(free: Bools) -> Bools:
    """Return (P − 1,) which ends but the last are free, as those beside them are."""
    before = np.append(True, free[:-1])
    return np.asarray(before[:-1] & free[:-1] & free[1:])


@dataclass(frozen=True)
class _Slide:
    """Where (E,) ends best slide to, on the way to a neighbour."""

    share: Floats  # (E,) of that way
    step: Floats  # (E, 2) whole steps of x and y
    off: Floats  # (E,) steps off the way, and a little for the slide

    @classmethod
    def of(cls, at: Floats, neighbour: Floats, allowed: Bools, fewest: int) -> "_Slide":
        """Find it for (E, 2) ends and neighbours in steps; where not allowed, nothing is near."""
        way = neighbour - at
        rows = np.arange(len(at))
        main = np.argmax(np.abs(way), axis=1)
        count = np.abs(way[rows, main])
        # Both ends of a piece slide, and leave it as many steps as it needs to run by itself.
        room = 0.5 * (count - fewest - MARGIN_STEPS)
        along, aside = at[rows, main], at[rows, 1 - main]
        sense = np.where(way[rows, main] < 0.0, -1.0, 1.0)
        first = np.where(sense > 0.0, np.ceil(along), np.floor(along))
        place = first[:, None] + sense[:, None] * np.arange(FARTHEST)
        gone = np.abs(place - along[:, None])
        share = gone / np.maximum(count, 1e-9)[:, None]
        there = aside[:, None] + share * way[rows, 1 - main][:, None]
        slope = np.cos(np.arctan2(way[rows, 1 - main], count))
        off = np.abs(there - np.rint(there)) * slope[:, None] + NEARER * gone / FARTHEST
        off = np.where(allowed[:, None] & (gone <= room[:, None]), off, np.inf)
        best = np.argmin(off, axis=1)
        step = np.empty_like(at)
        step[rows, main], step[rows, 1 - main] = place[rows, best], np.rint(there[rows, best])
        return cls(share[rows, best], step, off[rows, best])


def _off_path(at: Floats, neighbour: Floats) -> Floats:
    """Return (E,) how many steps rounding takes (E, 2) ends off their ways to neighbours."""
    way, rounding = neighbour - at, np.rint(at) - at
    across = rounding[:, 0] * way[:, 1] - rounding[:, 1] * way[:, 0]
    return np.asarray(np.abs(across) / np.maximum(np.linalg.norm(way, axis=1), 1e-9))
