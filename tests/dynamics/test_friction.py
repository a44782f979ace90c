"""Coulomb friction: it stops, it holds, it leaves behind, it never gives energy."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dynamics.commanded import load_printer, trajectory
from trajerr.dynamics import kernel, plant
from trajerr.dynamics.kernel import _after_friction, _implicit
from trajerr.dynamics.plant import PlantState, simulate

RATE = 5000.0
FRICTION = load_printer().only("friction")


def held_back(axis):
    """How far friction holds a carriage back, F_c/k, mm."""
    return 1000.0 * axis.coulomb_n / axis.stiffness_n_per_m


def let_go(offset, velocity, seconds=0.6, printer=FRICTION):
    """(N, 2) mm: the carriage under a command at rest at 100 mm."""
    state = PlantState(
        index=0,
        command=np.full(2, 100.0),
        axes=np.column_stack([np.full(2, 100.0 + offset), np.full(2, velocity)]),
        late=np.full(2, 100.0),
        jitter=np.zeros(2),
        jitter_index=0,
    )
    path = trajectory(np.full((round(seconds * RATE), 2), 100.0), RATE)
    return simulate(printer, path, seed=0, state=state)


@settings(max_examples=60, deadline=None)
@given(
    offset=st.floats(-0.5, 0.5),
    velocity=st.floats(-80.0, 80.0),
    sample_rate=st.sampled_from([1000.0, 5000.0, 20000.0]),
    smooth=st.sampled_from([1e-4, 0.01, 1.0]),
)
def test_energy_never_grows_in_free_motion(offset, velocity, sample_rate, smooth):
    axis = replace(FRICTION.x, friction_velocity_mm_s=smooth)
    step, still = 1.0 / sample_rate, (0.0, 0.0, 0.0)
    flow, rub = plant._flow(axis, step), plant._rub(axis, step, True)
    x, v = 100.0 + offset, velocity
    energies = []
    for _ in range(round(0.4 * sample_rate)):
        energies.append(axis.mass_kg * v * v + axis.stiffness_n_per_m * (x - 100.0) ** 2)
        x, v = kernel._advance(x, v, 100.0, 100.0, still, 0.0, step, flow, rub)
    # Positions near 100 mm are held to 1e-14 mm, so that energies are to about 1e-11 of these.
    assert np.max(np.diff(energies)) <= 1e-9 * energies[0] + 1e-9


def test_a_carriage_at_rest_stays():
    """Anywhere within F_c/k of the command, for as long as an axis ever waits in a print."""
    limit = held_back(FRICTION.x)
    for share in (-0.95, -0.5, 0.3, 0.9):
        moved = let_go(share * limit, 0.0, 1.0).xy - (100.0 + share * limit)
        assert np.max(np.abs(moved)) < 0.002 * limit


def test_a_carriage_beyond_the_limit_does_not_stay():
    limit = held_back(FRICTION.x)
    resting = let_go(1.5 * limit, 0.0).xy[-1] - 100.0
    assert np.all(np.abs(resting) < limit)


@pytest.mark.parametrize("name", ["ender3_v2", "ender3_stock", "klipper_fast"])
def test_stuck_positions_differ_by_twice_the_offset(name):
    """Approach 100 mm from either side, slowly enough that inertia plays no part."""
    printer = load_printer(name).only("friction")
    time = np.arange(round(1.2 * RATE)) / RATE
    left = np.maximum(1.0 - time, 0.0)
    stuck = []
    for side in (-1.0, 1.0):
        xy = np.repeat(100.0 + side * 0.5 * left[:, None] ** 2, 2, axis=1)
        stuck.append(simulate(printer, trajectory(xy, RATE), seed=0).xy[-1])
    apart = stuck[1] - stuck[0]
    expected = [2.0 * held_back(printer.x), 2.0 * held_back(printer.y)]
    np.testing.assert_allclose(apart, expected, rtol=0.01)


def test_a_moving_carriage_lags_by_the_offset():
    time = np.arange(5000) / RATE
    xy = np.repeat(80.0 + 40.0 * time[:, None], 2, axis=1)
    error = (simulate(FRICTION, trajectory(xy, RATE), seed=0).xy - xy)[-500:]
    np.testing.assert_allclose(error, -held_back(FRICTION.x), rtol=1e-3)


def test_free_decay_loses_four_offsets_a_cycle():
    """Coulomb's linear decay of amplitude, 4 F_c/k a cycle, where damping does not act."""
    bare = {"damping_n_s_per_m": 0.0}
    printer = replace(FRICTION, x=replace(FRICTION.x, **bare), y=replace(FRICTION.y, **bare))
    xy = let_go(1.0, 0.0, 0.4, printer).xy[:, 0] - 100.0
    turning = np.flatnonzero((xy[1:-1] > xy[:-2]) & (xy[1:-1] > xy[2:])) + 1
    peaks = np.concatenate([[1.0], xy[turning]])[:3]
    np.testing.assert_allclose(np.diff(peaks), -4.0 * held_back(FRICTION.x), rtol=2e-3)


@given(
    free=st.floats(-500.0, 500.0),
    drop=st.floats(1e-6, 50.0),
    smooth=st.floats(1e-4, 50.0),
)
def test_the_implicit_velocity_solves_its_equation(free, drop, smooth):
    v = _implicit(free, drop, smooth)
    residual = v + drop * np.tanh(v / smooth) - free
    assert abs(residual) <= 1e-7 * (abs(free) + drop)


@given(
    before=st.floats(-200.0, 200.0),
    push=st.floats(-5.0, 5.0),
    drop=st.floats(0.0, 1.0),
    smooth=st.sampled_from([1e-4, 1e-3, 0.1, 10.0]),
)
def test_friction_takes_no_more_than_it_has_and_has_no_side(before, push, drop, smooth):
    free = before + push
    after, _ = _after_friction(before, free, drop, smooth, 0.8)
    assert abs(after - free) <= drop * (1.0 + 1e-9) + 1e-9
    mirrored, _ = _after_friction(-before, -free, drop, smooth, 0.8)
    assert mirrored == pytest.approx(-after, abs=1e-9)
