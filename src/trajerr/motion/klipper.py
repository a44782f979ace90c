"""How Klipper moves: which limits bind a move, how corners are taken, how peaks are smoothed.

Knows the rules of three spans of builds (:data:`~trajerr.motion.limits.Firmware`), which differ
in what smooths peaks and near straight lines and reversals. Does not know time.

References
----------
Klipper, ``klippy/toolhead.py``: ``Move``, ``LookAheadQueue.flush`` (``MoveQueue`` in 0.12);
``klippy/kinematics/extruder.py``, ``PrinterExtruder.check_move``;
``klippy/kinematics/cartesian.py``, ``check_move`` (z alone has limits; CoreXY alike).
"""

import numpy as np

from trajerr.arrays import Bools, Floats
from trajerr.motion import junction
from trajerr.motion.limits import LimitTable, MachineLimits
from trajerr.motion.lookahead import look_ahead, smoothed_look_ahead
from trajerr.motion.segments import Segments

SQUARE_CORNER = np.sqrt(2.0) - 1.0  # deviation of a square corner, per scv²/a
# Half of the flattest and of the sharpest angle that 0.12 tells from straight on and from back,
# by their cosine and sine: its angles' cosines stay within ±0.999999.
LEAST_HALF_0_12 = np.sqrt(0.5e-6)


def within_limits(segments: Segments, table: LimitTable, feedrate: Floats) -> tuple[Floats, Floats]:
    """Return the highest speed and the acceleration that each segment is allowed.

    The extruder has limits where it moves without x and y, and where filament goes back (wipes);
    what prints is bound by the head's alone.

    Parameters
    ----------
    segments
        S segments.
    table
        The limits in force for each.
    feedrate : (S,)
        As asked for, mm/s.

    Returns
    -------
    tuple
        (S,) speed in mm/s and (S,) acceleration in mm/s².
    """
    share = np.abs(segments.direction)
    bound = share > 0.0
    alone = bound[:, 3] & ~bound[:, :3].any(axis=1)
    bound[:, 3] &= ~bound[:, :2].any(axis=1) | (segments.direction[:, 3] < 0.0)
    with np.errstate(divide="ignore"):
        axis_speed = np.where(bound, table.max_velocity / share, np.inf).min(axis=1)
        axis_rate = np.where(bound, table.max_acceleration / share, np.inf).min(axis=1)
    along_speed = np.where(alone, np.inf, table.path_velocity)
    along_rate = np.where(alone, np.inf, _full_acceleration(segments, table))
    speed = np.minimum.reduce([feedrate, axis_speed, along_speed])
    return speed, np.minimum(axis_rate, along_rate)


def end_speeds(
    segments: Segments,
    table: LimitTable,
    nominal: Floats,
    acceleration: Floats,
    stops: Bools,
    limits: MachineLimits,
) -> tuple[Floats, Floats, Floats]:
    """Return squared entry, cruise and exit speeds of each segment.

    Parameters
    ----------
    segments
        S segments.
    table
        The limits in force for each.
    nominal, acceleration : (S,)
        As :func:`within_limits` allows, mm/s and mm/s².
    stops : (S,)
        Whether the machine is at rest before the segment.
    limits
        The machine's own: which build it runs, and how many moves it knows ahead.

    Returns
    -------
    tuple
        (S,) each, mm²/s².
    """
    full = _full_acceleration(segments, table)
    old = limits.firmware == "klipper_0_12"
    junction_v2 = junction.square_corner(
        segments.direction,
        segments.distance,
        nominal,
        acceleration,
        table.square_corner_velocity**2 * SQUARE_CORNER / full,
        limits.extruder_corner_velocity_mm_s,
        LEAST_HALF_0_12 if old else 0.0,
    )
    junction_v2[stops] = 0.0
    delta_v2 = 2.0 * acceleration * segments.distance
    if limits.lookahead_blocks is not None:
        coupled = np.append(~stops[1:], False)
        ends_v2 = np.append(junction_v2[1:], 0.0)
        junction_v2, _ = look_ahead(
            junction_v2, ends_v2, coupled, delta_v2, limits.lookahead_blocks
        )
    ratio = 0.0 if old else table.minimum_cruise_ratio
    softer = np.minimum(full * (1.0 - ratio), table.max_accel_to_decel)
    return smoothed_look_ahead(
        junction_v2,
        nominal**2,
        delta_v2,
        np.minimum(delta_v2, 2.0 * softer * segments.distance),
        capped=limits.firmware != "klipper",
    )


def _full_acceleration(segments: Segments, table: LimitTable) -> Floats:
    """Return (S,) what Klipper calls ``max_accel``, mm/s², while a segment is planned."""
    extrudes = segments.direction[:, 3] != 0.0
    return np.where(extrudes, table.print_acceleration, table.travel_acceleration)
