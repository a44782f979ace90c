"""Marlin's planner: from blocks of whole steps to the speeds that its step interrupt runs.

Knows three builds: classic jerk up to 2.1.2, classic jerk as rewritten for 2.1.3, and junction
deviation as in 2.1.2. Arithmetic is in single precision where the firmware's is and where its
rounding (of rates to whole steps a second, above all) decides.

References
----------
Marlin 2.1.2.1 and bugfix-2.1.x of 2024-09, `planner.cpp`, `Planner::_populate_block`,
`Planner::calculate_trapezoid_for_block`; `G2_G3.cpp`, `plan_arc`.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from trajerr.arrays import Bools, Floats, Ints, Reals
from trajerr.gcode.program import Moves
from trajerr.motion import junction
from trajerr.motion.axes import largest, least
from trajerr.motion.limits import LimitTable, MachineLimits
from trajerr.motion.lookahead import buffered_look_ahead
from trajerr.motion.phases import Phases
from trajerr.motion.profile import peak_v2
from trajerr.motion.segments import Segments
from trajerr.motion.stepper import TIMER_HZ, StepBlocks, phases

RING = 16  # blocks of its queue, unless limits.lookahead_blocks says otherwise
CRAWL = 0.05  # mm/s up to 2.1.2, MINIMUM_PLANNER_SPEED
SLOWEST_RATE = 120.0  # steps/s up to 2.1.2, MINIMAL_STEP_RATE
SLOWEST_TIMED = np.floor(TIMER_HZ / 65535.0)  # steps/s later: the longest wait of the timer


@dataclass(frozen=True)
class Arcs:
    """What Marlin's arcs tell its planner of their pieces; (S,) rows."""

    radius: Floats  # mm; 0 at an arc's last piece, and off arcs
    inner: Bools  # whether it is neither an arc's first piece nor its last
    ahead: Floats  # mm of the arc behind the piece

    def rows(self, index: Ints) -> Self:
        """Return the chosen rows."""
        return type(self)(self.radius[index], self.inner[index], self.ahead[index])

    @classmethod
    def of(cls, moves: Moves, pieces: Segments) -> Self:
        """Find the pieces of arcs among (S,) pieces of moves."""
        radius, ahead = np.zeros(len(pieces)), np.zeros(len(pieces))
        inner = np.zeros(len(pieces), dtype=bool)
        rows = np.flatnonzero((moves.sweep[pieces.move] != 0.0) & pieces.is_motion)
        if len(rows):
            move = pieces.move[rows]
            first = np.concatenate([[True], move[1:] != move[:-1]])
            last = np.append(first[1:], True)
            begin = np.flatnonzero(first)
            count = np.diff(np.append(begin, len(rows)))
            done = np.arange(1, len(rows) + 1) - np.repeat(begin, count)
            reach = np.hypot(*moves.offset[move].T)
            radius[rows] = np.where(last, 0.0, reach)
            inner[rows] = ~(first | last)
            left = 1.0 - done / np.repeat(count, count)
            ahead[rows] = reach * np.abs(moves.sweep[move]) * left
        return cls(radius, inner, ahead)


@dataclass(frozen=True)
class Speeds:
    """How blocks run; (B,) each."""

    entry: Floats  # mm/s
    cruise: Floats  # mm/s
    exit: Floats  # mm/s
    acceleration: Floats  # mm/s²
    duration: Floats  # s
    phases: Phases  # as the step interrupt runs them


@dataclass(frozen=True)
class _Blocks:
    """Blocks as `_populate_block` fills them; (B,) each, single precision but for the counts."""

    travel: Reals  # (B, 4) mm
    length: Reals  # mm
    count: Floats  # steps of the axis that makes most
    velocity: Reals  # (B, 4) mm/s of the axes at nominal speed
    nominal: Reals  # mm/s
    rate: Floats  # steps/s, nominal
    step_acceleration: Floats  # steps/s²
    acceleration: Reals  # mm/s²

    @property
    def delta_v2(self) -> Floats:
        """(B,) 2·a·d, mm²/s²."""
        return np.asarray(2.0 * self.acceleration * self.length, dtype=np.float64)


def run(
    blocks: Segments,
    table: LimitTable,
    feedrate: Floats,
    resumes: Bools,
    arcs: Arcs,
    limits: MachineLimits,
) -> Speeds:
    """Return how Marlin runs blocks.

    Parameters
    ----------
    blocks
        B blocks that move, of whole steps.
    table
        (B,) limits in force.
    feedrate
        (B,) mm/s, as asked for.
    resumes
        (B,) whether the queue had run empty before.
    arcs
        (B,) arcs' pieces.
    limits
        The machine's.
    """
    filled = _fill(blocks, table, feedrate, resumes, limits)
    rewritten = limits.firmware == "marlin"
    exempt = np.zeros(len(blocks), dtype=bool)
    if rewritten:
        slowest_v2 = 0.5 * filled.acceleration * filled.length / filled.count
        slowest_v2 = np.minimum(slowest_v2, filled.nominal**2)
    else:
        slowest_v2 = np.full(len(blocks), CRAWL**2)
        exempt = filled.nominal**2 <= slowest_v2 + filled.delta_v2
    max_start_v2 = np.maximum(_entries(filled, table, arcs, limits) ** 2, slowest_v2)
    known_v2 = np.maximum(_stoppable_v2(arcs, table, feedrate, rewritten), slowest_v2)
    entry_v2, exit_v2 = buffered_look_ahead(
        max_start_v2,
        slowest_v2,
        known_v2,
        filled.delta_v2,
        resumes,
        exempt,
        limits.lookahead_blocks,
    )
    return _step(filled, np.sqrt(entry_v2), np.sqrt(exit_v2), rewritten)


def _fill(
    blocks: Segments, table: LimitTable, feedrate: Floats, resumes: Bools, limits: MachineLimits
) -> _Blocks:
    per_mm = np.asarray(limits.steps_per_mm)
    steps = np.rint(blocks.direction * blocks.distance[:, None] * per_mm)
    whole = np.abs(steps)
    count = np.asarray(largest(whole), dtype=np.float64)
    travel = steps.astype(np.float32) * (np.float32(1.0) / per_mm.astype(np.float32))
    length = _lengths(whole, travel, limits.min_steps)
    extrudes = steps[:, 3] != 0.0
    moves_head = (whole[:, 0] + whole[:, 1] + whole[:, 2]) > 0.0
    slowest = np.where(extrudes, table.min_print_velocity, table.min_travel_velocity)
    inverse = np.float32(1.0) / length
    # Every feedrate goes through per cents, which costs some their last bit.
    asked = feedrate.astype(np.float32) * np.float32(0.01) * np.float32(100.0)
    per_second = np.maximum(asked, slowest.astype(np.float32)) * inverse
    per_second = _slowed(per_second, resumes, limits)
    nominal, rate = length * per_second, np.ceil(count.astype(np.float32) * per_second)
    velocity = travel * per_second[:, None]
    with np.errstate(divide="ignore"):
        factor = least(table.max_velocity.astype(np.float32) / np.abs(velocity))
    limited = factor < 1.0
    if limited.any():
        nominal = np.where(limited, nominal * factor, nominal)
        rate = np.where(limited, np.floor(rate * factor), rate)
        velocity = np.where(limited[:, None], velocity * factor[:, None], velocity)
    density = count.astype(np.float32) * inverse
    moving = np.where(extrudes, table.print_acceleration, table.travel_acceleration)
    moving = np.where(moves_head, moving, table.retract_acceleration).astype(np.float32)
    wanted = np.ceil(moving * density).astype(np.float64)
    most = np.floor(table.max_acceleration * per_mm) * count[:, None]
    with np.errstate(divide="ignore"):
        allowed = np.floor(least(most / whole))
    step_acceleration = np.where(moves_head, np.minimum(wanted, allowed), wanted)
    return _Blocks(
        travel=travel,
        length=length,
        count=count,
        velocity=velocity,
        nominal=nominal,
        rate=np.maximum(rate, 1.0).astype(np.float64),
        step_acceleration=np.maximum(step_acceleration, 1.0),
        acceleration=(step_acceleration / density).astype(np.float32),
    )


def _lengths(whole: Floats, travel: Reals, min_steps: int) -> Reals:
    """Return (B,) mm that blocks travel, by their (B, 4) whole steps and ways.

    In single precision, in which the last bit decides whether a rate is the next whole number.
    """
    x, y, z, e = travel.T
    moves_head = (whole[:, :3] >= min_steps).any(axis=1)
    return np.asarray(np.where(moves_head, np.sqrt(x * x + y * y + z * z), np.abs(e)))


def _slowed(per_second: Reals, resumes: Bools, limits: MachineLimits) -> Reals:
    """Return (B,) 1/s of blocks with those stretched that find the queue draining (`SLOWDOWN`).

    That is where it fills up again: a main loop that keeps up has it full elsewhere.
    """
    begin = np.flatnonzero(resumes)
    queued = np.arange(len(resumes)) - begin[np.cumsum(resumes) - 1]
    drains = (queued >= 2) & (queued < (limits.lookahead_blocks or RING) // 2)
    rows = np.flatnonzero(drains)
    took = np.rint(1e6 / per_second[rows])
    short = np.rint(1e6 * limits.min_segment_time_s) - took
    rows, took, short = rows[short > 0.0], took[short > 0.0], short[short > 0.0]
    if not len(rows):
        return per_second
    slowed = per_second.copy()
    slowed[rows] = 1e6 / (took + np.floor(2.0 * short / queued[rows]))
    return slowed


def _entries(blocks: _Blocks, table: LimitTable, arcs: Arcs, limits: MachineLimits) -> Reals:
    """Return (B,) the highest speed at which blocks may be entered, mm/s."""
    jerk = table.jerk.astype(np.float32)
    if limits.firmware == "marlin":
        return junction.classic_jerk(blocks.velocity, blocks.nominal, jerk)
    if limits.firmware == "marlin_2_1_2":
        safe = junction.safe_speed(blocks.velocity, blocks.nominal, jerk)
        return junction.classic_jerk_2_1_2(blocks.velocity, blocks.nominal, jerk, safe)
    return junction.junction_deviation(
        blocks.travel / blocks.length[:, None],
        blocks.length,
        blocks.nominal,
        blocks.acceleration,
        table.max_acceleration.astype(np.float32),
        table.junction_deviation.astype(np.float32),
        np.where(arcs.inner, arcs.radius, 0.0),
        CRAWL,
    )


def _stoppable_v2(arcs: Arcs, table: LimitTable, feedrate: Floats, rewritten: bool) -> Floats:
    """Return (B,) the squared speed at which an arc's piece may end as the last one known.

    From it the head can stop within the rest of the arc. Up to 2.1.2 the limit of y is by a
    slip its acceleration, read as a speed.
    """
    if not np.any(arcs.ahead):
        return np.zeros(len(feedrate))
    acceleration = table.max_acceleration[:, :2].min(axis=1)
    of_y = table.max_velocity[:, 1] if rewritten else table.max_acceleration[:, 1]
    fastest = np.minimum(np.minimum(table.max_velocity[:, 0], of_y), feedrate)
    way = np.minimum(np.minimum(fastest**2 / acceleration, arcs.radius), 2.0 * arcs.ahead)
    return np.asarray(acceleration * way)


def _step(blocks: _Blocks, entry: Floats, exit_: Floats, rewritten: bool) -> Speeds:
    """Return speeds as whole rates of steps, and how long the interrupt takes with them."""
    nominal, rate = blocks.nominal, blocks.rate
    if rewritten:
        density = (blocks.count / blocks.length).astype(np.float32)
        initial, final = (
            np.maximum(np.rint(speed.astype(np.float32) * density), SLOWEST_TIMED)
            for speed in (entry, exit_)
        )
        rate = np.maximum(rate, SLOWEST_TIMED)
    else:
        inverse = np.float32(1.0) / nominal
        initial, final = (
            np.maximum(
                np.ceil(rate.astype(np.float32) * (speed.astype(np.float32) * inverse)),
                SLOWEST_RATE,
            )
            for speed in (entry, exit_)
        )
    initial, final = initial.astype(np.float64), final.astype(np.float64)
    accelerates, decelerates = _ramps(blocks, rate, initial, final, rewritten)
    step = blocks.length.astype(np.float64) / blocks.count
    # A rate above the nominal one is never run.
    begin, end, cruise = (
        r * step for r in (np.minimum(initial, rate), np.minimum(final, rate), rate)
    )
    length = step * blocks.count
    acceleration = blocks.step_acceleration * step
    # Rounded rates may ask for a little more than the acceleration gives.
    acceleration = np.maximum(acceleration, np.abs(end**2 - begin**2) / (2.0 * length))
    cruise = np.sqrt(peak_v2(begin**2, end**2, 2.0 * acceleration * length, cruise))
    ran = phases(
        StepBlocks(
            nominal=rate,
            initial=initial,
            final=final,
            acceleration=blocks.step_acceleration,
            count=blocks.count,
            accelerates=accelerates,
            decelerates=decelerates,
            centred=rewritten,
        )
    )
    as_run = Phases.of(ran.time, ran.steps * step[:, None], blocks.step_acceleration * step)
    return Speeds(begin, cruise, end, acceleration, ran.duration, as_run)


def _ramps(
    blocks: _Blocks, rate: Floats, initial: Floats, final: Floats, rewritten: bool
) -> tuple[Floats, Floats]:
    """Return (B,) whole steps at which blocks speed up, and at which they slow down."""
    half = np.float32(0.5) * (np.float32(1.0) / blocks.step_acceleration.astype(np.float32))
    top = rate.astype(np.float32) ** 2
    up, down = (half * (top - r.astype(np.float32) ** 2) for r in (initial, final))
    ups, downs = np.ceil(up), np.ceil(down) if rewritten else np.floor(down)
    count = blocks.count.astype(np.float32)
    meet = (count + up - down) * np.float32(0.5)
    meet = np.floor(meet + np.float32(0.5)) if rewritten else np.ceil(meet)
    meet = np.clip(meet, 0.0, count)
    peaks = ups + downs > count
    ups, downs = np.where(peaks, meet, ups), np.where(peaks, count - meet, downs)
    return np.maximum(ups, 0.0).astype(np.float64), downs.astype(np.float64)
