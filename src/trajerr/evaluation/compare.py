"""Several checkpoints side by side, on the same split."""

from collections.abc import Mapping
from typing import Any

from trajerr.evaluation.prediction import Layers, Prediction
from trajerr.metrics.bootstrap import ClusterSums, cluster_sums, paired_intervals

Scores = Mapping[str, Any]


def compare(
    predictions: Mapping[str, Prediction], scores: Mapping[str, Scores], layers: Layers
) -> dict[str, Any]:
    """Return each checkpoint's metrics and its difference from the first.

    The difference's 95 % interval is over layers, both on the same draws: an interval
    without 0 tells the two apart.
    """
    sums = {
        name: cluster_sums(
            prediction.layers[:, layers.axes], layers.target[:, layers.axes], layers.cluster
        )
        for name, prediction in predictions.items()
    }
    reference = next(iter(sums))
    return {
        "reference": reference,
        "checkpoints": {
            name: {
                "model": found["model"],
                "checkpoint": found["provenance"]["checkpoint"],
                "windows": found["overall"],
                "trajectory": found["trajectory"]["overall"],
                "interval_95": found["trajectory"]["interval_95"],
                "minus_reference_95": _difference(sums[reference], sums[name]),
                "step_us_p50": found["inference"]["step_us_p50"],
                "window_ms_p50": found["inference"]["window_ms_p50"],
            }
            for name, found in scores.items()
        },
    }


def _difference(reference: ClusterSums, other: ClusterSums) -> dict[str, list[float]] | None:
    """Return the intervals of ``other − reference``; ``None`` for a single layer."""
    if len(reference.count) < 2:
        return None
    return {key: list(span) for key, span in paired_intervals(reference, other).items()}
