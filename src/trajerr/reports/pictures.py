"""Which stretch of a split each figure of an evaluation shows, and the figures themselves."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from trajerr.evaluation.prediction import Layers, Prediction
from trajerr.evaluation.scores import Bins, group_samples, spectra_of
from trajerr.metrics.errors import magnitude, root_mean_square_error
from trajerr.reports import path_plots, plots

STRETCH = 2.0  # s of a sequence_prediction


def draw_all(
    name: str,
    prediction: Prediction,
    baselines: Mapping[str, Prediction],
    layers: Layers,
    bins: Bins,
    *,
    limits_mm: Mapping[str, float],
    noise_floor_mm: float | None,
    resonance_hz: tuple[float, ...],
) -> dict[str, Figure]:
    """Draw every figure of one evaluation, by name; all of whole layers, streamed.

    Parameters
    ----------
    name
        The model's.
    prediction
        The model's, mm.
    baselines
        Method → what it predicts, mm.
    layers
        The split.
    bins
        Groups by commanded motion.
    limits_mm
        Percentile → target.
    noise_floor_mm
        RMS, where known.
    resonance_hz
        Of x and y, where known.
    """
    got, target = prediction.layers.astype(np.float64), layers.target.astype(np.float64)
    others = {other: p.layers.astype(np.float64) for other, p in baselines.items()}
    shown = typical_sequence(prediction.layers, layers)
    span = layers.spans[shown]
    path: dict[str, Any] = {
        "commanded": layers.position[span],
        "predicted": got[span],
        "error": target[span],
        "printing": layers.drawn[span],
        "title": layers.label(shown),
    }
    part = _busiest(span, layers)
    groups = group_samples(layers, bins)
    motion = groups["feature_type"] | groups["speed"]
    motion |= {f"turn {label}": member for label, member in groups["turning"].items()}
    return {
        "trajectory_comparison": path_plots.trajectory_comparison(**path),
        "sequence_prediction": plots.sequence_prediction(
            layers.time[part],
            got[part],
            target[part],
            magnitude(layers.velocity[part]),
            title=layers.label(shown),
            axes=layers.axes,
        ),
        "error_distribution": plots.error_distribution(
            got[:, layers.axes], target[:, layers.axes], limits_mm
        ),
        "error_correlation": plots.error_correlation(got, target, layers.axes),
        "per_axis_error": plots.per_axis_error(
            {f"{name} (this model)": got} | others,
            target,
            motion,
            noise_floor_mm=noise_floor_mm,
            axes=layers.axes,
        ),
        "spectrum": plots.spectrum(
            spectra_of(target, layers),
            spectra_of(got - target, layers),
            resonance_hz=resonance_hz,
            baselines={
                other: spectra_of(p - target, layers)
                for other, p in others.items()
                if other != "zero"
            },
            axes=layers.axes,
        ),
        "residual_map": path_plots.residual_map(**path),
    }


def typical_sequence(prediction: NDArray[np.float32], layers: Layers) -> int:
    """Return the printed-as-sliced sequence whose residual is the median one's."""
    nominal = [i for i, kind in enumerate(layers.kind) if kind == "nominal"]
    candidates = [i for i in nominal or range(len(layers.spans)) if _prints(layers, i)]
    if not candidates:
        return 0
    spans = layers.spans
    sizes = [
        root_mean_square_error(prediction[spans[i]], layers.target[spans[i]]) for i in candidates
    ]
    return candidates[int(np.argsort(sizes)[len(sizes) // 2])]


def _prints(layers: Layers, index: int) -> bool:
    return bool(np.any(layers.drawn[layers.spans[index]]))


def _busiest(span: slice, layers: Layers) -> slice:
    """Return the stretch of a sequence with the largest mean true error."""
    count = min(int(STRETCH * layers.sample_rate), span.stop - span.start)
    total = np.cumsum(np.concatenate([[0.0], magnitude(layers.target[span])]))
    start = span.start + int(np.argmax(total[count:] - total[:-count]))
    return slice(start, start + count)
