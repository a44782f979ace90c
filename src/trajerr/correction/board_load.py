"""What a board has to swallow: commands, bytes and moves a second, over a planned print.

Knows a plan and its program's lines, not what any board can take (:mod:`.boards`). A command is
a line that firmware parses, Klipper and Marlin alike: all but blank lines and comments. It counts
when the move begins that it states, or the next one where it states none. What firmware takes
while the machine stands starves no buffer and does not count: the lines before the first move,
after the last, and those without motion before a move that the file has begin at a rest.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from trajerr.arrays import Bools, Floats, Ints
from trajerr.gcode.program import MoveKind, Program
from trajerr.motion.planner import Plan

LONG_S, SHORT_S = 1.0, 0.05  # over which peaks are taken
COMMENT, BLANK = ord(";"), ord(" ")  # bytes up to a blank are white space or control characters
MOST_BLANKS = 1000  # that are looked for at each end of a line; a line with more is no slicer's
SOON = 1e-9  # share of a window: what begins at its very end is the next one's
NEWLINE = 1  # byte at a command's end, however the file ends its lines


@dataclass(frozen=True)
class Rate:
    """How much comes in a second."""

    mean: float  # over the print
    peak_1s: float  # over any second
    peak_50ms: float  # over any 50 ms

    @classmethod
    def of(cls, time: Floats, amount: Floats | Ints, duration: float) -> Self:
        """Return the rate of what comes at given times.

        Parameters
        ----------
        time : (N,)
            s, in order.
        amount : (N,)
            How much.
        duration
            Of the print, s.
        """
        mean = float(np.sum(amount)) / duration
        return cls(mean, peak(time, amount, LONG_S), peak(time, amount, SHORT_S))


def peak(time: Floats, amount: Floats | Ints, window: float) -> float:
    """Return the most that comes within any stretch of time, a second.

    Parameters
    ----------
    time : (N,)
        s, in order.
    amount : (N,)
        What comes then.
    window
        Length of the stretch, s.
    """
    # The fullest window can begin where something comes: begun earlier, it holds no more.
    come = np.concatenate([[0.0], np.cumsum(amount)])
    end = np.searchsorted(time, time + window * (1.0 - SOON), side="left")
    return float(np.max(come[end] - come[:-1], initial=0.0)) / window


@dataclass(frozen=True)
class BoardLoad:
    """What a board has to swallow over a print."""

    commands_per_s: Rate
    bytes_per_s: Rate  # of the commands as a host sends them: no comments, one byte a line's end
    moves_per_s: Rate  # as the file commands them; an arc is one


@dataclass(frozen=True)
class CommandStream:
    """When a board needs what: N commands, K moves."""

    time: Floats  # (N,) s
    size: Ints  # (N,) bytes with the line's end
    move_time: Floats  # (K,) s
    duration: float  # s of the print

    @classmethod
    def of(cls, planned: Plan) -> Self:
        """Return the commands of a planned program."""
        segment = _first_segments(planned)
        begin, move = planned.start_time[segment], planned.move[segment]
        line, size = command_sizes(planned.program)
        move_line = planned.program.moves.line[move]
        following = np.searchsorted(move_line, line)
        within = following < len(move_line)
        line, size, following = line[within], size[within], following[within]
        counts = (move_line[following] == line) | ~_after_rest(planned, move)[following]
        return cls(begin[following[counts]], size[counts], begin, planned.print_time)

    @property
    def load(self) -> BoardLoad:
        """The load that it is."""
        return BoardLoad(
            Rate.of(self.time, np.ones(len(self.time)), self.duration),
            Rate.of(self.time, self.size, self.duration),
            Rate.of(self.move_time, np.ones(len(self.move_time)), self.duration),
        )


def board_load(planned: Plan) -> BoardLoad:
    """Return what a board has to swallow over a planned program."""
    return CommandStream.of(planned).load


def command_sizes(program: Program) -> tuple[Ints, Ints]:
    """Return which lines of a program are commands, and how long each is.

    Returns
    -------
    line : (N,)
        Index of the line, in order.
    size : (N,)
        Bytes without comment and outer white space, with a line's end.
    """
    raw = np.frombuffer(program.text, dtype=np.uint8)
    comments = np.append(np.flatnonzero(raw == COMMENT), len(raw))
    begin = program.line_starts[:-1].copy()
    end = np.minimum(program.line_starts[1:], comments[np.searchsorted(comments, begin)])
    _strip(raw, begin, end)
    line = np.flatnonzero(begin < end)
    return line, end[line] - begin[line] + NEWLINE


def _strip(raw: np.ndarray, begin: Ints, end: Ints) -> None:
    """Move both ends of some spans of text to within their outer white space, in place."""
    for edge, step, inside in ((begin, 1, 0), (end, -1, -1)):
        rest = np.flatnonzero(begin < end)
        for _ in range(MOST_BLANKS):
            rest = rest[raw[edge[rest] + inside] <= BLANK]
            if not len(rest):
                break
            edge[rest] += step
            rest = rest[begin[rest] < end[rest]]


def _first_segments(planned: Plan) -> Ints:
    """Return (K,) the first segment of each move that moves."""
    moving = np.flatnonzero(planned.segments.is_motion)
    return moving[np.diff(planned.move[moving], prepend=-1) > 0]


def _after_rest(planned: Plan, move: Ints) -> Bools:
    """Return (K,) whether the file has the machine come to rest before each of some moves."""
    moves = planned.program.moves
    rests = np.cumsum(moves.stop | (moves.kind == MoveKind.PAUSE))[move]
    return np.concatenate([[True], rests[1:] > rests[:-1]])
