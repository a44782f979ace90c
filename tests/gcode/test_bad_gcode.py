"""A file that cannot be used ends in one line: what, where, and what was expected."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trajerr.errors import GcodeError
from trajerr.gcode.reader import parse_program, read_program


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", r"t\.gcode:1: the file is empty"),
        (b" \r\n\n\t", r"t\.gcode:1: the file is empty"),
        (b"G1 X1\nG1 \0X2\n", r"t\.gcode:2: binary data \(a zero byte\)"),
        (b"GCDE\1\0\0\0", r"t\.gcode:1: binary G-code"),
        (b"xgcode 1.0\n\0:\0\0\0", r"t\.gcode:1: FlashForge's container \(\.gx\).* save \.g"),
        (b"PK\3\4rest", r"t\.gcode:1: a zip archive \(\.3mf, \.ufp\?\).* unzip it"),
        (b"PK\3\4\0\0print.jsontoolpath", r"t\.gcode:1: MakerBot's own format"),
        (b"\x1f\x8brest", r"t\.gcode:1: a gzip archive"),
        ("G1 X1\n".encode("utf-16"), r"t\.gcode:1: UTF-16"),
        (b"solid cube\n facet normal 0 0 1\n", r"t\.gcode:1: an STL model"),
        (bytes(range(1, 32)) * 9, r"t\.gcode:1: binary data"),
        (b"; only\n; words\n", r"t\.gcode:2: no move"),
        (b"M104 S200\nG1 F1200\n", r"t\.gcode:2: no move"),
        (b"G1 X1\nG1 X1.2.3\n", r"t\.gcode:2: 'X1\.2\.3' is not a word"),
        (b"G1 X1\nG1 XNaN Y2\n", r"t\.gcode:2: the word X has no number"),
        (b"G1 X1\nG1 Xinf\n", r"t\.gcode:2: the word X has no number"),
        (b"G1 X1\nG1 X--5\n", r"t\.gcode:2: 'X--5' is not a word"),
        (b"G1 X1\nG1 X5 Y\n", r"t\.gcode:2: the word Y has no number"),
        (b"G1 X1\nG1 X1,5\n", r"t\.gcode:2: 'X1,5' is not a word"),
        (b"G1 X1\nG1 X[layer_z]\n", r"t\.gcode:2: 'X\[layer_z\]' is not a word"),
        (b"G1 X1\nG1 X9999999\n", r"t\.gcode:2: X reaches 1e\+07 mm, expected at most"),
        (b"G91\nG1 X1\nG1 Y-999999\nG1 Y-999999\n", r"t\.gcode:4: Y reaches -2e\+06 mm"),
        (b"G1 X" + b"9" * 400 + b"\n", r"t\.gcode:1: .* is absurd"),
        (b"G92 E" + b"9" * 40 + b"\n", r"t\.gcode:1: .* is absurd"),
        (b"G1 X1\nG1 X1e9\n", r"t\.gcode:2: 'X1e9' has an exponent, expected decimals"),
        (b"G1 X1\nG1 Y2 X1.5E-05 F3\n", r"t\.gcode:2: 'X1\.5E-05' has an exponent"),
        (b"G1 E1000\nG1 E99999999999999\n", r"t\.gcode:2: E reaches 1e\+14 mm"),
        (b"X1 Y2\n", r"t\.gcode:1: coordinates without a command"),
        (b"G1 X1\nG2 X5\n", r"t\.gcode:2: an arc without I, J or R"),
        (b"G1 X1\nG1 X2 E0.04:0.05\n", r"t\.gcode:2: 'E0\.04:0\.05' feeds .* mixing extruder"),
        (b"G1 X1\nG1 X2 Y3 A0.5\n", r"t\.gcode:2: the word A moves an extruder .* mach3"),
        (b"G1 X1\nG1 B0.5\n", r"t\.gcode:2: the word B moves an extruder"),
        (b"G18\nG1 X1\n", r"t\.gcode:1: G18 asks for the ZX plane"),
        (b"G1 X1\nG93\n", r"t\.gcode:2: G93 asks for inverse-time feed"),
        (b"G5 X1 Y2 I1 J1 P1 Q1\n", r"t\.gcode:1: G5 asks for a spline"),
        (b"G71\nG1 X1\n", r"t\.gcode:1: G71 asks for units of older controls"),
        (b"N1 G1 X1*0\n", r"t\.gcode:1: checksum is 0, expected 96"),
    ],
)
def test_message(text: bytes, message: str) -> None:
    with pytest.raises(GcodeError, match=f"^{message}") as error:
        parse_program(text, "t.gcode")
    assert "\n" not in str(error.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(GcodeError, match=r"gone\.gcode: no such file"):
        read_program(tmp_path / "gone.gcode")
    with pytest.raises(GcodeError, match="is a folder"):
        read_program(tmp_path)


def test_messages_of_files_name_their_path(tmp_path: Path) -> None:
    path = tmp_path / "part.gcode"
    path.write_bytes(b"G1 X1\nG1 X1.2.3\n")
    with pytest.raises(GcodeError) as error:
        read_program(path)
    assert str(error.value).startswith(f"{path}:2: ")
    path.write_bytes(b"G1 X1\n")
    assert read_program(path).name == "part.gcode"


def test_makerbots_binary_files_are_named_by_their_suffix() -> None:
    with pytest.raises(GcodeError, match=r"^t\.X3G:1: MakerBot's own format"):
        parse_program(b"\x9d\4\0rest", "t.X3G")


def attempt(text: bytes) -> None:
    try:
        program = parse_program(text, "fuzz")
    except GcodeError as error:
        message = str(error)
    else:
        message = ""
        assert b"".join(program.line(i) for i in range(program.n_lines)) == text
    assert "\n" not in message
    assert message[:5] in ("", "fuzz:")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_parse_or_end_in_one_line(text: bytes) -> None:
    attempt(text)


TOKENS = (
    "G0 G1 G2 G3 G4 G20 G28 G90 G91 G92 M82 M83 M104 M204 M205 M106 M109 M220 M200 T1 N5 "
    "X Y Z E F I J R P S 1 -2.5 .5 . - + 1e5 nan inf 1.2.3 99999999999999999999 0 ; ( ) * "
    ";LAYER:1 ;TYPE:Custom ;Z:1 =1 ACCEL=1 SET_VELOCITY_LIMIT \" ' ² é % /"
)
GRAMMAR = st.lists(
    st.sampled_from([*TOKENS.split(), "\n", "\r", "\t", "\x0b", "\x85", "\n"]), max_size=40
)


@settings(max_examples=300, deadline=None)
@given(GRAMMAR, st.sampled_from(["", " "]))
def test_random_words_parse_or_end_in_one_line(tokens: list[str], glue: str) -> None:
    attempt(glue.join(tokens).encode())
