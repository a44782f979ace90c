"""What an adversary's inputs must not do to a print: speeds, factors, slivers, odd lines."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.paths import CASES
from trajerr.commands.configs import load_printer
from trajerr.correction.compensate import apply_correction
from trajerr.correction.error_models import TwinModel
from trajerr.correction.settings import CorrectionSettings
from trajerr.errors import GcodeError
from trajerr.gcode.extrusion import most_section, sections
from trajerr.gcode.program import Program
from trajerr.gcode.reader import read_program

HEAD = [
    "M104 S200",
    "G28",
    "G90",
    "G21",
    "M83",
    "G92 E0",
    ";LAYER_CHANGE",
    ";Z:0.2",
    "G1 Z0.2 F600",
]


def polygon(radius: float, count: int = 12) -> list[str]:
    """A wall around 110, 110, after a travel to it; the fifth line says no feedrate."""
    angle = 2 * np.pi * np.arange(count + 1) / count
    x, y = 110 + radius * np.cos(angle), 110 + radius * np.sin(angle)
    side = 2 * radius * np.sin(np.pi / count)
    lines = [";TYPE:External perimeter", f"G1 X{x[0]:.3f} Y{y[0]:.3f} F7200", "G1 F1800"]
    return lines + [
        f"G1 X{a:.3f} Y{b:.3f} E{0.033 * side:.5f}" for a, b in zip(x[1:], y[1:], strict=True)
    ]


def tower(*snippet: str) -> list[str]:
    wall = polygon(8.0)
    return [*HEAD, *wall[:7], *snippet, *wall[7:], *polygon(7.0), "G1 X5 Y5 F6000", "M104 S0", ""]


def correct(lines: list[str], printer: str, folder: Path) -> tuple[Program, Program]:
    machine, path = load_printer(printer), folder / "tower.gcode"
    path.write_text("\n".join(lines))
    out = folder / "corrected.gcode"
    settings = CorrectionSettings.shipped(method="twin")
    apply_correction(path, out, TwinModel(machine, 200.0), machine, settings)
    firmware = machine.limits.firmware
    return read_program(path, firmware), read_program(out, firmware)


def fastest(program: Program) -> float:
    return float(program.moves.feedrate[program.moves.is_wall].max())


@pytest.mark.parametrize("printer", ["ender3_v2", "klipper_fast"])
def test_a_wait_in_a_wall_stops_once_and_speeds_nothing_up(printer: str, tmp_path: Path) -> None:
    _, plain = correct(tower(), printer, tmp_path)
    _, waited = correct(tower("M400"), printer, tmp_path)
    assert fastest(waited) < 2.0 * fastest(plain)  # from rest, some pieces make up for it


@pytest.mark.parametrize(
    ("snippet", "printer", "what"),
    [
        ("m220 s50", "klipper_fast", "a speed factor"),
        ("M220 S+50", "ender3_v2", "a speed factor"),
        ("M220 B S50", "ender3_v2", "a speed factor"),
        ("M200 T0 D1.75", "ender3_v2", "volumetric E"),
        ("n1 G1 X100 Y110", "ender3_v2", "line numbers"),
        ("M106 S128 G1 X95 Y95", "ender3_v2", "several commands"),
        ("G21 M220 S100", "klipper_fast", "several commands"),
        ("G01 X100 Y110 E.1", "klipper_fast", "a command's number"),
        ("G1 X100 Y110 E.1 (Z1)", "ender3_v2", "parentheses"),
        ("M117 hi\rM106 S9", "ender3_v2", "a carriage return"),
    ],
)
def test_lines_beside_which_no_corrected_line_can_stand_are_refused(
    snippet: str, printer: str, what: str, tmp_path: Path
) -> None:
    with pytest.raises(GcodeError, match=rf"tower\.gcode:17: {what}"):
        correct(tower(snippet), printer, tmp_path)


@pytest.mark.parametrize(
    "snippet",
    [
        ("G1 X102 Y110 E.5 F1800", "G1 X118 Y110 E.5", "G1 X102 Y110 E.5"),
        ("G60 S0", "G1 X60 Y60 F6000", "G61 X Y", "G1 F1800"),
        ("G92 X106 Y116.928",),
        ("G90.1",),
        ("G3 I-1.2 J-.188 P1 F3000", "G1 F1800"),
    ],
)
@pytest.mark.parametrize("printer", ["ender3_v2", "klipper_fast"])
def test_no_piece_lays_down_more_than_a_firmware_takes(
    snippet: tuple[str, ...], printer: str, tmp_path: Path
) -> None:
    before, after = correct(tower(*snippet), printer, tmp_path)
    assert sections(after).max() <= most_section(before)


def test_limits_that_a_slicer_only_reckons_with_are_not_written(tmp_path: Path) -> None:
    profile = ["; machine_limits_usage = time_estimate_only", "; machine_max_acceleration_x = 9000"]
    _, after = correct([*profile, *tower()], "ender3_v2", tmp_path)
    last = re.findall(rb"^M201 X(\d+)", after.text, re.MULTILINE)[-1]
    assert float(last) == load_printer("ender3_v2").limits.max_acceleration_mm_s2[0]


def test_a_height_stated_again_stays_a_rest(tmp_path: Path) -> None:
    """A vase whose line states the height that it has: nothing may be left for it to move."""
    wall, lines = polygon(8.0, 60)[3:], []
    for turn in range(3):
        for i, line in enumerate(wall):
            z = 0.2 + 0.2 * (turn + (i + 1) / len(wall))
            lines += [line.replace(" E", f" Z{z:.3f} E")]
            lines += [f"G1 Z{z:.3f} F1800"] * (i == 30)
    before, after = correct(
        [*HEAD, *polygon(8.0)[:3], *lines, "M104 S0", ""], "ender3_v2", tmp_path
    )
    assert after.moves.end[-1, 2] == pytest.approx(before.moves.end[-1, 2], abs=1e-6)


def test_a_zero_set_at_an_unknown_place_says_nothing_about_the_bed(tmp_path: Path) -> None:
    """Homing by a probe ends anywhere; copies are printed around where G92 then begins."""
    text = CASES / "c14_g92_copies" / "copies.gcode"
    lines = text.read_text().replace("G1 X40 Y40 F7200", "G1 X40 Y40 F7200\nG1 X60 H1").split("\n")
    plain, corrected = correct(lines, "klipper_fast", tmp_path)
    assert corrected.text != plain.text
