"""From where on a print is simulated, so that a part of it starts as it does in the print."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from trajerr.arrays import Floats
from trajerr.motion.planner import Plan
from trajerr.motion.rests import LONGEST_REST_S, after_rest, busy_span, without_long_rests
from trajerr.motion.sampling import sample_around, sample_pieces
from trajerr.motion.trajectory import Trajectory

LEAD_IN_S = 1.0  # of motion of each axis: five settling times of a soft printer
LONGEST_S = 60.0  # on the clock: an axis that rested for longer is taken as settled
LEAP_MM_S = 300.0  # change of speed from sample to sample that no machine makes


@dataclass(frozen=True)
class LayerMotion:
    """One layer of a print and the lead-in before it, on a clock without long rests."""

    planned: Plan  # the whole print without its long rests
    start: float  # s, where the lead-in begins
    begin: float  # s, where the layer begins
    end: float  # s

    @classmethod
    def of(cls, planned: Plan, layer: int, longest: float = LONGEST_REST_S) -> Self:
        """Find a layer in a plan.

        Parameters
        ----------
        planned
            A program's motion.
        layer
            Its number; 1 is the first.
        longest
            s that stay of a rest.

        Raises
        ------
        GcodeError
            If the program has no motion in that layer.
        """
        moving = without_long_rests(planned, longest)
        begin, end = busy_span(moving, layer, longest)
        return cls(moving, lead_in(moving, begin), begin, end)

    def pieces(self, rate: float, beyond: float = 0.0) -> Iterator[Trajectory]:
        """Sample it at a rate in Hz, from its lead-in to ``beyond`` s after it, piece by piece."""
        return sample_pieces(self.planned, rate, self.start, self.end + beyond)

    def pieces_around(self, rate: float, margin: float) -> Iterator[tuple[Trajectory, slice]]:
        """Sample it likewise, each piece with ``margin`` s of what surrounds it, and its rows."""
        return sample_around(self.planned, rate, self.start, self.end, margin)


def lead_in_row(position: Floats, begin: int, rate: float) -> int:
    """Return from which row of a record on each axis moves for a lead-in before row ``begin``.

    :func:`lead_in` for motion of which samples are all that is known. An axis that rests all
    the while, as one that a log does not have, is not waited for. Where the record leaps, as from
    one print to the next, a lead-in begins after it at the earliest.

    Parameters
    ----------
    position : (N, A)
        Commanded, mm.
    begin
        The first row that counts.
    rate
        Hz.
    """
    earliest = max(0, begin - round(LONGEST_S * rate))
    earliest += _after_leaps(position[earliest : begin + 1], rate)
    moving = np.diff(position[earliest : begin + 1], axis=0) != 0.0
    moving = moving[:, np.any(moving, axis=0)]
    if not moving.size:
        return begin
    left = np.cumsum(moving[::-1], axis=0)[::-1] / rate  # motion of each axis from a row on
    enough = np.flatnonzero(np.all(left >= LEAD_IN_S, axis=1))
    first = enough[-1] if len(enough) else np.argmax(np.any(moving, axis=1))
    return earliest + int(first)


def _after_leaps(position: Floats, rate: float) -> int:
    """Return the first row from which on (N, A) positions in mm go on without a leap."""
    steps = np.diff(position, axis=0, prepend=position[:1])
    turns = np.abs(np.diff(steps, axis=0, prepend=steps[:1])) * rate
    leaps = np.flatnonzero(np.any(turns > LEAP_MM_S, axis=1))
    return int(leaps[-1]) if len(leaps) else 0


def lead_in(planned: Plan, begin: float) -> float:
    """Return the latest time, s, from which each axis moves for a lead-in before ``begin``.

    Standing still does not count: friction holds a resting carriage where it stopped, so only
    motion makes the plant forget where it was started. But a file may let an axis rest for
    hours before, in which another creeps along or z goes a long way: the search ends after
    :data:`LONGEST_S`, and what then remains does not begin with a long rest.
    """
    start = _motion_begin(planned, begin)
    if begin - start <= LONGEST_S:
        return start
    return after_rest(planned, begin - LONGEST_S, begin)


def _motion_begin(planned: Plan, begin: float) -> float:
    """Return the latest start of a segment, s, from which each axis moves for a lead-in."""
    last = int(np.searchsorted(planned.start_time, begin))
    width = 1024  # segments to look back over, widened until they hold enough motion
    while True:
        past = slice(max(0, last - width), last)
        moving = planned.segments.direction[past, :2] != 0.0
        spent = np.where(moving, planned.duration[past, None], 0.0)
        left = np.cumsum(spent[::-1], axis=0)[::-1]  # motion of each axis from a segment on
        enough = np.flatnonzero(np.all(left >= LEAD_IN_S, axis=1))
        if len(enough):
            return float(planned.start_time[past][enough[-1]])
        if width >= last:
            return 0.0
        width *= 8
