"""What each modal command does to the moves after it."""

import numpy as np
import pytest

from trajerr.gcode.program import MoveKind, Program
from trajerr.gcode.reader import parse_program


def read(*lines: str, firmware: str | None = None) -> Program:
    return parse_program("\n".join([*lines, ""]).encode(), "test.gcode", firmware)


def ends(*lines: str) -> list[list[float]]:
    return read(*lines).moves.end.round(9).tolist()


def test_absolute_and_relative_positions() -> None:
    assert ends("G1 X10 Y20", "G91", "G1 X1 Y-1 Z2", "G90", "G1 X0") == [
        [10, 20, 0, 0],
        [11, 19, 2, 0],
        [0, 19, 2, 0],
    ]


def test_extruder_modes() -> None:
    program = read("M82", "G1 X1 E2", "G1 X2 E3", "M83", "G1 X3 E3", "M82", "G1 X4 E7")
    assert np.diff(program.moves.end[:, 3], prepend=0).tolist() == [2, 1, 3, 1]
    assert program.moves.absolute.tolist() == [[1, 1], [1, 1], [1, 0], [1, 1]]


@pytest.mark.parametrize(
    ("flavor", "lines", "expected"),
    [
        # Marlin 2: G90 and G91 set the mode of E, M82 and M83 override it afterwards.
        ("marlin2", ("M83", "G90", "G1 X1 E5", "G1 X2 E6"), [5, 1]),
        ("marlin2", ("G91", "G1 X1 E5", "G1 X1 E5"), [5, 5]),
        ("marlin2", ("G91", "M82", "G1 X1 E5", "G1 X1 E6"), [5, 1]),
        # Klipper and Marlin 1: E is relative when either command says so.
        ("klipper", ("M83", "G90", "G1 X1 E5", "G1 X2 E6"), [5, 6]),
        ("klipper", ("G91", "M82", "G1 X1 E5", "G1 X1 E6"), [5, 6]),
        ("klipper", ("M82", "G91", "G90", "G1 X1 E5", "G1 X2 E6"), [5, 1]),
        ("marlin", ("M83", "G91", "G90", "G1 X1 E5", "G1 X2 E6"), [5, 6]),
        # RepRapFirmware: they do not meet.
        ("reprapfirmware", ("M82", "G91", "G1 X1 E5", "G1 X1 E6"), [5, 1]),
    ],
)
def test_extruder_mode_by_firmware(flavor: str, lines: tuple[str, ...], expected: list) -> None:
    program = read(f"; gcode_flavor = {flavor}", *lines)
    assert np.diff(program.moves.end[:, 3], prepend=0).tolist() == expected


def test_a_file_with_klipper_commands_follows_klippers_rule() -> None:
    program = read("SET_VELOCITY_LIMIT ACCEL=3000", "M83", "G90", "G1 X1 E5", "G1 X2 E6")
    assert np.diff(program.moves.end[:, 3], prepend=0).tolist() == [5, 6]


def test_inches_scale_coordinates_filament_and_feedrates() -> None:
    moves = read("G20", "G1 X1 Y-2 E.1 F60", "G21", "G1 X1 F60").moves
    np.testing.assert_allclose(moves.end[0], [25.4, -50.8, 0, 2.54])
    np.testing.assert_allclose(moves.feedrate, [25.4, 1.0])
    assert moves.unit.tolist() == [25.4, 1.0]


def test_g92_renames_and_does_not_move() -> None:
    moves = read("G1 X10 E5", "G92 X0 E0", "G1 X5 E1").moves
    assert moves.end.tolist() == [[10, 0, 0, 5], [15, 0, 0, 6]]
    assert moves.origin.tolist() == [[0, 0, 0, 0], [10, 0, 0, 5]]


def test_g92_without_words_renames_all_on_klipper_only() -> None:
    lines = ("G1 X10 Y20 Z3 E5", "G92", "G1 X1 Y1 Z1 E1")
    assert read(*lines, firmware="klipper").moves.end[-1].tolist() == [11, 21, 4, 6]
    program = read(*lines)
    assert program.moves.end[-1].tolist() == [1, 1, 1, 1]
    assert program.unknown_commands == {"G92": 1}


def test_homing_returns_to_zero_and_forgets_g92() -> None:
    moves = read("G1 X10 Y20 Z3", "G92 X0", "G28 X", "G1 X1", "G28", "G1 Z1").moves
    assert moves.end[:, :3].tolist() == [
        [10, 20, 3],
        [0, 20, 3],
        [1, 20, 3],
        [0, 0, 0],
        [0, 0, 1],
    ]
    assert moves.kind.tolist() == [1, 3, 1, 3, 1]
    assert moves.stop.tolist() == [False, True, False, True, False]


def test_dwell_in_milliseconds_and_seconds() -> None:
    moves = read("G4 P1500", "G4 S2", "G4", "G1 X1").moves
    assert moves.pause.tolist() == [1.5, 2.0, 0.0, 0.0]
    assert moves.kind.tolist() == [3, 3, 3, 1]


def test_klippers_dwell_knows_milliseconds_only() -> None:
    lines = b"G4 P1500\nG4 S2\nG1 X1\n"
    assert parse_program(lines, "test", "klipper").moves.pause.tolist() == [1.5, 0.0, 0.0]
    assert parse_program(lines, "test", "marlin").moves.pause.tolist() == [1.5, 2.0, 0.0]


def test_m400_and_tool_changes_bring_motion_to_rest() -> None:
    moves = read("G1 X1 E1", "G1 X2 E2", "M400", "G1 X3 E3", "T0", "G1 X4 E4", "T1", "G1 X5").moves
    assert moves.stop.tolist() == [False, False, True, False, True]


def test_m400_may_name_a_time() -> None:
    moves = read("G1 X1", "M400 P300", "G1 X2").moves
    assert moves.pause.tolist() == [0, 0.3, 0]


@pytest.mark.parametrize("line", ["G1X10Y20E5", "g1x10y20e5", "G1 X10Y20E5", "G1X10Y20E-5"])
def test_words_without_blanks_are_no_exponents(line: str) -> None:
    assert ends(line)[0][:3] == [10, 20, 0]
    assert abs(ends(line)[0][3]) == 5


def test_carriage_returns_alone_end_lines() -> None:
    program = parse_program(b"; old\rG1 X1 ; one\rG1 X2\r", "mac")
    assert program.moves.line.tolist() == [1, 2]
    assert program.line(1) == b"G1 X1 ; one\r"


def test_extruder_continues_over_a_tool_change() -> None:
    assert ends("M83", "G1 X1 E1", "T1", "G1 X2 E1")[-1] == [2, 0, 0, 2]


def test_kinds_follow_from_motion_and_extrusion_together() -> None:
    program = read(
        "M82",
        "G1 X1 E1 F600",
        "G1 X2",
        "G1 X3 E1",
        "G1 E0",
        "G1 X4 E-1 ; wipe",
        "G1 Z1",
        "G1 Z2 E2",
        "G1 E3",
        "G1 X4",
        "G1 F1200",
    )
    names = [MoveKind(k).name for k in program.moves.kind]
    assert names == [
        "PRINT",
        "TRAVEL",
        "TRAVEL",
        "EXTRUDER",
        "TRAVEL",
        "TRAVEL",
        "TRAVEL",
        "EXTRUDER",
    ]
    assert program.moves.is_extruding.tolist() == [True] + [False] * 7


def test_feedrate_holds_and_starts_as_firmware_does() -> None:
    moves = read("G1 X1", "G1 X2 F1200", "G1 X3", "G1 F600", "G1 X4", "G1 X5 F0").moves
    assert moves.feedrate.tolist() == [25, 20, 20, 10, 10]


def test_m220_scales_feedrates() -> None:
    moves = read("G1 X1 F1200", "M220 S50", "G1 X2", "M220 S100", "G1 X3").moves
    assert moves.feedrate.tolist() == [20, 10, 20]


def test_volumetric_extrusion() -> None:
    moves = read("M200 D2", "M83", f"G1 X1 E{np.pi:.9f}", "M200 D0", "G1 X2 E1").moves
    np.testing.assert_allclose(moves.end[:, 3], [1.0, 2.0], atol=1e-9)


def test_temperatures_and_fan() -> None:
    moves = read(
        "M104 S200",
        "M140 S60",
        "G1 X1",
        "M106 S127.5",
        "G1 X2",
        "M106",
        "M109 R210",
        "M104 S150 T1",
        "G1 X3",
        "M107",
        "M106 P2 S255",
        "G1 X4",
        "T1",
        "G1 X5",
    ).moves
    moves = moves.select(moves.kind != MoveKind.PAUSE)
    assert moves.nozzle.tolist() == [200, 200, 210, 210, 150]
    assert moves.bed.tolist() == [60] * 5
    assert moves.fan.tolist() == [0, 0.5, 1, 0, 0]


@pytest.mark.parametrize(
    "line",
    [
        "START_PRINT EXTRUDER_TEMP=215.000000 BED_TEMP=65.000000",
        "PRINT_START BED=65 EXTRUDER=215 CHAMBER=40 MATERIAL=PLA",
        "print_start bed_temperature=65 hotend_temperature=215",
        "START_PRINT BED_TEMP_INITIAL=65 NOZZLE=215 TOOL=1",
    ],
)
def test_temperatures_of_a_start_macro(line: str) -> None:
    moves = read(line, "G1 X1").moves
    assert (moves.nozzle[-1], moves.bed[-1]) == (215, 65)


def test_temperatures_of_the_slicer_where_the_file_is_silent() -> None:
    moves = read("G1 X1", "; nozzle_temperature = 220,200", "; hot_plate_temp = 55").moves
    assert (moves.nozzle[0], moves.bed[0]) == (220, 55)
    header = (";EXTRUDER_TRAIN.0.INITIAL_TEMPERATURE:205", ";BUILD_PLATE.INITIAL_TEMPERATURE:60")
    moves = read(";FLAVOR:Griffin", *header, "G1 X1").moves
    assert (moves.nozzle[0], moves.bed[0]) == (205, 60)


def test_an_ultimaker_2_reads_volumes() -> None:
    area = np.pi * 2.85**2 / 4
    moves = read(";FLAVOR:UltiGCode", "M83", f"G1 X1 E{area:.9f}").moves
    assert moves.end[0, 3] == pytest.approx(1.0, abs=1e-9)


def test_klipper_heater_commands() -> None:
    moves = read(
        "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=205",
        "SET_HEATER_TEMPERATURE HEATER=heater_bed TARGET=50",
        "G1 X1",
    ).moves
    assert (moves.nozzle[0], moves.bed[0]) == (205, 50)


def test_bare_words_continue_the_motion_in_force() -> None:
    assert ends("G1 X1 F600", "X2 Y3", "F1200", "Y4") == [[1, 0, 0, 0], [2, 3, 0, 0], [2, 4, 0, 0]]
    assert read("G1 X1", "F1200", "X2").moves.feedrate.tolist() == [25, 20]


def test_several_commands_in_one_line() -> None:
    assert ends("G20 G91 G1 X1", "G21 G90 G0 X1") == [[25.4, 0, 0, 0], [1, 0, 0, 0]]


def test_letters_of_other_commands_are_parameters() -> None:
    program = read("M900 L1000.0 M1.0", "G1 X1", "M204 S500 M100", "G1 X2")
    assert (program.moves.stop.tolist(), program.unwritable) == ([False, False], ())


def test_a_bare_g5_is_no_spline() -> None:
    program = read("M117 Printing...", "G5 ; reset all variables", "G1 X1")
    assert (len(program.moves), program.unknown_commands) == (1, {"G5": 1})


def test_commands_that_are_not_understood_are_counted() -> None:
    program = read("M73 P0 R63", 'M862.3 P "MK3S"', "M117 G1 X99", "FOO A=1", "FOO", "G1 X1")
    assert program.unknown_commands == {"FOO": 2}
    assert len(program.moves) == 1


@pytest.mark.parametrize(
    "line",
    [
        "M117 printing G1 X99",
        "M118 ; echo G1 X99",
        "M1002 judge_flag g29_before_print_flag",
        "M486 AG1 X99",
        "Z_TILT_ADJUST",
        "EXCLUDE_OBJECT_START NAME=G1_X99",
        "; G1 X99",
        "(G1 X99)",
        "%",
        "O1234",
        "M862.3 P \"G1 X99\"",
        "/G1",
    ],
)  # fmt: skip
def test_text_never_moves(line: str) -> None:
    assert ends(line, "G1 X1") == [[1, 0, 0, 0]]


def test_lines_are_those_of_the_file() -> None:
    program = read("; one", "G1 X1", "", "M73 P1", "g1x2", "G1 X3")
    assert program.moves.line.tolist() == [1, 4, 5]
    assert program.line(4) == b"g1x2\n"
    assert program.n_lines == 6


def test_checksummed_lines() -> None:
    # RepRap wiki: N123 [...G Code in here...]*71; the checksum is the xor of all before '*'.
    body = "N3 T0"
    checksum = 0
    for byte in body.encode():
        checksum ^= byte
    assert checksum == 57  # the value that the wiki states for this very line
    assert ends(f"{body}*{checksum}", "G1 X1") == [[1, 0, 0, 0]]


def test_moves_join() -> None:
    moves = read("G28", "G1 X1 Y2 E1", "G92 X7 E0", "G91", "G1 X.1", "G2 X1 Y1 R2").moves
    np.testing.assert_array_equal(moves.start[1:], moves.end[:-1])
