"""What an accelerometer recorded: samples on a clock of its own, along axes of its own.

Reads Klipper's raw CSV (``#time,accel_x,accel_y,accel_z``, s and mm/s²) and any other CSV by a
mapping of its columns, plain or packed by gzip. Refuses what no alignment could mend: times that
run backwards, too many lost samples, a range that was too small. Does not know what was printed.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trajerr.arrays import Floats
from trajerr.checks import require, require_one_of
from trajerr.errors import DataError
from trajerr.recordings.klipper_csv import RAW, read_header, read_table

TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}  # in s
ACCELERATION_UNITS = {"mm/s2": 1.0, "m/s2": 1e3, "g": 9806.65}  # in mm/s²
SHORTEST_S = 10.0  # two windows of the alignment
SLOWEST_HZ = 400.0  # an axis rings at up to 100 Hz, and its direction wants two octaves more
LARGEST_MM_S2 = 1e7  # 1000 g; sensors for 200 g do no more than that
LOST_STEP = 1.5  # median steps, beyond which a sample is missing between two
# Klipper loses whole messages; beyond this share the gaps stand closer than an axis rings.
MOST_LOST = 0.05
# Values that equal the largest, over those that come within this share of the range below it:
# vibration has ever fewer values towards its peak, a clipped one piles them up there.
NEAR_PEAK = 0.05
PILED = 0.5
FEWEST_PILED = 10
FEWEST_LEVELS = 50  # different values; of a sensor at rest there are too few to tell


@dataclass(frozen=True)
class Columns:
    """Where a CSV holds time and the sensor's three axes.

    Columns are names of its header, or numbers from 0.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    time: str
    x: str
    y: str
    z: str
    time_unit: str
    acceleration_unit: str
    delimiter: str

    def __post_init__(self) -> None:
        require_one_of("log.columns.time_unit", self.time_unit, TIME_UNITS)
        require_one_of("log.columns.acceleration_unit", self.acceleration_unit, ACCELERATION_UNITS)
        one = isinstance(self.delimiter, str) and len(self.delimiter) == 1
        require("log.columns.delimiter", self.delimiter, one, "one character")


KLIPPER = Columns(*RAW, time_unit="s", acceleration_unit="mm/s2", delimiter=",")


@dataclass(frozen=True)
class Recording:
    """Samples of one sensor; N of them.

    Raises
    ------
    DataError
        Times do not increase, the recording is too short or too slow, accelerations are beyond
        what a sensor measures, too many samples are lost, or an axis is clipped.
    """

    time_s: Floats  # (N,) of the sensor's own clock, increasing
    acceleration_mm_s2: Floats  # (N, 3) along the sensor's axes, gravity included
    name: str = "recording"  # for messages

    def __post_init__(self) -> None:
        _require_running(self)
        require_felt(self.acceleration_mm_s2, self.name)
        _require_few_lost(self)
        _require_unclipped(self)

    @property
    def step_s(self) -> float:
        """Time from one sample to the next where none is lost, s."""
        return float(np.median(np.diff(self.time_s)))

    @property
    def rate_hz(self) -> float:
        """Samples a second where none is lost."""
        steps = np.diff(self.time_s)
        return 1.0 / float(steps[steps < LOST_STEP * self.step_s].mean())

    @property
    def duration_s(self) -> float:
        """From the first sample to the last, s."""
        return float(self.time_s[-1] - self.time_s[0])

    @property
    def lost(self) -> NDArray[np.intp]:
        """(N - 1,) how many samples are missing after each but the last."""
        missing = np.round(np.diff(self.time_s) * self.rate_hz) - 1.0
        return np.maximum(missing, 0.0).astype(np.intp)


def read_recording(path: Path, columns: Columns = KLIPPER) -> Recording:
    """Read a sensor's CSV, plain or packed by gzip.

    Parameters
    ----------
    path
        The file.
    columns
        What its columns are; Klipper's raw data by default.

    Raises
    ------
    DataError
        The file is missing or holds something else, or as :class:`Recording`.
    """
    names, rows_from = read_header(path, columns.delimiter)
    chosen = [
        _number(name, names, path) for name in (columns.time, columns.x, columns.y, columns.z)
    ]
    table = read_table(path, chosen, rows_from, columns.delimiter)
    time = table[:, 0] * TIME_UNITS[columns.time_unit]
    acceleration = table[:, 1:] * ACCELERATION_UNITS[columns.acceleration_unit]
    return Recording(time, acceleration, str(path))


def require_felt(acceleration: Floats, name: str) -> None:
    """Refuse accelerations in mm/s² that no sensor measures.

    Raises
    ------
    DataError
        The message begins with ``name``.
    """
    largest = float(np.abs(acceleration).max())
    if not largest <= LARGEST_MM_S2:
        raise DataError(
            f"{name}: got {largest:.3g} mm/s², expected at most {LARGEST_MM_S2:g}; is the unit of "
            "acceleration right?"
        )


def _number(name: str, names: tuple[str, ...], path: Path) -> int:
    if name in names:
        return names.index(name)
    if name.isdecimal() and int(name) < len(names):
        return int(name)
    raise DataError(f"{path}: got columns {', '.join(names)[:80]!r}, expected {name!r} among them")


def _require_running(recording: Recording) -> None:
    time, name = recording.time_s, recording.name
    if len(time) < 2:
        raise DataError(f"{name}: got {len(time)} samples, expected {SHORTEST_S:g} s of them")
    back = np.flatnonzero(np.diff(time) <= 0.0)
    if len(back):
        raise DataError(
            f"{name}: time goes from {time[back[0]]:.6f} to {time[back[0] + 1]:.6f} s between rows "
            f"{back[0] + 1} and {back[0] + 2} of the data, expected it to increase; record again"
        )
    if recording.duration_s < SHORTEST_S:
        raise DataError(
            f"{name}: got {recording.duration_s:.2f} s, expected at least {SHORTEST_S:g} s"
        )
    if recording.rate_hz < SLOWEST_HZ:
        raise DataError(
            f"{name}: got {recording.rate_hz:.0f} samples a second, expected at least "
            f"{SLOWEST_HZ:.0f}; is the unit of time right?"
        )


def _require_few_lost(recording: Recording) -> None:
    lost = int(recording.lost.sum())
    share = lost / (lost + len(recording.time_s))
    if share > MOST_LOST:
        raise DataError(
            f"{recording.name}: {100.0 * share:.2g} % of the samples are lost, expected at most "
            f"{100.0 * MOST_LOST:g} %; record at a lower rate of the sensor"
        )


def _require_unclipped(recording: Recording) -> None:
    for axis, values in zip("xyz", recording.acceleration_mm_s2.T, strict=True):
        if len(np.unique(values)) < FEWEST_LEVELS:
            continue
        spread = NEAR_PEAK * float(np.ptp(values))
        for mirrored in (values, -values):
            peak = float(mirrored.max())
            at = int(np.count_nonzero(mirrored == peak))
            near = int(np.count_nonzero((mirrored >= peak - spread) & (mirrored < peak)))
            if at >= FEWEST_PILED and at > PILED * near:
                raise DataError(
                    f"{recording.name}: {at} samples of the sensor's {axis} are all at its limit, "
                    f"{peak / 1e3:.3g} m/s², expected none; set a wider range of the sensor"
                )
