"""Where a correction may act: fully on walls, fading out in what surrounds them.

Knows moves and the times at which they run. A correction is a planar offset that depends
on time. It must be zero wherever a line of the file stays as it is, and constant while the
nozzle stands still in the plane, since retractions pass byte for byte.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from itertools import pairwise

import numpy as np

from trajerr.arrays import Bools, Floats, Ints
from trajerr.gcode.program import MoveKind, Moves

SHORTEST_FADE = 0.025  # s, over which it fades inside a wall that nothing free surrounds
STILL = 1e-9  # mm; what moves less in the plane stands still
ROUNDING = 1e-9  # s, of sums of durations


class Role(IntEnum):
    """What a correction may do during a move."""

    FIXED = 0  # the line stays as it is: the correction is zero
    HELD = 1  # no planar motion: the correction stays what it is
    FREE = 2  # travel: the correction may fade
    CORRECTED = 3  # the correction acts


def roles(moves: Moves, features: Collection[int], layers: Collection[int]) -> Ints:
    """Return what a correction may do during each move; (M,) of :class:`Role`.

    Parameters
    ----------
    moves
        All moves of a program.
    features
        The feature types to correct.
    layers
        The layers to correct; moves of others stay fixed.
    """
    planar = np.linalg.norm(moves.end[:, :2] - moves.start[:, :2], axis=1)
    still = (planar < STILL) & (moves.sweep == 0.0)
    wanted = moves.is_extruding & np.isin(moves.feature, list(features))
    role = np.where(wanted, Role.CORRECTED, np.where(moves.is_extruding, Role.FIXED, Role.FREE))
    role = np.where(still, Role.HELD, role)
    # A shifted planar zero would carry the correction along for the rest of the file.
    shifted = np.zeros(len(moves), dtype=bool)
    shifted[1:] = np.any(moves.origin[1:, :2] != moves.origin[:-1, :2], axis=1)
    homing = (moves.kind == MoveKind.PAUSE) & ~still
    fixed = ~np.isin(moves.layer, list(layers)) | shifted | homing | moves.whole
    return np.where(fixed, Role.FIXED, role).astype(np.int64)


@dataclass(frozen=True)
class Hold:
    """An interval in which the nozzle stands still in the plane."""

    start: float  # s
    end: float  # s
    before: int  # role of the move before
    after: int  # role of the move after


@dataclass(frozen=True)
class CorrectionRegion:
    """How much of a correction acts at each instant.

    The weight is a smoothed polygon over *motion time*, which leaves out what stands still,
    so that a fade never spends itself during a retraction.
    """

    time: Floats  # (M + 1,) s, when moves begin, and the end
    elapsed: Floats  # (M + 1,) s of planar, changeable motion until then
    corner: Floats  # (K,) s of motion time
    ramp: Floats  # (K,) 0..1 at the corners
    holds: tuple[Hold, ...]

    @cached_property
    def _starts(self) -> Floats:
        return np.array([hold.start for hold in self.holds])

    @cached_property
    def _ends(self) -> Floats:
        return np.array([hold.end for hold in self.holds])

    def weight(self, time: Floats) -> Floats:
        """Return the weight at given times; (N,) 0..1, smooth where it begins and ends."""
        if not len(self.corner):
            return np.zeros(len(time))
        ramp = np.interp(np.interp(time, self.time, self.elapsed), self.corner, self.ramp)
        return _smooth(ramp)

    def stretches(self) -> Floats:
        """Return (S, 2) the intervals, in s, outside of which the correction is zero."""
        if not len(self.corner):
            return np.zeros((0, 2))
        active = (self.ramp[:-1] > 0.0) | (self.ramp[1:] > 0.0)
        edge = np.diff(np.concatenate([[0], active.astype(np.int64), [0]]))
        begin = self.corner[np.flatnonzero(edge == 1)]
        finish = self.corner[np.flatnonzero(edge == -1)]
        # The latest instant at which the motion begins, the earliest at which it is done.
        late = np.searchsorted(self.elapsed, begin + ROUNDING, side="right") - 1
        early = np.maximum(np.searchsorted(self.elapsed, finish - ROUNDING, side="left") - 1, 0)
        return np.column_stack(
            [
                self.time[late] + np.maximum(begin - self.elapsed[late], 0.0),
                np.minimum(self.time[early] + finish - self.elapsed[early], self.time[early + 1]),
            ]
        )

    def hold_at(self, time: Floats) -> Ints:
        """Return (N,) the hold under way at given times, counted from the first; -1 outside."""
        if not self.holds:
            return np.full(len(time), -1, dtype=np.int64)
        after = np.searchsorted(self._starts, time, side="right") - 1
        inside = (after >= 0) & (time < self._ends[np.maximum(after, 0)])
        first = after[inside].min(initial=len(self.holds))
        return np.where(inside, after - first, -1)

    def settle(self, correction: Floats, time: Floats) -> None:
        """Make a correction constant in each hold and continuous around it, in place.

        Parameters
        ----------
        correction : (N, 2)
            mm, at ``time``.
        time : (N,)
            s, increasing, uniform.
        """
        first, last = np.searchsorted(self._starts, time[[0, -1]]) if len(time) else (0, 0)
        begin, finish = max(int(first) - 1, 0), int(last)
        for number in range(begin, finish):
            # What surrounds a hold reaches to its neighbours, which stay as they are.
            low = self.holds[number - 1].end if number > 0 else -np.inf
            high = self.holds[number + 1].start if number + 1 < len(self.holds) else np.inf
            _settle_hold(correction, time, self.holds[number], (low, high))

    def offset(self, correction: Floats, time: Floats) -> Callable[[Floats], Floats]:
        """Return a settled correction as a function of time that is exact at holds and ends.

        Parameters
        ----------
        correction : (N, 2)
            mm, at ``time``; settled.
        time : (N,)
            s, increasing, uniform.
        """
        held = np.array([(hold.start, hold.end) for hold in self.holds]).reshape(-1, 2)
        inside = np.array([_value_in(correction, time, h) for h in self.holds]).reshape(-1, 2)
        edges = self.stretches().ravel()
        times = np.concatenate([time, held[:, 0], held[:, 1], edges])
        values = np.concatenate([correction, inside, inside, np.zeros((len(edges), 2))])
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]

        def at_times(wanted: Floats) -> Floats:
            return np.column_stack([np.interp(wanted, times, values[:, i]) for i in range(2)])

        return at_times


def find_region(start: Floats, end: Floats, role: Ints, fade: float) -> CorrectionRegion:
    """Return where a correction may act, for moves that run at given times.

    Parameters
    ----------
    start, end : (M,)
        When each move begins and ends, s.
    role : (M,)
        What a correction may do during each move, :class:`Role`.
    fade
        How long a correction takes to fade in a travel, s of motion.
    """
    moving = (role == Role.FREE) | (role == Role.CORRECTED)
    elapsed = np.concatenate([[0.0], np.cumsum(np.where(moving, end - start, 0.0))])
    corners: list[tuple[float, float]] = []
    for first, last in _runs(role != Role.FIXED):
        walls = [
            (elapsed[first + a], elapsed[first + b])
            for a, b in _runs(role[first:last] == Role.CORRECTED)
        ]
        if walls:
            corners += _corners(walls, elapsed[first], elapsed[last], fade)
    table = np.array(corners).reshape(-1, 2)
    time = np.concatenate([start, end[-1:]])
    return CorrectionRegion(time, elapsed, table[:, 0], table[:, 1], _holds(start, end, role))


def _runs(mask: Bools) -> list[tuple[int, int]]:
    """Return (first, one past last) of each run of true values."""
    edge = np.diff(np.concatenate([[0], mask.astype(np.int64), [0]]))
    starts, ends = np.flatnonzero(edge == 1), np.flatnonzero(edge == -1)
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def _corners(
    walls: list[tuple[float, float]], begin: float, finish: float, fade: float
) -> list[tuple[float, float]]:
    """Return the weight's corners over an island of changeable moves, in motion time."""
    rise = _rise(begin, walls[0][0], fade)
    fall = [(finish - t, ramp) for t, ramp in _rise(0.0, finish - walls[-1][1], fade)]
    corners = list(rise)
    for (_, done), (next_start, _) in pairwise(walls):
        corners += _between(done, next_start, fade)
    if rise[-1][0] > fall[-1][0]:  # too short to reach one: meet half-way
        middle = 0.5 * (begin + finish)
        return [(begin, 0.0), (middle, min(1.0, (middle - begin) / SHORTEST_FADE)), (finish, 0.0)]
    inside = [c for c in corners if rise[-1][0] <= c[0] <= fall[-1][0] or c in rise]
    return inside + fall[::-1]


def _rise(begin: float, wall: float, fade: float) -> list[tuple[float, float]]:
    available = wall - begin
    if available < SHORTEST_FADE:
        return [(begin, 0.0), (begin + SHORTEST_FADE, 1.0)]
    return [(begin, 0.0), (wall - min(available, fade), 0.0), (wall, 1.0)]


def _between(done: float, following: float, fade: float) -> list[tuple[float, float]]:
    gap = following - done
    if gap <= fade:
        return []
    if gap < 2.0 * fade:
        return [(done, 1.0), (done + 0.5 * gap, 1.0 - 0.5 * gap / fade), (following, 1.0)]
    return [(done, 1.0), (done + fade, 0.0), (following - fade, 0.0), (following, 1.0)]


def _holds(start: Floats, end: Floats, role: Ints) -> tuple[Hold, ...]:
    held = (role == Role.HELD) | ((role != Role.FIXED) & (end <= start))
    return tuple(
        Hold(
            float(start[first]),
            float(end[last - 1]),
            int(role[first - 1]) if first else Role.FIXED,
            int(role[last]) if last < len(role) else Role.FIXED,
        )
        for first, last in _runs(held)
        if end[last - 1] > start[first]
    )


def _settle_hold(correction: Floats, time: Floats, hold: Hold, reach: tuple[float, float]) -> None:
    """Hold a correction, and shift what surrounds the hold towards it; in place."""
    first, last = np.searchsorted(time, [hold.start, hold.end])
    low, high = np.searchsorted(time, reach)
    value = _held_value(correction, time, hold)
    before = correction[max(first - 1, 0)].copy()
    after = correction[min(last, len(correction) - 1)].copy()
    correction[first:last] = value
    _blend(correction[low:first][::-1], time, value - before)
    _blend(correction[last:high], time, value - after)


def _value_in(correction: Floats, time: Floats, hold: Hold) -> Floats:
    """Return a settled correction's value during a hold, (2,) mm."""
    first, last = np.searchsorted(time, [hold.start, hold.end])
    if first < last:
        return np.array(correction[first])
    return _held_value(correction, time, hold)


def _held_value(correction: Floats, time: Floats, hold: Hold) -> Floats:
    """Return what a correction should be during a hold, (2,) mm: what the wall beside it is."""
    first, last = np.searchsorted(time, [hold.start, hold.end])
    before = correction[max(first - 1, 0)]
    after = correction[min(last, len(correction) - 1)]
    if Role.FIXED in (hold.before, hold.after):
        return np.zeros(2)
    if hold.before == hold.after:
        return np.asarray(0.5 * (before + after))
    return np.array(after if hold.after == Role.CORRECTED else before)


def _blend(correction: Floats, time: Floats, shift: Floats) -> None:
    """Shift a correction where it leaves a hold, fading with distance; in place."""
    if not np.any(shift) or not len(correction):
        return
    count = min(int(SHORTEST_FADE / (time[1] - time[0])) + 1, len(correction))
    fading = _smooth(1.0 - np.arange(count, dtype=np.float64) / count)
    correction[:count] += shift * fading[:, None]


def _smooth(ramp: Floats) -> Floats:
    """Return 3r² − 2r³: from 0 to 1 with no slope at either end."""
    return np.asarray(ramp * ramp * (3.0 - 2.0 * ramp))
