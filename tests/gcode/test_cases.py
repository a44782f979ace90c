"""Public bug reports' constructs, and the same spelled out, plan to the same print.

``tests/cases`` holds small inputs after what people met with other tools that read G-code.
"""

from pathlib import Path

import pytest

from tests.paths import CASES
from trajerr.commands.configs import load_printer
from trajerr.errors import GcodeError
from trajerr.gcode.program import Program
from trajerr.gcode.reader import parse_program, read_program
from trajerr.motion.planner import plan
from trajerr.motion.summary import Summary, summarise

FILAMENT = 29.152  # mm, what the round tower of most cases takes


def summary(name: str, printer: str) -> Summary:
    limits = load_printer(printer).limits
    return summarise(plan(read_program(CASES / name, limits.firmware), limits))


def read_text(text: str) -> Program:
    return parse_program(text.encode(), "case.gcode")


@pytest.mark.parametrize(
    ("construct", "spelled_out", "printer"),
    [
        ("c01_restore_gcode_state/restore", "explicit", "klipper_fast"),
        ("c01_restore_gcode_state/extruder_only", "extruder_only_explicit", "klipper_fast"),
        ("c01_restore_gcode_state/extruder_only", "extruder_only_explicit", "ender3_v2"),
        ("c02_g60_g61/g61", "explicit", "ender3_v2"),
        ("c02_g60_g61/g61", "explicit", "klipper_fast"),
        ("c02_g60_g61/restore_move", "explicit", "klipper_fast"),
        ("c11_firmware_retraction/g10", "explicit", "ender3_v2"),
        ("c11_firmware_retraction/g10", "explicit", "klipper_fast"),
        ("c13_cura_for_klipper/g90", "with_m83", "klipper_fast"),
        ("c14_g92_copies/copies", "plain", "ender3_v2"),
        ("c22_relative_xyz/relative", "absolute", "ender3_v2"),
        ("c31_relative_e_by_macro/macro", "with_m83", "ender3_v2"),
        ("c31_relative_e_by_macro/macro", "with_m83", "klipper_fast"),
    ],
)
def test_a_construct_plans_as_it_does_spelled_out(
    construct: str, spelled_out: str, printer: str
) -> None:
    folder = Path(construct).parent
    found = summary(f"{construct}.gcode", printer)
    wanted = summary(f"{folder}/{spelled_out}.gcode", printer)
    for key in ("print_time_s", "print_distance_mm", "extruded_mm", "fed_mm"):
        assert found[key] == pytest.approx(wanted[key], rel=1e-3), key
    assert found["layers"] == wanted["layers"]


@pytest.mark.parametrize("name", ["c13_cura_for_klipper/g90", "c01_restore_gcode_state/explicit"])
def test_a_file_for_klipper_is_refused_by_marlins_rule(name: str) -> None:
    # M83, then G90: on Marlin 2 that makes E absolute, and the file would pull filament back.
    with pytest.raises(GcodeError, match=r"gcode:\d+: E is misread.*printer\.limits\.firmware"):
        summary(f"{name}.gcode", "ender3_v2")


def test_how_unstated_e_is_read_is_said() -> None:
    program = read_program(CASES / "c31_relative_e_by_macro/macro.gcode")
    assert program.remarks == (
        "E is read as relative: neither M82 nor M83 precedes it, and that is how it makes sense",
    )
    prints = program.moves.select(program.moves.is_extruding)
    assert (prints.end[:, 3] - prints.start[:, 3]).sum() == pytest.approx(FILAMENT, abs=1e-2)


def test_what_the_slicer_says_of_e_comes_before_what_makes_sense() -> None:
    text = (CASES / "c31_relative_e_by_macro/macro.gcode").read_text()
    program = read_text(text + "; use_relative_e_distances = 1\n")
    assert program.remarks[0].endswith("its slicer's use_relative_e_distances says so")


def test_a_file_without_values_for_g10_says_what_it_does_not_count() -> None:
    text = (CASES / "c11_firmware_retraction/g10.gcode").read_text()
    silent = "\n".join(line for line in text.splitlines() if line[:4] not in ("M207", "M208"))
    remarks = read_text(silent + "\n").remarks
    assert len(remarks) == 1
    assert "firmware retractions (G10, G11) take no time" in remarks[0]
