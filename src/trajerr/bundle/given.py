"""What a bundle is given, checked: features, paths and their rate."""

import math

import numpy as np
from numpy.typing import ArrayLike

from trajerr.arrays import Floats, Floats32
from trajerr.errors import DataError
from trajerr.motion.features import FEATURES

RATE_TOLERANCE = 1e-6  # relative; clocks are written with few digits


def check_features(features: ArrayLike) -> Floats32:
    """Return features as contiguous float32 of shape (T, 15) or (B, T, 15).

    Raises
    ------
    DataError
        Another shape, nothing at all, or values that are not finite.
    """
    with np.errstate(over="ignore"):  # what float32 cannot hold is refused below
        windows = np.ascontiguousarray(features, dtype=np.float32)
    if windows.ndim not in (2, 3) or windows.shape[-1] != len(FEATURES) or windows.size == 0:
        raise DataError(
            f"features have shape {windows.shape}, expected (T, {len(FEATURES)}) "
            f"or (B, T, {len(FEATURES)})"
        )
    if not np.isfinite(windows).all():
        raise DataError("features hold NaN or infinite values, expected finite ones")
    return windows


def check_sample_rate(given_hz: float, model_hz: float) -> None:
    """Refuse another sample rate than the model's.

    Raises
    ------
    DataError
        The rates differ.
    """
    if not math.isclose(given_hz, model_hz, rel_tol=RATE_TOLERANCE):
        raise DataError(
            f"samples come at {given_hz:g} Hz, the model expects {model_hz:g} Hz; "
            "resample the trajectory, or let predict_path do it with resample=True"
        )


def check_path(position: ArrayLike) -> Floats:
    """Return positions as (N, 3) mm.

    Raises
    ------
    DataError
        Another shape, or values that are not finite.
    """
    path = np.asarray(position, dtype=np.float64)
    if path.ndim != 2 or path.shape[1] != 3 or not len(path):
        raise DataError(f"positions have shape {path.shape}, expected (N, 3) in mm")
    if not np.isfinite(path).all():
        raise DataError("positions hold NaN or infinite values, expected finite ones")
    return path


def interpolate(path: Floats, index: Floats) -> Floats:
    """Return (M, 3) positions at fractional indices of (N, 3), at rest beyond the ends.

    Cubic between four neighbours (Catmull and Rom, 1974): a straight line between samples
    would make every one of them an impulse of acceleration.
    """
    whole = np.floor(index).astype(np.int64)
    s = (index - whole)[:, None]
    p0, p1, p2, p3 = (path[np.clip(whole + k, 0, len(path) - 1)] for k in (-1, 0, 1, 2))
    slope, bend, twist = p2 - p0, 2 * p0 - 5 * p1 + 4 * p2 - p3, 3 * (p1 - p2) + p3 - p0
    result: Floats = p1 + 0.5 * s * (slope + s * (bend + s * twist))
    return result
