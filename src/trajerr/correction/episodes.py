"""Windows of a print as samples: each with its lead-in and lead-out, nothing of the rest.

Knows a plan. What is sampled follows the motion that is worked on, not the print's clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trajerr.arrays import Floats
from trajerr.correction.learning import Episode
from trajerr.motion.lead_in import lead_in
from trajerr.motion.planner import Plan
from trajerr.motion.sampling import grid, sample_pieces


@dataclass(frozen=True)
class Sampled:
    """The parts of a plan that are worked on, one behind the other; N samples."""

    time: Floats  # (N,) s, on the grid of the print; increasing, with a gap between two parts
    nominal: Floats  # (N, 3) mm
    episodes: list[Episode]  # one for each window


def sample_windows(
    nominal: Plan, spans: Sequence[tuple[float, float]], rate: float, lead_out_s: float
) -> Sampled:
    """Sample windows of a plan and what surrounds them.

    Parameters
    ----------
    nominal
        A program's motion.
    spans
        When each window begins and ends, s; at least one.
    rate
        Hz.
    lead_out_s
        s of motion after each window.
    """
    rows = _rows(nominal, spans, rate, int(lead_out_s * rate))
    runs = _runs(rows)
    time, position = [], []
    for first, last in runs:
        for piece in sample_pieces(nominal, rate, first / rate, (last - 1) / rate):
            time.append(piece.time)
            position.append(piece.position)
    starts = np.array([first for first, _ in runs])
    lengths = np.array([last - first for first, last in runs])
    places = np.cumsum(lengths) - lengths
    run = np.searchsorted(starts, [row[0] for row in rows], side="right") - 1
    shifts = (places - starts)[run].tolist()
    episodes = [
        Episode(*(index + shift for index in row)) for row, shift in zip(rows, shifts, strict=True)
    ]
    return Sampled(np.concatenate(time), np.concatenate(position), episodes)


def _rows(
    nominal: Plan, spans: Sequence[tuple[float, float]], rate: float, tail: int
) -> list[tuple[int, int, int, int]]:
    """Return the four indices of each window's :class:`Episode` on the grid of the print."""
    count = grid(0.0, nominal.print_time, rate)[1] + 1
    rows = []
    for begin, end in spans:
        reach = (lead_in(nominal, begin), begin, end)
        first, at, stop = (min(grid(t, t, rate)[0], count) for t in reach)
        rows.append((min(first, at), at, stop, min(count, stop + tail)))
    return rows


def _runs(rows: Sequence[tuple[int, int, int, int]]) -> list[tuple[int, int]]:
    """Return (first, one past last) of the samples that windows cover, without gap or overlap."""
    runs: list[tuple[int, int]] = []
    for first, _, _, last in sorted(rows):
        if runs and first <= runs[-1][1]:
            runs[-1] = (runs[-1][0], max(last, runs[-1][1]))
        else:
            runs.append((first, last))
    return runs
