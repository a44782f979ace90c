"""The data card of a collection: which layers of what, on which printer, and its metadata."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trajerr.dataset import croissant
from trajerr.dataset.cards import CARD, SIMULATED
from trajerr.dataset.croissant import Row, Table, Variable
from trajerr.dataset.matlab import read_layer
from trajerr.dataset.quality import REPORT, LayerMetrics, layer_path
from trajerr.files import write_atomically

VARIABLES = (  # of each file's struct, see dataset/matlab.py
    Variable("time", "s", "of the layer's first sample on"),
    Variable("x_ref, y_ref, z_ref", "mm", "commanded position"),
    Variable("x_act, y_act", "mm", "where the nozzle was"),
    Variable("error_x, error_y", "mm", "actual − commanded"),
    Variable("is_extruding, is_travel", "", "what a sample is part of"),
)


def write_cards(out: Path, rows: Sequence[LayerMetrics], report: Mapping[str, Any]) -> None:
    """Write a collection's card and its Croissant metadata beside ``quality.json``.

    Parameters
    ----------
    out
        The collection's folder.
    rows
        Metrics of all its layers, at least one.
    report
        What ``quality.json`` says.
    """
    params = read_layer(_path(out, rows[0])).params
    write_atomically(out / CARD, data_card(rows, report, params).encode())
    croissant.write(out, metadata(out, rows, params))


def data_card(
    rows: Sequence[LayerMetrics], report: Mapping[str, Any], params: Mapping[str, Any]
) -> str:
    """Return the card as Markdown; ``params`` are those of one of its layers."""
    by_part = defaultdict[str, list[LayerMetrics]](list)
    for row in rows:
        by_part[row.part].append(row)
    table = "".join(
        f"| {part} | {len({row.layer for row in held})} | {len(held)} "
        f"| {sum(row.points for row in held):,} | {', '.join(sorted({r.kind for r in held}))} |\n"
        for part, held in sorted(by_part.items())
    )
    verdicts = ", ".join(
        f"{name} {'passed' if check['passed'] else 'missed'}"
        for name, check in report["checks"].items()
    )
    return (
        "# Data card\n\n"
        f"{_origin(params)}, {report['sample_rate_hz']:g} samples a second: commanded position and "
        "where the nozzle was, a file a layer and variant.\n\n"
        "## What it holds\n\n"
        f"| part | layers | files | samples | kinds |\n|---|---|---|---|---|\n{table}\n"
        f"Error {report['rms_error_um']:.0f} µm RMS, {report['max_error_um']:.0f} µm at most. "
        f"Checks of `{REPORT}`: {verdicts}.\n\n"
        "## How it was made\n\n"
        f"By `collect`, trajerr {params['trajerr_version']}, seed {params['seed']:g}; each file "
        "says the printer's numbers, the source's SHA-256 and the variant. The same command makes "
        "the same files.\n\n"
        "## Use and limits\n\n"
        "To train and judge networks that predict tracking errors (`prepare`). A simulator knows\n"
        "what it was told of a printer (`docs/physics.md`): results on this data are results on\n"
        "that simulator, and on no machine.\n\n"
        f"Every file is in `{croissant.FILE}` with its SHA-256.\n"
    )


def metadata(
    out: Path, rows: Sequence[LayerMetrics], params: Mapping[str, Any]
) -> dict[str, object]:
    """Return the folder's Croissant metadata; ``params`` are those of one of its layers."""
    records: list[Row] = [
        {
            "file": _path(out, row).relative_to(out).as_posix(),
            "part": row.part,
            "layer": row.layer,
            "variant": row.variant,
            "kind": row.kind,
            "samples": row.points,
        }
        for row in rows
    ]
    return croissant.describe(
        "trajerr-collection",
        f"Layers of 3D prints with their tracking error. {_origin(params)}.",
        [croissant.file_object(out, _path(out, row)) for row in rows],
        VARIABLES,
        Table("layers", "The layers, each in its variants.", records),
    )


def _origin(params: Mapping[str, Any]) -> str:
    simulated = "**Simulated** motion" if SIMULATED in params else "Motion"
    return f"{simulated} of the printer `{params['printer_name']}`"


def _path(out: Path, row: LayerMetrics) -> Path:
    return layer_path(out / f"data_simulation_{row.part}", row.layer, row.variant)
