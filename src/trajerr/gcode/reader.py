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
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trajerr.arrays import Ints
from trajerr.errors import GcodeError
from trajerr.gcode import files
from trajerr.gcode.commands import Interpreter
from trajerr.gcode.dialects import CommentReader, generator
from trajerr.gcode.endings import check_complete
from trajerr.gcode.extrusion import beads, check_sense, choose_mode
from trajerr.gcode.firmware import is_klipper
from trajerr.gcode.forms import unknown_to_klipper
from trajerr.gcode.layers import layer_heights
from trajerr.gcode.limits import LimitLog, initial_limits
from trajerr.gcode.modal import Rows, resolve
from trajerr.gcode.modes import extruder_rule, first_statement, follow_modes
from trajerr.gcode.motions import build_moves
from trajerr.gcode.notes import has_notes, read_notes
from trajerr.gcode.plain import PlainMotion, scan
from trajerr.gcode.program import Moves, Program
from trajerr.gcode.retraction import Retraction
from trajerr.gcode.slicer import read_settings

MOST_NAMED = 5  # commands in a remark
ULTIMAKER_AREA = np.pi * 2.85**2 / 4  # mm²; an Ultimaker 2 reads E as mm³ of its filament
_KLIPPER = re.compile(rb"^(?:SET_VELOCITY_LIMIT|SET_PRESSURE_ADVANCE|EXCLUDE_OBJECT_)", re.M | re.I)


def read_program(path: Path, firmware: str | None = None) -> Program:
    """Read a G-code file of any slicer, in any container of :mod:`.containers`.

    Lines are counted in the text; that of binary G-code begins with its metadata as comments.

    Parameters
    ----------
    path
        The file; ``-`` is standard input.
    firmware
        That of the printer (``printer.limits.firmware``), whose rules decide what the file
        leaves open; ``None`` where no printer is known: then those that the file names.

    Raises
    ------
    GcodeError
        When the file cannot be read or used; one line with file and line number.
    """
    return unpack_program(files.read_bytes(path), path.name, firmware, where=str(path))


def unpack_program(
    content: bytes, name: str, firmware: str | None = None, *, where: str | None = None
) -> Program:
    """Read a file's content, in any container; ``where`` stands for it in messages, else its name.

    Raises
    ------
    GcodeError
        When it cannot be read or used; one line with name and line number.
    """
    where = where or name
    container, text = files.unpacked(content, where)
    return replace(_parse(text, name, where, firmware), container=container)


def parse_program(text: bytes, name: str, firmware: str | None = None) -> Program:
    """Read G-code from memory; ``name`` stands for the file in messages.

    Raises
    ------
    GcodeError
        When the text cannot be used; one line with name and line number.
    """
    return _parse(text, name, name, firmware)


@dataclass
class _Lines:
    """The lines that the vectorised scan left, read one by one."""

    comments: CommentReader
    interpreter: Interpreter


def _parse(text: bytes, name: str, where: str, firmware: str | None) -> Program:
    files.check_content(text, where)
    line_starts = files.find_lines(text)
    plain = scan(text, line_starts)
    rest = np.setdiff1d(np.arange(len(line_starts) - 1), plain.line, assume_unique=True)
    made_by = generator(text)
    slicer = read_settings(_comments(text, line_starts, rest))
    lines = _Lines(
        CommentReader(made_by),
        _interpreter(_flavor(text, slicer), firmware, slicer),
    )
    _read_rest(text, line_starts, rest, lines, where)
    noted = has_notes(made_by, lines.comments) and read_notes(text, line_starts, lines.comments)
    rows, remarks = _follow(plain, lines.interpreter, slicer, where, len(line_starts) - 1)
    moves = build_moves(rows, lines.interpreter, lines.comments, slicer, where)
    if not len(moves):
        raise GcodeError(f"{where}:{len(line_starts) - 1}: no move up to here, expected G0 to G3")
    check_complete(text, line_starts, moves, made_by, lines.comments, where)
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
        firmware=firmware,
        unknown_commands=Counter(command for _, command in lines.interpreter.barriers),
        unwritable=_unwritable(text, line_starts, lines.interpreter),
        remarks=(*remarks, *_untimed(lines.interpreter), *_untouched(lines.interpreter, moves)),
    )


def _comments(text: bytes, line_starts: Ints, rest: Ints) -> list[str]:
    data = np.frombuffer(text, dtype=np.uint8)
    chosen = rest[data[line_starts[rest]] == ord(";")]
    bounds = zip(line_starts[chosen].tolist(), line_starts[chosen + 1].tolist(), strict=True)
    return [text[a + 1 : b].decode("utf-8", "replace").rstrip() for a, b in bounds]


def _unwritable(
    text: bytes, line_starts: Ints, interpreter: Interpreter
) -> tuple[tuple[int, str], ...]:
    """Return the lines beside which no corrected line would mean what it says, and why."""
    speed, area = interpreter.speed_factor, interpreter.filament_area
    found = list(interpreter.odd)
    skipped = unknown_to_klipper(text) if interpreter.on_klipper else None
    if skipped is not None:
        line = int(np.searchsorted(line_starts, skipped, side="right")) - 1
        found.append((line, "a command's number that Klipper does not know"))
    scaled = zip(speed.lines, speed.values, strict=True)
    found += [(line, "a speed factor (M220)") for line, value in scaled if value != 1.0]
    volumes = zip([0, *area.lines], [area.initial, *area.values], strict=True)
    found += [(line, "volumetric E (M200)") for line, value in volumes if value != 1.0]
    return tuple(sorted(found))


def _untouched(interpreter: Interpreter, moves: Moves) -> tuple[str, ...]:
    """Return what stands between layers' moves and is not understood."""
    printing = moves.line[moves.is_extruding & (moves.layer > 0)]
    if not len(printing):
        return ()
    first, last = int(printing[0]), int(printing[-1])
    inside = Counter(name for line, name in interpreter.barriers if first < line < last)
    if not inside:
        return ()
    named = ", ".join(f"{name} ({count})" for name, count in inside.most_common(MOST_NAMED))
    more = f" and {len(inside) - MOST_NAMED} more" if len(inside) > MOST_NAMED else ""
    return (
        f"may move the nozzle in a way that the file does not say: {named}{more}; lines beside "
        "them are not corrected (docs/gcode.md)",
    )


def _interpreter(flavor: str, firmware: str | None, slicer: dict[str, str]) -> Interpreter:
    limits = LimitLog(_rules(flavor, firmware), [initial_limits(slicer, firmware is not None)])
    interpreter = Interpreter(flavor, firmware, limits, Retraction.of_slicer(slicer))
    if slicer.get("FLAVOR", "").lower() == "ultigcode":
        interpreter.filament_area.initial = ULTIMAKER_AREA
    return interpreter


def _read_rest(text: bytes, line_starts: Ints, rest: Ints, lines: _Lines, where: str) -> None:
    begins, ends = line_starts[rest].tolist(), line_starts[rest + 1].tolist()
    for line, begin, end in zip(rest.tolist(), begins, ends, strict=True):
        raw = text[begin:end].strip(b" \t\r\n\xef\xbb\xbf")
        if raw[:1] == b";":
            lines.comments.read(line, raw[1:].decode("utf-8", "replace"))
        elif raw:
            try:
                lines.interpreter.read(line, raw.partition(b";")[0])
            except GcodeError as error:
                raise GcodeError(f"{where}:{line + 1}: {error}") from None


def _follow(
    plain: PlainMotion, interpreter: Interpreter, slicer: dict[str, str], where: str, n_lines: int
) -> tuple[Rows, tuple[str, ...]]:
    """Resolve all rows, E read as the file says, as its slicer says, or as it makes sense."""
    rule = extruder_rule(interpreter.flavor, interpreter.firmware)
    rows = resolve(plain, interpreter, follow_modes(interpreter.modes, rule))
    stated = first_statement(interpreter.modes, n_lines)
    remarks: tuple[str, ...] = ()
    unstated = beads(rows, slicer, stated)
    if len(unstated.length):
        other = resolve(plain, interpreter, follow_modes(interpreter.modes, rule, True))
        chosen = choose_mode(unstated, beads(other, slicer, stated), slicer)
        if chosen:
            is_relative, why = chosen
            rows = other if is_relative else rows
            read = "relative" if is_relative else "absolute"
            remarks = (f"E is read as {read}: neither M82 nor M83 precedes it, and {why}",)
    check_sense(beads(rows, slicer), where)
    return rows, remarks


def _untimed(interpreter: Interpreter) -> tuple[str, ...]:
    count = interpreter.untimed
    if not count:
        return ()
    return (
        f"{count} firmware retractions (G10, G11) take no time in the plan: the file does not say "
        "how far they go (M207, M208)",
    )


def _rules(flavor: str, firmware: str | None) -> str:
    """Return whose rules decide what commands of limits mean: the printer's, if they differ."""
    if is_klipper(firmware):
        return "klipper"
    return "" if firmware is not None and flavor == "klipper" else flavor


def _flavor(text: bytes, slicer: dict[str, str]) -> str:
    """Return the firmware that the file is written for, as far as it tells."""
    named = slicer.get("gcode_flavor", "").lower()
    if named:
        return named
    return "klipper" if _KLIPPER.search(text) else ""
