"""How far a metric could be off by chance: bootstrap over layers.

Samples of one layer depend on each other, and so do the variants of one layer; what can be
drawn anew is the layer (cluster bootstrap: Davison & Hinkley, Bootstrap Methods and their
Application, 1997, §3.8). The interval is the percentile interval.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trajerr.arrays import Floats
from trajerr.metrics.errors import mean_r_squared, residual

Interval = tuple[float, float]


@dataclass(frozen=True)
class ClusterSums:
    """What MAE, RMSE and R² need of each of C clusters, per axis."""

    count: Floats  # (C,)
    absolute: Floats  # (C, A) Σ|p − t|, mm
    squared: Floats  # (C, A) Σ(p − t)², mm²
    target: Floats  # (C, A) Σ(t − centre), mm
    target_squared: Floats  # (C, A) Σ(t − centre)², mm²

    def measures(self, weights: Floats) -> dict[str, float]:
        """Return MAE, RMSE and R² with each cluster taken ``weights`` (C,) times."""
        count = weights @ self.count
        squared = weights @ self.squared
        spread = weights @ self.target_squared - (weights @ self.target) ** 2 / count
        return {
            "mae_mm": float(np.mean(weights @ self.absolute) / count),
            "rmse_mm": float(np.sqrt(np.mean(squared) / count)),
            "r2": mean_r_squared(squared, spread),
        }


def cluster_sums(
    prediction: ArrayLike, target: ArrayLike, cluster: NDArray[np.int64]
) -> ClusterSums:
    """Sum up each cluster.

    Parameters
    ----------
    prediction, target : (N, A)
        mm.
    cluster : (N,)
        Cluster of each sample, 0 … C−1.
    """
    wrong = residual(prediction, target)
    # Sums of squares about a common centre keep their digits; R² does not depend on it.
    truth = np.asarray(target, dtype=np.float64)
    centred = truth - truth.mean(axis=0)
    total = int(cluster.max()) + 1

    def per_cluster(values: Floats) -> Floats:
        columns = [np.bincount(cluster, column, minlength=total) for column in values.T]
        return np.column_stack(columns)

    return ClusterSums(
        count=np.bincount(cluster, minlength=total).astype(np.float64),
        absolute=per_cluster(np.abs(wrong)),
        squared=per_cluster(wrong**2),
        target=per_cluster(centred),
        target_squared=per_cluster(centred**2),
    )


def draw_weights(clusters: int, resamples: int, seed: int) -> Floats:
    """Return (resamples, clusters): how often each cluster is drawn in each resample."""
    drawn = np.random.default_rng(seed).integers(clusters, size=(resamples, clusters))
    return np.stack([np.bincount(row, minlength=clusters) for row in drawn]).astype(np.float64)


def intervals(
    sums: ClusterSums, *, resamples: int = 2000, seed: int = 0, confidence: float = 0.95
) -> dict[str, Interval]:
    """Return the percentile interval of ``mae_mm``, ``rmse_mm`` and ``r2`` over the clusters."""
    weights = draw_weights(len(sums.count), resamples, seed)
    draws = [sums.measures(row) for row in weights]
    return {name: _interval([d[name] for d in draws], confidence) for name in draws[0]}


def paired_intervals(
    first: ClusterSums,
    second: ClusterSums,
    *,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Interval]:
    """Return intervals of ``second − first``, both on the same draws of the same clusters.

    What makes a layer hard is hard for both, so the difference is known better than either.

    Raises
    ------
    ValueError
        If the two do not hold the same clusters.
    """
    if not np.array_equal(first.count, second.count):
        raise ValueError("a paired comparison needs the same layers for both")
    weights = draw_weights(len(first.count), resamples, seed)
    pairs = [(first.measures(row), second.measures(row)) for row in weights]
    return {
        name: _interval([b[name] - a[name] for a, b in pairs], confidence) for name in pairs[0][0]
    }


def _interval(values: list[float], confidence: float) -> Interval:
    tail = 50 * (1 - confidence)
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)
