"""Klipper's configs: read as Klipper reads them, not a word lost."""

import configparser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.calibration.sweeps import load_printer
from trajerr.dynamics.input_shaper import AxisShaper
from trajerr.errors import ConfigError, DataError
from trajerr.machine_files.klipper import read_printer_cfg
from trajerr.machine_files.klipper_text import SAVED, read_klipper_text

FAST = load_printer("klipper_fast")
SLINGER = """\
# A bed slinger with a belted z and a geared extruder
[include motors/*.cfg]
[include macros.cfg]
[mcu]
serial: /dev/serial/by-id/usb-x   # a path with a comment
[printer]
kinematics: cartesian
max_velocity: 250
max_accel = 3500
max_accel: 4000 ; the later one holds
max_z_velocity: 12
max_z_accel: 200
square_corner_velocity: 8
minimum_cruise_ratio: 0.4
[stepper_x]
microsteps: 32
rotation_distance: 40
position_endstop: -8
position_min: -8
position_max: 232
[stepper_z]
microsteps: 16
rotation_distance: 8
gear_ratio: 3:1, 2:1
position_max: 240
[extruder]
microsteps: 16
rotation_distance: 22.6
gear_ratio: 50:17
full_steps_per_rotation: 200
nozzle_diameter: 0.600
filament_diameter: 1.75
instantaneous_corner_velocity: 2
pressure_advance: 0.045
[gcode_arcs]
resolution: 0.5
"""
MOTORS = "[stepper_y]\nmicrosteps: 16\nrotation_distance: 32\nfull_steps_per_rotation: 400\n" + (
    "position_max: 225\nhoming_speed: 50\n"
)
MACRO = "[gcode_macro START]\ngcode:\n  G28\n  G1 Z5\n\n[idle_timeout]\n"
SAVED_BLOCK = f"""{SAVED}#*# [input_shaper]
#*# shaper_type_x = ei
#*# shaper_freq_x = 54.2
#*# shaper_freq_y = 38.6
#*# damping_ratio_y = 0.07
#*#
#*# [printer]
#*# max_velocity = 999
"""


@pytest.fixture
def slinger(tmp_path: Path) -> Path:
    (tmp_path / "motors").mkdir()
    (tmp_path / "motors/y.cfg").write_text(MOTORS)
    (tmp_path / "macros.cfg").write_text(MACRO)
    path = tmp_path / "printer.cfg"
    path.write_text(SLINGER + SAVED_BLOCK)
    return path


def test_a_bed_slinger_with_includes_and_saved_values(slinger):
    stated, files = read_printer_cfg(slinger, None)
    assert [file.name for file in files] == ["printer.cfg", "y.cfg", "macros.cfg"]
    base = load_printer("klipper_fast")
    printer = stated.applied(base, "mine", "a file")
    limits = printer.limits
    assert limits.firmware == "klipper"
    assert limits.path_velocity_mm_s == 250.0  # the file's own, not what is below SAVE_CONFIG
    assert limits.print_acceleration_mm_s2 == limits.travel_acceleration_mm_s2 == 4000.0
    share = 4 * 0.6**2 / (3.14159265 * 0.875**2)  # of the extruder alone, by Klipper's reference
    assert limits.max_velocity_mm_s == pytest.approx((250.0, 250.0, 12.0, 250.0 * share))
    assert limits.max_acceleration_mm_s2 == pytest.approx((4000.0, 4000.0, 200.0, 4000.0 * share))
    assert (limits.square_corner_velocity_mm_s, limits.minimum_cruise_ratio) == (8.0, 0.4)
    assert (limits.extruder_corner_velocity_mm_s, limits.arc_resolution_mm) == (2.0, 0.5)
    steps = (200 * 32 / 40, 400 * 16 / 32, 200 * 16 * 6 / 8, 200 * 16 * 50 / 17 / 22.6)
    assert limits.steps_per_mm == pytest.approx(steps)
    assert printer.x.microstep_mm == pytest.approx(0.00625)
    assert printer.y.ripple_periods_mm == pytest.approx((0.08, 0.32))  # 0.9° motors
    assert printer.bed_mm == (232.0, 225.0, 240.0)
    assert printer.bed_origin_mm == (0.0, 0.0)
    assert printer.x.belt_end_mm - 232.0 == base.x.belt_end_mm - base.bed_mm[0]
    assert printer.shaper is not None
    assert printer.shaper.x == AxisShaper("ei", 54.2, 0.1)
    assert printer.shaper.y == AxisShaper("mzv", 38.6, 0.07)
    assert printer.x.mass_kg == base.x.mass_kg


def test_not_a_word_is_lost(slinger):
    stated, _ = read_printer_cfg(slinger, None)
    listed = {(word.place, word.name) for word in stated.not_understood}
    assert ("[mcu]", "serial") in listed
    assert ("[gcode_macro START]", "gcode") in listed
    assert ("[idle_timeout]", "(no option)") in listed
    assert ("[stepper_y]", "homing_speed") in listed
    assert {w.name for w in stated.beside} >= {"pressure_advance", "nozzle_diameter"}
    understood = 29  # options above that a printer's config has a place for
    options = sum(len(options) for options in read_klipper_text(slinger).sections.values())
    assert len(listed) - 1 + len(stated.beside) + understood == options


@pytest.mark.parametrize(
    ("line", "firmware", "expected"),
    [
        ("", None, "klipper"),
        ("max_accel_to_decel: 1500", None, "klipper_0_12"),
        ("max_accel_to_decel: 1500", "klipper_0_13", "klipper_0_13"),
        ("max_accel_to_decel: 1500\nminimum_cruise_ratio: 0.3", None, "klipper"),
    ],
)
def test_which_klipper_it_is_by_its_options(slinger, line, firmware, expected):
    text = SLINGER.replace("minimum_cruise_ratio: 0.4", line)
    slinger.write_text(text)
    stated, _ = read_printer_cfg(slinger, firmware)
    printer = stated.applied(load_printer("klipper_fast"), "mine", "")
    assert printer.limits.firmware == expected
    slowing = 1500.0 if line.startswith("max_accel_to") else None
    assert printer.limits.max_accel_to_decel_mm_s2 == slowing


def test_a_corexy_keeps_its_pulleys_as_far_beyond_the_bed(slinger):
    slinger.write_text(SLINGER.replace("cartesian", "corexy"))
    stated, _ = read_printer_cfg(slinger, None)
    base = load_printer("corexy")
    printer = stated.applied(base, "mine", "")
    assert printer.x.belt_end_mm == base.x.belt_end_mm + (232 + 225) - 600
    assert printer.y.belt_start_mm == base.y.belt_start_mm + 300 - 225
    assert printer.y.belt_end_mm == base.y.belt_end_mm + 232 - 300
    with pytest.raises(DataError, match="expected printer=NAME of a corexy machine"):
        stated.applied(load_printer("klipper_fast"), "mine", "")


def test_a_marlin_base_gives_no_klipper_limits(slinger):
    stated, _ = read_printer_cfg(slinger, None)
    limits = stated.applied(load_printer("ender3_v2"), "mine", "").limits
    assert limits.firmware == "klipper"
    assert limits.lookahead_blocks is None


def test_a_bed_that_counts_from_its_middle(slinger):
    text = SLINGER.replace("position_min: -8", "position_min: -120").replace("232", "120")
    slinger.write_text(text)
    stated, _ = read_printer_cfg(slinger, None)
    assert stated.bed_origin_mm == (-120.0, 0.0)
    assert stated.bed_mm == (240.0, 225.0, 240.0)


def test_an_unknown_shaper_is_said_and_left_out(slinger):
    slinger.write_text(SLINGER + "[input_shaper]\nshaper_type: smooth_zv\nshaper_freq_x: 50\n")
    stated, _ = read_printer_cfg(slinger, None)
    assert stated.shaper is not None
    assert stated.shaper.x is None
    assert any("smooth_zv" in note for note in stated.notes)
    assert any(word.value == "smooth_zv" for word in stated.not_understood)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("kinematics: cartesian", "kinematics: delta"), "kinematics: got delta, expected"),
        (("kinematics: cartesian", "kinematics: a\n b"), "kinematics: got a b, expected"),
        (("kinematics: cartesian", ""), "got no .printer. kinematics"),
        (("max_velocity: 250", "max_velocity: fast"), "max_velocity: got fast, expected a number"),
        (("max_velocity: 250", "max_velocity: -1"), "got -1, expected a number above 0"),
        (("max_velocity: 250", "max_velocity: nan"), "got nan, expected a number above 0"),
        (("max_velocity: 250", ""), "max_velocity: not there, expected a number"),
        (("ratio: 0.4", "ratio: 1"), "minimum_cruise_ratio: got 1, expected 0 or more"),
        (("gear_ratio: 50:17", "gear_ratio: 50"), "gear_ratio: got 50, expected pairs"),
        (("gear_ratio: 50:17", "gear_ratio: 50:0"), "gear_ratio: got 50:0, expected pairs"),
        (("position_max: 232", "position_max: -9"), "position_max: got -9, expected above"),
        (("[include macros.cfg]", "[include absent.cfg]"), "includes absent.cfg"),
        (("[include macros.cfg]", "[include printer.cfg]"), "includes itself"),
        (("[mcu]", "words before a section\n[mcu"), "not a config as Klipper takes it"),
        (("[mcu]", "#*# \n#*# kept = 1\n[mcu]"), "lines of SAVE_CONFIG"),
    ],
)
def test_what_klipper_would_not_take_ends_in_one_line(slinger, change, message):
    old, new = change
    slinger.write_text(SLINGER.replace(old, new))
    with pytest.raises(DataError, match=message) as caught:
        read_printer_cfg(slinger, None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("[printer]\nkinematics: cartesian\n" + "no option\n" * 300_000, "got 'no option'"),
        ("[printer]\n" + " neither\n" * 300_000, "got 'neither'"),
        ("[printer]\n  a: 1\n b\n", "got 'b'"),
    ],
)
def test_lines_that_are_no_options_are_refused_by_the_first(tmp_path, text, got):
    (tmp_path / "a.cfg").write_text(text)
    with pytest.raises(DataError, match=got) as caught:
        read_klipper_text(tmp_path / "a.cfg")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("blank", [" ", "\t", "\r"])
def test_a_long_run_of_blanks_is_a_blank(tmp_path, blank):
    blanks = blank * 1_000_000
    (tmp_path / "a.cfg").write_text(f"[a]\nb{blanks}c: 1{blanks}; d\n e{blanks}f\n")
    assert read_klipper_text(tmp_path / "a.cfg").sections == {"a": {"b c": "1\ne f"}}


def test_files_that_are_none(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_klipper_text(tmp_path / "absent")
    with pytest.raises(DataError, match="expected a file"):
        read_klipper_text(tmp_path)
    for content, message in ((b"\0\1", "is not text"), (b"", "no section")):
        (tmp_path / "a.cfg").write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_klipper_text(tmp_path / "a.cfg")


def test_an_edited_save_config_block_is_refused_as_klipper_drops_it(slinger):
    slinger.write_text(SLINGER + SAVED_BLOCK + "max_velocity: 5\n")
    with pytest.raises(DataError, match="below SAVE_CONFIG"):
        read_printer_cfg(slinger, None)


@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=300), st.integers(0, len(SLINGER)))
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path, noise, place):
    plain = SLINGER.replace("[include motors/*.cfg]\n[include macros.cfg]\n", "").encode()
    for content in (noise, plain[:place] + noise + plain[place:]):
        (tmp_path / "a.cfg").write_bytes(content)
        said = ""
        try:
            stated, _ = read_printer_cfg(tmp_path / "a.cfg", None)
            stated.applied(FAST, "mine", "")
        except (DataError, ConfigError) as error:
            said = str(error)
        assert "\n" not in said


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True),
        st.dictionaries(
            st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True),
            st.from_regex(r"[\w./:,-]{1,12}", fullmatch=True),
            max_size=4,
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_the_standard_library_writes_is_read_back(tmp_path, sections):
    parser = configparser.RawConfigParser()
    parser.read_dict(sections)
    with (tmp_path / "a.cfg").open("w") as file:
        parser.write(file)
    assert read_klipper_text(tmp_path / "a.cfg").sections == sections
