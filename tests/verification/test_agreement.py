"""The second reading finds what the first finds, on real files and on public bug reports."""

from pathlib import Path

import numpy as np
import pytest

from trajerr.gcode.program import Program
from trajerr.gcode.reader import parse_program
from trajerr.verification.interpreter import Machine

REAL = (
    "prusaslicer_mini_helix",
    "prusaslicer_mk3s_plate",
    "prusaslicer_screw_arcs",
    "simplify3d_31min17s",
)


def compare(program: Program, firmware: str) -> int:
    """Compare end and filament of each line's motion; return how many were."""
    moves, machine = program.moves, Machine(firmware)
    mine: list[list[float]] = []
    theirs: list[list[float]] = []
    if not moves.absolute[0, 1]:
        machine.run(b"M83")
    last = {int(line): i for i, line in enumerate(moves.line)}
    first = {int(line): i for i, line in reversed([*enumerate(moves.line)])}
    for line, text in enumerate(program.text.splitlines()):
        done = [x for x in machine.run(text) if x.length or x.filament]
        if not done or line not in last or not machine.is_known():
            continue
        start, end = moves.start[first[line]], moves.end[last[line]]
        filament = sum(x.filament for x in done)
        mine.append([line, *machine.position, filament])
        theirs.append([line, *end[:3], end[3] - start[3]])
    np.testing.assert_allclose(mine, theirs, rtol=0.0, atol=1e-6)
    return len(mine)


@pytest.mark.parametrize("name", REAL)
def test_both_readings_agree_on_real_files(shared: Path, name: str):
    path = shared / "data" / "gcode" / f"{name}.gcode"
    program = parse_program(path.read_bytes(), path.name)
    assert compare(program, "marlin") > 0.9 * len(np.unique(program.moves.line))
