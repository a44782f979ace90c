"""A drive with an integral in its loop: its equation, its fit, and a real machine's drives."""

from dataclasses import replace

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy.integrate import solve_ivp

from tests.calibration.shipped import UNKNOWNS
from tests.calibration.sweeps import CONF, load_printer
from trajerr.calibration.drive import drive_positions
from trajerr.calibration.identify import identify
from trajerr.calibration.servo import Servo, predict_error
from trajerr.calibration.stretches import AxisLog, Stretch, read_axes
from trajerr.errors import ConfigError, DataError

BASE = load_printer("corexy").only("friction")


def strokes(rate_hz: float = 1000.0) -> Stretch:
    """Two strokes with rests, smooth in acceleration."""
    time = np.arange(round(2.0 * rate_hz)) / rate_hz
    there = np.clip((time - 0.1) / 0.5, 0.0, 1.0)
    back = np.clip((time - 1.2) / 0.4, 0.0, 1.0)
    smooth = [10.0 * s**3 - 15.0 * s**4 + 6.0 * s**5 for s in (there, back)]
    commanded = 60.0 * smooth[0] - 45.0 * smooth[1]
    return Stretch(time, commanded, commanded.copy())


def test_without_friction_it_solves_its_equation():
    stretch, rate = strokes(), 20_000.0
    fine = np.arange(round(2.0 * rate)) / rate
    command = np.interp(fine, stretch.time, stretch.commanded)
    natural, damping, integral, drag = 18.0, 0.7, 25.0, 0.3
    omega = 2.0 * np.pi * natural
    k_v, k_p = 2.0 * damping * omega, omega / (2.0 * damping)
    speed = np.gradient(command, 1.0 / rate)

    def rates(t, state):
        x, v, total = state
        u = k_p * (np.interp(t, fine, command) - x) + (1 - drag) * np.interp(t, fine, speed) - v
        return [v, k_v * (u + integral * total), u]

    exact = solve_ivp(rates, (0.0, 1.9), [0.5, 10.0, 0.0], max_step=1e-3, rtol=1e-8,
                      t_eval=fine[:38_000:100]).y[0]  # fmt: skip
    found = drive_positions(
        command, rate, (natural, damping, integral, drag, 0.0), np.array([0.5, 10.0])
    )
    assert np.max(np.abs(found[:38_000:100] - exact)) < 2e-3
    assert np.ptp(exact - command[:38_000:100]) > 1.0


@pytest.mark.parametrize("drag_share", [0.0, 0.6])
def test_with_next_to_no_integral_it_is_the_plants_axis(drag_share):
    stretch = strokes()
    plain = Servo(25.0, 0.5, friction_mm_s2=900.0, delay_s=0.001, drag_share=drag_share)
    drive = predict_error(replace(plain, integral_per_s=1e-6), stretch, BASE, "x")
    plant = predict_error(plain, stretch, BASE, "x")
    assert np.max(np.abs(drive - plant)) < 0.03 * np.ptp(plant)


def test_the_integral_takes_up_friction_and_is_found():
    known = Servo(20.0, 0.6, friction_mm_s2=2000.0, delay_s=0.0005, integral_per_s=30.0)
    command = strokes()
    noise = np.random.default_rng(0).normal(scale=1e-3, size=len(command.time))
    error = predict_error(known, command, BASE, "x") + noise
    log = AxisLog((replace(command, measured=command.commanded + error),), ())
    wanted = replace(UNKNOWNS, integral=True)
    found = identify(log, wanted, BASE, "x", "log")
    for key in ("natural_freq_hz", "damping_ratio", "friction_mm_s2", "integral_per_s"):
        assert found.estimates[key].value == pytest.approx(getattr(known, key), rel=0.05), key
    assert found.servo.delay_s == pytest.approx(0.0005, abs=1e-4)
    assert found.rms(held_out=False)[1] < 1.2e-3
    with pytest.raises(DataError, match="does not determine the natural frequency"):
        identify(log, UNKNOWNS, BASE, "x", "log")


def test_integral_is_true_or_false():
    with pytest.raises(ConfigError, match=r"fit\.integral: got 3, expected true or false"):
        replace(UNKNOWNS, integral=3)


@pytest.mark.parametrize(("gain", "fir_um"), [(550, 55.0), (700, 34.0)])
def test_a_real_corexys_return_stroke_by_its_forward_stroke(shared, gain, fir_um):
    """Less than 40 taps of least squares leave; ``benchmarks/servo.py`` prints both."""
    path = shared / f"data/servo/trident_gain{gain}.csv.gz"
    if not path.is_file():
        pytest.skip(f"{path.name} is absent")
    log = instantiate(OmegaConf.load(CONF / "log" / "trident.yaml"), _convert_="all")
    axis = read_axes(path, log, 0.0)["x"]
    found = identify(axis, replace(UNKNOWNS, integral=True), BASE, "x", path.name)
    error, left = (1e3 * v for v in found.rms(held_out=True))
    print(f"{path.name}: return {error:.1f} µm RMS, left {left:.1f}")
    assert error == pytest.approx({550: 222.1, 700: 176.5}[gain], abs=1.0)
    assert left < 0.85 * fir_um
    assert found.servo.delay_s == pytest.approx(0.0005, abs=1e-4)
