"""What ``evaluate`` writes and shows: scores, predictions, pictures, pages, tables."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from trajerr.evaluation.archive import write_predictions
from trajerr.evaluation.assess import Assessed, EvaluateSettings, Material
from trajerr.evaluation.compare import compare
from trajerr.evaluation.prediction import Layers, Prediction
from trajerr.files import write_atomically
from trajerr.reports import html, plots
from trajerr.reports.comparison_page import render_comparison
from trajerr.reports.console import print_report
from trajerr.reports.pictures import draw_all
from trajerr.reports.style import to_png

Scores = Mapping[str, Any]


def write_evaluation(
    settings: EvaluateSettings, material: Material, judged: Iterable[Assessed], console: Console
) -> list[Mapping[str, Any]]:
    """Write each checkpoint's files and print its report; compare them if there are several.

    Parameters
    ----------
    settings
        What to write, and where.
    material, judged
        As :func:`~trajerr.evaluation.assess.assess` returns them.
    console
        Where the reports are printed.

    Returns
    -------
    list of dict
        What each ``metrics.json`` holds.
    """
    assessed = []
    for one in judged:
        _write(settings, material, one)
        print_report(console, one.scores)
        assessed.append(one)
    if len(assessed) > 1:
        predictions = {one.name: one.prediction for one in assessed}
        scores = {one.name: one.scores for one in assessed}
        write_comparison(Path(settings.output_dir), predictions, scores, material.layers, console)
    console.print(f"Written to {settings.output_dir}", highlight=False, soft_wrap=True)
    return [one.scores for one in assessed]


def _write(
    settings: EvaluateSettings,
    material: Material,
    assessed: Assessed,
) -> None:
    folder, found, prediction = assessed.folder, assessed.scores, assessed.prediction
    text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(folder / "metrics.json", f"{text}\n".encode())
    if settings.save_predictions:
        write_predictions(
            folder / "predictions.npz",
            prediction,
            material.baselines,
            material.layers,
            material.windows,
        )
    pictures: dict[str, bytes] = {}
    if settings.visualize or settings.generate_report:
        pictures = _draw(settings, material, found, prediction)
    if settings.visualize:
        for name, png in pictures.items():
            write_atomically(folder / f"{name}.png", png)
    if settings.generate_report:
        page = html.render(found, prediction.layers, material.layers, pictures)
        write_atomically(folder / "report.html", page.encode())


def _draw(
    settings: EvaluateSettings, material: Material, found: Mapping[str, Any], prediction: Prediction
) -> dict[str, bytes]:
    printer = material.printer
    figures = draw_all(
        found["model"]["name"],
        prediction,
        material.baselines,
        material.layers,
        settings.bins,
        limits_mm={
            name.removesuffix("_mm"): limit
            for name, limit in settings.targets.items()
            if limit is not None and name.startswith("p")
        },
        noise_floor_mm=material.noise_floor_mm,
        resonance_hz=(printer.x.natural_freq_hz, printer.y.natural_freq_hz) if printer else (),
    )
    return {name: to_png(figure) for name, figure in figures.items()}


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
        Name → what the checkpoint predicts, and its metrics; the first is the reference.
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


def _table(compared: Scores) -> Table:
    table = Table(title="Checkpoints, whole layers", title_justify="left", box=None)
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
