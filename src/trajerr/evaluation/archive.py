"""``predictions.npz``: every prediction with its truth, so that each metric can be recomputed."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trajerr.evaluation.prediction import Layers, Prediction, Windows
from trajerr.files import write_atomically


def write_predictions(
    path: Path,
    prediction: Prediction,
    baselines: Mapping[str, Prediction],
    layers: Layers,
    windows: Windows,
) -> None:
    """Write the arrays of an evaluation.

    Per window (W): ``predictions_mm``, ``targets_mm`` (W, T, 2); ``window_sequence``,
    ``window_start`` (W,); ``baseline_<name>_mm`` (W, T, 2).

    Per sample of whole layers (P): ``trajectory_predictions_mm``, ``trajectory_targets_mm``
    (P, 2), ``trajectory_baseline_<name>_mm``; ``time_s``, ``sequence``, ``feature_type``,
    ``extruding``, ``travel`` (P,); ``position_mm``, ``velocity_mm_s`` (P, 2), commanded.

    Per sequence (S): ``part``, ``layer``, ``variant``, ``kind``, ``source``, and ``context``,
    the samples of its lead-in, which are none of the P. And ``sample_rate_hz``.
    """
    arrays: dict[str, Any] = {
        "predictions_mm": prediction.windows,
        "targets_mm": windows.cut(layers.target),
        "window_sequence": windows.sequence,
        "window_start": windows.start,
        "trajectory_predictions_mm": prediction.layers,
        "trajectory_targets_mm": layers.target,
        "time_s": layers.time,
        "sequence": layers.sequence,
        "feature_type": layers.feature,
        "extruding": layers.extruding,
        "travel": layers.travel,
        "position_mm": layers.position,
        "velocity_mm_s": layers.velocity,
        "part": layers.part,
        "layer": layers.layer,
        "variant": layers.variant,
        "kind": layers.kind,
        "source": layers.source,
        "context": layers.context,
        "sample_rate_hz": np.float64(layers.sample_rate),
    }
    for name, baseline in baselines.items():
        arrays[f"baseline_{name}_mm"] = baseline.windows
        arrays[f"trajectory_baseline_{name}_mm"] = baseline.layers
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomically(path, buffer.getvalue())
