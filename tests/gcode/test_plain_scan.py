"""The vectorised scan understands what it takes, and takes what slicers write."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trajerr.gcode import plain
from trajerr.gcode.files import find_lines
from trajerr.gcode.plain import COLUMNS, PlainMotion, scan

FULL = re.compile(r"[Gg]0?([0-3])((?:\s*[XYZEFIJRPxyzefijrp][+-]?(?:\d+\.?\d*|\.\d+))*)\s*")
WORD = re.compile(r"([A-Za-z])([+-]?[\d.]+)")


def scan_text(text: bytes) -> PlainMotion:
    return scan(text, find_lines(text))


def assert_true(text: bytes, found: PlainMotion) -> None:
    lines = text.split(b"\n")
    for line, motion, words in zip(found.line, found.motion, found.words, strict=True):
        code = lines[line].split(b";")[0].decode()
        match = FULL.fullmatch(code)
        assert match, code
        assert int(match[1]) == motion
        expected = {k.upper(): float(v) for k, v in WORD.findall(match[2])}
        assert {c: v for c, v in zip(COLUMNS, words, strict=True) if v == v} == expected, code


PLACES = [0, 1, 3, 5, 8]
numbers = st.builds("{:.{}f}".format, st.floats(-999, 999), st.sampled_from(PLACES)) | st.text(
    "0123456789.-+", max_size=8
)
words = st.builds("{}{}".format, st.sampled_from("XYZEFIJRPxyzeS "), numbers)
plain_lines = st.tuples(
    st.sampled_from(["G1", "G0", "G2", "g3", "G01", "G10", "G1.5", "M1", "G", "G4", ""]),
    st.sampled_from(["", " ", "  "]),
    st.lists(words, max_size=4).map(" ".join),
    st.sampled_from(["", " ", "\r", " ; G1 X5", ";x", "*5", "(x)"]),
).map("".join)


@settings(max_examples=100, deadline=None)
@given(st.lists(plain_lines, min_size=1, max_size=6))
def test_what_is_taken_is_understood_exactly(lines: list[str]) -> None:
    text = "\n".join(lines).encode()
    if text:
        assert_true(text, scan_text(text))


@pytest.mark.parametrize(
    "line",
    ["G1 X1", "G1X1Y2", "g1 x1.", "G0 F1200", "G01 X-.5 Y+3", "G2 X1 Y2 I.3 J-4 E.001", "G1\tX1"],
)
def test_slicers_lines_are_taken(line: str) -> None:
    assert len(scan_text(line.encode()).line) == 1


@pytest.mark.parametrize(
    "line",
    ["G1 X1 X2", "G1 X", "G1 X1.2.3", "G1 X 1", "G10 X1", "G1.1 X1", "G1 X1-2", "G1 X1 2",
     "G1 X1e5", "G1 X1E-05",
     "G1 X1E+9", "G1 X1234567890123456", "N1 G1 X1", "G1 X1*4", "G28", "G1 S5", "; G1 X1"],
)  # fmt: skip
def test_doubtful_lines_are_left(line: str) -> None:
    taken = scan_text(f"G1 X1\n{line}\nG1 Y2\n".encode())
    assert taken.line.tolist() == [0, 2]


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"".join(b"G1 X%d.%d E.%d\n; remark\n" % (k, k, k) for k in range(400))
    whole = scan_text(text)
    monkeypatch.setattr(plain, "CHUNK_BYTES", 100)
    pieces = scan_text(text)
    np.testing.assert_array_equal(whole.line, pieces.line)
    np.testing.assert_array_equal(whole.words, pieces.words)


def test_real_files_are_mostly_plain(shared: Path) -> None:
    text = (shared / "data/gcode/prusaslicer_screw_arcs.gcode").read_bytes()
    found = scan_text(text)
    assert_true(text, found)
    assert len(found.line) == len(re.findall(rb"^G[0-3] ", text, re.MULTILINE))
