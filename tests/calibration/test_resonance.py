"""Known axes recovered from what an accelerometer would record of them."""

from itertools import product

import numpy as np
import pytest

from tests.calibration.shipped import SWEEP
from tests.calibration.sweeps import load_printer, record, resting
from tests.machines import simple_axis
from trajerr.calibration.recordings import PowerSpectrum, klipper_spectrum
from trajerr.calibration.resonance import Sweep, fit_resonance, model_spectrum, response
from trajerr.dynamics.axis import frequency_response
from trajerr.dynamics.plant import simulate
from trajerr.errors import ConfigError, DataError

PRINTERS = ("ender3_v2", "ender3_stock", "klipper_fast", "corexy")
NAMES = ("x", "y")


def spectrum(*args, **kwargs) -> PowerSpectrum:
    rows = record(*args, **kwargs)
    return klipper_spectrum(rows[:, 0], rows[:, 1:])


def truth(printer, axis, place=110.0):
    """Natural frequency, Hz, and damping ratio where the test takes place, x = y = place."""
    part = (printer.x, printer.y)[axis]
    if printer.kinematics == "corexy":
        return mode(printer, axis, place)
    scale = belt_stiffness(part, place) / part.stiffness_n_per_m
    return part.natural_freq_hz * scale**0.5, part.damping_ratio / scale**0.5


def belt_stiffness(motor, position):
    """Of the belt's two free spans, N/m: ``1/L1 + 1/L2``, as stated at mid-span."""
    start, end = motor.belt_start_mm, motor.belt_end_mm
    spans = (end - start) / 4.0 * (1.0 / (position - start) + 1.0 / (end - position))
    return motor.stiffness_n_per_m * (1.0 + motor.belt_strength * (spans - 1.0))


def mode(printer, axis, place):
    """The same of a CoreXY's mode that is mostly one axis: its belts couple both."""
    belts = np.array([[1.0, 1.0], [1.0, -1.0]])  # a = x + y, b = x − y
    pull = np.zeros((2, 2))
    for row, motor, sign in zip(belts, (printer.x, printer.y), (1.0, -1.0), strict=True):
        at = belt_stiffness(motor, row @ [place, place])
        pull += 0.5 * (1.0 + sign * printer.belt_imbalance) * at * np.outer(row, row)
    mass = np.array([printer.x.mass_kg, printer.y.mass_kg])
    squares, shapes = np.linalg.eigh(pull / np.sqrt(np.outer(mass, mass)))
    chosen = int(np.argmax(np.abs(shapes[axis])))
    omega, shape = squares[chosen] ** 0.5, shapes[:, chosen] / np.sqrt(mass)
    rubbing = printer.x.damping_n_s_per_m * (shape @ shape)
    return omega / (2.0 * np.pi), rubbing / (2.0 * omega)


def recovered(name, axis, *, seed, friction, **test):
    """Return relative errors of frequency and damping, and whether intervals hold the truth."""
    printer = load_printer(name)
    place = 110.0 + np.random.default_rng(seed).uniform(-2.0, 2.0)
    acting = printer if friction else printer.without("friction")
    found = fit_resonance(
        spectrum(acting, axis, seed=seed, start=place, **test), axis, SWEEP, "test"
    )
    known = truth(printer, axis, place)
    estimates = (found.natural_freq_hz, found.damping_ratio)
    errors = [e.value / k - 1.0 for e, k in zip(estimates, known, strict=True)]
    held = [e.low <= k <= e.high for e, k in zip(estimates, known, strict=True)]
    print(f"{name} {NAMES[axis]} seed {seed}: {errors[0]:+.2%} {errors[1]:+.1%} {held}")
    return errors, held


@pytest.mark.parametrize(("name", "axis"), [(p, i % 2) for i, p in enumerate(PRINTERS)])
def test_a_noisy_test_gives_frequency_and_damping(name, axis):
    """With belt, ripple, microsteps and jitter; without friction."""
    (frequency, damping), _ = recovered(name, axis, seed=axis, friction=False, hz_per_s=2.0)
    assert abs(frequency) < 0.01
    assert abs(damping) < 0.15


def over_printers_and_seeds(**how):
    """Return errors and hits (N, 2) of the accepted among 40 tests; print a summary."""
    results = []
    for name, axis, seed in product(PRINTERS, (0, 1), range(5)):
        try:
            results.append(recovered(name, axis, seed=seed, **how))
        except DataError as refused:
            print(f"{name} {NAMES[axis]} seed {seed}: {refused}")
    errors, held = (np.array(part) for part in zip(*results, strict=True))
    worst, median = np.max(np.abs(errors), axis=0), np.median(np.abs(errors), axis=0)
    print(f"{len(results)} of 40 accepted; frequency and damping: greatest {worst}, ", end="")
    print(f"median {median}, intervals that hold {np.mean(held, axis=0)}")
    return errors, held


@pytest.mark.slow
def test_over_printers_and_seeds_it_recovers_and_intervals_hold():
    errors, held = over_printers_and_seeds(friction=False)
    assert len(errors) == 40
    assert np.all(np.max(np.abs(errors), axis=0) < [0.01, 0.15])
    assert np.all(np.mean(held, axis=0) >= 0.85)


@pytest.mark.slow
@pytest.mark.parametrize(("per_hz", "accepted"), [(75.0, 20), (200.0, 40)])
def test_with_friction_frequencies_can_be_trusted_and_damping_hardly(per_hz, accepted):
    errors, _ = over_printers_and_seeds(friction=True, per_hz=per_hz)
    assert len(errors) >= accepted
    assert np.all(np.max(np.abs(errors), axis=0) < [0.05, 0.4])


@pytest.mark.parametrize(("name", "axis"), [("klipper_fast", 0), ("corexy", 1)])
def test_friction_as_great_as_the_shaking_is_told_from_damping(name, axis):
    """At the default excitation friction is as great as the command at 14 to 30 Hz."""
    (frequency, damping), _ = recovered(name, axis, seed=0, friction=True, hz_per_s=2.0)
    assert abs(frequency) < 0.03
    assert abs(damping) < 0.2


def test_without_noise_and_effects_the_model_is_exact():
    printer = load_printer("ender3_v2").only()
    found = fit_resonance(spectrum(printer, 0, noise=0.0, hz_per_s=2.0), 0, SWEEP, "test")
    known = truth(printer, 0)
    assert found.natural_freq_hz.value == pytest.approx(known[0], rel=2e-3)
    assert found.damping_ratio.value == pytest.approx(known[1], rel=0.01)
    assert found.friction_hz < 2.0


def test_the_viscous_response_is_the_axis_own():
    axis = simple_axis(0.35, 8000.0, 15.0)
    frequency = np.linspace(5.0, 135.0, 300)
    np.testing.assert_allclose(
        response(frequency, axis.natural_freq_hz, axis.damping_ratio, 0.0),
        np.abs(frequency_response(axis, frequency)),
        rtol=1e-12,
    )


@pytest.mark.parametrize("shaken_hz", [30.0, 46.0, 60.0])
def test_the_response_with_friction_is_near_the_plants(shaken_hz):
    """Shaken by a sine whose acceleration is four times what friction can hold."""
    printer = load_printer("ender3_stock").only("friction")
    axis, rate = printer.x, 10000.0
    peak = 4.0 * 4.0 / np.pi * 1000.0 * axis.coulomb_n / axis.mass_kg
    time = np.arange(int(60.0 / shaken_hz * rate)) / rate
    command = peak / (2.0 * np.pi * shaken_hz) ** 2 * np.sin(2.0 * np.pi * shaken_hz * time)
    xy = np.column_stack([110.0 + command, np.full(len(time), 110.0)])
    x = simulate(printer, resting(xy, rate), seed=0).xy[:, 0] - 110.0
    last = time >= time[-1] - 20.0 / shaken_hz
    wave = np.exp(-2j * np.pi * shaken_hz * time)
    ratio = abs(np.mean((x * wave)[last])) / abs(np.mean((command * wave)[last]))
    expected = response(
        np.array([shaken_hz]), axis.natural_freq_hz, axis.damping_ratio, shaken_hz / 4.0
    )
    assert ratio == pytest.approx(expected[0], rel=0.03)


def test_friction_holds_the_axis_where_the_springs_pull_is_less():
    """The pull is k times the command's amplitude, A/ω²: less and less as f grows."""
    friction_hz = 25.0
    limit = 46.0**2 / friction_hz
    below, above = response(np.array([0.95, 1.05]) * limit, 46.0, 0.0, friction_hz)
    assert below > 0.0
    assert above == 0.0


def test_a_model_spectrum_is_fitted_to_what_it_was_made_from():
    found = fit_resonance(model_spectrum(38.0, 0.07), 0, SWEEP, "model")
    assert found.natural_freq_hz.value == pytest.approx(38.0, rel=1e-3)
    assert found.damping_ratio.value == pytest.approx(0.07, rel=1e-2)


def test_an_axis_that_friction_holds_is_refused():
    """The default printer at the default excitation: stuck from its natural frequency on."""
    with pytest.raises(DataError, match="test: no clear peak"):
        recovered("ender3_v2", 0, seed=0, friction=True, hz_per_s=2.0)


def test_noise_alone_is_no_excitation():
    random = np.random.default_rng(0)
    time = np.arange(64000) / 3200.0
    found = klipper_spectrum(time, 100.0 * random.normal(size=(64000, 3)))
    with pytest.raises(DataError, match="test: no excitation"):
        fit_resonance(found, 0, SWEEP, "test")


def test_a_response_without_a_peak_is_refused():
    frequency = 1.5625 * np.arange(1025)
    density = np.where(frequency < 135.0, frequency**2, 0.0) + 10.0
    flat = PowerSpectrum(frequency, np.column_stack([density] * 3))
    with pytest.raises(DataError, match="no clear peak between 5 and 135 Hz"):
        fit_resonance(flat, 0, SWEEP, "test")


def test_a_spectrum_that_ends_below_the_sweep_is_refused():
    frequency = 1.5625 * np.arange(20)
    short = PowerSpectrum(frequency, np.ones((20, 3)))
    with pytest.raises(DataError, match="ends at 30 Hz"):
        fit_resonance(short, 0, Sweep(25.0, 135.0), "test")


@pytest.mark.parametrize("ends", [(0.0, 10.0), (20.0, 10.0), (5.0, float("inf"))])
def test_an_impossible_sweep_is_refused(ends):
    with pytest.raises(ConfigError, match=r"sweep\.(low|high)_hz: got .*, expected .*above"):
        Sweep(*ends)
