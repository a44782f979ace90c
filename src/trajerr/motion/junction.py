"""How fast a corner may be taken: the rules of three firmwares.

Each function looks at all S segments at once; row i is the junction from segment i − 1
into segment i. Row 0 has no predecessor and is the caller's to set.
"""

from typing import TypeVar

import numpy as np

from trajerr.arrays import Bools, Floats

_Rows = TypeVar("_Rows", Floats, Bools)

SHORT = 1.0  # mm; Marlin treats shorter segments at flat angles as pieces of an arc
STRAIGHT = 2.0**-27  # half an angle in rad, at which 1 − cos of it is below rounding
OCTAGON = np.radians(45.0)  # change of heading


def safe_speed(axis_velocity: Floats, nominal: Floats, jerk: Floats) -> Floats:
    """Return the speed at which a segment may start from rest or stop, classic jerk.

    Parameters
    ----------
    axis_velocity : (S, 4)
        Velocity of the axes at nominal speed, mm/s.
    nominal : (S,)
        Nominal speed, mm/s.
    jerk : (S, 4)
        Allowed jump of each axis, mm/s.

    Returns
    -------
    Floats : (S,)
        mm/s.

    References
    ----------
    Marlin 2.1 `planner.cpp`, `Planner::_populate_block`, "Classic Jerk Limiting".
    """
    return nominal * np.minimum(1.0, _smallest_ratio(jerk, np.abs(axis_velocity)))


def classic_jerk(
    axis_velocity: Floats, nominal: Floats, jerk: Floats, safe: Floats
) -> tuple[Floats, Bools]:
    """Return the shared speed of each junction, and where stopping is at least as fast.

    The speed is the smaller nominal speed, scaled so that no axis jumps by more than its
    jerk; an axis that reverses may jump by its jerk on either side of rest. Where both
    segments could as well stop and start at their safe speeds the junction is a stop.

    Two slips of the firmware are left out, because they break its own limits or cost time
    without need: it counts the entering segment at its nominal speed even where the shared
    one is lower, and lets a segment end at the safe speed of the next (a z-hop at 8 mm/s
    where z may jump by 0.4).

    Parameters
    ----------
    axis_velocity, nominal, jerk, safe : (S, 4), (S,), (S, 4), (S,)
        In mm/s, as for :func:`safe_speed`.

    Returns
    -------
    speed, is_stop : (S,)
        Of the junction, mm/s, and whether it is a stop.

    References
    ----------
    Marlin 2.1 `planner.cpp`, `Planner::_populate_block`; PrusaSlicer `GCodeProcessor.cpp`,
    `process_G1`, does the same for its estimates.
    """
    shared = np.minimum(nominal, _before(nominal))
    leaving = _before(axis_velocity) * (shared / _before(nominal))[:, None]
    entering = axis_velocity * (shared / nominal)[:, None]
    shared = shared * np.minimum(1.0, _smallest_ratio(jerk, axis_jump(leaving, entering)))
    threshold = 0.99 * shared
    return shared, (_before(safe) > threshold) & (safe > threshold)


def axis_jump(leaving: Floats, entering: Floats) -> Floats:
    """Return the jump that counts against jerk: the change, or per side if it reverses."""
    reverses = leaving * entering <= 0.0
    sides = np.maximum(np.abs(leaving), np.abs(entering))
    return np.where(reverses, sides, np.abs(entering - leaving))


def junction_deviation(
    direction: Floats,
    distance: Floats,
    nominal: Floats,
    acceleration: Floats,
    max_acceleration: Floats,
    deviation: Floats,
) -> Floats:
    """Return the junction speed that Marlin's junction deviation allows.

    A circle touches both segments and passes the corner at ``deviation``; its centripetal
    acceleration is the segment's, limited by each axis. Angles flatter than 135° between
    segments shorter than 1 mm are taken as pieces of a circle.

    Parameters
    ----------
    direction : (S, 4)
        Change of x y z e per mm of path.
    distance, nominal, acceleration : (S,)
        mm, mm/s, mm/s² of each segment.
    max_acceleration : (S, 4)
        mm/s².
    deviation : (S,)
        mm.

    Returns
    -------
    Floats : (S,)
        mm/s.

    References
    ----------
    S. K. Jeon (2011), "Improving Grbl: cornering algorithm",
    https://onehossshay.wordpress.com/2011/09/24/improving_grbl_cornering_algorithm/;
    Marlin 2.1 `planner.cpp`, `HAS_JUNCTION_DEVIATION` and `JD_SMALL_SEGMENT_HANDLING`.
    """
    unit = _normalised(direction)
    half_sine, half_cosine = _half_angle(unit)
    bend = np.abs(_normalised(unit - _before(unit)))
    across = np.minimum(acceleration, _smallest_ratio(max_acceleration, bend))
    corner_v2 = _across_corner(across * deviation, half_sine, half_cosine)
    heading = 2.0 * np.arctan2(half_cosine, half_sine)
    as_arc = (distance < SHORT) & (heading < OCTAGON) & (heading > 0.0)
    arc_radius = np.divide(distance, heading, where=as_arc, out=np.full(len(distance), np.inf))
    corner_v2 = np.minimum(corner_v2, arc_radius * across)
    speed: Floats = np.minimum(np.sqrt(corner_v2), np.minimum(nominal, _before(nominal)))
    return speed


def square_corner(
    direction: Floats,
    distance: Floats,
    nominal: Floats,
    acceleration: Floats,
    corner_radius: Floats,
    extruder_corner: float,
    least_half: float = 0.0,
) -> Floats:
    """Return the squared junction speed that Klipper's square corner velocity allows.

    Parameters
    ----------
    direction : (S, 4)
        Change of x y z e per mm of path.
    distance, nominal, acceleration : (S,)
        mm, mm/s, mm/s² of each segment.
    corner_radius : (S,)
        Klipper's junction deviation, scv²·(√2 − 1)/max_accel, mm.
    extruder_corner
        Allowed jump of the extruder, mm/s.
    least_half
        Sine of half the sharpest angle that is not a reversal, and cosine of half the flattest
        that is not taken for it: builds before 2024-11 draw that line.

    Returns
    -------
    Floats : (S,)
        mm²/s²; 0 where one side moves the extruder alone.

    References
    ----------
    Klipper `klippy/toolhead.py`, `Move.calc_junction`, and
    `klippy/kinematics/extruder.py`, `PrinterExtruder.calc_junction`.
    """
    moves_head = np.any(direction[:, :3] != 0.0, axis=1)
    half_sine, half_cosine = _half_angle(direction[:, :3])
    half_cosine[half_cosine < STRAIGHT] = 0.0
    half_cosine = np.maximum(half_cosine, least_half)
    half_sine = np.where(half_sine < least_half, 0.0, half_sine)
    deviation_v2, room_v2 = corner_radius * acceleration, 0.5 * distance * acceleration
    step = np.abs(direction[:, 3] - _before(direction)[:, 3])
    with np.errstate(divide="ignore", invalid="ignore"):
        tangent = half_sine / half_cosine
        moves_v2 = np.minimum(room_v2, _before(room_v2)) * tangent
        extruder_v2 = np.where(step > 0.0, (extruder_corner / step) ** 2, np.inf)
    moves_v2[half_cosine == 0.0] = np.inf
    corner_v2 = _across_corner(
        np.minimum(deviation_v2, _before(deviation_v2)), half_sine, half_cosine
    )
    cruise_v2 = np.minimum(nominal, _before(nominal)) ** 2
    max_v2 = np.minimum.reduce([corner_v2, moves_v2, extruder_v2, cruise_v2])
    return np.where(moves_head & _before(moves_head), max_v2, 0.0)


def _half_angle(unit: Floats) -> tuple[Floats, Floats]:
    """Return (S,) sine and cosine of half the angle between a segment and the one before.

    From sum and difference of the unit vectors: the usual √((1 ∓ cos θ)/2) cancels near
    straight lines and reversals.
    """
    before = _before(unit)
    half_sine = 0.5 * np.linalg.norm(unit + before, axis=1)
    half_cosine = 0.5 * np.linalg.norm(unit - before, axis=1)
    return half_sine, half_cosine


def _across_corner(deviation_v2: Floats, half_sine: Floats, half_cosine: Floats) -> Floats:
    """Return (S,) squared speed a·δ·s/(1 − s), s = sin(θ/2), δ the deviation from the corner.

    Parameters
    ----------
    deviation_v2 : (S,)
        a·δ, mm²/s².
    half_sine, half_cosine : (S,)
        Of the angle θ between the segments; a straight line has no limit.
    """
    bottom = half_cosine**2
    top = deviation_v2 * half_sine * (1.0 + half_sine)
    corner_v2: Floats = np.divide(top, bottom, where=bottom > 0.0, out=np.full(len(top), np.inf))
    return corner_v2


def _before(values: _Rows) -> _Rows:
    """Return each row's predecessor; the first row precedes itself."""
    return np.concatenate([values[:1], values[:-1]])


def _normalised(vectors: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = np.divide(vectors, length, where=length > 0.0, out=np.zeros_like(vectors))
    return unit


def _smallest_ratio(limit: Floats, value: Floats) -> Floats:
    """Return (S,) the smallest limit/value over the axes; infinite where no axis moves."""
    ratio = np.divide(limit, value, where=value > 0.0, out=np.full(value.shape, np.inf))
    smallest: Floats = ratio.min(axis=1)
    return smallest
