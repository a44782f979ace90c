"""Lengths and smoothing against SciPy's, which a light install does without."""

import numpy as np
import pytest
from scipy.fft import next_fast_len
from scipy.ndimage import gaussian_filter1d

from trajerr.inversion.signals import blurred, fast_length


def test_lengths_are_products_of_small_primes() -> None:
    for count in [*range(1, 3000), 10**5 + 1, 2**20 + 1]:
        assert fast_length(count) == next_fast_len(count, real=True)


@pytest.mark.parametrize("deviation", [0.3, 2.0, 10.0])
@pytest.mark.parametrize("count", [1, 7, 500])
def test_blurring_is_a_gaussian_filter(deviation: float, count: int) -> None:
    values = np.random.default_rng(0).normal(size=(count, 2))
    expected = gaussian_filter1d(values, deviation, axis=0)
    np.testing.assert_allclose(blurred(values, deviation), expected, rtol=1e-12, atol=1e-14)
