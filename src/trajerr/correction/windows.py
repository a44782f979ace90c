"""Which stretches of a print are worked on together, so that none of them fills the memory.

Knows times only. A layer is one window, as a rule. One that lasts for many minutes is parted
where no correction acts, and leaves out what lies between; a wall without an end, as a vase is
one, is parted where it is. Each window is entered by a lead-in and left by a lead-out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trajerr.arrays import Floats

LONGEST = 1 << 16  # samples of a window, without its lead-in: five minutes at 200 Hz
TOGETHER = 1 << 18  # samples of windows that are predicted together, each as long as the longest
IDLE_S = 10.0  # without a correction, after which a long layer's next window begins


@dataclass(frozen=True)
class Window:
    """A stretch of one layer in which samples and pieces' ends may move."""

    layer: int
    begin: float  # s of the nominal plan
    end: float  # s


def part(layer: int, span: tuple[float, float], acting: Floats, rate: float) -> list[Window]:
    """Return the windows of a layer, in order.

    Parameters
    ----------
    layer
        Its number.
    span
        When it begins and ends, s.
    acting : (S, 2)
        The intervals, in s, outside of which the correction is zero.
    rate
        Of samples, Hz.
    """
    longest = LONGEST / rate
    inside = np.clip(acting, *span)
    inside = inside[inside[:, 1] > inside[:, 0]]
    if span[1] - span[0] <= longest or not len(inside):
        return [Window(layer, *span)]
    windows = []
    for begin, end in _groups(inside, longest):
        edges = np.linspace(begin, end, int(np.ceil((end - begin) / longest)) + 1)
        pairs = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        windows += [Window(layer, *pair) for pair in pairs]
    return windows


def batches(lengths: Sequence[int], most: int) -> Iterator[slice]:
    """Yield which windows of given lengths, in samples, are worked on together.

    Parameters
    ----------
    lengths
        Of each window with its lead-in and lead-out.
    most
        How many at a time.
    """
    first = longest = 0
    for i, length in enumerate(lengths):
        longest = max(longest, length)
        if i > first and (i - first == most or longest * (i - first + 1) > TOGETHER):
            yield slice(first, i)
            first, longest = i, length
    if len(lengths):
        yield slice(first, len(lengths))


def pooled(windows: Sequence[Window], values: Sequence[float], weights: Floats) -> list[float]:
    """Return a root mean square for each layer from those of its windows.

    Parameters
    ----------
    windows
        W windows, those of a layer one after the other.
    values
        W root mean squares.
    weights : (W,)
        What each is the mean over.
    """
    layer = np.array([window.layer for window in windows])
    found = []
    for number in np.unique(layer):
        (rows,) = np.nonzero(layer == number)
        if len(rows) == 1:
            found.append(values[rows[0]])
            continue
        squares, share = np.square(values)[rows], weights[rows]
        found.append(float(np.sqrt(share @ squares / max(np.sum(share), np.finfo(float).tiny))))
    return found


def _groups(acting: Floats, longest: float) -> list[tuple[float, float]]:
    """Return (begin, end) of intervals (S, 2) that follow one on the other soon."""
    groups: list[tuple[float, float]] = []
    for begin, end in acting.tolist():
        near = groups and begin - groups[-1][1] <= IDLE_S and end - groups[-1][0] <= longest
        if near:
            groups[-1] = (groups[-1][0], end)
        else:
            groups.append((begin, end))
    return groups
