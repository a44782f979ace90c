"""A plan on a uniform grid of time: the commanded trajectory."""

from collections.abc import Iterator

import numpy as np

from trajerr.errors import ConfigError, GcodeError
from trajerr.motion.planner import Plan
from trajerr.motion.trajectory import Trajectory

MOST_SAMPLES = 100_000_000  # three hours at 10 kHz, six days at 200 Hz: about 8 GB
BLOCK = 1 << 16  # samples worked on at a time: temporaries stay in the cache


def sample(plan: Plan, rate: float, start: float = 0.0, stop: float | None = None) -> Trajectory:
    """Sample a plan at the times k/rate within [start, stop].

    Parameters
    ----------
    plan
        A program's motion.
    rate
        Hz.
    start, stop
        s; ``None`` is the end of the print. ``sample(plan, rate, *plan.layer_span(n))``
        is layer n as it moves in the print. An interval between two samples gives none.

    Raises
    ------
    ConfigError
        If the rate is not positive.
    GcodeError
        If a pause or a feedrate makes it last too long to be held in memory.
    """
    if not 0.0 < rate < np.inf:
        raise ConfigError(f"sample_rate_hz: got {rate}, expected a positive number")
    end = plan.print_time if stop is None else min(stop, plan.print_time)
    if (end - start) * rate > MOST_SAMPLES:
        raise GcodeError(
            f"{plan.program.name}: {end - start:.3g} s of motion to be sampled at {rate:g} Hz, "
            f"expected at most {MOST_SAMPLES / rate:.3g} s; a pause (G4) is too long or a "
            "feedrate (F) too low"
        )
    first, last = _grid(max(start, 0.0), end, rate)
    return _gather(plan, rate, first, max(last + 1 - first, 0))


def sample_layers(plan: Plan, rate: float) -> Iterator[tuple[int, Trajectory]]:
    """Sample a print layer by layer, so that only one layer is in memory.

    Yields
    ------
    tuple
        The layer's number and its trajectory.
    """
    for layer in plan.layers:
        yield int(layer), sample(plan, rate, *plan.layer_span(int(layer)))


def _grid(start: float, stop: float, rate: float) -> tuple[int, int]:
    """Return the first and last k with start ≤ k/rate ≤ stop."""
    first, last = int(np.ceil(start * rate)), int(np.floor(stop * rate))
    # The product rounds, the quotient decides.
    first += int(first / rate < start) - int((first - 1) / rate >= start)
    last += int((last + 1) / rate <= stop) - int(last / rate > stop)
    return first, last


def _gather(plan: Plan, rate: float, first: int, count: int) -> Trajectory:
    point, extrusion = np.empty((count, 3)), np.empty(count)
    segment = np.empty(count, dtype=np.int64)
    for begin in range(0, count, BLOCK):
        rows = slice(begin, min(begin + BLOCK, count))
        time = np.arange(first + rows.start, first + rows.stop) / rate
        segment[rows] = index = plan.segment_at(time)
        position = plan.position_in(index, time)
        point[rows], extrusion[rows] = position[:, :3], position[:, 3]
    moves = plan.program.moves
    move = plan.move[segment]
    return Trajectory(
        sample_rate=rate,
        first=first,
        position=point,
        extrusion=extrusion,
        move=move,
        layer=moves.layer[move],
        feature=moves.feature[move],
        kind=moves.kind[move],
        nozzle=moves.nozzle[move],
        bed=moves.bed[move],
        fan=moves.fan[move],
    )
