"""A recording brought onto the plan's clock and the printer's axes.

One sensor that feels both axes, or one for each (x at the nozzle, y on the bed); beside them, if
there is one, a reference on the frame, whose motion is subtracted. Clock, direction, scale and
gravity are found from the signal, by comparison with what a printer like this one does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajerr.arrays import Floats
from trajerr.dynamics.printer import Printer
from trajerr.errors import DataError
from trajerr.motion.trajectory import Trajectory
from trajerr.recordings.accelerometer import Recording
from trajerr.recordings.clock import Clock, RoughClock, find_clock, find_roughly
from trajerr.recordings.expectation import expected_motion, linear_acceleration
from trajerr.recordings.mounting import Mount, find_mount
from trajerr.recordings.signals import (
    EVEN_HZ,
    PASSED_HZ,
    EvenSamples,
    even_samples,
    filtered,
    second_derivative,
)

ONE_CLOCK = 0.5  # share of the shorter recording's time by which two overlap on one clock
FRAME_BAND_HZ = (8.0, 25.0)  # where frames sway and axes mostly follow
HIGHEST_SWAY_HZ = 60.0  # above it a frame shakes, but does not sway as one
ROUGH_HZ = 60.0  # up to which a plan's acceleration is needed to find where it was recorded
BESIDE_S = 5.0  # of the plan before and after a recording, for the printer to settle in


@dataclass(frozen=True)
class Sensors:
    """The recordings of one print."""

    x: Recording  # moves with x; with y too where there is no other
    y: Recording | None = None  # moves with y, such as on the bed
    reference: Recording | None = None  # on the frame; moves with neither axis

    @property
    def of_axes(self) -> tuple[Recording, Recording]:
        """The recordings that x and y are taken from."""
        return self.x, self.x if self.y is None else self.y


@dataclass(frozen=True)
class Aligned:
    """What was commanded and what was felt, on the plan's clock; M samples at ``sample_rate``."""

    sample_rate: float  # Hz
    time_s: Floats  # (M,) of the plan
    commanded: Floats  # (M, 2) mm
    acceleration: Floats  # (M, 2) mm/s² along the printer's axes, gravity removed
    measured: NDArray[np.bool_]  # (M, 2) False where samples are lost or were not taken
    expected: Floats  # (M, 2) mm, where the printer that it was aligned with takes the nozzle
    passed_hz: float  # up to which the acceleration holds what was felt
    clocks: Mapping[str, Clock]  # by axis
    mounts: Mapping[str, Mount]  # by axis
    swayed: Mapping[str, float]  # by axis: RMS that was subtracted for the frame, mm/s²

    @property
    def span(self) -> slice:
        """From the first to the last sample that any axis was measured at."""
        rows = np.flatnonzero(self.measured.any(axis=1))
        return slice(int(rows[0]), int(rows[-1]) + 1)

    def to_dict(self) -> dict[str, Any]:
        """Return what a report says."""
        return {
            "sample_rate_hz": self.sample_rate,
            "clocks": {axis: clock.to_dict() for axis, clock in self.clocks.items()},
            "mounts": {axis: mount.to_dict() for axis, mount in self.mounts.items()},
            "measured_share": self.measured.mean(axis=0).tolist(),
            "frame_rms_mm_s2": dict(self.swayed),
        }


def align(sensors: Sensors, trajectory: Trajectory, printer: Printer) -> Aligned:
    """Bring a recording onto a plan.

    Parameters
    ----------
    sensors
        What was recorded.
    trajectory
        What was commanded, at :data:`.signals.EVEN_HZ`.
    printer
        Like the one that printed, at best calibrated: it is the delays of *its* axes that the
        clock's offset is counted from.

    Raises
    ------
    DataError
        The recording is not of this plan, of this axis, or of this unit; or no one clock fits.
    """
    if abs(trajectory.sample_rate - EVEN_HZ) > 1e-6:
        raise DataError(
            f"trajectory: got {trajectory.sample_rate:g} samples a second, expected {EVEN_HZ:g}"
        )
    even = _even(sensors)
    rough = _roughly(even, linear_acceleration(printer, trajectory, ROUGH_HZ), trajectory)
    trajectory = _recorded(trajectory, rough.values())
    motion = expected_motion(printer, trajectory)
    expected = second_derivative(motion, EVEN_HZ, PASSED_HZ)
    clocks = _clocks(even, rough, expected, trajectory.first / EVEN_HZ)
    felt, measured, mounts = [], [], {}
    for number, axis in enumerate("xy"):
        sensor = even[axis]
        own = clocks[axis].sensor_time(trajectory.time)
        values, there = sensor.at(own), sensor.measured_at(own)
        mount = find_mount(values, expected, there, number, sensor.mean, sensor.name)
        felt.append(values @ mount.direction)
        measured.append(there)
        mounts[axis] = mount
    acceleration, taken = np.column_stack(felt), np.column_stack(measured)
    swayed = {"x": 0.0, "y": 0.0}
    if sensors.reference is not None:
        own = clocks["reference"].sensor_time(trajectory.time)
        frame = even["reference"].at(own)
        taken &= even["reference"].measured_at(own)[:, None]
        sway = _sway(frame, acceleration - expected, taken)
        acceleration = acceleration - sway
        swayed = dict(zip("xy", np.sqrt(np.mean(sway**2, axis=0)).tolist(), strict=True))
    return Aligned(
        sample_rate=EVEN_HZ,
        time_s=trajectory.time,
        commanded=trajectory.position[:, :2],
        acceleration=acceleration,
        measured=taken,
        expected=motion,
        passed_hz=PASSED_HZ,
        clocks=clocks,
        mounts=mounts,
        swayed=swayed,
    )


def _even(sensors: Sensors) -> dict[str, EvenSamples]:
    x, y = sensors.of_axes
    even = {"x": even_samples(x)}
    even["y"] = even["x"] if y is x else even_samples(y)
    if sensors.reference is not None:
        even["reference"] = even_samples(sensors.reference)
    return even


def _groups(even: Mapping[str, EvenSamples]) -> dict[str, list[EvenSamples]]:
    """Return by axis the sensors whose clock it has: one for those whose times overlap."""
    x, y = even["x"], even["y"]
    if y is not x and not _overlap(x, y):
        return {"x": [x], "y": [y]}
    shared = [x] if y is x else [x, y]
    return {"x": shared, "y": shared}


def _roughly(
    even: Mapping[str, EvenSamples], expected: Floats, trajectory: Trajectory
) -> dict[str, RoughClock]:
    groups, start = _groups(even), trajectory.first / EVEN_HZ
    x = find_roughly(groups["x"], expected, start)
    one = groups["y"] is groups["x"]
    return {"x": x, "y": x if one else find_roughly(groups["y"], expected, start)}


def _recorded(trajectory: Trajectory, rough: Iterable[RoughClock]) -> Trajectory:
    """Return the part of a plan that was recorded, and what lies close beside it."""
    clocks = list(rough)
    begin = min(clock.begin_s for clock in clocks) - BESIDE_S
    end = max(clock.end_s for clock in clocks) + BESIDE_S
    first = max(int(begin * EVEN_HZ) - trajectory.first, 0)
    return trajectory.rows(slice(first, max(int(end * EVEN_HZ) - trajectory.first, first)))


def _clocks(
    even: Mapping[str, EvenSamples],
    rough: Mapping[str, RoughClock],
    expected: Floats,
    start_s: float,
) -> dict[str, Clock]:
    """Return each recording's clock."""
    groups = _groups(even)
    clocks = {"x": find_clock(groups["x"], rough["x"], expected, start_s)}
    one = rough["y"] is rough["x"]
    clocks["y"] = clocks["x"] if one else find_clock(groups["y"], rough["y"], expected, start_s)
    if "reference" in even:
        near = next((axis for axis in "xy" if _overlap(even[axis], even["reference"])), None)
        if near is None:
            raise DataError(
                f"{even['reference'].name}: its times have nothing in common with those of "
                f"{even['x'].name}, expected a reference recorded by the same clock"
            )
        clocks["reference"] = clocks[near]
    return clocks


def _overlap(first: EvenSamples, second: EvenSamples) -> bool:
    shared = min(first.end_s, second.end_s) - max(first.start_s, second.start_s)
    shorter = min(first.end_s - first.start_s, second.end_s - second.start_s)
    return shared > ONE_CLOCK * shorter


def _sway(frame: Floats, beyond: Floats, measured: NDArray[np.bool_]) -> Floats:
    """Return (M, 2) what of each axis' unexpected acceleration the frame's (M, 3) explains.

    A sensor on a frame feels no more of its sway than the frame itself: weights are no longer
    than 1, for what the printer does beyond its simulation shakes the frame, too.
    """
    source = filtered(frame, EVEN_HZ, *FRAME_BAND_HZ)
    left = filtered(beyond, EVEN_HZ, *FRAME_BAND_HZ)
    rows = measured.all(axis=1)
    weights = np.linalg.lstsq(source[rows], left[rows], rcond=None)[0]
    weights /= np.maximum(np.linalg.norm(weights, axis=0), 1.0)
    sway: Floats = filtered(frame, EVEN_HZ, None, HIGHEST_SWAY_HZ) @ weights
    return sway
