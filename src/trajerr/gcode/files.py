"""Files before any G-code is understood: reading, lines, and what is no G-code at all."""

import sys
from pathlib import Path

import numpy as np

from trajerr.arrays import Ints
from trajerr.errors import GcodeError
from trajerr.gcode.containers.kinds import Container, unpack

_SAMPLE_BYTES = 1 << 16
_FOREIGN_SHARE = 0.1  # of control bytes, beyond which a file is no text
_FOREIGN_BYTES = 8  # a few are but stray characters in a comment
_MAGIC = {
    b"GCDE": "binary G-code (.bgcode), expected text: switch binary G-code off in the slicer",
    b"xgcode ": "FlashForge's container (.gx), expected text: have the slicer save .g",
    b"PK\x03\x04": "a zip archive (.3mf, .ufp?), expected the G-code text inside it: unzip it",
    b"\x1f\x8b": "a gzip archive, expected the G-code text inside it: unzip it",
    b"\xff\xfe": "UTF-16 text, expected ASCII or UTF-8",
    b"\xfe\xff": "UTF-16 text, expected ASCII or UTF-8",
    b"solid ": "an STL model, expected the G-code that a slicer makes of it",
}
_MAKERBOT = "MakerBot's own format, expected G-code: slice it as G-code for another machine"
_MAKERBOT_ARCHIVE = b".jsontoolpath"  # a zip like others, but without any G-code inside
_MAKERBOT_SUFFIXES = (".x3g", ".s3g")
STANDARD_INPUT = Path("-")


def unpacked(content: bytes, where: str) -> tuple[Container, bytes]:
    """Return what a file's text is packed in, and the text.

    Raises
    ------
    GcodeError
        When its container is damaged or holds no G-code.
    """
    _refuse_makerbots(content, where)
    return unpack(content, where)


def read_bytes(path: Path) -> bytes:
    """Return a file's content; that of standard input for ``-``.

    Raises
    ------
    GcodeError
        When there is no readable file.
    """
    try:
        return sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes()
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
    _refuse_makerbots(text, where)
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


def _refuse_makerbots(content: bytes, where: str) -> None:
    """Refuse what MakerBot's machines take in place of G-code."""
    is_archive = content.startswith(b"PK") and _MAKERBOT_ARCHIVE in content
    if is_archive or (where.lower().endswith(_MAKERBOT_SUFFIXES) and b"\0" in content):
        raise GcodeError(f"{where}:1: {_MAKERBOT}")


def find_lines(text: bytes) -> Ints:
    """Return the byte offset of each line and of the end, shape (L+1,).

    Lines end in LF or CRLF; a lone CR ends them only in a file that has no LF at all.
    """
    ending = ord("\n") if b"\n" in text else ord("\r")
    ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ending) + 1
    if not len(ends) or ends[-1] != len(text):
        ends = np.append(ends, len(text))
    return np.concatenate([[0], ends]).astype(np.int64)
