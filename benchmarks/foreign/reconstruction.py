"""How near the errors that accelerometers tell come to those of a foreign machine.

Four minutes of one print are recorded by a sensor an axis and one on the frame. The delay that
both axes share is one with the clock's offset, so the nozzle's path is compared at the one shift
in time, of both axes, that fits best.
"""

from dataclasses import dataclass, replace

import numpy as np

from trajerr.arrays import Floats
from trajerr.correction.original import Original
from trajerr.dynamics.printer import Printer
from trajerr.gcode.parts import load_part
from trajerr.gcode.reader import parse_program
from trajerr.motion.planner import Plan, plan
from trajerr.motion.sampling import sample
from trajerr.motion.trajectory import Trajectory
from trajerr.recordings import Recording, Sensors, align
from trajerr.recordings.fusion import fuse
from trajerr.test_prints.excitation import Excitation, excited

from .machine import Machine
from .motion import Variant
from .sensor import draw_stamps, record_sensor

PART, FIRST_LAYER = "tugboat", 20
FINE_HZ, RATE_HZ = 10000.0, 1000.0
EDGE_S = 2.0  # left out at both ends
SHIFTS_MS = np.arange(-4.0, 4.05, 0.1)


@dataclass(frozen=True)
class Recorded:
    """A print with what sensors wrote, and what was true."""

    planned: Plan
    first: int  # sample of the plan at RATE_HZ that the truth begins at
    nozzle: Floats  # (N, 2) mm at RATE_HZ
    sensors: Sensors  # with the reference


def print_text(printer: Printer, excitation: Excitation | None) -> bytes:
    """Return the print's G-code: as sliced, or as it is to excite the machine."""
    program = load_part(PART, printer.limits.firmware)
    if excitation is None:
        return program.text
    original = Original(program, printer)
    return excited(original, excitation, excitation.chosen(original.planned.layers)).text


def planned_print(printer: Printer, text: bytes) -> Plan:
    """Return how a printer's limits plan the print."""
    program = parse_program(text, PART, printer.limits.firmware)
    return plan(printer.placed(program), printer.limits)


def record_print(
    machine: Machine, printer: Printer, text: bytes, seconds: float, seed: int
) -> Recorded:
    """Record a stretch of a print.

    Parameters
    ----------
    machine
        What prints.
    printer
        Its limits plan.
    text
        Its G-code.
    seconds
        Of motion, s.
    seed
        Of clock and sensors.
    """
    random = np.random.default_rng(seed)
    planned = planned_print(printer, text)
    start = planned.layer_span(FIRST_LAYER)[0]
    commanded = sample(planned, FINE_HZ, start, start + seconds)
    on_frame, felt, nozzle = (
        _followed(machine, commanded, share) for share in (0.0, 1.0, machine.frame.sway)
    )
    sway, felt = _acceleration(felt - on_frame), _acceleration(felt)
    still = np.zeros(len(sway))
    stamps = draw_stamps(random)
    stamps = replace(stamps, origin_s=stamps.origin_s + stamps.rate * commanded.first / FINE_HZ)
    places = {
        "x": np.column_stack([felt[:, 0], sway[:, 1], still]),
        "y": np.column_stack([sway[:, 0], felt[:, 1], still]),
        "reference": np.column_stack([sway, still]),
    }
    written = {key: record_sensor(at, FINE_HZ, stamps, random) for key, at in places.items()}
    sensors = Sensors(**{key: Recording(r[:, 0], r[:, 1:], key) for key, r in written.items()})
    every = round(FINE_HZ / RATE_HZ)
    skip = -commanded.first % every
    return Recorded(planned, (commanded.first + skip) // every, nozzle[skip::every], sensors)


def _followed(machine: Machine, commanded: Trajectory, sway: float) -> Floats:
    swaying = replace(machine, frame=replace(machine.frame, sway=sway))
    return Variant(swaying).from_rest(commanded.position[:, :2], FINE_HZ)


def _acceleration(position: Floats) -> Floats:
    speed = np.gradient(position, 1.0 / FINE_HZ, axis=0)
    return np.asarray(np.gradient(speed, 1.0 / FINE_HZ, axis=0))


def left(recorded: Recorded, printer: Printer, *, reference: bool) -> dict[str, list[float]]:
    """Return RMS by axis, µm: of the error, of what the printer leaves, of what both leave.

    Parameters
    ----------
    recorded
        The print.
    printer
        As calibrated.
    reference
        Whether the frame's sensor is used.
    """
    sensors = recorded.sensors if reference else replace(recorded.sensors, reference=None)
    aligned = align(sensors, sample(recorded.planned, RATE_HZ), printer)
    fused = fuse(aligned)
    margin = round(EDGE_S * RATE_HZ)
    begin = round(fused.time_s[0] * RATE_HZ)
    low = max(begin, recorded.first) + margin
    high = min(begin + len(fused.error), recorded.first + len(recorded.nozzle)) - margin
    own = slice(low - begin, high - begin)
    true = recorded.nozzle, low - recorded.first
    commanded = fused.commanded[own]
    error = recorded.nozzle[low - recorded.first : high - recorded.first] - commanded
    return {
        "error": _rms(error),
        "printer": _best(commanded + fused.below[own], *true),
        "both": _best(commanded + fused.error[own], *true),
    }


def _best(path: Floats, nozzle: Floats, first: int) -> list[float]:
    """Return the RMS by axis at the shift in time, of both axes, that fits best, µm."""
    grid = np.arange(len(nozzle))
    tried = []
    for shift in SHIFTS_MS * RATE_HZ / 1000.0:
        at = first + shift + np.arange(len(path))
        moved = np.column_stack([np.interp(at, grid, column) for column in nozzle.T])
        tried.append(_rms(path - moved))
    return min(tried, key=lambda pair: float(np.sum(np.square(pair))))


def _rms(values: Floats) -> list[float]:
    rms: list[float] = (1e3 * np.sqrt(np.mean(values**2, axis=0))).tolist()
    return rms
