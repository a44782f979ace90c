"""The error of sensor and printer together, against a truth of SciPy's."""

from dataclasses import replace

import numpy as np
import pytest

from tests.recordings.recorded import RATE_HZ, Sensor, linear, moved
from trajerr.errors import DataError
from trajerr.recordings import Recording, Sensors, align
from trajerr.recordings.fusion import fuse


def fused_with(model, sensor=None, truth=None):
    truth = truth or moved()
    rows = (sensor or Sensor()).rows(truth)
    aligned = align(Sensors(Recording(rows[:, 0], rows[:, 1:])), truth.trajectory, model)
    fused = fuse(aligned)
    first = round(fused.time_s[0] * RATE_HZ)
    error = (truth.xy - truth.trajectory.position[:, :2])[first : first + len(fused.error)]
    return fused, error


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values[2000:-2000] ** 2)))


def without_common_delay(left: np.ndarray, fused) -> np.ndarray:
    speed = np.gradient(fused.commanded, 1.0 / RATE_HZ, axis=0)
    return left - speed * float(np.sum(left * speed) / np.sum(speed**2))


def test_a_sensor_makes_up_for_a_printer_that_is_off():
    fused, error = fused_with(linear(45.0, 29.0, 0.05))
    alone = rms(without_common_delay(fused.below - error, fused))
    together = rms(without_common_delay(fused.error - error, fused))
    assert alone > 0.3 * rms(error)
    assert together < 0.35 * alone


def test_the_parts_add_up_and_the_crossover_is_said():
    fused, _ = fused_with(linear())
    np.testing.assert_allclose(fused.below + fused.above, fused.error)
    for axis in "xy":
        chosen = fused.crossover[axis]
        assert 3.0 <= chosen.frequency_hz <= 20.0
        assert f"{chosen.frequency_hz:.1f} Hz" in chosen.reason


def test_a_noisier_sensor_takes_over_later_and_is_less_certain():
    quiet, _ = fused_with(linear(42.0, 30.0), Sensor(noise=50.0))
    noisy, _ = fused_with(linear(42.0, 30.0), Sensor(noise=1500.0))
    for axis in "xy":
        assert noisy.crossover[axis].frequency_hz > quiet.crossover[axis].frequency_hz
    assert np.all(noisy.uncertainty(slice(None)) > quiet.uncertainty(slice(None)))


def test_the_uncertainty_covers_what_is_off():
    for seed in range(2):
        fused, error = fused_with(linear(42.0, 30.0), Sensor(seed=seed), moved(seed=seed))
        off = without_common_delay(fused.error - error, fused)[2000:-2000]
        assert np.all(np.sqrt(np.mean(off**2, axis=0)) < 2.0 * fused.uncertainty(slice(None)))


def test_a_recording_that_does_not_cohere_is_refused():
    truth = moved()
    rows = Sensor().rows(truth)
    aligned = align(Sensors(Recording(rows[:, 0], rows[:, 1:])), truth.trajectory, linear())
    noise = np.random.default_rng(0).normal(0.0, 1e3, aligned.acceleration.shape)
    aligned = replace(aligned, acceleration=noise)
    with pytest.raises(DataError, match="coherence with the plan is 0"):
        fuse(aligned)
