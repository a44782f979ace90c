"""The compiled loop of the plant: exact linear steps, implicit friction, motor errors.

Knows arrays only. See ``docs/physics.md`` for the scheme's derivation.
"""

import math

import numpy as np

from trajerr.arrays import Floats
from trajerr.dynamics.compiled import compiled


@compiled
def _ripple(position: float, ripples: Floats) -> tuple[float, float]:
    """Return how far torque ripple turns the motor, mm, and the integral of that over r, mm²."""
    error = integral = 0.0
    for i in range(ripples.shape[0]):
        amplitude, wave = ripples[i, 0], 2.0 * math.pi / ripples[i, 1]
        error += amplitude * math.sin(wave * position)
        integral -= amplitude / wave * math.cos(wave * position)
    return error, integral


@compiled
def _staircase(position: float, microstep: float) -> tuple[float, float]:
    """Return (nearest microstep − r), mm, and the integral of that over r, mm²; 0 without steps.

    The motor steps over the last tenth before and the first tenth after the middle between
    two microsteps. The integral is periodic, so it has no jumps.
    """
    if microstep == 0.0:
        return 0.0, 0.0
    beyond = position - microstep * math.floor(position / microstep + 0.5)
    flat, ramp = 0.4 * microstep, 0.1 * microstep
    left = 0.5 * microstep - abs(beyond)
    if left >= ramp:
        return -beyond, -0.5 * beyond * beyond
    integral = -0.5 * flat * (flat + ramp - left * left / ramp)
    return -math.copysign(flat * left / ramp, beyond), integral


@compiled
def _mean(travel: float, error0: float, integral0: float, error1: float, integral1: float) -> float:
    """Mean of the motor's error over a straight travel from where it is 0 to where it is 1."""
    if abs(travel) < 1e-6:
        return 0.5 * (error0 + error1)
    return (integral1 - integral0) / travel


@compiled
def decay(values: Floats, keep: float, start: float) -> Floats:
    """Return (N,) ``y[n] = keep y[n−1] + values[n]`` after ``y[−1] = start``."""
    result = np.empty_like(values)
    y = start
    for n in range(len(values)):
        y = keep * y + values[n]
        result[n] = y
    return result


@compiled
def delay(
    command: Floats,  # (N, 2) mm, x and y
    lateness: Floats,  # (M, 2) of each motor, s/√(mm/s), on a coarser grid
    node: int,  # index of its first row on the grid of the whole print
    first: int,  # index of the first command on its grid
    ratio: float,  # of that grid's rate to the command's
    step: float,  # s
    corexy: bool,
) -> Floats:
    """Return (N, 2) mm, where motors are that follow the command late, by lateness · √speed."""
    late = command.copy()
    for n in range(1, command.shape[0]):
        u = (command[n, 0] - command[n - 1, 0]) / step
        v = (command[n, 1] - command[n - 1, 1]) / step
        a, b = (u + v, u - v) if corexy else (u, v)
        place = (first + n) * ratio - node
        i = int(place)
        share = place - i
        a *= math.sqrt(abs(a)) * (lateness[i, 0] + share * (lateness[i + 1, 0] - lateness[i, 0]))
        b *= math.sqrt(abs(b)) * (lateness[i, 1] + share * (lateness[i + 1, 1] - lateness[i, 1]))
        late[n, 0] -= 0.5 * (a + b) if corexy else a
        late[n, 1] -= 0.5 * (a - b) if corexy else b
    return late


@compiled
def _belt(position: float, begin: float, end: float, strength: float) -> float:
    """Stiffness of the belt's two free spans over that at mid-span, minus 1.

    They act in parallel, ``k ∝ 1/L1 + 1/L2`` (Wang et al., Robotics 7:75, 2018); ``strength``
    blends that with a constant.
    """
    share = (position - begin) / (end - begin)
    share = min(max(share, 0.02), 0.98)
    return strength * (0.25 / (share * (1.0 - share)) - 1.0)


@compiled
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


@compiled
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


@compiled
def _advance(
    x: float,
    v: float,
    begin: float,
    end: float,
    motor: tuple[float, float, float],
    push: float,
    step: float,
    flow: Floats,
    rub: Floats,
) -> tuple[float, float]:
    """One step of one axis: where it is and how fast.

    ``motor`` is its ripple at the start, on average and at the end of the step, mm;
    ``push`` a further force, mN.
    """
    damper = flow[12]
    w = v - damper * motor[0]
    free = flow[2] * x + flow[3] * w + flow[5] * begin + flow[7] * end
    free += flow[9] * motor[1] + flow[11] * push + damper * motor[2]
    after, extra = _after_friction(v, free, rub[0] * flow[11], rub[1], rub[2])
    push += (after - free) / flow[11]
    x = flow[0] * x + flow[1] * w + flow[4] * begin + flow[6] * end
    return x + flow[8] * motor[1] + flow[10] * push + extra * step, after


@compiled
def _advance_pair(
    x: float,
    v: float,
    tool: Floats,
    begin: float,
    end: float,
    motor: tuple[float, float, float],
    push: float,
    step: float,
    flow: Floats,
    rub: Floats,
) -> tuple[float, float]:
    """One step of a carriage that carries a tool, whose state (2,) goes on in place.

    As :func:`_advance`; ``flow`` is transition (16), start, end, motor, force (4 each), c/m₁.
    Friction and ``push`` act on the carriage.
    """
    damper = flow[32]
    w, y, u = v - damper * motor[0], tool[0], tool[1]
    free = flow[4] * x + flow[5] * w + flow[6] * y + flow[7] * u
    free += flow[17] * begin + flow[21] * end + flow[25] * motor[1] + flow[29] * push
    free += damper * motor[2]
    after, extra = _after_friction(v, free, rub[0] * flow[29], rub[1], rub[2])
    push += (after - free) / flow[29]
    for row in (0, 2, 3):
        moved = flow[4 * row] * x + flow[4 * row + 1] * w
        moved += flow[4 * row + 2] * y + flow[4 * row + 3] * u
        moved += flow[16 + row] * begin + flow[20 + row] * end
        moved += flow[24 + row] * motor[1] + flow[28 + row] * push
        if row == 0:
            carriage = moved + extra * step
        else:
            tool[row - 2] = moved
    return carriage, after


@compiled
def _pull(
    begin: float, end: float, ripple: float, stairs: float, middle: float, belt: Floats
) -> float:
    """Mean extension of a belt that acts beyond the linear axis and ripple, mm.

    Microsteps, which pull by the spring alone, and the belt's whole extension times its
    excess of stiffness over the middle's.
    """
    excess = _belt(middle, belt[0], belt[1], belt[2])
    excess += belt[3] * (1.0 + excess)
    pull: float = stairs + excess * (0.5 * (begin + end) + ripple + stairs - middle)
    return pull


@compiled
def run(
    command: Floats,  # (N, 2) mm, x and y
    flow: Floats,  # (2, 13): transition (4), start, end, motor, force (2 each), c/m of each axis
    stiffness: Floats,  # (2,) N/m
    rub: Floats,  # (2, 3): friction mN, v_s mm/s, weight of a step's end
    belts: Floats,  # (2, 4): start, end mm, strength, imbalance of each motor's belt
    ripples: Floats,  # (2, R, 2): amplitude mm, period mm, of each motor
    microstep: Floats,  # (2,) mm; 0 switches quantisation off
    step: float,  # s
    corexy: bool,
    state: Floats,  # (2, 2): x mm, ẋ mm/s of each axis; updated in place
    pairs: tuple[bool, bool],  # whether each axis has a second mode
    pair_flow: Floats,  # (2, 33), as `_advance_pair` takes it
    tools: Floats,  # (2, 2): x mm, ẋ mm/s of each axis' tool; updated in place where it has one
    actual: Floats,  # (N, 2) mm, filled
) -> None:
    """Let both axes follow a command; ``actual`` is where they go, ``state`` where they end.

    Where an axis has a second mode, ``state`` is the carriage's and ``actual`` the tool's.
    """
    x, u = state[0]
    y, v = state[1]
    pair_x, pair_y = pairs
    tool_x, tool_y = tools[0], tools[1]
    actual[0, 0], actual[0, 1] = tool_x[0] if pair_x else x, tool_y[0] if pair_y else y
    x0, y0 = command[0]
    # Taking rows apart within the loop would cost as much as the physics.
    flow_x, flow_y, rub_x, rub_y = flow[0], flow[1], rub[0], rub[1]
    belt_a, belt_b, ripples_a, ripples_b = belts[0], belts[1], ripples[0], ripples[1]
    stiffness_x, stiffness_y = stiffness
    microstep_a, microstep_b = microstep
    # Motor coordinates: a and b are x and y, or x + y and x − y where two belts cross.
    a0, b0 = (x0 + y0, x0 - y0) if corexy else (x0, y0)
    p0, area_p = _ripple(a0, ripples_a)
    q0, area_q = _ripple(b0, ripples_b)
    stair_a, area_a = _staircase(a0, microstep_a)
    stair_b, area_b = _staircase(b0, microstep_b)
    for n in range(1, command.shape[0]):
        x1, y1 = command[n, 0], command[n, 1]
        a1, b1 = (x1 + y1, x1 - y1) if corexy else (x1, y1)
        last_p, last_q, last_a, last_b = area_p, area_q, area_a, area_b
        last_stair_a, last_stair_b = stair_a, stair_b
        p1, area_p = _ripple(a1, ripples_a)
        q1, area_q = _ripple(b1, ripples_b)
        stair_a, area_a = _staircase(a1, microstep_a)
        stair_b, area_b = _staircase(b1, microstep_b)
        p = _mean(a1 - a0, p0, last_p, p1, area_p)
        q = _mean(b1 - b0, q0, last_q, q1, area_q)
        stairs_a = _mean(a1 - a0, last_stair_a, last_a, stair_a, area_a)
        stairs_b = _mean(b1 - b0, last_stair_b, last_b, stair_b, area_b)
        middle_x, middle_y = x + 0.5 * step * u, y + 0.5 * step * v
        if corexy:
            pull_a = _pull(a0, a1, p, stairs_a, middle_x + middle_y, belt_a)
            pull_b = _pull(b0, b1, q, stairs_b, middle_x - middle_y, belt_b)
            pull_x, pull_y = 0.5 * (pull_a + pull_b), 0.5 * (pull_a - pull_b)
            motor_x = (0.5 * (p0 + q0), 0.5 * (p + q), 0.5 * (p1 + q1))
            motor_y = (0.5 * (p0 - q0), 0.5 * (p - q), 0.5 * (p1 - q1))
        else:
            pull_x = _pull(a0, a1, p, stairs_a, middle_x, belt_a)
            pull_y = _pull(b0, b1, q, stairs_b, middle_y, belt_b)
            motor_x, motor_y = (p0, p, p1), (q0, q, q1)
        push_x, push_y = stiffness_x * pull_x, stiffness_y * pull_y
        if pair_x:
            row = pair_flow[0]
            x, u = _advance_pair(x, u, tool_x, x0, x1, motor_x, push_x, step, row, rub_x)
            actual[n, 0] = tool_x[0]
        else:
            x, u = _advance(x, u, x0, x1, motor_x, push_x, step, flow_x, rub_x)
            actual[n, 0] = x
        if pair_y:
            row = pair_flow[1]
            y, v = _advance_pair(y, v, tool_y, y0, y1, motor_y, push_y, step, row, rub_y)
            actual[n, 1] = tool_y[0]
        else:
            y, v = _advance(y, v, y0, y1, motor_y, push_y, step, flow_y, rub_y)
            actual[n, 1] = y
        x0, y0, a0, b0, p0, q0 = x1, y1, a1, b1, p1, q1
    state[0, 0], state[0, 1] = x, u
    state[1, 0], state[1, 1] = y, v
