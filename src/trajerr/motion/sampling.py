"""A plan on a uniform grid of time: the commanded trajectory."""

from collections.abc import Iterator

import numpy as np

from trajerr.checks import require_positive
from trajerr.errors import GcodeError
from trajerr.motion.planner import Plan
from trajerr.motion.trajectory import Trajectory

MOST_SAMPLES = 100_000_000  # three hours at 10 kHz, six days at 200 Hz: about 8 GB
BLOCK = 1 << 16  # samples worked on at a time: temporaries stay in the cache
PIECE = 1 << 19  # samples of a long trajectory that are in memory at a time: about 50 MB


def sample(planned: Plan, rate: float, start: float = 0.0, stop: float | None = None) -> Trajectory:
    """Sample a plan at the times k/rate within [start, stop].

    Parameters
    ----------
    planned
        A program's motion.
    rate
        Hz.
    start, stop
        s; ``None`` is the end of the print. ``sample(planned, rate, *planned.layer_span(n))``
        is layer n as it moves in the print. An interval between two samples gives none.

    Raises
    ------
    ConfigError
        If the rate is not positive.
    GcodeError
        If a pause or a feedrate makes it last too long to be held in memory.
    """
    first, count = _samples(planned, rate, start, stop)
    return _gather(planned, rate, first, count)


def sample_pieces(planned: Plan, rate: float, start: float, stop: float) -> Iterator[Trajectory]:
    """Sample a plan piece by piece, so that a long one is never in memory as a whole.

    Parameters
    ----------
    planned, rate, start, stop
        As for :func:`sample`.

    Yields
    ------
    Trajectory
        The next at most :data:`PIECE` samples; at least one piece, if without samples.

    Raises
    ------
    ConfigError, GcodeError
        As for :func:`sample`.
    """
    return (piece.rows(own) for piece, own in sample_around(planned, rate, start, stop, 0.0))


def sample_around(
    planned: Plan, rate: float, start: float, stop: float, margin: float
) -> Iterator[tuple[Trajectory, slice]]:
    """Sample a plan piece by piece as :func:`sample_pieces`, each with what surrounds it.

    Parameters
    ----------
    planned, rate, start, stop
        As for :func:`sample`.
    margin
        s within [start, stop] that each piece is sampled beyond its own ends.

    Yields
    ------
    tuple
        A piece with its margins, and which of its rows are its own.
    """
    first, count = _samples(planned, rate, start, stop)
    beyond = int(np.ceil(margin * rate))
    for begin in range(0, max(count, 1), PIECE):
        end = min(begin + PIECE, count)
        low, high = max(begin - beyond, 0), min(end + beyond, count)
        yield _gather(planned, rate, first + low, high - low), slice(begin - low, end - low)


def sample_layers(planned: Plan, rate: float) -> Iterator[tuple[int, Trajectory]]:
    """Sample a print layer by layer, so that only one layer is in memory.

    Yields
    ------
    tuple
        The layer's number and its trajectory.
    """
    for layer in planned.layers:
        yield int(layer), sample(planned, rate, *planned.layer_span(int(layer)))


def check_length(planned: Plan, rate: float, seconds: float) -> None:
    """Refuse motion that lasts too long to be worked on.

    Raises
    ------
    GcodeError
        If it gives more than :data:`MOST_SAMPLES`.
    """
    if seconds * rate > MOST_SAMPLES:
        raise GcodeError(
            f"{planned.program.name}: {seconds:.3g} s of motion to be sampled at {rate:g} Hz, "
            f"expected at most {MOST_SAMPLES / rate:.3g} s; a pause (G4) is too long or a "
            "feedrate (F) too low"
        )


def _samples(planned: Plan, rate: float, start: float, stop: float | None) -> tuple[int, int]:
    """Return the index of the first sample within [start, stop], and how many there are."""
    require_positive("sample_rate_hz", rate)
    end = planned.print_time if stop is None else min(stop, planned.print_time)
    check_length(planned, rate, end - start)
    first, last = grid(max(start, 0.0), end, rate)
    return first, max(last + 1 - first, 0)


def grid(start: float, stop: float, rate: float) -> tuple[int, int]:
    """Return the first and last k with start ≤ k/rate ≤ stop, times in s and a rate in Hz."""
    first, last = int(np.ceil(start * rate)), int(np.floor(stop * rate))
    # The product rounds, the quotient decides.
    first += int(first / rate < start) - int((first - 1) / rate >= start)
    last += int((last + 1) / rate <= stop) - int(last / rate > stop)
    return first, last


def _gather(planned: Plan, rate: float, first: int, count: int) -> Trajectory:
    point, extrusion = np.empty((count, 3)), np.empty(count)
    segment = np.empty(count, dtype=np.int64)
    for begin in range(0, count, BLOCK):
        rows = slice(begin, min(begin + BLOCK, count))
        time = np.arange(first + rows.start, first + rows.stop) / rate
        segment[rows] = index = planned.segment_at(time)
        point[rows] = planned.position_in(index, time)[:, :3]
        extrusion[rows] = planned.filament_in(index, time)
    moves = planned.program.moves
    move = planned.move[segment]
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
