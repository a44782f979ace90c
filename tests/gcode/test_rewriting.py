"""One program in many dialects is one motion."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from tests.gcode.dialects import Dialect, Move, Step, dialects, programs, write
from trajerr.gcode.program import FeatureType, MoveKind, Program
from trajerr.gcode.reader import parse_program

EXACT = ("kind", "feature", "layer", "pause", "stop")
CLOSE = ("start", "end", "feedrate", "nozzle", "bed", "fan")


def assert_same_motion(one: Program, other: Program) -> None:
    assert len(one.moves) == len(other.moves)
    for name in EXACT:
        np.testing.assert_array_equal(getattr(one.moves, name), getattr(other.moves, name), name)
    for name in CLOSE:
        a, b = getattr(one.moves, name), getattr(other.moves, name)
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-9, err_msg=name)
    accelerations = [
        [p.settings[i].print_acceleration or 0.0 for i in p.moves.settings] for p in (one, other)
    ]
    np.testing.assert_allclose(*accelerations, rtol=1e-11)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(program=programs, dialect=dialects)
def test_every_dialect_reads_alike(program: list[Step], dialect: Dialect) -> None:
    plain = parse_program(write(program, Dialect()), "plain")
    rewritten = parse_program(write(program, dialect), "rewritten")
    assert_same_motion(plain, rewritten)


@pytest.mark.parametrize("option", [f.name for f in fields(Dialect)])
def test_each_option_alone(option: str) -> None:
    program: list[Step] = [
        Move(10_000, 0, 200, 0, 6000),
        Move(20_000, 0, 200, 40_000, 1800),
        Move(20_000, 10_000, 200, 40_000, 1800),
        Move(20_000, 10_000, 200, -80_000, 2400),
        Move(5_500, -250, 600, 0, 9000),
    ]
    default = getattr(Dialect(), option)
    text = write(program, Dialect(**{option: not default}))
    assert_same_motion(parse_program(write(program, Dialect()), "a"), parse_program(text, "b"))


@settings(max_examples=60, deadline=None)
@given(program=programs)
def test_moves_are_those_of_the_abstract_program(program: list[Step]) -> None:
    """An independent interpreter of the abstract program, not of its text."""
    at, expected = (0, 0, 0), []
    for step in program:
        if not isinstance(step, Move):
            continue
        target = (step.x, step.y, step.z)
        if target != at or step.e:
            planar = target[:2] != at[:2]
            kind = (
                MoveKind.PRINT
                if planar and step.e > 0
                else MoveKind.TRAVEL
                if target != at
                else MoveKind.EXTRUDER
            )
            expected.append((*(v / 1e3 for v in target), step.e / 1e5, step.f / 60, kind))
        at = target
    moves = parse_program(write(program, Dialect()), "text").moves
    moves = moves.select(moves.kind != MoveKind.PAUSE)
    seen = np.column_stack(
        [moves.end[:, :3], moves.end[:, 3] - moves.start[:, 3], moves.feedrate, moves.kind]
    )
    np.testing.assert_allclose(seen, np.array(expected).reshape(-1, 6), atol=1e-9)


def test_shared_file_in_absolute_extrusion(shared) -> None:
    """A real file rewritten from M83 to M82 and to inches by an independent rewriting."""
    text = (shared / "data/gcode/prusaslicer_mini_helix.gcode").read_bytes()
    original = parse_program(text, "helix")
    lines, e = [], 0.0
    for line in text.decode().splitlines():
        code = line.split(";")[0].split()
        if code[:1] == ["M83"]:
            lines.append("M82")
        elif code[:2] in (["G92", "E0"], ["G92", "E0.0"]):
            e = 0.0
            lines.append("G92 E0")
        elif code[:1] == ["G1"] and any(w.startswith("E") for w in code):
            e += float(next(w for w in code if w.startswith("E"))[1:])
            lines.append(" ".join(f"E{e:.5f}" if w.startswith("E") else w for w in code))
        else:
            lines.append(line)
    rewritten = parse_program("\n".join([*lines, ""]).encode(), "absolute")
    assert_same_motion(original, rewritten)
    assert rewritten.moves.feature.tolist() == original.moves.feature.tolist()
    assert FeatureType.OUTER_WALL in original.moves.feature
