"""What a MATLAB 5 file claims to hold, checked before anything is allocated for it.

Knows the layout of elements (MAT-File Format, MathWorks, R2019b) as far as sizes and types go:
a hundred bytes can claim an array of 2·10⁹ cells, or unpack to gigabytes. SciPy believes both,
and looks types up in a table whose end it does not check.
"""

import math
import struct
import zlib
from collections.abc import Iterator

LARGEST_BYTES = 1 << 29  # of a file's content: 1.8 million samples of 37 columns
DEEPEST = 32  # structs and cells within each other
HEADER_BYTES = 128
MATRIX, COMPRESSED = 14, 15  # types of elements
PLAIN = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16, 17, 18})  # those of numbers and text
CELL, STRUCT, OBJECT, SPARSE, FUNCTION, OPAQUE = 1, 2, 3, 5, 16, 17  # classes of arrays
TAG_BYTES = 8


def unpacked(content: bytes) -> bytes:
    """Return a MATLAB 5 file with its compressed elements unpacked.

    Raises
    ------
    ValueError
        An array claims more elements than it has bytes, an element reaches beyond its end or
        is of a type that there is not, structs are nested too deep, or the content is too
        large.
    zlib.error
        A compressed element is damaged.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:HEADER_BYTES])
    if order is None:
        raise ValueError("the header has no byte order")
    parts = [content[:HEADER_BYTES]]
    room = LARGEST_BYTES
    for kind, whole, body in _elements(memoryview(content)[HEADER_BYTES:], order, padded=False):
        part = _decompress(body, room) if kind == COMPRESSED else bytes(whole)
        room -= len(part)
        for inner, _, matrix in _elements(memoryview(part), order, padded=False):
            if inner == MATRIX:
                _check_matrix(matrix, order)
        parts.append(part)
    return b"".join(parts)


def _decompress(body: memoryview, room: int) -> bytes:
    stream = zlib.decompressobj()
    part = stream.decompress(body, room)
    if stream.unconsumed_tail or len(part) >= room:
        raise ValueError(f"more than {LARGEST_BYTES >> 20} MiB when unpacked")
    return part


def _elements(
    data: memoryview, order: str, *, padded: bool = True
) -> Iterator[tuple[int, memoryview, memoryview]]:
    """Yield type, whole element and content of elements that follow each other."""
    position = 0
    while position + TAG_BYTES <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, position)
        begin = position + TAG_BYTES
        if kind >> 16:  # a small element: size and type share a word, four bytes of content
            kind, size, begin = kind & 0xFFFF, kind >> 16, position + 4
            following = position + TAG_BYTES
        else:
            following = begin + size + (-size % TAG_BYTES if padded else 0)
        if begin + size > len(data):
            raise ValueError(f"an element of {size} bytes where {len(data) - begin} are left")
        yield kind, data[position:following], data[begin : begin + size]
        position = following


def _check_matrix(matrix: memoryview, order: str) -> None:
    """Refuse an array, or one within it, that claims more elements than it has bytes."""
    waiting = [(matrix, 0)]
    while waiting:
        body, depth = waiting.pop()
        if depth > DEEPEST:
            raise ValueError(f"structs and cells more than {DEEPEST} deep")
        waiting += [(child, depth + 1) for child in _children(body, order)]


def _children(body: memoryview, order: str) -> list[memoryview]:
    """Return the arrays within a cell, struct, object or function."""
    parts = _elements(body, order)
    flags = next(parts, None)
    if flags is None:
        return []  # an empty field
    kind = struct.unpack_from(f"{order}I", flags[2])[0] & 0xFF
    if kind == OPAQUE:
        return [content for inner, _, content in parts if inner == MATRIX]
    shape = next(parts, (0, b"", b""))[2]
    count = math.prod(struct.unpack(f"{order}{len(shape) // 4}i", shape))
    next(parts, None)  # the name
    if kind in (STRUCT, OBJECT):
        count *= max(1, _field_count(parts, order, has_class=kind == OBJECT))
    least = TAG_BYTES if kind in (CELL, STRUCT, OBJECT) else 1
    if kind != SPARSE and not 0 <= count * least <= max(len(body), TAG_BYTES):
        raise ValueError(f"an array of {count} elements in {len(body)} bytes")
    if kind not in (CELL, STRUCT, OBJECT, FUNCTION):
        for inner, _, _ in parts:
            if inner not in PLAIN:
                raise ValueError(f"numbers or text of the type {inner}")
        return []
    return [content for inner, _, content in parts if inner == MATRIX]


def _field_count(
    parts: Iterator[tuple[int, memoryview, memoryview]], order: str, *, has_class: bool
) -> int:
    if has_class:
        next(parts, None)
    length, names = next(parts, None), next(parts, None)
    if length is None or names is None:
        raise ValueError("a struct without names of fields")
    (bytes_a_name,) = struct.unpack_from(f"{order}i", length[2])
    return len(names[2]) // max(1, int(bytes_a_name))
