"""The least and the greatest over the axes, column by column: NumPy is slow along a short axis."""

from functools import reduce

import numpy as np

from trajerr.arrays import Reals


def least(values: Reals) -> Reals:
    """Return (N,) the least of (N, 4)."""
    return np.asarray(reduce(np.minimum, values.T))


def largest(values: Reals) -> Reals:
    """Return (N,) the greatest of (N, 4)."""
    return np.asarray(reduce(np.maximum, values.T))
