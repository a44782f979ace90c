"""What leaves the bed, in any coordinates: walls are refused, all else is told of."""

from dataclasses import replace

import numpy as np
import pytest

from trajerr.errors import GcodeError
from trajerr.gcode.program import FeatureType
from trajerr.motion.bed import Bed, bed_notes, check_inside, from_corner

SIZE = (220.0, 220.0, 250.0)
CENTRED = {"printable_area": "-110x-110,110x-110,110x110,-110x110"}
FAR = {"printable_area": "-150x-150,150x-150,150x150,-150x150"}


def square(build, corner, **columns):
    points = [[10, 10, 0.2, 0], [corner, 10, 0.2, 1], [10, 10, 0.2, 2]]
    return build(points, 50.0, line=[6, 7], **columns)


def test_a_wall_off_the_bed_is_named_with_its_line_and_what_helps(build):
    bed = Bed(SIZE)
    check_inside(square(build, 224.9), bed)
    message = r"built\.gcode:7: .*X226 mm, expected 0 to 220 mm .*bed_origin_mm=\[-110,-110\]"
    with pytest.raises(GcodeError, match=message):
        check_inside(square(build, 226.0), bed)
    with pytest.raises(GcodeError, match=r"built\.gcode:7: .*X-6 mm, expected 0 to 220"):
        check_inside(square(build, -6.0), bed)
    with pytest.raises(GcodeError, match=r"built\.gcode:7: .*X116 mm, expected -110 to 110"):
        check_inside(square(build, 116.0), Bed(SIZE, (-110.0, -110.0)))
    check_inside(square(build, -109.0), Bed(SIZE, (-110.0, -110.0)))


def test_a_wall_that_comes_from_beside_the_bed_is_refused(build):
    with pytest.raises(GcodeError, match="X240 mm"):
        check_inside(build([[240, 10, 0.2, 0], [20, 10, 0.2, 1]], 50.0), Bed(SIZE))


def test_a_wall_above_the_printer_is_refused(build):
    with pytest.raises(GcodeError, match="Z256 mm, expected 0 to 250"):
        check_inside(build([[10, 10, 256.0, 0], [20, 10, 256.0, 1]], 50.0), Bed(SIZE))


def test_an_arc_may_leave_the_bed_between_its_ends(build):
    program = build(
        [[210, 10, 0.2, 0], [210, 50, 0.2, 1]], 50.0, center=[[210.0, 30.0]], sweep=[np.pi]
    )
    with pytest.raises(GcodeError, match="X22"):
        check_inside(program, Bed(SIZE))


def test_only_walls_of_the_layers_at_hand_are_refused(build):
    points = [[10, 10, 0.2, 0], [20, 10, 0.2, 1], [20, 10, 0.4, 1], [300, 10, 0.4, 2]]
    program = build(points, 50.0, layer=[1, 2, 2])
    check_inside(program, Bed(SIZE), layers=[1])
    with pytest.raises(GcodeError, match="X300"):
        check_inside(program, Bed(SIZE), layers=[2])
    assert len(bed_notes(program, Bed(SIZE))) == 1


def test_what_is_printed_counts_as_wall_only_where_no_wall_is_told(build):
    infill, unknown = int(FeatureType.INFILL), int(FeatureType.UNKNOWN)
    with pytest.raises(GcodeError, match="X240"):
        check_inside(square(build, 240.0, feature=[unknown, unknown]), Bed(SIZE))
    with pytest.raises(GcodeError, match="X240"):
        check_inside(square(build, 240.0, feature=[infill, infill]), Bed(SIZE), features=[infill])
    points = [[10, 10, 0.2, 0], [20, 10, 0.2, 1], [240, 10, 0.2, 2]]
    check_inside(build(points, 50.0, feature=[int(FeatureType.INNER_WALL), unknown]), Bed(SIZE))


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ([-13.5, 100, 0.2], "13.5 mm, to X-13.5"),  # a wiper left of the plate
        ([100, 265, 0.2], "45 mm, to Y265"),  # a chute behind it
        ([-45, 100, 0.2], "45 mm, to X-45"),  # the second head of an IDEX, parked
        ([100, -12, 0.2], "12 mm, to Y-12"),  # a purge strip before it
    ],
)
@pytest.mark.parametrize("extrudes", [False, True])
def test_what_is_no_wall_may_leave_the_bed_and_is_told_of(build, where, told, extrudes):
    points = [[10, 10, 0.2, 0], [50, 10, 0.2, 1], [*where, 1], [*where, 1 + extrudes]]
    points += [[*where[:2], 0.3, 1.0 + extrudes], [20, 20, 0.3, 2.5]]
    kinds = [FeatureType.OUTER_WALL, *[FeatureType.PRIME_TOWER] * 4]
    program = build(points, 50.0, feature=[int(kind) for kind in kinds], line=[3, 4, 5, 6, 7])
    check_inside(program, Bed(SIZE))
    (note,) = bed_notes(program, Bed(SIZE))
    assert note.startswith("built.gcode: ")
    assert f"leave the bed by up to {told} (the first in line 5)" in note
    assert note.endswith("left to the firmware")


def test_the_first_of_several_moves_and_the_farthest_are_told(build):
    points = [[10, 10, 0.2, 0], [-9, 10, 0.2, 0], [-30, 10, 0.2, 0], [50, 10, 0.2, 1]]
    (note,) = bed_notes(build(points, 50.0, line=[3, 8, 9]), Bed(SIZE))
    assert "2 moves leave the bed by up to 30 mm, to X-30 (the first in line 4)" in note


def test_moves_before_the_first_layer_and_parking_at_the_end_are_not_told(build):
    assert bed_notes(square(build, 500.0, layer=[0, 0]), Bed(SIZE)) == ()
    points = [[10, 10, 0.2, 0], [50, 10, 0.2, 1], [50, 265, 0.2, 1], [50, 265, 9.0, 1]]
    assert bed_notes(build(points, 50.0), Bed(SIZE)) == ()
    (note,) = bed_notes(build([*points, [60, 265, 9.0, 2]], 50.0), Bed(SIZE))
    assert "1 move" not in note
    assert "Y265" in note


def test_prints_off_a_bed_of_which_nothing_is_said_come_with_advice(build):
    program = square(build, -30.0, feature=[4, 4])
    assert bed_notes(program, Bed(SIZE))[0].endswith("printer.bed_origin_mm=[-110,-110]")
    assert bed_notes(program, Bed.of(CENTRED, SIZE)) == ()


def test_the_config_comes_before_the_file_and_the_file_before_the_corner():
    assert Bed.of({}, SIZE).low == (0.0, 0.0)
    assert Bed.of(CENTRED, SIZE).low == (-110.0, -110.0)
    assert Bed.of(CENTRED, SIZE, (-20.0, 0.0)).low == (-20.0, 0.0)
    assert Bed.of({}, SIZE, (-20.0, 0.0)).low == (-20.0, 0.0)
    assert Bed.of(FAR, SIZE).low == (-110.0, -110.0)


def test_a_file_for_another_bed_is_told_of_and_judged_by_the_printer(build):
    program = replace(square(build, 20.0), slicer=FAR)
    (note,) = bed_notes(program, Bed.of(FAR, SIZE))
    assert "sliced for a bed of 300 by 300 mm; the printer's is 220 by 220 mm" in note
    with pytest.raises(
        GcodeError, match=r"X130 mm, expected -110 to 110 mm .*; sliced for a bed of 300"
    ):
        check_inside(square(build, 130.0), Bed.of(FAR, SIZE))
    smaller = {"bed_shape": "0x0,180x0,180x180,0x180"}
    assert bed_notes(program, Bed.of(smaller, SIZE)) == ()
    assert bed_notes(program, Bed.of({"bed_shape": "5x0,215x0,215x220,5x220"}, SIZE)) == ()


def test_a_config_that_contradicts_the_file_is_told_of(build):
    program = replace(square(build, 20.0), slicer=CENTRED)
    (note,) = bed_notes(program, Bed.of(CENTRED, SIZE, (0.0, 0.0)))
    assert "begins at X-110 Y-110, but printer.bed_origin_mm is [0,0]" in note


def test_walls_in_an_excluded_corner_pass(build):
    slicer = {
        "printable_area": "0x0,256x0,256x256,0x256",
        "bed_exclude_area": "0x0,18x0,18x28,0x28",
    }
    bed = Bed.of(slicer, (256.0, 256.0, 250.0))
    check_inside(square(build, 2.0), bed)
    assert bed_notes(replace(square(build, 2.0), slicer=slicer), bed) == ()


def test_points_are_held_on_the_bed_but_where_their_base_is_off_it():
    bed = Bed(SIZE, (-110.0, -110.0))
    base = np.array([[-109.9, 0.0], [-112.0, 3.0], [109.9, 111.0], [5.0, 5.0]])
    points = base + np.array([[-0.3, 0.1], [-0.3, 0.1], [0.3, 0.3], [0.3, -0.3]])
    wanted = [[-110.0, 0.1], [-112.0, 3.1], [110.0, 111.0], [5.3, 4.7]]
    np.testing.assert_allclose(bed.held(points, base), wanted)


def test_positions_from_the_corner_keep_lengths_arcs_and_what_is_logical(build):
    points = [[-10, 10, 0.2, 0], [-10, 50, 0.2, 1]]
    center = [[-10.0, 30.0]]
    program = build(points, 50.0, center=center, sweep=[np.pi], origin=[[1.0, 2.0, 3.0, 4.0]])
    moves = from_corner(program, Bed(SIZE, (-110.0, -100.0))).moves
    np.testing.assert_array_equal(moves.start, [[100, 110, 0.2, 0]])
    np.testing.assert_array_equal(moves.end, [[100, 150, 0.2, 1]])
    np.testing.assert_array_equal(moves.center, [[100, 130]])
    np.testing.assert_array_equal(moves.end - moves.origin, program.moves.end - [[1, 2, 3, 4]])
    assert from_corner(program, Bed(SIZE)) is program
