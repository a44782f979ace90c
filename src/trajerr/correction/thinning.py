"""Leave out points of a motion that straight pieces at constant speed need not visit.

Knows points in time and how far each may be displaced across and along its piece. Does not
know G-code, blocks' lines or files' sizes: :mod:`trajerr.correction.pieces` does.
"""

import numpy as np

from trajerr.arrays import Bools, Floats, Ints
from trajerr.dynamics.compiled import compiled


def thinned(
    time: Floats,
    point: Floats,
    owner: Ints,
    across: Floats,
    along: Floats,
    shortest: float,
    least: tuple[float, float] = (0.0, 0.0),
) -> Bools:
    """Return (N,) which points stay as ends of straight pieces.

    The points at which a block begins and ends stay. In between each piece reaches as far as
    all points it skips stay close to where it is at their times, or is the shortest.

    Parameters
    ----------
    time : (N,)
        s, increasing within each block.
    point : (N, 3)
        mm.
    owner : (N,)
        The block of each point; a block's points are neighbours.
    across, along : (N,)
        How far each may be displaced, mm.
    shortest
        Shortest duration of a piece whose block is not shorter itself, s.
    least
        mm of x, or else of y, that such a piece goes at least: less, and firmware merges it.
    """
    keep = np.zeros(len(time), dtype=np.bool_)
    if len(time):
        _thin(time, np.ascontiguousarray(point), owner, across, along, shortest, *least, keep)
    return keep


@compiled
def _thin(
    time: Floats,
    point: Floats,
    owner: Ints,
    across: Floats,
    along: Floats,
    shortest: float,
    least_x: float,
    least_y: float,
    keep: Bools,
) -> None:
    """Mark where pieces end: each reaches as far as all points it skips stay close; in place."""
    anchor, last = 0, -1
    while anchor + 1 < len(time):
        if anchor > last:
            keep[anchor] = True
            last = anchor
            while last + 1 < len(time) and owner[last + 1] == owner[anchor]:
                last += 1
        if anchor == last:
            anchor += 1
            continue
        anchor = _farthest(time, point, across, along, shortest, least_x, least_y, anchor, last)
        keep[anchor] = True


@compiled
def _farthest(
    time: Floats,
    point: Floats,
    across: Floats,
    along: Floats,
    shortest: float,
    least_x: float,
    least_y: float,
    anchor: int,
    last: int,
) -> int:
    """Return where a piece ends that begins at a point: as far away as it follows the command.

    Ends twice as far each time are tried until one fails, then the range in between is halved.
    """
    low, high = anchor + 1, last - 1
    while low < last and _is_short(time, point, anchor, low, shortest, least_x, least_y):
        low += 1
    while high >= low and _is_short(time, point, high, last, shortest, least_x, least_y):
        high -= 1
    if high < low:
        return last
    found = low
    if not _follows(time, point, across, along, anchor, low):
        return found
    # Ends are counted from the first to the last that may be one, then the block's.
    good, bad, step, failed = 0, high - low + 2, 1, False
    while bad - good > 1:
        trial = (good + bad) // 2 if failed else min(good + step, bad - 1)
        end = low + trial if low + trial <= high else last
        if _follows(time, point, across, along, anchor, end):
            good, found = trial, end
            step *= 2
        else:
            bad = trial
            failed = True
    return found


@compiled
def _is_short(
    time: Floats,
    point: Floats,
    first: int,
    last: int,
    shortest: float,
    least_x: float,
    least_y: float,
) -> bool:
    """Whether a piece takes too little time, or goes too little way along both axes."""
    x = abs(point[last, 0] - point[first, 0])
    y = abs(point[last, 1] - point[first, 1])
    return bool(time[last] - time[first] < shortest or (x < least_x and y < least_y))


@compiled
def _follows(
    time: Floats, point: Floats, across: Floats, along: Floats, first: int, last: int
) -> bool:
    """Whether a straight piece at constant speed keeps close to all points between its ends."""
    span = time[last] - time[first]
    x = point[last, 0] - point[first, 0]
    y = point[last, 1] - point[first, 1]
    z = point[last, 2] - point[first, 2]
    length = np.sqrt(x * x + y * y + z * z)
    for i in range(first + 1, last):
        done = (time[i] - time[first]) / span
        off_x = point[i, 0] - point[first, 0] - x * done
        off_y = point[i, 1] - point[first, 1] - y * done
        off_z = point[i, 2] - point[first, 2] - z * done
        ahead = (off_x * x + off_y * y + off_z * z) / length if length > 0.0 else 0.0
        aside = off_x * off_x + off_y * off_y + off_z * off_z - ahead * ahead
        if aside > across[i] ** 2 or abs(ahead) > along[i]:
            return False
    return True
