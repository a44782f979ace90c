"""Text out: numbers, untouched lines, rounding that never adds up."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trajerr.gcode.reader import parse_program, read_program
from trajerr.gcode.writer import MoveWriter, format_number, replace_lines

FILES = (
    "mach3_inch",
    "prusaslicer_mini_helix",
    "prusaslicer_mk3s_plate",
    "prusaslicer_screw_arcs",
    "simplify3d_31min17s",
)


@pytest.mark.parametrize(
    ("value", "digits", "trim", "text"),
    [
        (1.0, 3, True, "1"),
        (1.0, 3, False, "1.000"),
        (0.1 + 0.2, 5, True, "0.3"),
        (-0.0001, 3, True, "0"),
        (-0.0001, 3, False, "0.000"),
        (-0.001, 3, True, "-0.001"),
        (1e-7, 5, True, "0"),
        (123456789.0, 3, True, "123456789"),
        (1e15, 1, True, "1000000000000000"),
        (100.0, 0, True, "100"),
    ],
)
def test_numbers(value: float, digits: int, trim: bool, text: str) -> None:
    assert format_number(value, digits, trim=trim) == text


@given(st.floats(-1e6, 1e6), st.integers(0, 8), st.booleans())
def test_numbers_have_no_exponent_and_are_nearest(value: float, digits: int, trim: bool) -> None:
    text = format_number(value, digits, trim=trim)
    assert "e" not in text
    assert text.strip("0.") != "-"
    assert abs(float(text) - value) <= 0.5 * 10.0**-digits + 1e-9


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_must_be_finite(value: float) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        format_number(value, 3)


@pytest.mark.parametrize("name", FILES)
def test_reading_then_writing_is_the_identity(shared: Path, name: str) -> None:
    path = shared / f"data/gcode/{name}.gcode"
    program = read_program(path)
    assert replace_lines(program, {}) == path.read_bytes()
    assert b"".join(program.line(i) for i in range(program.n_lines)) == path.read_bytes()
    some = np.random.default_rng(0).integers(0, program.n_lines, 500).tolist()
    assert replace_lines(program, {i: program.line(i) for i in some}) == path.read_bytes()


CONTROLS = bytes(set(range(32)) - set(b"\t\r\n\f"))
lines = st.lists(st.binary(max_size=12).map(lambda b: b.translate(None, CONTROLS)), max_size=5)


@settings(max_examples=60, deadline=None)
@given(lines, st.sampled_from([b"\n", b"\r\n"]))
def test_identity_on_random_text(random: list[bytes], ending: bytes) -> None:
    text = b"G1 X1" + ending + ending.join(b";" + line for line in random)
    program = parse_program(text, "random")
    assert replace_lines(program, {}) == text
    assert replace_lines(program, {0: [b"G1 X1"]}) == text


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
@pytest.mark.parametrize("terminated", [True, False])
def test_replacing_lines(ending: bytes, terminated: bool) -> None:
    text = ending.join([b"G1 X1", b"G1 X2", b"G1 X3"]) + (ending if terminated else b"")
    program = parse_program(text, "t")
    replaced = replace_lines(program, {0: b"; a", 1: [], 2: [b"; b", b"; c"]})
    assert replaced == ending.join([b"; a", b"; b", b"; c"]) + (ending if terminated else b"")
    own = replace_lines(program, {1: [b"; b\n", b"; c"]})
    assert own.startswith(b"G1 X1" + ending + b"; b\n; c" + ending)


def test_replacing_a_line_that_is_not_there() -> None:
    with pytest.raises(IndexError, match="line 9 of 1 in t"):
        replace_lines(parse_program(b"G1 X1\n", "t"), {9: b""})


modes = st.tuples(st.booleans(), st.booleans(), st.booleans())


@given(
    steps=st.lists(
        st.tuples(*[st.floats(-5, 5)] * 3, st.floats(-0.01, 0.02)), min_size=1, max_size=200
    ),
    mode=modes,
)
def test_written_moves_lead_where_they_should_without_drift(
    steps: list[tuple[float, ...]], mode: tuple[bool, bool, bool]
) -> None:
    relative_xyz, relative_e, inches = mode
    header = ["G20" if inches else "G21", "G1 X1 Y2 Z3 E4", "G92 X7 E1"]
    header += ["G91" if relative_xyz else "G90", "M83" if relative_e else "M82", "G1 Z9.5"]
    text = "\n".join(header).encode() + b"\n"
    program = parse_program(text, "t")
    last = len(program.moves) - 1
    writer = MoveWriter.before(program.moves, last)
    targets = program.moves.start[last] + np.cumsum(np.array(steps), axis=0)
    written = [writer.line(t, 20.0) for t in targets.tolist()]
    again = parse_program(replace_lines(program, {5: [w for w in written if w]}), "again")
    reached = again.moves.end[-1]
    digit = (25.4 * 1e-5 if inches else 1e-3, 25.4 * 1e-7 if inches else 1e-5)
    assert np.abs(reached[:3] - targets[-1, :3]).max() <= 0.51 * digit[0]
    assert abs(reached[3] - targets[-1, 3]) <= 0.51 * digit[1]
    assert all(len(line) < 120 and b"e-" not in line for line in written)


def test_words_that_change_nothing_are_left_out() -> None:
    program = parse_program(b"M83\nG1 X1 Y1\nG1 X2 E1\n", "t")
    writer = MoveWriter.before(program.moves, 1)
    assert writer.line((2, 1, 0, 1), 20.0) == b"G1 X2 E1 F1200"
    assert writer.line((3, 1, 0, 1), 20.0) == b"G1 X3"
    assert writer.line((3, 1, 0, 1), 30.0) == b""
    assert writer.line((3.0004, 1, 0, 1.5), 30.0) == b"G1 E0.5 F1800"
