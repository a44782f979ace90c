"""Write G-code: numbers as slicers print them, lines in the place of lines.

Knows text only; which lines change and to what is decided elsewhere.
"""

from collections.abc import Mapping, Sequence

from trajerr.gcode.program import Program

Replacement = bytes | Sequence[bytes]


def number(value: float, digits: int) -> bytes:
    """Return a number as slicers print it: ``77.1``, ``.5``, ``-.00512``, ``0``.

    Parameters
    ----------
    value : float
        A finite number.
    digits : int
        How many decimals at most.

    Raises
    ------
    ValueError
        For a value that is not finite.
    """
    text = f"{value:.{digits}f}"
    if not text.lstrip("-")[0].isdigit():
        raise ValueError(f"{value} cannot be written as a G-code number")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    sign, text = ("-", text[1:]) if text.startswith("-") else ("", text)
    text = text[1:] if text.startswith("0.") else text
    return b"0" if text == "0" else (sign + text).encode()


def replace_lines(program: Program, replacements: Mapping[int, Replacement]) -> bytes:
    """Return a program's text with some lines replaced, the rest byte for byte.

    Parameters
    ----------
    program : Program
        Where the lines come from.
    replacements : mapping of int to bytes or sequence of bytes
        By line index from 0: the line or lines that come instead, none to leave it out.
        A line without line ending gets that of the line it replaces.

    Raises
    ------
    IndexError
        For a line that the program does not have.
    """
    parts = []
    done = 0
    for index in sorted(replacements):
        if not 0 <= index < program.n_lines:
            raise IndexError(f"line {index} of {program.n_lines} in {program.name}")
        start, end = program.line_starts[index], program.line_starts[index + 1]
        parts.append(program.text[done:start])
        given = replacements[index]
        lines = [given] if isinstance(given, bytes) else list(given)
        parts += _with_endings(lines, program, index)
        done = int(end)
    parts.append(program.text[done:])
    return b"".join(parts)


def _with_endings(lines: list[bytes], program: Program, index: int) -> list[bytes]:
    ending = line_ending(program.line(index))
    inner = ending or line_ending(program.line(0)) or b"\n"
    last = len(lines) - 1
    return [
        line if line.endswith((b"\n", b"\r")) else line + (ending if i == last else inner)
        for i, line in enumerate(lines)
    ]


def line_ending(line: bytes) -> bytes:
    """Return the bytes that end a line: CRLF, LF, CR, or nothing at the end of a file."""
    return next((e for e in (b"\r\n", b"\n", b"\r") if line.endswith(e)), b"")
