"""Write G-code: numbers as slicers print them, lines in the place of lines.

Knows text only; which lines change and to what is decided elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trajerr.gcode.program import Moves, Program

Replacement = bytes | Sequence[bytes]


def format_number(value: float, digits: int, *, trim: bool = True) -> str:
    """Return a number as slicers print it: never an exponent, never a negative zero.

    Parameters
    ----------
    value : float
        A finite number.
    digits : int
        How many decimals at most.
    trim : bool
        Whether trailing zeros are left out.

    Raises
    ------
    ValueError
        For a value that is not finite.
    """
    text = f"{value:.{digits}f}"
    if not text.lstrip("-")[0].isdigit():
        raise ValueError(f"{value} cannot be written as a G-code number")
    if trim and "." in text:
        text = text.rstrip("0").rstrip(".")
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


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


@dataclass
class AxisWriter:
    """Writes the words of one axis so that rounding never adds up.

    It follows what the firmware will believe after each written word. In relative mode
    each step is rounded from where the words before it really lead, so the error stays
    below half of the last digit however many words are written.
    """

    letter: str
    digits: int
    relative: bool
    unit: float  # mm per unit of the file
    origin: float  # mm, machine coordinate of the file's zero
    position: float  # mm, machine coordinate where the written words have led

    def word(self, target: float) -> str:
        """Return the word that leads to a machine coordinate in mm; "" if none is needed."""
        base = self.position if self.relative else self.origin
        text = format_number((target - base) / self.unit, self.digits)
        reached = base + float(text) * self.unit
        if abs(reached - self.position) < 1e-9:
            return ""
        self.position = reached
        return self.letter + text


@dataclass
class MoveWriter:
    """Writes straight moves in the modes that are in force at one place of a file."""

    axes: tuple[AxisWriter, ...]  # x y z e
    unit: float
    feedrate: float  # mm/s that the firmware believes; 0 where unknown

    @classmethod
    def before(
        cls, moves: Moves, index: int, digits: tuple[int, ...] = (3, 3, 3, 5)
    ) -> "MoveWriter":
        """Return a writer for the place of a move.

        Parameters
        ----------
        moves : Moves
            Of the file that is written to.
        index : int
            The move in whose place, or before which, will be written.
        digits : four ints
            Decimals of x y z e in mm; inches get two more.
        """
        unit = float(moves.unit[index])
        more = 0 if unit == 1.0 else 2
        axes = tuple(
            AxisWriter(
                letter,
                digits[i] + more,
                not bool(moves.absolute[index, 1 if letter == "E" else 0]),
                unit,
                float(moves.origin[index, i]),
                float(moves.start[index, i]),
            )
            for i, letter in enumerate("XYZE")
        )
        return cls(axes, unit, 0.0)

    def line(self, target: Sequence[float], feedrate: float | None = None) -> bytes:
        """Return a line that moves to x y z e in mm at mm/s; empty if nothing would move."""
        words = [w for axis, t in zip(self.axes, target, strict=True) if (w := axis.word(t))]
        if not words:
            return b""
        if feedrate is not None and feedrate != self.feedrate:
            words.append("F" + format_number(feedrate * 60.0 / self.unit, 3))
            self.feedrate = feedrate
        return " ".join(["G1", *words]).encode()
