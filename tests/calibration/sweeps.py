"""What an accelerometer would record while Klipper shakes a simulated printer."""

from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from omegaconf import OmegaConf

from tests.paths import CONF
from trajerr.dynamics.plant import simulate
from trajerr.dynamics.printer import Printer
from trajerr.motion.trajectory import Trajectory

RATE_HZ = 3200.0  # of an ADXL345
FINER = 3  # simulated samples for each of the sensor's
# ADXL345 data sheet, rev. E: noise 290 µg/√Hz (x, y) and 430 (z), 3.9 mg a digit.
NOISE = 9806.65 * np.array([290e-6, 290e-6, 430e-6])  # (mm/s²)/√Hz
DIGIT = 9806.65 * 3.9e-3  # mm/s²


def load_printer(name: str) -> Printer:
    return instantiate(OmegaConf.load(CONF / "printer" / f"{name}.yaml"))


def resting(xy, rate_hz) -> Trajectory:
    """Command (N, 2) mm and nothing else."""
    count = len(xy)
    nothing = np.zeros(count)
    return Trajectory(
        sample_rate=rate_hz,
        first=0,
        position=np.column_stack([xy, nothing]),
        extrusion=nothing,
        move=nothing.astype(np.int64),
        layer=np.ones(count, np.int32),
        feature=nothing.astype(np.uint8),
        kind=nothing.astype(np.uint8),
        nozzle=nothing,
        bed=nothing,
        fan=nothing,
    )


def pulses(low_hz=5.0, high_hz=135.0, per_hz=75.0, hz_per_s=1.0):
    """Return ends (s) and accelerations (mm/s²) of TEST_RESONANCES' vibrations.

    As its documentation says: a quarter period each forward, back twice, and forward, the
    acceleration proportional to the frequency.
    """
    times, accelerations = [], []
    frequency, now, sign = low_hz, 0.0, 1.0
    while frequency <= high_hz:
        quarter = 0.25 / frequency
        for direction in (sign, -sign):
            now += quarter
            times.append(now)
            accelerations.append(direction * per_hz * frequency)
        frequency += 2.0 * quarter * hz_per_s
        sign = -sign
    return np.array(times), np.array(accelerations)


def commanded(ends, accelerations, rate_hz, start=110.0):
    """(N,) mm on the grid k / rate, exactly integrated."""
    begins = np.concatenate([[0.0], ends[:-1]])
    length = ends - begins
    speed = np.concatenate([[0.0], np.cumsum(accelerations * length)])
    way = np.concatenate([[0.0], np.cumsum(speed[:-1] * length + 0.5 * accelerations * length**2)])
    time = np.arange(int(ends[-1] * rate_hz)) / rate_hz
    index = np.searchsorted(ends, time, side="right")
    since = time - begins[index]
    return start + way[index] + speed[index] * since + 0.5 * accelerations[index] * since**2


def record(printer, axis, *, seed=0, noise=1.0, clock=1.004, start=110.0, **sweep):
    """Return (N, 4): s and mm/s², of a test of axis 0 or 1.

    The sensor sits askew by a few percent, feels gravity, is noisy, rounds to its digits, and
    its clock is off.
    """
    random = np.random.default_rng(seed)
    fine_hz = FINER * RATE_HZ * clock
    moved = commanded(*pulses(**sweep), fine_hz, start)
    xy = np.full((len(moved), 2), start)
    xy[:, axis] = moved
    actual = simulate(printer, resting(xy, fine_hz), seed=seed).xy
    felt = np.diff(actual, n=2, axis=0) * fine_hz**2
    count = len(felt) // FINER
    felt = felt[: count * FINER].reshape(count, FINER, 2).mean(axis=1)
    askew = np.column_stack([felt @ [1.0, 0.03], felt @ [0.03, 1.0], felt @ [0.05, 0.05]])
    askew[:, 2] += 9806.65
    askew += noise * NOISE * np.sqrt(0.5 * RATE_HZ) * random.normal(size=askew.shape)
    if noise:
        askew = DIGIT * np.round(askew / DIGIT)
    time = 1234.5 + np.arange(count) / (RATE_HZ * clock)
    return np.column_stack([time, askew])


def write_raw(path: Path, rows) -> Path:
    np.savetxt(
        path, rows, fmt="%.6f", delimiter=",", header="time,accel_x,accel_y,accel_z", comments="#"
    )
    return path
