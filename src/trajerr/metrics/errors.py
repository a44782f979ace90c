"""How wrong a prediction is, in mm: pure functions of arrays.

Predictions come before targets. Arrays are (N,) for one axis or (..., A) for A axes, 2 for x
and y; every leading index is a sample. Everything is computed in float64, whatever comes in.
This module knows nothing of files, networks or layers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trajerr.arrays import Floats

Summary = dict[str, float]

AXES = ("x", "y")
PERCENTILES = (50, 90, 95, 99)


def mean_absolute_error(prediction: ArrayLike, target: ArrayLike) -> float:
    """Return the mean of ``|prediction − target|`` over all samples and axes, in mm."""
    return float(np.mean(np.abs(residual(prediction, target))))


def root_mean_square_error(prediction: ArrayLike, target: ArrayLike) -> float:
    """Return the root of the mean squared component over all samples and axes, in mm."""
    return float(np.sqrt(np.mean(np.square(residual(prediction, target)))))


def r_squared(prediction: ArrayLike, target: ArrayLike) -> float:
    """Return the coefficient of determination, averaged with equal weight over the axes.

    ``1 − Σ(t − p)² / Σ(t − mean t)²`` per axis (Draper & Smith, Applied Regression Analysis,
    3rd ed. 1998, §1.3). A target that never changes has R² 1 if met exactly and 0 otherwise.

    Parameters
    ----------
    prediction, target : (N,) or (..., A)
        mm.
    """
    wrong = _by_axis(residual(prediction, target))
    truth = _by_axis(np.asarray(target, dtype=np.float64))
    unexplained = np.sum(wrong**2, axis=0)
    total = np.sum((truth - truth.mean(axis=0)) ** 2, axis=0)
    return mean_r_squared(unexplained, total)


def mean_r_squared(unexplained: Floats, total: Floats) -> float:
    """Return the mean over axes of ``1 − unexplained / total``; both (A,) mm²."""
    constant = total <= 0
    ratio = unexplained / np.where(constant, 1.0, total)
    return float(np.mean(np.where(constant, unexplained <= 0, 1.0 - ratio)))


def percentiles(values: ArrayLike) -> Summary:
    """Return ``{"p50": …, "p90": …, "p95": …, "p99": …}`` of all values, linear between ranks."""
    cuts = np.percentile(np.asarray(values, dtype=np.float64), PERCENTILES)
    return {f"p{rank}": float(cut) for rank, cut in zip(PERCENTILES, cuts, strict=True)}


def residual(prediction: ArrayLike, target: ArrayLike) -> Floats:
    """Return ``prediction − target`` in mm, shape as given.

    Raises
    ------
    ValueError
        Where the shapes differ or hold no sample; broadcasting would hide the mistake.
    """
    got, wanted = np.asarray(prediction, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if got.shape != wanted.shape:
        raise ValueError(f"prediction {got.shape} and target {wanted.shape} differ in shape")
    if got.size == 0:
        raise ValueError("no samples: an error measure of nothing is undefined")
    return got - wanted


def magnitude(vectors: ArrayLike) -> Floats:
    """Return the Euclidean length of (..., A) vectors, mm: shape (...)."""
    return np.asarray(np.linalg.norm(np.asarray(vectors, dtype=np.float64), axis=-1))


def summary(prediction: ArrayLike, target: ArrayLike) -> Summary:
    """Return ``mae_mm``, ``rmse_mm`` and ``r2``."""
    return {
        "mae_mm": mean_absolute_error(prediction, target),
        "rmse_mm": root_mean_square_error(prediction, target),
        "r2": r_squared(prediction, target),
    }


def moving_axes(target: ArrayLike) -> list[int]:
    """Return the axes whose target ever changes; all of them if none does.

    A log of one axis leaves the other at rest: averaging over both would halve every error
    and R² without saying anything about a prediction.

    Parameters
    ----------
    target : (..., A)
        mm.
    """
    values = np.asarray(target)
    moving = np.ptp(values.reshape(-1, values.shape[-1]), axis=0) > 0
    return np.flatnonzero(moving if np.any(moving) else ~moving).tolist()


def axis_summary(
    prediction: ArrayLike, target: ArrayLike, axes: Sequence[int] = (0, 1)
) -> dict[str, dict[str, Any]]:
    """Return :func:`summary` of ``axes`` together (``overall``), and all of ``x`` and ``y`` alone.

    Parameters
    ----------
    prediction, target : (..., 2)
        mm.
    axes
        Columns that ``overall`` takes, see :func:`moving_axes`.
    """
    got, wanted = np.asarray(prediction), np.asarray(target)
    found: dict[str, dict[str, Any]] = {"overall": dict(summary(got[..., axes], wanted[..., axes]))}
    for i, axis in enumerate(AXES):
        wrong = np.abs(residual(got[..., i], wanted[..., i]))
        tail = {"percentiles_mm": percentiles(wrong), "max_mm": float(np.max(wrong))}
        found[axis] = summary(got[..., [i]], wanted[..., [i]]) | tail
    return found


def tail_summary(prediction: ArrayLike, target: ArrayLike) -> dict[str, float | Summary]:
    """Return percentiles and maxima of the absolute residual.

    ``percentiles_mm`` and ``max_mm`` take the components of all axes as one sample;
    ``percentiles_magnitude_mm`` and ``max_magnitude_mm`` the length of the residual vector,
    which is up to √2 larger.

    Parameters
    ----------
    prediction, target : (..., A)
        mm.
    """
    wrong = residual(prediction, target)
    length = magnitude(wrong)
    return {
        "percentiles_mm": percentiles(np.abs(wrong)),
        "max_mm": float(np.max(np.abs(wrong))),
        "percentiles_magnitude_mm": percentiles(length),
        "max_magnitude_mm": float(np.max(length)),
    }


def grouped_summary(
    prediction: ArrayLike, target: ArrayLike, groups: Mapping[str, NDArray[np.bool_]]
) -> dict[str, Summary]:
    """Return the error of each group of samples that has any, with its count.

    Parameters
    ----------
    prediction, target : (N, A)
        mm.
    groups
        name → (N,) membership; groups may overlap.
    """
    got, wanted = np.asarray(prediction), np.asarray(target)
    return {
        name: {"n_points": int(np.count_nonzero(member))}
        | summary(got[member], wanted[member])
        | {"p95_mm": percentiles(np.abs(residual(got[member], wanted[member])))["p95"]}
        for name, member in groups.items()
        if np.any(member)
    }


def _by_axis(values: Floats) -> Floats:
    """Return (N,) as (N, 1) and (..., A) as (N, A)."""
    return values[:, np.newaxis] if values.ndim == 1 else values.reshape(-1, values.shape[-1])
