"""Cut corrected motion into straight pieces: which, when, and from which move.

Knows a plan, where a correction acts, and how finely to follow it. Does not know G-code
text. Between two lines of the file that stay, the motion is one *block*; each block is cut
on a uniform grid of time and thinned where a straight piece at constant speed says the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from trajerr.deploy.blocks import Block, Divider, move_times
from trajerr.deploy.joins import Joins, Role
from trajerr.dynamics.compiled import compiled
from trajerr.errors import ConfigError
from trajerr.gcode.program import Moves
from trajerr.motion.planner import Plan

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Offset = Callable[[Floats], Floats]

TRAVEL = 4.0  # how much farther thinning may move a travel than a wall
SAME = 1e-6  # mm
COARSER = 1.25  # what tolerance is multiplied by while a file would grow too much
COARSEST = 8  # times at most
PIECE_BYTES, ABSOLUTE_BYTES = 33.0, 3.0  # of a piece's line, and more where E is absolute
LIMIT_BYTES = 106.0  # of the lines that raise and restore limits around a stretch
FASTEST_HZ = 10_000.0  # moves a second; no firmware takes nearly as many


@dataclass(frozen=True)
class EmissionSettings:
    """How corrected motion is written.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    rate_hz: float = 200.0  # most moves per second
    across_mm: float = 0.005  # how far thinning may move a point of the command off its line,
    across_share: float = 0.08  # at most this share of the uncorrected contour error;
    along_mm: float = 0.08  # and along it, at its time,
    along_share: float = 1.0  # at most this share
    most_growth: float = 4.9  # times the file's size; beyond it, thinning allows more
    acceleration_mm_s2: float = 5000.0  # limit while corrected moves run
    jerk_mm_s: float = 15.0  # limit while corrected moves run; square corner velocity on Klipper

    def __post_init__(self) -> None:
        for key in ("rate_hz", "most_growth", "acceleration_mm_s2", "jerk_mm_s"):
            value = getattr(self, key)
            if not 0.0 < value < np.inf:
                raise ConfigError(f"emission {key}: got {value}, expected above 0")
        if self.rate_hz > FASTEST_HZ:
            raise ConfigError(f"rate_hz: got {self.rate_hz}, expected at most {FASTEST_HZ:g}")
        for key in ("across_mm", "across_share", "along_mm", "along_share"):
            value = getattr(self, key)
            if not 0.0 <= value < np.inf:
                raise ConfigError(f"emission {key}: got {value}, expected 0 or more")

    def for_error(self, error: float) -> Self:
        """Return the settings for walls whose uncorrected contour error is ``error``, RMS mm."""
        return replace(
            self,
            across_mm=min(self.across_mm, self.across_share * error),
            along_mm=min(self.along_mm, self.along_share * error),
        )

    def coarser(self) -> Self:
        """Return the settings with which thinning may move points farther across their path."""
        return replace(self, across_mm=COARSER * self.across_mm)


@dataclass(frozen=True)
class Pieces:
    """Straight pieces of motion in order; K rows. Each stands on the line of ``move``."""

    start: Floats  # (K,) s of the nominal plan
    end: Floats  # (K,) s
    target: Floats  # (K, 4) machine x y z e at the end, mm
    move: Ints  # (K,) the nominal move whose line it is written on
    stretch: Ints  # (K,) number of the stretch; -1 under the file's own limits

    def __len__(self) -> int:
        return len(self.move)


@dataclass(frozen=True)
class Cut:
    """What becomes of a program's moves."""

    pieces: Pieces
    replaced: Bools  # (M,) moves that pieces stand for
    stretch: Ints  # (M,) number of the stretch that a move lies in; -1 outside
    lifts: bool = True  # whether pieces run under raised limits and on the nominal clock


def cut(plan: Plan, joins: Joins, role: Ints, offset: Offset, settings: EmissionSettings) -> Cut:
    """Cut the stretches in which a correction acts into straight pieces.

    Parameters
    ----------
    plan
        The nominal plan.
    joins
        Where the correction acts.
    role : (M,)
        What it may do during each move, :class:`Role`.
    offset
        Returns the (N, 2) correction in mm at (N,) times in s.
    settings
        Rate and tolerance.
    """
    moves = plan.program.moves
    start, end = move_times(plan)
    divider = Divider(moves, role, start, end)
    spans = divider.snapped(joins.stretches())
    blocks = divider.blocks(spans)
    times, owner, stretch = _knots(blocks, settings.rate_hz)
    point = plan.position(times)
    point[:, :2] += offset(times)
    free = role[np.array([block.move for block in blocks], dtype=np.int64)] != Role.CORRECTED
    keep = _thinned(times, point, owner, np.where(free, TRAVEL, 1.0)[owner], settings)
    pieces = _pieces(blocks, times[keep], point[keep], owner[keep], stretch)
    replaced, member = divider.membership(spans)
    return Cut(pieces, replaced, member)


def cut_to_size(
    plan: Plan, joins: Joins, role: Ints, offset: Offset, settings: EmissionSettings
) -> Cut:
    """Cut as :func:`cut` does, and thin more as long as the file would grow too much."""
    division = cut(plan, joins, role, offset, settings)
    for _ in range(COARSEST):
        if _written_bytes(plan, division) <= settings.most_growth * len(plan.program.text):
            break
        settings = settings.coarser()
        division = cut(plan, joins, role, offset, settings)
    return division


def _written_bytes(plan: Plan, division: Cut) -> float:
    """Return about how many bytes a corrected file will have."""
    program = plan.program
    lines = np.unique(program.moves.line[division.replaced])
    kept = len(program.text) - sum(len(program.line(i)) for i in lines.tolist())
    absolute = np.mean(program.moves.absolute[division.pieces.move, 1])
    stretches = len(np.unique(division.pieces.stretch))
    each = PIECE_BYTES + ABSOLUTE_BYTES * absolute
    return float(kept + each * len(division.pieces) + LIMIT_BYTES * stretches)


def vertices(plan: Plan, joins: Joins, role: Ints, offset: Offset) -> Cut:
    """Return each move of the stretches as it is, its end displaced; arcs as planned chords.

    Parameters
    ----------
    plan, joins, role, offset
        As for :func:`cut`.
    """
    start, end = move_times(plan)
    divider = Divider(plan.program.moves, role, start, end)
    spans = [
        (float(start[divider.first_move(a)]), float(end[divider.last_move(b)]))
        for a, b in joins.stretches().tolist()
    ]
    replaced, member = divider.membership(spans)
    segment = np.flatnonzero(replaced[plan.move])
    finish = plan.start_time[segment] + plan.duration[segment]
    point = plan.position_in(segment, finish)
    point[:, :2] += offset(finish)
    move = plan.move[segment]
    pieces = Pieces(plan.start_time[segment], finish, point, move, member[move])
    return Cut(pieces, replaced, member, lifts=False)


def decimals(axis: int, unit: float) -> int:
    """Return how many decimals an axis (3 is E) is written with, in units of ``unit`` mm."""
    return (5 if axis == 3 else 3) + (0 if unit == 1.0 else 2 if axis < 3 else 1)


def rounded(division: Cut, moves: Moves) -> Cut:
    """Return the pieces with x and y as they will be written.

    Those that end where the file's own move does keep its coordinates, so that what follows
    begins where it did.
    """
    pieces = division.pieces
    unit, origin = moves.unit[pieces.move, None], moves.origin[pieces.move, :2]
    grid = unit * np.where(unit == 1.0, 10.0 ** -decimals(0, 1.0), 10.0 ** -decimals(0, 25.4))
    target = pieces.target.copy()
    own = moves.end[pieces.move, :2]
    kept = np.all(np.abs(target[:, :2] - own) < SAME, axis=1, keepdims=True)
    target[:, :2] = np.where(kept, own, np.round((target[:, :2] - origin) / grid) * grid + origin)
    return replace(division, pieces=replace(pieces, target=target))


def _knots(blocks: list[Block], rate: float) -> tuple[Floats, Ints, Ints]:
    """Return the knots' times and blocks, and each block's stretch.

    A block's ends are knots. Those of the grid k/rate that are at least 1/rate away from
    both lie in between, so that no piece is shorter than that unless its block is.
    """
    times, owner = [], []
    for number, block in enumerate(blocks):
        inside = np.zeros(0)
        if block.stretch >= 0:
            first = np.ceil(block.start * rate + 1.0 - 1e-9)
            last = np.floor(block.end * rate - 1.0 + 1e-9)
            inside = np.arange(first, last + 1.0) / rate
        times.append(np.concatenate([[block.start], inside, [block.end]]))
        owner.append(np.full(len(inside) + 2, number))
    stretch = np.array([block.stretch for block in blocks], dtype=np.int64)
    if not blocks:
        return np.zeros(0), np.zeros(0, dtype=np.int64), stretch
    return np.concatenate(times), np.concatenate(owner), stretch


def _thinned(
    times: Floats, point: Floats, owner: Ints, ease: Floats, settings: EmissionSettings
) -> Bools:
    """Return (N,) which knots stay when no dropped one moves by more than allowed."""
    keep = np.ones(len(times), dtype=np.bool_)
    if len(times):
        xyz = np.ascontiguousarray(point[:, :3])
        _thin(times, xyz, owner, ease * settings.across_mm, settings.along_mm, keep)
    return keep


@compiled
def _thin(
    times: Floats, point: Floats, owner: Ints, across: Floats, along: float, keep: Bools
) -> None:
    """Extend each piece as long as all points it skips stay close, at their times."""
    anchor = 0
    for i in range(1, len(times) - 1):
        if owner[i] != owner[anchor] or owner[i + 1] != owner[anchor]:
            anchor = i
            continue
        span = times[i + 1] - times[anchor]
        chord = point[i + 1] - point[anchor]
        length = np.sqrt(np.sum(chord * chord))
        for j in range(anchor + 1, i + 1):
            off = point[j] - point[anchor] - chord * ((times[j] - times[anchor]) / span)
            ahead = np.sum(off * chord) / length if length > 0.0 else 0.0
            aside = np.sqrt(max(np.sum(off * off) - ahead * ahead, 0.0))
            if aside > across[i] or abs(ahead) > along:
                anchor = i
                break
        keep[i] = anchor == i


def _pieces(
    blocks: list[Block], times: Floats, point: Floats, owner: Ints, stretch: Ints
) -> Pieces:
    follows = np.flatnonzero(np.diff(owner) == 0) + 1 if len(owner) else np.zeros(0, np.int64)
    move = np.array([block.move for block in blocks], dtype=np.int64)
    return Pieces(
        start=times[follows - 1],
        end=times[follows],
        target=point[follows],
        move=move[owner[follows]],
        stretch=stretch[owner[follows]],
    )
