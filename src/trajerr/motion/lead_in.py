"""From where on a print is simulated, so that a part of it starts as it does in the print."""

import numpy as np

from trajerr.motion.planner import Plan
from trajerr.motion.rests import after_rest

LEAD_IN_S = 1.0  # of motion of each axis: five settling times of a soft printer
LONGEST_S = 60.0  # on the clock: an axis that rested for longer is taken as settled


def lead_in(motion_plan: Plan, begin: float) -> float:
    """Return the latest time, s, from which each axis moves for a lead-in before ``begin``.

    Standing still does not count: friction holds a resting carriage where it stopped, so only
    motion makes the plant forget where it was started. But a file may let an axis rest for
    hours before, in which another creeps along or z goes a long way: the search ends after
    :data:`LONGEST_S`, and what then remains does not begin with a long rest.
    """
    start = _motion_begin(motion_plan, begin)
    if begin - start <= LONGEST_S:
        return start
    return after_rest(motion_plan, begin - LONGEST_S, begin)


def _motion_begin(motion_plan: Plan, begin: float) -> float:
    """Return the latest start of a segment, s, from which each axis moves for a lead-in."""
    last = int(np.searchsorted(motion_plan.start_time, begin))
    width = 1024  # segments to look back over, widened until they hold enough motion
    while True:
        past = slice(max(0, last - width), last)
        moving = motion_plan.segments.direction[past, :2] != 0.0
        spent = np.where(moving, motion_plan.duration[past, None], 0.0)
        left = np.cumsum(spent[::-1], axis=0)[::-1]  # motion of each axis from a segment on
        enough = np.flatnonzero(np.all(left >= LEAD_IN_S, axis=1))
        if len(enough):
            return float(motion_plan.start_time[past][enough[-1]])
        if width >= last:
            return 0.0
        width *= 8
