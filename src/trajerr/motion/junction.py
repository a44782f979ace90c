"""How fast a corner may be taken: the rules of three firmwares.

Each function looks at all S segments at once; row i is the junction from segment i − 1
into segment i. Row 0 has no predecessor and is the caller's to set.
"""

from typing import TypeVar

import numpy as np

from trajerr.arrays import Bools, Floats, Reals
from trajerr.motion.axes import least

_Rows = TypeVar("_Rows", Floats, Reals, Bools)

SHORT = 1.0  # mm; Marlin treats shorter segments at flat angles as pieces of an arc
FLATTER = -np.sqrt(0.5)  # cosine of 135° between segments, an octagon's
FLATTEST = 0.999999  # cosine beyond which Marlin knows no angle
CHORDS, STRETCH = 16, 1.00751495  # of Marlin's table of arc cosines, JD_USE_LOOKUP_TABLE
STRAIGHT = 2.0**-27  # half an angle in rad, at which 1 − cos of it is below rounding


def safe_speed(axis_velocity: Reals, nominal: Reals, jerk: Reals) -> Reals:
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
    Reals : (S,)
        mm/s.

    References
    ----------
    Marlin 2.1 `planner.cpp`, `Planner::_populate_block`, "Classic Jerk Limiting".
    """
    return nominal * np.minimum(1.0, _smallest_ratio(jerk, np.abs(axis_velocity)))


def classic_jerk(axis_velocity: Reals, nominal: Reals, jerk: Reals) -> Reals:
    """Return the shared speed of each junction by Marlin's rule since 2.1.3.

    The speed is the smaller nominal speed, at which both segments are compared, scaled so that
    no axis changes its velocity by more than its jerk; a reversal counts in full.

    Parameters
    ----------
    axis_velocity, nominal, jerk : (S, 4), (S,), (S, 4)
        In mm/s, as for :func:`safe_speed`.

    Returns
    -------
    Reals : (S,)
        mm/s.

    References
    ----------
    Marlin bugfix-2.1.x since 2023-12, `planner.cpp`, `Planner::_populate_block`.
    """
    shared = np.minimum(nominal, _before(nominal))
    leaving = _before(axis_velocity) * (shared / _before(nominal))[:, None]
    entering = axis_velocity * (shared / nominal)[:, None]
    return shared * np.minimum(1.0, _smallest_ratio(jerk, np.abs(entering - leaving)))


def classic_jerk_2_1_2(axis_velocity: Reals, nominal: Reals, jerk: Reals, safe: Reals) -> Reals:
    """Return the speed at which each segment may be entered by Marlin's rule up to 2.1.2.

    As :func:`classic_jerk`, but an axis that reverses may jump by its jerk on either side of
    rest, and with two slips that real machines have. The entering segment counts at its own
    nominal speed even where the shared one is lower, so that a segment much faster than the one
    before is entered slower than that one runs. And where both could as well be left and entered
    at their safe speeds, the segment is entered at its own, however slow the one before is.

    Parameters
    ----------
    axis_velocity, nominal, jerk, safe : (S, 4), (S,), (S, 4), (S,)
        In mm/s, as for :func:`safe_speed`.

    Returns
    -------
    Reals : (S,)
        mm/s; it can exceed the nominal speed of the segment before.

    References
    ----------
    Marlin 2.1.2.1 `planner.cpp`, `Planner::_populate_block`, the same in 2.0.8.
    """
    shared = np.minimum(nominal, _before(nominal))
    leaving = _before(axis_velocity) * (shared / _before(nominal))[:, None]
    jump = axis_jump(leaving, axis_velocity)
    shared = shared * np.minimum(1.0, _smallest_ratio(jerk, jump))
    threshold = np.float32(0.99) * shared
    return np.where((_before(safe) > threshold) & (safe > threshold), safe, shared)


def classic_jerk_estimated(
    axis_velocity: Reals, nominal: Reals, jerk: Reals, safe: Reals
) -> tuple[Reals, Bools]:
    """Return the shared speed of each junction as slicers reckon it, and where stopping is as fast.

    As :func:`classic_jerk`, but an axis that reverses may jump by its jerk on either side of
    rest, and where both segments could as well stop and start at their safe speeds the junction
    is a stop.

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
    PrusaSlicer `GCodeProcessor.cpp`, `process_G1`.
    """
    shared = np.minimum(nominal, _before(nominal))
    leaving = _before(axis_velocity) * (shared / _before(nominal))[:, None]
    entering = axis_velocity * (shared / nominal)[:, None]
    shared = shared * np.minimum(1.0, _smallest_ratio(jerk, axis_jump(leaving, entering)))
    threshold = 0.99 * shared
    return shared, (_before(safe) > threshold) & (safe > threshold)


def axis_jump(leaving: Reals, entering: Reals) -> Reals:
    """Return the jump that counts against jerk: the change, or per side if it reverses."""
    reverses = leaving * entering <= 0.0
    sides = np.maximum(np.abs(leaving), np.abs(entering))
    return np.where(reverses, sides, np.abs(entering - leaving))


def junction_deviation(
    direction: Reals,
    distance: Reals,
    nominal: Reals,
    acceleration: Reals,
    max_acceleration: Reals,
    deviation: Reals,
    radius: Reals,
    slowest: float,
) -> Reals:
    """Return the junction speed that Marlin's junction deviation allows.

    A circle touches both segments and passes the corner at ``deviation``; its centripetal
    acceleration is the segment's, limited by each axis. Within an arc of the file the circle is
    the arc. Angles flatter than 135° into segments shorter than 1 mm are taken as pieces of a
    circle (``JD_HANDLE_SMALL_SEGMENTS``).

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
    radius : (S,)
        mm of the file's arc where the segment is one of its inner pieces, 0 elsewhere.
    slowest
        Speed at which it turns back, mm/s.

    Returns
    -------
    Reals : (S,)
        mm/s.

    References
    ----------
    S. K. Jeon (2011), "Improving Grbl: cornering algorithm",
    https://onehossshay.wordpress.com/2011/09/24/improving_grbl_cornering_algorithm/;
    Marlin 2.1.2.1 `planner.cpp`, `HAS_JUNCTION_DEVIATION`.
    """
    # Marlin divides by the length along x, y, z where the extruder rests, by all four elsewhere.
    unit = np.where(direction[:, 3:] != 0.0, _normalised(direction), direction)
    cosine = -np.einsum("ij,ij->i", _before(unit), unit)  # of the angle between the segments
    bend = np.abs(_normalised(unit - _before(unit)))
    across = np.minimum(acceleration, _smallest_ratio(max_acceleration, bend))
    half_sine = np.sqrt(0.5 * (1.0 - np.clip(cosine, -FLATTEST, 1.0)))
    corner_v2 = across * deviation * half_sine / (1.0 - half_sine)
    as_arc = (distance < SHORT) & (cosine < FLATTER)
    corner_v2[as_arc] = np.minimum(
        corner_v2[as_arc], (distance * across)[as_arc] / _acos(-cosine[as_arc])
    )
    corner_v2 = np.where(radius > 0.0, across * radius, corner_v2)
    corner_v2 = np.where(cosine > FLATTEST, slowest**2, corner_v2)
    speed: Reals = np.minimum(np.sqrt(corner_v2), np.minimum(nominal, _before(nominal)))
    return speed


def _acos(cosine: Reals) -> Reals:
    """Return arc cosines of 0 to 1 as Marlin looks them up: chords between halved distances to 1.

    Stretched by 0.75 % so that their error, at most 0.01, has a mean of zero; the last chord
    ends short of 1, so that no angle is zero.
    """
    nodes = 1.0 - 0.5 ** np.arange(CHORDS)
    ends = np.append(nodes[1:], FLATTEST)
    left, right = np.arccos(nodes) * STRETCH, np.arccos(ends) * STRETCH
    left[0], right[-1] = np.arccos(nodes[0]), np.arccos(ends[-1])
    slope = (right - left) / (ends - nodes)
    # It looks at the bits of (1 − cosine)·2¹⁵, rounded down.
    bits = np.floor((1.0 - cosine) * 2.0 ** (CHORDS - 1))
    chord = np.clip(CHORDS - 2 - np.floor(np.log2(np.maximum(bits, 0.5))), 0, CHORDS - 1)
    row = chord.astype(np.int64)
    angle: Reals = left[row] + slope[row] * (cosine - nodes[row])
    return angle


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


def _normalised(vectors: Reals) -> Reals:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Reals = np.divide(vectors, length, where=length > 0.0, out=np.zeros_like(vectors))
    return unit


def _smallest_ratio(limit: Reals, value: Reals) -> Reals:
    """Return (S,) the smallest limit/value over the axes; infinite where no axis moves."""
    ratio = np.divide(limit, value, where=value > 0.0, out=np.full_like(value, np.inf))
    return least(ratio)
