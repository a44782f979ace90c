"""The whole plant: convergence, an independent integrator, each effect alone, carried state."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tests.dynamics.commanded import load_printer, piece, trajectory, wandering
from trajerr.dynamics.plant import (
    SIMULATION_RATE_HZ,
    decimate,
    noise_floor,
    simulate,
    simulate_decimated,
)
from trajerr.dynamics.printer import EFFECTS
from trajerr.gcode.parts import load_part
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample

PRINTERS = ("ender3_v2", "ender3_stock", "klipper_fast", "corexy")


def with_axes(printer, **changes):
    return replace(printer, x=replace(printer.x, **changes), y=replace(printer.y, **changes))


def actual(printer, sample_rate, every=1, **path):
    return simulate(printer, trajectory(wandering(sample_rate, **path), sample_rate), seed=0).xy[
        ::every
    ]


@pytest.fixture(scope="module")
def layer():
    """A layer of the embedded tugboat at twice the simulation's rate, 8 s long."""
    motion = plan(load_part("tugboat"), load_printer().limits)
    begin = round(motion.layer_span(20)[0] * SIMULATION_RATE_HZ) / SIMULATION_RATE_HZ
    return sample(motion, 2.0 * SIMULATION_RATE_HZ, begin, begin + 8.0)


SMOOTH = with_axes(load_printer().without("quantisation", "jitter"), friction_velocity_mm_s=20.0)
CONVERGENCE = {  # printer, path, least order, exact instants of microsteps aside
    "smooth friction, no microsteps, no jumps": (SMOOTH, {"jump": 0.0, "seconds": 1.5}, 1.9),
    "default without microsteps and jitter": (
        load_printer().without("quantisation", "jitter"),
        {},
        1.7,
    ),
    "default": (load_printer(), {}, 1.1),
}


@pytest.mark.parametrize("case", CONVERGENCE)
def test_order_of_convergence(case):
    """Instants at which the motor steps, found by interpolation, leave the last between 1 and 2."""
    printer, path, least = CONVERGENCE[case]
    rates = [1250, 2500, 5000, 10000, 20000]
    finest = actual(printer, 160000, 128, **path)
    errors = [np.std(actual(printer, rate, rate // 1250, **path) - finest) for rate in rates]
    order = -np.polyfit(np.log(rates), np.log(errors), 1)[0]
    shown = ", ".join(f"{1e3 * e:.4f}" for e in errors)
    print(f"{case}: RMS at {rates} Hz {shown} µm, order {order:.2f}")
    assert order > least, errors


@pytest.mark.parametrize("name", PRINTERS)
def test_halving_the_step_changes_little(name, layer):
    printer = load_printer(name)
    half = simulate(printer, layer, seed=0).xy[::2]
    coarse, _ = decimate(layer, simulate(printer, layer, seed=0), SIMULATION_RATE_HZ)
    whole = simulate(printer, coarse, seed=0).xy
    moved = 1e3 * (whole - half)
    print(f"{name}: the half step moves it by {np.std(moved):.4f} µm, {np.max(np.abs(moved)):.3f}")
    assert np.max(np.abs(moved)) < 0.1


def test_a_general_integrator_finds_the_same_motion():
    """SciPy's implicit Runge-Kutta on the equation as the design writes it."""
    printer = with_axes(
        load_printer().without("quantisation", "jitter"), friction_velocity_mm_s=0.2
    )
    sample_rate, seconds = 20000.0, 0.25
    xy = wandering(sample_rate, seconds, seed=4, jump=4.0)
    found = simulate(printer, trajectory(xy, sample_rate), seed=0).xy
    time = np.arange(len(xy)) / sample_rate
    for column, axis in enumerate((printer.x, printer.y)):
        start, end = axis.belt_start_mm, axis.belt_end_mm

        def motion(t, state, axis=axis, column=column, start=start, end=end):
            r = np.interp(t, time, xy[:, column])
            slope = np.interp(
                t - 0.5 / sample_rate, time[:-1], np.diff(xy[:, column]) * sample_rate
            )
            x, v = state
            waves = zip(axis.ripple_amplitudes_mm, axis.ripple_periods_mm, strict=True)
            phases = [(a, 2.0 * np.pi / p) for a, p in waves]
            motor = r + sum(a * np.sin(w * r) for a, w in phases)
            slope *= 1.0 + sum(a * w * np.cos(w * r) for a, w in phases)
            spans = (end - start) / 4.0 * (1.0 / (x - start) + 1.0 / (end - x))
            stiffness = axis.stiffness_n_per_m * (1.0 + axis.belt_strength * (spans - 1.0))
            force = stiffness * (motor - x) + axis.damping_n_s_per_m * (slope - v)
            force -= 1000.0 * axis.coulomb_n * np.tanh(v / axis.friction_velocity_mm_s)
            return [v, force / axis.mass_kg]

        expected = solve_ivp(
            motion,
            (0.0, time[-1]),
            [xy[0, column], 0.0],
            "Radau",
            time,
            rtol=1e-8,
            atol=1e-8,
            max_step=2e-3,
        ).y[0]
        assert np.max(np.abs(found[:, column] - expected)) < 1e-4


def test_corexy_equals_its_equations_in_belt_coordinates():
    """Two belts, A = x + y and B = x − y, pull on masses that A and B share."""
    printer = load_printer("corexy").only("belt", "ripple")
    sample_rate, seconds = 20000.0, 0.12
    xy = wandering(sample_rate, seconds, seed=4, jump=4.0) + 40.0
    found = simulate(printer, trajectory(xy, sample_rate), seed=0).xy
    time = np.arange(len(xy)) / sample_rate
    motors = xy @ np.array([[1.0, 1.0], [1.0, -1.0]])
    # Kinetic energy ½ m_x ((ȧ + ḃ)/2)² + ½ m_y ((ȧ − ḃ)/2)² as a matrix.
    m_x, m_y = printer.x.mass_kg, printer.y.mass_kg
    mass = 0.25 * np.array([[m_x + m_y, m_x - m_y], [m_x - m_y, m_x + m_y]])

    def motion(t, state):
        position, velocity = state[:2], state[2:]
        force = np.empty(2)
        for i, axis in enumerate((printer.x, printer.y)):
            r = np.interp(t, time, motors[:, i])
            slope = np.interp(t - 0.5 / sample_rate, time[:-1], np.diff(motors[:, i]) * sample_rate)
            waves = zip(axis.ripple_amplitudes_mm, axis.ripple_periods_mm, strict=True)
            phases = [(a, 2.0 * np.pi / p) for a, p in waves]
            motor = r + sum(a * np.sin(w * r) for a, w in phases)
            slope *= 1.0 + sum(a * w * np.cos(w * r) for a, w in phases)
            start, end = axis.belt_start_mm, axis.belt_end_mm
            spans = (end - start) / 4.0 * (1.0 / (position[i] - start) + 1.0 / (end - position[i]))
            uneven = 1.0 + (1, -1)[i] * printer.belt_imbalance
            # Both belts together make the stiffness that the carriage feels.
            excess = uneven * (1.0 + axis.belt_strength * (spans - 1.0))
            force[i] = 0.5 * axis.stiffness_n_per_m * excess * (motor - position[i])
            force[i] += 0.5 * axis.damping_n_s_per_m * (slope - velocity[i])
        # A belt's pull works along its own coordinate.
        return np.concatenate([velocity, np.linalg.solve(mass, force)])

    start = np.concatenate([motors[0], [0.0, 0.0]])
    expected = solve_ivp(
        motion, (0.0, time[-1]), start, "DOP853", time, rtol=1e-8, atol=1e-8, max_step=2e-3
    ).y[:2]
    expected_xy = 0.5 * (expected.T @ np.array([[1.0, 1.0], [1.0, -1.0]]))
    assert np.max(np.abs(found - expected_xy)) < 1e-4


def test_corexy_couples_its_axes():
    printer = load_printer("corexy").only("belt")
    time = np.arange(5000) / 5000.0
    xy = np.column_stack([100.0 + 50.0 * time, np.full(5000, 100.0)])
    moved = simulate(printer, trajectory(xy, 5000.0), seed=0).xy[:, 1] - 100.0
    assert np.max(np.abs(moved)) > 1e-3


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("name", PRINTERS)
def test_each_effect_acts_alone_and_can_be_left_out(name, effect):
    printer = load_printer(name)
    linear = actual(printer.only(), 5000)
    alone = actual(printer.only(effect), 5000)
    assert np.max(np.abs(alone - linear)) > 1e-4
    everything = actual(printer, 5000)
    without = actual(printer.without(effect), 5000)
    assert np.max(np.abs(everything - without)) > 1e-4
    np.testing.assert_array_equal(actual(printer.without(*EFFECTS), 5000), linear)


def test_ripple_resonates_where_its_frequency_is_the_carriages():
    """8 µm of 0.2 mm period, crossed at f_n · 0.2 mm/s: the response of the closed form."""
    printer = with_axes(
        load_printer().only("ripple"), ripple_amplitudes_mm=(0.008,), ripple_periods_mm=(0.2,)
    )
    for column, axis in enumerate((printer.x, printer.y)):
        amplitudes = []
        for ratio in (0.5, 1.0, 2.0):
            time = np.arange(15000) / 5000.0
            ramp = 60.0 + ratio * axis.natural_freq_hz * 0.2 * time
            xy = np.column_stack([ramp, ramp])
            error = (simulate(printer, trajectory(xy, 5000.0), seed=0).xy - xy)[-5000:, column]
            loss = 2.0 * axis.damping_ratio * ratio
            expected = 0.008 * np.hypot(1.0, loss) / np.hypot(1.0 - ratio**2, loss)
            amplitudes.append(np.sqrt(2.0) * np.std(error) / expected)
        np.testing.assert_allclose(amplitudes, 1.0, rtol=0.02)


def test_microsteps_move_the_motor_by_at_most_half_of_one():
    printer = load_printer().only("quantisation")
    xy = np.full((3000, 2), 100.0) + np.linspace(0.0, 0.05, 3000)[:, None]
    slow = simulate(printer, trajectory(xy, 5000.0), seed=0).xy - xy
    assert 0.002 < np.max(np.abs(slow)) < 0.0125


@pytest.mark.parametrize("name", ["ender3_v2", "corexy"])
@pytest.mark.parametrize("overlap", [0, 1])
def test_a_print_in_pieces_is_the_print(name, overlap):
    """Each piece starts at the last sample of the one before, or right after it."""
    printer = load_printer(name)
    whole = trajectory(wandering(5000.0), 5000.0, first=1234)
    expected = simulate(printer, whole, seed=3)
    state, found = None, []
    for start, stop in ((0, 1001), (1001, 1003), (1003, 9000), (9000, None)):
        begin = start - overlap if start else 0
        part = simulate(printer, piece(whole, begin, stop), seed=3, state=state)
        state = part.state
        found.append(part.xy[start - begin :])
    np.testing.assert_array_equal(np.concatenate(found), expected.xy)
    np.testing.assert_array_equal(state.axes, expected.state.axes)


def test_a_gap_between_pieces_is_refused():
    whole = trajectory(wandering(5000.0), 5000.0)
    state = simulate(load_printer(), piece(whole, 0, 100), seed=0).state
    with pytest.raises(ValueError, match="sample 99"):
        simulate(load_printer(), piece(whole, 150, None), seed=0, state=state)


def test_nothing_commanded_is_nothing_done():
    path = trajectory(wandering(5000.0), 5000.0)
    state = simulate(load_printer(), piece(path, 0, 100), seed=0).state
    empty = simulate(load_printer(), piece(path, 100, 100), seed=0, state=state)
    assert empty.xy.shape == (0, 2)
    assert empty.state is state


def test_jitter_is_the_only_random_effect_and_belongs_to_the_seed():
    printer = load_printer()
    path = trajectory(wandering(5000.0), 5000.0)
    first, again, other = (simulate(printer, path, seed=seed).xy for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert np.max(np.abs(first - other)) > 1e-4
    quiet = printer.without("jitter")
    np.testing.assert_array_equal(
        simulate(quiet, path, seed=5).xy, simulate(quiet, path, seed=6).xy
    )


def test_jitter_has_no_mean_and_sets_a_floor_of_one_or_two_micrometres(layer):
    printer = load_printer()
    clean = simulate(printer.only(), layer, seed=0).xy
    noise = [simulate(printer.only("jitter"), layer, seed=seed).xy - clean for seed in range(12)]
    spread = np.std(noise)
    assert abs(np.mean(noise)) < 0.1 * spread
    assert 0.5e-3 < spread < 2.5e-3
    floor = noise_floor(printer, layer)
    assert 0.5e-3 < floor < 2.5e-3


def test_the_same_jitter_at_another_rate(layer):
    """Timing errors belong to the print's time, not to the step."""
    printer = load_printer().only("jitter")
    fine = simulate(printer, layer, seed=2).xy
    coarse, _ = decimate(layer, simulate(printer, layer, seed=2), SIMULATION_RATE_HZ)
    assert np.max(np.abs(simulate(printer, coarse, seed=2).xy - fine[::2])) < 1e-4


@pytest.mark.parametrize("acceleration_scale", [1.0, 2.0, 4.0])
def test_the_default_errs_as_much_as_the_original_states(acceleration_scale):
    printer = load_printer()
    motion = plan(load_part("bearing"), printer.limits, acceleration_scale=acceleration_scale)
    begin, end = motion.layer_span(12)
    path = sample(motion, SIMULATION_RATE_HZ, begin, end)
    error = simulate(printer, path, seed=0).xy - path.position[:, :2]
    assert 0.110 < np.sqrt(np.mean(np.sum(error**2, axis=1))) < 0.170


def test_swapping_the_axes_swaps_the_errors():
    printer = load_printer().without("jitter")
    swapped = replace(printer, x=printer.y, y=printer.x)
    xy = wandering(5000.0)
    there = simulate(printer, trajectory(xy, 5000.0), seed=0).xy
    here = simulate(swapped, trajectory(xy[:, ::-1], 5000.0), seed=0).xy
    np.testing.assert_array_equal(here, there[:, ::-1])


def test_moving_a_part_by_the_motors_period_moves_its_error():
    """0.8 mm are whole periods of ripple and whole microsteps; only the belt knows the place."""
    offset = np.array([8.0, -4.0])
    printer = load_printer().without("jitter", "belt")
    xy = wandering(5000.0)
    here = simulate(printer, trajectory(xy, 5000.0), seed=0).xy - xy
    there = simulate(printer, trajectory(xy + offset, 5000.0), seed=0).xy - xy - offset
    np.testing.assert_allclose(there, here, rtol=0, atol=2e-6)


def test_decimating_keeps_the_grid_of_the_print():
    path = trajectory(wandering(5000.0), 5000.0, first=1237)
    motion = simulate(load_printer(), path, seed=0)
    coarse, actual_coarse = decimate(path, motion, 200.0)
    assert coarse.sample_rate == 200.0
    np.testing.assert_allclose(coarse.time[0], path.time[13])
    np.testing.assert_array_equal(coarse.position, path.position[13::25])
    np.testing.assert_array_equal(actual_coarse.xy, motion.xy[13::25])
    with pytest.raises(ValueError, match="300"):
        decimate(path, motion, 300.0)


def test_pieces_are_decimated_as_the_whole_is():
    printer, path = load_printer(), trajectory(wandering(5000.0), 5000.0, first=1237)
    cuts = (0, 40, 41, 9000, None)
    pieces = [piece(path, *cut) for cut in pairwise(cuts)]
    coarse, xy = simulate_decimated(printer, pieces, 200.0, seed=3)
    expected, motion = decimate(path, simulate(printer, path, seed=3), 200.0)
    assert coarse.first == expected.first
    np.testing.assert_array_equal(coarse.position, expected.position)
    np.testing.assert_array_equal(xy, motion.xy)
