"""The ringing tower: a print that rings, and what is read from it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.calibration.sweeps import load_printer
from trajerr.calibration.ripples import Reading, Ripples
from trajerr.dynamics.layer import simulate_layer
from trajerr.errors import ConfigError, GcodeError
from trajerr.gcode.program import FeatureType
from trajerr.motion.lead_in import LayerMotion
from trajerr.test_prints.tower import RingingTower, reach_mm, tower

HOW = RingingTower(
    speed_mm_s=60.0,
    side_mm=60.0,
    band_mm=4.0,
    layer_mm=0.2,
    nozzle_mm=0.4,
    filament_mm=1.75,
    nozzle_c=210.0,
    bed_c=60.0,
)


def test_it_is_a_print_of_bands_with_growing_acceleration():
    printer = load_printer("klipper_fast")
    planned = tower(printer, HOW, "tower.gcode").planned
    assert len(planned.layers) == 1 + 4 * 20
    moves = planned.program.moves
    walls = moves.feature == FeatureType.OUTER_WALL
    for band, share in enumerate((0.25, 0.5, 0.75, 1.0)):
        inside = moves.layer[planned.move] == 2 + 20 * band
        used = planned.acceleration[inside & walls[planned.move]]
        assert np.max(used) == pytest.approx(share * 4000.0)
        assert np.max(planned.cruise[inside & walls[planned.move]]) == pytest.approx(60.0)
    printed = moves.end[walls, :2]
    assert np.ptp(printed, axis=0) == pytest.approx([60.0, 60.0])


def test_its_lines_have_the_section_that_they_are_meant_to():
    section = 0.28 * 0.2 + math.pi * 0.1**2  # flat part and round sides, 0.48 mm wide
    assert HOW.filament(10.0) == pytest.approx(10.0 * section / (math.pi * 0.875**2))


def test_heaters_are_on_before_and_off_after():
    lines = tower(load_printer("corexy"), HOW, "a").text.decode().split("\n")
    assert lines.index("M109 S210") < lines.index("G28")
    last_print = max(i for i, line in enumerate(lines) if " E" in line and line[:4] == "G1 X")
    assert lines.index("M104 S0") > last_print
    assert lines.index("M140 S0") > last_print


def test_a_second_reader_passes_it_and_no_other(monkeypatch):
    """What is written, by the code that corrected files are proved by."""
    printer = load_printer("ender3_v2")
    assert tower(printer, HOW, "tower.gcode").text
    monkeypatch.setattr("trajerr.test_prints.tower.RETRACT_MM", 30.0)  # not what _end writes then
    monkeypatch.setattr("trajerr.test_prints.tower._end", lambda *_: ["M84"])
    with pytest.raises(GcodeError, match=r"feeds [0-9.]+ mm of filament, expected"):
        tower(printer, HOW, "tower.gcode")
    monkeypatch.undo()
    monkeypatch.setattr("trajerr.test_prints.tower._end", lambda *_: ["G1 X0 Y0", "M84"])
    with pytest.raises(GcodeError, match=r"G1 X0 Y0: leaves the field"):
        tower(printer, HOW, "tower.gcode")


def test_the_nozzle_comes_down_where_the_brim_begins():
    lines = tower(load_printer("corexy"), HOW, "a").text.decode().split("\n")
    down = lines.index("G1 Z0.200 F300")
    assert lines[down - 1] == ";LAYER:0"
    before = [line for line in lines[lines.index("G28") : down] if line[:2] in ("G0", "G1")]
    assert before[0] == "G1 Z10.000 F300"
    assert before[1].startswith("G0 X")
    assert lines[down + 2].startswith(before[1].split(" F")[0])  # no way at that height


def test_ripples_of_a_simulated_wall_give_back_the_axis_frequency():
    """Counted where a person would: on the wall along x, y rings behind the corner."""
    printer = load_printer("klipper_fast").only()
    planned = tower(printer, HOW, "tower.gcode").planned
    layer = 70  # of the highest acceleration
    motion = LayerMotion.of(planned, layer)
    simulated = simulate_layer(printer, motion, 2000.0, seed=0)
    commanded = simulated.commanded.position[simulated.context :, :2]
    span = _behind_a_corner(commanded)
    along = np.abs(commanded[span, 0] - commanded[span.start, 0])
    ripple = simulated.error[simulated.context :][span, 1]
    peaks = _peaks(ripple, along, from_mm=reach_mm(4000.0, 60.0))
    ripples = Ripples("y", 60.0, float(len(peaks) - 1), float(peaks[-1] - peaks[0]))
    estimate = ripples.natural_frequency(printer.y.damping_ratio, Reading(0.25, 0.15))
    assert estimate.value == pytest.approx(printer.y.natural_freq_hz, rel=0.03)
    assert estimate.low < printer.y.natural_freq_hz < estimate.high


def _behind_a_corner(commanded):
    """Samples of the longest stretch along x at constant y."""
    still = np.flatnonzero(np.abs(np.diff(commanded[:, 1])) > 1e-9)
    begin = int(still[np.argmax(np.diff(still))]) + 1
    end = int(still[np.searchsorted(still, begin)])
    return slice(begin, end)


def _peaks(values, along, from_mm):
    inner = values[1:-1]
    high = (inner > values[:-2]) & (inner >= values[2:]) & (along[1:-1] > from_mm)
    return along[1:-1][high][:5]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"speed_mm_s": 400.0}, "tower.speed_mm_s: got 400.0, expected up to 300"),
        ({"side_mm": 150.0, "nozzle_mm": 1.2}, ""),
        ({"band_mm": 30.0}, ""),
    ],
)
def test_fit(changes, message):
    printer = load_printer("klipper_fast")
    if message:
        with pytest.raises(ConfigError) as caught:
            tower(printer, replace(HOW, **changes), "a")
        assert message in str(caught.value)
    else:
        assert tower(printer, replace(HOW, **changes), "a").text


def test_a_machine_that_cannot_reach_the_speed_or_hold_the_tower_is_refused():
    with pytest.raises(ConfigError, match=r"tower.speed_mm_s: got 200.0, expected 122 or less"):
        tower(load_printer("ender3_v2"), replace(HOW, speed_mm_s=200.0), "a")
    small = replace(load_printer("klipper_fast"), bed_mm=(80.0, 200.0, 200.0))
    with pytest.raises(ConfigError, match=r"printer.bed_mm: got 80 × 200 × 200, expected 85.76"):
        tower(small, HOW, "a")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("speed_mm_s", 5.0),
        ("speed_mm_s", "fast"),
        ("side_mm", 20.0),
        ("band_mm", 0.0),
        ("layer_mm", 0.31),
        ("nozzle_mm", 3.0),
        ("filament_mm", 1.0),
        ("nozzle_c", 400.0),
        ("bed_c", -1.0),
        ("bed_c", None),
    ],
)
def test_a_value_out_of_range_is_named(key, value):
    with pytest.raises(ConfigError, match=f"tower.{key}: got"):
        replace(HOW, **{key: value})
