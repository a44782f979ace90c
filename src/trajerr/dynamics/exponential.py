"""The exponential of a small matrix."""

import numpy as np

from trajerr.arrays import Floats

_LARGEST = 5.371920351148152  # 1-norm up to which the approximant is exact to rounding; Higham
_PADE = (  # coefficients of the approximant of degree 13, from the constant up
    64764752532480000.0,
    32382376266240000.0,
    7771770303897600.0,
    1187353796428800.0,
    129060195264000.0,
    10559470521600.0,
    670442572800.0,
    33522128640.0,
    1323241920.0,
    40840800.0,
    960960.0,
    16380.0,
    182.0,
    1.0,
)


def matrix_exponential(matrix: Floats) -> Floats:
    """Return the exponential of an (N, N) matrix.

    Scaling and squaring with a Padé approximant of degree 13 (N. Higham, *The Scaling and Squaring
    Method for the Matrix Exponential Revisited*, SIAM J. Matrix Anal. Appl. 26:1179, 2005).
    """
    norm = float(np.linalg.norm(matrix, 1))
    halvings = max(0, int(np.ceil(np.log2(norm / _LARGEST)))) if norm > 0.0 else 0
    scaled = matrix / 2.0**halvings
    even, odd = np.zeros_like(scaled), np.zeros_like(scaled)
    power = np.eye(len(scaled))
    for degree, coefficient in enumerate(_PADE):
        part = even if degree % 2 == 0 else odd
        part += coefficient * power
        power = power @ scaled
    result = np.asarray(np.linalg.solve(even - odd, even + odd), dtype=np.float64)
    for _ in range(halvings):
        result = result @ result
    return result
