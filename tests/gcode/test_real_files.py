"""Real files against what their slicers themselves say of them."""

import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from trajerr.gcode.program import FeatureType, MoveKind
from trajerr.gcode.reader import parse_program, read_program


@pytest.mark.parametrize(
    ("name", "key", "tolerance"),
    [
        ("prusaslicer_mini_helix", "filament used [mm]", 0.006),
        ("prusaslicer_mk3s_plate", "filament used [mm]", 0.006),
        ("prusaslicer_screw_arcs", "filament used [mm]", 0.006),
        ("simplify3d_31min17s", "Filament length", 0.1),
    ],
)
def test_filament_is_what_the_slicer_says(
    shared: Path, name: str, key: str, tolerance: float
) -> None:
    program = read_program(shared / f"data/gcode/{name}.gcode")
    prints = program.moves.select(program.moves.is_extruding)
    # Slicers count what they ask for, not what a flow rate (M221 S95) makes of it.
    used = ((prints.end[:, 3] - prints.start[:, 3]) / prints.flow).sum()
    assert used == pytest.approx(float(program.slicer[key].split()[0]), abs=tolerance)


@pytest.mark.parametrize(
    "name", ["prusaslicer_mini_helix", "prusaslicer_mk3s_plate", "prusaslicer_screw_arcs"]
)
def test_layers_are_the_slicers(shared: Path, name: str) -> None:
    program = read_program(shared / f"data/gcode/{name}.gcode")
    heights = [float(z) for z in re.findall(rb"^;Z:([\d.]+)", program.text, re.MULTILINE)]
    np.testing.assert_allclose(program.layer_z[1:], heights, atol=1e-9)
    # Without its marks, the layers follow from where it prints.
    bare = re.sub(rb"^;(?:LAYER_CHANGE|Z:[\d.]+|[\d.]+)\r?$", b";", program.text, flags=re.M)
    found = set(parse_program(bare, "unmarked").layer_z[1:].round(6).tolist())
    assert set(heights) <= found
    assert len(found) <= len(heights) + 1  # the line that primes the nozzle has its own height


def test_simplify3d_layers_and_features(shared: Path) -> None:
    program = read_program(shared / "data/gcode/simplify3d_31min17s.gcode")
    assert program.n_layers == 320
    assert program.generator == "Simplify3D 4.0.0"
    features = {FeatureType(f).name for f in program.moves.feature[program.moves.is_extruding]}
    assert features == {"SKIRT", "OUTER_WALL", "INNER_WALL", "GAP_FILL"}


def test_arcs_end_on_their_circles(shared: Path) -> None:
    program = read_program(shared / "data/gcode/prusaslicer_screw_arcs.gcode")
    arcs = program.moves.select(program.moves.sweep != 0)
    assert len(arcs) == 5722
    radii = [np.hypot(*(p[:, :2] - arcs.center).T) for p in (arcs.start, arcs.end)]
    gap = np.abs(radii[0] - radii[1])
    assert gap.max() < 1e-3  # slicers round to 1 µm, too much for circles of 15 µm
    assert gap[radii[0] > 0.1].max() < 1e-9
    assert np.abs(arcs.sweep).max() < 2 * np.pi


def test_memory_grows_with_the_file_and_no_faster() -> None:
    """A million lines then take less than 1 GB, text included."""
    lines = [f"G1 X{k % 97}.{k % 10} Y{k % 89}.5 E.0{k % 9 + 1}\n" for k in range(50_000)]
    text = ("M83\n" + "".join(lines)).encode()
    tracemalloc.start()
    try:
        program = parse_program(text, "long")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(program.moves) == 50_000
    assert peak / 50_000 < 800  # bytes a line


def test_machine_tool_file_in_inches(shared: Path) -> None:
    program = read_program(shared / "data/gcode/mach3_inch.gcode")
    moves = program.moves
    assert (moves.unit == 25.4).all()
    assert not moves.is_extruding.any()
    square = moves.end[(moves.kind == MoveKind.TRAVEL) & (moves.line >= 24) & (moves.line < 33)]
    expected = [(2.22, 6.45), (2.22, 5.65), (1.42, 5.65), (1.42, 6.45), (2.22, 6.45)]
    np.testing.assert_allclose(square[-5:, :2], 25.4 * np.array(expected), atol=1e-9)
