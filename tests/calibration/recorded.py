"""A machine that the plant can express, and what sensors on it would have written.

The sensor shares nothing with what reads it: acceleration by differences of a fine motion, a
clock that starts anywhere and runs off, a turned and wrongly scaled sensor, gravity, vibration,
noise and digits of an ADXL345, lost samples.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import butter, sosfilt

from tests.dynamics.commanded import load_printer
from trajerr.dynamics.axis import AxisParameters
from trajerr.dynamics.plant import simulate
from trajerr.dynamics.printer import Printer
from trajerr.dynamics.second_mode import SecondMode
from trajerr.gcode.parts import load_part
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample
from trajerr.motion.trajectory import Trajectory
from trajerr.recordings.accelerometer import Recording

FINE_HZ = 10000.0
SENSOR_HZ = 3200.0
GRAVITY = 9806.65  # mm/s²
DENSITY = 290e-6 * GRAVITY  # mm/s²/√Hz
DIGIT = 3.9e-3 * GRAVITY
VIBRATION_HZ, VIBRATION = (230.0, 900.0), 5000.0  # mm/s² RMS
LOST = 0.001


@dataclass(frozen=True)
class Case:
    """A machine, the printer that its owner starts from, and a recorded print."""

    true: Printer
    base: Printer
    trajectory: Trajectory  # at 1 kHz
    recording: Recording


def draw_printer(base: Printer, seed: int, *, second_mode: bool) -> Printer:
    """Return a machine with other numbers than the base's."""
    random = np.random.default_rng([seed, 1])

    def axis(own: AxisParameters) -> AxisParameters:
        frequency, damping = random.uniform(0.8, 1.3), random.uniform(0.6, 1.6)
        both = damping * frequency * own.damping_n_s_per_m
        ground = random.uniform(0.0, 0.3) * both
        second = SecondMode(
            random.uniform(1.7, 2.6) * frequency * own.natural_freq_hz,
            random.uniform(0.02, 0.06),
            random.uniform(0.10, 0.25),
        )
        return replace(
            own,
            stiffness_n_per_m=own.stiffness_n_per_m * frequency**2,
            damping_n_s_per_m=both - ground,
            viscous_n_s_per_m=ground,
            coulomb_n=own.coulomb_n * random.uniform(0.5, 1.3),
            delay_s=random.uniform(0.0, 2e-3),
            second_mode=second if second_mode else None,
        )

    return replace(base, name="true", x=axis(base.x), y=axis(base.y))


def record_case(
    name: str,
    seed: int,
    seconds: float,
    *,
    second_mode: bool,
    part: str = "tugboat",
    layer: int = 20,
) -> Case:
    """Return a shipped printer's relative and what it felt for some seconds of a part."""
    base = load_printer(name)
    true = draw_printer(base, seed, second_mode=second_mode)
    planned = plan(load_part(part), base.limits)
    begin = round(planned.layer_span(layer)[0])
    fine = sample(planned, FINE_HZ, begin, begin + seconds)
    coarse = sample(planned, 1000.0, begin, begin + seconds)
    xy = simulate(true, fine, seed=seed).xy
    return Case(true, base, coarse, record(xy, float(begin), seed))


def record(xy: np.ndarray, begin: float, seed: int) -> Recording:
    """Return what a sensor on a nozzle that moves as (N, 2) mm at FINE_HZ would write."""
    random = np.random.default_rng([seed, 2])
    felt = np.zeros((len(xy), 3))
    felt[1:-1, :2] = np.diff(xy, 2, axis=0) * FINE_HZ**2
    sos = butter(4, 1200.0, fs=FINE_HZ, output="sos")  # the sensor's own bandwidth, both ways
    felt = sosfilt(sos, sosfilt(sos, felt, axis=0)[::-1], axis=0)[::-1]
    time = np.arange(-2.0, len(xy) / FINE_HZ + 2.0, 1.0 / SENSOR_HZ)
    grid = np.arange(len(xy)) / FINE_HZ
    true = np.column_stack([np.interp(time, grid, column, 0.0, 0.0) for column in felt.T])
    band = butter(4, VIBRATION_HZ, "bandpass", fs=SENSOR_HZ, output="sos")
    shaken = sosfilt(band, random.standard_normal(true.shape), axis=0)
    true += VIBRATION * shaken / shaken.std(axis=0) + [0.0, 0.0, GRAVITY]
    seen = true @ _turned(random).T * (1.0 + random.uniform(-0.15, 0.15))
    seen += DENSITY * np.sqrt(0.5 * SENSOR_HZ) * random.standard_normal(seen.shape)
    seen = DIGIT * np.round(seen / DIGIT)
    stamps = random.uniform(10.0, 5000.0) + (1.0 + random.uniform(-0.01, 0.01)) * (begin + time)
    kept = random.random(len(time)) >= LOST
    return Recording(stamps[kept], seen[kept], "sensor")


def _turned(random: np.random.Generator) -> np.ndarray:
    """Return a rotation by up to 20° about each axis."""
    a, b, c = np.radians(random.uniform(-20.0, 20.0, 3))
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def wandering_lines(random: np.random.Generator, seconds: float, at: np.ndarray) -> list[str]:
    """Lines of straight moves in all directions, some slow, that take about so long.

    ``at`` is where the nozzle stands, mm; it is moved along.
    """
    lines, spent = [], 0.0
    while spent < seconds:
        to = np.clip(at + random.normal(0.0, 9.0, 2), 60.0, 160.0)
        speed = random.uniform(15.0, 90.0)
        spent += float(np.hypot(*(to - at))) / speed + 0.02
        lines.append(f"G1 X{to[0]:.3f} Y{to[1]:.3f} E0.1 F{60.0 * speed:.0f}")
        at[:] = to
    return lines
