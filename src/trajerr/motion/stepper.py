"""How long Marlin's stepper interrupt takes for a block: its speed changes once a step.

The planner means a trapezoid of speed; the interrupt steps through it with a rate that it
looks up at each step (or each part of one, adaptive step smoothing) and holds until the next,
and it waits for a whole number of the timer's ticks, rounded down. A block that begins at 120
steps/s takes milliseconds longer than its trapezoid, one that cruises at 5,000 steps/s about
half a per cent less.

Ramps are run here as the interrupt runs them, in its whole numbers, all blocks side by side: the
rate at which a block begins to slow down is one of them, which no formula gives, and one step a
second more of it is up to a millisecond less. Doubles hold all of these numbers exactly.

Does not know interrupts that make several steps at once, as above 61,538 steps/s.

References
----------
Marlin 2.1 `stepper.cpp`, `Stepper::block_phase_isr` and `Stepper::calc_timer_interval`;
`stepper.h`, `MIN_STEP_ISR_FREQUENCY`; `planner.cpp`, `acceleration_rate`; `math_32bit.h`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from trajerr.arrays import Bools, Floats, Ints

TIMER_HZ = 2e6  # the stepper timer of 32-bit boards at 72 MHz
IDLE_S = 1e-3  # s between two looks for a block when there is none
ENOUGH_HZ = 30769.0  # interrupts a second up to which steps are divided: 72 MHz/1170 cycles/2
FRACTION = 2.0**24  # of a step/s: in such parts the interrupt counts what it gains a tick

LONG = 500  # interrupts of a ramp that is worth remembering
MOST_SEEN = 100_000
UNKNOWN = [-1.0, -1.0]  # ticks of a ramp that was not seen yet
MIXER = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ by the golden ratio, as multiplicative hashing has it


@dataclass(frozen=True)
class StepBlocks:
    """Blocks as the interrupt gets them; (B,) each, whole numbers, rates in steps/s."""

    nominal: Floats
    initial: Floats
    final: Floats
    acceleration: Floats  # steps/s²
    count: Floats  # steps of the axis that makes most
    accelerates: Floats  # steps at which it speeds up
    decelerates: Floats  # steps at which it slows down
    centred: bool  # whether a rate holds in the middle of its step (from 2.1.3 on)


@dataclass(frozen=True)
class StepPhases:
    """How blocks run: speeding up, at their nominal rate, and slowing down; (B, 3) each."""

    ticks: Floats
    steps: Floats  # of the axis that makes most

    @property
    def time(self) -> Floats:
        """(B, 3) s that phases take."""
        return self.ticks / TIMER_HZ

    @property
    def duration(self) -> Floats:
        """(B,) s that blocks take."""
        return np.asarray(self.ticks.sum(axis=1) / TIMER_HZ)


def phases(blocks: StepBlocks) -> StepPhases:
    """Run blocks through the interrupt."""
    share = _interrupts_per_step(blocks.nominal)
    total = blocks.count * share
    up = blocks.accelerates * share
    first_down = (blocks.count - blocks.decelerates) * share
    if blocks.centred:
        ups = np.clip(up, 1.0, total)
        downs = np.maximum(total - np.maximum(first_down, ups), 0.0)
    else:
        ups = np.minimum(up + 1.0, total)
        downs = np.maximum(total - np.maximum(first_down + 1.0, ups), 0.0)
    level = total - ups - downs
    ramps = _Ramps(
        nominal=blocks.nominal,
        initial=blocks.initial,
        final=blocks.final,
        acceleration=blocks.acceleration,
        ups=ups,
        downs=downs,
        cruises=level > 0.0,
    )
    # Prints repeat themselves: ramps of a kind are run once.
    first, kind = _alike(ramps.columns)
    rising, falling = _all_run(ramps.rows(first), blocks.centred)[kind].T
    return StepPhases(
        np.column_stack([rising, level * _wait(blocks.nominal, share), falling]),
        np.column_stack([ups, level, downs]) / share[:, None],
    )


def _alike(columns: Sequence[Floats | Bools]) -> tuple[Ints, Ints]:
    """Return (K,) rows of which none is as another, and (B,) which of them each row is as.

    Parameters
    ----------
    columns
        Of (B,) whole numbers.
    """
    mixed = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        mixed = mixed * MIXER + column.astype(np.int64).view(np.uint64)
    _, first, kind = np.unique(mixed, return_index=True, return_inverse=True)
    if all(np.array_equal(column[first][kind], column) for column in columns):
        return first, kind
    every = np.arange(len(mixed))  # two that differ were mixed to the same number
    return every, every


@dataclass(frozen=True)
class _Ramps:
    """How blocks begin and end; (B,) each, rates in steps/s."""

    nominal: Floats
    initial: Floats
    final: Floats
    acceleration: Floats  # steps/s²
    ups: Floats  # interrupts until it no longer speeds up, the first of all included
    downs: Floats  # interrupts from which on it slows down
    cruises: Bools  # whether there are any in between

    @property
    def columns(self) -> list[Floats | Bools]:
        """All that tells one from another."""
        return [getattr(self, field.name) for field in fields(self)]

    def rows(self, index: Ints | Bools) -> Self:
        """Return the chosen rows."""
        return replace(self, **{f.name: getattr(self, f.name)[index] for f in fields(self)})


_Kind = tuple[float, ...]
_seen: dict[_Kind, list[float]] = {}  # ticks of long ramps, whichever plan ran them


def _all_run(ramps: _Ramps, centred: bool) -> Floats:
    """Return (B, 2) ticks that blocks take to speed up and to slow down.

    Long ones are looked up if they can be. Whoever plans a part of a print again and again changes
    few of its long ramps, and a loop over thousands of interrupts takes about as long for one of
    them as for hundreds.
    """
    ticks, long = np.zeros((len(ramps.ups), 2)), ramps.ups + ramps.downs > LONG
    ticks[~long] = _run(ramps.rows(~long), centred)
    rows = np.flatnonzero(long)
    columns = [column.tolist() for column in ramps.rows(rows).columns]
    kinds = [(centred, *kind) for kind in zip(*columns, strict=True)]
    if len(rows):
        ticks[rows] = [_seen.get(kind, UNKNOWN) for kind in kinds]
    new = np.flatnonzero(ticks[rows, 0] < 0.0)
    if len(new):
        ticks[rows[new]] = _run(ramps.rows(rows[new]), centred)
        if len(_seen) > MOST_SEEN:
            _seen.clear()
        _seen.update(zip((kinds[i] for i in new), ticks[rows[new]].tolist(), strict=True))
    return ticks


def _run(ramps: _Ramps, centred: bool) -> Floats:
    """Return (B, 2) ticks that blocks take to speed up, and to slow down."""
    share = _interrupts_per_step(ramps.nominal)
    begin, gain = _wait(ramps.initial, share), _gained_per_tick(ramps.acceleration)
    gained = np.floor(0.5 * begin) if centred else begin
    rising, fastest = _ramp(gained, ramps.ups - 1.0, gain, ramps.initial, ramps.nominal, share)
    lost = np.zeros(len(begin))
    if centred:
        lost = np.where(ramps.ups > 1.0, 0.0, gained)
        top = _wait(ramps.nominal, share)
        lost = np.where(ramps.cruises, np.floor(0.5 * top), lost)
        fastest = np.where(ramps.cruises, ramps.nominal, fastest)
    falling, _ = _ramp(lost, ramps.downs, gain, -fastest, -ramps.final, share)
    return np.column_stack([begin + rising, falling])


def idle(resumes: Bools) -> Floats:
    """Return (B,) how long the interrupt takes to see that blocks have come after a rest, s.

    It found the queue empty when the last one ended, and looks again once a millisecond.

    Parameters
    ----------
    resumes
        (B,) whether the queue had run empty before; the first block's first look starts the clock.
    """
    wait = np.where(resumes, IDLE_S, 0.0)
    wait[:1] = 0.0
    return wait


def _interrupts_per_step(rate: Floats) -> Floats:
    """Return (B,) powers of two, as many as keep a rate below the enough."""
    return np.asarray(2.0 ** np.maximum(np.ceil(np.log2(ENOUGH_HZ / rate)) - 1.0, 0.0))


def _gained_per_tick(acceleration: Floats) -> Floats:
    """Return (B,) steps/s that a tick of acceleration brings, rounded as in single precision."""
    parts = acceleration.astype(np.float32) * np.float32(FRACTION / TIMER_HZ)
    return np.asarray(np.floor(parts.astype(np.float64)) / FRACTION)


def _wait(rate: Floats, share: Floats) -> Floats:
    """Return (B,) ticks between interrupts at a rate."""
    return np.asarray(np.floor(TIMER_HZ / (rate * share)))


def _ramp(
    elapsed: Floats, waits: Floats, gain: Floats, begin: Floats, limit: Floats, share: Floats
) -> tuple[Floats, Floats]:
    """Return (B,) ticks that ramps take, and the rates of their last waits, steps/s.

    Parameters
    ----------
    elapsed : (B,)
        Ticks that count as spent when the ramp begins.
    waits : (B,)
        How many interrupts the ramp has; a ramp of none stays at its first rate.
    gain : (B,)
        Steps/s a tick.
    begin, limit : (B,)
        The first rate, and the one that is not passed, steps/s; both negative for a ramp
        that slows down, which is one that speeds up the other way.
    share : (B,)
        Interrupts a step.
    """
    took, last = np.zeros(len(waits)), np.abs(begin)
    rows = np.flatnonzero(waits > 0.0)
    rows = rows[np.argsort(-waits[rows], kind="stable")]
    running = len(rows) - np.cumsum(np.bincount(waits[rows].astype(np.int64)))
    gain, limit, half_up = gain[rows], limit[rows], begin[rows] + 0.5
    meant, rate, wait = half_up + elapsed[rows] * gain, np.zeros(len(rows)), np.zeros(len(rows))
    ticks = np.copysign(TIMER_HZ / share[rows], limit)
    columns: tuple[Floats, ...] = (meant, rate, wait, gain, limit, ticks)
    for count in running[:-1].tolist():
        if count < len(columns[0]):
            columns = tuple(column[:count] for column in columns)
        _wait_once(*columns)
    took[rows], last[rows] = (meant - half_up) / gain - elapsed[rows], np.abs(rate)
    return took, last


def _wait_once(
    meant: Floats, rate: Floats, wait: Floats, gain: Floats, limit: Floats, ticks: Floats
) -> None:
    """Look a whole rate up, wait as many ticks as it says, and mean the faster for it; in place."""
    np.floor(meant, out=rate)
    np.minimum(rate, limit, out=rate)
    np.divide(ticks, rate, out=wait)
    np.floor(wait, out=wait)
    np.multiply(wait, gain, out=wait)
    np.add(meant, wait, out=meant)
