import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.machines import simple_limits
from trajerr.errors import ConfigError, DataError
from trajerr.gcode.reader import parse_program
from trajerr.motion.features import FEATURE_UNITS, FEATURES, FeatureStream, compute_features
from trajerr.motion.planner import plan

RATE = 200.0
COLUMN = {name: i for i, name in enumerate(FEATURES)}
paths = arrays(
    np.float64,
    st.tuples(st.integers(1, 40), st.just(3)),
    elements=st.floats(-500.0, 500.0, allow_subnormal=False),
)


def polynomial(coefficients: np.ndarray, time: np.ndarray) -> np.ndarray:
    """(N, 3) positions, one row of coefficients an axis, lowest power first."""
    return np.stack([np.polynomial.polynomial.polyval(time, c) for c in coefficients], axis=1)


def test_names_and_units_are_fifteen():
    assert " ".join(FEATURES) == "x y z vx vy vz v_mag ax ay az a_mag jx jy jz curvature"
    assert len(FEATURE_UNITS) == 15


def test_derivatives_of_a_cubic_are_exact_at_their_own_instants():
    """A backward difference is exact for a quadratic half a step back, and so on."""
    rng = np.random.default_rng(5)
    coefficients = rng.normal(size=(3, 4)) * [50.0, 40.0, 300.0, 2000.0]
    derivative = np.polynomial.polynomial.polyder
    time, step = np.arange(60) / RATE, 1.0 / RATE
    features = compute_features(polynomial(coefficients, time), RATE)[3:]
    later = time[3:]
    quadratic = coefficients * [1, 1, 1, 0]
    velocity = polynomial(derivative(quadratic, axis=1), later - step / 2)
    acceleration = polynomial(derivative(coefficients, 2, axis=1), later - step)
    jerk = polynomial(derivative(coefficients, 3, axis=1), later - 1.5 * step)
    exact = compute_features(polynomial(quadratic, time), RATE)[3:]
    np.testing.assert_allclose(exact[:, 3:6], velocity, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(features[:, 7:10], acceleration, rtol=1e-7, atol=1e-6)
    np.testing.assert_allclose(features[:, 11:14], jerk, rtol=1e-4)


@pytest.mark.parametrize("radius", [0.5, 3.0, 40.0])
@pytest.mark.parametrize("speed", [20.0, 80.0])
def test_curvature_of_a_circle_is_one_over_its_radius(radius, speed):
    angle = speed / radius * np.arange(200) / 2000.0
    circle = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), 0 * angle])
    curvature = compute_features(circle, 2000.0)[5:, COLUMN["curvature"]]
    np.testing.assert_allclose(curvature, 1.0 / radius, rtol=0.005)


def test_curvature_is_zero_at_rest_and_finite_anywhere_near_it():
    rest = np.tile([10.0, 20.0, 0.3], (10, 1))
    assert not compute_features(rest, RATE)[:, 3:].any()
    creep = rest + np.random.default_rng(0).normal(size=rest.shape) * 1e-7
    assert compute_features(creep, RATE)[:, COLUMN["curvature"]].max() < 1e-3


@given(paths)
def test_features_are_finite_and_magnitudes_agree(path):
    features = compute_features(path, RATE)
    assert np.isfinite(features).all()
    speed = np.linalg.norm(features[:, 3:6], axis=1)
    np.testing.assert_allclose(features[:, COLUMN["v_mag"]], speed, rtol=1e-12)


@given(paths)
def test_streamed_features_equal_the_batch_bit_for_bit(path):
    stream = FeatureStream(RATE)
    streamed = np.array([stream.update(row) for row in path])
    np.testing.assert_array_equal(streamed, compute_features(path, RATE))


@given(paths, st.integers(0, 39))
def test_features_do_not_look_ahead(path, cut):
    cut = min(cut, len(path) - 1)
    head = compute_features(path[: cut + 1], RATE)
    np.testing.assert_array_equal(head, compute_features(path, RATE)[: cut + 1])


@given(paths.filter(lambda p: len(p) > 3))
def test_history_continues_a_path_without_a_seam(path):
    whole = compute_features(path, RATE)
    np.testing.assert_array_equal(whole[3:], compute_features(path[3:], RATE, path[:3]))


@given(paths, st.floats(-100.0, 100.0))
def test_only_positions_feel_a_translation(path, shift):
    moved = compute_features(np.round(path) + np.round(shift), RATE)
    np.testing.assert_allclose(moved[:, 3:], compute_features(np.round(path), RATE)[:, 3:])


@given(paths.filter(lambda p: len(p) > 3))
def test_a_stream_goes_on_from_its_history(path):
    stream = FeatureStream(RATE, history=path[:3])
    streamed = np.array([stream.update(row) for row in path[3:]])
    np.testing.assert_array_equal(streamed, compute_features(path[3:], RATE, path[:3]))


def test_stream_resets_to_rest():
    stream = FeatureStream(RATE)
    stream.update([0.0, 0.0, 0.0])
    stream.reset()
    assert not stream.update([5.0, 5.0, 1.0])[3:].any()


@pytest.mark.parametrize(
    ("position", "rate", "history", "message"),
    [
        (np.zeros((4, 2)), 200.0, None, r"\(4, 2\), expected \(N, 3\)"),
        (np.zeros((4, 3)), 200.0, np.zeros((2, 3)), r"history has shape \(2, 3\)"),
    ],
)
def test_wrong_shapes_are_refused(position, rate, history, message):
    with pytest.raises(DataError, match=message):
        compute_features(position, rate, history)


@pytest.mark.parametrize("rate", [0.0, -200.0, np.nan])
def test_a_sample_rate_is_above_0(rate):
    with pytest.raises(ConfigError, match=f"^sample_rate: got {rate}, expected a number above 0$"):
        compute_features(np.zeros((4, 3)), rate)


def test_no_samples_have_no_features():
    assert compute_features(np.empty((0, 3)), RATE).shape == (0, 15)


def test_features_agree_with_the_planners_exact_derivatives():
    """Inside one phase of a trapezoid the plan is quadratic in time, so differences are exact."""
    text = b"G28\nM83\nG1 X10 Y20 F3600\nG1 X60 Y45 E2 F3000\nG1 X20 Y80 E2 F4800\n"
    limits = simple_limits((500, 500, 10, 60), (1000, 1000, 100, 5000))
    motion = plan(parse_program(text, "two walls"), limits)
    rate = 1000.0
    time = np.arange(int(motion.print_time * rate)) / rate
    features = compute_features(motion.position(time)[:, :3], rate)
    velocity = motion.velocity(time - 0.5 / rate)[:, :3]
    acceleration = motion.acceleration_at(time)[:, :3]
    direction = np.sign(np.round(motion.velocity(time)[:, :3], 6))
    steady = np.ones(len(time), bool)
    for back in range(1, 5):
        same = (acceleration[back:] == acceleration[:-back]) & (
            direction[back:] == direction[:-back]
        )
        steady[back:] &= same.all(axis=1)
    steady[:5] = False  # rest before the first motion
    assert steady.mean() > 0.95
    np.testing.assert_allclose(features[steady, 3:6], velocity[steady], atol=1e-6)
    np.testing.assert_allclose(features[steady, 7:10], acceleration[steady], atol=1e-3)


def test_features_need_numpy_only():
    code = "import sys, trajerr.motion.features; print([m for m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "scipy", "h5py", "lightning", "numba", "hydra"}
    assert not heavy & set(eval(run.stdout))  # noqa: S307 - a list that the line above printed
