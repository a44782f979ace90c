"""Read a G-code file: its bytes in, a :class:`~trajerr.gcode.program.Program` out.

Plain motion lines are scanned all at once (:mod:`~trajerr.gcode.plain`), the others one by
one (:mod:`~trajerr.gcode.commands`, :mod:`~trajerr.gcode.dialects`, where these name no
features :mod:`~trajerr.gcode.notes`); then positions are resolved over the whole file
(:mod:`~trajerr.gcode.modal`).

The machine stands at zero before the first line and after homing, though a real one may
not: what a file does before its first absolute move is known only up to that.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trajerr.errors import GcodeError
from trajerr.gcode import files
from trajerr.gcode.commands import Interpreter
from trajerr.gcode.dialects import CommentReader, generator
from trajerr.gcode.layers import layer_heights
from trajerr.gcode.limits import LimitLog, initial_limits
from trajerr.gcode.modal import resolve
from trajerr.gcode.motions import build_moves
from trajerr.gcode.notes import has_notes, read_notes
from trajerr.gcode.plain import scan
from trajerr.gcode.program import Ints, Program
from trajerr.gcode.slicer import read_settings

# What G90 and G91 do to E, by firmware. Marlin 2: they set it, M82 and M83 override later.
# Marlin 1 and Klipper: E is relative when either asks for it. RepRapFirmware: they do not.
_E_RULES = {
    "klipper": "either",
    "marlin": "either",
    "reprapfirmware": "apart",
}
ULTIMAKER_AREA = np.pi * 2.85**2 / 4  # mm²; an Ultimaker 2 reads E as mm³ of its filament
_KLIPPER = re.compile(rb"^(?:SET_VELOCITY_LIMIT|SET_PRESSURE_ADVANCE|EXCLUDE_OBJECT_)", re.M | re.I)


def read_program(path: Path) -> Program:
    """Read a G-code file of any slicer.

    Raises
    ------
    GcodeError
        When the file cannot be read or used; one line with file and line number.
    """
    return _parse(files.read_bytes(path), path.name, str(path))


def parse_program(text: bytes, name: str) -> Program:
    """Read G-code from memory; ``name`` stands for the file in messages.

    Raises
    ------
    GcodeError
        When the text cannot be used; one line with name and line number.
    """
    return _parse(text, name, name)


@dataclass
class _Lines:
    """The lines that the vectorised scan left, read one by one."""

    comments: CommentReader
    interpreter: Interpreter


def _parse(text: bytes, name: str, where: str) -> Program:
    files.check_content(text, where)
    line_starts = files.find_lines(text)
    plain = scan(text, line_starts)
    rest = np.setdiff1d(np.arange(len(line_starts) - 1), plain.line, assume_unique=True)
    made_by = generator(text)
    slicer = read_settings(_comments(text, line_starts, rest))
    files.check_complete(text, made_by, where, len(line_starts) - 1)
    lines = _read_rest(text, line_starts, rest, made_by, slicer, where)
    noted = has_notes(made_by, lines.comments) and read_notes(text, line_starts, lines.comments)
    rows = resolve(plain, lines.interpreter)
    moves = build_moves(rows, lines.interpreter, lines.comments, slicer, where)
    if not len(moves):
        raise GcodeError(f"{where}:{len(line_starts) - 1}: no move up to here, expected G0 to G3")
    return Program(
        name=name,
        text=text,
        line_starts=line_starts,
        moves=moves,
        settings=tuple(lines.interpreter.limits.states),
        slicer=slicer,
        generator=made_by,
        layer_z=layer_heights(moves.layer, moves.is_extruding, moves.end[:, 2]),
        sha256=hashlib.sha256(text).hexdigest(),
        noted=noted,
        unknown_commands=dict(lines.interpreter.unknown),
    )


def _comments(text: bytes, line_starts: Ints, rest: Ints) -> list[str]:
    data = np.frombuffer(text, dtype=np.uint8)
    chosen = rest[data[line_starts[rest]] == ord(";")]
    bounds = zip(line_starts[chosen].tolist(), line_starts[chosen + 1].tolist(), strict=True)
    return [text[a + 1 : b].decode("utf-8", "replace").rstrip() for a, b in bounds]


def _read_rest(
    text: bytes, line_starts: Ints, rest: Ints, made_by: str, slicer: dict[str, str], where: str
) -> _Lines:
    flavor = _flavor(text, slicer)
    limits = LimitLog(flavor, [initial_limits(slicer)])
    interpreter = Interpreter(_E_RULES.get(flavor, "together"), limits)
    if slicer.get("FLAVOR", "").lower() == "ultigcode":
        interpreter.filament_area.initial = ULTIMAKER_AREA
    comments = CommentReader(is_simplify3d=made_by.startswith("Simplify3D"))
    begins, ends = line_starts[rest].tolist(), line_starts[rest + 1].tolist()
    for line, begin, end in zip(rest.tolist(), begins, ends, strict=True):
        raw = text[begin:end].strip(b" \t\r\n\xef\xbb\xbf")
        if raw[:1] == b";":
            comments.read(line, raw[1:].decode("utf-8", "replace"))
        elif raw:
            try:
                interpreter.read(line, raw.partition(b";")[0])
            except GcodeError as error:
                raise GcodeError(f"{where}:{line + 1}: {error}") from None
    return _Lines(comments, interpreter)


def _flavor(text: bytes, slicer: dict[str, str]) -> str:
    """Return the firmware that the file is written for, as far as it tells."""
    named = slicer.get("gcode_flavor", "").lower()
    if named:
        return named
    return "klipper" if _KLIPPER.search(text) else ""
