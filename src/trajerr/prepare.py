"""Prepare training data: ``python -m trajerr.prepare``."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from trajerr.checks import require
from trajerr.commands.building import build, build_printer, pick
from trajerr.commands.entry import Config, command

SENSORS = "trajerr.dataset.sensor_logs."  # what is told which printer was recorded
SPLIT_KEYS = ("train_ratio", "val_ratio", "test_ratio", "seed")  # of splits, beside the group


@command("prepare")
def main(config: Config) -> None:
    """Read the data, prepare it under a progress bar, and print what the splits hold."""
    from trajerr.dataset.preparation import PrepareSettings, prepare  # seconds; not for --help
    from trajerr.reports.prepared import split_table
    from trajerr.reports.recording_report import write_recording

    split = build(config["split"], "split", **{key: config[key] for key in SPLIT_KEYS})
    log = _log(config)
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


def _log(config: Config) -> Any:  # noqa: ANN401 - of any kind that the group log has
    given = {"printer": build_printer(config["printer"])} if config.get("printer") else {}
    is_sensor = (config.get("log") or {}).get("_target_", "").startswith(SENSORS)
    wanted = "null: it acts with log=accelerometer or log=motan alone"
    require("printer", (config.get("printer") or {}).get("name"), is_sensor or not given, wanted)
    return build(config["log"], "log", **given) if config.get("log") else None


if __name__ == "__main__":
    main()
