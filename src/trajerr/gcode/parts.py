"""The embedded default: four test prints, sliced by PrusaSlicer, shipped compressed.

``scripts/README.md`` says how they were modelled and sliced.
"""

import lzma
from importlib.resources import files

from trajerr.errors import GcodeError
from trajerr.gcode.program import Program
from trajerr.gcode.reader import parse_program

PARTS: tuple[str, ...] = ("tugboat", "bearing", "nautilus", "boat")
SLICED_FOR = "marlin"


def part_text(name: str) -> bytes:
    """Return the G-code text of an embedded part.

    Raises
    ------
    GcodeError
        If there is no embedded part of this name.
    """
    if name not in PARTS:
        raise GcodeError(f"parts: no embedded part {name!r}; choose from {', '.join(PARTS)}")
    packed = files("trajerr.gcode") / "parts_data" / f"{name}.gcode.xz"
    return lzma.decompress(packed.read_bytes())


def load_part(name: str, firmware: str = SLICED_FOR) -> Program:
    """Read an embedded part as if it were the file ``<name>.gcode``.

    The limits that its slicer reckons with are left out, as they are never sent to the machine.

    Parameters
    ----------
    name
        Of :data:`PARTS`.
    firmware
        That of the printer (``printer.limits.firmware``), by whose rules it is read.

    Raises
    ------
    GcodeError
        If there is no embedded part of this name.
    """
    return parse_program(part_text(name), f"{name}.gcode", firmware)
