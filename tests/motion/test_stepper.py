"""The interrupt's clock of all blocks side by side against one block after the other."""

import numpy as np
import pytest

from trajerr.motion import stepper
from trajerr.motion.stepper import ENOUGH_HZ, TIMER_HZ, StepBlocks, phases

TICKS = int(TIMER_HZ)


def gained(ticks, gain):
    """Whole steps a second, halves up."""
    return (ticks * gain + 2**23) >> 24


def stepped(nominal, initial, final, acceleration, count, ups, downs, centred):
    """One block, interrupt by interrupt, in whole ticks and whole steps a second; s."""
    share = 1
    while nominal * share * 2 < ENOUGH_HZ:
        share *= 2
    gain = acceleration * 2**24 // TICKS  # a tick, in the interrupt's fractions of a step/s
    wait = TICKS // (initial * share)
    spent = wait
    rising = wait // 2 if centred else wait
    falling = wait // 2 if centred else 0
    rate, levelled = initial, False
    first_down = (count - downs) * share
    for done in range(1, count * share):
        if done < ups * share or (done == ups * share and not centred):
            rate = min(gained(rising, gain) + initial, nominal)
            wait = TICKS // (rate * share)
            rising += wait
            falling = 0 if centred else falling
        elif done > first_down or (done == first_down and centred):
            wait = TICKS // (max(rate - gained(falling, gain), final) * share)
            falling += wait
        else:
            wait = TICKS // (nominal * share)
            if centred and not levelled:
                rate, falling, levelled = nominal, wait // 2, True
        spent += wait
    return spent / TICKS


def random_blocks(count, lowest, steps):
    """Blocks between rates that a share of the nominal one limits from below."""
    rng = np.random.default_rng(7)
    rows = []
    for _ in range(count):
        nominal = int(rng.integers(400, 9000))
        initial, final = (int(nominal * rng.uniform(lowest, 1.0)) + 1 for _ in range(2))
        acceleration, total = int(rng.integers(20_000, 400_000)), int(rng.integers(*steps))
        up, down = ((nominal**2 - rate**2) / (2 * acceleration) for rate in (initial, final))
        ups, downs = int(np.ceil(up)), int(np.floor(down))
        if ups + downs > total:
            ups = int(np.clip(np.ceil((total + up - down) / 2), 0, total))
            downs = total - ups
        rows.append((nominal, initial, final, acceleration, total, ups, downs))
    return rows


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("lowest", "steps"), [(0.6, (6, 60)), (0.2, (60, 2000)), (0.01, (1, 4))])
def test_blocks_take_the_sum_of_their_waits(centred, lowest, steps):
    rows = random_blocks(150, lowest, steps)
    columns = np.array(rows, dtype=float).T
    took = phases(StepBlocks(*columns, centred=centred)).duration
    assert took.tolist() == [stepped(*row, centred) for row in rows]
    again = phases(StepBlocks(*columns[:, ::-1], centred=centred)).duration
    assert again[::-1].tolist() == took.tolist()  # what is remembered of long ramps included


def test_blocks_that_are_mixed_to_the_same_number_stay_different(monkeypatch):
    monkeypatch.setattr(stepper, "MIXER", np.uint64(0))
    rows = random_blocks(150, 0.2, (60, 2000))
    columns = np.array(rows, dtype=float).T
    took = phases(StepBlocks(*columns, centred=False)).duration
    assert took.tolist() == [stepped(*row, False) for row in rows]


def test_a_constant_rate_waits_whole_ticks():
    # 5,000 steps/s is 400 ticks a step, 100 an interrupt at four interrupts a step; 5,001 is 99.
    rate = np.array([5000.0, 5001.0])
    nothing = np.zeros(2)
    blocks = StepBlocks(rate, rate, rate, rate, np.full(2, 10.0), nothing, nothing, centred=True)
    assert phases(blocks).duration * 5000.0 == pytest.approx([10.0, 9.9])
