"""The last step before a corrected file is written: a second reading, by other code."""

from collections.abc import Mapping, Sequence

import numpy as np

from trajerr.correction.emission import limit_lines
from trajerr.dynamics.printer import Printer
from trajerr.errors import GcodeError
from trajerr.gcode.extrusion import filament_diameter, most_section
from trajerr.gcode.firmware import is_klipper
from trajerr.gcode.modes import extruder_rule
from trajerr.gcode.program import Program
from trajerr.verification.stretch import VerifySettings
from trajerr.verification.verify import Verified, verify


def check_corrected(
    program: Program,
    text: bytes,
    replaced: Mapping[int, Sequence[bytes]],
    printer: Printer,
    max_correction_mm: float,
) -> Verified:
    """Read a corrected text by a second, independent interpreter and compare it.

    Parameters
    ----------
    program
        The original.
    text
        The corrected file.
    replaced
        By line index of the original: the lines that stand in its place.
    printer
        The rules of its firmware hold, and its bed and limits.
    max_correction_mm
        How far off its path a correction may lead.

    Raises
    ------
    GcodeError
        If the corrected text would do something else than the original but for the correction.
    """
    moves = program.moves
    low, high = printer.bed(program).corners
    settings = VerifySettings(
        firmware="klipper" if is_klipper(printer.limits.firmware) else "marlin",
        e_rule=extruder_rule(
            program.slicer.get("gcode_flavor", "").lower(), printer.limits.firmware
        ),
        # The mode of E counts where the file itself does not set it.
        begin=(*limit_lines(printer.limits), b"M82" if moves.absolute[0, 1] else b"M83"),
        max_correction_mm=max_correction_mm,
        bed_mm=(low[:2], high[:2]),
        filament_diameter_mm=filament_diameter(program.slicer),
        max_extrude_cross_section_mm2=most_section(program),
    )
    layers = moves.line[1:][np.diff(moves.layer) != 0].tolist()
    try:
        return verify(program.text, text, replaced, settings, layers=layers, name=program.name)
    except GcodeError as error:
        raise GcodeError(f"{error}; nothing was written; please report this file") from error
