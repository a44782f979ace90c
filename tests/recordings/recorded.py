"""A print whose nozzle is known by SciPy's own solution, and what sensors would write of it."""

import gzip
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.signal import StateSpace, lsim
from scipy.spatial.transform import Rotation

from tests.correction.cases import linear_printer
from trajerr.dynamics.printer import Printer
from trajerr.motion.trajectory import Trajectory

RATE_HZ = 1000.0
SENSOR_HZ = 3200.0
GRAVITY = 9806.65  # mm/s²


def linear(x_hz: float = 38.0, y_hz: float = 33.0, ratio: float = 0.08) -> Printer:
    """Return a printer of two linear axes."""
    base = linear_printer("klipper")

    def axis(of, frequency):
        omega = 2.0 * np.pi * frequency
        mass = of.mass_kg
        return replace(
            of, stiffness_n_per_m=mass * omega**2, damping_n_s_per_m=2.0 * ratio * omega * mass
        )

    return replace(base, x=axis(base.x, x_hz), y=axis(base.y, y_hz))


def strokes(seconds: float, seed: int) -> np.ndarray:
    """Return (N, 2) mm at 1 kHz: strokes in random directions, each a trapezoid of speed."""
    random = np.random.default_rng(seed)
    speed = np.zeros((0, 2))
    while len(speed) < seconds * RATE_HZ:
        ramp, cruise = random.integers(20, 90), random.integers(10, 200)
        angle, top = random.uniform(0.0, 2.0 * np.pi), random.uniform(20.0, 120.0)
        shape = np.concatenate([np.linspace(0, 1, ramp), np.ones(cruise), np.linspace(1, 0, ramp)])
        speed = np.concatenate([speed, top * shape[:, None] * [np.cos(angle), np.sin(angle)]])
    return 100.0 + np.cumsum(speed[: round(seconds * RATE_HZ)], axis=0) / RATE_HZ


@dataclass(frozen=True)
class Truth:
    """What was commanded, and what the nozzle did."""

    trajectory: Trajectory
    xy: np.ndarray  # (N, 2) mm
    acceleration: np.ndarray  # (N, 2) mm/s²


def moved(
    seconds: float = 40.0,
    seed: int = 0,
    machine: Printer | None = None,
    command: np.ndarray | None = None,
) -> Truth:
    """Return a motion by SciPy's solution of ``ẍ = ω² (r − x) + 2ζω (ṙ − ẋ)``."""
    machine = machine or linear()
    command = strokes(seconds, seed) if command is None else command
    time = np.arange(len(command)) / RATE_HZ
    nozzle, felt = np.empty_like(command), np.empty_like(command)
    for i, axis in enumerate((machine.x, machine.y)):
        omega = 2.0 * np.pi * axis.natural_freq_hz
        k, c = omega**2, 2.0 * axis.damping_ratio * omega
        system = StateSpace([[-c, 1.0], [-k, 0.0]], [[c], [k]], [[1.0, 0.0]], [[0.0]])
        _, out, _ = lsim(system, command[:, i] - command[0, i], time)
        nozzle[:, i] = out + command[0, i]
        felt[:, i] = np.gradient(np.gradient(out, time), time)
    return Truth(Trajectory.of_positions(command, RATE_HZ), nozzle, felt)


@dataclass(frozen=True)
class Sensor:
    """How a sensor sits and runs."""

    origin_s: float = 712.4  # what its clock shows when the plan begins
    rate: float = 1.004  # of its seconds a second of the plan
    turned_deg: tuple[float, float, float] = (12.0, -9.0, 15.0)
    scale: float = 1.1
    noise: float = 100.0  # mm/s² RMS, each sample
    vibration: float = 3000.0  # mm/s² RMS at 400 to 700 Hz
    lost: float = 0.001
    feels: tuple[float, float] = (1.0, 1.0)  # of each axis
    seed: int = 0

    def rows(self, truth: Truth, sway: np.ndarray | None = None) -> np.ndarray:
        """Return (M, 4) s and mm/s², with what else (N, 2) shakes it."""
        random = np.random.default_rng(self.seed)
        end = (len(truth.xy) - 1) / RATE_HZ
        time = np.arange(0.3, end - 0.3, 1.0 / SENSOR_HZ)
        plan = np.arange(len(truth.xy)) / RATE_HZ
        feels = truth.acceleration * self.feels + (0.0 if sway is None else sway)
        level = np.column_stack([np.interp(time, plan, column) for column in feels.T])
        true = np.column_stack([level, np.full(len(time), GRAVITY)])
        for tone in random.uniform(400.0, 700.0, 12):
            phase = random.uniform(0.0, 2.0 * np.pi, 3)
            share = self.vibration * np.sqrt(2.0 / 12.0)
            true += share * np.sin(2.0 * np.pi * tone * time[:, None] + phase)
        seen = Rotation.from_euler("xyz", self.turned_deg, degrees=True).apply(true) * self.scale
        seen += self.noise * random.standard_normal(seen.shape)
        kept = random.random(len(time)) >= self.lost
        return np.column_stack([self.origin_s + self.rate * time, seen])[kept]

    def direction(self, axis: int) -> np.ndarray:
        """Return where a printer's axis lies in the sensor."""
        turned = Rotation.from_euler("xyz", self.turned_deg, degrees=True)
        return turned.apply(np.eye(3)[axis])


def write_klipper(rows: np.ndarray, path: Path) -> Path:
    """Write rows as Klipper does, packed where the name says so."""
    lines = ["#time,accel_x,accel_y,accel_z"]
    lines += [",".join(f"{value:.6f}" for value in row) for row in rows.tolist()]
    content = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path
