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


def _quantisation(start: float, end: float, microstep: float) -> float:
    """Mean of (nearest microstep − r) while r runs from start to end.

    The rounding error s(r) has the antiderivative s²/2, continuous over its jumps.
    """
    from_step = start - microstep * math.floor(start / microstep + 0.5)
    to_step = end - microstep * math.floor(end / microstep + 0.5)
    travel = end - start
    if abs(travel) < 1e-9:
        return -0.5 * (from_step + to_step) if from_step * to_step > 0.0 else -from_step
    return -(to_step - from_step) * (to_step + from_step) / (2.0 * travel)


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
        if abs(change) <= 1e-12 * (1.0 + v):
            break
    return math.copysign(v * smooth, free)


def _after_friction(before: float, free: float, drop: float, smooth: float, weight: float) -> float:
    """Velocity at the end of a step with friction.

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
    """
    if drop == 0.0:
        return free
    fast = 9.0 * smooth
    if abs(before) > fast:
        sign = math.copysign(1.0, before)
        slid = free - drop * sign
        if slid * sign > fast:
            return slid
        push = (free - before) * sign
        if drop > fast and push < -drop:
            # It reverses within the step: friction acts with the mean sign of a velocity
            # that runs straight from `before` to the end, (|v1| − |v0|) / (v1 − v0).
            v0 = abs(before)
            half = 0.5 * (v0 + free * sign + drop)
            root = math.sqrt(half * half - v0 * (free * sign - drop))
            return -sign * (root - half)
    known = drop * (1.0 - weight) * math.tanh(before / smooth)
    return _implicit(free - known, drop * weight, smooth)


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


def _run(
    command: Floats,  # (N, 2) mm, x and y
    timing: Floats,  # (N, 2) timing error of each motor over √speed, s/√(mm/s)
    linear: Floats,  # (2, 10): transition (4), start (2), end (2), force (2)
    axes: Floats,  # (2, 8): k, F_c, v_s, end weight, belt start, end, strength, imbalance
    ripples: Floats,  # (2, R, 2): amplitude mm, period mm, of each motor
    microstep: Floats,  # (2,) mm; 0 switches quantisation off
    step: float,  # s
    corexy: bool,
    state: Floats,  # (2, 2): x mm, ẋ mm/s of each axis; updated in place
    actual: Floats,  # (N, 2) mm, filled
) -> None:
    # What acts beyond the linear axis, as an extension of the belt in mm: the motor's error,
    # and the belt's own extension times its excess of stiffness.
    extension = [0.0, 0.0]
    actual[0, 0] = state[0, 0]
    actual[0, 1] = state[1, 0]
    for n in range(command.shape[0] - 1):
        for motor in range(2):
            begin, end = command[n, motor], command[n + 1, motor]
            middle = state[motor, 0] + 0.5 * step * state[motor, 1]
            if corexy:  # A = x + y, B = x − y
                sign = 1.0 - 2.0 * motor
                begin = command[n, 0] + sign * command[n, 1]
                end = command[n + 1, 0] + sign * command[n + 1, 1]
                middle = state[0, 0] + 0.5 * step * state[0, 1]
                middle += sign * (state[1, 0] + 0.5 * step * state[1, 1])
            late = 0.5 * (timing[n, motor] + timing[n + 1, motor])
            error = _motor_error(begin, end, step, late, microstep[motor], ripples[motor])
            excess = _belt(middle, axes[motor, 4], axes[motor, 5], axes[motor, 6])
            excess += axes[motor, 7] * (1.0 + excess)
            extension[motor] = error + excess * (0.5 * (begin + end) + error - middle)
        if corexy:
            a, b = extension[0], extension[1]
            extension[0], extension[1] = 0.5 * (a + b), 0.5 * (a - b)
        for axis in range(2):
            m = linear[axis]
            r0, r1 = command[n, axis], command[n + 1, axis]
            x, v = state[axis, 0], state[axis, 1]
            force = axes[axis, 0] * extension[axis]
            free = m[2] * x + m[3] * v + m[5] * r0 + m[7] * r1 + m[9] * force
            drop = axes[axis, 1] * m[9]
            after = _after_friction(v, free, drop, axes[axis, 2], axes[axis, 3])
            force += (after - free) / m[9]
            state[axis, 0] = m[0] * x + m[1] * v + m[4] * r0 + m[6] * r1 + m[8] * force
            state[axis, 1] = after
            actual[n + 1, axis] = state[axis, 0]


_quantisation = _compile(_quantisation)
_ripple = _compile(_ripple)
_belt = _compile(_belt)
_motor_error = _compile(_motor_error)
_implicit = _compile(_implicit)
_after_friction = _compile(_after_friction)
run = _compile(_run)
