"""What an accelerometer on a foreign machine would have written, in Klipper's raw format.

One sensor on the carriage of x, one on that of y, and one on the frame. Each feels its axis and
the sway of the frame, is turned about all three of its axes, off in scale, sees gravity, is
shaken by structural vibration that the print does not follow, has the noise and the digits of an
ADXL345, and loses samples. All are stamped by one clock, which starts anywhere and runs off.
"""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import butter, sosfilt

from trajerr.arrays import Floats
from trajerr.files import write_atomically

RATE_HZ = 3200.0
NOISE_MM_S2 = 290e-6 * 9806.65 * np.sqrt(0.5 * RATE_HZ)  # 290 µg/√Hz over the whole band
DIGIT_MM_S2 = 3.9e-3 * 9806.65
GRAVITY_MM_S2 = 9806.65
TURNED_RAD = np.radians(20.0)  # at most, about each axis
SCALE_OFF = 0.15  # at most
CLOCK_OFF = 0.01  # at most, of the rate
VIBRATION_MM_S2 = 5000.0  # RMS, above VIBRATION_HZ
VIBRATION_HZ = (230.0, 900.0)
LOST = 0.001  # share of the samples
LATE_S = (0.2, 3.0)  # from the motion's begin to the recording's, and from its end to the other


@dataclass(frozen=True)
class Stamps:
    """The clock that all sensors of a machine are stamped by."""

    origin_s: float  # what it shows when the plan begins
    rate: float  # of its seconds a second of the plan


def draw_stamps(random: np.random.Generator) -> Stamps:
    """Return a clock that starts anywhere and is off by up to a percent."""
    return Stamps(random.uniform(10.0, 5000.0), 1.0 + random.uniform(-CLOCK_OFF, CLOCK_OFF))


def record_sensor(
    felt: Floats, sample_rate: float, stamps: Stamps, random: np.random.Generator
) -> Floats:
    """Return (N, 4) rows of a sensor: s of its clock, and mm/s².

    Parameters
    ----------
    felt : (M, 3)
        mm/s², the acceleration where the sensor sits, along the printer's axes, from the plan's
        begin on.
    sample_rate
        Of it, Hz.
    stamps
        Its clock.
    random
        Draws how it sits, what shakes it, and what it loses.
    """
    end = (len(felt) - 1) / sample_rate
    late, early = random.uniform(*LATE_S, 2)
    time = np.arange(late, end - early, 1.0 / RATE_HZ)
    grid = np.arange(len(felt)) / sample_rate
    true = np.column_stack([np.interp(time, grid, column) for column in felt.T])
    true += VIBRATION_MM_S2 * _vibration(len(time), random)
    true[:, 2] += GRAVITY_MM_S2
    seen = (true @ _turned(random).T) * (1.0 + random.uniform(-SCALE_OFF, SCALE_OFF))
    seen += NOISE_MM_S2 * random.standard_normal(seen.shape)
    seen = DIGIT_MM_S2 * np.round(seen / DIGIT_MM_S2)
    kept = random.random(len(time)) >= LOST
    return np.column_stack([stamps.origin_s + stamps.rate * time, seen])[kept]


def write_sensor(rows: Floats, path: Path) -> None:
    """Write rows as Klipper does, packed."""
    head = "#time,accel_x,accel_y,accel_z"
    lines = [head, *(f"{t:.6f},{x:.6f},{y:.6f},{z:.6f}" for t, x, y, z in rows.tolist())]
    write_atomically(path, gzip.compress(("\n".join(lines) + "\n").encode(), 1))


def _vibration(count: int, random: np.random.Generator) -> Floats:
    """Return (N, 3) noise within :data:`VIBRATION_HZ` of unit RMS."""
    band = butter(4, VIBRATION_HZ, "bandpass", fs=RATE_HZ, output="sos")
    noise = sosfilt(band, random.standard_normal((count, 3)), axis=0)
    shaken: Floats = noise / np.sqrt(np.mean(noise**2, axis=0))
    return shaken


def _turned(random: np.random.Generator) -> Floats:
    """Return the (3, 3) rotation from the printer's axes to the sensor's."""
    rotation = np.eye(3)
    for axis, angle in enumerate(random.uniform(-TURNED_RAD, TURNED_RAD, 3)):
        c, s = np.cos(angle), np.sin(angle)
        one = np.eye(3)
        i, j = [k for k in range(3) if k != axis]
        one[i, i], one[i, j], one[j, i], one[j, j] = c, -s, s, c
        rotation = one @ rotation
    return rotation
