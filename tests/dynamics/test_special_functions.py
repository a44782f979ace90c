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


def test_the_exponential_in_unlike_units() -> None:
    """A stiff axis, x in mm and w in mm/s, against the closed form of an oscillator."""
    for omega in (1.0, 223.0, 5000.0):
        step, damping = 2.0 / omega, 0.001
        decay, turn = damping * omega, omega * np.sqrt(1.0 - damping**2)
        found = matrix_exponential(
            step * np.array([[0.0, 1.0], [-(omega**2), -2.0 * damping * omega]])
        )
        still, sway = np.cos(turn * step), np.sin(turn * step) / turn
        expected = np.exp(-decay * step) * np.array(
            [[still + decay * sway, sway], [-(omega**2) * sway, still - decay * sway]]
        )
        np.testing.assert_allclose(found, expected, rtol=5e-15)


def test_the_exponential_of_a_turn() -> None:
    turn = np.array([[0.0, -1.0], [1.0, 0.0]]) * 0.5 * np.pi
    np.testing.assert_allclose(matrix_exponential(turn), [[0.0, -1.0], [1.0, 0.0]], atol=1e-15)
    np.testing.assert_allclose(matrix_exponential(np.zeros((3, 3))), np.eye(3), atol=1e-15)
