"""One segment's speed over time in closed form: the trapezoid, and its special cases.

All functions are elementwise over arrays. Rows without acceleration are holds and stay at
rest. Where formulas mix them, names end as in Klipper's ``toolhead.py``: ``_d`` is a distance
in mm, ``_t`` a time in s, ``_v`` a speed in mm/s, ``_v2`` its square in mm²/s²; ``accel`` is
the acceleration of both ramps in mm/s².
"""

import numpy as np

from trajerr.arrays import Floats


def peak_v2(start_v2: Floats, end_v2: Floats, delta_v2: Floats, cruise_v: Floats) -> Floats:
    """Return the squared cruise speed: nominal, or the peak of a triangle, mm²/s².

    Parameters
    ----------
    start_v2, end_v2 : (S,)
        Squared speeds at the ends, mm²/s².
    delta_v2 : (S,)
        2·a·d, mm²/s².
    cruise_v : (S,)
        Nominal speed, mm/s.
    """
    highest_v2 = np.minimum(0.5 * (start_v2 + end_v2 + delta_v2), cruise_v**2)
    # Rounding must not leave the peak below an end.
    return np.maximum(highest_v2, np.maximum(start_v2, end_v2))


def trapezoid_time(
    move_d: Floats, start_v: Floats, cruise_v: Floats, end_v: Floats, accel: Floats
) -> Floats:
    """Return (S,) how long each segment takes, s.

    Parameters
    ----------
    move_d, start_v, cruise_v, end_v, accel : (S,)
        In mm, mm/s, mm/s², all of segments that move.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ramps = (2.0 * cruise_v - start_v - end_v) / accel
        on_ramps = (2.0 * cruise_v**2 - start_v**2 - end_v**2) / (2.0 * accel)
        return ramps + np.maximum(move_d - on_ramps, 0.0) / cruise_v


def travelled(
    at_t: Floats,
    move_d: Floats,
    move_t: Floats,
    start_v: Floats,
    cruise_v: Floats,
    end_v: Floats,
    accel: Floats,
) -> Floats:
    """Return (N,) how far a segment has come at a time since its start, mm.

    Parameters
    ----------
    at_t : (N,)
        s since the segment's start; beyond its ends it stays at them.
    move_d, move_t, start_v, cruise_v, end_v, accel : (N,)
        Of the segment, in mm, s, mm/s, mm/s².
    """
    gone_t = np.clip(at_t, 0.0, move_t)
    left_t = move_t - gone_t
    accel_t, decel_t = _ramps(start_v, cruise_v, end_v, accel)
    rising = gone_t * (start_v + 0.5 * accel * gone_t)
    level = accel_t * 0.5 * (start_v + cruise_v) + (gone_t - accel_t) * cruise_v
    falling = move_d - left_t * (end_v + 0.5 * accel * left_t)
    return np.where(gone_t < accel_t, rising, np.where(left_t < decel_t, falling, level))


def speed_at(
    at_t: Floats,
    move_t: Floats,
    start_v: Floats,
    cruise_v: Floats,
    end_v: Floats,
    accel: Floats,
) -> tuple[Floats, Floats]:
    """Return (N,) speed in mm/s and (N,) its rate of change in mm/s² at a time.

    Parameters
    ----------
    at_t, move_t, start_v, cruise_v, end_v, accel : (N,)
        As for :func:`travelled`; before and after a segment both are 0.
    """
    left_t = move_t - at_t
    accel_t, decel_t = _ramps(start_v, cruise_v, end_v, accel)
    rises, falls = at_t < accel_t, left_t < decel_t
    speed = np.where(rises, start_v + accel * at_t, cruise_v)
    speed = np.where(falls & ~rises, end_v + accel * left_t, speed)
    rate = np.where(rises, accel, np.where(falls, -accel, 0.0))
    within = (at_t >= 0.0) & (left_t >= 0.0)
    return np.where(within, speed, 0.0), np.where(within, rate, 0.0)


def _ramps(
    start_v: Floats, cruise_v: Floats, end_v: Floats, accel: Floats
) -> tuple[Floats, Floats]:
    """Return (N,) how long speeding up and slowing down take, s; 0 in a hold."""
    safe = np.where(accel > 0.0, accel, 1.0)
    return (cruise_v - start_v) / safe, (cruise_v - end_v) / safe
