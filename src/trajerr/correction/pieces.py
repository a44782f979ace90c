"""Segment corrected motion into straight pieces: which, when, and from which move.

Knows a plan, where a correction acts, and how finely to follow it. Does not know G-code
text. Each block (:mod:`.blocks`) is divided on a uniform grid of time and thinned where
a straight piece at constant speed says the same, as far as the file's size asks for it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from trajerr.arrays import Bools, Floats, Ints
from trajerr.checks import require, require_from_zero, require_positive
from trajerr.correction.blocks import Block, Divider, move_times
from trajerr.correction.regions import CorrectionRegion, Role
from trajerr.correction.thinning import thinned
from trajerr.gcode.firmware import is_klipper
from trajerr.gcode.program import Moves, Program
from trajerr.motion.limits import MARLIN, MachineLimits
from trajerr.motion.planner import Plan
from trajerr.shipped import fields_of, shipped

Offset = Callable[[Floats], Floats]

TRAVEL = 4.0  # how much farther thinning may move a travel than a wall
SAME = 1e-6  # mm
SOON = 1e-9  # s, or of a step of a grid, of rounding
FINE = 4  # candidates for a piece's end per shortest piece
COARSEST = 6.0  # what tolerance is multiplied by at most where a file would grow too much
ALONG = 0.25  # power of that factor, along the path: there a file grows fastest
HALVINGS = 6  # of the range in which that factor is searched
WORD_BYTES, E_BYTES = 5.9, 7.6  # of " X.123" and " E.01234", whose last digits may be zero
REST_BYTES = 5.0  # of "G1 F" and the line's end
LIMIT_BYTES = 106.0  # of the lines that raise and restore limits around a stretch
ACCELERATION, ON_KLIPPER = 5_000.0, 10_000.0  # mm/s²
JERK = 15.0  # mm/s
JERKS = {"marlin_2_1_2": 60.0}  # on firmware that needs another
MARGIN_STEPS = 0.5  # beyond the fewest of a block: ends are rounded to steps
LEAST_RATE_HZ, MOVES_A_PERIOD = 200.0, 10.0 / 3.0  # of the highest frequency of a correction
FASTEST_HZ = 10_000.0  # moves a second; no firmware takes nearly as many


@dataclass(frozen=True)
class EmissionSettings:
    """How corrected motion is written.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    rate_hz: float | None  # most moves per second; None: as the band of the correction needs
    across_mm: float  # how far thinning may move a point of the command off its line,
    across_share: float  # at most this share of the uncorrected contour error around it;
    along_mm: float  # and along it, at its time,
    along_share: float  # at most this share
    most_growth: float  # times the file's size; beyond it, thinning may move points farther
    small_kb: float  # kB, a size to which any file may grow all the same
    acceleration_mm_s2: float | None  # limit while corrected moves run; None: by the firmware
    shaped_acceleration_mm_s2: float  # and, if that is more, on a printer with an input shaper
    jerk_mm_s: float | None  # limit while corrected moves run; None: what the firmware needs

    def __post_init__(self) -> None:
        limits = ("acceleration_mm_s2", "shaped_acceleration_mm_s2", "jerk_mm_s")
        for key in ("rate_hz", "most_growth", *limits):
            if getattr(self, key) is not None:
                require_positive(key, getattr(self, key))
        within = self.rate_hz is None or self.rate_hz <= FASTEST_HZ
        require("rate_hz", self.rate_hz, within, f"at most {FASTEST_HZ:g}")
        for key in ("across_mm", "across_share", "along_mm", "along_share", "small_kb"):
            require_from_zero(key, getattr(self, key))

    def for_band(self, band_hz: float) -> Self:
        """Return the settings for a correction that holds frequencies up to some, Hz."""
        wanted = max(LEAST_RATE_HZ, MOVES_A_PERIOD * band_hz)
        return replace(self, rate_hz=self.rate_hz or wanted)

    @property
    def rate(self) -> float:
        """Most moves per second, Hz."""
        return self.rate_hz or LEAST_RATE_HZ

    def behind_shaper(self) -> Self:
        """Return the settings for a printer with an input shaper.

        What is to come out behind it has to be commanded with more acceleration; what motors are
        told has no more than without it.
        """
        most = max(self.acceleration_mm_s2 or 0.0, self.shaped_acceleration_mm_s2)
        return replace(self, acceleration_mm_s2=most)

    def acceleration_on(self, limits: MachineLimits) -> float:
        """Return the acceleration while corrected moves run, mm/s².

        An amplitude of 0.1 mm at 50 Hz takes 9,900 mm/s², which Klipper then follows. Marlin's
        pieces of few steps follow no better with more than half of that.
        """
        if self.acceleration_mm_s2 is not None:
            return self.acceleration_mm_s2
        return ON_KLIPPER if is_klipper(limits.firmware) else ACCELERATION

    def jerk_on(self, limits: MachineLimits) -> float:
        """Return the jerk, or square corner velocity, while corrected moves run, mm/s.

        Marlin up to 2.1.2 brakes where a feedrate rises by more than the jerk from one piece to
        the next; others want room for the corners that a correction adds.
        """
        wanted = JERKS.get(limits.firmware, JERK) if self.jerk_mm_s is None else self.jerk_mm_s
        return wanted if limits.jerk_cap_mm_s is None else min(wanted, limits.jerk_cap_mm_s)

    @classmethod
    def shipped(cls, **changes: float) -> Self:
        """Return what ``conf/correct.yaml`` says, with changes."""
        return cls(**{**fields_of(cls, shipped("correct")), **changes})

    def tolerance(self, error: Floats | float) -> "Tolerance":
        """Return how far thinning may move points where walls have an uncorrected contour error.

        Parameters
        ----------
        error : (M,) or a number
            RMS mm, around each nominal move.
        """
        return Tolerance(
            np.minimum(self.across_mm, np.multiply(self.across_share, error)),
            np.minimum(self.along_mm, np.multiply(self.along_share, error)),
        )


@dataclass(frozen=True)
class Tolerance:
    """How far thinning may move a point of the command, by nominal move; (M,) mm or one for all."""

    across: Floats  # off its line
    along: Floats  # along it, at its time

    def coarser(self, factor: float) -> "Tolerance":
        """Return a tolerance that is as many times as large across the path."""
        return Tolerance(factor * self.across, factor**ALONG * self.along)


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
class Segmentation:
    """What becomes of a program's moves."""

    pieces: Pieces
    replaced: Bools  # (M,) moves that pieces stand for
    stretch: Ints  # (M,) number of the stretch that a move lies in; -1 outside
    lifts: bool = True  # whether pieces run under raised limits and on the nominal clock


def segment(
    plan: Plan,
    region: CorrectionRegion,
    role: Ints,
    offset: Offset,
    settings: EmissionSettings,
    error: Floats | float = np.inf,
) -> Segmentation:
    """Segment the stretches in which a correction acts into straight pieces.

    Where the file would grow too much, thinning moves points farther across their path.

    Parameters
    ----------
    plan
        The nominal plan.
    region
        Where the correction acts.
    role : (M,)
        What it may do during each move, :class:`Role`.
    offset
        Returns the (N, 2) correction in mm at (N,) times in s.
    settings
        Rate, tolerance and growth.
    error : (M,) or a number
        Uncorrected contour error around each move, RMS mm; thinning moves points by a share.
    """
    candidates = _Candidates.of(plan, region, role, offset, settings.rate)
    tolerance = settings.tolerance(error)
    most = max(settings.most_growth * len(plan.program.text), 1000.0 * settings.small_kb)
    segmentation = candidates.thinned(tolerance)
    most -= _other_bytes(plan.program, segmentation)
    if _piece_bytes(segmentation.pieces, plan.program.moves) <= most:
        return segmentation
    low, high = 0.0, np.log(COARSEST)
    segmentation = candidates.thinned(tolerance.coarser(COARSEST))
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        trial = candidates.thinned(tolerance.coarser(np.exp(middle)))
        if _piece_bytes(trial.pieces, plan.program.moves) <= most:
            segmentation, high = trial, middle
        else:
            low = middle
    return segmentation


@dataclass(frozen=True)
class _Candidates:
    """Points of the corrected command among which the pieces' ends are chosen."""

    time: Floats  # (N,) s
    point: Floats  # (N, 4) mm
    owner: Ints  # (N,) the block of each
    move: Ints  # (blocks,) the nominal move whose line each is written on
    stretch: Ints  # (blocks,) -1: plain, one piece
    ease: Floats  # (blocks,) multiple of the tolerance
    shortest: float  # s, of a piece
    least: tuple[float, float]  # mm of x, or else y, of a piece
    replaced: Bools  # (M,)
    stretch_of_move: Ints  # (M,)

    @classmethod
    def of(
        cls, plan: Plan, region: CorrectionRegion, role: Ints, offset: Offset, rate: float
    ) -> Self:
        start, end = move_times(plan)
        divider = Divider(plan.program.moves, role, start, end)
        spans = divider.snapped(region.stretches())
        blocks = divider.blocks(spans)
        time, owner = _grid(blocks, rate)
        point = plan.asked(time)
        point[:, :2] += offset(time)
        move = np.array([block.move for block in blocks], dtype=np.int64)
        stretch = np.array([block.stretch for block in blocks], dtype=np.int64)
        ease = np.where(role[move] == Role.CORRECTED, 1.0, TRAVEL)
        replaced, stretch_of_move = divider.membership(spans)
        return cls(
            time,
            point,
            owner,
            move,
            stretch,
            ease,
            1.0 / rate,
            _least(plan.limits),
            replaced,
            stretch_of_move,
        )

    def thinned(self, tolerance: Tolerance) -> Segmentation:
        """Keep the ends without which a point would move by more than allowed."""
        across = self.ease * np.broadcast_to(tolerance.across, self.replaced.shape)[self.move]
        along = np.broadcast_to(tolerance.along, self.replaced.shape)[self.move]
        shortest = self.shortest - SOON
        owner = self.owner
        near = across[owner], along[owner]
        keep = thinned(self.time, self.point[:, :3], owner, *near, shortest, self.least)
        return Segmentation(self._pieces(keep), self.replaced, self.stretch_of_move)

    def _pieces(self, keep: Bools) -> Pieces:
        times, owner = self.time[keep], self.owner[keep]
        follows = np.flatnonzero(np.diff(owner) == 0) + 1 if len(owner) else np.zeros(0, np.int64)
        return Pieces(
            start=times[follows - 1],
            end=times[follows],
            target=self.point[keep][follows],
            move=self.move[owner[follows]],
            stretch=self.stretch[owner[follows]],
        )


def _least(limits: MachineLimits) -> tuple[float, float]:
    """Return how far a piece has to go along x, or else along y, so that it runs by itself, mm."""
    if limits.firmware not in MARLIN:
        return 0.0, 0.0
    x, y = limits.steps_per_mm[:2]
    fewest = limits.min_steps + MARGIN_STEPS
    return fewest / x, fewest / y


def _other_bytes(program: Program, segmentation: Segmentation) -> float:
    """Return about how many bytes of a corrected file are no pieces' lines."""
    lines = np.unique(program.moves.line[segmentation.replaced])
    kept = len(program.text) - sum(len(program.line(i)) for i in lines.tolist())
    stretches = len(np.unique(segmentation.pieces.stretch))
    return kept + LIMIT_BYTES * stretches


def _piece_bytes(pieces: Pieces, moves: Moves) -> float:
    """Return about how many bytes the lines of pieces take, as G1 X1.234 Y1.234 E.0123 F123."""
    unit = moves.unit[pieces.move]
    absolute = moves.absolute[pieces.move]
    begin = np.vstack([pieces.target[:1], pieces.target[:-1]])
    step = pieces.target - begin
    value = np.where(
        np.repeat(absolute, (3, 1), axis=1), pieces.target - moves.origin[pieces.move], step
    )
    speed = np.linalg.norm(step[:, :2], axis=1) / (pieces.end - pieces.start)
    places = _places(value[:, [0, 1, 3]] / unit[:, None])
    extrudes = step[:, 3] != 0.0
    words = (places[:, :2] + WORD_BYTES).sum(axis=1) + _places(60.0 * speed / unit)
    words += extrudes * (places[:, 2] + E_BYTES)
    return float(np.sum(words + REST_BYTES))


def _places(value: Floats) -> Floats:
    """Return how many characters stand before the decimal point of each; a zero is not written."""
    size = np.floor(np.log10(np.maximum(np.abs(value), 0.1))) + 1.0
    return np.asarray(size + (value < 0.0))


def vertices(plan: Plan, region: CorrectionRegion, role: Ints, offset: Offset) -> Segmentation:
    """Return each move of the stretches as it is, its end displaced; arcs as planned chords.

    Parameters
    ----------
    plan, region, role, offset
        As for :func:`segment`.
    """
    start, end = move_times(plan)
    divider = Divider(plan.program.moves, role, start, end)
    spans = [
        (float(start[divider.first_move(a)]), float(end[divider.last_move(b)]))
        for a, b in region.stretches().tolist()
    ]
    replaced, stretch_of_move = divider.membership(spans)
    rows, begin, finish, move = _ends(plan, replaced)
    point = plan.asked_in(rows, finish)
    point[:, :2] += offset(finish)
    pieces = Pieces(begin, finish, point, move, stretch_of_move[move])
    return Segmentation(pieces, replaced, stretch_of_move, lifts=False)


def _ends(plan: Plan, chosen: Bools) -> tuple[Ints, Floats, Floats, Ints]:
    """Return where the straight ways of (M,) chosen moves end, also of those merged into others.

    Returns
    -------
    segment, begin, finish, move : (K,)
        Each way's segment, when it begins and ends, s, and its move.
    """
    rows, merged, row = np.flatnonzero(chosen[plan.move]), plan.merged.move, plan.merged.segment
    runs = np.flatnonzero((row < len(plan)) & chosen[merged])
    inside = runs[plan.move[row[runs]] > merged[runs]]
    last = inside[np.append(np.diff(merged[inside]) != 0, np.ones(min(1, len(inside)), dtype=bool))]
    merged, row = merged[last], row[last]
    segment = np.concatenate([rows, row])
    move = np.concatenate([plan.move[rows], merged])
    finish = np.concatenate([(plan.start_time + plan.duration)[rows], plan.move_end[merged]])
    order = np.lexsort([move, finish, segment])
    segment, move, finish = segment[order], move[order], finish[order]
    continues = np.append(False, np.diff(segment) == 0)
    begin = np.where(continues, np.append(0.0, finish[:-1]), plan.start_time[segment])
    return segment, begin, finish, move


def decimals(axis: int, unit: float) -> int:
    """Return how many decimals an axis (3 is E) is written with, in units of ``unit`` mm."""
    return (5 if axis == 3 else 3) + (0 if unit == 1.0 else 2 if axis < 3 else 1)


def rounded(segmentation: Segmentation, moves: Moves) -> Segmentation:
    """Return the pieces with x and y as they will be written.

    Those that end where the file's own move does keep its coordinates, so that what follows
    begins where it did.
    """
    pieces = segmentation.pieces
    unit, origin = moves.unit[pieces.move, None], moves.origin[pieces.move, :2]
    grid = unit * np.where(unit == 1.0, 10.0 ** -decimals(0, 1.0), 10.0 ** -decimals(0, 25.4))
    target = pieces.target.copy()
    own = moves.end[pieces.move, :2]
    kept = np.all(np.abs(target[:, :2] - own) < SAME, axis=1, keepdims=True)
    target[:, :2] = np.where(kept, own, np.round((target[:, :2] - origin) / grid) * grid + origin)
    return replace(segmentation, pieces=replace(pieces, target=target))


def _grid(blocks: list[Block], rate: float) -> tuple[Floats, Ints]:
    """Return times on a grid finer than the rate and at the blocks' ends, and their blocks."""
    times, owner = [], []
    fine = FINE * rate
    for number, block in enumerate(blocks):
        inside = np.zeros(0)
        if block.stretch >= 0:
            first = np.floor(block.start * fine + SOON) + 1.0
            inside = np.arange(first, np.ceil(block.end * fine - SOON)) / fine
        times.append(np.concatenate([[block.start], inside, [block.end]]))
        owner.append(np.full(len(inside) + 2, number))
    if not blocks:
        return np.zeros(0), np.zeros(0, dtype=np.int64)
    return np.concatenate(times), np.concatenate(owner)
