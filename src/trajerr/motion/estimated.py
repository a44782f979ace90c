"""Marlin as slicers' estimators reckon with it: classic jerk, without the firmware's own slips.

No firmware runs so: nothing is merged or rounded to steps, junctions are as fast as limits
allow, and the whole file is known ahead. It is what PrusaSlicer's ``GCodeProcessor.cpp`` plans.
"""

import numpy as np

from trajerr.arrays import Bools, Floats
from trajerr.motion.junction import classic_jerk_estimated, safe_speed
from trajerr.motion.limits import LimitTable, MachineLimits
from trajerr.motion.lookahead import look_ahead
from trajerr.motion.profile import peak_v2
from trajerr.motion.segments import Segments


def within_limits(segments: Segments, table: LimitTable, feedrate: Floats) -> tuple[Floats, Floats]:
    """Return (S,) nominal speed in mm/s and (S,) acceleration in mm/s² of each segment."""
    share = np.abs(segments.direction)
    moves_head = share[:, :3].any(axis=1)
    extrudes = share[:, 3] > 0.0
    slowest = np.where(extrudes, table.min_print_velocity, table.min_travel_velocity)
    with np.errstate(divide="ignore"):
        axis_speed = np.where(share > 0.0, table.max_velocity / share, np.inf).min(axis=1)
        axis_rate = np.where(share > 0.0, table.max_acceleration / share, np.inf).min(axis=1)
    nominal = np.minimum(np.maximum(feedrate, slowest), axis_speed)
    nominal = np.where(moves_head, np.minimum(nominal, table.path_velocity), nominal)
    moving = np.where(extrudes, table.print_acceleration, table.travel_acceleration)
    wanted = np.where(moves_head, moving, table.retract_acceleration)
    return nominal, np.minimum(wanted, axis_rate)


def end_speeds(
    segments: Segments,
    table: LimitTable,
    nominal: Floats,
    acceleration: Floats,
    stops: Bools,
    limits: MachineLimits,
) -> tuple[Floats, Floats, Floats]:
    """Return entry, cruise and exit speeds.

    Parameters
    ----------
    segments
        S segments.
    table
        The limits in force for each.
    nominal, acceleration : (S,)
        mm/s and mm/s².
    stops : (S,)
        Whether the machine is at rest before the segment.
    limits
        The machine's own: how many moves it knows ahead.

    Returns
    -------
    entry, cruise, exit : (S,)
        Squared speeds, mm²/s².
    """
    axis_velocity = segments.direction * nominal[:, None]
    safe = safe_speed(axis_velocity, nominal, table.jerk)
    safe = np.where(segments.is_motion, safe, 0.0)
    shared, rests = classic_jerk_estimated(axis_velocity, nominal, table.jerk, safe)
    safe_v2, stops = safe**2, stops | rests
    max_start_v2 = np.where(stops, safe_v2, shared**2)
    coupled = np.append(~stops[1:], False)
    max_end_v2 = np.where(coupled, np.append(shared[1:] ** 2, 0.0), safe_v2)
    delta_v2 = 2.0 * acceleration * segments.distance
    entry_v2, exit_v2 = look_ahead(
        max_start_v2, max_end_v2, coupled, delta_v2, limits.lookahead_blocks
    )
    return entry_v2, peak_v2(entry_v2, exit_v2, delta_v2, nominal), exit_v2
