"""``comparison.html``: several checkpoints side by side on one page that opens offline."""

from collections.abc import Mapping
from html import escape
from typing import Any

from trajerr.reports.html import metrics_row, picture
from trajerr.reports.markup import page, table

Scores = Mapping[str, Any]


def render_comparison(compared: Scores, split: str, png: bytes) -> str:
    """Return the page of several checkpoints side by side.

    Parameters
    ----------
    compared
        What ``comparison.json`` holds.
    split
        Name of the split that all were judged on.
    png
        ``comparison.png``.
    """
    reference = compared["reference"]
    head = ("Checkpoint", "Parameters", "MAE µm", "RMSE µm", "R²", "RMSE, 95 %")
    rows = [
        [
            *_named(name, found),
            *metrics_row("", found["trajectory"])[1:],
            _span_um(found["interval_95"]),
            "" if name == reference else _span_um(found["minus_reference_95"], "+"),
            f"{found['step_us_p50']:.0f}",
        ]
        for name, found in compared["checkpoints"].items()
    ]
    files = [[name, found["checkpoint"]] for name, found in compared["checkpoints"].items()]
    title = f"trajerr comparison on {split}"
    body = "\n".join(
        [
            f"<h1>{escape(title)}</h1>",
            "<p>Whole layers, each with the motion before it. An interval of the difference "
            f"without 0 tells a checkpoint apart from {escape(reference)}; all intervals are over "
            "layers, both on the same draws.</p>",
            table((*head, f"RMSE − {reference}, 95 %", "µs a sample, eager"), rows),
            table(("Checkpoint", "File"), files),
            picture("comparison", png),
        ]
    )
    return page(title, body)


def _named(name: str, found: Scores) -> list[str]:
    return [name, f"{found['model']['parameters']:,}"]


def _span_um(spans: Scores | None, sign: str = "") -> str:
    """Return the RMSE's interval; a single layer has none."""
    if not spans:
        return "–"
    low, high = (1000 * value for value in spans["rmse_mm"])
    return f"{low:{sign}.2f} to {high:{sign}.2f}"
