"""The standard normal distribution's function and its inverse, on whole arrays.

Of what SciPy has, these are all that a simulated machine needs, so a light install does without.
"""

import math

import numpy as np

from trajerr.arrays import Floats
from trajerr.dynamics.compiled import compiled

_SPLIT_Q = 0.425  # of |p − ½|, up to which the centre's fraction holds
_SPLIT_R = 5.0  # of √(−ln p), up to which the near tail's does
_A = (
    3.3871328727963666080e0,
    1.3314166789178437745e2,
    1.9715909503065514427e3,
    1.3731693765509461125e4,
    4.5921953931549871457e4,
    6.7265770927008700853e4,
    3.3430575583588128105e4,
    2.5090809287301226727e3,
)
_B = (
    1.0,
    4.2313330701600911252e1,
    6.8718700749205790830e2,
    5.3941960214247511077e3,
    2.1213794301586595867e4,
    3.9307895800092710610e4,
    2.8729085735721942674e4,
    5.2264952788528545610e3,
)
_C = (
    1.42343711074968357734e0,
    4.63033784615654529590e0,
    5.76949722146069140550e0,
    3.64784832476320460504e0,
    1.27045825245236838258e0,
    2.41780725177450611770e-1,
    2.27238449892691845833e-2,
    7.74545014278341407640e-4,
)
_D = (
    1.0,
    2.05319162663775882187e0,
    1.67638483018380384940e0,
    6.89767334985100004550e-1,
    1.48103976427480074590e-1,
    1.51986665636164571966e-2,
    5.47593808499534494600e-4,
    1.05075007164441684324e-9,
)
_E = (
    6.65790464350110377720e0,
    5.46378491116411436990e0,
    1.78482653991729133580e0,
    2.96560571828504891230e-1,
    2.65321895265761230930e-2,
    1.24266094738807843860e-3,
    2.71155556874348757815e-5,
    2.01033439929228813265e-7,
)
_F = (
    1.0,
    5.99832206555887937690e-1,
    1.36929880922735805310e-1,
    1.48753612908506148525e-2,
    7.86869131145613259100e-4,
    1.84631831751005468180e-5,
    1.42151175831644588870e-7,
    2.04426310338993978564e-15,
)


def probability(value: Floats) -> Floats:
    """Return the probability of less than each value, of any shape."""
    values = np.ascontiguousarray(value, dtype=np.float64)
    result: Floats = _probability(values.ravel()).reshape(values.shape)
    return result


def quantile(share: Floats) -> Floats:
    """Return the value below which each share in (0, 1) lies, of any shape.

    M. Wichura, *Algorithm AS 241*, Applied Statistics 37:477 (1988), PPND16: exact to 1e-16.
    """
    shares = np.ascontiguousarray(share, dtype=np.float64)
    result: Floats = _quantile(shares.ravel()).reshape(shares.shape)
    return result


@compiled
def _probability(values: Floats) -> Floats:
    result = np.empty(len(values))
    for i in range(len(values)):
        result[i] = 0.5 * math.erfc(-values[i] / math.sqrt(2.0))
    return result


@compiled
def _fraction(above: tuple[float, ...], below: tuple[float, ...], at: float) -> float:
    """Return a quotient of polynomials, coefficients from the constant up."""
    top = bottom = 0.0
    for i in range(len(above) - 1, -1, -1):
        top = top * at + above[i]
        bottom = bottom * at + below[i]
    return top / bottom


@compiled
def _quantile(shares: Floats) -> Floats:
    result = np.empty(len(shares))
    for i in range(len(shares)):
        q = shares[i] - 0.5
        if abs(q) <= _SPLIT_Q:
            result[i] = q * _fraction(_A, _B, _SPLIT_Q * _SPLIT_Q - q * q)
            continue
        r = math.sqrt(-math.log(shares[i] if q < 0.0 else 1.0 - shares[i]))
        near = r <= _SPLIT_R
        size = _fraction(_C, _D, r - 1.6) if near else _fraction(_E, _F, r - _SPLIT_R)
        result[i] = -size if q < 0.0 else size
    return result
