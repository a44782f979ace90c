"""The simulated machine: commanded motion in, the nozzle's actual motion out.

Knows the whole equation of motion and its state. Each step solves the linear part exactly
(:func:`trajerr.dynamics.axis.discretise`) and friction implicitly
(:mod:`trajerr.dynamics.kernel`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from trajerr.arrays import Floats
from trajerr.dynamics import kernel
from trajerr.dynamics.axis import AxisParameters, carriage_mass, discretise
from trajerr.dynamics.normal import quantile
from trajerr.dynamics.printer import Printer
from trajerr.motion.trajectory import Trajectory

SIMULATION_RATE_HZ = 10000.0  # halving the step changes the default result by < 0.1 µm
JITTER_RATE_HZ = 1000.0  # timing errors are drawn on this grid, whatever the simulation's rate


@dataclass(frozen=True)
class PlantState:
    """Where the carriage is and how it moves: carried from layer to layer."""

    index: int  # of the sample at which it holds, on the grid of the whole print
    command: Floats  # (2,) mm, commanded there, after any shaper
    late: Floats  # (2,) mm, what the motors made of it
    axes: Floats  # (2, 2) x mm and ẋ mm/s, of x and y; of their carriages, with a second mode
    jitter: Floats  # (2,) normalised timing error of each motor at `jitter_index`
    jitter_index: int  # on the grid k / JITTER_RATE_HZ
    tools: Floats | None = None  # (2, 2) the same of what prints; None: as its carriage
    past: Floats | None = None  # (K, 2) mm, commanded up to `command`; None: it rested there


@dataclass(frozen=True)
class ActualMotion:
    """What the nozzle does on the grid of the trajectory that caused it."""

    xy: Floats  # (N, 2) mm
    state: PlantState | None  # after the last sample


def simulate(
    printer: Printer, trajectory: Trajectory, *, seed: int, state: PlantState | None = None
) -> ActualMotion:
    """Return where the nozzle goes.

    Parameters
    ----------
    printer
        Its enabled effects act, and its input shaper, where it has one: it shapes the trajectory,
        before and after which the command rests.
    trajectory
        Sampled at :data:`SIMULATION_RATE_HZ` or any rate fast against the mechanics; the
        command runs straight between samples.
    seed
        Of the timing jitter, the only random effect. Drawn by grid index: a print simulated
        in pieces sees the same jitter as in one.
    state
        End of the piece before, which this one follows: its last sample is this one's first,
        or comes right before it. None starts at rest at the first commanded position.

    Raises
    ------
    ValueError
        If the trajectory does not follow on the state; or if the printer has a shaper, which
        looks beyond the ends of a piece: :func:`simulate_pieces` lets it.
    """
    if printer.shaper is None:
        return _follow(printer, trajectory, seed, state)
    if state is not None:
        raise ValueError("state: got one, expected None for a printer with an input shaper")
    shaped = printer.shaper.shape(trajectory.position[:, :2], trajectory.sample_rate)
    return _follow(printer, trajectory.with_xy(shaped), seed, state)


def _follow(
    printer: Printer, trajectory: Trajectory, seed: int, state: PlantState | None
) -> ActualMotion:
    """Return where the nozzle goes when motors are told a trajectory, after any shaper."""
    if not len(trajectory):
        return ActualMotion(np.empty((0, 2)), state)
    first, command = _command(trajectory, state)
    step = 1.0 / trajectory.sample_rate
    told, past = _delayed(printer, command, step, state)
    late, process, node = _jitter(printer, first, told, step, seed, state)
    axes = _state_at_rest(command[0]) if state is None else state.axes.copy()
    tools = axes.copy() if state is None or state.tools is None else state.tools.copy()
    actual = np.empty_like(command)
    pair = (printer.x, printer.y)
    kernel.run(
        late,
        np.array([_flow(axis, step) for axis in pair]),
        np.array([axis.stiffness_n_per_m for axis in pair]),
        np.array([_rub(axis, step, printer.has("friction")) for axis in pair]),
        _belts(printer),
        _ripples(printer),
        np.array([axis.microstep_mm * printer.has("quantisation") for axis in pair]),
        step,
        printer.kinematics == "corexy",
        axes,
        (printer.x.second_mode is not None, printer.y.second_mode is not None),
        np.array([_pair_flow(axis, step) for axis in pair]),
        tools,
        actual,
    )
    last = first + len(command) - 1
    state = PlantState(last, command[-1].copy(), late[-1].copy(), axes, process, node, tools, past)
    return ActualMotion(actual[trajectory.first - first :], state)


def simulate_pieces(
    printer: Printer, pieces: Iterable[Trajectory], *, seed: int
) -> Iterator[tuple[Trajectory, ActualMotion]]:
    """Simulate a trajectory that comes in pieces, as if it came as a whole.

    Parameters
    ----------
    printer, seed
        As for :func:`simulate`.
    pieces
        One follows on the other.

    Yields
    ------
    tuple
        Each piece, as commanded, and what the nozzle does in it.
    """
    state = None
    for piece, driven in _driven(printer, pieces):
        motion = _follow(printer, driven, seed, state)
        state = motion.state
        yield piece, motion


def _driven(
    printer: Printer, pieces: Iterable[Trajectory]
) -> Iterator[tuple[Trajectory, Trajectory]]:
    """Yield each piece and what its firmware tells the motors of it."""
    if printer.shaper is None:
        return ((piece, piece) for piece in pieces)
    return printer.shaper.shape_pieces(pieces)


def decimate(
    trajectory: Trajectory, motion: ActualMotion, sample_rate: float
) -> tuple[Trajectory, ActualMotion]:
    """Return both at a data rate: every M-th sample of the whole print's grid.

    Parameters
    ----------
    trajectory, motion
        N samples each; what :func:`simulate` took and returned.
    sample_rate
        Hz; a whole fraction of the trajectory's.

    Raises
    ------
    ValueError
        If it is not.
    """
    every = round(trajectory.sample_rate / sample_rate)
    if every < 1 or abs(every * sample_rate - trajectory.sample_rate) > 1e-6:
        raise ValueError(
            f"sample_rate: got {sample_rate:g} Hz, expected a whole fraction of "
            f"{trajectory.sample_rate:g} Hz"
        )
    skip = -trajectory.first % every
    kept = slice(skip, None, every)
    arrays = {
        f.name: getattr(trajectory, f.name)[kept].copy()  # a view would keep all in memory
        for f in fields(trajectory)
        if f.name not in ("sample_rate", "first")
    }
    first = (trajectory.first + skip) // every
    coarse = replace(trajectory, sample_rate=sample_rate, first=first, **arrays)
    return coarse, ActualMotion(motion.xy[kept].copy(), motion.state)


def simulate_decimated(
    printer: Printer, pieces: Iterable[Trajectory], sample_rate: float, *, seed: int
) -> tuple[Trajectory, Floats]:
    """Simulate pieces one after the other and keep no more of each than a data rate needs.

    Parameters
    ----------
    printer, pieces, seed
        As for :func:`simulate_pieces`.
    sample_rate
        Hz; a whole fraction of the pieces'.

    Returns
    -------
    tuple
        The pieces at the data rate as one trajectory, and where the nozzle is, (N, 2) mm.
    """
    kept = [
        decimate(piece, motion, sample_rate)
        for piece, motion in simulate_pieces(printer, pieces, seed=seed)
    ]
    return Trajectory.joined([c for c, _ in kept]), np.concatenate([m.xy for _, m in kept])


def noise_floor(printer: Printer, trajectory: Trajectory, *, seed: int = 0) -> float:
    """Return the RMS over both axes of what jitter adds, mm: no model can predict below it.

    From two simulations that differ in nothing else.
    """
    noisy = simulate(printer, trajectory, seed=seed).xy
    clean = simulate(printer.without("jitter"), trajectory, seed=seed).xy
    return float(np.sqrt(np.mean((noisy - clean) ** 2)))


def _command(trajectory: Trajectory, state: PlantState | None) -> tuple[int, Floats]:
    """Return the first index and the (N, 2) command, from the state's sample on."""
    command = np.ascontiguousarray(trajectory.position[:, :2])
    if state is None or trajectory.first == state.index:
        return trajectory.first, command
    if trajectory.first != state.index + 1:
        raise ValueError(
            f"state: got one at sample {state.index}, expected one at sample "
            f"{trajectory.first} or {trajectory.first - 1}"
        )
    return state.index, np.vstack([state.command, command])


def _state_at_rest(position: Floats) -> Floats:
    return np.column_stack([position, np.zeros(2)])


def _delayed(
    printer: Printer, command: Floats, step: float, state: PlantState | None
) -> tuple[Floats, Floats | None]:
    """Return the command (N, 2) mm as it reaches the motors, and what the next piece needs.

    Straight between samples, as the command is: a corner within a step becomes two, one at
    either end, which share its change of velocity so that its instant stays.
    """
    late = np.array([printer.x.delay_s, printer.y.delay_s]) / step  # samples
    before = int(np.ceil(late.max()))
    if before == 0:
        return command, None
    past = np.tile(command[:1], (before, 1))
    if state is not None and state.past is not None:
        past = state.past[-before - 1 : -1]
    known = np.vstack([past, command])
    index = np.arange(len(command)) + before
    told = [np.interp(index - late[axis], np.arange(len(known)), known[:, axis]) for axis in (0, 1)]
    return np.column_stack(told), known[-before - 1 :].copy()


def _flow(axis: AxisParameters, step: float) -> Floats:
    """Return (13,) what a step of an axis needs; of no use to one with a second mode."""
    if axis.second_mode is not None:
        return np.zeros(13)
    return _solved(axis, step)


def _pair_flow(axis: AxisParameters, step: float) -> Floats:
    """Return (33,) what a step of an axis with a second mode needs."""
    return np.zeros(33) if axis.second_mode is None else _solved(axis, step)


def _solved(axis: AxisParameters, step: float) -> Floats:
    solved = discretise(axis, step)
    parts = (solved.transition, solved.start, solved.end, solved.motor, solved.force)
    row = np.concatenate([part.ravel() for part in parts])
    return np.append(row, axis.damping_n_s_per_m / carriage_mass(axis))


def _rub(axis: AxisParameters, step: float, acts: bool) -> Floats:
    newton = axis.coulomb_n if acts else 0.0
    return np.array([newton * 1000.0, axis.friction_velocity_mm_s, _end_weight(axis, step)])


def _belts(printer: Printer) -> Floats:
    acts = printer.has("belt")
    uneven = printer.belt_imbalance if acts and printer.kinematics == "corexy" else 0.0
    return np.array(
        [
            [axis.belt_start_mm, axis.belt_end_mm, axis.belt_strength * acts, sign * uneven]
            for axis, sign in ((printer.x, 1.0), (printer.y, -1.0))
        ]
    )


def _end_weight(axis: AxisParameters, step: float) -> float:
    """Return the share of a step's end in friction's mean, exact for linear decay.

    ½ where friction is smooth over a step (second order), 1 where it is stiff (L-stable);
    the exponentially fitted θ-method (Liniger and Willoughby, SIAM J. Numer. Anal. 7:47, 1970).
    """
    decay = axis.coulomb_n * 1000.0 / (carriage_mass(axis) * axis.friction_velocity_mm_s) * step
    if decay < 1e-3:
        return 0.5 + decay / 12.0
    return float(-1.0 / np.expm1(-decay) - 1.0 / decay)


def _ripples(printer: Printer) -> Floats:
    count = max(len(axis.ripple_periods_mm) for axis in (printer.x, printer.y))
    table = np.tile([0.0, 1.0], (2, count * printer.has("ripple"), 1))
    for motor, axis in enumerate((printer.x, printer.y)):
        if printer.has("ripple"):
            pairs = list(zip(axis.ripple_amplitudes_mm, axis.ripple_periods_mm, strict=True))
            table[motor, : len(pairs)] = np.array(pairs).reshape(-1, 2)
    return table


def _jitter(
    printer: Printer, first: int, command: Floats, step: float, seed: int, state: PlantState | None
) -> tuple[Floats, Floats, int]:
    """Return the command as motors follow it, and where the timing errors' filter stands.

    Each microstep adds an independent error; firmware's clock makes up for them within
    ``jitter_memory_s``: an Ornstein-Uhlenbeck process of variance σ² (step rate) memory / 2.

    Returns
    -------
    Floats : (N, 2)
        mm.
    Floats : (2,)
        The normalised process of each motor at the node below the last sample.
    int
        That node, on the grid k / JITTER_RATE_HZ.
    """
    ratio = JITTER_RATE_HZ * step
    begin = int(np.floor(first * ratio))
    last = int(np.floor((first + len(command) - 1) * ratio))
    if not printer.has("jitter"):
        return command, np.zeros(2), last
    start = state.jitter if state is not None and state.jitter_index == begin else None
    normal = _normals(seed, begin, last + 2 - begin)
    process, scale = np.empty_like(normal), np.empty(2)
    for motor, axis in enumerate((printer.x, printer.y)):
        keep = np.exp(-1.0 / (axis.jitter_memory_s * JITTER_RATE_HZ))
        draws = normal[:, motor] * np.sqrt(1.0 - keep**2)
        draws[0] = normal[0, motor] if start is None else start[motor]
        process[:, motor] = kernel.decay(draws, keep, 0.0)
        scale[motor] = axis.jitter_s * np.sqrt(0.5 * axis.jitter_memory_s / axis.microstep_mm)
    crossed = printer.kinematics == "corexy"
    late = kernel.delay(command, process * scale, begin, first, ratio, step, crossed)
    if state is not None:
        late[0] = state.late
    return late, process[last - begin], last


def _normals(seed: int, first: int, count: int) -> Floats:
    """Return (count, 2) standard normal numbers that depend on seed and grid index alone."""
    source = np.random.Philox(key=seed)
    source.advance(max(first, 0))
    raw = source.random_raw(4 * count).reshape(count, 4)[:, :2]
    return quantile(np.asarray(((raw >> np.uint64(11)) + 0.5) / 2.0**53, dtype=np.float64))
