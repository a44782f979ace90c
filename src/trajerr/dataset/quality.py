"""What a collection is worth: metrics of each layer, merged, and judged against ranges.

Knows sums that merge in any order, so that layers, processes and parts can be added up.
Does not know how layers are made.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from trajerr.checks import require
from trajerr.dataset.record import LayerRecord
from trajerr.errors import DataError
from trajerr.files import write_atomically

UM_PER_MM = 1000.0
REPORT = "quality.json"

Span = tuple[float, float] | None  # lowest and highest; None where a layer lacks the quantity


@dataclass(frozen=True)
class LayerMetrics:
    """What one layer adds to a collection's report; sums, not means."""

    part: str
    layer: int
    variant: str
    kind: str
    points: int
    square_error: float  # mm², summed over points
    max_error: float  # mm
    interface: Span  # °C, while extruding
    adhesion: Span  # while extruding


def measure(record: LayerRecord) -> LayerMetrics:
    """Return the metrics of a layer without its lead-in.

    Temperatures count where material is laid down.
    """
    record = record.without_context()
    square = np.sum(record.error**2, axis=1)
    laid = record.extruding if record.extruding.any() else np.ones_like(record.extruding)
    return LayerMetrics(
        part=record.part,
        layer=record.layer,
        variant=record.variant,
        kind=str(record.params.get("kind", "nominal")),
        points=len(square),
        square_error=float(square.sum()),
        max_error=float(np.sqrt(square.max(initial=0.0))),
        interface=_span(None if record.temperatures is None else record.temperatures[laid, 1]),
        adhesion=_span(None if record.adhesion is None else record.adhesion[laid]),
    )


def _span(values: NDArray[np.float64] | None) -> Span:
    if values is None or not len(values):
        return None
    return float(values.min()), float(values.max())


@dataclass(frozen=True)
class QualityLimits:
    """Ranges that a collection should fall into, (low, high) each.

    Raises
    ------
    ConfigError
        If a range is not two rising numbers.
    """

    rms_error_um: Sequence[float]  # of the nominal variants
    t_interface_c: Sequence[float]
    adhesion_ratio: Sequence[float]

    def __post_init__(self) -> None:
        for f in fields(self):
            values = tuple(float(value) for value in getattr(self, f.name))
            holds = len(values) == 2 and values[0] < values[1]
            require(f"quality.{f.name}", values, holds, "[low, high]")
            object.__setattr__(self, f.name, values)


def judge(
    metrics: Iterable[LayerMetrics],
    limits: QualityLimits,
    sample_rate_hz: float,
    seconds: float,
) -> dict[str, Any]:
    """Merge layers into the report of a collection, with a verdict for each range.

    The RMS error that is judged is that of the nominal variants, the printer as it prints;
    ``by_kind`` holds the others, whose commands were changed on purpose.

    Parameters
    ----------
    metrics
        Of each layer and variant.
    limits
        Ranges to fall into.
    sample_rate_hz
        Of the data.
    seconds
        That collecting took.

    Raises
    ------
    DataError
        If there is no layer at all.
    """
    rows = sorted(metrics, key=lambda row: (row.part, row.layer, row.variant))
    if not rows:
        raise DataError("nothing was collected: no layer and no variant was chosen")
    nominal = [row for row in rows if row.kind == "nominal"] or rows
    values = {
        "rms_error_um": (_rms_um(nominal),) * 2,
        "t_interface_c": _extremes(row.interface for row in rows),
        "adhesion_ratio": _extremes(row.adhesion for row in rows),
    }
    return {
        "layers": len({(row.part, row.layer) for row in rows}),
        "files": len(rows),
        "points": sum(row.points for row in rows),
        "sample_rate_hz": sample_rate_hz,
        "rms_error_um": values["rms_error_um"][0],
        "max_error_um": max(row.max_error for row in rows) * UM_PER_MM,
        "t_interface_c": dict(zip(("min", "max"), values["t_interface_c"], strict=True)),
        "adhesion_ratio": dict(zip(("min", "max"), values["adhesion_ratio"], strict=True)),
        "checks": {
            f.name: _verdict(values[f.name], getattr(limits, f.name)) for f in fields(limits)
        },
        "passed": all(
            _verdict(values[f.name], getattr(limits, f.name))["passed"] for f in fields(limits)
        ),
        "by_part": _groups(rows, "part"),
        "by_kind": _groups(rows, "kind"),
        "by_variant": _groups(rows, "variant"),
        "seconds": round(seconds, 3),
    }


def _rms_um(rows: Sequence[LayerMetrics]) -> float:
    points = sum(row.points for row in rows)
    return math.sqrt(math.fsum(row.square_error for row in rows) / points) * UM_PER_MM


def _extremes(spans: Iterable[Span]) -> tuple[float | None, float | None]:
    """Return the lowest and highest of all spans; None where no layer has the quantity."""
    known = [span for span in spans if span is not None]
    if not known:
        return None, None
    return min(low for low, _ in known), max(high for _, high in known)


def _verdict(
    value: tuple[float | None, float | None], limits: tuple[float, float]
) -> dict[str, Any]:
    low, high = value
    inside = low is not None and high is not None and limits[0] <= low and high <= limits[1]
    return {"accept": list(limits), "passed": inside}


def _groups(rows: Sequence[LayerMetrics], key: str) -> dict[str, dict[str, float | int]]:
    names = sorted({getattr(row, key) for row in rows})
    grouped = {name: [row for row in rows if getattr(row, key) == name] for name in names}
    return {
        name: {
            "files": len(members),
            "points": sum(row.points for row in members),
            "rms_error_um": _rms_um(members),
            "max_error_um": max(row.max_error for row in members) * UM_PER_MM,
        }
        for name, members in grouped.items()
    }


def save_metrics(folder: Path, metrics: Iterable[LayerMetrics]) -> None:
    """Write a part's metrics beside its layers, keeping those of layers collected before.

    Several processes may collect one part, each its layers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{REPORT}.lock"):
        known = {_key(row): row for row in load_metrics(folder)}
        known |= {_key(row): row for row in metrics}
        rows = [asdict(known[key]) for key in sorted(known)]
        write_atomically(folder / REPORT, json.dumps({"layers": rows}, indent=1).encode())


def load_metrics(folder: Path) -> list[LayerMetrics]:
    """Read a part's metrics, of the layers that are still there; none if there is no file.

    Raises
    ------
    DataError
        If the file is not such a list.
    """
    path = folder / REPORT
    if not path.is_file():
        return []
    try:
        rows = [_metrics(row) for row in json.loads(path.read_text())["layers"]]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a quality report ({error}); delete it") from error
    return [row for row in rows if layer_path(folder, row.layer, row.variant).is_file()]


def collected_metrics(out: Path) -> list[LayerMetrics]:
    """Read the metrics of all parts collected under one folder."""
    folders = sorted(out.glob("data_simulation_*"))
    return [row for folder in folders for row in load_metrics(folder)]


def _metrics(row: Mapping[str, Any]) -> LayerMetrics:
    spans = {key: row[key] and tuple(row[key]) for key in ("interface", "adhesion")}
    return LayerMetrics(**{**row, **spans})


def _key(row: LayerMetrics) -> tuple[int, str]:
    return row.layer, row.variant


def layer_path(folder: Path, layer: int, variant: str) -> Path:
    """Return where a layer's file lies in its part's folder."""
    return folder / f"layer{layer:04d}_{variant}.mat"


def require_passed(report: Mapping[str, Any]) -> None:
    """Raise if a check failed.

    Raises
    ------
    DataError
        Naming each check that failed.
    """
    failed = [key for key, check in report["checks"].items() if not check["passed"]]
    if failed:
        raise DataError(
            f"quality: {', '.join(failed)} outside the accepted range; see {REPORT} "
            "(strict=false makes this a warning)"
        )
