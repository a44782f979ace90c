import re

import numpy as np
import pytest

from trajerr.errors import GcodeError
from trajerr.gcode.parts import PARTS, load_part, part_text
from trajerr.gcode.program import FeatureType, LimitSettings
from trajerr.gcode.sources import Source


def test_the_four_parts_are_there() -> None:
    assert PARTS == ("tugboat", "bearing", "nautilus", "boat")


@pytest.mark.parametrize("name", PARTS)
def test_part_is_a_whole_slicer_file(name: str) -> None:
    program = load_part(name)
    assert program.name == f"{name}.gcode"
    assert program.generator.startswith("PrusaSlicer 2.5.0")
    assert 40 <= program.n_layers <= 60
    # The config block holds what the planner needs.
    assert program.slicer["printer_settings_id"] == "Creality Ender-3 V2 (0.4 mm nozzle)"
    assert program.slicer["machine_max_jerk_x"] == "8"
    printed = {FeatureType(f) for f in np.unique(program.moves.feature[program.moves.is_extruding])}
    assert {FeatureType.OUTER_WALL, FeatureType.INNER_WALL, FeatureType.SOLID_INFILL} <= printed
    np.testing.assert_allclose(np.diff(program.layer_z[1:]), 0.2, atol=1e-9)


@pytest.mark.parametrize("name", PARTS)
def test_part_lies_inside_the_bed_and_is_small(name: str) -> None:
    moves = load_part(name).moves
    xy = moves.end[moves.layer > 0, :2]
    assert np.all(xy > 0)
    assert np.all(xy < 220)
    printed = moves.end[moves.is_wall, :2]
    assert np.all(np.ptp(printed, axis=0) < 60)


@pytest.mark.parametrize("name", PARTS)
def test_part_says_nothing_of_where_and_when_it_was_made(name: str) -> None:
    text = part_text(name)
    assert not re.search(rb"\b20\d\d-\d\d-\d\d\b|/tmp|/home|/root", text)


def test_unknown_part_names_the_choices() -> None:
    with pytest.raises(GcodeError, match=r"no embedded part 'benchy'.*tugboat, bearing"):
        part_text("benchy")


def test_part_is_read_without_the_limits_that_are_never_sent() -> None:
    program = load_part("tugboat")
    assert program.slicer["machine_limits_usage"] == "time_estimate_only"
    assert program.settings[0] == LimitSettings()
    assert {s.print_acceleration for s in program.settings[1:]} == {250.0, 500.0}  # its M204
    assert all(s.jerk == LimitSettings().jerk for s in program.settings)


def test_part_is_read_by_the_rules_of_the_printer() -> None:
    source = Source("tugboat")
    assert source.read().firmware == "marlin"
    assert source.read("klipper").firmware == "klipper"
