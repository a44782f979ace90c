"""Input shapers against published weights, and against what they are for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dynamics.commanded import load_printer, trajectory, wandering
from trajerr.dynamics.designed_shapers import shape_trajectory
from trajerr.dynamics.plant import simulate
from trajerr.dynamics.shapers import SHAPERS, apply, residual, shaper
from trajerr.errors import ConfigError

# At a damping ratio of 0.1: check values that the design states.
WEIGHTS = {
    "zv": [0.5783, 0.4217],
    "mzv": [0.3651, 0.4075, 0.2274],
}
modes = {"frequency": st.floats(10.0, 120.0), "damping": st.floats(0.0, 0.2)}


@pytest.mark.parametrize("name", WEIGHTS)
def test_published_weights(name):
    np.testing.assert_allclose(shaper(name, 40.0, 0.1).amplitudes, WEIGHTS[name], atol=6e-5)


@pytest.mark.parametrize("damping", [0.0, 0.05, 0.1, 0.2])
def test_ei_is_klippers_formula_of_tolerance_and_damping(damping):
    """``get_ei_shaper`` of its ``shaper_defs.py``, for the tolerance of 5 % that it has."""
    v = 0.05
    first = (0.24968 + 0.24961 * v) + (
        (0.80008 + 1.23328 * v) + (0.49599 + 3.17316 * v) * damping
    ) * damping
    last = (0.25149 + 0.21474 * v) + (
        (-0.83249 + 1.41498 * v) + (0.85181 - 4.90094 * v) * damping
    ) * damping
    middle = (
        0.4999
        + (
            ((0.46159 + 8.57843 * v) * v)
            + (((4.26169 - 108.644 * v) * v) + ((1.75601 + 336.989 * v) * v) * damping) * damping
        )
        * damping
    )
    found = shaper("ei", 40.0, damping)
    np.testing.assert_allclose(found.amplitudes, [first, 1.0 - first - last, last], atol=3e-6)
    times = np.array([0.0, middle, 1.0]) / (40.0 * np.sqrt(1.0 - damping**2))
    np.testing.assert_allclose(found.times - found.times[0], times, atol=1e-8)


def test_without_damping_ei_shapers_are_their_closed_forms():
    """Singhose, Seering and Singer (1994) solve them for one, two and three humps."""
    v, x = 0.05, (0.05**2 * (np.sqrt(1.0 - 0.05**2) + 1.0)) ** (1.0 / 3.0)
    two = (3.0 * x**2 + 2.0 * x + 3.0 * v**2) / (16.0 * x)
    three = 0.0625 * (1.0 + 3.0 * v + 2.0 * np.sqrt(2.0 * (v + 1.0) * v))
    closed = {
        "ei": [0.25 * (1.0 + v), 0.5 * (1.0 - v)],
        "2hump_ei": [two, 0.5 - two],
        "3hump_ei": [three, 0.25 * (1.0 - v), 0.5 * (1.0 + v) - 2.0 * three],
    }
    for name, half in closed.items():
        found = shaper(name, 40.0, 0.0)
        np.testing.assert_allclose(found.amplitudes[: len(half)], half, atol=1.5e-3)
        evenly = np.arange(len(found.times)) * 0.5 / 40.0
        np.testing.assert_allclose(found.times - found.times[0], evenly, atol=1e-4)


@pytest.mark.parametrize("name", SHAPERS)
@given(**modes)
def test_weights_sum_to_one_and_delay_nothing_on_average(name, frequency, damping):
    found = shaper(name, frequency, damping)
    assert found.amplitudes.sum() == pytest.approx(1.0)
    assert found.amplitudes @ found.times == pytest.approx(0.0, abs=1e-12)
    assert np.all(found.amplitudes > 0.0)
    assert np.all(np.diff(found.times) > 0.0)


@pytest.mark.parametrize(("name", "most"), [("zv", 1e-9), ("mzv", 1e-9), ("zvd", 1e-9)])
@given(**modes)
def test_nothing_rings_at_the_design_frequency(name, most, frequency, damping):
    assert residual(shaper(name, frequency, damping), frequency, damping) < most


@pytest.mark.parametrize(
    ("name", "left", "within"), [("ei", 0.05, 0.0015), ("2hump_ei", 0.0, 0.0035)]
)
@given(**modes)
def test_extra_insensitive_shapers_leave_their_tolerance_whatever_the_damping(
    name, left, within, frequency, damping
):
    """What Singhose's curves were fitted for: EI leaves 5 %, two humps have nothing between."""
    found = residual(shaper(name, frequency, damping), frequency, damping)
    assert found == pytest.approx(left, abs=within)


@given(**modes)
def test_the_middle_hump_leaves_at_most_the_tolerance(frequency, damping):
    left = residual(shaper("3hump_ei", frequency, damping), frequency, damping)
    assert 0.044 < left < 0.0515


@pytest.mark.parametrize(
    ("name", "reach"), [("zv", 0.02), ("ei", 0.15), ("2hump_ei", 0.35), ("3hump_ei", 0.45)]
)
def test_each_stays_below_five_percent_as_far_as_it_promises(name, reach):
    tuned = shaper(name, 40.0, 0.0)
    for ratio in np.linspace(1.0 - reach, 1.0 + reach, 41):
        assert residual(tuned, 40.0 * ratio, 0.0) < 0.054  # to which firmware fits its curves
    assert residual(tuned, 40.0 * (1.0 + 1.6 * reach), 0.0) > 0.05


@pytest.mark.parametrize("name", ["zv", "mzv", "zvd"])
def test_a_shaped_move_does_not_ring(name):
    """A jump in velocity, on the linear plant: no error is left once the shaper is through."""
    printer, sample_rate = load_printer().only(), 10000.0
    time = np.arange(8000) / sample_rate
    xy = np.repeat(100.0 + 30.0 * np.maximum(time - 0.2, 0.0)[:, None], 2, axis=1)
    path = trajectory(xy, sample_rate)
    shaped = shape_trajectory(path, printer, name)
    error = (simulate(printer, shaped, seed=0).xy - xy)[4000:6500]
    raw = (simulate(printer, path, seed=0).xy - xy)[4000:6500]
    assert np.max(np.abs(error)) < 2e-3 * np.max(np.abs(raw))


@given(
    name=st.sampled_from(SHAPERS),
    slope=st.floats(-100.0, 100.0),
    sample_rate=st.sampled_from([1e3, 5e3]),
)
def test_a_steady_move_passes_unchanged(name, slope, sample_rate):
    values = 50.0 + slope * np.arange(2000) / sample_rate
    shaped = apply(shaper(name, 30.0, 0.1), values, sample_rate)
    np.testing.assert_allclose(shaped[500:-500], values[500:-500], atol=1e-9)


def test_delays_between_samples_are_kept():
    """Halving the rate moves a smooth shaped command by the interpolation's error alone."""
    fine, coarse = 10000.0, 2000.0
    tuned = shaper("mzv", 37.3, 0.1)
    slow = [
        apply(tuned, np.sin(20.0 * np.arange(int(rate)) / rate), rate)[:: int(rate / coarse)]
        for rate in (fine, coarse)
    ]
    assert np.max(np.abs(slow[0] - slow[1])[100:-100]) < 2e-5


def test_each_axis_is_shaped_for_itself_and_none_is_the_command():
    printer = load_printer()
    path = trajectory(wandering(5000.0), 5000.0)
    assert shape_trajectory(path, printer, "none") is path
    shaped = shape_trajectory(path, printer, "ZV")
    for i, axis in enumerate((printer.x, printer.y)):
        tuned = shaper("zv", axis.natural_freq_hz, axis.damping_ratio)
        np.testing.assert_array_equal(
            shaped.position[:, i], apply(tuned, path.position[:, i], 5000.0)
        )
    np.testing.assert_array_equal(shaped.position[:, 2], path.position[:, 2])


def test_unknown_shapers_and_modes_are_refused():
    with pytest.raises(ConfigError, match="zv, mzv"):
        shaper("smooth", 40.0, 0.1)
    for frequency in (0.0, float("nan")):
        with pytest.raises(ConfigError, match=f"^frequency of shaper zv: got {frequency}, exp"):
            shaper("zv", frequency, 0.1)
    with pytest.raises(
        ConfigError, match=r"^damping ratio of shaper zv: got 1\.0, expected from 0"
    ):
        shaper("zv", 40.0, 1.0)
