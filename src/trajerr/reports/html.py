"""``report.html``: one file that opens anywhere, offline, with nothing loaded from outside."""

import base64
import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import numpy as np
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from trajerr.evaluation.prediction import Layers
from trajerr.metrics.errors import magnitude
from trajerr.reports.console import (
    NAMES,
    axes_remark,
    cold_remark,
    condition_name,
    layers_name,
    overlap_warning,
    target_texts,
)
from trajerr.reports.markup import asset, page, table
from trajerr.reports.style import PATH_COLOURS

Scores = Mapping[str, Any]
Singles = NDArray[np.float32]

MAX_SAMPLES = 250_000  # in the interactive view: about 10 MB of the file
COLOURS = 48
CAPTIONS = {
    "trajectory_comparison": "A whole layer, and two places enlarged where the error and where the "
    "residual is largest.",
    "sequence_prediction": "Commanded speed, true and predicted error, and what is left, in time.",
    "error_distribution": "Components of the error and of the residual, and how often a size is "
    "exceeded; triangles are targets.",
    "error_correlation": "Predicted against true error; a perfect prediction lies on the line.",
    "per_axis_error": "Both axes: every method, the model's percentiles, and the model by kind of "
    "motion.",
    "spectrum": "Which frequencies the error holds and which are left; the dashed line is the "
    "carriage's resonance.",
    "residual_map": "Where on a layer the error is, and where the residual is.",
    "comparison": "The checkpoints side by side, with 95 % intervals over layers.",
}


def render(
    scores: Scores, prediction: Singles, layers: Layers, pictures: Mapping[str, bytes]
) -> str:
    """Return the page.

    Parameters
    ----------
    scores
        What ``metrics.json`` holds.
    prediction : (P, 2)
        mm, of whole layers.
    layers
        The split.
    pictures
        Name → PNG.
    """
    title = f"trajerr evaluation: {scores['model']['name']} on {scores['split']}"
    body = "\n".join(
        [
            _summary(scores),
            "<h2>Targets</h2>",
            _targets(scores),
            "<h2>Conditions and baselines</h2>",
            _methods(scores),
            "<h2>A layer, sample by sample</h2>",
            _viewer(layers),
            "<h2>Figures</h2>",
            *[picture(name, png) for name, png in pictures.items()],
            "<h2>By kind of motion</h2>",
            _strata(scores["strata"]),
            "<h2>By frequency</h2>",
            _bands(scores["spectrum"]),
            "<h2>Inference time</h2>",
            _inference(scores["inference"]),
            "<h2>Provenance</h2>",
            _provenance(scores["provenance"]),
        ]
    )
    script = (
        f'<script type="application/json" id="layers">{_layer_data(prediction, layers)}</script>\n'
        f"<script>{asset('report.js')}</script>\n"
    )
    return page(title, body, script)


def _um(value: float) -> str:
    return f"{1000 * value:.2f}"


def metrics_row(name: str, metrics: Scores) -> list[str]:
    """Return a name with MAE and RMSE in µm and R²."""
    return [name, _um(metrics["mae_mm"]), _um(metrics["rmse_mm"]), f"{metrics['r2']:z.4f}"]


def _summary(scores: Scores) -> str:
    missed = [name for name, target in scores["targets"].items() if not target["met"]]
    verdict = (
        f"misses {len(missed)} of {len(scores['targets'])} targets"
        if missed
        else "meets all targets"
    )
    judged = scores if scores["targets_on"] == "windows" else scores[scores["targets_on"]]
    overall, tail = judged["overall"], judged["percentiles_mm"]
    tiles = [
        (f"{_um(overall['mae_mm'])} µm", "MAE"),
        (f"{_um(overall['rmse_mm'])} µm", "RMSE"),
        (f"{overall['r2']:.4f}", "R²"),
        (f"{_um(tail['p99'])} µm", "99th percentile"),
        (f"{scores['inference']['step_us_p50']:.0f} µs", "per sample, streamed"),
    ]
    shown = "".join(f'<div class="tile"><b>{a}</b><span>{b}</span></div>' for a, b in tiles)
    warning = (
        f'<p class="warning">{escape(overlap_warning(scores["overlap"]))}</p>'
        if scores["overlap"]
        else ""
    )
    model, layers = scores["model"], scores["trajectory"]["n_layers"]
    remark = "" if len(scores["axes"]) > 1 else f" {axes_remark(scores['axes'])}"
    return (
        f"<h1>Trajectory error of a 3D printer, predicted</h1>"
        f'<p class="soft">Model {escape(model["name"])}, {model["parameters"]:,} parameters, on '
        f"split {escape(scores['split'])}: {scores['n_windows']:,} windows, "
        f"{scores['n_points']:,} points of {layers} layer{'s' if layers > 1 else ''}. "
        f"Errors are components of actual − commanded at equal times.{remark}</p>{warning}"
        f'<p class="verdict{" missed" if missed else ""}">The model {verdict}</p>'
        f'<div class="tiles">{shown}</div>'
        f'<p class="note">On {condition_name(scores)}.</p>'
    )


def _targets(scores: Scores) -> str:
    rows = [
        [NAMES[name], *target_texts(name, target), "yes" if target["met"] else "no"]
        for name, target in scores["targets"].items()
    ]
    return (
        f"<p>On {condition_name(scores)}.</p>"
        f"{table(['', 'value', 'target', 'met'], rows, marks=True)}"
    )


def _methods(scores: Scores) -> str:
    head = ["", "MAE / µm", "RMSE / µm", "R²"]
    streamed, model = scores["trajectory"], scores["model"]["name"]
    conditions = [
        metrics_row("windows, from rest", scores["overall"]),
        metrics_row(f"windows after {scores['burn_in']} samples", scores["settled"]["overall"]),
        metrics_row(layers_name(scores), streamed["overall"]),
        metrics_row("layers, x", streamed["x"]),
        metrics_row("layers, y", streamed["y"]),
    ]
    if spans := streamed["interval_95"]:
        errors = [f"{_um(spans[k][0])} – {_um(spans[k][1])}" for k in ("mae_mm", "rmse_mm")]
        share = f"{spans['r2'][0]:.4f} – {spans['r2'][1]:.4f}"
        conditions.append(["95 % over layers", *errors, share])
    methods = [metrics_row(f"{model} (this model)", streamed["overall"])]
    methods += [metrics_row(n, b["trajectory"]["overall"]) for n, b in scores["baselines"].items()]
    if scores["noise_floor_mm"] is not None:
        methods.append(["noise floor", "", _um(scores["noise_floor_mm"]), ""])
    return (
        f'<div class="columns"><div><h3>Conditions</h3>{table(head, conditions)}</div>'
        f"<div><h3>Methods, {layers_name(scores)}</h3>{table(head, methods)}</div></div>"
        '<p class="note">A window starts anywhere in a layer, without the past that friction and '
        "ringing remember. A whole layer is entered by the motion before it, which no metric "
        f"counts, as a deployed model enters it. {cold_remark(scores)} R² is the mean over the "
        "axes. Zero: no prediction. Fir: least squares on 0.2 s of motion. Physics: the axis "
        "equation with the printer's own parameters. The noise floor is what the printer's timing "
        "jitter adds; no model can predict it.</p>"
    )


def _viewer(layers: Layers) -> str:
    choices = "".join(
        f'<label><input type="radio" name="show" value="{value}">{name}</label>'
        for value, name in (
            ("speed", "commanded speed"),
            ("error", "true error"),
            ("predicted", "predicted error"),
            ("residual", "residual"),
        )
    )
    shown, total = len(_shown(layers)), len(layers.spans)
    note = "" if shown == total else f" The first {shown} of {total} sequences are included."
    return (
        '<div class="controls"><label>layer <input type="range" id="layer" min="0" value="0"> '
        '<span id="layer-count"></span></label>'
        f"<span>{choices}</span>"
        '<label>deviation drawn <input type="range" id="gain" min="0" max="200" step="10"> '
        '<span id="gain-value"></span></label>'
        '<label><input type="checkbox" id="travel">travel</label></div>'
        '<div class="stage"><canvas id="view" role="img" aria-label="path of the layer"></canvas>'
        '<div class="legend"><span id="legend-name"></span><i id="legend-bar"></i>'
        '<div><span>0</span><span id="legend-top"></span></div></div>'
        '<div class="readout" id="readout"></div></div>'
        '<p class="note"><b id="name"></b>. Wheel zooms, drag moves, double click fits; point at '
        f"the path for its numbers.{note}</p>"
    )


def picture(name: str, png: bytes) -> str:
    """Return a figure with its caption, the PNG inside."""
    caption = escape(CAPTIONS.get(name, name))
    data = base64.b64encode(png).decode()
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _strata(by: Scores) -> str:
    names = {
        "part": "Part",
        "kind": "Kind of variant",
        "feature_type": "Feature type",
        "speed": "Commanded speed",
        "turning": "Turning angle within 0.1 s",
    }
    head = ["", "points", "MAE / µm", "RMSE / µm", "p95 / µm", "R²"]
    tables = []
    for key, groups in by.items():
        rows = [
            [
                name,
                f"{g['n_points']:,}",
                *metrics_row(name, g)[1:3],
                _um(g["p95_mm"]),
                f"{g['r2']:z.4f}",
            ]
            for name, g in groups.items()
        ]
        tables.append(f"<div><h3>{names[key]}</h3>{table(head, rows)}</div>")
    return f'<div class="columns">{"".join(tables)}</div>'


def _bands(bands: Iterable[Scores]) -> str:
    head = ["Hz", "true error, RMS / µm", "residual, RMS / µm", "residual / error"]
    rows = [
        [
            f"{band['from_hz']:g} – {band['to_hz']:g}",
            _um(band["error_rms_mm"]),
            _um(band["residual_rms_mm"]),
            _share(band["residual_rms_mm"], band["error_rms_mm"]),
        ]
        for band in bands
    ]
    return table(head, rows)


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole > 0 else "–"


def _inference(inference: Scores) -> str:
    rows = [
        [
            str(r["batch"]),
            str(r["threads"]),
            f"{r['p50_ms']:.3f}",
            f"{r['p99_ms']:.3f}",
            str(r["calls"]),
        ]
        for r in inference["windows"]
    ]
    head = ["windows at once", "threads", "p50 / ms", "p99 / ms", "calls"]
    p50, p99 = inference["step_us_p50"], inference["step_us_p99"]
    return (
        f"<p>{escape(inference['runtime'])}. One more sample of a stream, one thread: "
        f"p50 {p50:.0f} µs, p99 {p99:.0f} µs. Exported graphs are several times faster: a bundle "
        f"says by how much.</p>{table(head, rows)}"
    )


def _provenance(provenance: Scores) -> str:
    rows = [[k, str(v)] for k, v in provenance.items() if not isinstance(v, Mapping)]
    blocks = "".join(
        f"<details><summary>{escape(key)}</summary><pre>{escape(json.dumps(value, indent=2))}</pre>"
        "</details>"
        for key, value in provenance.items()
        if isinstance(value, Mapping)
    )
    return table(["", ""], rows) + blocks


def _shown(layers: Layers) -> list[int]:
    """Return the sequences that fit the interactive view, at least one."""
    total = np.cumsum([s.stop - s.start for s in layers.spans])
    return list(range(max(1, int(np.searchsorted(total, MAX_SAMPLES, side="right")))))


def _layer_data(prediction: Singles, layers: Layers) -> str:
    """Return the interactive view's data as JSON; arrays are little-endian base64."""
    speed = np.linalg.norm(layers.velocity, axis=1)
    sizes = {
        "speed": speed,
        "error": magnitude(layers.target),
        "residual": magnitude(prediction - layers.target),
    }
    # Rounded up, so that a scale always ends above 0.
    top = {name: float(np.percentile(v, 99)) + 1e-6 for name, v in sizes.items()}
    content = {
        "colours": [to_hex(colour) for colour in PATH_COLOURS(np.linspace(0, 1, COLOURS))],
        "top": top | {"predicted": top["error"]},
        "layers": [
            {
                "label": layers.label(i),
                "printing": _packed(layers.drawn[span], "u1"),
                "t": _packed(layers.time[span], "<f4"),
                "x": _packed(layers.position[span, 0], "<f4"),
                "y": _packed(layers.position[span, 1], "<f4"),
                "speed": _packed(speed[span], "<f4"),
                "ex": _packed(layers.target[span, 0], "<f4"),
                "ey": _packed(layers.target[span, 1], "<f4"),
                "px": _packed(prediction[span, 0], "<f4"),
                "py": _packed(prediction[span, 1], "<f4"),
            }
            for i, span in ((i, layers.spans[i]) for i in _shown(layers))
        ],
    }
    # "</" would end the script element early.
    return json.dumps(content).replace("</", "<\\/")


def _packed(values: NDArray[np.generic], kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode()
