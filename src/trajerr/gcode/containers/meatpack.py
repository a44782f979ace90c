"""MeatPack, as binary G-code files hold it: two characters of G-code in a byte.

Table and commands: S. Mudge, *Prusa-Firmware-MeatPack*, ``Firmware/meatpack.cpp`` (2021). What
readers of binary G-code make of the stream, blanks between words above all: Prusa's libbgcode,
``src/LibBGCode/binarize/meatpack.cpp`` (2024).
"""

import re

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

_TABLE = b"0123456789.E\nGX"  # by nibble, blanks left out: 0b1011 is E then, a blank otherwise
_BLANK = 11
_LITERAL = 15  # the character follows as a whole byte
_NEWLINE = 12
_COMMAND = re.compile(rb"\xff\xff(.)", re.DOTALL)
_PACK, _PLAIN, _RESET, _NO_BLANKS, _BLANKS = 251, 250, 249, 247, 246
_G_LINE = re.compile(rb"^G[^\n]*", re.MULTILINE)
_WORD = re.compile(rb"(?<=[^ ])(?=[XYZEFIJRSGPWHCA])")  # where a reader sees another word begin
_RUNS = re.compile(rb"(?:;[^\n]*\n)+|(?:(?!;)[^\n]*\n)+")  # of comment lines, and of others


def _length(byte: int) -> int:
    """Return how many bytes a pair of characters takes that begins with this one."""
    low, high = byte & 15, byte >> 4
    return 1 + (low == _LITERAL) + (high == _LITERAL and low != _NEWLINE)


_LENGTHS = [_length(byte) for byte in range(256)]


def decode(stream: bytes) -> bytes:
    """Return the text of a stream as Prusa's reader shows it.

    Empty lines are lost, and words of G commands are parted by blanks.
    """
    is_packed, no_blanks, parts = False, False, list[bytes]()
    found = list(_COMMAND.finditer(stream))
    bounds = [0, *(match.end() for match in found)]
    ends = [*(match.start() for match in found), len(stream)]
    for index, (begin, end) in enumerate(zip(bounds, ends, strict=True)):
        part = stream[begin:end]
        parts.append(_unpacked(part, no_blanks) if is_packed else part)
        if index < len(found):
            command = found[index][1][0]
            is_packed = {_PACK: True, _PLAIN: False, _RESET: False}.get(command, is_packed)
            no_blanks = {_NO_BLANKS: True, _BLANKS: False}.get(command, no_blanks)
    return _parted(re.sub(rb"\n{2,}", b"\n", b"".join(parts)))


def encode(text: bytes) -> bytes:
    """Return whole lines as a stream; comment lines stand in it as they are.

    What is not told apart from something else in a stream is lost; :func:`decode` shows whether
    that was so.

    Notes
    -----
    Blanks are left out as libbgcode leaves them out, but where the text would be longer than twice
    its stream: libbgcode's reader (2024) then loses a character where its memory grows.
    """
    short = _stream(text, keep_blanks=False)
    return short if len(text) < 2 * len(short) else _stream(text, keep_blanks=True)


def _stream(text: bytes, *, keep_blanks: bool) -> bytes:
    parts, is_packed = [_command(_PACK), _command(_NO_BLANKS)], True
    for match in _RUNS.finditer(text):
        run = match[0]
        if run.startswith(b";") == is_packed:
            is_packed = not is_packed
            parts.append(_command(_PACK if is_packed else _PLAIN))
        parts.append(_packed(run, keep_blanks) if is_packed else run)
    return b"".join(parts)


def _command(number: int) -> bytes:
    return bytes((0xFF, 0xFF, number))


def _parted(text: bytes) -> bytes:
    return _G_LINE.sub(lambda line: _WORD.sub(b" ", line[0]), text)


def _unpacked(stream: bytes, no_blanks: bool) -> bytes:
    """Return the characters of packed bytes, of which some are followed by whole ones."""
    data = np.frombuffer(stream, dtype=np.uint8)
    starts = _starts(stream)
    if not len(starts):
        return b""
    table = np.frombuffer(_TABLE + b"\0", dtype=np.uint8).copy()
    if not no_blanks:
        table[_BLANK] = ord(" ")
    nibbles = np.stack([data[starts] & 15, data[starts] >> 4], axis=1)
    characters = table[nibbles]
    ended = nibbles[:, 0] == _NEWLINE  # the other half of the byte is nothing then
    padded = np.concatenate([data, np.zeros(2, np.uint8)])
    first, second = nibbles[:, 0] == _LITERAL, (nibbles[:, 1] == _LITERAL) & ~ended
    characters[first, 0] = padded[starts[first] + 1]
    after = starts + 1 + first
    characters[second, 1] = padded[after[second]]
    kept = np.stack([np.ones(len(starts), bool), ~ended], axis=1)
    return bytes(characters[kept].tobytes())


def _starts(stream: bytes) -> NDArray[np.int64]:
    """Return where each pair of characters begins."""
    starts, at = list[int](), 0
    while at < len(stream):
        starts.append(at)
        at += _LENGTHS[stream[at]]
    return np.array(starts, dtype=np.int64)


def _packed(lines: bytes, keep_blanks: bool) -> bytes:
    """Return lines that are no comments, each packed for itself."""
    if not keep_blanks:
        lines = _G_LINE.sub(lambda line: _without_blanks(line[0]), lines)
    even = [line + b"\n" * (len(line) % 2) for line in lines.splitlines(keepends=True)]
    return _pairs(np.frombuffer(b"".join(even), dtype=np.uint8).reshape(-1, 2))


def _without_blanks(line: bytes) -> bytes:
    """Return a G command without the blanks that readers put back."""
    short = line.replace(b" ", b"")
    return short if _WORD.sub(b" ", short) == line else line


def _pairs(pairs: Bytes) -> bytes:
    """Return (N, 2) characters as a byte for each two, whole characters behind it if need be."""
    codes = np.full(256, _LITERAL, dtype=np.uint8)
    codes[np.frombuffer(_TABLE, dtype=np.uint8)] = np.arange(len(_TABLE))
    nibbles = codes[pairs]
    columns = np.empty((len(pairs), 3), dtype=np.uint8)
    columns[:, 0] = nibbles[:, 0] | nibbles[:, 1] << 4
    columns[:, 1:] = pairs
    kept = np.ones_like(columns, dtype=bool)
    kept[:, 1:] = nibbles == _LITERAL
    return bytes(columns[kept].tobytes())
