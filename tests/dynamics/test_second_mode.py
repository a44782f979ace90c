"""Delay, viscous friction and a second mode: against SciPy, closed forms and pieces."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import signal
from scipy.integrate import solve_ivp

from tests.dynamics.commanded import load_printer, piece, trajectory, wandering
from trajerr.dynamics.axis import frequency_response
from trajerr.dynamics.plant import simulate, simulate_pieces
from trajerr.dynamics.printer import Printer
from trajerr.errors import ConfigError

SECOND = {"frequency_hz": 83.0, "damping_ratio": 0.04, "mass_share": 0.2}
RATE = 5000.0


def changed(printer, **values):
    return replace(printer, x=replace(printer.x, **values), y=replace(printer.y, **values))


def two_masses(axis):
    """Numerator and denominator of tool over command, by eliminating the carriage by hand."""
    k, c, d = axis.stiffness_n_per_m, axis.damping_n_s_per_m, axis.viscous_n_s_per_m
    second = axis.second_mode
    tool = axis.mass_kg * second.mass_share
    carriage = axis.mass_kg - tool
    omega = 2.0 * np.pi * second.frequency_hz
    mount = np.array([2.0 * second.damping_ratio * omega * tool, omega**2 * tool])  # c2 s + k2
    belt = np.array([c, k])
    # (m1 s² + (c + d) s + k + M) X1 - M X2 = (c s + k) R,  (m2 s² + M) X2 = M X1
    first = np.polyadd([carriage, c + d, k], mount)
    last = np.polyadd([tool, 0.0, 0.0], mount)
    denominator = np.polysub(np.polymul(first, last), np.polymul(mount, mount))
    return np.polymul(belt, mount), denominator


@pytest.mark.parametrize("name", ["ender3_v2", "klipper_fast", "corexy"])
def test_the_linear_machine_is_scipys(name):
    printer = changed(load_printer(name).only(), viscous_n_s_per_m=3.0, second_mode=SECOND)
    xy = wandering(RATE)
    found = simulate(printer, trajectory(xy, RATE), seed=0).xy
    time = np.arange(len(xy)) / RATE
    for column, axis in enumerate((printer.x, printer.y)):
        command = xy[:, column] - xy[0, column]
        _, expected, _ = signal.lsim(two_masses(axis), command, time, interp=True)
        np.testing.assert_allclose(found[:, column] - xy[0, column], expected, rtol=0, atol=1e-8)


def test_the_response_is_that_of_the_two_masses():
    axis = changed(load_printer(), viscous_n_s_per_m=3.0, second_mode=SECOND, delay_s=2e-3).x
    frequency = np.linspace(0.5, 200.0, 77)
    _, expected = signal.freqs(*two_masses(axis), 2.0 * np.pi * frequency)
    expected = expected * np.exp(-2j * np.pi * frequency * 2e-3)
    np.testing.assert_allclose(frequency_response(axis, frequency), expected, rtol=1e-9)


def test_a_stiff_mount_is_no_mount():
    printer = load_printer().without("jitter")
    path = trajectory(wandering(RATE), RATE)
    rigid = simulate(printer, path, seed=0).xy
    stiff = {"frequency_hz": 3000.0, "damping_ratio": 0.2, "mass_share": 0.3}
    found = simulate(changed(printer, second_mode=stiff), path, seed=0).xy
    assert np.max(np.abs(found - rigid)) < 1e-3


def test_viscous_friction_leaves_the_carriage_behind_in_proportion_to_speed():
    printer = changed(load_printer().only(), viscous_n_s_per_m=4.0)
    time = np.arange(int(2.0 * RATE)) / RATE
    xy = 50.0 + np.outer(time, [50.0, -20.0])
    found = simulate(printer, trajectory(xy, RATE), seed=0).xy
    wanted = -4.0 * np.array([50.0, -20.0]) / 8000.0
    np.testing.assert_allclose((found - xy)[-1], wanted, rtol=1e-6)


def friction_and_two_masses(axis, xy, sample_rate, column):
    """The tool's position by SciPy's implicit Runge-Kutta on the equations of both masses."""
    second, time = axis.second_mode, np.arange(len(xy)) / sample_rate
    tool = axis.mass_kg * second.mass_share
    carriage = axis.mass_kg - tool
    pull = tool * (2.0 * np.pi * second.frequency_hz) ** 2
    drag = 2.0 * second.damping_ratio * np.sqrt(pull * tool)
    slopes = np.diff(xy[:, column]) * sample_rate

    def motion(t, state):
        at = t - axis.delay_s
        r = np.interp(at, time, xy[:, column])
        slope = np.interp(at - 0.5 / sample_rate, time[:-1], slopes, left=0.0)
        x, v, y, u = state
        mount = pull * (x - y) + drag * (v - u)
        force = axis.stiffness_n_per_m * (r - x) + axis.damping_n_s_per_m * (slope - v)
        force -= axis.viscous_n_s_per_m * v + mount
        force -= 1000.0 * axis.coulomb_n * np.tanh(v / axis.friction_velocity_mm_s)
        return [v, force / carriage, u, mount / tool]

    start = [xy[0, column], 0.0, xy[0, column], 0.0]
    settings = {"rtol": 1e-8, "atol": 1e-8, "max_step": 1e-3}
    return solve_ivp(motion, (0.0, time[-1]), start, "Radau", time, **settings).y[2]


def test_with_friction_and_delay_a_general_integrator_finds_the_same_motion():
    printer = changed(
        load_printer().only("friction"),
        friction_velocity_mm_s=0.2,
        viscous_n_s_per_m=2.0,
        second_mode=SECOND,
        delay_s=1.23e-3,
    )
    sample_rate = 20000.0
    xy = wandering(sample_rate, 0.2, seed=4, jump=4.0)
    found = simulate(printer, trajectory(xy, sample_rate), seed=0).xy
    expected = friction_and_two_masses(printer.x, xy, sample_rate, 0)
    assert np.max(np.abs(found[:, 0] - expected)) < 2e-4


def test_the_order_of_convergence_is_two():
    printer = changed(
        load_printer().only("friction", "belt", "ripple"),
        friction_velocity_mm_s=20.0,
        viscous_n_s_per_m=2.0,
        second_mode=SECOND,
        delay_s=1.23e-3,
    )

    def at(rate, every):
        path = trajectory(wandering(rate, 1.5, jump=0.0), rate)
        return simulate(printer, path, seed=0).xy[::every]

    rates = [1250, 2500, 5000, 10000]
    finest = at(160000, 128)
    errors = [np.std(at(rate, rate // 1250) - finest) for rate in rates]
    order = -np.polyfit(np.log(rates), np.log(errors), 1)[0]
    print(f"RMS at {rates} Hz {[f'{1e3 * e:.4f}' for e in errors]} µm, order {order:.2f}")
    assert order > 1.8, errors
    assert errors[-1] < 1e-4


@pytest.mark.parametrize("name", ["ender3_v2", "corexy"])
def test_pieces_are_the_whole(name):
    printer = changed(
        load_printer(name), viscous_n_s_per_m=2.0, second_mode=SECOND, delay_s=3.33e-3
    )
    printer = replace(printer, y=replace(printer.y, delay_s=0.0, second_mode=None))
    path = trajectory(wandering(RATE), RATE)
    whole = simulate(printer, path, seed=2).xy
    pieces = [piece(path, a, b) for a, b in pairwise([0, 7, 9, 4000, 4001, None])]
    parts = [motion.xy for _, motion in simulate_pieces(printer, pieces, seed=2)]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=1e-9)


@pytest.mark.parametrize("delay", [0.004, 0.00337])
def test_a_delay_moves_the_motion_in_time(delay):
    """By whole samples exactly; between them as a command whose corners move by part of a step."""
    printer = load_printer().without("jitter")
    path = trajectory(wandering(RATE), RATE)
    plain = simulate(printer, path, seed=0).xy
    late = simulate(changed(printer, delay_s=delay), path, seed=0).xy
    samples = np.arange(len(path))
    wanted = np.interp(samples - delay * RATE, samples, plain[:, 0])
    assert np.max(np.abs(late[:, 0] - wanted)) < (1e-9 if delay == 0.004 else 5e-4)


def test_scaling_the_stiffness_moves_both_modes():
    printer = changed(load_printer(), second_mode=SECOND)
    soft = printer.with_stiffness_scale(0.81)
    frequency = np.linspace(1.0, 150.0, 40)
    undamped = [
        changed(p, damping_n_s_per_m=0.0, second_mode=SECOND | {"damping_ratio": 0.0})
        for p in (printer, printer.with_stiffness_scale(0.81))
    ]
    assert soft.x.second_mode.frequency_hz == pytest.approx(0.9 * 83.0)
    tool = 2.0 * soft.x.second_mode.damping_ratio * soft.x.second_mode.frequency_hz
    assert tool == pytest.approx(2.0 * 0.04 * 83.0)  # c₂ over the mass stays
    nominal = np.abs(frequency_response(undamped[0].x, frequency))
    slower = replace(undamped[0], x=undamped[0].x.scaled(0.81)).x
    np.testing.assert_allclose(np.abs(frequency_response(slower, 0.9 * frequency)), nominal)


def test_an_identity_and_a_file_name_them_where_they_act():
    printer = load_printer()
    plain = printer.to_dict()
    assert not {"delay_s", "viscous_n_s_per_m", "second_mode"} & set(plain["x"])
    neutral = {"delay_s": 0, "viscous_n_s_per_m": 0, "second_mode": None}
    same = Printer.from_dict({**plain, "x": plain["x"] | neutral})
    assert same == printer
    assert same.identity == printer.identity == "70adfae5e791"
    for key, value in {"delay_s": 1e-3, "viscous_n_s_per_m": 1.0, "second_mode": SECOND}.items():
        other = Printer.from_dict({**plain, "y": plain["y"] | {key: value}})
        assert other.identity != printer.identity, key
        assert Printer.from_dict(json.loads(json.dumps(other.to_dict()))) == other
        assert not other.y.plain
        assert other.x.plain


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"delay_s": -1e-3}, r"delay_s: got -0\.001, expected 0 to 0\.1 s"),
        ({"delay_s": 0.2}, "delay_s"),
        ({"viscous_n_s_per_m": -1.0}, "viscous_n_s_per_m"),
        ({"viscous_n_s_per_m": 200.0}, r"damping_n_s_per_m \+ viscous_n_s_per_m: got 215"),
        ({"second_mode": 80.0}, "second_mode: got 80"),
        ({"second_mode": {"frequency_hz": 80.0}}, "a mapping of frequency_hz, damping_ratio, mass"),
        ({"second_mode": SECOND | {"frequency_hz": 0.0}}, r"second_mode\.frequency_hz"),
        ({"second_mode": SECOND | {"damping_ratio": 1.0}}, r"second_mode\.damping_ratio"),
        ({"second_mode": SECOND | {"mass_share": 1.0}}, r"second_mode\.mass_share: got 1"),
        ({"second_mode": SECOND | {"mass_share": "much"}}, r"second_mode\.mass_share"),
    ],
)
def test_a_wrong_value_is_named(change, named):
    with pytest.raises(ConfigError, match=named):
        changed(load_printer(), **change)
