"""Which stretches of a print are worked on together, and their samples.

Knows a plan. A layer's windows are where a correction acts: one, as a rule, and several where
infill or a pause lies between for long. A wall without an end, as a vase is one, is parted where
it is. Each window is entered by a lead-in and left by a lead-out; nothing else of the print is
sampled. So what is worked on follows the walls, fits the memory, and does not follow the print's
clock.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from trajerr.arrays import Bools, Floats
from trajerr.motion.lead_in import lead_in
from trajerr.motion.planner import Plan
from trajerr.motion.sampling import grid, sample_pieces

LONGEST = 1 << 16  # samples of a window, without its lead-in: almost three minutes at 400 Hz
TOGETHER = 1 << 18  # samples of windows that are predicted together, each as long as the longest
IDLE_S = 3.0  # without a correction, after which a layer's next window begins: twice its lead-in


@dataclass(frozen=True)
class WindowRows:
    """Which samples of a grid belong to a window."""

    whole: slice  # with lead-in and lead-out
    own: slice  # from the window's begin until before its end

    def __len__(self) -> int:
        return int(self.whole.stop - self.whole.start)

    @property
    def core(self) -> slice:
        """Its own samples, counted from the first of the whole."""
        return slice(self.own.start - self.whole.start, self.own.stop - self.whole.start)

    def shifted(self, by: int) -> "WindowRows":
        """Return the same samples' rows where each stands ``by`` rows later."""
        whole, own = (slice(rows.start + by, rows.stop + by) for rows in (self.whole, self.own))
        return WindowRows(whole, own)


@dataclass(frozen=True)
class LayerWindow:
    """A layer, or a part of a long one, that is corrected as a whole; on a nominal plan's clock."""

    layer: int
    lead_in: float  # s, when the motion begins that leads into it
    begin: float  # s
    end: float  # s
    lead_out_s: float  # of motion after it that is looked ahead into

    @classmethod
    def of(cls, nominal: Plan, layer: int, span: tuple[float, float], lead_out_s: float) -> Self:
        """Return the window of a layer that begins and ends with a span, s of a plan."""
        return cls(layer, lead_in(nominal, span[0]), *span, lead_out_s)

    @property
    def lead_out(self) -> float:
        """When the motion ends that is looked ahead into, s."""
        return self.end + self.lead_out_s

    def contains(self, time: Floats) -> Bools:
        """Return (N,) which times in s lie in the window itself."""
        return (time >= self.begin) & (time < self.end)

    def rows(self, rate: float, count: int) -> WindowRows:
        """Return its rows among the first ``count`` samples at k/rate, rate in Hz."""
        times = (self.lead_in, self.begin, self.end)
        first, begin, end = (min(grid(t, t, rate)[0], count) for t in times)
        last = min(count, end + int(self.lead_out_s * rate))
        return WindowRows(slice(min(first, begin), last), slice(begin, end))


@dataclass(frozen=True)
class SampledWindows:
    """The parts of a plan that windows cover, one behind the other; N samples."""

    time: Floats  # (N,) s, on the grid of the print; increasing, with a gap between two parts
    nominal: Floats  # (N, 3) mm
    rows: list[WindowRows]  # of each window among these samples


def split_span(span: tuple[float, float], acting: Floats, rate: float) -> list[tuple[float, float]]:
    """Return when the windows of a layer begin and end, s, in order.

    Parameters
    ----------
    span
        When the layer begins and ends, s.
    acting : (S, 2)
        The intervals, in s, outside of which the correction is zero.
    rate
        Of samples, Hz.
    """
    longest = LONGEST / rate
    inside = np.clip(acting, *span)
    inside = inside[inside[:, 1] > inside[:, 0]]
    if not len(inside):
        return [span]
    spans: list[tuple[float, float]] = []
    for begin, end in _groups(inside, longest):
        edges = np.linspace(begin, end, int(np.ceil((end - begin) / longest)) + 1)
        spans += zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    return spans


def sample_windows(nominal: Plan, windows: Sequence[LayerWindow], rate: float) -> SampledWindows:
    """Sample windows of a plan with their lead-ins and lead-outs.

    Parameters
    ----------
    nominal
        A program's motion.
    windows
        At least one.
    rate
        Hz.
    """
    count = grid(0.0, nominal.print_time, rate)[1] + 1
    rows = [window.rows(rate, count) for window in windows]
    runs = _runs(rows)
    time, position = [], []
    for first, last in runs:
        for piece in sample_pieces(nominal, rate, first / rate, (last - 1) / rate):
            time.append(piece.time)
            position.append(piece.position)
    starts = np.array([first for first, _ in runs])
    lengths = np.array([last - first for first, last in runs])
    places = np.cumsum(lengths) - lengths
    run = np.searchsorted(starts, [row.whole.start for row in rows], side="right") - 1
    shifts = (places - starts)[run].tolist()
    shifted = [row.shifted(by) for row, by in zip(rows, shifts, strict=True)]
    return SampledWindows(np.concatenate(time), np.concatenate(position), shifted)


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


def pooled(windows: Sequence[LayerWindow], values: Sequence[float], weights: Floats) -> list[float]:
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


def _runs(rows: Sequence[WindowRows]) -> list[tuple[int, int]]:
    """Return (first, one past last) of the samples that windows cover, without gap or overlap."""
    runs: list[tuple[int, int]] = []
    for first, last in sorted((row.whole.start, row.whole.stop) for row in rows):
        if runs and first <= runs[-1][1]:
            runs[-1] = (runs[-1][0], max(last, runs[-1][1]))
        else:
            runs.append((first, last))
    return runs
