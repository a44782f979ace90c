from dataclasses import replace

import numpy as np
import pytest

from tests.collection.small_print import printer, small_program
from trajerr.collection.placement import DRAWS, IN_PLACE, MARGIN_MM, Placement, draw, place
from trajerr.gcode.parts import PARTS, load_part
from trajerr.gcode.program import Program
from trajerr.gcode.reader import parse_program
from trajerr.motion.bed import Bed, bed_notes, check_inside
from trajerr.motion.planner import plan

BED = (220.0, 220.0, 250.0)
ARCS = b"""G21\nG90\nM83\nG1 X10 Y10 F6000\n;LAYER_CHANGE\nG1 Z0.2 F600
G1 X50 Y50 F6000\n;TYPE:Perimeter\nG1 X70 Y50 E1 F1800\nG3 X70 Y70 I0 J10 E2\nG2 X60 Y80 R10 E1
G1 X50 Y50 E1\nG1 X5 Y200 F6000\n"""


@pytest.fixture(params=["small", "arcs", *PARTS])
def program(request: pytest.FixtureRequest) -> Program:
    if request.param == "small":
        return small_program()
    if request.param == "arcs":
        return parse_program(ARCS, "arcs.gcode")
    return load_part(request.param)


def test_a_placed_part_is_the_same_part_elsewhere(program: Program) -> None:
    placement = draw(program, BED, 5)
    assert placement != IN_PLACE
    there = place(program, placement)
    check_inside(there, Bed(BED))
    assert bed_notes(there, Bed(BED)) == ()
    before, after = program.moves, there.moves
    printing = before.is_extruding & (before.layer > 0)
    # Distances between corners, filament, height and speed are what they were.
    corners, turned = before.end[printing][::7, :2], after.end[printing][::7, :2]
    distances, now = (
        np.linalg.norm(np.diff(points, axis=0), axis=1) for points in (corners, turned)
    )
    np.testing.assert_allclose(now, distances, atol=1e-9)
    np.testing.assert_array_equal(before.end[:, 2:], after.end[:, 2:])
    np.testing.assert_array_equal(before.feedrate, after.feedrate)
    assert not np.allclose(before.end[printing], after.end[printing])


def test_a_print_on_a_cornered_bed_is_where_its_file_says(program: Program) -> None:
    """PrusaSlicer's profile of the embedded parts' printer keeps 5 mm free beside the clips."""
    assert printer().placed(program) is program


def test_moves_stay_linked_and_arcs_keep_their_radius(program: Program) -> None:
    there = place(program, Placement(np.pi / 4, (100.0, 100.0), (-20.0, 15.0)))
    before, after = program.moves, there.moves
    linked = np.all(before.start[1:, :2] == before.end[:-1, :2], axis=1)
    gap = np.abs(after.start[1:, :2] - after.end[:-1, :2])[linked]
    assert gap.max() < 1e-9
    arcs = after.sweep != 0.0
    for end in ("start", "end"):
        was = np.linalg.norm(getattr(before, end)[arcs, :2] - before.center[arcs], axis=1)
        now = np.linalg.norm(getattr(after, end)[arcs, :2] - after.center[arcs], axis=1)
        np.testing.assert_allclose(now, was, atol=1e-9)


def test_purging_and_parking_happen_where_they_did() -> None:
    program = parse_program(ARCS, "arcs.gcode")
    there = place(program, Placement(np.pi / 2, (60.0, 60.0), (30.0, 0.0)))
    np.testing.assert_array_equal(there.moves.end[0], program.moves.end[0])
    np.testing.assert_array_equal(there.moves.end[-1], program.moves.end[-1])
    assert not np.allclose(there.moves.start[-1, :2], program.moves.start[-1, :2])


def test_no_turn_and_no_shift_change_nothing(program: Program) -> None:
    there = place(program, IN_PLACE)
    for name in ("start", "end", "center", "sweep"):
        np.testing.assert_allclose(
            getattr(there.moves, name), getattr(program.moves, name), atol=1e-9
        )


def test_a_quarter_turn_takes_as_long_on_a_printer_with_equal_axes() -> None:
    machine = replace(
        printer().limits,
        max_velocity_mm_s=(200.0, 200.0, 10.0, 60.0),
        max_acceleration_mm_s2=(500.0, 500.0, 100.0, 5000.0),
    )
    program = small_program()
    there = place(program, Placement(np.pi / 2, (110.0, 110.0), (0.0, 0.0)))
    layers = plan(program, machine).layers.tolist()[1:-1] or [1]
    for layer in layers:
        was = np.ptp(plan(program, machine).layer_span(layer))
        now = np.ptp(plan(there, machine).layer_span(layer))
        assert now == pytest.approx(was, rel=0.02)


def test_draws_repeat_differ_and_fit() -> None:
    program = load_part("boat")
    drawn = [draw(program, BED, seed) for seed in range(40)]
    assert drawn == [draw(program, BED, seed) for seed in range(40)]
    assert len(set(drawn)) == 40
    turns = np.array([placement.angle / (np.pi / 4) for placement in drawn])
    assert set(np.round(turns) % 8) == set(range(8))
    tilt = np.abs(turns - np.round(turns)) * 45.0
    assert 5 <= np.sum(tilt == 0.0) <= 25
    assert np.all((tilt == 0.0) | ((tilt > 0.049) & (tilt < 5.1)))
    for placement in drawn:
        moves = place(program, placement).moves
        inside = moves.end[moves.is_extruding & (moves.layer > 0), :2]
        assert inside.min() >= MARGIN_MM - 1e-9
        assert inside.max() <= 220.0 - MARGIN_MM + 1e-9


def test_a_part_as_large_as_the_bed_stays() -> None:
    program = load_part("boat")
    size = np.ptp(program.moves.end[program.moves.is_wall, :2], axis=0)
    assert DRAWS > 1
    assert draw(program, (size.min() * 0.9, size.min() * 0.9, 250.0), 1) == IN_PLACE
