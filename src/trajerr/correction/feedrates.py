"""Feedrate timing: with which feedrate each piece ends when it should.

A firmware does not run a piece at its feedrate throughout: it speeds up and slows down at
its ends. Feedrates are therefore found by planning the pieces as the firmware will and
correcting each by its excess time, until the pieces keep the nominal plan's clock. They are
written with few digits; which ones suffice is found by planning, too.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from trajerr.arrays import Bools, Floats, Ints
from trajerr.correction.pieces import EmissionSettings, Segmentation
from trajerr.dynamics.compiled import compiled
from trajerr.gcode.program import LimitSettings, Moves, Program
from trajerr.motion.limits import MachineLimits
from trajerr.motion.planner import Plan, plan

ROUNDS = 8
DEVIATIONS = (0.01, 0.3)  # mm, that M205 J accepts (gcode/config/M200-M205.cpp)
FASTEST, SLOWEST = 3.0, 0.5  # multiples of a piece's mean speed that its feedrate may be
ABOVE_REACHED = 1.25  # multiple of the speed that a piece reached that its feedrate may become
NEARLY_STILL = 1e-3  # mm/s; no slower mean speed is asked for
F_DIGITS, INCH_F_DIGITS = 0, 2  # decimals of a feedrate in mm/min or inches/min, at least
MORE_F_DIGITS = 3  # that a piece may have beside
CLOSE = 4e-4  # mm by which rounding may shift a piece along its path, as far as its length says
CLOSE_S = 1e-5  # s by which it may, so that what follows is in its place
OFF = 8e-4  # mm by which it may as planned; pieces farther off get more digits
LOST = 0.05  # mm off from which on more digits bring nothing: blocks' times jump, as Marlin's do
ROUNDING_ROUNDS = 6  # of planning with rounded feedrates


@dataclass(frozen=True)
class TimedProgram:
    """A corrected program as moves: the file's own where they stay, timed pieces elsewhere."""

    program: Program  # its text is the nominal one's
    piece: Ints  # (N,) the piece that each move is; -1 where the file's move stays
    nominal: Ints  # (N,) the nominal move that each is, or stands for
    asked: Floats  # (N,) s that a piece should take; NaN where the file's own limits hold
    mean: Floats  # (N,) mm/s, mean speed of a piece; the file's feedrate elsewhere

    @property
    def is_timed(self) -> Bools:
        """(N,) which moves are pieces that should take a given time."""
        return ~np.isnan(self.asked)

    def at(self, feed_factor: Floats) -> Self:
        """Return the program with each piece's feedrate a multiple (K,) of its mean speed."""
        speed, is_timed = self.mean.copy(), self.is_timed
        speed[is_timed] *= feed_factor[self.piece[is_timed]]
        moves = replace(self.program.moves, feedrate=speed)
        return replace(self, program=replace(self.program, moves=moves))

    def planned(self, limits: MachineLimits) -> tuple[Plan, Floats]:
        """Return the plan and (N,) how long each move takes in it, s."""
        result = plan(self.program, limits)
        return result, np.diff(result.move_end, prepend=0.0)

    def adjusted(self, feed_factor: Floats, planned: Plan, taken: Floats) -> Floats:
        """Return (K,) feedrate factors that make up for the (N,) s that moves took at others.

        Where a piece did not reach its feedrate, a higher one would not make it faster; on Marlin
        up to 2.1.2, which enters it the slower for it, it would make it slower.
        """
        better, is_timed = feed_factor.copy(), self.is_timed
        better[self.piece[is_timed]] *= taken[is_timed] / self.asked[is_timed]
        reached = np.full(len(self.piece), np.inf)
        reached[planned.move] = planned.cruise
        most = ABOVE_REACHED * np.maximum(reached, self.mean)[is_timed] / self.mean[is_timed]
        better[self.piece[is_timed]] = np.minimum(better[self.piece[is_timed]], most)
        return np.clip(better, SLOWEST, FASTEST)


def raised(
    state: LimitSettings, limits: MachineLimits, settings: EmissionSettings
) -> LimitSettings:
    """Return the limits in force while pieces run, given what the file has set: none is lower."""
    own = limits.overridden(state)
    wanted, jerk = settings.acceleration_on(limits), settings.jerk_on(limits)
    xy = tuple(max(own.max_acceleration_mm_s2[i], wanted) for i in range(2))
    along = max(own.print_acceleration_mm_s2, wanted)
    return replace(
        state,
        max_acceleration=(*xy, *state.max_acceleration[2:]),
        print_acceleration=along,
        travel_acceleration=max(own.travel_acceleration_mm_s2, wanted),
        acceleration_limit=along,
        accel_to_decel=along,
        jerk=(*(max(own.jerk_mm_s[i], jerk) for i in range(2)), *state.jerk[2:]),
        junction_deviation=max(own.junction_deviation_mm, _deviation(jerk, wanted)),
        square_corner_velocity=max(own.square_corner_velocity_mm_s, jerk),
        minimum_cruise_ratio=0.0,
        cruise_ratio_from=None,
    )


def _deviation(jerk: float, acceleration: float) -> float:
    """Return the junction deviation, mm, at which a right angle is taken at the jerk's speed.

    v² = a δ s/(1 − s) with s = sin 45° (Jeon 2011), solved for δ; what Marlin's M205 J accepts.
    """
    sine = np.sqrt(0.5)
    return float(np.clip(jerk**2 / acceleration * (1.0 - sine) / sine, *DEVIATIONS))


def assemble(
    nominal: Plan,
    segmentation: Segmentation,
    limits: MachineLimits,
    settings: EmissionSettings,
    chosen: Bools | None = None,
) -> TimedProgram:
    """Put pieces in the place of the moves that they stand for, at their mean speeds.

    Parameters
    ----------
    nominal
        The nominal plan.
    segmentation
        The pieces, and what they stand for.
    limits
        The machine's.
    settings
        Limits while pieces run.
    chosen : (M,)
        The nominal moves wanted, all by default; motion rests where others are left out.
    """
    moves, pieces = nominal.program.moves, segmentation.pieces
    wanted = np.ones(len(moves), dtype=np.bool_) if chosen is None else chosen
    kept = np.flatnonzero(wanted & ~segmentation.replaced)
    own = np.flatnonzero(wanted[pieces.move])
    owner = np.concatenate([kept, pieces.move[own]])
    rank = np.argsort(owner, kind="stable")
    left_out = np.cumsum(~wanted)
    piece = np.concatenate([np.full(len(kept), -1), own])[rank]
    owner = owner[rank]
    is_piece = piece >= 0
    rows = moves.select(owner)
    resumes = np.concatenate([[True], np.diff(left_out[owner]) > 0])
    start, end = _ends(rows, pieces.target[piece], is_piece, resumes)
    lifted = np.where(is_piece, pieces.stretch[piece] >= 0, segmentation.stretch[owner] >= 0)
    lifted &= segmentation.lifts
    asked = np.where(is_piece & lifted, (pieces.end - pieces.start)[piece], np.nan)
    length = _lengths(start, end)
    mean = np.where(np.isnan(asked), rows.feedrate, np.maximum(length / asked, NEARLY_STILL))
    table, index = _states(nominal.program, rows.settings, lifted, limits, settings)
    rows = replace(
        rows,
        start=start,
        end=end,
        center=np.where(is_piece[:, None], np.nan, rows.center),
        sweep=np.where(is_piece, 0.0, rows.sweep),
        feedrate=mean,
        settings=index,
        stop=(rows.stop & (np.diff(owner, prepend=-1) != 0)) | resumes,
    )
    program = replace(nominal.program, moves=rows, settings=table)
    return TimedProgram(program, piece, owner, asked, mean)


def _ends(rows: Moves, target: Floats, is_piece: Bools, resumes: Bools) -> tuple[Floats, Floats]:
    """Return where rows start and end, (N, 4) mm, so that each begins where the last ended."""
    end = np.where(is_piece[:, None], target, rows.end)
    # What stands still in the plane does so wherever the move before it ended.
    still = ~is_piece & ~resumes & (rows.sweep == 0.0)
    still &= np.all(rows.end[:, :2] == rows.start[:, :2], axis=1)
    before = np.maximum.accumulate(np.where(still, 0, np.arange(len(rows))))
    end[:, :2] = end[before, :2]
    start = np.concatenate([rows.start[:1], end[:-1]])
    return np.where(resumes[:, None], rows.start, start), end


def _states(
    program: Program,
    current: NDArray[np.int32],
    lifted: Bools,
    limits: MachineLimits,
    settings: EmissionSettings,
) -> tuple[tuple[LimitSettings, ...], NDArray[np.int32]]:
    """Return the table of limit states with raised ones appended, and each row's index."""
    own = program.settings
    extra = tuple(raised(state, limits, settings) for state in own)
    return own + extra, np.where(lifted, current + len(own), current).astype(np.int32)


def keep_time(
    timed: TimedProgram, limits: MachineLimits, feed_factor: Floats, rounds: int = ROUNDS
) -> tuple[TimedProgram, Floats]:
    """Adjust the pieces' feedrates until each takes the time asked, as far as limits allow.

    Parameters
    ----------
    timed
        The program.
    limits
        The machine's.
    feed_factor : (K,)
        The pieces' feedrates to begin with, as multiples of their mean speeds.
    rounds
        How often to plan and adjust.

    Returns
    -------
    tuple
        The program at the best feedrates found, and these as (K,) multiples of mean speeds.
    """
    best, least = feed_factor, np.inf
    for _ in range(rounds):
        planned, taken = timed.at(feed_factor).planned(limits)
        excess = float(np.nansum(np.abs(taken - timed.asked)))
        if excess < least:
            best, least = feed_factor, excess
        feed_factor = timed.adjusted(feed_factor, planned, taken)
    return timed.at(best), best


def rounded_feedrates(timed: TimedProgram, limits: MachineLimits) -> TimedProgram:
    """Return the program with the timed pieces' feedrates as they will be written.

    Rounding goes up or down so that it makes up for what it did to the pieces before, and a
    feedrate in force stays where it will do. That reckons with constant speed; where a
    firmware speeds up, and above all where it reverses, it may take another time. So the
    result is planned; pieces that take another time there get more digits, and the pieces
    after them make up for what remains. Where that is far too much, the first rounding stays.
    """
    moves, is_timed = timed.program.moves, timed.is_timed
    path = _lengths(moves.start, moves.end)
    around = _fastest_around(timed.mean)
    slack = np.minimum(CLOSE_S, CLOSE / around)
    more, surprise = np.zeros(len(moves), dtype=np.int64), np.zeros(len(moves))
    _, exact = timed.planned(limits)
    best, least = timed, np.inf
    for _ in range(ROUNDING_ROUNDS):
        speed = moves.feedrate.copy()
        _round(speed, moves.unit / 60.0, path, is_timed, slack, more, surprise)
        rows = replace(moves, feedrate=speed)
        rounded = replace(timed, program=replace(timed.program, moves=rows))
        _, taken = rounded.planned(limits)
        excess = taken - exact
        off = np.abs(np.cumsum(excess)) * around
        if np.max(off) < least:
            best, least = rounded, float(np.max(off))
        if least <= OFF or least > LOST:
            break
        expected = np.where(is_timed, path / speed - path / moves.feedrate, 0.0)
        surprise = np.where(np.abs(excess - expected) > 0.1 * slack, excess - expected, 0.0)
        cause = _beside(off > OFF) & (np.abs(excess) > slack)
        more = np.minimum(more + _beside(cause if np.any(cause) else off > OFF), MORE_F_DIGITS)
    return best


@compiled
def _round(
    speed: Floats,
    unit: Floats,
    length: Floats,
    is_timed: Bools,
    slack: Floats,
    more: Ints,
    surprise: Floats,
) -> None:
    """Round the timed rows' speeds in place: (N,) mm/s, in (N,) mm/s a unit of feedrate.

    ``surprise`` is by how many seconds rows will be late beside what rounding says.
    """
    late, feed = 0.0, 0.0
    for i in range(len(speed)):
        if not is_timed[i]:
            feed = 0.0
            late += surprise[i]
            continue
        wanted, path = speed[i] / unit[i], length[i] / unit[i]
        stays = feed > 0.0 and abs(late + path * (1.0 / feed - 1.0 / wanted)) < slack[i]
        if not stays or more[i] > 0:
            fewest = F_DIGITS if unit[i] == 1.0 / 60.0 else INCH_F_DIGITS
            for digits in range(fewest + more[i], fewest + MORE_F_DIGITS + 1):
                scale = 10.0**digits
                low = max(np.floor(wanted * scale), 1.0)
                below = late + path * (scale / low - 1.0 / wanted)
                above = late + path * (scale / (low + 1.0) - 1.0 / wanted)
                feed = (low if abs(below) <= abs(above) else low + 1.0) / scale
                if min(abs(below), abs(above)) < slack[i]:
                    break
        late += path * (1.0 / feed - 1.0 / wanted) + surprise[i]
        speed[i] = feed * unit[i]


def _lengths(start: Floats, end: Floats) -> Floats:
    """Return (N,) mm that feedrates count along: filament where nothing else moves."""
    way = np.linalg.norm((end - start)[:, :3], axis=1)
    return np.asarray(np.where(way > 0.0, way, np.abs(end - start)[:, 3]))


def _fastest_around(speed: Floats) -> Floats:
    """Return (N,) the largest of each value and its neighbours."""
    padded = np.pad(speed, 1, mode="edge")
    return np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])


def _beside(chosen: Bools) -> Bools:
    """Return (N,) what is chosen or beside it."""
    padded = np.pad(chosen, 1)
    return np.asarray(padded[:-2] | padded[1:-1] | padded[2:])
