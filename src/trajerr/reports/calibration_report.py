"""What ``calibrate`` writes and shows: the printer, numbers for programs, the page, a table."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from trajerr.calibration.findings import AxisFindings
from trajerr.calibration.print_fit import FittedAxis
from trajerr.calibration.recommendation import ShaperChoice
from trajerr.calibration.run import Calibrated, CalibrationRun
from trajerr.calibration.uncertainty import Estimate
from trajerr.files import write_atomically
from trajerr.reports.calibration_plots import calibration_page
from trajerr.reports.style import save_figure

PER_MILLE = 1000.0
NO_PRINTER = "No printer is written: its axes know no drive with an integral"


def write_calibration(run: CalibrationRun, found: Calibrated, console: Console) -> None:
    """Write ``calibration.json``, the page and the printer, and print what was found.

    Parameters
    ----------
    run
        What was asked for; says where files go.
    found
        What it has found.
    console
        Where the table goes.
    """
    folder, out = Path(run.output_dir), Path(run.out)
    write_atomically(folder / "calibration.json", _json(found.report))
    if run.plot:
        save_figure(calibration_page(run.name, found.axes), folder / "calibration.png")
    if found.printer is not None:
        write_atomically(out, found.printer.encode())
    _show(console, found.axes, folder)
    told = f"Printer in {out}" if found.printer is not None else NO_PRINTER
    console.print(told, highlight=False, soft_wrap=True, markup=False)


def _json(report: Mapping[str, Any]) -> bytes:
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def _show(console: Console, axes: Mapping[str, AxisFindings], folder: Path) -> None:
    table = Table("axis", "value", "found", "95 % interval")
    for axis, found in axes.items():
        for name, estimate in _rows(found).items():
            interval = f"{estimate.low:.4g} to {estimate.high:.4g}"
            table.add_row(axis, name, f"{estimate.value:.4g}", interval)
    console.print(table)
    for axis, found in axes.items():
        for line in _sentences(axis, found):
            console.print(line, highlight=False, soft_wrap=True, markup=False)
    console.print(f"Results in {folder}", highlight=False, soft_wrap=True, markup=False)


def _rows(found: AxisFindings) -> dict[str, Estimate]:
    rows = {"natural frequency / Hz": found.natural_freq_hz, "damping ratio": found.damping_ratio}
    names = {
        "friction_mm_s2": ("friction over mass / mm s⁻²", 1.0),
        "delay_s": ("delay / ms", PER_MILLE),
        "drag_share": ("share of damping to the ground", 1.0),
        "offset_mm": ("offset / µm", PER_MILLE),
        "integral_per_s": ("integral of the velocity loop / s⁻¹", 1.0),
    }
    names |= {
        "viscous_per_s": ("viscous friction over mass / s⁻¹", 1.0),
        "second_frequency_hz": ("second mode: frequency / Hz", 1.0),
        "second_damping_ratio": ("second mode: damping ratio", 1.0),
        "second_mass_share": ("second mode: share of the mass", 1.0),
    }
    estimates = dict(found.identified.estimates) if found.identified else {}
    if found.recorded is not None:
        estimates |= found.recorded.estimates
    if found.delay_s is not None:
        estimates["delay_s"] = found.delay_s
    for key, (name, factor) in names.items():
        if key in estimates:
            rows[name] = estimates[key].scaled(factor)
    return rows


def _sentences(axis: str, found: AxisFindings) -> list[str]:
    lines = []
    if found.spectrum is not None and found.spectrum.timing is not None:
        lines += [f"{axis}: {sentence}" for sentence in found.spectrum.timing.sentences()]
    if found.resonance is not None and found.resonance.friction_hz > 0.0:
        lines.append(
            f"{axis}: friction is as great as what this test commands at "
            f"{found.resonance.friction_hz:.0f} Hz; a greater ACCEL_PER_HZ would be surer"
        )
    if found.identified is not None:
        error, left = (1e3 * v for v in found.identified.rms(held_out=False))
        line = f"{axis}: error {error:.1f} µm RMS, the model leaves {left:.1f}"
        if found.identified.fitted < len(found.identified.times):
            error, left = (1e3 * v for v in found.identified.rms(held_out=True))
            line += f"; held out: {error:.1f}, leaves {left:.1f}"
        lines.append(line)
    if found.recorded is not None:
        lines += [f"{axis}: {sentence}" for sentence in _of_print(found, found.recorded)]
    lines += [_advice(axis, choice, choice is found.best) for choice in found.shapers]
    return lines


def _of_print(found: AxisFindings, fitted: FittedAxis) -> list[str]:
    low, high = fitted.frequency[0], fitted.frequency[-1]
    lines = [
        f"fitted from {low:.1f} to {high:.0f} Hz, where the sensor follows the model; that "
        f"explains {100.0 * fitted.explained:.1f} % of what it felt there"
    ]
    if fitted.from_peak:
        lines.append(
            "the print commands too little at the resonance to follow it there: natural frequency "
            "and damping are those of the peak that was felt; a second mode was not looked for"
        )
    elif not fitted.second_mode:
        lines.append("the spectrum shows no second mode")
    if found.delay_s is None:
        lines.append("the sensors have two clocks, so the delay stays the base printer's")
    elif found.delay_s.value > 0.0:
        lines.append(
            f"later than the other axis by {PER_MILLE * found.delay_s.value:.2f} ms; what both are "
            "late by cannot be told from the clock"
        )
    return lines


def _advice(axis: str, choice: ShaperChoice, best: bool) -> str:
    return (
        f"{axis}: {choice.name} {choice.frequency_hz:.1f} Hz: vibrations "
        f"{100.0 * choice.vibration:.1f} %, smoothing {choice.smoothing_mm:.3f} mm, "
        f"acceleration up to {choice.max_acceleration_mm_s2:.0f} mm/s²"
        + (" (recommended)" if best else "")
    )
