"""Layer numbers: 1 is the first layer, what comes before it is 0."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trajerr.arrays import Bools, Floats, Ints

SAME_HEIGHT = 1e-4  # mm; slicers print heights to 1 µm


@dataclass(frozen=True)
class Marks:
    """Where a slicer says that layers begin."""

    lines: Ints  # (n,) in order; none where it says nothing
    may_lack: bool  # whether layers may begin without a mark


def number_layers(
    line: Ints, prints: Bools, start: Floats, end: Floats, sweep: Floats, marks: Marks
) -> NDArray[np.int32]:
    """Give each move of a program the number of its layer.

    Parameters
    ----------
    line : (M,) int
        Source lines of the moves.
    prints : (M,) bool
        Which moves lay material down.
    start, end : (M, 4) float
        Ends of the moves, mm.
    sweep : (M,) float
        Angle of arcs, rad.
    marks : Marks
        Not heeded where layers lack theirs.

    Returns
    -------
    (M,) int32

    Notes
    -----
    With marks, a layer is a stretch between marks in which something is printed; stretches
    without printing belong to the layer before them. Numbers therefore run from 1 without
    gaps, over rafts (Cura's negative layers) and over objects printed one after the other.
    Without marks, a layer begins at the first printing move in a plane of another height,
    so hops never count; where material is laid down while rising (spiral vases), at each
    full turn of the direction of travel, since any simple closed loop turns it by 2π. What
    is laid down at first, higher than what follows, primes the nozzle and is no layer. Where
    nothing is printed at all, each stretch between marks that moves is a layer.
    """
    if not prints.any():
        return _stretches(line, marks.lines)
    printing = np.flatnonzero(prints)
    marked = len(marks.lines) > 0
    if marked and marks.may_lack:
        marked = _all_marked(line[printing], start[printing, 2], end[printing, 2], marks.lines)
    if marked:
        begins = _by_marks(line[printing], marks.lines)
    else:
        begins = _by_height(start[printing], end[printing], sweep[printing])
    first = np.zeros(len(line), dtype=np.int32)
    if marked:
        # A layer holds the moves from its mark on, the way to its first line included.
        opened = _mark_of(line[printing[begins]], marks.lines)
        np.add.at(first, np.searchsorted(line, opened), 1)
    else:
        first[printing[begins]] = 1
    return np.cumsum(first, dtype=np.int32)


def _stretches(line: Ints, marks: Ints) -> NDArray[np.int32]:
    """Return for each move how many stretches between marks have moved up to it."""
    stretch = np.searchsorted(marks, line, side="right")
    moved = np.unique(stretch[stretch > 0])
    return np.searchsorted(moved, stretch, side="right").astype(np.int32)


def _mark_of(lines: Ints, marks: Ints) -> Ints:
    return np.asarray(marks[np.searchsorted(marks, lines, side="right") - 1])


def _by_marks(lines: Ints, marks: Ints) -> Bools:
    """Return which printing moves are the first after a mark."""
    stretch = np.searchsorted(marks, lines, side="right")
    return np.diff(stretch, prepend=0) > 0


def _all_marked(lines: Ints, start_z: Floats, end_z: Floats, marks: Ints) -> bool:
    """Whether a mark stands between any two planes that are printed one after the other."""
    stretch = np.searchsorted(marks, lines, side="right")
    flat = ~_rises(start_z, end_z)
    unmarked = flat[1:] & flat[:-1] & (np.diff(stretch) == 0) & (stretch[1:] > 0)
    return not np.any(unmarked & (np.abs(np.diff(end_z)) > SAME_HEIGHT))


def _rises(start_z: Floats, end_z: Floats) -> Bools:
    return np.asarray(np.abs(end_z - start_z) > SAME_HEIGHT / 10)


def _by_height(start: Floats, end: Floats, sweep: Floats) -> Bools:
    """Return which printing moves begin a layer, from their geometry alone."""
    z = end[:, 2]
    rising = _rises(start[:, 2], z)
    flat = np.flatnonzero(~rising)
    begins = np.zeros(len(z), dtype=bool)
    before = np.concatenate([[np.nan], z[flat]])[:-1]
    begins[flat] = np.abs(z[flat] - before) > SAME_HEIGHT
    first = _first_layer(z, np.union1d(flat[:1], np.flatnonzero(begins)))
    begins |= _full_turns(start, end, sweep, rising)
    begins[:first] = False
    begins[first] = True
    return begins


def _first_layer(z: Floats, planes: Ints) -> int:
    """Return the printing move at which the first layer begins: no plane before it is lower.

    Parameters
    ----------
    z : (M,) float
        Heights of the printing moves, mm.
    planes : (n,) int
        Those that begin another plane.
    """
    falls = np.append(np.diff(z[planes]) < 0, False)
    return int(planes[np.argmin(falls)]) if falls[0] else 0


def _full_turns(start: Floats, end: Floats, sweep: Floats, rising: Bools) -> Bools:
    """Return at which rising moves the direction of travel completes another turn."""
    begins = np.zeros(len(rising), dtype=bool)
    spiral = np.flatnonzero(rising)
    if not len(spiral):
        return begins
    step = end[spiral, :2] - start[spiral, :2]
    heading = np.arctan2(step[:, 1], step[:, 0])
    arriving, leaving = heading - sweep[spiral] / 2, heading + sweep[spiral] / 2
    corner = np.append(0.0, arriving[1:] - leaving[:-1])
    corner = np.where(np.diff(spiral, prepend=spiral[0]) > 1, 0.0, corner)
    total = np.cumsum((corner + np.pi) % (2 * np.pi) - np.pi + sweep[spiral])
    furthest = np.maximum.accumulate(np.abs(total))
    begins[spiral] = np.diff(np.floor((furthest + 1e-6) / (2 * np.pi)), prepend=0.0) > 0
    return begins


def layer_heights(layer: NDArray[np.int32], prints: Bools, z: Floats) -> Floats:
    """Return z by layer number, shape (layers+1,) mm: the median of what is printed in it.

    Where nothing is printed at all, the median of what moves in it.
    """
    heights = np.full(int(layer.max(initial=0)) + 1, np.nan)
    chosen = (prints | (not prints.any())) & (layer > 0)
    order = np.argsort(layer[chosen], kind="stable")
    number, height = layer[chosen][order], z[chosen][order]
    bounds = np.searchsorted(number, np.arange(len(heights) + 1))
    for index in range(1, len(heights)):
        if bounds[index + 1] > bounds[index]:
            heights[index] = np.median(height[bounds[index] : bounds[index + 1]])
    return heights
