"""Four minutes of printing on a machine, written as an encoder would log them.

Half of the prints may be excitation prints, so that the machine answers at all frequencies.

The log is a CSV of what ``prepare`` and ``calibrate`` read: commanded and measured positions,
with a sensor's noise. Beside it stand two configs of the group ``log``: ``recorded`` with all
prints as sections to train on and to validate on, ``excerpt`` with as much as a calibration
needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from io import StringIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import yaml

from trajerr.arrays import Floats
from trajerr.checks import require
from trajerr.correction.original import Original
from trajerr.dynamics.printer import Printer
from trajerr.files import write_atomically
from trajerr.gcode.parts import load_part
from trajerr.gcode.reader import parse_program
from trajerr.motion.lead_in import LayerMotion
from trajerr.motion.planner import Plan, plan
from trajerr.test_prints.excitation import Excitation, excited

from .motion import Variant
from .work import AS_SLICED

# Parts A: layers that nothing is judged on, in the order in which they are printed.
PRINTS = (
    ("tugboat", 24),
    ("boat", 8),
    ("tugboat", 45),
    ("boat", 38),
    ("tugboat", 10),
    ("boat", 23),
    ("tugboat", 52),
    ("boat", 18),
)
LOG_RATE_HZ = 1000.0
STEPS_A_SAMPLE = 10  # of the plan's sampling, for each sample of the log
NOISE_MM = 0.001  # RMS of the sensor, each sample and axis for itself
VALIDATION = 0.15  # share of the time at the end
EXCERPT_S = 30.0  # that a calibration sees; TEST of it judges the fit
TEST = 0.25
COLUMNS = ("time", "x_ref", "y_ref", "z_ref", "x_act", "y_act")
Section = tuple[int, int, str]  # first row, row after the last, split


@dataclass(frozen=True)
class Recording:
    """A log and where its prints begin."""

    rows: Floats  # (N, 6) as COLUMNS: s and mm
    begins: tuple[int, ...]  # first row of each print

    def sections(self, begin: int, end: int, judged: float, judge: str) -> list[Section]:
        """Return a stretch of rows print by print; the last share of it goes to a split."""
        turn = begin + round((1.0 - judged) * (end - begin))
        edges = sorted({begin, turn, end, *(row for row in self.begins if begin < row < end)})
        return [(low, high, "train" if high <= turn else judge) for low, high in pairwise(edges)]


def record(
    machine: Variant,
    printer: Printer,
    seconds: float,
    seed: int,
    speeds: Sequence[float] = AS_SLICED,
    excitation: Excitation | None = None,
) -> Recording:
    """Print parts A until a time is over.

    Parameters
    ----------
    machine
        What prints.
    printer
        Its limits plan.
    seconds
        Of motion, s.
    seed
        Of the sensor's noise.
    speeds
        How many times as fast as sliced each layer is printed, one after the other.
    excitation
        What every second print but for the first layer's holds beside; its motion has the same
        frequencies at every speed.

    Raises
    ------
    ConfigError
        If parts A do not last so long.
    """
    motions, wanted = _motions(printer, speeds, excitation), round(seconds * LOG_RATE_HZ)
    longest = sum(motion.end - motion.start for motion in motions)
    most = f"up to {longest / 60.0:.1f}, which is as long as parts A take"
    require("minutes", round(seconds / 60.0, 2), seconds < longest, most)
    tables: list[Floats] = []
    begins = [0]
    for motion in motions:
        table = _printed(machine, motion)[: wanted - begins[-1]]
        tables.append(table)
        begins.append(begins[-1] + len(table))
        if begins[-1] == wanted:
            break
    rows = np.concatenate(tables)
    rows[:, -2:] += NOISE_MM * np.random.default_rng(seed).standard_normal((len(rows), 2))
    time = np.arange(len(rows)) / LOG_RATE_HZ
    return Recording(np.column_stack([time, rows]), tuple(begins[:-1]))


def _motions(
    printer: Printer, speeds: Sequence[float], excitation: Excitation | None
) -> list[LayerMotion]:
    """Return how parts A move at each speed, each with its lead-in.

    Accelerations go with the square of the speed: the same motion in less time.
    """
    read = {
        name: Original(load_part(name, printer.limits.firmware), printer)
        for name in dict.fromkeys(part for part, _ in PRINTS)
    }

    @cache
    def planned(part: str, speed: float, *, excites: bool) -> Plan:
        program = read[part].program
        if excitation is not None and excites:
            slower = replace(excitation, band_hz=excitation.band_hz / speed)
            layers = [layer for name, layer in PRINTS if name == part]
            text = excited(read[part], slower, layers).text
            program = parse_program(text, part, program.firmware)
        scales = {"acceleration_scale": speed**2, "speed_scale": speed}
        return plan(printer.placed(program), printer.limits, **scales)

    return [
        LayerMotion.of(planned(part, speed, excites=i > 0 and (i + k) % 2 == 1), layer)
        for i, (part, layer) in enumerate(PRINTS)
        for k, speed in enumerate(speeds)
    ]


def _printed(machine: Variant, motion: LayerMotion) -> Floats:
    """Return (N, 5) commanded x, y, z and actual x, y of one print, mm, at the log's rate."""
    pieces = motion.pieces(STEPS_A_SAMPLE * LOG_RATE_HZ)
    moved = [np.column_stack([p.position, m.xy]) for p, m in machine.along(pieces)]
    return np.concatenate(moved)[::STEPS_A_SAMPLE]


def write(
    recording: Recording, log: Path, configs: Path, excitation: Excitation | None = None
) -> None:
    """Write a log, and below ``configs`` the two configs that map it.

    Parameters
    ----------
    recording
        What was logged.
    log
        The CSV; it is there when all is there.
    configs
        A folder for ``--config-dir``.
    excitation
        As it was recorded with.
    """
    excited_hz = None if excitation is None else excitation.band_hz
    count = len(recording.rows)
    recorded = recording.sections(0, count, VALIDATION, "val")
    excerpt = recording.sections(0, min(count, round(EXCERPT_S * LOG_RATE_HZ)), TEST, "test")
    for name, sections in (("recorded", recorded), ("excerpt", excerpt)):
        mapped = _format(sections) | {"excitation_hz": excited_hz}
        text = yaml.safe_dump(mapped, sort_keys=False)
        write_atomically(configs / "log" / f"{name}.yaml", text.encode())
    table = StringIO()
    np.savetxt(table, recording.rows, "%.5f", ",", header=",".join(COLUMNS), comments="")
    write_atomically(log, table.getvalue().encode())


def _format(sections: Sequence[Section]) -> dict[str, object]:
    logs = "trajerr.dataset.logs"
    axes = {
        axis: {
            "_target_": f"{logs}.LogAxis",
            "commanded": f"{axis}_ref",
            "measured": f"{axis}_act",
        }
        for axis in "xy"
    }
    listed = [
        {"_target_": f"{logs}.LogSection", "start": start, "stop": stop, "split": split}
        for start, stop, split in sections
    ]
    head = {"_target_": f"{logs}.LogFormat", "part": "recorded", "time": "time"}
    return {**head, **axes, "z": "z_ref", "sections": listed}
