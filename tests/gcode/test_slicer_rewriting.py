"""One print as each slicer writes it is one print: the same moves, features, layers and plan."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from tests.gcode.slicers import FEATURES, SLICERS, Layers, Path, prints, write_as
from tests.machines import simple_limits
from trajerr.gcode.program import MoveKind, Program
from trajerr.gcode.reader import parse_program
from trajerr.motion.planner import plan

COLUMNS = ("kind", "start", "end", "center", "sweep", "feedrate", "layer", "feature")
# Of a firmware that rounds no positions: E in other words may round to another step.
LIMITS = simple_limits(
    (300.0, 300.0, 12.0, 60.0), (900.0, 900.0, 200.0, 3000.0), firmware="klipper"
)
NAMED = [name for name, slicer in SLICERS.items() if slicer.names]


def part(program: Program) -> dict[str, np.ndarray]:
    """Return a program's moves from the first layer on; the start code is each slicer's own."""
    moves = program.moves.select(program.moves.kind != MoveKind.PAUSE)
    first = int(np.argmax(moves.start[:, 2] != moves.end[:, 2]))
    chosen = moves.select(slice(first, None))
    return {name: getattr(chosen, name) for name in COLUMNS}


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert len(found["kind"]) == len(expected["kind"])
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-9, err_msg=name)


def printed(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the same with layer and feature of printing moves alone.

    In a file without marks a layer begins at its first line, with marks on the way there.
    """
    prints = columns["kind"] == MoveKind.PRINT
    return columns | {name: columns[name][prints] for name in ("layer", "feature")}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(layers=prints)
@pytest.mark.parametrize("name", SLICERS)
def test_every_slicers_file_reads_and_plans_alike(name: str, layers: Layers) -> None:
    first = parse_program(write_as(SLICERS["PrusaSlicer"], layers), "first")
    other = parse_program(write_as(SLICERS[name], layers), "other")
    expected, found = printed(part(first)), printed(part(other))
    if name not in NAMED:
        del expected["feature"], found["feature"]
    assert_same(found, expected)
    one, two = plan(first, LIMITS), plan(other, LIMITS)
    for column in ("start_time", "duration", "entry", "cruise", "exit"):
        np.testing.assert_allclose(getattr(two, column), getattr(one, column), rtol=1e-6, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(layers=prints)
def test_features_and_layers_are_those_of_the_print(layers: Layers) -> None:
    moves = part(parse_program(write_as(SLICERS["PrusaSlicer"], layers), "a"))
    prints = moves["kind"] == MoveKind.PRINT
    steps = [(n + 1, path.feature) for n, paths in enumerate(layers) for path in paths
             for _ in path.points[1:]]  # fmt: skip
    assert list(zip(moves["layer"][prints], moves["feature"][prints], strict=True)) == steps


CORNER = ((20_000, 20_000), (60_000, 20_000), (60_000, 50_000))
BOX: Layers = [
    [
        Path(feature, CORNER, 80_000, 3000, k > 2, True)
        for k, feature in enumerate(FEATURES)
    ]
    for _ in range(3)
]  # fmt: skip


@pytest.mark.parametrize(
    "option", ["blanks", "lower", "relative_e", "by_radius", "checked", "resets"]
)
@pytest.mark.parametrize("name", NAMED)
def test_options_change_no_slicers_print(name: str, option: str) -> None:
    slicer = SLICERS[name]
    other = replace(slicer, **{option: not getattr(slicer, option)})
    plain, changed = (part(parse_program(write_as(s, BOX), "x")) for s in (slicer, other))
    assert_same(changed, plain)
