"""Plans against what real Klipper made of the same files, move by move.

``tests/firmware/klipper`` holds, for each file, every move that Klipper queued. ``corners``,
``arcs`` and ``tiny`` ran through the whole host software in batch mode (``limits.json`` names
the build; ``v0.12`` is release 0.12.0). ``rules`` was run through the classes of three builds
that plan (``toolhead.Move`` and its queue, ``extruder``, ``gcode_move``, ``gcode_arcs``) without
their microcontroller, in a way that gives the other files' moves to the last bit: pressure
advance, flow, wipes, extruder limits by default, ACCEL_TO_DECEL, straight lines and reversals.
"""

from dataclasses import replace

import numpy as np
import pytest

from tests.paths import FIRMWARE
from trajerr.errors import ConfigError
from trajerr.gcode.program import MoveKind
from trajerr.gcode.reader import parse_program, read_program
from trajerr.motion.arcs import as_klipper, cut
from trajerr.motion.limits import MachineLimits, tabulate
from trajerr.motion.planner import Plan, plan

KLIPPER = FIRMWARE / "klipper"
FILES = {
    "klipper": ("", ["corners", "arcs", "tiny", "rules"]),
    "klipper_0_13": ("v0.13", ["rules"]),
    "klipper_0_12": ("v0.12", ["corners", "tiny", "rules"]),
}
RUNS = [(build, name) for build, (_, names) in FILES.items() for name in names]
PRECISE = 1e-9  # s, mm/s and mm/s²: what rounding leaves
# limits.json; the machine that ran.
LIMITS = MachineLimits(
    max_velocity_mm_s=(300.0, 300.0, 15.0, 120.0),
    max_acceleration_mm_s2=(4000.0, 4000.0, 300.0, 4000.0),
    path_velocity_mm_s=300.0,
    print_acceleration_mm_s2=4000.0,
    travel_acceleration_mm_s2=4000.0,
    firmware="klipper",
)
# rules ran with Klipper's own defaults of the extruder.
DEFAULTS = replace(
    LIMITS,
    max_velocity_mm_s=(300.0, 300.0, 15.0, None),
    max_acceleration_mm_s2=(4000.0, 4000.0, 300.0, None),
)


def compared(build: str, name: str) -> tuple[Plan, np.ndarray, dict[str, np.ndarray]]:
    """Return a file's plan, which of its segments move, and the real moves."""
    limits = replace(DEFAULTS if name == "rules" else LIMITS, firmware=build)
    planned = plan(read_program(KLIPPER / f"{name}.gcode", build), limits)
    with np.load(KLIPPER / FILES[build][0] / f"{name}.npz") as moves:
        return planned, planned.segments.is_motion, dict(moves)


@pytest.mark.parametrize(("build", "name"), RUNS)
def test_every_move_is_real_klippers(build, name):
    planned, moves, real = compared(build, name)
    segments = planned.segments.select(moves)
    line = planned.program.moves.line[segments.move]
    np.testing.assert_array_equal(line, real["line"])
    np.testing.assert_allclose(segments.start, real["start_pos"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(segments.distance, real["move_d"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(segments.direction, real["axes_r"], rtol=0, atol=1e-9)


@pytest.mark.parametrize(("build", "name"), RUNS)
def test_every_speed_and_time_is_real_klippers(build, name):
    planned, moves, real = compared(build, name)
    for ours, theirs in (
        (planned.entry, "start_v"),
        (planned.cruise, "cruise_v"),
        (planned.exit, "end_v"),
        (planned.acceleration, "accel"),
    ):
        np.testing.assert_allclose(ours[moves], real[theirs], rtol=0, atol=PRECISE, err_msg=theirs)
    start = planned.start_time[moves]
    np.testing.assert_allclose(start, real["print_time"], rtol=0, atol=PRECISE)
    ends = real["print_time"] + real["accel_t"] + real["cruise_t"] + real["decel_t"]
    np.testing.assert_allclose(start + planned.duration[moves], ends, rtol=0, atol=PRECISE)


@pytest.mark.parametrize(
    ("build", "other"), [("klipper_0_12", "klipper_0_13"), ("klipper_0_13", "klipper")]
)
def test_builds_differ_in_what_the_file_asks_for(build, other):
    own = compared(build, "rules")[0].print_time
    assert abs(own - compared(other, "rules")[0].print_time) > 0.1


def test_pieces_of_a_flat_arc_are_longer_than_the_resolution():
    program = parse_program(b"G1 X100 Y100 F6000\nG3 X110.5 Y100 I5.25 J0\n", "t", "klipper")
    length = 5.25 * np.pi
    assert cut(program.moves, as_klipper(1.0))[0].tolist() == [1, int(length)]
    assert cut(program.moves, as_klipper(0.1))[0].tolist() == [1, int(length / 0.1)]
    assert cut(program.moves, as_klipper(50.0))[0].tolist() == [1, 1]
    fine = replace(LIMITS, arc_resolution_mm=0.1)
    assert len(plan(program, fine)) == 1 + int(length / 0.1)


def planned(*lines: str, limits: MachineLimits = LIMITS) -> Plan:
    text = "\n".join(["G90", "M83", "G1 X50 Y50 F6000", *lines, ""])
    return plan(parse_program(text.encode(), "t", limits.firmware), limits)


def test_what_prints_is_not_bound_by_the_extruder():
    """At 5 mm of filament a mm the extruder would run 500 mm/s, of which it is allowed 120."""
    assert planned("G1 X150 E500").cruise[-1] == pytest.approx(100.0)
    assert planned("G1 X150 E-500").cruise[-1] == pytest.approx(24.0)
    assert planned("G1 Z100 E-500 F600").cruise[-1] == pytest.approx(10.0)


def test_the_extruder_has_klippers_defaults():
    """0.64 mm² of nozzle over 2.405 mm² of filament are 0.266 (PrinterExtruder.__init__)."""
    share = 0.64 / (np.pi * 0.875**2)
    assert DEFAULTS.max_velocity_mm_s[3] == pytest.approx(300.0 * share)
    assert DEFAULTS.max_acceleration_mm_s2[3] == pytest.approx(4000.0 * share)
    assert share == pytest.approx(0.266, abs=5e-4)
    for state in planned("SET_VELOCITY_LIMIT ACCEL=20000 VELOCITY=50", "G1 X60").program.settings:
        assert DEFAULTS.overridden(state).max_acceleration_mm_s2[3] == pytest.approx(4000.0 * share)


def test_only_klipper_has_a_default_for_the_extruder():
    with pytest.raises(ConfigError, match="max_velocity_mm_s"):
        replace(LIMITS, max_velocity_mm_s=(300, 300, 15, None), firmware="marlin")


def softer(build: str, *lines: str, **own: float) -> float:
    """Return the acceleration that smooths peaks at the end of a file, mm/s²."""
    limits = replace(LIMITS, firmware=build, **own)
    program = planned(*lines, "G1 X60", limits=limits).program
    last = tabulate(limits, program.settings).rows(program.moves.settings[-1:])
    full = float(last.print_acceleration[0])
    if build == "klipper_0_12":
        return min(full, float(last.max_accel_to_decel[0]))
    return full * (1.0 - float(last.minimum_cruise_ratio[0]))


@pytest.mark.parametrize(
    ("lines", "old", "between", "now"),
    [
        ((), 2000.0, 2000.0, 2000.0),
        (("SET_VELOCITY_LIMIT ACCEL_TO_DECEL=1000",), 1000.0, 1000.0, 2000.0),
        # An absolute value stays as ACCEL changes, a ratio goes with it.
        (("SET_VELOCITY_LIMIT ACCEL_TO_DECEL=1000", "M204 S8000"), 1000.0, 2000.0, 4000.0),
        (("SET_VELOCITY_LIMIT ACCEL=8000 ACCEL_TO_DECEL=6000",), 6000.0, 6000.0, 4000.0),
        (("SET_VELOCITY_LIMIT ACCEL_TO_DECEL=9000",), 4000.0, 4000.0, 2000.0),
        (("SET_VELOCITY_LIMIT ACCEL_TO_DECEL=9000", "M204 S8000"), 8000.0, 8000.0, 4000.0),
        # A stated ratio wins, in the same command or after it; 0.12 does not know it.
        (
            ("SET_VELOCITY_LIMIT ACCEL_TO_DECEL=1000 MINIMUM_CRUISE_RATIO=0.25",),
            1000.0, 3000.0, 3000.0,
        ),
        (
            ("SET_VELOCITY_LIMIT ACCEL_TO_DECEL=1000", "SET_VELOCITY_LIMIT MINIMUM_CRUISE_RATIO=0"),
            1000.0, 4000.0, 4000.0,
        ),
        (
            ("SET_VELOCITY_LIMIT MINIMUM_CRUISE_RATIO=0", "SET_VELOCITY_LIMIT ACCEL_TO_DECEL=1000"),
            1000.0, 1000.0, 4000.0,
        ),
    ],
)  # fmt: skip
def test_accel_to_decel_has_three_meanings(lines, old, between, now):
    assert softer("klipper_0_12", *lines) == pytest.approx(old)
    assert softer("klipper_0_13", *lines) == pytest.approx(between)
    assert softer("klipper", *lines) == pytest.approx(now)


def test_a_k1_keeps_its_own_acceleration_to_deceleration():
    """Creality's K1: max_accel 20000, max_accel_to_decel 20000, its printer.cfg."""
    own = {"max_accel_to_decel_mm_s2": 20000.0, "print_acceleration_mm_s2": 20000.0}
    assert softer("klipper_0_12", **own) == 20000.0
    assert softer("klipper_0_12", "M204 S12000", **own) == 12000.0
    assert softer("klipper_0_12", print_acceleration_mm_s2=20000.0) == 10000.0


@pytest.mark.parametrize(
    ("command", "rests"),
    [
        ("SET_PRESSURE_ADVANCE ADVANCE=0.04", (True, True)),
        ("SET_PRESSURE_ADVANCE ADVANCE=0", (False, True)),
        ("SET_PRESSURE_ADVANCE SMOOTH_TIME=0.02", (False, True)),
        ("SET_INPUT_SHAPER SHAPER_FREQ_X=50", (True, True)),
        ("SET_INPUT_SHAPER", (False, False)),
        ("SET_EXTRUDER_ROTATION_DISTANCE DISTANCE=7", (True, True)),
        ("SET_TMC_CURRENT STEPPER=extruder CURRENT=0.5", (True, True)),
        ("SET_TMC_FIELD STEPPER=stepper_x FIELD=sgt VALUE=1", (True, True)),
        ("SET_SERVO SERVO=s ANGLE=9", (False, True)),
        ("M400", (True, True)),
        ("G4 P0", (True, True)),
        ("M106 S128", (False, False)),
        ("M204 S4000", (False, False)),
        ("SET_FAN_SPEED FAN=f SPEED=1", (False, False)),
        ("SET_PIN PIN=p VALUE=1", (False, False)),
        ("SET_HEATER_TEMPERATURE HEATER=extruder TARGET=200", (False, False)),
        ("EXCLUDE_OBJECT_START NAME=a", (False, False)),
    ],
)
@pytest.mark.parametrize("build", ["klipper", "klipper_0_12"])
def test_some_commands_bring_klipper_to_rest(command, rests, build):
    result = planned("G1 X60", command, "G1 X70", limits=replace(LIMITS, firmware=build))
    between = result.exit[len(result) - 2]
    assert (between == 0.0) == rests[build == "klipper_0_12"]


def test_pressure_advance_rests_as_often_as_its_smoothing_changes():
    """Since 2024-07; what changes its amount alone waits for the move under way."""
    commands = ["ADVANCE=0.04", "ADVANCE=0.05", "ADVANCE=0.05 SMOOTH_TIME=0.02", "ADVANCE=0"]
    lines = [f"SET_PRESSURE_ADVANCE {words}\nG1 X{60 + i}" for i, words in enumerate(commands)]
    assert (planned(*lines).entry == 0.0).tolist() == [True, True, False, True, True]


def test_no_other_firmware_rests_there():
    limits = replace(LIMITS, firmware="marlin", jerk_mm_s=(10.0, 10.0, 1.0, 10.0))
    result = planned("G1 X60", "M119", "G1 X70", limits=limits)
    assert result.exit[1] == pytest.approx(result.cruise[1])


@pytest.mark.parametrize("line", ["G4 S2", "M400 S2", "M400 P2000"])
def test_klipper_waits_for_milliseconds_of_g4_alone(line):
    moves = planned("G1 X60", line, "G1 X70").program.moves
    assert moves.pause.sum() == 0.0
    assert moves.stop[-1] or moves.kind[-2] == MoveKind.PAUSE


def test_factors_without_a_number_are_100_percent():
    result = planned("M220 S50", "M221 S90", "G1 X60 E1", "M220", "M221", "G1 X70 E1")
    moves = result.program.moves
    assert moves.feedrate.tolist() == [100.0, 50.0, 100.0]
    np.testing.assert_allclose(np.diff(moves.end[:, 3]), [0.9, 1.0])


def test_firmware_retraction_is_scaled_as_the_moves_that_it_is():
    """firmware_retraction.py runs G1, which M220 and M221 scale."""
    lines = ["SET_RETRACTION RETRACT_LENGTH=1 RETRACT_SPEED=40 UNRETRACT_SPEED=30", "M221 S90"]
    moves = planned(*lines, "M220 S50", "G10", "G11", "G1 X60").program.moves
    np.testing.assert_allclose(np.diff(moves.end[:3, 3]), [-0.9, 0.9])
    np.testing.assert_allclose(moves.feedrate[1:], [20.0, 15.0, 50.0])


def test_klipper_takes_centres_as_stated_and_no_turns():
    lines = b"G1 X10 Y0 F6000\nG3 X0 Y10.01 I-10 J0 P1\n"
    moves = parse_program(lines, "t", "klipper").moves
    assert moves.center[1].tolist() == [0.0, 0.0]
    assert moves.sweep[1] == pytest.approx(np.pi / 2)
    assert parse_program(lines, "t", "marlin").moves.sweep[1] == pytest.approx(
        2.5 * np.pi, rel=1e-3
    )
