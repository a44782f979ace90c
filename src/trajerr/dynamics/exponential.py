"""The exponential of a small matrix."""

import numpy as np

from trajerr.arrays import Floats

_LARGEST = 5.371920351148152  # 1-norm up to which the approximant is exact to rounding; Higham
_SWEEPS = 4  # over all rows and columns; two do for matrices as small as ours
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
    Method for the Matrix Exponential Revisited*, SIAM J. Matrix Anal. Appl. 26:1179, 2005), of the
    matrix in units in which rows and columns are alike: each squaring adds to the rounding.
    """
    units = _units(matrix)
    balanced = matrix * units / units[:, None]
    norm = float(np.linalg.norm(balanced, 1))
    halvings = max(0, int(np.ceil(np.log2(norm / _LARGEST)))) if norm > 0.0 else 0
    scaled = balanced / 2.0**halvings
    even, odd = np.zeros_like(scaled), np.zeros_like(scaled)
    power = np.eye(len(scaled))
    for degree, coefficient in enumerate(_PADE):
        part = even if degree % 2 == 0 else odd
        part += coefficient * power
        power = power @ scaled
    result = np.asarray(np.linalg.solve(even - odd, even + odd), dtype=np.float64)
    for _ in range(halvings):
        result = result @ result
    return result * units[:, None] / units


def _units(matrix: Floats) -> Floats:
    """Return the powers of 2, (N,), that balance a matrix (Parlett and Reinsch, 1969)."""
    units = np.ones(len(matrix))
    others = ~np.eye(len(matrix), dtype=bool)
    for _ in range(_SWEEPS):
        for axis in range(len(matrix)):
            size = np.abs(matrix * units / units[:, None]) * others
            column, row = float(size[:, axis].sum()), float(size[axis].sum())
            if column > 0.0 and row > 0.0:
                units[axis] *= 2.0 ** round(0.5 * np.log2(row / column))
    return units
