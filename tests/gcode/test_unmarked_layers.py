"""Layers of files without marks, where the nozzle is primed above the first of them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from tests.gcode.slicers import SLICERS, Layers, prints, write_as
from trajerr.gcode.program import Program
from trajerr.gcode.reader import parse_program

PRIME = """\
G28 ; home all axes
G1 Z2.0 F3000 ; lift nozzle
G1 X2.0 Y20 Z0.3 F5000 ; go to prime line
G1 X2.0 Y160 Z0.3 F1500 E12 ; prime line
G1 X2.4 Y160 F5000
G1 X2.4 Y20 F1500 E24
G92 E0
G1 Z2.0 F3000
"""


def read(*lines: str) -> Program:
    return parse_program(("M83\n" + "\n".join(lines) + "\n").encode(), "test.gcode")


def square(z: float) -> str:
    return f"G1 Z{z} F9000\nG1 X50 Y50\nG1 X60 E1 F1200\nG1 Y60 E1\nG1 X50 E1\nG1 Y50 E1"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(layers=prints)
def test_one_object_never_goes_down(layers: Layers) -> None:
    slicer = replace(SLICERS["Slic3r"], start=PRIME)
    program = parse_program(write_as(slicer, layers), "test.gcode")
    assert program.n_layers == len(layers)
    assert np.all(np.diff(program.layer_z[1:]) > 0)


def test_a_prime_line_above_the_first_layer_comes_before_it() -> None:
    program = read(PRIME, square(0.2), square(0.4))
    np.testing.assert_allclose(program.layer_z, [np.nan, 0.2, 0.4])
    prime = program.moves.is_extruding & (program.moves.end[:, 0] < 3)
    assert prime.sum() == 2
    assert (program.moves.layer[prime] == 0).all()


def test_prime_lines_at_falling_heights_all_come_before_it() -> None:
    program = read("G1 Z.8", "G1 X50 E9", "G1 Z.3", "G1 X5 E9", square(0.2), square(0.4))
    np.testing.assert_allclose(program.layer_z[1:], [0.2, 0.4])


def test_a_prime_line_after_a_sloping_one() -> None:
    program = read("G1 X5 Z5", "G1 X20 Z.3 E5", "G1 X50 E9", square(0.2), square(0.4))
    np.testing.assert_allclose(program.layer_z[1:], [0.2, 0.4])


@pytest.mark.parametrize("heights", [(0.3, 0.5, 0.7), (0.2, 0.35, 0.5)])
def test_the_first_layer_may_have_any_thickness(heights: tuple[float, ...]) -> None:
    program = read(*(square(z) for z in heights))
    np.testing.assert_allclose(program.layer_z[1:], heights)


def test_another_object_begins_lower_without_being_the_first() -> None:
    program = read(PRIME, *(square(z) for z in (0.2, 0.4, 0.2, 0.4)))
    np.testing.assert_allclose(program.layer_z[1:], [0.2, 0.4, 0.2, 0.4])
    assert program.moves.layer[program.moves.is_extruding].tolist()[:3] == [0, 0, 1]


def test_a_hop_before_the_first_layer_is_none() -> None:
    program = read("G1 Z.2", square(0.2), "G1 Z1", "G1 X0", square(0.2), square(0.4))
    np.testing.assert_allclose(program.layer_z[1:], [0.2, 0.4])


def test_a_vase_after_a_prime_line() -> None:
    angle = 2 * np.pi * np.arange(1, 13) / 12
    ring = [f"G1 X{20 * np.cos(a):.3f} Y{20 * np.sin(a):.3f}" for a in angle]
    bottom = ["G1 X20 Y0 Z.2", *(f"{line} E1" for line in ring)]
    spiral = [
        f"{line} Z{0.2 + 0.2 * (12 * turn + k) / 12:.4f} E1"
        for turn in range(6)
        for k, line in enumerate(ring, start=1)
    ]
    program = read(PRIME, *bottom, *spiral)
    assert program.n_layers in (6, 7)
    np.testing.assert_allclose(program.layer_z[1], 0.2, atol=0.11)
    assert np.all(np.diff(program.layer_z[1:]) > 0)


def test_where_nothing_is_printed_each_marked_stretch_that_moves_is_a_layer() -> None:
    marked = read("G28", ";LAYER:0", "G1 X10 Z5 F3000", ";LAYER:1", ";LAYER:2", "G1 X20", "G1 X30")
    assert marked.moves.layer.tolist() == [0, 1, 2, 2]
    assert marked.layer_z[1:].tolist() == [5.0, 5.0]
    plain = read("G28", "G1 X10 Z5 F3000", "G1 X20")
    assert set(plain.moves.layer.tolist()) == {0}
    printed = read(
        ";LAYER:0", "G1 Z1 F600", "G1 X9 E1", ";LAYER:1", "G1 X20", ";LAYER:2", "G1 X1 E1"
    )
    assert printed.n_layers == 2
