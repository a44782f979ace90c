"""What a recording shows: on the console, as a JSON file and as a page."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from trajerr.dataset.logs import LogFormat
from trajerr.dataset.sensor_logs import Reading, SensorLog
from trajerr.files import write_atomically
from trajerr.recordings.estimates import Estimate
from trajerr.reports.recording_plots import recording_page
from trajerr.reports.style import save_figure

PAGE, NUMBERS = "recording.png", "recording.json"


def write_recording(log: LogFormat | SensorLog | None, folder: Path, console: Console) -> None:
    """Write ``recording.json`` and ``recording.png`` of a sensor's log, and print what was found.

    Parameters
    ----------
    log
        What was prepared; nothing is written of others than sensors'.
    folder
        Where the files go.
    console
        Where the table goes.
    """
    if not isinstance(log, SensorLog):
        return
    reading = log.reading
    numbers = {"part": reading.part, "alignment": reading.aligned.to_dict()}
    numbers |= {"fusion": reading.fused.to_dict()}
    write_atomically(folder / NUMBERS, (json.dumps(numbers, indent=2) + "\n").encode())
    save_figure(recording_page(reading.part, reading.fused), folder / PAGE)
    console.print(_table(reading))
    for axis, crossover in reading.fused.crossover.items():
        console.print(f"{axis}: crossover at {crossover.reason}")


def _table(reading: Reading) -> Table:
    aligned, fused = reading.aligned, reading.fused
    table = Table(title="Recording")
    for name in ("", "x", "y"):
        table.add_column(name, justify="right" if name else "left")
    clocks = [aligned.clocks[axis] for axis in "xy"]
    mounts = [aligned.mounts[axis] for axis in "xy"]
    rms = fused.to_dict()
    rows = {
        "plan time at the recording's middle, s": [_shown(c.offset_s, 4) for c in clocks],
        "clock's rate off, ppm": [_shown(_parts_per_million(c.rate), 1) for c in clocks],
        "sensor's scale": [_shown(m.scale, 3) for m in mounts],
        "turned from the sensor's axis, °": [
            f"{m.nearest}: {_shown(m.turned_deg, 1)}" for m in mounts
        ],
        "gravity, m/s²": [_shown(m.gravity_mm_s2.scaled(1e-3), 2) for m in mounts],
        "measured, %": [f"{100.0 * share:.2f}" for share in fused.measured.mean(axis=0)],
        "error RMS, µm": [f"{rms[axis]['error_rms_um']:.1f}" for axis in "xy"],
        "its uncertainty, µm": [f"{rms[axis]['uncertainty_um']:.1f}" for axis in "xy"],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def _parts_per_million(rate: Estimate) -> Estimate:
    return Estimate(*(1e6 * (value - 1.0) for value in (rate.value, rate.low, rate.high)))


def _shown(estimate: Estimate, digits: int) -> str:
    half = 0.5 * (estimate.high - estimate.low)
    return f"{estimate.value:.{digits}f} ± {half:.{digits}f}"
