"""One line of G-code to motions and commands, in units of the file; what they do is not here."""

import re
from typing import NamedTuple

from trajerr.gcode.words import Command, commands, verify_checksum, words

_NUMBER = rb"([-+]?(?:\d+\.?\d*|\.\d+))"
# Nearly every line of a print: read without the general way, which is ten times slower.
_STRAIGHT = re.compile(
    rb"G0?[01](?: FN)?(?: XN)?(?: YN)?(?: ZN)?(?: EN)?(?: FN)?[ \t]*(?:;.*)?\r?\n?".replace(
        b"N", _NUMBER
    )
)
_ARCS = ("G2", "G3")
_STRAIGHT_WORDS = frozenset("XYZEF")
_ARC_WORDS = frozenset("XYZEFIJRP")


class Straight(NamedTuple):
    """The words of a G0 or G1; ``None`` where there is none."""

    x: float | None
    y: float | None
    z: float | None
    e: float | None
    f: float | None


class Arc(NamedTuple):
    """The words of a G2 or G3."""

    straight: Straight  # where it ends, what it feeds, how fast
    clockwise: bool
    i: float
    j: float
    radius: float | None
    turns: float = 0.0  # P: whole turns more, on Marlin


Item = Straight | Arc | Command


def parse(line: bytes) -> list[Item]:
    """Return what a line holds, in its order.

    Parameters
    ----------
    line
        One line of a file, with or without line ending.

    Raises
    ------
    GcodeError
        If a motion command holds something else than words, or a checksum is wrong.
    """
    found = _STRAIGHT.fullmatch(line)
    if found is None:
        code = line.partition(b";")[0].strip()
        if not code:
            return []
        text = verify_checksum(code).decode("latin-1").removeprefix("\u00ef\u00bb\u00bf")
        return [_item(command) for command in commands(text)]
    first, x, y, z, e, f = found.groups()
    f = f or first
    return [
        Straight(
            None if x is None else float(x),
            None if y is None else float(y),
            None if z is None else float(z),
            None if e is None else float(e),
            None if f is None else float(f),
        )
    ]


def _item(command: Command) -> Item:
    """Return a motion with its words read; one with words of another meaning stays a command."""
    if command.name not in ("G0", "G1", *_ARCS):
        return command
    found = words(command.body)
    straight = Straight(*(found.get(letter) for letter in "XYZEF"))
    if command.name not in _ARCS:
        return straight if found.keys() <= _STRAIGHT_WORDS else command
    if not found.keys() <= _ARC_WORDS:
        return command
    i, j = found.get("I") or 0.0, found.get("J") or 0.0
    turns = found.get("P") or 0.0
    return Arc(straight, command.name == "G2", i, j, found.get("R"), turns)
