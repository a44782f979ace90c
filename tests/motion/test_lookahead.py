"""Look-ahead against slower, independent ways to the same speeds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trajerr.motion.lookahead import buffered_look_ahead, look_ahead, smoothed_look_ahead

squares = st.floats(0.0, 1e4)


@st.composite
def chains(draw):
    n = draw(st.integers(2, 25))
    junction = np.array(draw(st.lists(squares, min_size=n + 1, max_size=n + 1)))
    change = np.array(draw(st.lists(st.floats(0.1, 3e3), min_size=n, max_size=n)))
    coupled = np.array([*draw(st.lists(st.booleans(), min_size=n - 1, max_size=n - 1)), False])
    entry_cap, exit_cap = junction[:-1].copy(), junction[1:].copy()
    entry_cap[1:][~coupled[:-1]] *= 0.5
    return entry_cap, exit_cap, coupled, change


def relaxed(entry_cap, exit_cap, coupled, change):
    """Lower every speed until nothing can be lowered: the largest consistent solution."""
    entry, exits = entry_cap.copy(), exit_cap.copy()
    for _ in range(2 * len(entry) + 2):
        entry = np.minimum(entry, exits + change)
        exits = np.minimum(exits, entry + change)
        shared = np.minimum(exits[:-1], entry[1:])
        exits[:-1] = np.where(coupled[:-1], shared, exits[:-1])
        entry[1:] = np.where(coupled[:-1], shared, entry[1:])
    return entry, exits


@given(chain=chains())
def test_look_ahead_is_the_fastest_consistent_solution(chain):
    entry, exits = look_ahead(*chain)
    expected = relaxed(*chain)
    np.testing.assert_allclose(entry, expected[0], rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(exits, expected[1], rtol=1e-12, atol=1e-9)


@given(chain=chains(), blocks=st.integers(1, 6))
def test_limited_look_ahead_can_always_stop_within_its_window(chain, blocks):
    _, exit_cap, coupled, change = chain
    entry, exits = look_ahead(*chain, blocks)
    assert np.all(np.abs(exits - entry) <= change + 1e-9)
    for i in range(len(entry)):
        # Braking all the way from the end of i through the other known segments.
        speed, j = exits[i], i
        while coupled[j] and j < i + blocks - 1:
            j += 1
            speed -= change[j]
        limit = 0.0 if coupled[j] else exit_cap[j]
        assert speed <= limit + 1e-9


@given(chain=chains())
def test_wide_window_is_complete_look_ahead(chain):
    for wide, whole in zip(look_ahead(*chain, 30), look_ahead(*chain), strict=True):
        np.testing.assert_allclose(wide, whole, atol=1e-9)


@given(chain=chains())
def test_a_wider_window_is_never_slower(chain):
    before = 0.0
    for blocks in (1, 2, 4, 8):
        entry, _ = look_ahead(*chain, blocks)
        assert np.all(entry >= before - 1e-9)
        before = entry


def joined(n):
    return np.append(np.full(n - 1, True), False)


@given(chain=chains())
def test_cruise_ratio_zero_is_plain_look_ahead(chain):
    entry_cap, _, _, change = chain
    entry_cap[0] = 0.0
    cruise = np.full(len(change), 1e5)
    exit_cap = np.append(entry_cap[1:], 0.0)
    expected = look_ahead(entry_cap, exit_cap, joined(len(change)), change)
    entry, _, exits = smoothed_look_ahead(entry_cap, cruise, change, change)
    np.testing.assert_allclose(entry, expected[0], atol=1e-8)
    np.testing.assert_allclose(exits, expected[1], atol=1e-8)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9])
def test_a_single_move_cruises_for_the_minimum_cruise_ratio(ratio):
    distance, rate = 2.0, 3000.0
    change = np.array([2.0 * rate * distance])
    _, cruise, _ = smoothed_look_ahead(np.zeros(1), np.array([1e6]), change, change * (1.0 - ratio))
    ramps = 2.0 * cruise[0] / (2.0 * rate)
    assert 1.0 - ramps / distance == pytest.approx(ratio, rel=1e-12)


@given(chain=chains(), ratio=st.floats(0.0, 0.95))
def test_smoothed_speeds_are_consistent(chain, ratio):
    entry_cap, _, _, change = chain
    cruise = np.maximum(entry_cap, np.append(entry_cap[1:], 0.0)) + 50.0
    entry, peak, exits = smoothed_look_ahead(entry_cap, cruise, change, change * (1.0 - ratio))
    np.testing.assert_allclose(exits[:-1], entry[1:], atol=1e-9)
    assert entry[0] == exits[-1] == 0.0
    assert np.all(entry <= entry_cap + 1e-9)
    assert np.all(peak <= cruise + 1e-9)
    assert np.all(peak >= np.maximum(entry, exits))
    assert np.all(2.0 * peak - entry - exits <= change + 1e-6)


@given(chain=chains(), pauses=st.lists(st.booleans(), min_size=25, max_size=25))
def test_marlins_whole_look_ahead_is_the_fastest_consistent_solution(chain, pauses):
    entry_cap, _, _, change = chain
    n = len(change)
    resumes = np.array([True, *pauses[1:n]])
    slowest, none = np.full(n, 0.01), np.zeros(n, dtype=bool)
    entry_cap = np.maximum(entry_cap, slowest)
    entry, exits = buffered_look_ahead(entry_cap, slowest, slowest, change, resumes, none)
    ends = np.append(resumes[1:], True)
    caps = np.where(resumes, slowest, entry_cap)
    after = np.where(ends, slowest, np.append(caps[1:], 0.0))
    expected = relaxed(caps, after, ~ends, change)
    np.testing.assert_allclose(entry, np.where(resumes, slowest, expected[0]), atol=1e-9)
    np.testing.assert_allclose(exits[~ends], entry[1:][~ends[:-1]], atol=0.0)
    wide, _ = buffered_look_ahead(entry_cap, slowest, slowest, change, resumes, none, 64)
    np.testing.assert_allclose(wide, entry, atol=1e-9)


def test_marlins_ring_knows_thirteen_blocks():
    """Thirty blocks of a delta of 10: an entry is what the thirteen that follow can stop from."""
    n = 30
    slow = np.zeros(n)
    resumes = np.arange(n) == 0
    entry, _ = buffered_look_ahead(
        np.full(n, 1e3), slow, slow, np.full(n, 10.0), resumes, resumes & False, 16
    )
    # Speeding up from rest meets what may be braked from: the second block knows one more.
    assert entry.tolist() == [min(10.0 * i, 130.0, 10.0 * (n - i)) for i in range(n)]
