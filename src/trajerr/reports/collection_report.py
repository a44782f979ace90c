"""What ``collect`` shows and writes besides layers: tables, figures, ``quality.json``."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from trajerr.collection.campaign import Collection
from trajerr.collection.card import write_cards
from trajerr.collection.planning import plan_source, summarise_sources
from trajerr.dataset.matlab import read_layer
from trajerr.dataset.quality import (
    REPORT,
    LayerMetrics,
    QualityLimits,
    collected_metrics,
    judge,
    layer_path,
)
from trajerr.dynamics.error_sources import ErrorSources, as_report, average
from trajerr.files import write_atomically
from trajerr.gcode.sources import LayerSpec, Source, select_layers
from trajerr.motion.limits import MachineLimits
from trajerr.reports.collection_plots import collection_page, planned_layer
from trajerr.reports.style import save_figure

PLOTS = "plots"
BY_PART = "sources_by_part"
STAGE = "simulated"  # as lines call what is done, where no terminal shows a bar
LINES = 50  # of them at most


def write_report(out: Path, report: Mapping[str, Any]) -> None:
    """Write ``quality.json``."""
    write_atomically(out / REPORT, json.dumps(report, indent=2).encode())


def compose(
    metrics: Sequence[LayerMetrics],
    splits: Mapping[str, tuple[int, ErrorSources]],
    limits: QualityLimits,
    sample_rate_hz: float,
    seconds: float,
) -> dict[str, Any]:
    """Return the report of a collection: what it holds, and where its error comes from.

    Parameters
    ----------
    metrics
        Of its layers.
    splits
        Part → layer, its RMS by source.
    limits, sample_rate_hz, seconds
        As for :func:`~trajerr.dataset.quality.judge`.
    """
    return judge(metrics, limits, sample_rate_hz, seconds) | {
        "sources": as_report(average([split for _, split in splits.values()])),
        BY_PART: {part: as_report(split) for part, (_, split) in sorted(splits.items())},
    }


def write_reports(
    out: Path,
    own: Path,
    splits: Mapping[str, tuple[int, ErrorSources]],
    limits: QualityLimits,
    sample_rate_hz: float,
    seconds: float,
) -> dict[str, Any]:
    """Write the report of a collection, and one of this run's parts; return the first.

    Parameters
    ----------
    out
        The collection's folder.
    own
        The run's.
    splits, limits, sample_rate_hz, seconds
        As for :func:`compose`.
    """
    rows = collected_metrics(out)
    report = compose(rows, splits, limits, sample_rate_hz, seconds)
    write_report(out, report)
    write_cards(out, rows, report)
    mine = [row for row in rows if row.part in splits]
    write_report(own, compose(mine, splits, limits, sample_rate_hz, seconds))
    return report


def show(report: Mapping[str, Any]) -> None:
    """Print the checks and the error's sources."""
    console = Console()
    console.print(quality_table(report))
    console.print(sources_table(report["sources"]))


def quality_table(report: Mapping[str, Any]) -> Table:
    """Return the three checks and their verdicts for the console."""
    table = Table(
        title=f"{report['layers']} layers, {report['files']} files, {report['points']:,} points "
        f"at {report['sample_rate_hz']:g} Hz"
    )
    for heading in ("check", "value", "accepted", "verdict"):
        table.add_column(heading, justify="left" if heading == "check" else "right")
    spans = {
        "rms_error_um": f"{report['rms_error_um']:.1f}",
        "t_interface_c": _range_text(report["t_interface_c"], ".1f"),
        "adhesion_ratio": _range_text(report["adhesion_ratio"], ".3f"),
    }
    labels = {
        "rms_error_um": "RMS error as sliced / µm",
        "t_interface_c": "T interface / °C",
        "adhesion_ratio": "adhesion ratio",
    }
    for key, check in report["checks"].items():
        low, high = check["accept"]
        verdict = "[green]pass[/]" if check["passed"] else "[red]fail[/]"
        table.add_row(labels[key], spans[key], f"{low:g} – {high:g}", verdict)
    return table


def _range_text(span: Mapping[str, float | None], form: str) -> str:
    low, high = span["min"], span["max"]
    return "absent" if low is None or high is None else f"{low:{form}} – {high:{form}}"


def sources_table(split: Mapping[str, Any]) -> Table:
    """Return the RMS error by source, adding up to the total, for the console."""
    table = Table(title="RMS error by source, middle layer of each part")
    for heading in ("source", "adds / µm", "total without it / µm"):
        table.add_column(heading, justify="left" if heading == "source" else "right")
    for name, value in split["added_rms_um"].items():
        without = split["without_rms_um"].get(name)
        table.add_row(name, f"{value:.1f}", "" if without is None else f"{without:.1f}")
    table.add_section()
    table.add_row("in quadrature", f"{split['quadrature_rms_um']:.1f}", "")
    table.add_row("cross term / µm²", f"{split['cross_term_um2']:+.0f}", "")
    table.add_row("total", f"{split['total_rms_um']:.1f}", "")
    return table


def plot_plans(
    out: Path,
    sources: Sequence[Source],
    limits: MachineLimits,
    scales: tuple[float, float],
    layers: LayerSpec,
) -> list[Path]:
    """Draw the middle one of each source's chosen layers as planned; return the files."""
    written = []
    for source in sources:
        planned = plan_source(source, limits, scales)
        chosen = select_layers(layers, planned.layers, source.name)
        layer = chosen[len(chosen) // 2]
        path = out / PLOTS / f"{source.name}_layer{layer:04d}_plan.png"
        written.append(save_figure(planned_layer(planned, layer), path))
    return written


def plot_collection(
    collection: Collection, splits: Mapping[str, tuple[int, ErrorSources]]
) -> list[Path]:
    """Draw a page on the middle layer of each part in the first variant; return the files.

    Parameters
    ----------
    collection
        That was collected.
    splits
        Part → layer, its RMS by source.
    """
    printer, variant = collection.printer, collection.variants[0].name
    resonances = (printer.x.natural_freq_hz, printer.y.natural_freq_hz)
    written = []
    for part, (layer, split) in splits.items():
        record = read_layer(layer_path(collection.folder(part), layer, variant)).without_context()
        path = collection.out / PLOTS / f"{part}_layer{layer:04d}_error.png"
        written.append(save_figure(collection_page(record, resonances, split), path))
    return written


def show_plans(
    sources: Sequence[Source], limits: MachineLimits, scales: tuple[float, float]
) -> None:
    """Plan sources and print how long they take as one line of JSON; remarks go to stderr."""
    summary = summarise_sources(sources, limits, scales)
    for each in summary.get("sources", {"": summary}).values():
        sys.stderr.writelines(f"{note}\n" for note in each.get("notes", ()))
    sys.stdout.write(json.dumps(summary) + "\n")


@contextmanager
def progress() -> Iterator[tuple[Callable[[int, int], None], Callable[[str], None]]]:
    """Show a bar on stderr; yields what moves it, and what prints a remark beside it.

    Where stderr is no terminal, lines on stdout say how far it is.
    """
    console, lines, said = Console(stderr=True), Console(), 0

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    with Progress(console=console, disable=not console.is_terminal) as bar:
        line = bar.add_task("collect", total=None)

        def tell(done: int, total: int) -> None:
            nonlocal said
            bar.update(line, completed=done, total=total)
            if not console.is_terminal and (part := LINES * done // max(total, 1)) > said:
                lines.print(f"  {STAGE}: {done} of {total} files", highlight=False)
                said = part

        yield tell, say
