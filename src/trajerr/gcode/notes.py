"""Slic3r's verbose G-code: a note behind the code of each line says what the line is for.

``G1 X81.2 Y92.6 E5.01 ; perimeter``. Slic3r itself says no more than that; of its descendants
PrusaSlicer and SuperSlicer write such notes beside ``;TYPE:`` comments, which tell more and
then count alone.

Slic3r 1.3 calls all walls "perimeter". They are read as outer walls, since the outermost of
them, which a person sees, must be among those. Older ones name the "external perimeter"; in
their files the others are inner walls. "infill" stands for solid and top infill and for
filled gaps, too. A line that prints and whose note is none of these has an unknown feature.
"""

import re

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from trajerr.arrays import Bytes, Ints
from trajerr.gcode.dialects import CommentReader
from trajerr.gcode.program import FeatureType as F

_WRITERS = ("Slic3r", "PrusaSlicer", "SuperSlicer")
_OUTER = ("external perimeter", "external small perimeter")
_ANY_WALL = ("perimeter", "small perimeter")
_FEATURES = {
    **dict.fromkeys(_OUTER, F.OUTER_WALL),
    **dict.fromkeys(_ANY_WALL, F.INNER_WALL),
    "infill": F.INFILL,
    "fill": F.INFILL,
    "solid infill": F.SOLID_INFILL,
    "top solid infill": F.TOP_SURFACE,
    "gap fill": F.GAP_FILL,
    "skirt": F.SKIRT,
    "brim": F.SKIRT,
    "support material": F.SUPPORT,
    "support material interface": F.SUPPORT_INTERFACE,
    "wipe tower": F.PRIME_TOWER,
    "ironing": F.IRONING,
}
_BRIDGE = " (bridge)"
_BRIDGES = {
    name + _BRIDGE: F.OVERHANG_WALL if "perimeter" in name else F.BRIDGE for name in _FEATURES
}
_PRINTS = re.compile(rb"[XY][^;]*E *\+?[.\d]", re.IGNORECASE)
_LAYER = "move to next layer ("
_FIRST_LAYER = "move to next layer (0)"
# Two notes that begin with the same bytes and go on count as one; those above are shorter.
_COMPARED = 40
_CHUNK_LINES = 1 << 16  # bounds the scratch memory of the comparison


def has_notes(generator: str, comments: CommentReader) -> bool:
    """Whether notes are all that may tell a file's features, once its comments are read."""
    return generator.startswith(_WRITERS) and not comments.names_features


def read_notes(text: bytes, line_starts: Ints, comments: CommentReader) -> bool:
    """Read features and layer marks from notes; return whether any tells a feature.

    Parameters
    ----------
    text : bytes
        The whole file.
    line_starts : (L+1,) int
        Byte offset of each line, and of the end.
    comments : CommentReader
        Takes what is found.
    """
    found = [
        (line, note if _is_known(note) else "")
        for line, note in _changes(text, line_starts)
        if _is_known(note) or _PRINTS.search(text, line_starts[line], line_starts[line + 1])
    ]
    tells_outer = any(note.startswith(_OUTER) for _, note in found)
    marks = [(line, note) for line, note in found if note.startswith(_LAYER)]
    for line, note in found:
        if not note.startswith(_LAYER):
            comments.feature.change(line, int(_feature(note, tells_outer)))
    # Slic3r notes no layer that it reaches lifted: where the first lacks, others may as well.
    if marks and marks[0][1] == _FIRST_LAYER:
        comments.marks["note"] += [line for line, _ in marks]
    return any(note and not note.startswith(_LAYER) for _, note in found)


def _is_known(note: str) -> bool:
    return note in _FEATURES or note in _BRIDGES or note.startswith(_LAYER)


def _feature(note: str, tells_outer: bool) -> F:
    if note in _ANY_WALL and not tells_outer:
        return F.OUTER_WALL
    return _FEATURES.get(note, _BRIDGES.get(note, F.UNKNOWN))


def _changes(text: bytes, line_starts: Ints) -> list[tuple[int, str]]:
    """Return each note that differs from the one before it, and its line."""
    padded = np.frombuffer(text + bytes(_COMPARED), dtype=np.uint8)
    semicolon = np.flatnonzero(padded == ord(";"))
    line = np.searchsorted(line_starts, semicolon, side="right") - 1
    behind = (np.diff(line, prepend=-1) > 0) & (semicolon > line_starts[line])
    line, begin = line[behind], semicolon[behind] + 1
    end = line_starts[line + 1]
    index = np.flatnonzero(_differs(padded, begin, end))
    bounds = zip(line[index].tolist(), begin[index].tolist(), end[index].tolist(), strict=True)
    return [(k, text[a:b].decode("utf-8", "replace").strip()) for k, a, b in bounds]


def _differs(padded: Bytes, begin: Ints, end: Ints) -> NDArray[np.bool_]:
    """Return which stretches of a text differ from the stretch before, as far as compared."""
    windows = sliding_window_view(padded, _COMPARED)
    differs = np.ones(len(begin), dtype=bool)
    for first in range(0, len(begin), _CHUNK_LINES):
        part = slice(max(first - 1, 0), first + _CHUNK_LINES)
        inside = np.arange(_COMPARED) < (end[part] - begin[part])[:, None]
        heads = np.ascontiguousarray(windows[begin[part]] * inside).view(np.uint64)
        differs[part][1:] = np.any(heads[1:] != heads[:-1], axis=1)
    return differs
