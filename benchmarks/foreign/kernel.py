"""The equations of a foreign machine, integrated step by step.

Positions q₁ (carriage) and q₂ (tool) count from the frame, w is the frame's own, d the
direction in which it sways, p the motor's position, z the bristles' bend:

    m₁ (q̈₁ + d ẅ) = B − N − R        B = k₁ gap(p − q₁) + c₁ (ṗ − q̇₁)
    m₂ (q̈₂ + d ẅ) = N                N = k₂ (q₁ − q₂) + c₂ (q̇₁ − q̇₂)
    M ẅ = −K w − C ẇ − Σ d (B − R)   R = σ₀ z + σ₁(q̇₁) ż + σ₂ q̇₁
    ż = q̇₁ − σ₀ |q̇₁| z / g(q̇₁)       g(v) = F_c + (F_s − F_c) exp(−(v/v_s)²)

σ₁(v) = σ₁ exp(−(v/v_s)²), with which friction never drives (Olsson, thesis, Lund 1996, 3.5).
A step is split symmetrically (Strang): half a step of positions, with the drive's lag solved
exactly; half a step of bristles, exactly for a constant speed, so that they are never too stiff
for the step; a whole step of speeds (midpoint rule); and both halves again. Second order.
"""

import math

import numba
import numpy as np

from trajerr.arrays import Floats

from .machine import MN_PER_N, RIPPLE_PERIOD_MM, Axis, Frame

# Not kept on disk: what is kept names its module, which scripts and tests call differently.
compiled = numba.njit(nogil=True)

PER_AXIS = 6  # state of an axis: u, q₁, q₂, q̇₁, q̇₂, z; after both, w and ẇ
Values = tuple[float, ...]

FULL_STEP = 2.0 * math.pi / RIPPLE_PERIOD_MM[0]  # rad/mm
CYCLE = 2.0 * math.pi / RIPPLE_PERIOD_MM[1]


def axis_values(axis: Axis, stiffness: float, direction: float) -> Values:
    """Return an axis as :func:`advance` takes it, springs multiplied by a factor."""
    return (
        axis.carriage_kg,
        axis.tool_kg,
        stiffness * axis.belt_n_per_m,
        axis.belt_n_s_per_m,
        stiffness * axis.mount_n_per_m,
        axis.mount_n_s_per_m,
        MN_PER_N * axis.coulomb_n,
        MN_PER_N * axis.static_n,
        axis.stribeck_mm_s,
        axis.bristle_n_per_m,
        axis.bristle_n_s_per_m,
        axis.viscous_n_s_per_m,
        axis.backlash_mm / 2.0,
        axis.lag_s,
        *axis.ripple_mm,
        *axis.ripple_phase_rad,
        direction,
    )


def frame_values(frame: Frame, stiffness: float) -> Values:
    """Return the frame as :func:`advance` takes it."""
    return frame.mass_kg, stiffness * frame.stiffness_n_per_m, frame.damping_n_s_per_m


def at_rest(command: Floats) -> Floats:
    """Return the state (14,) of a machine that stands at a (2,) command, mm."""
    state = np.zeros(2 * PER_AXIS + 2)
    for axis in range(2):
        state[axis * PER_AXIS : axis * PER_AXIS + 3] = command[axis]
    return state


@compiled
def _slip(axis: Values, speed: float) -> float:
    """Return g(v), mN: friction of a steady motion."""
    coulomb, static, stribeck = axis[6], axis[7], axis[8]
    return coulomb + (static - coulomb) * math.exp(-((speed / stribeck) ** 2))


@compiled
def _drift(axis: Values, state: Floats, a: int, start: float, slope: float, time: float) -> None:
    """Move positions on, and the drive behind a command that begins at ``start``."""
    lag = axis[13]
    behind = state[a] - start + slope * lag
    state[a] = start + slope * (time - lag) + behind * math.exp(-time / lag)
    state[a + 1] += time * state[a + 3]
    state[a + 2] += time * state[a + 4]


@compiled
def _bend(axis: Values, state: Floats, a: int, time: float) -> None:
    """Bend the bristles for some time at a constant speed."""
    speed = state[a + 3]
    if speed != 0.0:
        slip, stiffness = _slip(axis, speed), axis[9]
        steady = math.copysign(slip / stiffness, speed)
        fade = math.exp(-time * stiffness * abs(speed) / slip)
        state[a + 5] = steady + (state[a + 5] - steady) * fade


@compiled
def _springs(axis: Values, state: Floats, a: int, command: float) -> tuple[float, float, float]:
    """Return the belt's spring, the mount's (mN), and the motor's speed (mm/s)."""
    gap, lag = axis[12], axis[13]
    drive = state[a]
    full, cycle = FULL_STEP * drive + axis[16], CYCLE * drive + axis[17]
    motor = drive + axis[14] * math.sin(full) + axis[15] * math.sin(cycle)
    gain = 1.0 + axis[14] * FULL_STEP * math.cos(full) + axis[15] * CYCLE * math.cos(cycle)
    stretch = motor - state[a + 1]
    stretch -= min(max(stretch, -gap), gap)
    mount = axis[4] * (state[a + 1] - state[a + 2])
    return axis[2] * stretch, mount, gain * (command - drive) / lag


@compiled
def _forces(
    axis: Values, springs: tuple[float, float, float], bend: float, first: float, second: float
) -> tuple[float, float, float]:
    """Return the forces of belt, mount and guide (mN) at the speeds of carriage and tool."""
    belt = springs[0] + axis[3] * (springs[2] - first)
    mount = springs[1] + axis[5] * (first - second)
    bristles = axis[9] * bend
    bending = first - abs(first) * bristles / _slip(axis, first)
    fades = axis[10] * math.exp(-((first / axis[8]) ** 2))
    return belt, mount, bristles + fades * bending + axis[11] * first


@compiled
def _kick(x: Values, y: Values, frame: Values, state: Floats, ends: Floats, time: float) -> None:
    """Change all speeds by the forces at (2,) commands, by the midpoint rule."""
    b, w = 6, 12
    springs_x = _springs(x, state, 0, ends[0])
    springs_y = _springs(y, state, b, ends[1])
    held = frame[1] * state[w]
    x1, x2, y1, y2, sway = state[3], state[4], state[b + 3], state[b + 4], state[w + 1]
    for part in (0.5 * time, time):
        belt_x, mount_x, rub_x = _forces(x, springs_x, state[5], x1, x2)
        belt_y, mount_y, rub_y = _forces(y, springs_y, state[b + 5], y1, y2)
        pushed = x[18] * (belt_x - rub_x) + y[18] * (belt_y - rub_y)
        shaken = -(held + frame[2] * sway + pushed) / frame[0]
        x1 = state[3] + part * ((belt_x - mount_x - rub_x) / x[0] - x[18] * shaken)
        x2 = state[4] + part * (mount_x / x[1] - x[18] * shaken)
        y1 = state[b + 3] + part * ((belt_y - mount_y - rub_y) / y[0] - y[18] * shaken)
        y2 = state[b + 4] + part * (mount_y / y[1] - y[18] * shaken)
        sway = state[w + 1] + part * shaken
    state[3], state[4], state[b + 3], state[b + 4], state[w + 1] = x1, x2, y1, y2, sway


@compiled
def advance(
    command: Floats,
    times: int,
    step: float,
    x: Values,
    y: Values,
    frame: Values,
    sway: float,
    state: Floats,
    nozzle: Floats,
) -> None:
    """Follow a command that runs straight between its samples.

    Parameters
    ----------
    command : (N, 2)
        mm; the state is that of its first sample.
    times
        Steps from one sample to the next.
    step
        s.
    x, y, frame
        What :func:`axis_values` and :func:`frame_values` return.
    sway
        Share of the frame's motion by which the nozzle moves against the bed.
    state : (14,)
        Goes on in place.
    nozzle : (N, 2)
        mm; filled in, but for its first row.
    """
    half, ends = 0.5 * step, np.empty(2)
    for n in range(1, len(command)):
        slope_x = (command[n, 0] - command[n - 1, 0]) / (times * step)
        slope_y = (command[n, 1] - command[n - 1, 1]) / (times * step)
        for i in range(times):
            r_x = command[n - 1, 0] + slope_x * step * i
            r_y = command[n - 1, 1] + slope_y * step * i
            _drift(x, state, 0, r_x, slope_x, half)
            _drift(y, state, 6, r_y, slope_y, half)
            state[12] += half * state[13]
            _bend(x, state, 0, half)
            _bend(y, state, 6, half)
            ends[0], ends[1] = r_x + slope_x * half, r_y + slope_y * half
            _kick(x, y, frame, state, ends, step)
            _bend(x, state, 0, half)
            _bend(y, state, 6, half)
            _drift(x, state, 0, ends[0], slope_x, half)
            _drift(y, state, 6, ends[1], slope_y, half)
            state[12] += half * state[13]
        nozzle[n, 0] = state[2] + sway * x[18] * state[12]
        nozzle[n, 1] = state[8] + sway * y[18] * state[12]
