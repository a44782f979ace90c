"""A second reading of motion that was made here, by the code that corrected files are proved by."""

import math
from collections.abc import Sequence

from trajerr.errors import GcodeError
from trajerr.gcode.firmware import is_klipper
from trajerr.verification.interpreter import Machine

SLACK_MM = 1e-3  # of written digits
HOMING = b"G28"


def require_harmless(
    text: bytes,
    firmware: str,
    low: Sequence[float],
    high: Sequence[float],
    filament_mm: float = 0.0,
) -> None:
    """Refuse motion before homing, beyond its field, or that feeds other filament than is meant.

    Parameters
    ----------
    text
        The whole program; what comes after its ``G28`` is judged.
    firmware
        Of the printer.
    low, high
        Least and greatest x, y and z, mm, in the file's coordinates.
    filament_mm
        What it feeds in all, retraction beside; with 0, no move may feed any.

    Raises
    ------
    GcodeError
        Naming the line.
    """
    machine = Machine(firmware if is_klipper(firmware) else "marlin")
    homed = False
    for number, line in enumerate(text.splitlines(), start=1):
        machine.line = number
        homed |= line == HOMING
        for move in machine.run(line):
            inside = all(map(_within, move.end, low, high))
            fed = 0.0 if filament_mm else abs(move.filament)
            if not (homed and inside and fed == 0.0):
                raise GcodeError(
                    f"line {number}: {line.decode()}: leaves the field, its height, or feeds "
                    "filament; nothing is written"
                )
    if not homed:
        raise GcodeError("no G28, expected motion that begins with homing; nothing is written")
    if not abs(machine.fed - filament_mm) <= SLACK_MM * max(filament_mm, 1.0):
        raise GcodeError(
            f"feeds {machine.fed:.3f} mm of filament, expected {filament_mm:.3f} mm; nothing is "
            "written"
        )


def _within(value: float, low: float, high: float) -> bool:
    """Whether a coordinate is where it may be; one that no line has told yet is at home."""
    return math.isnan(value) or low - SLACK_MM <= value <= high + SLACK_MM
