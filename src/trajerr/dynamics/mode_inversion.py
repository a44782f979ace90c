"""A printer's modes inverted on the commanded trajectory, as newest firmware offers it.

A carriage on a spring and a damper follows its motor by ``ẍ + 2ζω ẋ + ω² x = ω² r`` where the
damping is small or grounded; so ``r = x + 2ζ/ω ẋ + ẍ/ω²`` makes the carriage go along x. That takes
an acceleration everywhere, and planned motion leaps in speed at corners: it is smoothed first.
Here the damper joins carriage and motor, ``ẍ + 2ζω (ẋ − ṙ) + ω² (x − r) = 0``, for which the
formula is what firmware computes and not the exact inverse.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from trajerr.arrays import Floats
from trajerr.dynamics.printer import Printer
from trajerr.motion.trajectory import Trajectory

SMOOTHING_S = 0.02  # in all, of three moving means: the acceleration is continuous after them
MEANS = 3


@dataclass(frozen=True)
class ModeInversion:
    """What firmware that knows one mode an axis makes of a command."""

    modes: tuple[tuple[float, float], ...]  # of x and y: natural frequency in Hz, damping ratio

    @classmethod
    def of(cls, printer: Printer) -> Self:
        """Return that for a printer's own modes."""
        return cls(tuple((a.natural_freq_hz, a.damping_ratio) for a in (printer.x, printer.y)))

    @property
    def reach(self) -> float:
        """How far it looks before and behind an instant, s."""
        return SMOOTHING_S

    def apply(self, trajectory: Trajectory) -> Trajectory:
        """Return what motors are told; before and after the trajectory the command rests."""
        if not len(trajectory):
            return trajectory
        step = 1.0 / trajectory.sample_rate
        columns = [
            _inverted(trajectory.position[:, axis], step, *self.modes[axis]) for axis in (0, 1)
        ]
        return trajectory.with_xy(np.column_stack(columns))


def _inverted(command: Floats, step: float, frequency: float, damping: float) -> Floats:
    """Return x + 2ζ/ω ẋ + ẍ/ω² of a smoothed command, (N,) mm."""
    omega = 2.0 * np.pi * frequency
    half = max(round(SMOOTHING_S / MEANS / step / 2.0), 1)
    smooth = np.ones(1)
    for _ in range(MEANS):
        smooth = np.convolve(smooth, np.full(2 * half + 1, 1.0 / (2 * half + 1)))
    # Derivatives of the smoothing, not of what it has smoothed: nothing is lost to rounding.
    speed = np.array([1.0, 0.0, -1.0]) / (2.0 * step)
    acceleration = np.array([1.0, -2.0, 1.0]) / step**2
    now = np.array([0.0, 1.0, 0.0])
    formula = now + 2.0 * damping / omega * speed + acceleration / omega**2
    kernel = np.convolve(smooth, formula)
    begin = command[0]
    wide = np.pad(command - begin, len(kernel) // 2, mode="edge")
    return np.asarray(begin + np.convolve(wide, kernel, mode="valid"))
