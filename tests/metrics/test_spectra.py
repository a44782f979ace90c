import numpy as np
import pytest
from scipy import signal

from trajerr.metrics.spectra import spectrum

RATE = 200.0


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(samples, 2))


@pytest.mark.parametrize("segment", [64, 65, 256])
def test_equal_to_scipy(segment):
    values = noise(2000)
    ours = spectrum([values], RATE, segment)
    frequency, density = signal.welch(
        values, RATE, "hann", segment, segment // 2, detrend="constant", axis=0
    )
    np.testing.assert_allclose(ours.frequency, frequency)
    np.testing.assert_allclose(ours.density, density, rtol=1e-10)


def test_a_sine_shows_its_power_in_its_band():
    time = np.arange(4000) / RATE
    values = 0.2 * np.sin(2 * np.pi * 25.0 * time)[:, None] * [1.0, 1.0]
    found = spectrum([values], RATE)
    assert found.band_rms(20, 30) == pytest.approx(0.2 / np.sqrt(2), rel=1e-3)
    assert found.band_rms(40, 100) < 1e-5
    assert found.frequency[np.argmax(found.density[:, 0])] == pytest.approx(25.0, abs=RATE / 256)


def test_bands_add_up_to_the_variance_of_noise():
    values = noise(200_000)
    assert spectrum([values], RATE).band_rms(0, 101) == pytest.approx(1.0, rel=0.02)


def test_many_signals_average_by_segments():
    values = noise(256 * 6)
    pieces = [values[:256], values[256:512], noise(100)]
    mean = (spectrum(pieces[:1], RATE).density + spectrum(pieces[1:2], RATE).density) / 2
    np.testing.assert_allclose(spectrum(pieces, RATE).density, mean)


def test_short_signals_still_have_a_spectrum():
    assert len(spectrum([noise(40)], RATE).frequency) == 21
    with pytest.raises(ValueError, match="at least 2"):
        spectrum([noise(1)], RATE)
