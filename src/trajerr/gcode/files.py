"""Files before any G-code is understood: reading, lines, and what is no G-code at all."""

import re
from pathlib import Path

import numpy as np

from trajerr.errors import GcodeError
from trajerr.gcode.program import Ints

_SAMPLE_BYTES = 1 << 16
_FOREIGN_SHARE = 0.1  # of control bytes, beyond which a file is no text
_FOREIGN_BYTES = 8  # a few are but stray characters in a comment
_MAGIC = {
    b"GCDE": "binary G-code (.bgcode), expected text: switch binary G-code off in the slicer",
    b"PK\x03\x04": "a zip archive (.3mf?), expected the G-code text inside it",
    b"\x1f\x8b": "a gzip archive, expected the G-code text inside it",
    b"\xff\xfe": "UTF-16 text, expected ASCII or UTF-8",
    b"\xfe\xff": "UTF-16 text, expected ASCII or UTF-8",
    b"solid ": "an STL model, expected the G-code that a slicer makes of it",
}
_SETTINGS = (b"\n; prusaslicer_config = end", b"_config = end", b"\n; layer_height = ")
_ENDINGS = {
    "PrusaSlicer": _SETTINGS,
    "SuperSlicer": _SETTINGS,
    "Slic3r": (b"\n; filament used", b"\n; layer_height = "),
    "Simplify3D": (b"\n; layer end", b"\n; Build Summary"),
}
_BLOCKS = (
    (b"; EXECUTABLE_BLOCK_START", b"; EXECUTABLE_BLOCK_END"),
    (b"; CONFIG_BLOCK_START", b"; CONFIG_BLOCK_END"),
    (b"; prusaslicer_config = begin", b"; prusaslicer_config = end"),
)


def read_bytes(path: Path) -> bytes:
    """Return a file's content.

    Raises
    ------
    GcodeError
        When there is no readable file.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise GcodeError(f"{path}: no such file, expected a G-code file") from None
    except IsADirectoryError:
        raise GcodeError(f"{path}: is a folder, expected a G-code file") from None
    except OSError as error:
        raise GcodeError(f"{path}: cannot be read: {error.strerror}") from None


def check_content(text: bytes, where: str) -> None:
    """Refuse what is empty or no text.

    Raises
    ------
    GcodeError
        With the line of the first offending byte.
    """
    if not text.strip():
        raise GcodeError(f"{where}:1: the file is empty, expected G-code")
    for magic, message in _MAGIC.items():
        if text.startswith(magic):
            raise GcodeError(f"{where}:1: {message}")
    zero = text.find(b"\0")
    if zero >= 0:
        line = text.count(b"\n", 0, zero) + 1
        raise GcodeError(f"{where}:{line}: binary data (a zero byte), expected text")
    sample = np.frombuffer(text[:_SAMPLE_BYTES], dtype=np.uint8)
    control = (sample < 32) & ~np.isin(sample, (9, 10, 12, 13))
    if control.sum() > max(_FOREIGN_SHARE * len(sample), _FOREIGN_BYTES):
        line = text.count(b"\n", 0, int(np.argmax(control))) + 1
        raise GcodeError(f"{where}:{line}: binary data, expected text")


def find_lines(text: bytes) -> Ints:
    """Return the byte offset of each line and of the end, shape (L+1,).

    Lines end in LF or CRLF; a lone CR ends them only in a file that has no LF at all.
    """
    ending = ord("\n") if b"\n" in text else ord("\r")
    ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ending) + 1
    if not len(ends) or ends[-1] != len(text):
        ends = np.append(ends, len(text))
    return np.concatenate([[0], ends]).astype(np.int64)


def check_complete(text: bytes, generator: str, where: str, n_lines: int) -> None:
    """Refuse a file that breaks off before what its slicer always writes at the end.

    A merely unterminated last line is no fault, and neither is a cut between two lines:
    both must come together, and the slicer's ending be missing.

    Raises
    ------
    GcodeError
        With the last line's number.
    """
    if text.endswith((b"\n", b"\r")):
        return
    missing = _missing_ending(text, generator.partition(" ")[0])
    if missing:
        raise GcodeError(f"{where}:{n_lines}: the file breaks off here, expected {missing}")


def _missing_ending(text: bytes, slicer: str) -> str:
    for begin, end in _BLOCKS:
        if begin in text and end not in text:
            return f"{end.decode()!r} after {begin.decode()!r}"
    promised = re.search(rb"^;LAYER_COUNT:(\d{1,9})\b", text, re.MULTILINE)
    found = len(re.findall(rb"^;LAYER:", text, re.MULTILINE)) if promised else 0
    if promised and found < int(promised[1]):
        return f"{int(promised[1])} layers as announced, found {found}"
    endings = _ENDINGS.get(slicer, ())
    if endings and not any(ending in text for ending in endings):
        return f"{endings[0].decode().strip()!r} as {slicer} ends its files"
    return ""
