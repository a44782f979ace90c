"""Where the nozzle of a foreign machine goes: for plans, for replays, for corrections."""

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from trajerr.arrays import Floats
from trajerr.dynamics.plant import ActualMotion
from trajerr.motion.trajectory import Trajectory

from .kernel import advance, at_rest, axis_values, frame_values
from .machine import Machine

FINER = 5  # samples for one of an error model
STEP_RATE_HZ = 20000.0  # at least; halving the step changes a layer by less than 0.1 µm RMS


@dataclass(frozen=True)
class Variant:
    """A machine with all its springs multiplied by a factor; all else is shared."""

    machine: Machine
    stiffness: float = 1.0  # (1 ± 0.1)² is a natural frequency ± 10 %
    step_rate_hz: float = STEP_RATE_HZ

    def follow(self, command: Floats, sample_rate: float, state: Floats) -> Floats:
        """Return where the nozzle goes.

        Parameters
        ----------
        command : (N, 2)
            mm; runs straight between samples.
        sample_rate
            Hz.
        state
            At its first sample, as :func:`.kernel.at_rest` returns one; goes on in place.

        Returns
        -------
        Floats : (N, 2)
            mm; the first row is as commanded, for nothing is known before it.
        """
        machine, times = self.machine, math.ceil(self.step_rate_hz / sample_rate - 1e-9)
        frame = machine.frame
        pairs = zip((machine.x, machine.y), frame.direction, strict=True)
        x, y = (axis_values(axis, self.stiffness, along) for axis, along in pairs)
        nozzle = np.array(command, np.float64)
        advance(
            np.ascontiguousarray(command, np.float64),
            times,
            1.0 / (times * sample_rate),
            x,
            y,
            frame_values(frame, self.stiffness),
            frame.sway,
            state,
            nozzle,
        )
        return nozzle

    def from_rest(self, command: Floats, sample_rate: float) -> Floats:
        """Return where the nozzle goes, (N, 2) mm, from rest at the first command."""
        return self.follow(command, sample_rate, at_rest(command[0]))

    def along(self, pieces: Iterable[Trajectory]) -> Iterator[tuple[Trajectory, ActualMotion]]:
        """Follow a trajectory that comes in pieces, from rest; yield each with its motion."""
        state, last = None, np.empty((0, 2))
        for piece in pieces:
            command = piece.position[:, :2]
            if state is None:
                state = at_rest(command[0])
            # From the last sample of the piece before, on to this one's first.
            joined = np.concatenate([last, command])
            nozzle = self.follow(joined, piece.sample_rate, state)[len(last) :]
            last = command[-1:]
            yield piece, ActualMotion(nozzle, None)


@dataclass(frozen=True)
class MachineModel:
    """The machine itself as the error model of a correction: what a model of samples can be.

    Between them the command is taken to run smoothly: straight, it would leap in speed at each, as
    no print does.
    """

    variant: Variant
    sample_rate_hz: float
    threads: int
    band_hz: float  # as the network's that it bounds

    def errors(self, features: Floats) -> Floats:
        """Return the (B, T, 2) error in mm for (B, T, 15) features of B trajectories."""
        commanded = np.asarray(features[..., :2], np.float64)

        def nozzle(command: Floats) -> Floats:
            smooth = CubicSpline(np.arange(len(command)), command)
            fine = smooth(np.arange(FINER * (len(command) - 1) + 1) / FINER)
            return self.variant.from_rest(fine, FINER * self.sample_rate_hz)[::FINER]

        with ThreadPoolExecutor(self.threads) as pool:
            return np.stack(list(pool.map(nozzle, commanded))) - commanded
