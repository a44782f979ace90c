"""Forms of lines that machine tools read in one way and printers in another.

References
----------
Klipper, ``klippy/gcode.py``, ``_process_commands``; Marlin, ``gcode/parser.cpp``: one command a
line, whose other words are its parameters; no parentheses. Klipper looks a command up by its name
as written, so that ``G01`` is unknown to it.
"""

import re

_FORMS = re.compile(
    rb"\s*(?:(?P<number>N\s*\d)|(?P<brackets>G\d[^;(]*\()|(?P<carriage>[^\r]*\r+[^\r\s]))",
    re.IGNORECASE,
)
_MEANING = {
    "number": "line numbers",
    "brackets": "parentheses, which printers do not take for a comment,",
    "carriage": "a carriage return within a line",
}
_PADDED = re.compile(rb"(?:^|[\r\n])[ \t]*([GM](?:0\d|\d+\.0*(?!\d)))", re.IGNORECASE)


def odd_form(line: bytes, commands: int) -> str:
    """Return what is odd about a line of code, "" where nothing is.

    Parameters
    ----------
    line
        Without its comment.
    commands
        How many it holds.
    """
    found = _FORMS.match(line)
    if found:
        return _MEANING[found.lastgroup or ""]
    if commands > 1:
        return "several commands on one line, of which printers run the first,"
    return ""


def unknown_to_klipper(text: bytes) -> int | None:
    """Return the offset of a command of a file that Klipper skips for its name, if there is one."""
    found = _PADDED.search(text)
    return found.start(1) if found else None
