"""Speeds at the ends of segments: what look-ahead makes of the junctions' limits.

Everything is in squared speeds, where a segment changes by at most 2·a·d. The passes
are recurrences, so they run over plain lists, which beats array elements several times.
"""

import numpy as np

from trajerr.arrays import Bools, Floats


def look_ahead(
    entry_cap: Floats,
    exit_cap: Floats,
    coupled: Bools,
    change: Floats,
    blocks: int | None = None,
) -> tuple[Floats, Floats]:
    """Return the highest squared speeds at both ends of each segment.

    Parameters
    ----------
    entry_cap, exit_cap
        (S,) highest squared speed where the segment begins and ends, mm²/s².
    coupled
        (S,) whether the next segment begins at the speed at which this one ends;
        elsewhere the machine is at rest in between.
    change
        (S,) 2·a·d, the most by which the squared speed changes, mm²/s².
    blocks
        How many segments the firmware knows while it runs one, that one included: it must
        be able to stop at the end of the last. ``None`` is all of them.

    Returns
    -------
    tuple
        (S,) entry and (S,) exit speeds, squared, mm²/s².
    """
    if blocks is None:
        allowed = _backward(entry_cap, exit_cap, coupled, change)
    else:
        allowed = _backward_window(entry_cap, exit_cap, coupled, change, blocks)
    return _forward(allowed, exit_cap, coupled, change)


def _backward(entry_cap: Floats, exit_cap: Floats, coupled: Bools, change: Floats) -> Floats:
    entries, exits = entry_cap.tolist(), exit_cap.tolist()
    joined, changes = coupled.tolist(), change.tolist()
    following = 0.0
    for i in range(len(entries) - 1, -1, -1):
        reachable = (following if joined[i] else exits[i]) + changes[i]
        if reachable < entries[i]:
            entries[i] = reachable
        following = entries[i]
    return np.array(entries)


def _backward_window(
    entry_cap: Floats, exit_cap: Floats, coupled: Bools, change: Floats, blocks: int
) -> Floats:
    """Return the entry speeds from which the segments known suffice to stop.

    A segment that starts from rest counts among its window; one that is entered at speed
    was planned while its predecessor ran, so one segment less was known of it.
    """

    def braking(following: Floats) -> Floats:
        after = np.append(following[1:], 0.0)
        return np.minimum(entry_cap, np.where(coupled, after, exit_cap) + change)

    enters = np.concatenate([[False], coupled[:-1]])
    allowed = np.zeros_like(entry_cap)
    for _ in range(blocks - 1):
        allowed = braking(allowed)
    return np.where(enters, allowed, braking(allowed))


def _forward(
    allowed: Floats, exit_cap: Floats, coupled: Bools, change: Floats
) -> tuple[Floats, Floats]:
    entries, changes, joined = allowed.tolist(), change.tolist(), coupled.tolist()
    exits = np.where(coupled, np.append(allowed[1:], 0.0), exit_cap).tolist()
    for i, joins in enumerate(joined):
        reachable = entries[i] + changes[i]
        if reachable < exits[i]:
            exits[i] = reachable
            if joins:
                entries[i + 1] = reachable
    return np.array(entries), np.array(exits)


def smoothed_look_ahead(
    junction: Floats, cruise: Floats, change: Floats, smoothed_change: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return squared entry, cruise and exit speeds under Klipper's minimum cruise ratio.

    A second look-ahead with a lower acceleration limits the peak speed, so that short
    moves cruise for part of their length instead of only speeding up and slowing down.

    Parameters
    ----------
    junction
        (S,) highest squared speed at the start of each segment; the print ends at rest.
    cruise
        (S,) highest squared speed within the segment.
    change, smoothed_change
        (S,) 2·a·d with the full acceleration, and with the one that smooths.

    Returns
    -------
    tuple
        (S,) entry, (S,) cruise and (S,) exit speeds, squared, mm²/s².

    References
    ----------
    Klipper `klippy/toolhead.py`, `LookAheadQueue.flush`.
    """
    starts = _reachable(junction.tolist(), change.tolist())
    smoothed = _reachable(starts, smoothed_change.tolist())
    begins, ends, peaks = _smoothed_backward(starts, smoothed, cruise, change, smoothed_change)
    before = 0.0
    for i, peak in enumerate(peaks):
        # A move that cannot speed up goes on as fast as the one before it went.
        before = min(before, begins[i]) if peak < 0.0 else peak
        peaks[i] = before
    at_most = np.array(peaks)
    return np.minimum(begins, at_most), at_most, np.minimum(ends, at_most)


def _reachable(caps: list[float], changes: list[float]) -> list[float]:
    """Return the squared speeds that speeding up from rest can reach at each start."""
    reached = caps.copy()
    following = 0.0
    for i, cap in enumerate(caps):
        reached[i] = min(cap, following)
        following = reached[i] + changes[i]
    return reached


def _smoothed_backward(
    starts: list[float],
    smoothed: list[float],
    cruise: Floats,
    change: Floats,
    smoothed_change: Floats,
) -> tuple[list[float], list[float], list[float]]:
    """Return entry, exit and cruise; the cruise is −1 where a move cannot speed up."""
    cruises, changes, softer = cruise.tolist(), change.tolist(), smoothed_change.tolist()
    begins, ends, peaks = starts.copy(), starts.copy(), [-1.0] * len(starts)
    following = following_smoothed = top = 0.0
    delayed = False
    for i in range(len(starts) - 1, -1, -1):
        reach = following + changes[i]
        begin = min(starts[i], reach)
        reach_smoothed = following_smoothed + softer[i]
        begin_smoothed = min(smoothed[i], reach_smoothed)
        if begin_smoothed < reach_smoothed:
            if begin_smoothed + softer[i] > following_smoothed or delayed:
                top = 0.5 * (begin_smoothed + reach_smoothed)
            peaks[i] = min(0.5 * (begin + reach), cruises[i], top)
            delayed = False
        else:
            delayed = True
        begins[i], ends[i] = begin, following
        following, following_smoothed = begin, begin_smoothed
    return begins, ends, peaks
