"""The 15 input features of a commanded trajectory, the same for training and streaming.

Knows positions on a uniform time grid, and nothing of where they came from: planned,
corrected, or read from a log. NumPy only, so that a deployed bundle computes them alike.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trajerr.checks import require
from trajerr.errors import DataError

FEATURES = (
    "x",
    "y",
    "z",
    "vx",
    "vy",
    "vz",
    "v_mag",
    "ax",
    "ay",
    "az",
    "a_mag",
    "jx",
    "jy",
    "jz",
    "curvature",
)
FEATURE_UNITS = (
    *("mm",) * 3,
    *("mm/s",) * 4,
    *("mm/s^2",) * 4,
    *("mm/s^3",) * 3,
    "1/mm",
)
TARGETS = ("error_x", "error_y")
TARGET_UNITS = ("mm", "mm")
TEMPERATURES = ("T_nozzle", "T_interface", "T_surface")
TEMPERATURE_UNITS = ("degC",) * 3

HISTORY = 3  # samples before the first one that its jerk reaches back to
REST_SPEED = 1.0  # mm/s; below it the direction of travel means nothing and curvature fades to 0


def compute_features(
    position: ArrayLike, sample_rate: float, history: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Compute the input features by causal backward differences.

    Velocity is ``v[k] = (r[k] - r[k-1]) * sample_rate``, acceleration the same difference
    of ``v``, jerk that of ``a``: each derivative is exact for the time half a sample (v),
    one (a) or one and a half samples (j) before its own, and needs no later sample.

    Parameters
    ----------
    position : (N, 3)
        mm, commanded x y z on a uniform grid.
    sample_rate
        Hz.
    history : (3, 3)
        mm, the three positions before ``position[0]``, oldest first. Without it the
        machine is taken to have rested at ``position[0]``.

    Returns
    -------
    NDArray[np.float64] : (N, 15)
        In the order of :data:`FEATURES` and the units of :data:`FEATURE_UNITS`.

    Raises
    ------
    ConfigError
        ``sample_rate`` is not positive.
    DataError
        ``position`` or ``history`` has another shape.
    """
    path = _with_history(np.asarray(position, dtype=np.float64), sample_rate, history)
    velocity = np.diff(path, axis=0) * sample_rate
    acceleration = np.diff(velocity, axis=0) * sample_rate
    jerk = np.diff(acceleration, axis=0) * sample_rate
    v, a = velocity[HISTORY - 1 :], acceleration[HISTORY - 2 :]
    features = np.empty((len(path) - HISTORY, len(FEATURES)))
    features[:, 0:3] = path[HISTORY:]
    features[:, 3:6] = v
    features[:, 6] = _magnitude(v)
    features[:, 7:10] = a
    features[:, 10] = _magnitude(a)
    features[:, 11:14] = jerk
    features[:, 14] = _curvature(v, a)
    return features


class FeatureStream:
    """Features sample by sample, equal to :func:`compute_features` of the whole.

    Parameters
    ----------
    sample_rate
        Hz.
    history : (3, 3)
        mm, as for :func:`compute_features`.
    """

    def __init__(self, sample_rate: float, history: ArrayLike | None = None) -> None:
        self._sample_rate = sample_rate
        self._last: _Motion | None = None
        past = _with_history(np.empty((0, 3)), sample_rate, history)
        for sample in past.tolist() if history is not None else ():
            self._advance(sample)

    def update(self, xyz: ArrayLike) -> NDArray[np.float64]:
        """Return the (15,) features of the next commanded position, (3,) mm."""
        x, y, z = np.asarray(xyz, dtype=np.float64).tolist()
        r, v, a, j = self._advance([x, y, z])
        speed = math.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
        total = math.sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2])
        square = v[0] * v[0] + v[1] * v[1] + REST_SPEED * REST_SPEED
        curvature = abs(v[0] * a[1] - v[1] * a[0]) / (square * math.sqrt(square))
        return np.array([*r, *v, speed, *a, total, *j, curvature])

    def reset(self) -> None:
        """Forget the past: the next sample starts from rest."""
        self._last = None

    def _advance(self, position: list[float]) -> "_Motion":
        """Difference one sample; plain floats, since arrays of three cost ten times that."""
        rest = [0.0, 0.0, 0.0]
        r, v, a, _ = self._last or (position, rest, rest, rest)
        velocity = [(new - old) * self._sample_rate for new, old in zip(position, r, strict=True)]
        acceleration = [
            (new - old) * self._sample_rate for new, old in zip(velocity, v, strict=True)
        ]
        jerk = [(new - old) * self._sample_rate for new, old in zip(acceleration, a, strict=True)]
        self._last = (position, velocity, acceleration, jerk)
        return self._last


_Motion = tuple[list[float], list[float], list[float], list[float]]  # r, v, a, j of one sample


def _with_history(
    position: NDArray[np.float64], sample_rate: float, history: ArrayLike | None
) -> NDArray[np.float64]:
    if position.ndim != 2 or position.shape[1] != 3:
        raise DataError(f"positions have shape {position.shape}, expected (N, 3) in mm")
    require("sample_rate", sample_rate, sample_rate > 0.0, "a number above 0")
    if history is None:
        past = np.repeat(position[:1], HISTORY, axis=0) if len(position) else np.zeros((HISTORY, 3))
    else:
        past = np.asarray(history, dtype=np.float64)
    if past.shape != (HISTORY, 3):
        raise DataError(f"history has shape {past.shape}, expected ({HISTORY}, 3) in mm")
    return np.concatenate([past, position])


def _magnitude(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N,) Euclidean lengths; spelled out, so that one row rounds like many."""
    x, y, z = vector.T
    length: NDArray[np.float64] = np.sqrt(x * x + y * y + z * z)
    return length


def _curvature(v: NDArray[np.float64], a: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (N,) planar curvature in 1/mm, 0 at rest.

    ``|v x a| / |v|^3`` (do Carmo, Differential Geometry of Curves and Surfaces, 1976,
    section 1-5), with ``REST_SPEED**2`` added to ``|v|^2``: a relative error of
    ``1.5 * (REST_SPEED / |v|)**2``, below 0.4 % from 20 mm/s on.
    """
    cross = np.abs(v[:, 0] * a[:, 1] - v[:, 1] * a[:, 0])
    square = v[:, 0] * v[:, 0] + v[:, 1] * v[:, 1] + REST_SPEED * REST_SPEED
    curvature: NDArray[np.float64] = cross / (square * np.sqrt(square))
    return curvature
