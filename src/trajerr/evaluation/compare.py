"""Several checkpoints side by side, on the same split."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from trajerr.evaluation import plots
from trajerr.evaluation.comparison_page import render_comparison
from trajerr.evaluation.predict import Layers, Prediction
from trajerr.evaluation.style import to_png
from trajerr.files import write_atomically
from trajerr.metrics.bootstrap import ClusterSums, cluster_sums, paired_intervals

Scores = Mapping[str, Any]


def write_comparison(
    folder: Path,
    predictions: Mapping[str, Prediction],
    scores: Mapping[str, Scores],
    layers: Layers,
    console: Console,
) -> dict[str, Any]:
    """Write ``comparison.json``, ``.png`` and ``.html``, and print the table.

    Parameters
    ----------
    folder
        Where the files go.
    predictions, scores
        Name → what the checkpoint predicts, and its figures; the first is the reference.
    layers
        The split that all were judged on.
    console
        Where the table goes.
    """
    compared = compare(predictions, scores, layers)
    text = json.dumps(compared, indent=2, ensure_ascii=False)
    write_atomically(folder / "comparison.json", f"{text}\n".encode())
    spans = {
        name: (found["trajectory"]["overall"], found["trajectory"]["interval_95"])
        for name, found in scores.items()
    }
    others = next(iter(scores.values()))["baselines"]
    marks = {f"{name} (baseline)": f["trajectory"]["overall"] for name, f in others.items()}
    picture = to_png(plots.comparison(spans, marks))
    write_atomically(folder / "comparison.png", picture)
    split = next(iter(scores.values()))["split"]
    page = render_comparison(compared, split, picture)
    write_atomically(folder / "comparison.html", page.encode())
    console.print(_table(compared))
    return compared


def compare(
    predictions: Mapping[str, Prediction], scores: Mapping[str, Scores], layers: Layers
) -> dict[str, Any]:
    """Return each checkpoint's figures and its difference from the first.

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


def _table(compared: Scores) -> Table:
    table = Table(title="Checkpoints, whole layers streamed", title_justify="left", box=None)
    table.add_column("", no_wrap=True)
    heads = ("parameters", "MAE µm", "RMSE µm", "R²", "RMSE − first, 95 %", "step µs")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for name, found in compared["checkpoints"].items():
        errors, span = found["trajectory"], found["minus_reference_95"]
        apart = (
            f"{1000 * span['rmse_mm'][0]:+.2f} to {1000 * span['rmse_mm'][1]:+.2f}" if span else ""
        )
        table.add_row(
            name,
            f"{found['model']['parameters']:,}",
            f"{1000 * errors['mae_mm']:.2f}",
            f"{1000 * errors['rmse_mm']:.2f}",
            f"{errors['r2']:.4f}",
            "" if name == compared["reference"] else apart,
            f"{found['step_us_p50']:.0f}",
        )
    return table
