"""Speeds at the ends of segments: what look-ahead makes of the junctions' limits.

Everything is in squared speeds, where a segment changes by at most 2·a·d. The passes
are recurrences, so they run over plain lists, which beats array elements several times.
Names end as in :mod:`trajerr.motion.profile`.
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
        allowed_v2 = _backward(max_start_v2, max_end_v2, coupled, delta_v2)
    else:
        allowed_v2 = _backward_window(max_start_v2, max_end_v2, coupled, delta_v2, blocks)
    return _forward(allowed_v2, max_end_v2, coupled, delta_v2)


def _backward(max_start_v2: Floats, max_end_v2: Floats, coupled: Bools, delta_v2: Floats) -> Floats:
    starts_v2, ends_v2 = max_start_v2.tolist(), max_end_v2.tolist()
    joined, deltas_v2 = coupled.tolist(), delta_v2.tolist()
    next_start_v2 = 0.0
    for i in range(len(starts_v2) - 1, -1, -1):
        reachable_v2 = (next_start_v2 if joined[i] else ends_v2[i]) + deltas_v2[i]
        if reachable_v2 < starts_v2[i]:
            starts_v2[i] = reachable_v2
        next_start_v2 = starts_v2[i]
    return np.array(starts_v2)


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


def _forward(
    allowed_v2: Floats, max_end_v2: Floats, coupled: Bools, delta_v2: Floats
) -> tuple[Floats, Floats]:
    starts_v2, deltas_v2, joined = allowed_v2.tolist(), delta_v2.tolist(), coupled.tolist()
    ends_v2 = np.where(coupled, np.append(allowed_v2[1:], 0.0), max_end_v2).tolist()
    for i, joins in enumerate(joined):
        reachable_v2 = starts_v2[i] + deltas_v2[i]
        if reachable_v2 < ends_v2[i]:
            ends_v2[i] = reachable_v2
            if joins:
                starts_v2[i + 1] = reachable_v2
    return np.array(starts_v2), np.array(ends_v2)


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
        entry_v2 = _braked(entry_v2, slowest_v2, delta_v2, ends)
    else:
        entry_v2 = _backward_ring(entry_v2, slowest_v2, known_v2, delta_v2, ends, blocks)
    entry_v2 = np.where(resumes, slowest_v2, entry_v2)
    entry_v2 = _reached(entry_v2, slowest_v2, delta_v2, ends | exempt)
    return entry_v2, np.where(ends, slowest_v2, np.append(entry_v2[1:], 0.0))


def _braked(max_start_v2: Floats, slowest_v2: Floats, delta_v2: Floats, ends: Bools) -> Floats:
    """Return (B,) entry speeds from which each block can slow down to the next one's.

    Only blocks that cannot, and those before them in turn, are looked at one by one.
    """
    after_v2 = np.where(ends, slowest_v2, np.append(max_start_v2[1:], 0.0))
    fast = np.flatnonzero(after_v2 + delta_v2 < max_start_v2)
    starts_v2, deltas_v2 = max_start_v2.tolist(), delta_v2.tolist()
    stands, slowest = ends.tolist(), slowest_v2.tolist()
    for row in fast[::-1].tolist():
        i = row
        while i >= 0:
            reach_v2 = (slowest[i] if stands[i] else starts_v2[i + 1]) + deltas_v2[i]
            if not reach_v2 < starts_v2[i]:
                break
            starts_v2[i] = reach_v2
            i -= 1
    return np.array(starts_v2)


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


def _reached(allowed_v2: Floats, slowest_v2: Floats, delta_v2: Floats, parts: Bools) -> Floats:
    """Return (B,) entry speeds that can be reached; beyond a block that parts, as allowed."""
    slow = ~parts[:-1] & (allowed_v2[:-1] + delta_v2[:-1] < allowed_v2[1:])
    entries_v2, deltas_v2, parted = allowed_v2.tolist(), delta_v2.tolist(), parts.tolist()
    slowest = slowest_v2.tolist()
    for row in np.flatnonzero(slow).tolist():
        i = row
        while not parted[i]:
            reached_v2 = max(entries_v2[i] + deltas_v2[i], slowest[i + 1])
            if not reached_v2 < entries_v2[i + 1]:
                break
            i += 1
            entries_v2[i] = reached_v2
    return np.array(entries_v2)


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
    starts_v2 = _reachable(max_junction_v2.tolist(), delta_v2.tolist())
    smoothed_v2 = _reachable(starts_v2, smoothed_delta_v2.tolist())
    begins_v2, ends_v2, peaks_v2 = _smoothed_backward(
        starts_v2,
        smoothed_v2,
        max_cruise_v2.tolist(),
        delta_v2.tolist(),
        smoothed_delta_v2.tolist(),
        capped,
    )
    before = 0.0
    for i, peak_v2 in enumerate(peaks_v2):
        # A move that cannot speed up goes on as fast as the one before it went.
        before = min(before, begins_v2[i]) if peak_v2 < 0.0 else peak_v2
        peaks_v2[i] = before
    at_most_v2 = np.array(peaks_v2)
    return np.minimum(begins_v2, at_most_v2), at_most_v2, np.minimum(ends_v2, at_most_v2)


def _reachable(caps_v2: list[float], deltas_v2: list[float]) -> list[float]:
    """Return the squared speeds that speeding up from rest can reach at each start."""
    reached_v2 = caps_v2.copy()
    next_start_v2 = 0.0
    for i, cap_v2 in enumerate(caps_v2):
        reached_v2[i] = min(cap_v2, next_start_v2)
        next_start_v2 = reached_v2[i] + deltas_v2[i]
    return reached_v2


def _smoothed_backward(
    starts_v2: list[float],
    smoothed_v2: list[float],
    cruises_v2: list[float],
    deltas_v2: list[float],
    softer_v2: list[float],
    capped: bool,
) -> tuple[list[float], list[float], list[float]]:
    """Return entry, exit and cruise; the cruise is −1 where a move cannot speed up."""
    begins_v2, ends_v2, peaks_v2 = starts_v2.copy(), starts_v2.copy(), [-1.0] * len(starts_v2)
    next_start_v2 = next_smoothed_v2 = top_v2 = 0.0
    delayed = False
    for i in range(len(starts_v2) - 1, -1, -1):
        reach_v2 = next_start_v2 + deltas_v2[i]
        start_v2 = min(starts_v2[i], reach_v2)
        smoothed_reach_v2 = next_smoothed_v2 + softer_v2[i]
        smoothed_start_v2 = min(smoothed_v2[i], smoothed_reach_v2)
        if smoothed_start_v2 < smoothed_reach_v2:
            if smoothed_start_v2 + softer_v2[i] > next_smoothed_v2 or delayed:
                top_v2 = 0.5 * (smoothed_start_v2 + smoothed_reach_v2)
                if capped and cruises_v2[i] < top_v2:
                    top_v2 = cruises_v2[i]
            peaks_v2[i] = min(0.5 * (start_v2 + reach_v2), cruises_v2[i], top_v2)
            delayed = False
        else:
            delayed = True
        begins_v2[i], ends_v2[i] = start_v2, next_start_v2
        next_start_v2, next_smoothed_v2 = start_v2, smoothed_start_v2
    return begins_v2, ends_v2, peaks_v2
