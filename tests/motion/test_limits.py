import numpy as np
import pytest

from tests.machines import simple_limits
from trajerr.errors import ConfigError
from trajerr.gcode.program import LimitSettings
from trajerr.gcode.reader import parse_program
from trajerr.motion.limits import MachineLimits, tabulate

GOOD = {"max_velocity_mm_s": [200, 200, 12, 50], "max_acceleration_mm_s2": [1e3, 1e3, 200, 5e3]}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_velocity_mm_s", [200, 200, 12]),
        ("max_velocity_mm_s", [200, 0, 12, 50]),
        ("max_acceleration_mm_s2", [1e3, float("inf"), 200, 5e3]),
        ("jerk_mm_s", [-1, 8, 0.4, 5]),
        ("print_acceleration_mm_s2", 0),
        ("travel_acceleration_mm_s2", float("nan")),
        ("junction_deviation_mm", -0.01),
        ("minimum_cruise_ratio", 1.0),
        ("path_velocity_mm_s", 0),
        ("firmware", "grbl"),
        ("steps_per_mm", [80, 80, 0, 93]),
        ("min_steps", 0),
        ("min_steps", 6.5),
        ("min_segment_time_s", -0.02),
        ("lookahead_blocks", 0),
        ("lookahead_blocks", 2.5),
    ],
)
def test_a_bad_limit_is_named(key, value):
    with pytest.raises(ConfigError, match=key):
        simple_limits(**(GOOD | {key: value}))


def test_limits_are_hashable_and_comparable():
    assert simple_limits(**GOOD) == simple_limits(**GOOD)
    assert hash(simple_limits(**GOOD)) == hash(simple_limits(**GOOD))


def test_a_file_overrides_single_axes_and_keeps_the_rest():
    settings = LimitSettings(
        max_velocity=(None, 90.0, None, None), jerk=(10.0, None, 0.0, None), velocity_limit=150.0
    )
    limits = simple_limits(**GOOD).overridden(settings)
    assert limits.max_velocity_mm_s == (200.0, 90.0, 12.0, 50.0)
    assert limits.jerk_mm_s == (10.0, 8.0, 0.0, 5.0)
    assert limits.path_velocity_mm_s == 150.0
    assert limits.print_acceleration_mm_s2 == 500.0


def klipper_after(lines: str) -> MachineLimits:
    """What a Klipper machine is limited to at the end of a file that is written for Marlin."""
    program = parse_program(f"; gcode_flavor = marlin\n{lines}\nG1 X1\n".encode(), "t")
    own = {"print_acceleration_mm_s2": 4e3, "travel_acceleration_mm_s2": 4e3, "firmware": "klipper"}
    state = program.settings[program.moves.settings[-1]]
    return simple_limits(**(GOOD | own), path_velocity_mm_s=300.0).overridden(state)


def test_klipper_ignores_what_it_has_no_command_for():
    """docs/G-Codes.md lists M204 and SET_VELOCITY_LIMIT, none of these."""
    comments = "; machine_max_acceleration_x = 500,500\n; machine_max_acceleration_extruding = 500"
    lines = f"{comments}\nM201 X500 Y500 Z50 E900\nM203 X90 Y90 E20\nM205 X8 J0.1 S5\nM566 X60"
    assert klipper_after(lines) == klipper_after("M104 S0")


@pytest.mark.parametrize(
    ("lines", "acceleration"),
    [
        ("M204 S700", 700.0),
        ("M204 S700 P900 T600", 700.0),
        ("M204 P900 T600 R100", 600.0),
        ("M204 P900", 4000.0),
        ("M204 T600", 4000.0),
        ("M204 P900\nM204 T600", 4000.0),
        ("M204 S500\nM204 P900", 500.0),
        ("M204 S500 T100", 500.0),
        ("M204 S500\nSET_VELOCITY_LIMIT ACCEL=6000 SQUARE_CORNER_VELOCITY=8", 6000.0),
        ("SET_VELOCITY_LIMIT VELOCITY=100\nM204 S0", 4000.0),
    ],
)
def test_klipper_takes_one_acceleration_from_m204(lines, acceleration):
    limits = klipper_after(lines)
    assert limits.print_acceleration_mm_s2 == limits.travel_acceleration_mm_s2 == acceleration
    assert limits.retract_acceleration_mm_s2 == 1000.0
    own = tuple(GOOD["max_acceleration_mm_s2"])
    assert limits.max_acceleration_mm_s2[2:] == own[2:]
    asked = 0.0 if acceleration == 4000.0 else acceleration  # 4000 is the machine's
    assert limits.max_acceleration_mm_s2[:2] == (max(own[0], asked), max(own[1], asked))
    assert limits.path_velocity_mm_s == (100.0 if "VELOCITY=100" in lines else 300.0)


def test_zero_acceleration_in_a_file_is_no_value():
    limits = simple_limits(**GOOD).overridden(LimitSettings(print_acceleration=0.0))
    assert limits.print_acceleration_mm_s2 == 500.0


def test_table_scales_accelerations_only():
    states = [LimitSettings(), LimitSettings(print_acceleration=100.0, junction_deviation=0.02)]
    table = tabulate(simple_limits(**GOOD), states, acceleration_scale=2.0)
    assert table.print_acceleration.tolist() == [1000.0, 200.0]
    assert table.max_acceleration[1].tolist() == [2e3, 2e3, 400, 1e4]
    assert table.junction_deviation.tolist() == [0.013, 0.02]
    assert table.jerk[0].tolist() == [8.0, 8.0, 0.4, 5.0]
    assert np.all(np.isinf(table.path_velocity))
