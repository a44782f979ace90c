"""A print that excites its machine: as sliced, but for small random motion on what it prints.

Slicers' motion holds little above the frequencies at which a printer first rings. What a network
makes of more is a guess, and a correction that goes there is led by guesses. Recorded with some
of all frequencies in it, a print tells the rest, as systems are identified (Ljung, System
Identification, 2nd ed. 1999, ch. 13).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trajerr.arrays import Floats, Ints
from trajerr.checks import require, require_count, require_positive
from trajerr.correction.emission import write_lines
from trajerr.correction.feedrates import assemble, keep_time
from trajerr.correction.filament import writable
from trajerr.correction.final_check import check_corrected
from trajerr.correction.learning import bounded
from trajerr.correction.original import Original, check_other_file
from trajerr.correction.pieces import EmissionSettings, segment
from trajerr.correction.scope import Scope
from trajerr.correction.settings import CorrectionSettings
from trajerr.dynamics.printer import Printer
from trajerr.gcode.containers.kinds import container_for, packed
from trajerr.gcode.excitation import excitation_note
from trajerr.gcode.firmware import is_klipper
from trajerr.gcode.program import FeatureType
from trajerr.gcode.reader import parse_program
from trajerr.gcode.writer import replace_lines
from trajerr.inversion.signals import band_limited
from trajerr.motion.bed import Bed
from trajerr.motion.planner import plan
from trajerr.motion.sampling import check_length
from trajerr.test_prints.shakedown import Written

MOVES_A_PERIOD = 4.0  # of the highest frequency
MOST = 6.0  # times its RMS: the farthest that a point goes off its path
NEAR = 0.1  # of its RMS, by which leaving out moves may displace a point
GROWTH = 1000.0  # times its size, that a file may grow: a short test, not what is printed daily


@dataclass(frozen=True)
class Excitation:
    """What is added to a print.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    rms_mm: float  # of the motion along each axis
    band_hz: float  # up to which it holds all frequencies alike
    every: int  # the second layer, and every so many after it; the others stay as they are
    seed: int

    def __post_init__(self) -> None:
        require_positive("excitation.rms_mm", self.rms_mm)
        require("excitation.rms_mm", self.rms_mm, self.rms_mm <= 0.1, "up to 0.1")
        require_positive("excitation.band_hz", self.band_hz)
        require("excitation.band_hz", self.band_hz, self.band_hz <= 250.0, "up to 250")
        require_count("excitation.every", self.every)
        require_count("excitation.seed", self.seed, at_least=0)

    def chosen(self, layers: Ints) -> list[int]:
        """Return which of the layers that print are to excite the machine."""
        chosen: list[int] = layers[1 :: self.every].tolist()
        return chosen


def excitation_print(gcode: Path, out: Path, printer: Printer, how: Excitation) -> Written:
    """Return a print that excites its machine in some layers; all else is as it was.

    Parameters
    ----------
    gcode
        The print as sliced.
    out
        The file to be written; its name says in what container.
    printer
        Its limits plan it.
    how
        What is added, and to which layers: to all that extrudes there, fading out in the travels
        beside it.

    Raises
    ------
    GcodeError
        If the file cannot be read or rewritten.
    ConfigError
        If no layer is to be excited, ``out`` is the file itself or names a container that cannot
        be written, or the firmware does not follow moves of some micrometres.
    """
    check_other_file(gcode, out)
    firmware = printer.limits.firmware
    follows = is_klipper(firmware)
    require("printer.limits.firmware", firmware, follows, "klipper: others' moves are whole steps")
    original = Original.read(gcode, printer)
    layers = how.chosen(original.planned.layers)
    require("excitation.every", how.every, len(layers) > 0, "a print of two layers or more")
    container = container_for(out, original.program.container)
    written = excited(original, how, layers)
    return replace(written, text=packed(container, written.text, out.name))


def excited(original: Original, how: Excitation, layers: Sequence[int]) -> Written:
    """Return a print that excites its machine in the given layers.

    Parameters
    ----------
    original
        The print as sliced.
    how
        What is added.
    layers
        Where, whatever ``every`` says.

    Raises
    ------
    GcodeError
        If the file cannot be rewritten, or what was written does not print the same part.
    """
    rate, most = MOVES_A_PERIOD * how.band_hz, MOST * how.rms_mm
    near = NEAR * how.rms_mm
    emission = EmissionSettings.shipped(
        rate_hz=rate, across_mm=near, along_mm=near, most_growth=GROWTH
    )
    everything = frozenset(int(feature) for feature in FeatureType)
    settings = CorrectionSettings.shipped(
        layers=layers, feature_types=everything, max_correction_mm=most, emission=emission
    )
    scope = Scope.of(original, settings)
    nominal, limits, program = scope.nominal, original.printer.limits, original.program
    check_length(nominal, rate, nominal.print_time)
    time, motion = _motion(scope, how, rate, most)
    offset = scope.region.offset(motion, time)
    pieces = writable(segment(nominal, scope.region, scope.role, offset, emission), nominal)
    timed = assemble(nominal, pieces, limits, emission)
    timed, _ = keep_time(timed, limits, np.ones(len(pieces.pieces)))
    lines = write_lines(nominal.program, timed, pieces, limits)
    first = list(lines.get(0, [program.line(0)]))
    replaced = {**lines, 0: [*first, excitation_note(how.rms_mm, how.band_hz)]}
    text = replace_lines(program, replaced)
    check_corrected(program, text, replaced, original.printer, most)
    written = parse_program(text, program.name, program.firmware)
    return Written(text, plan(original.printer.placed(written), limits))


def _motion(scope: Scope, how: Excitation, rate: float, most: float) -> tuple[Floats, Floats]:
    """Return (N,) times in s on a uniform grid, and what is added then, (N, 2) mm."""
    time = np.arange(int(scope.nominal.print_time * rate) + 2) / rate
    noise = band_limited(np.random.default_rng(how.seed), len(time), how.band_hz / rate)
    motion = how.rms_mm * noise * scope.region.weight(time)[:, None]
    scope.region.settle(motion, time)
    base = scope.nominal.asked(np.minimum(time, scope.nominal.print_time))[:, :2]
    return time, bounded(motion, base, most, Bed(scope.original.printer.bed_mm))
