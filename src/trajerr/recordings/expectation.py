"""Where a printer takes its nozzle on a trajectory: what a recording of it is compared with."""

from collections.abc import Iterator
from dataclasses import replace
from math import ceil

import numpy as np

from trajerr.arrays import Floats
from trajerr.dynamics.axis import frequency_response
from trajerr.dynamics.layer import simulation_rate
from trajerr.dynamics.plant import simulate_decimated
from trajerr.dynamics.printer import Printer
from trajerr.motion.trajectory import Trajectory
from trajerr.recordings.signals import inverse, second_derivative, transform

PIECE_S = 60.0  # of motion that is simulated at a time, to spare memory


def expected_motion(printer: Printer, trajectory: Trajectory) -> Floats:
    """Return where the nozzle goes, (N, 2) mm, from rest, without timing jitter.

    Parameters
    ----------
    printer
        The plant, with the input shaper that its firmware applies.
    trajectory
        N samples, dense enough for the command to run straight between them.
    """
    rate = trajectory.sample_rate
    finer = round(simulation_rate(rate) / rate)
    pieces = _pieces(trajectory, finer)
    _, xy = simulate_decimated(printer.without("jitter"), pieces, rate, seed=0)
    return xy


def linear_acceleration(printer: Printer, trajectory: Trajectory, high_hz: float) -> Floats:
    """Return the (N, 2) acceleration of the printer's linear part, mm/s², up to a frequency.

    ``m ẍ = k (r − x) + c (ṙ − ẋ)`` in the frequency domain: at once for a print of hours.
    """
    rate, xy = trajectory.sample_rate, trajectory.position[:, :2]
    if printer.shaper is not None:
        xy = printer.shaper.shape(xy, rate)
    spectrum, frequency = transform(second_derivative(xy, rate, high_hz), rate)
    response = [frequency_response(axis, frequency) for axis in (printer.x, printer.y)]
    return inverse(spectrum * np.column_stack(response), len(xy), rate)


def _pieces(trajectory: Trajectory, finer: int) -> Iterator[Trajectory]:
    """Yield the command with ``finer`` samples in place of each, from time 0 on."""
    rate, xy = trajectory.sample_rate, trajectory.position[:, :2]
    last = (len(xy) - 1) * finer
    size = ceil(PIECE_S * rate * finer)
    for begin in range(0, last + 1, size):
        index = np.arange(begin, min(begin + size, last + 1))
        columns = [np.interp(index / finer, np.arange(len(xy)), column) for column in xy.T]
        piece = Trajectory.of_positions(np.column_stack(columns), finer * rate)
        yield replace(piece, first=begin)
