"""What ``calibrate`` says of files that it makes: G-code to run, printers without a recording."""

import json
from pathlib import Path

import numpy as np
from rich.console import Console

from trajerr.calibration.made_printer import MachineFile, MadePrinter, RingingTest
from trajerr.files import write_atomically
from trajerr.test_prints.proof import Proof
from trajerr.test_prints.shakedown import Written


def write_gcode(path: Path, made: Written, console: Console) -> None:
    """Write G-code that a machine is measured by, and print how the planner runs it.

    Parameters
    ----------
    path
        The file.
    made
        The program and its plan.
    console
        Where the sentence goes.
    """
    write_atomically(path, made.text)
    planned, moves = made.planned, made.planned.program.moves
    moved = np.any(moves.start[:, :2] != moves.end[:, :2], axis=1)
    low, high = (bound(moves.end[moved, :2], axis=0) for bound in (np.min, np.max))
    _print(
        console,
        f"{path}: {planned.print_time / 60.0:.1f} min, up to {planned.cruise.max():.0f} mm/s and "
        f"{planned.acceleration.max():.0f} mm/s², X {low[0]:.0f} to {high[0]:.0f}, "
        f"Y {low[1]:.0f} to {high[1]:.0f} mm",
    )


def write_printer(run: MachineFile | RingingTest, made: MadePrinter, console: Console) -> None:
    """Write a printer and ``calibration.json``, and print what was understood and what not.

    Parameters
    ----------
    run
        What was asked for; says where files go.
    made
        What it has made.
    console
        Where the lines go.
    """
    folder, out = Path(run.output_dir), Path(run.out)
    text = json.dumps(made.report, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(folder / "calibration.json", f"{text}\n".encode())
    write_atomically(out, made.printer.encode())
    for line in [*made.lines, f"Results in {folder}", f"Printer in {out}"]:
        _print(console, line)


def show_proof(proof: Proof, console: Console) -> None:
    """Print what to look at on a proof, and what its bundle promises.

    Parameters
    ----------
    proof
        As written.
    console
        Where the lines go.
    """
    promised = 100.0 * proof.correction.improvement
    _print(console, f"{proof.path}: {proof.sentence}; {promised:.0f} % less error is promised")


def _print(console: Console, line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True, markup=False)
