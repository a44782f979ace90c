"""What a prepared folder holds, for the console."""

from rich.table import Table

from trajerr.dataset.stats import Stats


def split_table(stats: Stats) -> Table:
    """Return what each split holds."""
    table = Table(title="Splits")
    for name in ("split", "layers", "sequences", "points", "windows", "error RMS µm"):
        table.add_column(name, justify="left" if name == "split" else "right")
    for split, held in stats.splits.items():
        counts = [held.layers, held.sequences, held.points, held.windows]
        error = f"{1e3 * held.error_rms_mm:.1f}"
        table.add_row(split, *(f"{count:,}" for count in counts), error)
    return table
