"""The linear axis against SciPy and against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from tests.dynamics.commanded import load_printer, trajectory, wandering
from tests.machines import simple_axis
from trajerr.dynamics.axis import discretise, frequency_response, recurrence
from trajerr.dynamics.kernel import _belt
from trajerr.dynamics.plant import simulate
from trajerr.errors import ConfigError

SOFT_X = simple_axis(mass_kg=0.35, stiffness_n_per_m=8000.0, damping_n_s_per_m=15.0)
SOFT_Y = simple_axis(mass_kg=0.45, stiffness_n_per_m=8000.0, damping_n_s_per_m=15.0)

axes = st.builds(
    simple_axis,
    mass_kg=st.floats(0.1, 2.0),
    stiffness_n_per_m=st.floats(2e3, 1e5),
    damping_n_s_per_m=st.floats(1.0, 25.0),
)


def transfer(axis):
    spring = [axis.damping_n_s_per_m, axis.stiffness_n_per_m]
    return spring, [axis.mass_kg, *spring]


def error_system(axis):
    """``e = x − r`` driven by r̈, as a state space: a second way to write the axis."""
    spring, damper = axis.stiffness_n_per_m / axis.mass_kg, axis.damping_n_s_per_m / axis.mass_kg
    return np.array([[0, 1], [-spring, -damper]]), np.array([[0], [-1]]), np.eye(1, 2), [[0]]


def test_parameters_of_the_soft_study():
    assert SOFT_X.natural_freq_hz == pytest.approx(24.1, abs=0.05)
    assert SOFT_X.damping_ratio == pytest.approx(0.142, abs=5e-4)
    assert SOFT_Y.natural_freq_hz == pytest.approx(21.2, abs=0.05)
    assert SOFT_Y.damping_ratio == pytest.approx(0.125, abs=5e-4)


@pytest.mark.parametrize("sample_rate", [200.0, 1000.0, 5000.0])
def test_linear_part_equals_scipy(sample_rate):
    printer = load_printer().only()
    xy = wandering(sample_rate)
    actual = simulate(printer, trajectory(xy, sample_rate), seed=0).xy
    time = np.arange(len(xy)) / sample_rate
    for column, axis in enumerate((printer.x, printer.y)):
        command = xy[:, column] - xy[0, column]
        _, expected, _ = signal.lsim(transfer(axis), command, time, interp=True)
        np.testing.assert_allclose(actual[:, column] - xy[0, column], expected, rtol=0, atol=1e-9)


def test_linear_part_equals_scipys_first_order_hold():
    printer, sample_rate = load_printer().only(), 1000.0
    xy = wandering(sample_rate)
    actual = simulate(printer, trajectory(xy, sample_rate), seed=0).xy
    numerator, denominator = transfer(printer.x)
    b, a, _ = signal.cont2discrete((numerator, denominator), 1.0 / sample_rate, "foh")
    expected = signal.lfilter(np.ravel(b), a, xy[:, 0] - xy[0, 0])
    np.testing.assert_allclose(actual[:, 0] - xy[0, 0], expected, rtol=0, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(axis=axes, step=st.floats(1e-4, 5e-3))
def test_two_half_steps_are_one_step(axis, step):
    whole, half = discretise(axis, step), discretise(axis, step / 2)
    np.testing.assert_allclose(half.transition @ half.transition, whole.transition, atol=1e-12)
    constant = half.start + half.end
    twice = half.transition @ constant + constant
    np.testing.assert_allclose(twice, whole.start + whole.end, rtol=1e-9, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(axis=axes)
def test_a_command_at_rest_leaves_the_carriage_at_rest(axis):
    solved = discretise(axis, 1e-3)
    state = solved.transition @ [7.0, 0.0] + (solved.start + solved.end) * 7.0
    np.testing.assert_allclose(state, [7.0, 0.0], atol=1e-9)


def test_error_after_a_jump_in_velocity_has_the_closed_form():
    printer, sample_rate, speed = load_printer().only(), 5000.0, 30.0
    time = np.arange(4000) / sample_rate
    xy = np.column_stack([100.0 + speed * time, 100.0 + speed * time])
    actual = simulate(printer, trajectory(xy, sample_rate), seed=0).xy
    for column, axis in enumerate((printer.x, printer.y)):
        decay = axis.damping_ratio * axis.natural_frequency
        damped = np.sqrt(axis.natural_frequency**2 - decay**2)
        expected = -speed * np.exp(-decay * time) * np.sin(damped * time) / damped
        np.testing.assert_allclose((actual - xy)[:, column], expected, rtol=0, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(axis=axes, sample_rate=st.sampled_from([100.0, 200.0, 500.0]))
def test_recurrence_has_the_poles_of_the_axis(axis, sample_rate):
    decay = axis.damping_ratio * axis.natural_frequency / sample_rate
    angle = np.sqrt(1.0 - axis.damping_ratio**2) * axis.natural_frequency / sample_rate
    found = recurrence(axis, sample_rate)
    assert found.a1 == pytest.approx(-2.0 * np.exp(-decay) * np.cos(angle), abs=1e-12)
    assert found.a2 == pytest.approx(np.exp(-2.0 * decay), abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(axis=axes, sample_rate=st.sampled_from([100.0, 200.0, 500.0]))
def test_recurrence_is_exact_for_a_command_straight_between_samples(axis, sample_rate):
    command = np.random.default_rng(0).normal(0.0, 1.0, 60).cumsum()
    time = np.arange(60) / sample_rate
    _, actual, _ = signal.lsim(transfer(axis), command - command[0], time, interp=True)
    error = actual - (command - command[0])
    residual = recurrence(axis, sample_rate, hold="linear").residual(error, command)
    np.testing.assert_allclose(residual, 0.0, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(axis=axes, sample_rate=st.sampled_from([100.0, 200.0, 500.0]), rate=st.floats(-5e3, 5e3))
def test_recurrence_is_exact_for_constant_acceleration(axis, sample_rate, rate):
    time = np.arange(80) / sample_rate
    _, error, _ = signal.lsim(error_system(axis), np.full(80, rate), time)
    residual = recurrence(axis, sample_rate).residual(error, 0.5 * rate * time**2)
    np.testing.assert_allclose(residual, 0.0, atol=1e-9 * max(1.0, abs(rate)))


@pytest.mark.parametrize(("sample_rate", "bound"), [(200.0, 0.05), (500.0, 0.01)])
def test_recurrence_nearly_holds_on_a_print(sample_rate, bound):
    printer, fine = load_printer().only(), 5000.0
    xy = wandering(fine)
    error = simulate(printer, trajectory(xy, fine), seed=0).xy - xy
    every = round(fine / sample_rate)
    for column, axis in enumerate((printer.x, printer.y)):
        term = recurrence(axis, sample_rate)
        command = xy[::every, column]
        residual = term.residual(error[::every, column], command)
        drive = term.b * np.diff(command, n=2)
        assert np.std(residual) < bound * np.std(drive)


def test_an_unknown_hold_is_refused():
    with pytest.raises(ValueError, match="hold"):
        recurrence(SOFT_X, 200.0, hold="cubic")


def test_frequency_response_equals_scipy():
    frequency = np.linspace(0.0, 200.0, 101)
    _, expected = signal.freqresp(transfer(SOFT_X), 2.0 * np.pi * frequency)
    np.testing.assert_allclose(frequency_response(SOFT_X, frequency), expected, rtol=1e-10)


def test_belt_is_stiffer_near_its_ends():
    ratio = [1.0 + _belt(x, 0.0, 300.0, 1.0) for x in (150.0, 90.0, 60.0, 30.0, 270.0)]
    np.testing.assert_allclose(ratio, [1.0, 1.19, 1.56, 2.78, 2.78], atol=0.005)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mass_kg", 0.0),
        ("mass_kg", "heavy"),
        ("microstep_mm", None),
        ("ripple_periods_mm", 0.2),
        ("stiffness_n_per_m", float("nan")),
        ("damping_n_s_per_m", -1.0),
        ("damping_n_s_per_m", 200.0),
        ("coulomb_n", -0.1),
        ("friction_velocity_mm_s", 0.0),
        ("belt_strength", 1.5),
        ("belt_end_mm", -100.0),
        ("ripple_amplitudes_mm", [0.01]),
        ("ripple_periods_mm", [0.0]),
        ("microstep_mm", -1.0),
        ("jitter_s", float("inf")),
    ],
)
def test_values_out_of_range_are_named(key, value):
    values = {"mass_kg": 0.35, "stiffness_n_per_m": 8000.0, "damping_n_s_per_m": 15.0, key: value}
    if key == "ripple_periods_mm":
        values["ripple_amplitudes_mm"] = [0.01]
    with pytest.raises(ConfigError, match=r"ripple_periods_mm" if "ripple" in key else key):
        simple_axis(**values)


def test_error_of_an_independent_simulation(shared):
    """MATLAB's own integrator held the commanded acceleration for 1 ms."""
    from scipy.io import loadmat

    folder = shared / "data" / "matlab" / "v7"
    layer = loadmat(folder / "layer25_ender3v2.mat", squeeze_me=True)["simulation_data"]
    sources = loadmat(folder / "sources_layer25.mat", squeeze_me=True)["error_sources"]
    printer = load_printer().only()
    time = layer["time"].item() - layer["time"].item()[0]
    held = np.floor(np.arange(round(time[-1] * 1e4) + 1) / 10.0 + 1e-9) * 1e-3
    command = []
    for name in "xy":
        acceleration = np.interp(held, time, layer[f"a{name}_ref"].item())
        velocity = np.concatenate([[0.0], np.cumsum(acceleration) * 1e-4])
        steps = (velocity[:-1] + 0.5 * acceleration * 1e-4) * 1e-4
        command.append(np.concatenate([[0.0], np.cumsum(steps)])[: len(held)])
    xy = np.column_stack(command)
    error = (simulate(printer, trajectory(xy, 1e4), seed=0).xy - xy)[::100]
    expected = np.column_stack([sources[f"base_error_{name}"].item() for name in "xy"])
    assert np.sqrt(np.mean(expected**2)) > 0.02
    print(f"at most {1e3 * np.max(np.abs(error - expected)):.4f} µm apart")
    np.testing.assert_allclose(error, expected, rtol=0, atol=0.007)
