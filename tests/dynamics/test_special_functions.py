"""Functions of our own against SciPy's, which a light install does without."""

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.special import ndtr, ndtri

from trajerr.dynamics.exponential import matrix_exponential
from trajerr.dynamics.normal import probability, quantile


def test_the_normal_distribution() -> None:
    values = np.concatenate(
        [np.linspace(-37.0, 9.0, 4001), np.random.default_rng(1).normal(size=999)]
    )
    near = values[values > -6.0]
    np.testing.assert_allclose(probability(near), ndtr(near), rtol=2e-14)
    np.testing.assert_allclose(probability(values), ndtr(values), rtol=1e-12)  # down to 1e-300
    np.testing.assert_array_equal(
        probability(values.reshape(8, -1)), probability(values).reshape(8, -1)
    )


def test_its_inverse() -> None:
    shares = np.concatenate(
        [
            np.random.default_rng(2).random(5000),
            10.0 ** -np.linspace(1, 300, 500),
            [0.5, 0.075, 0.925],
        ]
    )
    np.testing.assert_allclose(quantile(shares), ndtri(shares), rtol=1e-14, atol=1e-16)
    np.testing.assert_allclose(probability(quantile(shares[:5000])), shares[:5000], rtol=1e-13)


@pytest.mark.parametrize("scale", [0.0, 1e-9, 1e-3, 1.0, 5.3, 60.0])
def test_the_exponential_of_matrices(scale: float) -> None:
    random = np.random.default_rng(3)
    for size in (1, 2, 6):
        matrix = scale * random.normal(size=(size, size))
        np.testing.assert_allclose(
            matrix_exponential(matrix), expm(matrix), rtol=1e-10, atol=1e-12 * np.exp(scale)
        )


def test_the_exponential_of_a_turn() -> None:
    turn = np.array([[0.0, -1.0], [1.0, 0.0]]) * 0.5 * np.pi
    np.testing.assert_allclose(matrix_exponential(turn), [[0.0, -1.0], [1.0, 0.0]], atol=1e-15)
    np.testing.assert_allclose(matrix_exponential(np.zeros((3, 3))), np.eye(3), atol=1e-15)
