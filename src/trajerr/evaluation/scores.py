"""What ``metrics.json`` holds: every metric of an evaluation, from the arrays it was made of.

Nothing here runs a network or reads a file, so the metrics can be computed again from
``predictions.npz`` alone, and a test does so. Three entries of ``metrics.json`` cannot:

- ``noise_floor_mm`` is the RMS between two simulations, with the timing jitter and without;
  it takes the simulated printer.
- ``inference`` is measured by the clock, on the machine that evaluates.
- ``provenance`` (and ``model``, ``overlap``) name files, versions and hashes.

``axes`` says of which axes all metrics are but those of ``x`` and ``y`` alone: of both, unless
the data holds an error of one only, as a log of one axis does.

The intervals ``interval_95`` are over layers: 2000 resamples, ``numpy.random.default_rng(0)``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajerr.checks import require
from trajerr.evaluation.prediction import Layers, Prediction, Windows
from trajerr.metrics import bootstrap, strata
from trajerr.metrics.errors import (
    AXES,
    axis_summary,
    grouped_summary,
    summary,
    tail_summary,
)
from trajerr.metrics.spectra import Spectrum, spectrum

Scores = dict[str, Any]

SCHEMA_VERSION = 1
BANDS_HZ = (0.0, 5.0, 15.0, 35.0, 70.0)  # below, around and above the carriages' resonances
TARGETS = (
    "mae_mm",
    "rmse_mm",
    "r2",
    "p50_mm",
    "p90_mm",
    "p95_mm",
    "p99_mm",
    "max_mm",
    "inference_ms",
    "window_ms",
)
CONDITIONS = ("windows", "settled", "trajectory")  # on which metrics targets can be judged
AT_LEAST = frozenset({"r2"})  # targets that are met by exceeding them


@dataclass(frozen=True)
class Bins:
    """Lower edges of the groups by commanded motion; the last group has no upper edge."""

    speed_mm_s: Sequence[float]
    turning_deg: Sequence[float]


def score(
    prediction: Prediction, layers: Layers, windows: Windows, *, burn_in: int, bins: Bins
) -> Scores:
    """Return everything that depends on the predictions alone.

    Parameters
    ----------
    prediction
        Of a network, mm.
    layers, windows
        The split, and where its windows begin.
    burn_in
        Samples at the head of a window that ``settled`` leaves out.
    bins
        Groups by commanded motion.

    Raises
    ------
    ConfigError
        ``burn_in`` leaves nothing of a window.
    """
    target, axes = windows.cut(layers.target), layers.axes
    scores: Scores = {"n_windows": len(target), "n_points": len(layers), "burn_in": burn_in}
    scores["axes"] = [AXES[i] for i in axes]
    scores |= _metrics(prediction.windows, target, axes)
    scores["settled"] = _settled(prediction.windows, target, axes, burn_in)
    scores["trajectory"] = _streamed(prediction, layers)
    scores["strata"] = stratify(prediction, layers, bins)
    scores["spectrum"] = band_table(prediction, layers)
    return scores


def baseline_scores(
    prediction: Prediction, layers: Layers, windows: Windows, burn_in: int
) -> Scores:
    """Return the metrics of a baseline on the same windows and layers."""
    target, axes = windows.cut(layers.target), layers.axes
    return {
        "overall": summary(prediction.windows[..., axes], target[..., axes]),
        "settled": axis_summary(prediction.windows[:, burn_in:], target[:, burn_in:], axes),
        "trajectory": axis_summary(prediction.layers, layers.target, axes),
    }


def check_targets(scores: Scores, limits: Mapping[str, float | None], condition: str) -> Scores:
    """Compare metrics with their limits: below it, but for R², which has to exceed it.

    Parameters
    ----------
    scores
        :func:`score`'s, with ``inference``.
    limits
        Names of :data:`TARGETS` → limit, or ``None`` for no target.
    condition
        Which metrics are judged, of :data:`CONDITIONS`.
    """
    metrics = scores if condition == "windows" else scores[condition]
    measured = metrics["overall"] | {
        f"{rank}_mm": value for rank, value in metrics["percentiles_mm"].items()
    }
    measured["max_mm"] = metrics["max_mm"]
    measured["inference_ms"] = scores["inference"]["step_us_p50"] / 1000
    measured["window_ms"] = scores["inference"]["window_ms_p50"]
    return {
        name: {
            "value": measured[name],
            "limit": limit,
            "met": measured[name] > limit if name in AT_LEAST else measured[name] < limit,
        }
        for name, limit in limits.items()
        if limit is not None
    }


def group_samples(layers: Layers, bins: Bins) -> dict[str, strata.Groups]:
    """Return every way to group the samples of whole layers: by what → group → membership."""
    velocity = layers.velocity.astype(np.float64)
    turning = np.concatenate(
        [strata.turning_angle(velocity[s], layers.sample_rate) for s in layers.spans]
    )
    speed = np.linalg.norm(velocity, axis=1)
    return {
        "part": strata.by_label(layers.part[layers.sequence]),
        "kind": strata.by_label(layers.kind[layers.sequence]),
        "feature_type": strata.by_feature_type(layers.feature, layers.extruding, layers.travel),
        "speed": strata.by_bins(speed, bins.speed_mm_s, "mm/s"),
        "turning": strata.by_bins(turning, bins.turning_deg, "°"),
    }


def stratify(prediction: Prediction, layers: Layers, bins: Bins) -> Scores:
    """Return the metrics of each group of samples of whole layers, streamed."""
    got, wanted = prediction.layers[:, layers.axes], layers.target[:, layers.axes]
    return {
        by: grouped_summary(got, wanted, groups)
        for by, groups in group_samples(layers, bins).items()
    }


def spectra_of(values: NDArray[np.floating], layers: Layers) -> Spectrum:
    """Return the spectrum of (P, A) values in mm along whole layers."""
    return spectrum([values[s].astype(np.float64) for s in layers.spans], layers.sample_rate)


def band_table(prediction: Prediction, layers: Layers) -> list[Scores]:
    """Return the RMS of error and residual in each band up to half the sample rate."""
    residual = prediction.layers - layers.target
    error = spectra_of(layers.target[:, layers.axes], layers)
    wrong = spectra_of(residual[:, layers.axes], layers)
    top = layers.sample_rate / 2
    lows = [low for low in BANDS_HZ if low < top]
    # The last band takes in the Nyquist frequency itself.
    highs = [*lows[1:], np.nextafter(top, np.inf)]
    return [
        {
            "from_hz": low,
            "to_hz": min(high, top),
            "error_rms_mm": error.band_rms(low, high),
            "residual_rms_mm": wrong.band_rms(low, high),
        }
        for low, high in zip(lows, highs, strict=True)
    ]


def _metrics(
    prediction: NDArray[np.float32], target: NDArray[np.float32], axes: Sequence[int]
) -> Scores:
    together = tail_summary(prediction[..., axes], target[..., axes])
    return axis_summary(prediction, target, axes) | together


def _settled(
    prediction: NDArray[np.float32],
    target: NDArray[np.float32],
    axes: Sequence[int],
    burn_in: int,
) -> Scores:
    length = target.shape[1]
    expected = f"0 to {length - 1} samples, less than a window has"
    require("burn_in", burn_in, 0 <= burn_in < length, expected)
    return _metrics(prediction[:, burn_in:], target[:, burn_in:], axes)


def _streamed(prediction: Prediction, layers: Layers) -> Scores:
    """Score whole layers, with 95 % intervals over layers if there are several.

    ``n_cold`` of the ``n_sequences`` have no lead-in: where it is 0, all is as deployed.
    """
    axes = layers.axes
    scores: Scores = _metrics(prediction.layers, layers.target, axes)
    sums = bootstrap.cluster_sums(
        prediction.layers[:, axes], layers.target[:, axes], layers.cluster
    )
    scores["n_layers"] = len(sums.count)
    scores["n_sequences"] = len(layers.context)
    scores["n_cold"] = int(np.sum(layers.context == 0))
    # One layer says nothing about how much layers differ.
    several = len(sums.count) > 1
    scores["interval_95"] = (
        {k: list(v) for k, v in bootstrap.intervals(sums).items()} if several else None
    )
    return scores
