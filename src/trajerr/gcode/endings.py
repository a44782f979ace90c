"""Whether a file is whole: its program ends after the last line that it prints.

Comments tell less than commands: post-processors and people strip them, the slicer's settings
first. So what the program does behind its last extrusion decides, and a slicer's own closing
comments only help where its end code is empty.

Programs written by hand need no end. One is a slicer's where it says so, where it announces how
much is to come, and where comments tell layers or features while it heats the hot end.
"""

import re

from trajerr.arrays import Ints
from trajerr.errors import GcodeError
from trajerr.gcode.dialects import CommentReader
from trajerr.gcode.program import MoveKind, Moves

_HEATER = rb"M10[49](?!\d)[^;\n]*[SR] *"
_ZERO = rb"(?:-\d+|0+(?:\.0*)?)(?![.\d])"
_EXTRUDING = rb"(?:1[5-9]\d|[2-9]\d\d)(?!\d)"  # °C; colder than 150, nothing extrudes
_WHAT = rb"(?:PRINT|JOB|GCODE)"
_OVER = rb"(?:END|FINISH|DONE|COMPLETE|STOP)"
_GOES_ON = (_HEATER + _EXTRUDING, rb"; ?BEGIN_LAYER_")
_ENDS = (
    _HEATER + _ZERO,
    rb"G10(?!\d)[^;\n]*S *" + _ZERO,
    rb"SET_HEATER_TEMPERATURE[^;\n]*HEATER *= *\"?EXTRUDER(?![^;\n]*TARGET *= *[1-9])",
    rb"(?:TURN_OFF_HEATERS|HEATERS?_OFF|SHUTDOWN|END)\b",
    rb"\w*" + _WHAT + rb"_?" + _OVER,
    rb"\w*" + _OVER + rb"_?(?:OF_)?" + _WHAT,
    rb"M(?:84|18)(?!\d)(?:[ \t]*(?:[;*]|$)|[^;\n]*[XY])",  # all motors, not the extruder's alone
    rb"M(?:0+|0*2|30|81)(?![.\d])",
)
_CLOSING_COMMENTS = (
    rb"end[ _]of[ _](?:g-?code|print|file)|end[ _]?g-?code",
    rb"EXECUTABLE_BLOCK_END|CONFIG_BLOCK_START|\w+_config = |layer_height = ",
    rb"(?:total )?filament used|estimated printing time",  # PrusaSlicer's family
    rb"SETTING_3 |CURA_PROFILE_STRING",
    rb"layer end| *Build (?:time|summary)",  # Simplify3D
    rb"\*\*\* G-code Postfix|(?P<layer>END_LAYER_)",  # KISSlicer
    rb"Print Time: ?\d|Material#\d+ Used",  # ideaMaker
    rb"--- (?:shutdown|filament used)",  # Kiri:Moto
    rb"MatterSlice completed",
)
_LAST_WORD = re.compile(
    rb"^[ \t]*(?:N\d+ *)?(?:(?P<goes_on>"
    + rb"|".join(_GOES_ON)
    + rb")|"
    + rb"|".join(_ENDS)
    + rb"|; ?(?:"
    + rb"|".join(_CLOSING_COMMENTS)
    + rb"))",
    re.MULTILINE | re.IGNORECASE,
)
_ANNOUNCES = re.compile(rb"^; ?(?:EXECUTABLE_BLOCK_START|LAYER_COUNT:\d{1,9}\b)", re.M)
_KISSLICERS_PARTS = b"*** G-code Prefix ***"  # where it stands, a postfix has to follow


def check_complete(
    text: bytes,
    line_starts: Ints,
    moves: Moves,
    generator: str,
    comments: CommentReader,
    where: str,
) -> None:
    """Refuse a slicer's file whose program breaks off before its end.

    Parameters
    ----------
    text : bytes
        The whole file.
    line_starts : (L+1,) int
        Byte offset of each line, and of the end.
    moves : Moves
        All moves of the file, at least one.
    generator : str
        The slicer, or an empty string.
    comments : CommentReader
        What the comments tell of features and layers.
    where : str
        The file, for the message.

    Raises
    ------
    GcodeError
        With the last line's number.
    """
    is_marked = comments.tells_slicer and bool(moves.nozzle.any())
    if not (generator or is_marked or _ANNOUNCES.search(text)):
        return
    prints = moves.line[moves.kind == MoveKind.PRINT]
    last = int(prints[-1] if len(prints) else moves.line[-1])
    if not _ends(text[line_starts[last + 1] :], after_layer=_KISSLICERS_PARTS not in text):
        raise GcodeError(
            f"{where}:{len(line_starts) - 1}: the file breaks off here, expected the end of its "
            f"program (M104 S0, END_PRINT, M84 or the like) after the last extrusion in line "
            f"{last + 1}: slice it again, or append M84 if nothing is missing"
        )


def _ends(rest: bytes, after_layer: bool) -> bool:
    """Return whether a program's lines behind its last extrusion end it, or any layer does."""
    found = list(_LAST_WORD.finditer(rest.replace(b"\r", b"\n")))
    if not found or found[-1]["goes_on"]:
        return False
    return after_layer or not found[-1]["layer"]
