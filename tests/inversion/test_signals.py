"""Lengths and smoothing against SciPy's, which a light install does without."""

import numpy as np
import pytest
from scipy.fft import next_fast_len
from scipy.ndimage import gaussian_filter1d

from trajerr.inversion.signals import band_limited, blurred, fast_length


def test_lengths_are_products_of_small_primes() -> None:
    for count in [*range(1, 3000), 10**5 + 1, 2**20 + 1]:
        assert fast_length(count) == next_fast_len(count, real=True)


@pytest.mark.parametrize("deviation", [0.3, 2.0, 10.0])
@pytest.mark.parametrize("count", [1, 7, 500])
def test_blurring_is_a_gaussian_filter(deviation: float, count: int) -> None:
    values = np.random.default_rng(0).normal(size=(count, 2))
    expected = gaussian_filter1d(values, deviation, axis=0)
    np.testing.assert_allclose(blurred(values, deviation), expected, rtol=1e-12, atol=1e-14)


def test_noise_holds_all_frequencies_of_its_band_alike_and_no_others() -> None:
    noise = band_limited(np.random.default_rng(0), 1 << 16, 0.25)
    assert noise.shape == (1 << 16, 2)
    np.testing.assert_allclose(np.std(noise, axis=0), 1.0, rtol=1e-9)
    power = np.abs(np.fft.rfft(noise, axis=0)) ** 2
    parts = power.reshape(-1, 2)[1:].reshape(8, -1, 2).mean(axis=1)
    np.testing.assert_allclose(parts[:4] / parts[:4].mean(axis=0), 1.0, atol=0.1)
    assert np.max(parts[4:]) < 1e-9 * np.min(parts[:4])


def test_noise_of_few_samples_is_part_of_longer_one() -> None:
    few, many = (band_limited(np.random.default_rng(1), n, 0.3, 512) for n in (20, 512))
    np.testing.assert_array_equal(few, many[:20])
