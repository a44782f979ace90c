"""One line of G-code to words: comments, line numbers, checksums, commands, values."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from trajerr.errors import GcodeError

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_WORD = re.compile(rf"\s*([A-Za-z])\s*({_NUMBER})?(?![\d.])")
_COMMAND = re.compile(r"([GMT])\s*(\d{1,9})(?:\.(\d{1,9}))?(?![\d.])", re.IGNORECASE)
_NEXT_COMMAND = re.compile(r"(?<![A-Za-z])[GM]\s*\d", re.IGNORECASE)
_NEXT_MOTION = re.compile(r"(?<![A-Za-z])G\s*\d", re.IGNORECASE)  # M900 K1 M1: M is a parameter
_EXTENDED = re.compile(r"[A-Za-z_][A-Za-z_]\w*")
# A name is tried once, from its beginning: a long word without "=" takes no squared time.
_PARAMETER = re.compile(r"(?<!\w)(\w++)\s*+=\s*+(\"[^\"]*\"|'[^']*'|[^\s;]+)")
_PARENTHESES = re.compile(r"\([^)]*\)?")
_QUOTED = re.compile(r'"[^"]*"?')
_LINE_NUMBER = re.compile(r"N\s*(\d+)\s*", re.IGNORECASE)
_CHECKSUM = re.compile(rb"\*\s*(\d{1,3})\s*$")

# 1e-05 or 1E+09 as programs print floats; but "Y10E5" without blanks is two words.
_EXPONENT = re.compile(r"[A-Za-z][-+\d.]*[\d.](?:[eE][+-]\d{2,3}(?![\d.])|e[+-]?\d)")

_MIX = re.compile(rf"[Ee]{_NUMBER}(?::{_NUMBER})+")
_OTHER_EXTRUDERS = ("A", "B")

# What follows these is free text, never words.
TEXT_COMMANDS = frozenset(
    {"M16", "M23", "M28", "M30", "M32", "M36", "M98", "M117", "M118", "M486", "M1002"}
)
MAX_VALUE = 1e15  # beyond this a value is a slip of the keyboard in any unit


@dataclass(frozen=True)
class Command:
    """One command of a line: its name, and what it is given, not yet read."""

    name: str  # "G1", "M862.3", "T0", "SET_VELOCITY_LIMIT"; "" for bare words
    body: str  # what follows the name, without comments


def verify_checksum(code: bytes) -> bytes:
    """Return a line's code without line number and checksum.

    The checksum is the exclusive or of all bytes before the asterisk, as RepRap firmware
    computes it (https://reprap.org/wiki/G-code#.2A:_Checksum).

    Raises
    ------
    GcodeError
        When the checksum is not that of the line.
    """
    numbered = _LINE_NUMBER.match(code.decode("latin-1").lstrip("\ufeff \t"))
    if numbered is None and b"*" not in code:
        return code
    found = _CHECKSUM.search(code)
    if found and _is_checked(code, numbered is not None):
        expected = 0
        for byte in code[: found.start()].lstrip():
            expected ^= byte
        if int(found[1]) != expected:
            raise GcodeError(f"checksum is {int(found[1])}, expected {expected} for this line")
        code = code[: found.start()]
    return code.lstrip()[numbered.end() :] if numbered else code


def _is_checked(code: bytes, numbered: bool) -> bool:
    """Return whether an asterisk is a checksum: free text may hold one, too."""
    return numbered or split_name(code.decode("latin-1").strip())[0] not in TEXT_COMMANDS


def split_name(code: str, begin: int = 0) -> tuple[str, int]:
    """Return the name of the command at ``begin`` in upper case and where its body begins."""
    classic = _COMMAND.match(code, begin)
    if classic:
        minor = f".{classic[3]}" if classic[3] and int(classic[3]) else ""
        return f"{classic[1].upper()}{int(classic[2])}{minor}", classic.end()
    extended = _EXTENDED.match(code, begin)
    return (extended[0].upper(), extended.end()) if extended else ("", begin)


def commands(code: str) -> Iterator[Command]:
    """Yield the commands of one line: mostly one, on a machine tool several."""
    code = code.strip()
    if split_name(code)[0] not in TEXT_COMMANDS:
        code = _PARENTHESES.sub(" ", code).strip()
    unquoted = _QUOTED.sub(_blank, code)
    start = 0
    while start < len(code):
        name, begin = split_name(code, start)
        is_classic = name[1:2].isdigit() or not name
        end = len(code)
        if is_classic and name not in TEXT_COMMANDS:
            others = _NEXT_MOTION if name[:1] == "M" else _NEXT_COMMAND
            following = others.search(unquoted, max(begin, start + 1))
            end = following.start() if following else end
        yield Command(name, code[begin:end])
        start = end


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])


def words(body: str) -> dict[str, float | None]:
    """Read the letter words of a command; ``None`` for a letter without a number.

    Raises
    ------
    GcodeError
        When something in the body is not a word.
    """
    result: dict[str, float | None] = {}
    position = 0
    exponent = _EXPONENT.search(body)
    if exponent and (exponent[0].isupper() or not body.islower()):
        raise GcodeError(f"{_token(body, exponent.start())!r} has an exponent, expected decimals")
    while position < len(body):
        found = _WORD.match(body, position)
        if not found:
            if not body[position:].strip():
                break
            raise GcodeError(f"{_token(body, position)!r} {_fault(_token(body, position))}")
        value = float(found[2]) if found[2] else None
        if value is not None and abs(value) > MAX_VALUE:
            raise GcodeError(f"{found[0].strip()[:40]!r} is absurd, expected at most 15 digits")
        result[found[1].upper()] = value
        position = found.end()
    return result


def _fault(token: str) -> str:
    """Return what is wrong with something that is no word, and what was expected."""
    if _MIX.fullmatch(token):
        return "feeds the drives of a mixing extruder one by one, expected one number for E"
    return "is not a word, expected e.g. 'X12.5'"


def motion_words(body: str) -> dict[str, float | None]:
    """Read the words of a motion command.

    Raises
    ------
    GcodeError
        When something is not a word, or when another axis than E extrudes.
    """
    result = words(body)
    for letter in _OTHER_EXTRUDERS:
        if result.get(letter) is not None:
            raise GcodeError(
                f"the word {letter} moves an extruder (G-code flavours mach3, machinekit and "
                f"MakerBot's) or a rotary axis, expected E: choose another flavour in the slicer"
            )
    return result


def loose_words(body: str) -> dict[str, float | None]:
    """Read what words there are, skipping text and quoted strings."""
    text = _QUOTED.sub(" ", body)
    found = re.finditer(rf"(?<![A-Za-z])([A-Za-z])\s*({_NUMBER})?(?![A-Za-z\d.])", text)
    pairs = ((w[1].upper(), float(w[2]) if w[2] else None) for w in found)
    return {k: v for k, v in pairs if v is None or abs(v) <= MAX_VALUE}


def parameters(body: str) -> dict[str, str]:
    """Read Klipper's NAME=VALUE parameters, names in upper case."""
    return {m[1].upper(): m[2].strip("\"'") for m in _PARAMETER.finditer(body)}


def number(text: str | None) -> float | None:
    """Read a parameter's number; ``None`` where it is absent or something else."""
    if text is None or not re.fullmatch(_NUMBER, text.strip()):
        return None
    value = float(text)
    return value if abs(value) <= MAX_VALUE else None


def _token(body: str, position: int) -> str:
    """Return the whole blank-separated token around a position, for a message."""
    begin = body.rfind(" ", 0, position + 1) + 1
    return body[begin:].strip().split()[0][:40]
