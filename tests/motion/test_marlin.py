"""Plans against blocks as real Marlin's step interrupt ran them.

Three builds ran three files, from parser to interrupt, in virtual time; every block that ran was
written down (`tests/firmware/marlin/reference.json` names builds, limits and columns). The same
blocks are merged; one or two of their ends are a step off (Marlin sums relative E and turns arcs
in single precision); speeds agree to 0.05 mm/s. Each block begins and ends when Marlin's does:
its times are written in whole microseconds, the interrupt's clock ticks twice in one.
"""

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from trajerr.gcode.reader import parse_program, read_program
from trajerr.motion.limits import MARLIN, MachineLimits
from trajerr.motion.planner import plan
from trajerr.motion.stepper import IDLE_S

REFERENCE = Path(__file__).parents[1] / "firmware" / "marlin"
BUILDS = {
    "marlin212_classic": "marlin_2_1_2",
    "marlin212_jd": "marlin_junction_deviation",
    "marlin2024_classic": "marlin",
}
STATED = json.loads((REFERENCE / "reference.json").read_text())
RUNS = [(name, build) for name in ("corners", "arcs", "tiny") for build in BUILDS]


def machine(firmware, **changes):
    own = STATED["machine"]
    keys = {
        "max_velocity_mm_s": own["max_feedrate"],
        "max_acceleration_mm_s2": own["max_acceleration"],
        "jerk_mm_s": own["jerk"],
        "print_acceleration_mm_s2": own["acceleration"],
        "travel_acceleration_mm_s2": own["travel_acceleration"],
        "retract_acceleration_mm_s2": own["retract_acceleration"],
        "steps_per_mm": own["steps_per_mm"],
        "min_steps": own["min_steps_per_segment"],
        "min_segment_time_s": own["min_segment_time_us"] * 1e-6,
        "lookahead_blocks": own["block_buffer"],
        "junction_deviation_mm": 0.013,
        "firmware": firmware,
    }
    return MachineLimits(**keys | changes)


@pytest.fixture(scope="module", params=RUNS, ids=["-".join(run) for run in RUNS])
def ran(request):
    """What trajerr plans, and what Marlin did."""
    name, build = request.param
    planned = plan(read_program(REFERENCE / f"{name}.gcode"), machine(BUILDS[build]))
    with gzip.open(REFERENCE / f"{name}.{build}.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    blocks = {key: np.array([float(row[key]) for row in rows]) for key in rows[0]}
    return planned, blocks, STATED["runs"][f"{name}.{build}"]


def moving(planned, values):
    return values[planned.segments.is_motion]


def test_the_same_blocks_run(ran):
    planned, blocks, stated = ran
    moves, segments = planned.program.moves, planned.segments
    assert len(moving(planned, planned.entry)) == stated["real_blocks"] == len(blocks["line"])
    line = moves.line[moving(planned, planned.move)] + 1
    assert line.tolist() == blocks["line"].tolist()
    assert blocks["merged"].sum() == stated["real_dropped_commands"]
    travel = moving(planned, segments.direction * segments.distance[:, None])
    steps = np.rint(travel * planned.limits.steps_per_mm)
    off = np.abs(steps - np.stack([blocks[f"d{axis}"] for axis in "xyze"], axis=1))
    assert np.max(off) <= 1.0
    assert np.sum(off) <= 4.0
    assert np.abs(steps.sum(axis=0) - stated["end_steps"]).max() <= 1.0


def test_speeds_are_within_half_a_millimetre_a_second(ran):
    planned, blocks, _ = ran
    nominal, entry = blocks["cruise_mm_s"], blocks["entry_mm_s"]
    # Marlin plans exits that a block cannot run at: those above its own nominal speed.
    exits = np.minimum(blocks["exit_mm_s"], nominal)
    peak = np.sqrt(0.5 * (entry**2 + exits**2) + blocks["accel_mm_s2"] * blocks["mm"])
    assert np.abs(moving(planned, planned.entry) - np.minimum(entry, nominal)).max() < 0.05
    assert np.abs(moving(planned, planned.exit) - exits).max() < 0.05
    assert np.abs(moving(planned, planned.cruise) - np.minimum(nominal, peak)).max() < 0.05


def test_times_are_the_interrupts(ran):
    planned, blocks, stated = ran
    start, duration = moving(planned, planned.start_time), moving(planned, planned.duration)
    assert np.abs(duration - blocks["duration_s"]).max() < 1e-6
    assert np.abs(start - blocks["start_s"]).max() < 2e-6
    # What is stated ends with the interrupt's next look at an empty queue.
    assert planned.print_time + IDLE_S == pytest.approx(stated["real_print_time_s"], abs=2e-6)


def test_blocks_are_where_the_interrupt_has_them():
    # Shares of their steps after a quarter, a half and three quarters of the time.
    with gzip.open(REFERENCE / "corners.marlin212_classic.within.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    planned = plan(read_program(REFERENCE / "corners.gcode"), machine("marlin_2_1_2"))
    (blocks,) = np.nonzero(planned.segments.is_motion)
    assert len(rows) == len(blocks)
    for column, share in (("quarter", 0.25), ("half", 0.5), ("three_quarters", 0.75)):
        time = planned.start_time[blocks] + share * planned.duration[blocks]
        way = planned.position_in(blocks, time) - planned.segments.start[blocks]
        there = np.einsum("ij,ij->i", way, planned.segments.direction[blocks])
        there /= np.einsum("ij,ij->i", *[planned.segments.direction[blocks]] * 2)
        ran = np.array([float(row[column]) for row in rows]) * planned.segments.distance[blocks]
        assert np.abs(there - ran).max() < 0.015
        assert np.sqrt(np.mean((there - ran) ** 2)) < 3e-3


@pytest.mark.parametrize("build", BUILDS)
def test_a_draining_queue_slows_short_blocks(build):
    program = read_program(REFERENCE / "tiny.gcode")  # whose first blocks reach their speeds
    slowed, hasty = (
        plan(program, machine(BUILDS[build], min_segment_time_s=time)) for time in (0.02, 0.0)
    )
    slower = np.flatnonzero(slowed.cruise < hasty.cruise - 1e-3)
    assert len(slower) == STATED["runs"][f"tiny.{build}"]["real_slowed_blocks"]
    assert slower.tolist() == list(range(2, 8))


def test_a_rate_is_the_next_whole_number_where_single_precision_says_so():
    # Marlin 2.1.2.1 (09d0b4d) ran the second of these at 2000 steps/s; in doubles it is 2001.
    program = parse_program(b"G1 X2.4125 F1500\nG1 X4.825\nG1 X7.2375\n", "rate.gcode")
    planned = plan(program, machine("marlin_2_1_2", jerk_mm_s=(10.0, 10.0, 0.3, 5.0)))
    assert planned.duration.tolist() == pytest.approx([0.1186145, 0.0965, 0.113791], abs=1e-9)


PIECES = b"""G90
M83
G1 X10 Y10 F3000
G1 X10.05 Y10 E0.01 F1200
G1 X10.10 Y10.03 E0.01 F1800
G1 X20 Y10 E0.5 F2400
"""


@pytest.mark.parametrize("firmware", MARLIN)
def test_short_pieces_belong_to_the_block_that_runs_them(firmware):
    planned = plan(parse_program(PIECES, "pieces.gcode"), machine(firmware))
    assert planned.move.tolist() == [0, 2, 3]
    assert planned.merged.move.tolist() == [1]
    assert planned.merged.segment.tolist() == [1]
    # Straight from where the first began to where the second ends, at the second's speed.
    np.testing.assert_allclose(planned.segments.start[1, :2], [10.0, 10.0])
    np.testing.assert_allclose(planned.segments.start[2, :2], [10.1, 10.025], atol=1e-9)
    assert planned.cruise[1] <= 30.1
    # The first piece ends within the block, by its share of the way.
    begin, end = planned.start_time[1], planned.start_time[2]
    assert begin < planned.move_end[1] < planned.move_end[2] == pytest.approx(end)
    way = np.linalg.norm(planned.position(planned.move_end[1:3])[:, :2] - [10.0, 10.0], axis=1)
    assert way[0] / way[1] == pytest.approx(0.05 / (0.05 + np.hypot(0.05, 0.03)))
    # What the file asked for goes through both ends, what runs only near the second.
    ends = planned.asked(planned.move_end)
    np.testing.assert_allclose(ends, planned.program.moves.end, atol=1e-6)


@pytest.mark.parametrize("firmware", MARLIN)
def test_a_piece_that_nothing_follows_never_runs(firmware):
    text = b"G1 X10 F3000\nG1 X10.05\n"
    planned = plan(parse_program(text, "tail.gcode"), machine(firmware))
    assert planned.move.tolist() == [0]
    assert planned.move_end.tolist() == [planned.print_time] * 2
    assert planned.merged.segment.tolist() == [1]


@pytest.mark.parametrize("firmware", MARLIN)
def test_a_new_zero_of_the_extruder_is_no_motion(firmware):
    text = b"M82\nG1 X10 E0.503 F3000\nG92 E0\nG1 X20 E0.503\nG92 E0\nG1 X30 E0.503\n"
    planned = plan(parse_program(text, "zero.gcode"), machine(firmware))
    travel = planned.segments.direction * planned.segments.distance[:, None] * 93.0
    np.testing.assert_allclose(travel[:, 3], 47.0)  # 46.8 steps, each time anew
    reached = planned.position(planned.start_time + planned.duration)
    assert np.abs(reached[:, 3] - 0.503 * np.arange(1, 4)).max() <= 0.5 / 93.0 + 1e-9


@pytest.mark.parametrize("firmware", MARLIN)
def test_motion_after_a_rest_waits_for_the_interrupts_next_look(firmware):
    text = b"G1 X10 F3000\nG1 X20\nG4 P250\nM400\nG1 X30\nM400\nG1 X40\n"
    planned = plan(parse_program(text, "rests.gcode"), machine(firmware))
    assert planned.segments.hold.tolist() == [0.0, 0.0, 0.25, 0.0, 0.0]
    end = planned.start_time + planned.duration
    assert planned.start_time[1:] - end[:-1] == pytest.approx([0.0, 0.0, 1e-3, 1e-3], abs=1e-12)
    between = end[2:4] + 0.5e-3
    np.testing.assert_allclose(planned.position(between)[:, 0], [20.0, 30.0], atol=1e-9)
    assert np.all(planned.velocity(between) == 0.0)
