"""The data card of a prepared folder: what it holds, where from, and what it is good for.

Form: Pushkarna, Zaldivar and Kjartansson, *Data Cards: Purposeful and Transparent Dataset
Documentation for Responsible AI* (FAccT 2022).
"""

from collections import Counter
from pathlib import Path

from trajerr.dataset import croissant
from trajerr.dataset.croissant import Row, Table, Variable
from trajerr.dataset.stats import Stats, write_stats
from trajerr.files import write_atomically
from trajerr.motion.features import FEATURE_UNITS, FEATURES, TARGET_UNITS, TARGETS

CARD = "DATA_CARD.md"
SIMULATED = "simulation_rate_hz"  # stated by what was simulated, and by nothing else

LIMITS = """\
- It knows one machine: use it for no other without a transfer.
- Features are of commanded motion alone; what changes the machine otherwise (belts that age,
  heat, another surface) is not in it.
"""
SPLITS = """\
A layer's variants are all in one split, so that no geometry is trained on and tested. Scales come
from the training split alone.
"""


def describe(folder: Path, stats: Stats) -> None:
    """Write ``stats.json`` into a prepared folder, its card and its Croissant metadata.

    Parameters
    ----------
    folder
        With all splits in it.
    stats
        Of these splits.
    """
    write_stats(folder, stats)
    write_atomically(folder / CARD, data_card(stats).encode())
    croissant.write(folder, metadata(folder, stats))


def data_card(stats: Stats) -> str:
    """Return the card as Markdown."""
    kinds = Counter(source.kind for source in stats.sources if source.split)
    parts = sorted({source.part for source in stats.sources if source.split})
    faults = ", ".join(f"{name} {count}" for name, count in stats.faults.items()) or "none"
    rows = "".join(
        f"| {name} | {held.layers} | {held.sequences} | {held.points:,} | {held.windows:,} "
        f"| {1e3 * held.error_rms_mm:.1f} |\n"
        for name, held in stats.splits.items()
    )
    return (
        "# Data card\n\n"
        f"{origin(stats)} {stats.sample_rate_hz:g} samples a second of commanded motion "
        f"({len(FEATURES)} features) and of the error, actual − commanded.\n\n"
        "## What it holds\n\n"
        "| split | layers | sequences | samples | windows | error RMS µm |\n"
        "|---|---|---|---|---|---|\n"
        f"{rows}\n"
        f"Parts: {', '.join(parts)}. Kinds: "
        f"{', '.join(f'{kind} {count}' for kind, count in sorted(kinds.items()))}. "
        f"Layout `{stats.layout}`, windows of {stats.sequence_length} samples at every "
        f"{stats.stride}.\n\n"
        "## How it was made\n\n"
        f"`prepare` from {len(stats.sources)} files; faults found and treated as its settings "
        f"say: {faults}.\n{SPLITS}\n"
        "## Use and limits\n\n"
        "For training and judging networks that predict this machine's tracking error.\n\n"
        f"{LIMITS}\n"
        f"Identity of the split: `{stats.identity}`. Every file is in `{croissant.FILE}` with its "
        "SHA-256.\n"
    )


def origin(stats: Stats) -> str:
    """Return whether the data are simulated, and of which machine."""
    printer = stats.params.get("printer_name")
    if SIMULATED in stats.params:
        return f"**Simulated** motion of the printer `{printer or 'several'}`; no print."
    return "**Recorded** motion, or motion of an origin that its files do not state."


def metadata(folder: Path, stats: Stats) -> dict[str, object]:
    """Return the folder's Croissant metadata."""
    rows: list[Row] = [
        {
            "file": "/".join(Path(source.file).parts[-2:]),  # not where one's home is
            "sha256": source.sha256,
            "split": source.split,
            "part": source.part,
            "layer": source.layer,
            "variant": source.variant,
            "kind": source.kind,
            "samples": source.points,
        }
        for source in stats.sources
    ]
    return croissant.describe(
        "trajerr-prepared",
        f"Tracking error of a 3D printer, prepared for training. {origin(stats)}",
        _files(folder, stats),
        _variables(),
        Table("sources", "The files that the data were prepared from.", rows),
    )


def _files(folder: Path, stats: Stats) -> list[dict[str, object]]:
    """Return the entries of the data's files; windows, of which there are many, by split."""
    if stats.layout == "windows":
        return [croissant.file_set(split, f"{split}/*.pt") for split in stats.splits]
    return [croissant.file_object(folder, path) for path in sorted(folder.glob("*/*.pt"))]


def _variables() -> list[Variable]:
    commanded = zip(FEATURES, FEATURE_UNITS, strict=True)
    errors = zip(TARGETS, TARGET_UNITS, strict=True)
    return [
        *(Variable(name, unit, "commanded motion") for name, unit in commanded),
        *(Variable(name, unit, "actual − commanded position") for name, unit in errors),
    ]
