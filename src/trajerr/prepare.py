"""Prepare training data: ``python -m trajerr.prepare``."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from trajerr.commands.building import build, pick
from trajerr.commands.entry import Config, command

if TYPE_CHECKING:
    from trajerr.dataset.stats import Stats

SPLIT_KEYS = ("train_ratio", "val_ratio", "test_ratio", "seed")  # of splits, beside the group


@command("prepare")
def main(config: Config) -> None:
    """Read the data, prepare it under a progress bar, and print what the splits hold."""
    from trajerr.dataset.preparation import PrepareSettings, prepare  # seconds; not for --help
    from trajerr.reports.recording_report import write_recording

    split = build(config["split"], "split", **{key: config[key] for key in SPLIT_KEYS})
    given = {"printer": build(config["printer"], "printer")} if config.get("printer") else {}
    log = build(config["log"], "log", **given) if config.get("log") else None
    settings = pick(PrepareSettings, config, split=split, log=log)
    console = Console()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done)

        stats = prepare(settings, Path(config["output_dir"]), show)
    write_recording(log, Path(config["output_dir"]), console)
    console.print(split_table(stats))
    found = ", ".join(f"{name} {count}" for name, count in stats.faults.items())
    console.print(f"faults found: {found or 'none'}{stats.cold}")
    console.print(f"{config['output_dir']}: {stats.layout} at {stats.sample_rate_hz:g} Hz")


def split_table(stats: "Stats") -> Table:
    """Return what each split holds, for the console."""
    table = Table(title="Splits")
    for name in ("split", "layers", "sequences", "points", "windows", "error RMS µm"):
        table.add_column(name, justify="left" if name == "split" else "right")
    for split, held in stats.splits.items():
        counts = [held.layers, held.sequences, held.points, held.windows]
        error = f"{1e3 * held.error_rms_mm:.1f}"
        table.add_row(split, *(f"{count:,}" for count in counts), error)
    return table


if __name__ == "__main__":
    main()
