"""The inversion of a mode against its closed form on a sine, and against the mode itself."""

import numpy as np
from scipy.signal import lsim

from trajerr.dynamics.mode_inversion import MEANS, SMOOTHING_S, ModeInversion
from trajerr.motion.trajectory import Trajectory

RATE = 10_000.0
MODES = ((24.0, 0.14), (21.0, 0.08))


def sine(frequency: float, seconds: float = 2.0) -> Trajectory:
    time = np.arange(int(seconds * RATE)) / RATE
    wave = 5.0 * np.sin(2.0 * np.pi * frequency * time)
    return Trajectory.of_positions(np.column_stack([wave, -wave]), RATE)


def inner(values: np.ndarray) -> np.ndarray:
    margin = int(0.3 * RATE)
    return values[margin:-margin]


def test_it_is_the_formula_of_the_smoothed_command():
    frequency, trajectory = 7.0, sine(7.0)
    told = ModeInversion(MODES).apply(trajectory).position
    rotation, phase = 2.0 * np.pi * frequency, 2.0 * np.pi * frequency * trajectory.time
    smooth = np.sinc(frequency * SMOOTHING_S / MEANS) ** MEANS  # of moving means
    for column, sign, (natural, damping) in zip(told.T, (1.0, -1.0), MODES, strict=False):
        omega = 2.0 * np.pi * natural
        wanted = (1.0 - (rotation / omega) ** 2) * np.sin(phase)
        wanted += 2.0 * damping * rotation / omega * np.cos(phase)
        np.testing.assert_allclose(inner(column), inner(5.0 * sign * smooth * wanted), atol=0.02)


def test_a_grounded_mode_follows_the_smoothed_command():
    trajectory = sine(5.0)
    told = ModeInversion(MODES).apply(trajectory).position[:, 0]
    omega, damping = 2.0 * np.pi * MODES[0][0], MODES[0][1]
    system = ([omega**2], [1.0, 2.0 * damping * omega, omega**2])
    _, followed, _ = lsim(system, told, trajectory.time)
    smooth = np.sinc(5.0 * SMOOTHING_S / MEANS) ** MEANS
    wanted = smooth * trajectory.position[:, 0]
    settled = slice(int(1.0 * RATE), -int(0.1 * RATE))
    np.testing.assert_allclose(followed[settled], wanted[settled], atol=0.02)


def test_a_command_at_rest_stays():
    resting = Trajectory.of_positions(np.full((500, 2), 123.456), RATE)
    told = ModeInversion(MODES).apply(resting).position[:, :2]
    np.testing.assert_allclose(told, 123.456, atol=1e-12)
