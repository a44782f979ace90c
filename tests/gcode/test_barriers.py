"""Beside what is not understood, lines stay whole; and every command's standing is documented."""

import re

import pytest

from tests.paths import PROJECT
from trajerr.gcode import effects
from trajerr.gcode.commands import MODELLED
from trajerr.gcode.program import Program
from trajerr.gcode.reader import parse_program

DOCS = PROJECT / "docs" / "gcode.md"


def whole(*lines: str, firmware: str | None = None) -> list[str]:
    """Return the lines, of motion, that a correction must leave as they are."""
    program = parse(*lines, firmware=firmware)
    chosen = program.moves.line[program.moves.whole]
    return [program.line(int(i)).decode().strip() for i in chosen]


def parse(*lines: str, firmware: str | None = None) -> Program:
    return parse_program("\n".join([*lines, ""]).encode(), "test.gcode", firmware)


START = ("M83", "G1 X1 Y1 Z1", "G1 X2 Y2 E1")


def test_nothing_is_whole_where_all_is_known() -> None:
    lines = ("G1 X3 Y3 E1", "M106 S9", "M117 hello", "G1 X4", "M204 P500", "G10", "G11", "G1 X5")
    assert whole(*START, "M207 S1 F1800", *lines) == ["G1 X1 Y1 Z1"]


@pytest.mark.parametrize(
    "command",
    [
        "CLEAN_NOZZLE",
        "G27 P0",
        "G12",
        "G29",
        "M600",
        "M0",
        "T1",
        "PAUSE",
        "M206 X1",
        "G55",
        "@pause",
        "M501",
        "MY_MACRO A=1",
        "SAVE_GCODE_STATEX",
        "M84",
        "G92.1",
        "M218 T1 X3",
        "G10 L2 P1 X5",
    ],
)
def test_a_barrier_keeps_what_stands_beside_it(command: str) -> None:
    lines = ("G1 X3 Y3 E1", command, "G1 X4 E1", "G1 Y4", "G1 Z2 E1", "G1 X5 Y5 E1")
    found = whole(*START, *lines)
    expected = ["G1 X1 Y1 Z1", "G1 X3 Y3 E1", "G1 X4 E1", "G1 Y4", "G1 Z2 E1"]
    assert [line for line in found if line != command] == expected


def test_the_way_back_to_where_the_nozzle_seemed_to_be_is_no_move_but_states_the_place() -> None:
    # The line back has the coordinates that the nozzle left: it must not be taken for nothing.
    found = whole(*START, "G1 X3 Y3 E1", "G27", "G1 X3 Y3 Z1 F7200", "G1 X4 Y4 E1", "G1 X5 Y5 E1")
    assert found == ["G1 X1 Y1 Z1", "G1 X3 Y3 E1", "G27"]


def test_relative_positions_state_nothing() -> None:
    lines = ("G91", "CLEAN_NOZZLE", "G1 X1 Y1 Z1 E1", "G1 X2 E1")
    assert whole(*START, *lines) == ["G1 X1 Y1 Z1", *START[2:], *lines[2:]]


def test_an_absolute_extruder_is_stated_before_its_lines_change() -> None:
    lines = ("M82", "G92 E0", "G1 X2 Y2 Z1 E1", "MACRO", "G1 X3 Y3 Z1", "G1 X4 E2", "G1 X5 E3")
    assert whole(*lines) == ["G1 X2 Y2 Z1 E1", "G1 X3 Y3 Z1", "G1 X4 E2"]


@pytest.mark.parametrize(
    "line", ["M106 S9 G1 X3", "G1 X3 U4", "G1 X3 P1", "G53 G1 X3", "G1 X3 H1", "G1 X3 S1"]
)
def test_lines_that_say_more_stay_whole(line: str) -> None:
    assert line in whole(*START, line, "G1 X5 Y5 Z5 E1")


def test_commands_of_another_firmware_are_followed_but_not_trusted() -> None:
    lines = (*START, "G1 X9 Y9 E1", "G60", "G1 X50", "G61 X Y", "G1 X8 E1")
    assert parse(*lines, firmware="klipper").moves.end[-1, 0] == 8
    assert "G1 X8 E1" in whole(*lines, firmware="klipper")
    assert "G1 X8 E1" not in whole(*lines, firmware="marlin")


def test_each_command_has_one_standing() -> None:
    groups = [
        set(effects.REFUSED),
        set(effects.WAITING),
        set(effects.STOPPING_BARRIERS) - set(MODELLED),
        set(effects.PASSED),
        set(MODELLED),
    ]
    names = [name for group in groups for name in group]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("Modelled", MODELLED),
        ("Passed", effects.PASSED),
        ("Waiting", effects.WAITING),
        ("Barriers", effects.STOPPING_BARRIERS),
        ("Refused", effects.REFUSED),
    ],
)
def test_the_table_in_the_docs_lists_every_command(heading: str, names) -> None:
    section = re.split(r"^## ", DOCS.read_text(), flags=re.MULTILINE)
    text = next(part for part in section if part.startswith(heading))
    listed = set(re.findall(r"`([A-Z][A-Z0-9_.]*)`", text))
    assert set(names) <= listed
    others = listed - set(names)
    assert not others & (set(effects.PASSED) | set(MODELLED)) - {"G92", "G28", "M82", "M83"}, others
