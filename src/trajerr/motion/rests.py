"""Long rests, of which physics remembers no more than their beginning: left out of the clock.

Knows plans. A pause of an hour is as good as one of seconds once the carriage has settled, and so
is an hour in which z or the extruder moves alone; neither may cost samples.
"""

from dataclasses import replace

import numpy as np

from trajerr.arrays import Floats
from trajerr.motion.planner import Plan

LONGEST_REST_S = 10.0  # ten times the settling time of a soft and hardly damped carriage


def without_long_rests(planned: Plan, longest: float = LONGEST_REST_S) -> Plan:
    """Return the same motion with each pause cut to a longest one.

    Segments and moves stay the same in number and order; only when they run changes. The
    program's pauses are cut, too, so that what is planned from it keeps the same clock.

    Parameters
    ----------
    planned
        A program's motion.
    longest
        s.
    """
    if not np.any(planned.segments.hold > longest):
        return planned
    hold = np.minimum(planned.segments.hold, longest)
    duration = np.where(planned.segments.is_motion, planned.duration, hold)
    moves = planned.program.moves
    moves = replace(moves, pause=np.minimum(moves.pause, longest))
    return replace(
        planned,
        program=replace(planned.program, moves=moves),
        segments=replace(planned.segments, hold=hold),
        duration=duration,
    )


def on_the_clock(planned: Plan, shortened: Plan, time: Floats) -> Floats:
    """Return when a plan does what it does at given times without its long rests.

    Parameters
    ----------
    planned
        The whole plan.
    shortened
        :func:`without_long_rests` of it.
    time : (N,)
        s of the shortened plan.

    Returns
    -------
    (N,)
        s of the whole plan.
    """
    index = shortened.segment_at(time)
    return np.asarray(time + (planned.start_time - shortened.start_time)[index])


def busy_span(planned: Plan, layer: int, longest: float = LONGEST_REST_S) -> tuple[float, float]:
    """Return when a layer begins and ends, s, without a long rest before its planar motion.

    A layer begins where the one before it ends, so a way along z of many minutes belongs to it.

    Parameters
    ----------
    planned
        A program's motion.
    layer
        Its number; 1 is the first.
    longest
        s of rest that stay.

    Raises
    ------
    GcodeError
        If the program has no motion in that layer.
    """
    begin, end = planned.layer_span(layer)
    return after_rest(planned, begin, end, longest), end


def after_rest(planned: Plan, begin: float, end: float, longest: float = LONGEST_REST_S) -> float:
    """Return a time, s, from ``begin`` to ``end``, so that planar motion follows soon after it.

    Parameters
    ----------
    planned
        A program's motion.
    begin, end
        s.
    longest
        s of rest that stay where there were more.
    """
    first = int(planned.segment_at(np.array([begin]))[0])
    last = np.searchsorted(planned.start_time, end)
    planar = np.any(planned.segments.direction[first:last, :2] != 0.0, axis=1)
    moves = planned.start_time[first + int(np.argmax(planar))] if np.any(planar) else end
    return max(begin, float(moves) - longest)
