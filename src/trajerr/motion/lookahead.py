"""Speeds at the ends of segments: what look-ahead makes of the junctions' limits.

Everything is in squared speeds, where a segment changes by at most 2·a·d. The passes are
recurrences, but most segments need no lowering: waves run from all those that do at once, as far
as each lowers what comes next. Names end as in :mod:`trajerr.motion.profile`.
"""

import numpy as np

from trajerr.arrays import Bools, Floats


def look_ahead(
    max_start_v2: Floats,
    max_end_v2: Floats,
    coupled: Bools,
    delta_v2: Floats,
    blocks: int | None = None,
) -> tuple[Floats, Floats]:
    """Return the highest squared speeds at both ends of each segment.

    Parameters
    ----------
    max_start_v2, max_end_v2 : (S,)
        Highest squared speed where the segment begins and ends, mm²/s².
    coupled : (S,)
        Whether the next segment begins at the speed at which this one ends;
        elsewhere the machine is at rest in between.
    delta_v2 : (S,)
        2·a·d, the most by which the squared speed changes, mm²/s².
    blocks
        How many segments the firmware knows while it runs one, that one included: it must
        be able to stop at the end of the last. ``None`` is all of them.

    Returns
    -------
    entry, exit : (S,)
        Squared speeds, mm²/s².
    """
    if blocks is None:
        allowed_v2 = _braked(max_start_v2, max_end_v2, coupled, delta_v2)
    else:
        allowed_v2 = _backward_window(max_start_v2, max_end_v2, coupled, delta_v2, blocks)
    entry_v2 = _reached(allowed_v2, coupled, delta_v2)
    end_v2 = np.where(coupled, np.append(allowed_v2[1:], 0.0), max_end_v2)
    return entry_v2, np.minimum(end_v2, entry_v2 + delta_v2)


def _backward_window(
    max_start_v2: Floats, max_end_v2: Floats, coupled: Bools, delta_v2: Floats, blocks: int
) -> Floats:
    """Return the entry speeds from which the segments known suffice to stop.

    A segment that starts from rest counts among its window; one that is entered at speed
    was planned while its predecessor ran, so one segment less was known of it.
    """

    def braking(next_start_v2: Floats) -> Floats:
        after = np.append(next_start_v2[1:], 0.0)
        return np.minimum(max_start_v2, np.where(coupled, after, max_end_v2) + delta_v2)

    enters = np.concatenate([[False], coupled[:-1]])
    allowed_v2 = np.zeros_like(max_start_v2)
    for _ in range(blocks - 1):
        allowed_v2 = braking(allowed_v2)
    return np.where(enters, allowed_v2, braking(allowed_v2))


def _braked(starts_v2: Floats, stops_v2: Floats, linked: Bools, delta_v2: Floats) -> Floats:
    """Return (S,) the highest starts from which segments can slow down to what follows.

    Parameters
    ----------
    starts_v2 : (S,)
        Highest squared speed where a segment begins, mm²/s².
    stops_v2 : (S,)
        To which it must have slowed down where it is not linked to the next one, mm²/s².
    linked : (S,)
        Whether the next segment begins at the speed at which this one ends; behind the last
        one that is rest.
    delta_v2 : (S,)
        2·a·d, mm²/s².
    """
    lowered_v2 = np.append(starts_v2, 0.0)
    fast = np.where(linked, lowered_v2[1:], stops_v2) + delta_v2 < starts_v2
    rows = np.flatnonzero(fast & ~np.append(fast[1:], False))
    while len(rows):
        reach_v2 = np.where(linked[rows], lowered_v2[rows + 1], stops_v2[rows]) + delta_v2[rows]
        lower = reach_v2 < lowered_v2[rows]
        rows = rows[lower]
        lowered_v2[rows] = reach_v2[lower]
        rows = rows[rows > 0] - 1
    return lowered_v2[:-1]


def _reached(
    starts_v2: Floats, linked: Bools, delta_v2: Floats, slowest_v2: Floats | None = None
) -> Floats:
    """Return (S,) the highest starts that can be reached by speeding up over the segment before.

    Parameters
    ----------
    starts_v2, linked, delta_v2 : (S,)
        As for :func:`_braked`.
    slowest_v2 : (S,)
        At which a segment begins even if that is not reached, mm²/s²; ``None`` is rest.
    """
    if slowest_v2 is None:
        slowest_v2 = np.zeros(len(starts_v2))
    lowered_v2 = starts_v2.copy()
    reach_v2 = np.maximum(starts_v2[:-1] + delta_v2[:-1], slowest_v2[1:])
    slow = linked[:-1] & (reach_v2 < starts_v2[1:])
    rows = np.flatnonzero(slow & ~np.append(False, slow[:-1]))
    while len(rows):
        after = rows + 1
        reach_v2 = np.maximum(lowered_v2[rows] + delta_v2[rows], slowest_v2[after])
        lower = reach_v2 < lowered_v2[after]
        rows = after[lower]
        lowered_v2[rows] = reach_v2[lower]
        rows = rows[linked[rows] & (rows < len(linked) - 1)]
    return lowered_v2


def buffered_look_ahead(
    max_start_v2: Floats,
    slowest_v2: Floats,
    known_v2: Floats,
    delta_v2: Floats,
    resumes: Bools,
    exempt: Bools,
    blocks: int | None = None,
) -> tuple[Floats, Floats]:
    """Return squared entry and exit speeds of blocks as Marlin's planner plans them.

    While a block runs, its entry and exit stand; of those behind it, a full ring of 16 then
    knows 14. So an entry was planned with the 13 blocks known that begin there; the second
    block after a rest, when the queue had filled up, with one more.

    Parameters
    ----------
    max_start_v2 : (B,)
        Highest squared speed where a block begins, mm²/s².
    slowest_v2 : (B,)
        At which the queue's last block ends, and at which a block after a rest begins, mm²/s².
    known_v2 : (B,)
        At which a block may end that is the last one known, mm²/s²; at least the slowest.
    delta_v2 : (B,)
        2·a·d, mm²/s².
    resumes : (B,)
        Whether the queue had run empty before the block.
    exempt : (B,)
        Whether the block after is entered at its highest speed even if this one cannot reach it.
    blocks
        Size of the planner's ring; ``None`` is the whole file.

    Returns
    -------
    tuple
        (B,) entry and (B,) exit speeds, squared, mm²/s²; an exit may exceed what is reached.

    References
    ----------
    Marlin 2.1 `planner.cpp`, `Planner::recalculate`.
    """
    ends = np.append(resumes[1:], True)
    entry_v2 = np.where(resumes, slowest_v2, max_start_v2)
    if blocks is None:
        entry_v2 = _braked(entry_v2, slowest_v2, ~ends, delta_v2)
    else:
        entry_v2 = _backward_ring(entry_v2, slowest_v2, known_v2, delta_v2, ends, blocks)
    entry_v2 = np.where(resumes, slowest_v2, entry_v2)
    entry_v2 = _reached(entry_v2, ~(ends | exempt), delta_v2, slowest_v2)
    return entry_v2, np.where(ends, slowest_v2, np.append(entry_v2[1:], 0.0))


def _backward_ring(
    max_start_v2: Floats,
    slowest_v2: Floats,
    known_v2: Floats,
    delta_v2: Floats,
    ends: Bools,
    blocks: int,
) -> Floats:
    def braking(next_start_v2: Floats) -> Floats:
        after = np.where(ends, slowest_v2, np.append(next_start_v2[1:], 0.0))
        return np.minimum(max_start_v2, after + delta_v2)

    allowed_v2 = np.minimum(max_start_v2, known_v2 + delta_v2)
    for _ in range(blocks - 4):
        allowed_v2 = braking(allowed_v2)
    second = np.concatenate([[False, True], ends[:-2]])[: len(ends)]
    return np.where(second, braking(allowed_v2), allowed_v2)


def smoothed_look_ahead(
    max_junction_v2: Floats,
    max_cruise_v2: Floats,
    delta_v2: Floats,
    smoothed_delta_v2: Floats,
    capped: bool = False,
) -> tuple[Floats, Floats, Floats]:
    """Return squared entry, cruise and exit speeds under Klipper's minimum cruise ratio.

    A second look-ahead with a lower acceleration limits the peak speed, so that short
    moves cruise for part of their length instead of only speeding up and slowing down.

    Parameters
    ----------
    max_junction_v2 : (S,)
        Highest squared speed at the start of each segment; the print ends at rest.
    max_cruise_v2 : (S,)
        Highest squared speed within the segment.
    delta_v2, smoothed_delta_v2 : (S,)
        2·a·d with the full acceleration, and with the one that smooths.
    capped
        Whether a peak that slows the moves up to it is no higher than its own move's highest
        speed, as before 2025-09.

    Returns
    -------
    entry, cruise, exit : (S,)
        Squared speeds, mm²/s².

    References
    ----------
    Klipper `klippy/toolhead.py`, `LookAheadQueue.flush`, before and after commit 41901ec.
    """
    follows = np.append(np.ones(len(delta_v2) - 1, dtype=bool), False)
    starts_v2 = np.minimum(max_junction_v2, np.append(0.0, np.full(len(delta_v2) - 1, np.inf)))
    starts_v2 = _reached(starts_v2, follows, delta_v2)
    smoothed_v2 = _reached(starts_v2, follows, smoothed_delta_v2)
    rest_v2 = np.zeros(len(delta_v2))
    begins_v2 = _braked(starts_v2, rest_v2, follows, delta_v2)
    smoothed_v2 = _braked(smoothed_v2, rest_v2, follows, smoothed_delta_v2)
    ends_v2, smoothed_end_v2 = (np.append(v2[1:], 0.0) for v2 in (begins_v2, smoothed_v2))
    smoothed_reach_v2 = smoothed_end_v2 + smoothed_delta_v2
    speeds_up = smoothed_v2 < smoothed_reach_v2
    # A move that speeds up brings a top of its own if it can slow down again, or is the last
    # before moves that cannot; else the next one's holds.
    own = (smoothed_v2 + smoothed_delta_v2 > smoothed_end_v2) | ~np.append(speeds_up[1:], True)
    tops_v2 = 0.5 * (smoothed_v2 + smoothed_reach_v2)
    if capped:
        tops_v2 = np.minimum(tops_v2, max_cruise_v2)
    tops_v2 = _next(tops_v2, speeds_up & own)
    peaks_v2 = np.minimum(0.5 * (begins_v2 + (ends_v2 + delta_v2)), max_cruise_v2)
    at_most_v2 = _held(np.minimum(peaks_v2, tops_v2), begins_v2, speeds_up)
    return np.minimum(begins_v2, at_most_v2), at_most_v2, np.minimum(ends_v2, at_most_v2)


def _next(values: Floats, marked: Bools) -> Floats:
    """Return (S,) the value of the next row that is marked, itself included; 0 behind the last."""
    count = len(values)
    rows = np.where(marked, np.arange(count), count)
    rows = np.minimum.accumulate(rows[::-1])[::-1]
    return np.append(values, 0.0)[rows]


def _held(peaks_v2: Floats, begins_v2: Floats, speeds_up: Bools) -> Floats:
    """Return (S,) the speed that each move cruises at, squared, mm²/s².

    A move that cannot speed up goes on as fast as the one before it went, at rest before the
    first, and no faster than it begins.
    """
    held_v2 = np.where(speeds_up, peaks_v2, np.inf)
    held_v2[:1] = np.where(speeds_up[:1], peaks_v2[:1], np.minimum(begins_v2[:1], 0.0))
    rows = np.flatnonzero(speeds_up[:-1] & ~speeds_up[1:])
    rows = rows if speeds_up[0] or len(speeds_up) < 2 else np.append(0, rows)
    while len(rows):
        rows = rows[rows < len(speeds_up) - 1] + 1
        rows = rows[~speeds_up[rows]]
        held_v2[rows] = np.minimum(held_v2[rows - 1], begins_v2[rows])
    return held_v2
