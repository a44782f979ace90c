"""One segment's speed over time in closed form: the trapezoid, and its special cases.

All functions are elementwise over arrays; a is the acceleration of both ramps. Rows
without acceleration are holds and stay at rest.
"""

import numpy as np

from trajerr.arrays import Floats


def peak_speed(entry: Floats, exits: Floats, change: Floats, nominal: Floats) -> Floats:
    """Return the squared cruise speed: nominal, or the peak of a triangle, mm²/s².

    Parameters
    ----------
    entry, exits
        (S,) squared speeds at the ends, mm²/s².
    change
        (S,) 2·a·d, mm²/s².
    nominal
        (S,) mm/s.
    """
    peak = np.minimum(0.5 * (entry + exits + change), nominal**2)
    # Rounding must not leave the peak below an end.
    return np.maximum(peak, np.maximum(entry, exits))


def trapezoid_time(
    distance: Floats, entry: Floats, cruise: Floats, exits: Floats, acceleration: Floats
) -> Floats:
    """Return (S,) how long each segment takes, s.

    Parameters
    ----------
    distance, entry, cruise, exits, acceleration
        (S,) in mm, mm/s, mm/s², all of segments that move.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ramps = (2.0 * cruise - entry - exits) / acceleration
        on_ramps = (2.0 * cruise**2 - entry**2 - exits**2) / (2.0 * acceleration)
        return ramps + np.maximum(distance - on_ramps, 0.0) / cruise


def travelled(
    time: Floats,
    distance: Floats,
    duration: Floats,
    entry: Floats,
    cruise: Floats,
    exits: Floats,
    acceleration: Floats,
) -> Floats:
    """Return (N,) how far a segment has come at a time since its start, mm.

    Parameters
    ----------
    time
        (N,) s since the segment's start; beyond its ends it stays at them.
    distance, duration, entry, cruise, exits, acceleration
        (N,) of the segment, in mm, s, mm/s, mm/s².
    """
    gone = np.clip(time, 0.0, duration)
    left = duration - gone
    speeding, slowing = _ramps(entry, cruise, exits, acceleration)
    rising = gone * (entry + 0.5 * acceleration * gone)
    level = speeding * 0.5 * (entry + cruise) + (gone - speeding) * cruise
    falling = distance - left * (exits + 0.5 * acceleration * left)
    return np.where(gone < speeding, rising, np.where(left < slowing, falling, level))


def speed_at(
    time: Floats,
    duration: Floats,
    entry: Floats,
    cruise: Floats,
    exits: Floats,
    acceleration: Floats,
) -> tuple[Floats, Floats]:
    """Return (N,) speed in mm/s and (N,) its rate of change in mm/s² at a time.

    Parameters
    ----------
    time, duration, entry, cruise, exits, acceleration
        (N,) as for :func:`travelled`; before and after a segment both are 0.
    """
    left = duration - time
    speeding, slowing = _ramps(entry, cruise, exits, acceleration)
    rises, falls = time < speeding, left < slowing
    speed = np.where(rises, entry + acceleration * time, cruise)
    speed = np.where(falls & ~rises, exits + acceleration * left, speed)
    rate = np.where(rises, acceleration, np.where(falls, -acceleration, 0.0))
    within = (time >= 0.0) & (left >= 0.0)
    return np.where(within, speed, 0.0), np.where(within, rate, 0.0)


def _ramps(
    entry: Floats, cruise: Floats, exits: Floats, acceleration: Floats
) -> tuple[Floats, Floats]:
    """Return (N,) how long speeding up and slowing down take, s; 0 in a hold."""
    safe = np.where(acceleration > 0.0, acceleration, 1.0)
    return (cruise - entry) / safe, (cruise - exits) / safe
