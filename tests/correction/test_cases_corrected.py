"""Files after public bug reports come out sound: the second reading accepts each of them."""

from pathlib import Path

import numpy as np
import pytest

from tests.paths import CASES
from trajerr.commands.configs import load_printer
from trajerr.correction.compensate import Correction, apply_correction
from trajerr.correction.error_models import TwinModel
from trajerr.correction.settings import CorrectionSettings
from trajerr.gcode.program import Program
from trajerr.gcode.reader import read_program


def correct(name: str, printer: str, folder: Path) -> tuple[Program, Program, Correction]:
    """Return a case as it is and corrected, layers 1 and 2, and what was done."""
    machine = load_printer(printer)
    out = folder / "corrected.gcode"
    settings = CorrectionSettings.shipped(method="twin", layers=(1, 2))
    model = TwinModel(machine, 200.0)
    done = apply_correction(CASES / f"{name}.gcode", out, model, machine, settings)
    firmware = machine.limits.firmware
    return read_program(CASES / f"{name}.gcode", firmware), read_program(out, firmware), done


def fed(program: Program) -> float:
    prints = program.moves.select(program.moves.is_extruding)
    return float((prints.end[:, 3] - prints.start[:, 3]).sum())


@pytest.mark.parametrize(
    ("name", "printer"),
    [
        ("c01_restore_gcode_state/restore", "klipper_fast"),
        ("c01_restore_gcode_state/extruder_only", "klipper_fast"),
        ("c02_g60_g61/g61", "ender3_v2"),
        ("c02_g60_g61/restore_move", "klipper_fast"),
        ("c11_firmware_retraction/g10", "ender3_v2"),
        ("c13_cura_for_klipper/g90", "klipper_fast"),
        ("c14_g92_copies/copies", "ender3_v2"),
        ("c17_flashprint/structure", "ender3_v2"),
        ("c22_relative_xyz/relative", "ender3_v2"),
        ("c26_pause_in_wall/pause", "ender3_v2"),
        ("c31_relative_e_by_macro/macro", "klipper_fast"),
        ("c36_kisslicer_stacked_infill/kiss", "ender3_v2"),
        ("c39_park_and_return/g27", "ender3_v2"),
        ("c39_park_and_return/home", "klipper_fast"),
    ],
)
def test_a_case_is_corrected_and_prints_the_same(name: str, printer: str, tmp_path: Path) -> None:
    before, after, done = correct(name, printer, tmp_path)
    assert done.improvement > 0.3
    assert fed(after) == pytest.approx(fed(before), rel=1e-3)
    np.testing.assert_allclose(after.moves.end[-1, :3], before.moves.end[-1, :3], atol=2e-3)
    assert len(after.layer_z) == len(before.layer_z)


@pytest.mark.parametrize(
    ("name", "printer", "kept"),
    [
        ("c39_park_and_return/g27", "ender3_v2", (b"G27", b"G4", b"G1 X98 Y110")),
        ("c02_g60_g61/g61", "ender3_v2", (b"G60", b"G1 X5 Y5", b"G61")),
    ],
)
def test_the_way_back_from_a_parking_place_keeps_its_line(
    name: str, printer: str, kept: tuple[bytes, ...], tmp_path: Path
) -> None:
    before, after, done = correct(name, printer, tmp_path)
    assert kept[0] in before.text
    for line in before.text.splitlines(keepends=True):
        if line.startswith(kept):
            assert line in after.text, line
    assert done.largest_mm < 0.5


def test_infill_of_an_odd_name_stays_byte_for_byte(tmp_path: Path) -> None:
    before, _, done = correct("c36_kisslicer_stacked_infill/kiss", "ender3_v2", tmp_path)
    moves = before.moves
    infill = set(moves.line[moves.is_extruding & ~moves.is_wall].tolist())
    assert infill
    assert not infill & set(done.replaced)
