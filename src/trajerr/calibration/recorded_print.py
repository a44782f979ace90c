"""A printer's axes from one recorded print: aligned, fitted, aligned again, fitted again.

Clock and mounting are found by comparison with what a printer like this one does, and the printer
from what was felt on that clock: each needs the other, so each has two turns.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajerr.arrays import Floats
from trajerr.calibration.print_fit import FittedAxis, fit_axis
from trajerr.calibration.print_model import FINER, AxisModel, axis_of, told
from trajerr.calibration.print_spectra import cut
from trajerr.calibration.uncertainty import Estimate
from trajerr.dynamics.axis import AxisParameters
from trajerr.dynamics.printer import Printer
from trajerr.gcode.reader import read_program
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample
from trajerr.motion.trajectory import Trajectory
from trajerr.recordings.accelerometer import read_recording
from trajerr.recordings.alignment import Aligned, Sensors, align
from trajerr.recordings.signals import EVEN_HZ

LEAST_ACCELERATION = 1.0  # mm/s², of a command that moves
FITTED_S = 90.0  # of the print, those of most acceleration; more would cost time and tell little
SETTLED_S = 1.0  # after which it no longer matters that the plant began at rest


@dataclass(frozen=True)
class RecordedPrint:
    """What a recorded print tells about its printer."""

    axes: Mapping[str, FittedAxis]  # by "x" and "y"
    aligned: Aligned
    delays: Mapping[str, Estimate]  # s, by axis: the earlier one's is 0; empty for two clocks

    def to_dict(self) -> dict[str, Any]:
        """Return what a report says of clock and mounting."""
        return self.aligned.to_dict()


def fit_recorded_print(
    gcode: Path,
    files: Mapping[str, Path],
    base: Printer,
    *,
    viscous: bool,
    second_mode: bool,
) -> RecordedPrint:
    """Fit the axes of the printer that a print was recorded on.

    Parameters
    ----------
    gcode
        What was printed.
    files
        Recordings, by "x", "y" (the same sensor as x where absent) and "reference".
    base
        Printer of like kind: firmware, limits, masses, belts, motors.
    viscous, second_mode
        Whether these are looked for.

    Raises
    ------
    GcodeError, DataError
        A file cannot be used, they do not belong together, or tell too little.
    """
    program = read_program(gcode, base.limits.firmware)
    trajectory = sample(plan(base.placed(program), base.limits), EVEN_HZ)
    read = {key: read_recording(path) for key, path in files.items()}
    sensors = Sensors(**read)
    wanted = {"viscous": viscous, "second_mode": second_mode}
    return fit_print(sensors, trajectory, base, str(gcode), **wanted)


def fit_print(
    sensors: Sensors,
    trajectory: Trajectory,
    base: Printer,
    where: str,
    *,
    viscous: bool,
    second_mode: bool,
) -> RecordedPrint:
    """Fit the axes of a printer to what sensors felt along a trajectory, at EVEN_HZ.

    Parameters and errors are those of :func:`fit_recorded_print`.
    """
    first = align(sensors, trajectory, base)
    axes = _fit(first, base, where, {}, viscous=viscous, second_mode=second_mode)
    like = _fitted_printer(base, axes, _delays(first, axes))
    again = align(sensors, trajectory, like)
    axes = _fit(again, base, where, axes, viscous=viscous, second_mode=second_mode)
    return RecordedPrint(axes, again, _delays(again, axes))


def _fit(
    aligned: Aligned,
    base: Printer,
    where: str,
    before: Mapping[str, FittedAxis],
    *,
    viscous: bool,
    second_mode: bool,
) -> dict[str, FittedAxis]:
    rows = _liveliest(aligned)
    command = told(base, aligned.commanded[rows], aligned.sample_rate)
    moves, measured = _moving(aligned)[rows], aligned.measured[rows].copy()
    measured[: round(SETTLED_S * aligned.sample_rate)] = False
    found = {}
    for index, axis in enumerate("xy"):
        name = f"{where}, {axis}"
        segments = cut(measured[:, index], moves[:, index], aligned.sample_rate, name)
        other = segments.of_position(command[::FINER, 1 - index])
        rate = FINER * aligned.sample_rate
        model = AxisModel(base, axis, command[:, index].copy(), rate, segments, other)
        felt = segments.spectra(aligned.acceleration[rows, index])
        start = before.get(axis)
        found[axis] = fit_axis(
            model, felt, name, viscous=viscous, second_mode=second_mode, before=start
        )
    return found


def _liveliest(aligned: Aligned) -> slice:
    """Return the stretch in which the command accelerates most, of FITTED_S at most."""
    count = round(FITTED_S * aligned.sample_rate)
    recorded = aligned.span
    if recorded.stop - recorded.start <= count:
        return recorded
    moved = np.concatenate([[0.0], np.cumsum(_moving(aligned).all(axis=1))])
    begins = np.arange(recorded.start, recorded.stop - count + 1)
    first = int(begins[np.argmax(moved[begins + count] - moved[begins])])
    return slice(first, first + count)


def _moving(aligned: Aligned) -> NDArray[np.bool_]:
    """Return where each axis is told to accelerate, (M, 2)."""
    second: Floats = np.zeros_like(aligned.commanded)
    second[1:-1] = np.diff(aligned.commanded, 2, axis=0) * aligned.sample_rate**2
    return np.asarray(np.abs(second) > LEAST_ACCELERATION)


def _fitted_printer(
    base: Printer, axes: Mapping[str, FittedAxis], delays: Mapping[str, Estimate]
) -> Printer:
    """Return the printer that the next alignment compares with; a corexy's keeps its belts."""

    def part(axis: str) -> AxisParameters:
        own: AxisParameters = getattr(base, axis)
        late = delays[axis].value if axis in delays else own.delay_s
        return replace(axis_of(axes[axis].values, own), delay_s=late)

    if base.kinematics == "cartesian":
        return replace(base, x=part("x"), y=part("y"))
    effects = ("friction",) if base.has("friction") else ()
    return replace(
        base,
        x=part("x"),
        y=part("y"),
        kinematics="cartesian",
        belt_imbalance=0.0,
        effects=effects,
    )


def _delays(aligned: Aligned, axes: Mapping[str, FittedAxis]) -> dict[str, Estimate]:
    """Return by how much each axis is later than the earlier one, s; empty for two clocks.

    The common part is part of the unknown offset of the clock.
    """
    if aligned.clocks["x"] is not aligned.clocks["y"]:
        return {}
    x, y = (axes[axis].estimates["time_s"] for axis in "xy")
    reach = float(np.hypot(x.high - x.low, y.high - y.low)) / 2.0
    apart = y.value - x.value
    late, early = ("y", "x") if apart >= 0.0 else ("x", "y")
    size = abs(apart)
    return {
        early: Estimate(0.0, 0.0, 0.0),
        late: Estimate(size, max(size - reach, 0.0), size + reach),
    }
