"""The motion to record: within bed and limits, of the length asked for, unmistakably marked."""

from dataclasses import replace

import numpy as np
import pytest

from tests.calibration.sweeps import load_printer
from trajerr.errors import ConfigError, GcodeError
from trajerr.gcode.reader import parse_program
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample
from trajerr.test_prints.second_reading import require_harmless
from trajerr.test_prints.shakedown import Shakedown, shakedown

HOW = Shakedown(seconds=180.0, speed_mm_s=None, height_mm=10.0, edge_mm=20.0, chips=("adxl345",))
PRINTERS = ("ender3_stock", "klipper_fast", "corexy")


@pytest.fixture(scope="module", params=PRINTERS)
def made(request):
    printer = load_printer(request.param)
    return printer, shakedown(printer, HOW, "record.gcode")


def test_it_lasts_as_long_as_asked_and_feeds_nothing(made):
    _, written = made
    assert 0.85 * 180.0 < written.planned.print_time < 1.15 * 180.0
    moves = written.planned.program.moves
    assert np.all(moves.end[:, 3] == moves.start[:, 3])
    assert b" E" not in written.text
    assert b"M104" not in written.text
    assert b"M109" not in written.text


def test_it_keeps_away_from_the_edges_and_at_its_height(made):
    printer, written = made
    moves = written.planned.program.moves
    homed = moves.line > written.text.split(b"\n").index(b"G28") + 1  # and the move to its height
    low, high = moves.end[homed, :2].min(axis=0), moves.end[homed, :2].max(axis=0)
    assert np.all(low >= 20.0)
    assert np.all(high <= np.array(printer.bed_mm[:2]) - 20.0)
    assert set(moves.end[homed, 2].tolist()) == {10.0}


def test_it_moves_in_all_directions_and_reaches_what_is_printed_with(made):
    printer, written = made
    trajectory = sample(written.planned, 200.0)
    velocity = np.gradient(trajectory.position[:, :2], axis=0) * 200.0
    speed = np.linalg.norm(velocity, axis=1)
    moving = speed > 5.0
    angle = np.degrees(np.arctan2(velocity[moving, 1], velocity[moving, 0])) % 360.0
    seconds = np.histogram(angle, bins=24, range=(0.0, 360.0))[0] / 200.0
    assert seconds.min() > 0.5  # of every 15 degrees
    limits = printer.limits
    greatest = min(limits.print_acceleration_mm_s2, *limits.max_acceleration_mm_s2[:2])
    reached = np.max(np.abs(np.diff(velocity, axis=0))) * 200.0
    assert reached > 0.95 * greatest
    assert speed.max() > 90.0
    stopped = speed < 1e-6
    assert np.count_nonzero(np.diff(stopped.astype(int)) == 1) > 20


def test_every_speed_meets_every_acceleration_in_the_long_run():
    printer = load_printer("klipper_fast")
    written = shakedown(printer, replace(HOW, seconds=900.0), "a.gcode")
    seen, acceleration = set(), b""
    for line in written.text.split(b"\n"):
        acceleration = line if line.startswith(b"M204") else acceleration
        if line.startswith(b"G1 X"):
            seen.add((acceleration, line.rpartition(b"F")[2]))
    speeds = [f"{60 * 200 * share:.0f}".encode() for share in (0.15, 0.3, 0.5, 0.75, 1.0)]
    accelerations = [f"M204 P{a:.0f} T{a:.0f}".encode() for a in (1000, 2000, 4000)]
    assert {(a, s) for a in accelerations for s in speeds} <= seen


def test_its_marks_at_begin_and_end_are_apart_from_each_other_and_from_all_between():
    written = shakedown(load_printer("klipper_fast"), HOW, "a.gcode")
    lines = written.text.decode().split("\n")
    waits = [line for line in lines if line.startswith("G4")]
    assert waits[:5] == ["G4 P2000", "G4 P1000", "G4 P400", "G4 P250", "G4 P650"]
    assert waits[-4:] == ["G4 P400", "G4 P250", "G4 P650", "G4 P1000"]
    first, last = lines.index("G4 P400"), len(lines) - 1 - lines[::-1].index("G4 P400")
    begin = lines[lines.index("G4 P1000") : first]
    end = lines[lines.index("G1 X110.000 Y110.000 F3000", first) : last]
    assert sum("X112.000 Y112.000" in line for line in begin) == 3
    assert sum("X112.000 Y112.000" in line for line in end) == 2


def test_klipper_starts_and_stops_each_sensor_and_marlin_none():
    two = replace(HOW, chips=("hotend", "bed"))
    text = shakedown(load_printer("corexy"), two, "a.gcode").text.decode()
    assert [line for line in text.split("\n") if line.startswith("ACC")] == [
        "ACCELEROMETER_MEASURE CHIP=hotend",
        "ACCELEROMETER_MEASURE CHIP=bed",
        "ACCELEROMETER_MEASURE CHIP=hotend NAME=trajerr",
        "ACCELEROMETER_MEASURE CHIP=bed NAME=trajerr",
    ]
    assert b"ACCELEROMETER" not in shakedown(load_printer("ender3_stock"), two, "a.gcode").text


def test_what_it_changes_it_restores(made):
    printer, written = made
    last = [line for line in written.text.decode().split("\n") if line.startswith("M204")][-1]
    limits = printer.limits
    own = limits.print_acceleration_mm_s2, limits.travel_acceleration_mm_s2
    assert last == f"M204 P{own[0]:.0f} T{own[1]:.0f}"


def test_it_is_the_same_every_time_and_read_without_remarks(made):
    printer, written = made
    assert shakedown(printer, HOW, "record.gcode").text == written.text
    again = plan(parse_program(written.text, "a", printer.limits.firmware), printer.limits)
    assert again.print_time == written.planned.print_time
    assert again.program.remarks == ()


def test_a_bed_that_counts_from_its_middle_is_moved_over_around_zero():
    printer = replace(load_printer("klipper_fast"), bed_origin_mm=(-110.0, -110.0))
    written = shakedown(printer, HOW, "a.gcode")
    middle = shakedown(load_printer("klipper_fast"), HOW, "a.gcode")
    ends, others = (w.planned.program.moves.end[-50:, :2] for w in (written, middle))
    assert np.allclose(ends + 110.0, others)


@pytest.mark.parametrize(
    ("bed", "changes", "message"),
    [
        ((89.0, 200.0, 200.0), {}, "printer.bed_mm: got 89 × 200, expected 90 mm or more"),
        ((200.0, 200.0, 15.0), {}, "record.height_mm: got 10.0, expected up to half of z, 7.5"),
    ],
)
def test_a_machine_that_is_too_small_is_refused(bed, changes, message):
    printer = replace(load_printer("klipper_fast"), bed_mm=bed)
    with pytest.raises(ConfigError) as caught:
        shakedown(printer, replace(HOW, **changes), "a.gcode")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seconds", 10.0),
        ("seconds", 1e4),
        ("seconds", "long"),
        ("speed_mm_s", 0.0),
        ("speed_mm_s", "fast"),
        ("height_mm", -1.0),
        ("edge_mm", 0.0),
        ("edge_mm", None),
        ("chips", "adxl345"),
        ("chips", ["a b"]),
        ("chips", ["x\nM112"]),
        ("chips", None),
    ],
)
def test_a_value_out_of_range_is_named(key, value):
    with pytest.raises(ConfigError, match=f"record.{key}: got"):
        replace(HOW, **{key: value})


@pytest.mark.parametrize(
    "line",
    [b"G1 X500 F100", b"G1 Z1 F100", b"G1 X100 E1 F100", b"G91", b"G92 X50"],
)
def test_the_second_reader_refuses_motion_that_might_do_harm(line):
    text = b"G28\nG90\nG1 Z10 F300\nG1 X100 Y100 F1000\n" + line + b"\nG1 X90 Y90 F1000\n"
    with pytest.raises(GcodeError, match="nothing is written"):
        require_harmless(text, "marlin_2_1_2", (80.0, 80.0, 10.0), (120.0, 120.0, 10.0))
    with pytest.raises(GcodeError, match="leaves the field"):
        require_harmless(
            b"G90\nG1 X100 Y100 Z10\n", "klipper", (80.0, 80.0, 10.0), (120.0, 120.0, 10.0)
        )


def test_it_is_marked_in_layers_that_no_other_has_the_geometry_of(made):
    _, written = made
    moves = written.planned.program.moves
    layers = sorted(set(moves.layer.tolist()))
    assert layers == list(range(layers[-1] + 1))  # 0: the shakes at the begin
    assert len(layers) >= 20
    seen = set()
    for layer in layers[1:]:
        own = moves.layer == layer
        steps = np.round(moves.end[own, :2] - moves.start[own, :2], 2)
        shape = tuple(map(tuple, steps[1:].tolist()))  # without the way there
        assert shape not in seen
        seen.add(shape)
