"""Text out: numbers, and lines that stay as they are."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trajerr.gcode.reader import parse_program, read_program
from trajerr.gcode.writer import number, replace_lines

FILES = (
    "mach3_inch",
    "prusaslicer_mini_helix",
    "prusaslicer_mk3s_plate",
    "prusaslicer_screw_arcs",
    "simplify3d_31min17s",
)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (1.0, 3, b"1"),
        (77.1, 3, b"77.1"),
        (0.5, 3, b".5"),
        (-0.00512, 5, b"-.00512"),
        (0.1 + 0.2, 5, b".3"),
        (-0.0001, 3, b"0"),
        (-0.001, 3, b"-.001"),
        (-12.5, 3, b"-12.5"),
        (1e-7, 5, b"0"),
        (123456789.0, 3, b"123456789"),
        (1e15, 1, b"1000000000000000"),
        (100.0, 0, b"100"),
    ],
)
def test_numbers(value: float, digits: int, text: bytes) -> None:
    assert number(value, digits) == text


@given(st.floats(-1e6, 1e6), st.integers(0, 8))
def test_numbers_have_no_exponent_and_are_nearest(value: float, digits: int) -> None:
    text = number(value, digits)
    assert b"e" not in text
    assert text.strip(b"0.") != b"-"
    assert abs(float(text) - value) <= 0.5 * 10.0**-digits + 1e-9


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_must_be_finite(value: float) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        number(value, 3)


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
