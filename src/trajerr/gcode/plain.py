"""Vectorised scan of plain motion lines: ``G1 X1.2 Y3 E.4 F1800`` and nothing odder.

Slicers write nine lines in ten this way. Every line that is not understood here with
certainty is left to the careful reading of :mod:`trajerr.gcode.commands`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trajerr.arrays import Bools, Bytes, Floats, Ints

COLUMNS = "XYZEFIJRP"
CHUNK_BYTES = 1 << 21  # bounds the scratch memory of one scan
_MAX_DIGITS = 15  # more could lose the last bit of the float, so read them one by one
_POWERS = 10.0 ** np.arange(_MAX_DIGITS + 1)


def _byte_set(characters: str) -> Bools:
    table = np.zeros(256, dtype=bool)
    table[[ord(c) for c in characters]] = True
    return table


_LETTER = _byte_set(COLUMNS + COLUMNS.lower() + "Gg")
_DIGIT = _byte_set("0123456789")
_SIGN = _byte_set("+-")
_NUMBER = _DIGIT | _SIGN | _byte_set(".")
_BLANK = _byte_set(" \t\r")
_FOREIGN = ~(_LETTER | _NUMBER | _BLANK | _byte_set("\n"))
# What each byte is, in bits, so that one look at a table tells all of it.
_KIND = np.packbits([_FOREIGN, _BLANK, _NUMBER, _SIGN, _LETTER], axis=0, bitorder="little")[0]
_COLUMN = np.full(256, -1)
for _index, _letter in enumerate(COLUMNS):
    _COLUMN[[ord(_letter), ord(_letter.lower())]] = _index


@dataclass(frozen=True)
class PlainMotion:
    """Motion commands as parallel arrays of length n; NaN where a word is absent."""

    line: Ints  # (n,) index of the line
    motion: NDArray[np.int8]  # (n,) 0..3 for G0..G3
    words: Floats  # (n, 9) X Y Z E F I J R P as written


def scan(text: bytes, line_starts: Ints) -> PlainMotion:
    """Return the plain motion lines of a text.

    Parameters
    ----------
    text : bytes
        The whole file.
    line_starts : (L+1,) int
        Byte offset of each line, and of the end.
    """
    data = np.frombuffer(text, dtype=np.uint8)
    parts = []
    first = 0
    while first < len(line_starts) - 1:
        limit = line_starts[first] + CHUNK_BYTES
        last = max(first + 1, int(np.searchsorted(line_starts, limit, side="right")) - 1)
        origin = line_starts[first]
        chunk = data[origin : line_starts[last]]
        parts.append(_scan_chunk(chunk, line_starts[first : last + 1] - origin, first))
        first = last
    return PlainMotion(
        np.concatenate([p.line for p in parts]),
        np.concatenate([p.motion for p in parts]),
        np.concatenate([p.words for p in parts]),
    )


def _scan_chunk(data: Bytes, bounds: Ints, first_line: int) -> PlainMotion:
    starts, ends = bounds[:-1], _code_ends(data, bounds)
    plain = _plain_lines(data, starts, ends)
    position, row = _word_positions(data, bounds, ends, plain)
    value, understood = _numbers(data, position)
    letter = data[position]
    is_command = (letter == ord("G")) | (letter == ord("g"))
    n_lines = len(starts)
    command = np.full(n_lines, -1.0)
    command[row[is_command]] = value[is_command]
    words = np.full((n_lines, len(COLUMNS)), np.nan)
    words[row[~is_command], _COLUMN[letter[~is_command]]] = value[~is_command]
    plain[row[~understood]] = False
    # A letter that stands twice has overwritten itself: the careful reading decides.
    n_words = np.bincount(row, minlength=n_lines)
    plain &= n_words == 1 + np.isfinite(words).sum(axis=1)
    plain &= np.isin(command, (0, 1, 2, 3))
    chosen = np.flatnonzero(plain)
    return PlainMotion(chosen + first_line, command[chosen].astype(np.int8), words[chosen])


def _code_ends(data: Bytes, bounds: Ints) -> Ints:
    """Return where the code of each line ends: at its comment or at its last byte."""
    semicolons = np.append(np.flatnonzero(data == ord(";")), len(data))
    following = semicolons[np.searchsorted(semicolons, bounds[:-1])]
    return np.asarray(np.minimum(following, bounds[1:]))


def _plain_lines(data: Bytes, starts: Ints, ends: Ints) -> Bools:
    """Return which lines begin with G and hold nothing but letters and tight numbers."""
    plain = (data[starts] | 0x20) == ord("g")
    kind = _KIND[data]
    odd, blank, number, sign, letter = ((kind & (1 << bit)) > 0 for bit in range(5))
    odd[1:] |= (blank[:-1] & number[1:]) | (sign[1:] & ~letter[:-1])
    odd[1:] |= (data[1:] == ord("e")) & number[:-1]  # perhaps an exponent: look closer
    odd[2:] |= (data[1:-1] == ord("E")) & number[:-2] & sign[2:]
    positions = np.flatnonzero(odd)
    clean = np.searchsorted(positions, starts) == np.searchsorted(positions, ends)
    return np.asarray(plain & clean)


def _word_positions(data: Bytes, bounds: Ints, ends: Ints, plain: Bools) -> tuple[Ints, Ints]:
    """Return the offset of each letter of the plain lines' code, and its line."""
    letters = np.flatnonzero(_LETTER[data])
    row = np.repeat(np.arange(len(ends)), np.diff(np.searchsorted(letters, bounds)))
    kept = plain[row] & (letters < ends[row])
    return letters[kept], row[kept]


def _numbers(data: Bytes, position: Ints) -> tuple[Floats, Bools]:
    """Read the number behind each letter; return values and which were well formed.

    Digits gather in an integer below 10^15 that is then divided by a power of ten: both
    are exact floats, so the quotient is the correctly rounded value, as ``float`` gives.
    """
    n = len(position)
    padded = np.append(data, np.zeros(_MAX_DIGITS + 4, dtype=np.uint8))
    mantissa = np.zeros(n, dtype=np.int64)
    digits = np.zeros(n, dtype=np.int8)
    decimals = np.zeros(n, dtype=np.int8)
    dots = np.zeros(n, dtype=np.int8)
    active = np.ones(n, dtype=bool)
    negative = padded[position + 1] == ord("-")
    offset = position + 1 + _SIGN[padded[position + 1]]
    for step in range(_MAX_DIGITS + 2):
        byte = padded[offset + step]
        is_digit = active & _DIGIT[byte]
        is_dot = active & (byte == ord("."))
        active = is_digit | is_dot
        if not active.any():
            break
        mantissa = np.where(is_digit, mantissa * 10 + (byte - np.uint8(48)), mantissa)
        digits += is_digit
        decimals += is_digit & (dots > 0)
        dots += is_dot
    understood = ~active & (digits > 0) & (digits <= _MAX_DIGITS) & (dots <= 1)
    value = mantissa / _POWERS[np.minimum(decimals, _MAX_DIGITS)]
    return np.where(negative, 0.0 - value, value), understood
