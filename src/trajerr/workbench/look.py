"""``python -m trajerr.workbench.look FILE --printer NAME --out FOLDER``: what a file says.

Reads and plans a G-code file as the printer's firmware would, and writes ``understood.json``, the
numbers and remarks, and ``layers.html``, a view of every layer or of as many as fit.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from trajerr.bundle.runtime import Predictor
from trajerr.dynamics.axis_steps import solve
from trajerr.dynamics.printer import Printer
from trajerr.errors import TrajerrError, in_one_line
from trajerr.files import write_atomically
from trajerr.gcode.program import FeatureType, LimitSettings, Program
from trajerr.gcode.reader import read_program
from trajerr.interrupt import end_imports_at_once
from trajerr.motion.bed import bed_notes
from trajerr.motion.limits import MachineLimits
from trajerr.motion.planner import Plan, plan
from trajerr.motion.summary import summarise
from trajerr.workbench.layers import layers_page
from trajerr.workbench.printers import named_printer

NAME = "look"


def main() -> None:
    """Look at the file that the command line names."""
    end_imports_at_once()
    options = _parser().parse_args()
    try:
        look(Path(options.file), options.printer, Path(options.out), options.bundle)
    except (TrajerrError, OSError) as error:
        sys.stderr.write(f"{NAME}: {in_one_line(error)}\n")
        sys.exit(1)


def look(gcode: Path, printer: str, out: Path, bundle: str | None) -> None:
    """Write what a file says.

    Parameters
    ----------
    gcode
        The file.
    printer
        A shipped name, one of ``conf/printer`` here, or a YAML file.
    out
        Folder of ``understood.json`` and ``layers.html``.
    bundle
        Folder of a bundle whose predicted error is shown; None: none.

    Raises
    ------
    GcodeError
        If the file cannot be read.
    ConfigError, BundleError
        If there is no such printer or bundle.
    """
    machine = named_printer(printer, Path())
    predictor = None if bundle is None else Predictor.load(bundle, solve=solve)
    program = read_program(gcode, machine.limits.firmware)
    planned = plan(machine.placed(program), machine.limits)
    view, thinning = layers_page(planned, predictor, program.name)
    said = understood(program, planned, machine) | {"thinning": thinning}
    write_atomically(out / "layers.html", view.encode())
    write_atomically(out / "understood.json", json.dumps(said, indent=2).encode())


def understood(program: Program, planned: Plan, printer: Printer) -> dict[str, Any]:
    """Return what was understood of a program, as plain values."""
    moves = program.moves
    marked = Counter(FeatureType(f).name.lower() for f in moves.feature[moves.is_extruding])
    return {
        "name": program.name,
        "container": program.container.name,
        "bytes": len(program.text),
        "lines": program.n_lines,
        "generator": program.generator,
        "sha256": program.sha256,
        "printer": printer.name,
        "firmware": printer.limits.firmware,
        "kinematics": printer.kinematics,
        "summary": summarise(planned),
        "features": dict(marked.most_common()),
        "layer_heights_mm": _heights(program),
        "limits": _limits(program, printer.limits),
        "unknown_commands": dict(program.unknown_commands),
        "remarks": [*program.remarks, *bed_notes(program, printer.bed(program))],
        "unwritable": [f"line {line + 1}: {what}" for line, what in program.unwritable[:20]],
    }


def _heights(program: Program) -> list[float]:
    """Return the lowest and highest layer, mm; nothing where there is none."""
    heights = program.layer_z[np.isfinite(program.layer_z)]
    return [float(heights.min()), float(heights.max())] if len(heights) else []


def _limits(program: Program, limits: MachineLimits) -> dict[str, Mapping[str, Any]]:
    """Return the limits of the machine, and those that the file sets, each once."""
    plain = {f.name: getattr(limits, f.name) for f in fields(MachineLimits)}
    stated: dict[str, list[Any]] = {}
    for state in program.settings:
        for each in fields(LimitSettings):
            value = getattr(state, each.name)
            silent = value is None or value == (None,) * 4
            if not silent and value not in stated.setdefault(each.name, []):
                stated[each.name].append(value)
    return {"machine": _plain(plain), "file": _plain(stated)}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in json.loads(json.dumps(values, default=str)).items() if v is not None}


def _parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        NAME, description="Say what a G-code file holds, and draw its layers.", allow_abbrev=False
    )
    found.add_argument("file", metavar="FILE", help="G-code, in any container")
    found.add_argument("--printer", required=True, metavar="NAME", help="whose firmware plans it")
    found.add_argument("--out", required=True, metavar="FOLDER", help="where to write")
    found.add_argument("--bundle", metavar="FOLDER", help="show the error that it predicts")
    return found


if __name__ == "__main__":
    main()
