"""Divide corrected motion into blocks: which lines of the file it is written on, and when.

Knows moves, what a correction may do during each, and when it acts. Between two lines of the
file that stay, the motion is one *block*; a travel may be split where the correction ends.
"""

from dataclasses import dataclass

import numpy as np

from trajerr.arrays import Bools, Floats, Ints
from trajerr.correction.regions import ROUNDING, Role
from trajerr.gcode.program import Moves
from trajerr.motion.planner import Plan

SHORTEST_REST = 0.04  # s; a shorter rest of a travel between two stretches is sampled, too
SHORTEST_PART = 0.02  # s; a travel is not split into parts shorter than that


def move_times(plan: Plan) -> tuple[Floats, Floats]:
    """Return when each move begins and ends, (M,) s each; a move without motion takes no time."""
    end = plan.move_end
    return np.concatenate([[0.0], end[:-1]]), end


@dataclass(frozen=True)
class Block:
    """A stretch of motion written on one line of the file."""

    start: float  # s
    end: float  # s
    move: int
    stretch: int  # -1: plain, one piece


@dataclass(frozen=True)
class Divider:
    """Divides time into blocks, at moves."""

    moves: Moves
    role: Ints
    start: Floats
    end: Floats

    def snapped(self, stretches: Floats) -> list[tuple[float, float]]:
        """Return the stretches, short parts of moves taken in.

        Those close together are joined, unless a line between them stays as it is.
        """
        spans: list[tuple[float, float]] = []
        for begin, finish in stretches.tolist():
            if spans and begin - spans[-1][1] < SHORTEST_REST and self._free(spans[-1][1], begin):
                spans[-1] = (spans[-1][0], finish)
            else:
                spans.append((begin, finish))
        return [(self._snap_start(a), self._snap_end(b)) for a, b in spans]

    def _free(self, begin: float, finish: float) -> bool:
        """Whether no move between two times stays as it is."""
        first = np.searchsorted(self.start, begin - ROUNDING)
        last = np.searchsorted(self.end, finish + ROUNDING, side="right")
        return not np.any(self.role[first:last] == Role.FIXED)

    def first_move(self, time: float) -> int:
        """Return the move under way right after a time."""
        return int(np.searchsorted(self.end, time, side="right"))

    def last_move(self, time: float) -> int:
        """Return the move under way right before a time."""
        return int(np.searchsorted(self.start, time, side="left")) - 1

    def _snap_start(self, time: float) -> float:
        move = min(self.first_move(time), len(self.end) - 1)
        splits = self._may_split(move) and time - self.start[move] >= SHORTEST_PART
        return time if splits else float(self.start[move])

    def _snap_end(self, time: float) -> float:
        move = max(self.last_move(time), 0)
        splits = self._may_split(move) and self.end[move] - time >= SHORTEST_PART
        return time if splits else float(self.end[move])

    def _may_split(self, move: int) -> bool:
        return bool(self.role[move] == Role.FREE and self.moves.sweep[move] == 0.0)

    def blocks(self, spans: list[tuple[float, float]]) -> list[Block]:
        """Return the blocks of all stretches, with the plain parts of split moves."""
        blocks: list[Block] = []
        open_end = -1.0  # where a stretch ended inside a move whose rest is still to write
        for number, (begin, finish) in enumerate(spans):
            first, last = self.first_move(begin), self.last_move(finish)
            if open_end >= 0.0:
                rest = self.last_move(open_end)
                done = begin if rest == first else float(self.end[rest])
                blocks.append(Block(open_end, done, rest, -1))
            if begin > self.start[first] and not (open_end >= 0.0 and rest == first):
                blocks.append(Block(float(self.start[first]), begin, first, -1))
            blocks += self._within(begin, finish, first, last, number)
            open_end = finish if finish < self.end[last] else -1.0
        if open_end >= 0.0:
            rest = self.last_move(open_end)
            blocks.append(Block(open_end, float(self.end[rest]), rest, -1))
        return blocks

    def _within(
        self, begin: float, finish: float, first: int, last: int, number: int
    ) -> list[Block]:
        span = slice(first, last + 1)
        index = np.arange(first, last + 1)
        planar = (self.role[span] >= Role.FREE) & (self.end[span] > self.start[span])
        index = index[planar]
        # A line in between, another kind or feature, or a hold begins a new block.
        follows = (
            (np.diff(index) == 1)
            & (np.diff(self.moves.line[index]) <= 1)
            & (np.diff(self.moves.kind[index]) == 0)
            & (np.diff(self.moves.feature[index]) == 0)
            & (np.diff(self.moves.settings[index]) == 0)
        )
        heads = np.concatenate([[True], ~follows])
        tails = np.concatenate([~follows, [True]])
        return [
            Block(max(begin, float(self.start[a])), min(finish, float(self.end[b])), int(a), number)
            for a, b in zip(index[heads], index[tails], strict=True)
        ]

    def membership(self, spans: list[tuple[float, float]]) -> tuple[Bools, Ints]:
        """Return (M,) which moves pieces stand for, and (M,) the stretch each lies in."""
        stretch = np.full(len(self.end), -1, dtype=np.int64)
        for number, (begin, finish) in enumerate(spans):
            stretch[self.first_move(begin) : self.last_move(finish) + 1] = number
        planar = (self.role >= Role.FREE) & (self.end > self.start)
        return (stretch >= 0) & planar, stretch
