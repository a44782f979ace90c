"""The compiled loop of the plant: exact linear steps, implicit friction, motor errors.

Knows arrays only. See ``docs/physics.md`` for the scheme's derivation.
"""

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on first call; keep the machine code on disk where some folder can be written."""
    try:
        compiled = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no writable cache folder: a read-only installation without a home
        compiled = numba.njit(nogil=True)(function)
    return compiled  # type: ignore[no-any-return]


def _excess(position: float, microstep: float) -> tuple[float, float]:
    """How far r is beyond the motor's staircase, and the integral of that over r.

    The motor steps to the nearest microstep, over the last tenth before and the first tenth
    after the middle between two. The integral is periodic, so it has no jumps.
    """
    beyond = position - microstep * math.floor(position / microstep + 0.5)
    flat = 0.4 * microstep
    left = 0.5 * microstep - abs(beyond)
    if abs(beyond) <= flat:
        return beyond, 0.5 * beyond * beyond
    ramp = 0.1 * microstep
    integral = 0.5 * flat * (flat + ramp - left * left / ramp)
    return math.copysign(flat * left / ramp, beyond), integral


def _quantisation(start: float, end: float, microstep: float) -> float:
    """Mean of (where the motor stands − r) while r runs from start to end."""
    travel = end - start
    if abs(travel) < 1e-9:
        return -_excess(start, microstep)[0]
    return (_excess(start, microstep)[1] - _excess(end, microstep)[1]) / travel


def _ripple(start: float, end: float, amplitude: float, period: float) -> float:
    """Mean of ``amplitude sin(2πr/period)`` while r runs from start to end."""
    half = math.pi * (end - start) / period
    square = half * half
    if square < 0.04:
        spread = 1.0 - square / 6.0 * (1.0 - square / 20.0 * (1.0 - square / 42.0))
    else:
        spread = math.sin(half) / half
    return amplitude * spread * math.sin(math.pi * (start + end) / period)


def _belt(position: float, begin: float, end: float, strength: float) -> float:
    """Stiffness of the belt's two free spans over that at mid-span, minus 1."""
    share = (position - begin) / (end - begin)
    share = min(max(share, 0.02), 0.98)
    return strength * (0.25 / (share * (1.0 - share)) - 1.0)


def _implicit(free: float, drop: float, smooth: float) -> float:
    """Solve ``v + drop tanh(v / smooth) = free`` for v.

    The left side is concave where v > 0, so Newton's method approaches the root from the left
    and never overshoots after its first step.
    """
    target = abs(free) / smooth
    slope = drop / smooth
    v = max(target - slope, math.atanh(min(target / (1.0 + slope), 1.0 - 1e-12)))
    for _ in range(60):
        t = math.tanh(v)
        change = (v + slope * t - target) / (1.0 + slope * (1.0 - t * t))
        v -= change
        if abs(change) <= 1e-10 * (1.0 + v):
            break
    return math.copysign(v * smooth, free)


def _after_friction(
    before: float, free: float, drop: float, smooth: float, weight: float
) -> tuple[float, float]:
    """Return what friction leaves of a step.

    Parameters
    ----------
    before
        Velocity at the start.
    free
        Velocity at the end, were there no friction.
    drop
        What full friction takes from it over the step.
    smooth
        v_s of tanh(v / v_s).
    weight
        Share of the step's end in the mean of tanh, from ½ (smooth) to 1 (stiff).

    Returns
    -------
    float
        Velocity at the end.
    float
        What to add to the mean velocity that a constant force with that end would give: 0
        but where the carriage comes to stand or creeps.
    """
    if drop == 0.0:
        return free, 0.0
    fast = 9.0 * smooth
    sign = math.copysign(1.0, before)
    push = (free - before) * sign
    stands = abs(before) > fast and abs(before) + push <= drop
    if abs(before) > fast and not stands and abs(before) + push - drop > fast:
        return free - drop * sign, 0.0
    if stands and drop > fast:
        # `push − drop` acts until it stands, at this share of the step. If the push can move
        # it back against friction, `push + drop` acts from there on; else it stays.
        share = abs(before) / (drop - push)
        if push < -drop:
            return sign * (push + drop) * (1.0 - share), -sign * drop * share * (1.0 - share)
        known = drop * (1.0 - weight) * sign
        return _implicit(free - known, drop * weight, smooth), -0.5 * before * (1.0 - share)
    known = drop * (1.0 - weight) * math.tanh(before / smooth)
    after = _implicit(free - known, drop * weight, smooth)
    creeps = abs(before) <= fast and abs(after) <= fast
    return after, (weight - 0.5) * (after - before) if creeps else 0.0


def _motor_error(
    begin: float, end: float, step: float, timing: float, microstep: float, ripples: Floats
) -> float:
    """Mean over a step of where the motor holds the belt, less the command, mm."""
    error = 0.0
    if microstep > 0.0:
        error += _quantisation(begin, end, microstep)
    for i in range(ripples.shape[0]):
        if ripples[i, 0] > 0.0:
            error += _ripple(begin, end, ripples[i, 0], ripples[i, 1])
    speed = (end - begin) / step
    return error - speed * timing * math.sqrt(abs(speed))


def _extension(
    begin: float,
    end: float,
    middle: float,
    error: float,
    belt: Floats,
) -> float:
    """Mean extension of a belt that acts beyond the linear axis, mm.

    The motor's error, and the belt's own extension times its excess of stiffness.
    """
    excess = _belt(middle, belt[0], belt[1], belt[2])
    excess += belt[3] * (1.0 + excess)
    extension: float = error + excess * (0.5 * (begin + end) + error - middle)
    return extension


def _advance(
    x: float,
    v: float,
    begin: float,
    end: float,
    push: float,
    step: float,
    flow: Floats,
    rub: Floats,
) -> tuple[float, float]:
    """One step of one axis: where it is and how fast, under a further force ``push`` in mN."""
    free = flow[2] * x + flow[3] * v + flow[5] * begin + flow[7] * end + flow[9] * push
    after, extra = _after_friction(v, free, rub[0] * flow[9], rub[1], rub[2])
    push += (after - free) / flow[9]
    x = flow[0] * x + flow[1] * v + flow[4] * begin + flow[6] * end + flow[8] * push
    return x + extra * step, after


def _run(
    command: Floats,  # (N, 2) mm, x and y
    timing: Floats,  # (N, 2) timing error of each motor over √speed, s/√(mm/s)
    flow: Floats,  # (2, 10): transition (4), start (2), end (2), force (2) of each axis
    stiffness: Floats,  # (2,) N/m
    rub: Floats,  # (2, 3): friction mN, v_s mm/s, weight of a step's end
    belts: Floats,  # (2, 4): start, end mm, strength, imbalance of each motor's belt
    ripples: Floats,  # (2, R, 2): amplitude mm, period mm, of each motor
    microstep: Floats,  # (2,) mm; 0 switches quantisation off
    step: float,  # s
    corexy: bool,
    state: Floats,  # (2, 2): x mm, ẋ mm/s of each axis; updated in place
    actual: Floats,  # (N, 2) mm, filled
) -> None:
    x, u = state[0]
    y, v = state[1]
    actual[0, 0], actual[0, 1] = x, y
    for n in range(command.shape[0] - 1):
        x0, y0 = command[n, 0], command[n, 1]
        x1, y1 = command[n + 1, 0], command[n + 1, 1]
        middle_x, middle_y = x + 0.5 * step * u, y + 0.5 * step * v
        late_a = 0.5 * (timing[n, 0] + timing[n + 1, 0])
        late_b = 0.5 * (timing[n, 1] + timing[n + 1, 1])
        if corexy:  # A = x + y, B = x − y
            a0, a1, b0, b1 = x0 + y0, x1 + y1, x0 - y0, x1 - y1
            middle_a, middle_b = middle_x + middle_y, middle_x - middle_y
        else:
            a0, a1, b0, b1 = x0, x1, y0, y1
            middle_a, middle_b = middle_x, middle_y
        error_a = _motor_error(a0, a1, step, late_a, microstep[0], ripples[0])
        error_b = _motor_error(b0, b1, step, late_b, microstep[1], ripples[1])
        pull_x = _extension(a0, a1, middle_a, error_a, belts[0])
        pull_y = _extension(b0, b1, middle_b, error_b, belts[1])
        if corexy:
            pull_x, pull_y = 0.5 * (pull_x + pull_y), 0.5 * (pull_x - pull_y)
        x, u = _advance(x, u, x0, x1, stiffness[0] * pull_x, step, flow[0], rub[0])
        y, v = _advance(y, v, y0, y1, stiffness[1] * pull_y, step, flow[1], rub[1])
        actual[n + 1, 0], actual[n + 1, 1] = x, y
    state[0, 0], state[0, 1] = x, u
    state[1, 0], state[1, 1] = y, v


_excess = _compile(_excess)
_quantisation = _compile(_quantisation)
_ripple = _compile(_ripple)
_belt = _compile(_belt)
_motor_error = _compile(_motor_error)
_implicit = _compile(_implicit)
_after_friction = _compile(_after_friction)
_extension = _compile(_extension)
_advance = _compile(_advance)
run = _compile(_run)
