"""How long Marlin's stepper interrupt takes for a block: its speed changes once a step.

The planner means a trapezoid of speed; the interrupt steps through it with a rate that it
looks up at each step (or each part of one, adaptive step smoothing) and holds until the next,
and it waits for a whole number of the timer's ticks, rounded down. A block that begins at 120
steps/s takes milliseconds longer than its trapezoid, one that cruises at 5,000 steps/s about
half a per cent less.

The rates obey r ← r ± a/(o·r) for o interrupts a step. Their squares have the closed form used
here, with the rounding of ticks as its mean; the first and last few are stepped through.
Against Marlin itself a block is right within 0.1 ms as a rule, and within 1 ms where it slows
down to some 30 steps/s.

References
----------
Marlin 2.1 `stepper.cpp`, `Stepper::block_phase_isr` and `Stepper::calc_timer_interval`;
`stepper.h`, `MIN_STEP_ISR_FREQUENCY`.
"""

from dataclasses import dataclass

import numpy as np

from trajerr.arrays import Bools, Floats

TIMER_HZ = 2e6  # the stepper timer of 32-bit boards at 72 MHz
ENOUGH_HZ = 30769.0  # interrupts a second up to which steps are divided: 72 MHz/1170 cycles/2
STEPPED_UP, STEPPED_DOWN = 6, 8  # interrupts that are stepped through
ROUNDS = 4  # of the fixed point that gives the square of a rate


@dataclass(frozen=True)
class StepBlocks:
    """Blocks as the interrupt gets them; (B,) each, rates in steps/s."""

    nominal: Floats
    initial: Floats
    final: Floats
    acceleration: Floats  # steps/s²
    count: Floats  # steps of the axis that makes most
    accelerates: Floats  # steps at which it speeds up
    decelerates: Floats  # steps at which it slows down
    centred: bool  # whether a rate holds in the middle of its step (from 2.1.3 on)


def durations(blocks: StepBlocks) -> Floats:
    """Return (B,) how long blocks take, s."""
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
    top = _wait(blocks.nominal, share)
    rising, fastest = _rise(blocks, share, ups)
    level = total - ups - downs
    falling = _fall(blocks, share, downs, _leaving(blocks, share, fastest, level > 0.0, ups))
    return np.asarray(rising + level * top + falling)


def _interrupts_per_step(rate: Floats) -> Floats:
    """Return (B,) powers of two, as many as keep a rate below the enough."""
    return np.asarray(2.0 ** np.maximum(np.ceil(np.log2(ENOUGH_HZ / rate)) - 1.0, 0.0))


def _ticks(rate: Floats, share: Floats) -> Floats:
    return np.floor(TIMER_HZ / (rate * share))


def _wait(rate: Floats, share: Floats) -> Floats:
    """Return (B,) s between interrupts at a rate."""
    return np.asarray(_ticks(rate, share) / TIMER_HZ)


def _half_wait(rate: Floats, share: Floats) -> Floats:
    return np.asarray(np.floor(_ticks(rate, share) / 2.0) / TIMER_HZ)


def _rise(blocks: StepBlocks, share: Floats, ups: Floats) -> tuple[Floats, Floats]:
    """Return (B,) s of the first ``ups`` interrupts, and the rate of the last of them."""
    wait = _wait(blocks.initial, share)
    took, fastest = wait.copy(), blocks.initial.copy()
    rows = np.flatnonzero(ups > 1.0)
    top, rate, share, ups = blocks.nominal[rows], blocks.acceleration[rows], share[rows], ups[rows]
    gained = _half_wait(blocks.initial[rows], share) if blocks.centred else wait[rows]
    second = np.minimum(blocks.initial[rows] + rate * gained, top)
    last, spent = _climbed(second, top, rate, share, ups - 2.0)
    last = np.round(last)
    fastest[rows] = last
    took[rows] += (
        np.maximum(last - second, 0.0) / rate
        + np.maximum(ups - 2.0 - spent, 0.0) * _wait(top, share)
        + _wait(last, share)
    )
    return took, fastest


def _leaving(
    blocks: StepBlocks, share: Floats, fastest: Floats, cruises: Bools, ups: Floats
) -> Floats:
    """Return (B,) the rate at the first interrupt that slows down, steps/s."""
    if not blocks.centred:
        return fastest
    after = blocks.nominal - blocks.acceleration * _half_wait(blocks.nominal, share)
    at_once = blocks.initial - blocks.acceleration * _half_wait(blocks.initial, share)
    return np.where(cruises, after, np.where(ups > 1.0, fastest, at_once))


def _fall(blocks: StepBlocks, share: Floats, downs: Floats, leaving: Floats) -> Floats:
    """Return (B,) s of the last ``downs`` interrupts."""
    took = np.zeros(len(downs))
    rows = np.flatnonzero(downs > 0.0)
    final, rate, share, downs = (
        blocks.final[rows],
        blocks.acceleration[rows],
        share[rows],
        downs[rows],
    )
    begin = np.maximum(np.round(leaving[rows]), final)
    last, spent = _sunk(begin, final, rate, share, downs - 1.0)
    took[rows] = (
        (begin - last) / rate
        + np.maximum(downs - 1.0 - spent, 0.0) * _wait(final, share)
        + _wait(np.round(last), share)
    )
    return took


def _departure(low: Floats, high: Floats, lag: Floats, share: Floats, sign: float) -> Floats:
    """Return how the square of a rate departs from that of constant acceleration.

    From r² ← r² ± 2a/o + (a/o)²/r², summed by Euler and Maclaurin's formula; and a wait that
    is half a tick shorter than 1/(o·r) passes r²·o/(2·f) more interrupts a second.

    Parameters
    ----------
    low, high : (B,)
        Rates at the ends of the ramp, steps/s.
    lag : (B,)
        a/o, steps/s².
    share : (B,)
        o, interrupts a step.
    sign
        1.0 where the rate rises, -1.0 where it falls.
    """
    low2, high2 = low * low, high * high
    ends = 0.25 * lag * lag * (1.0 / low2 - 1.0 / high2)
    ticks = share / (3.0 * TIMER_HZ) * (high2 * high - low2 * low)
    return np.asarray(0.5 * lag * np.log(high2 / low2) + sign * (ends - ticks))


def _climbed(
    rate: Floats, top: Floats, acceleration: Floats, share: Floats, steps: Floats
) -> tuple[Floats, Floats]:
    """Return (B,) the rate after ``steps`` interrupts, at most ``top``, and how many it took."""
    spent, left = np.zeros(len(rate)), np.maximum(steps, 0.0)
    for _ in range(STEPPED_UP):
        goes = (left > 0.0) & (rate < top)
        gain = acceleration * _wait(np.round(rate), share)
        spent += np.where(goes, np.minimum((top - rate) / gain, 1.0), 0.0)
        rate = np.where(goes, np.minimum(rate + gain, top), rate)
        left = left - goes
    lag = acceleration / share
    needed = np.maximum(top * top - rate * rate - _departure(rate, top, lag, share, 1.0), 0.0)
    reached = np.minimum(np.sqrt(rate * rate + 2.0 * lag * left), top)
    for _ in range(ROUNDS):
        square = rate * rate + 2.0 * lag * left + _departure(rate, reached, lag, share, 1.0)
        reached = np.clip(np.sqrt(np.maximum(square, 0.0)), rate, top)
    hits = needed <= 2.0 * lag * left
    spent += np.where(hits, needed / (2.0 * lag), left)
    return np.where(hits, top, reached), spent


def _sunk(
    rate: Floats, bottom: Floats, acceleration: Floats, share: Floats, steps: Floats
) -> tuple[Floats, Floats]:
    """Return (B,) the rate after ``steps`` interrupts, at least ``bottom``, and how many."""
    lag = acceleration / share
    left = np.maximum(steps - STEPPED_DOWN, 0.0)
    needed = np.maximum(
        rate * rate - bottom * bottom + _departure(bottom, rate, lag, share, -1.0), 0.0
    )
    reached = np.sqrt(np.maximum(rate * rate - 2.0 * lag * left, bottom * bottom))
    for _ in range(ROUNDS):
        square = rate * rate - 2.0 * lag * left + _departure(reached, rate, lag, share, -1.0)
        reached = np.clip(np.sqrt(np.maximum(square, 0.0)), bottom, rate)
    hits = needed <= 2.0 * lag * left
    spent = np.where(hits, needed / (2.0 * lag), left)
    rate = np.where(hits, bottom, reached)
    for _ in range(STEPPED_DOWN):
        goes = (left < steps) & (rate > bottom)
        loss = acceleration * _wait(np.round(rate), share)
        spent += np.where(goes, np.minimum((rate - bottom) / loss, 1.0), 0.0)
        rate = np.where(goes, np.maximum(rate - loss, bottom), rate)
        left = left + 1.0
    return rate, spent
