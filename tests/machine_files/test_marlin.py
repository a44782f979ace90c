"""Marlin's answers to M503, old and new, as terminals log them."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.calibration.sweeps import load_printer
from trajerr.dynamics.input_shaper import AxisShaper
from trajerr.errors import ConfigError, DataError
from trajerr.machine_files.marlin import read_m503

ENDER = load_printer("ender3_v2")
NEW = """\
Send: M503
Recv: echo:; Linear Units:
Recv: echo:  G21 ; (mm)
Recv: echo:; Steps per unit:
Recv: echo:  M92 X80.00 Y100.00 Z400.00 E93.00
Recv: echo:; Max feedrates (units/s):
Recv: echo:  M203 X500.00 Y450.00 Z10.00 E50.00
Recv: echo:  M201 X1000.00 Y900.00 Z100.00 E5000.00
Recv: echo:; Acceleration (units/s2) (P<print-accel> R<retract-accel> T<travel-accel>):
Recv: echo:  M204 P700.00 R5000.00 T1500.00
Recv: echo:  M205 B20000.00 S1.00 T2.00 J0.08
Recv: Unified Bed Leveling System v1.01 active
Recv: echo:  M851 X-40.00 Y-12.00 Z-1.75 ; (mm)
Recv: echo:  M900 K0.05
Recv: echo:  M593 X F40.00 D0.10
Recv: echo:  M593 Y F0.00 D0.10
Recv: echo:  M920 X5 Q1
Recv: ok
"""
CLASSIC = """\
16:42:55.542 > echo: M92 X160.00 Y160.00 Z8000.00 E191.40
16:42:55.542 > echo:  M203 X500.00 Y500.00 Z2.00 E120.00
16:42:55.547 > echo:  M201 X4000.00 Y4000.00 Z4.00 E10000.00
16:42:55.551 > echo:  M204 P1500.00 R1500.00 T1500.00
16:42:55.555 > echo:  M205 B20000.00 S0.00 T0.00 X8.00 Y7.00 Z0.40 E5.00
"""
OLD = """\
echo:Steps per unit:
echo:  M92 X80.00 Y80.00 Z2560.00 E90.95
echo:Maximum feedrates (mm/s):
echo:  M203 X500.00 Y500.00 Z3.00 E45.00
echo:Maximum Acceleration (mm/s2):
echo:  M201 X9000 Y9000 Z100 E10000
echo:Acceleration: S=acceleration, T=retract acceleration
echo:  M204 S500.00 T3000.00
echo:  M205 S0.00 T0.00 B20000 X10.00 Z0.40 E5.00
ok
"""


def read(tmp_path, text, base="ender3_v2"):
    path = tmp_path / "answer.txt"
    path.write_text(text)
    stated = read_m503(path, load_printer(base))
    return stated, stated.applied(load_printer(base), "mine", "")


def test_an_answer_with_junction_deviation_and_shapers(tmp_path):
    stated, printer = read(tmp_path, NEW)
    limits = printer.limits
    assert limits.firmware == "marlin_junction_deviation"
    assert limits.steps_per_mm == (80.0, 100.0, 400.0, 93.0)
    assert limits.max_velocity_mm_s == (500.0, 450.0, 10.0, 50.0)
    assert limits.max_acceleration_mm_s2 == (1000.0, 900.0, 100.0, 5000.0)
    of_all = (
        limits.print_acceleration_mm_s2,
        limits.retract_acceleration_mm_s2,
        limits.travel_acceleration_mm_s2,
    )
    assert of_all == (700.0, 5000.0, 1500.0)
    assert (limits.min_print_velocity_mm_s, limits.min_travel_velocity_mm_s) == (1.0, 2.0)
    assert (limits.junction_deviation_mm, limits.min_segment_time_s) == (0.08, pytest.approx(0.02))
    assert limits.lookahead_blocks == 16  # the base's, which M503 does not tell
    assert printer.y.microstep_mm == 0.01
    assert printer.shaper is not None
    assert (printer.shaper.x, printer.shaper.y) == (AxisShaper("zv", 40.0, 0.1), None)
    assert [w.name for w in stated.beside] == ["G21", "M851", "M900"]
    assert [(w.place, w.name) for w in stated.not_understood] == [
        ("line 12", "text"),
        ("line 17", "M920"),
    ]


def test_an_answer_with_classic_jerk_behind_times(tmp_path):
    stated, printer = read(tmp_path, CLASSIC)
    assert printer.limits.firmware == "marlin_2_1_2"
    assert printer.limits.jerk_mm_s == (8.0, 7.0, 0.4, 5.0)
    assert printer.shaper is None
    assert stated.not_understood == []
    assert any("classic jerk" in note for note in stated.notes)


def test_what_marlin_1_means_by_the_same_letters(tmp_path):
    stated, printer = read(tmp_path, OLD)
    limits = printer.limits
    assert limits.jerk_mm_s == (10.0, 10.0, 0.4, 5.0)  # X stands for both
    assert limits.print_acceleration_mm_s2 == limits.travel_acceleration_mm_s2 == 500.0
    assert limits.retract_acceleration_mm_s2 == 3000.0
    assert stated.not_understood[0].value == "echo:Steps per unit:"
    assert len(stated.not_understood) == 4


def test_a_klipper_base_gives_no_marlin_limits(tmp_path):
    _, printer = read(tmp_path, CLASSIC, "klipper_fast")
    assert printer.limits.firmware == "marlin_2_1_2"
    assert printer.limits.path_velocity_mm_s is None


def test_an_extruder_beside_the_first_is_listed(tmp_path):
    line = "echo:  M92 T1 E420.00\n"
    stated, printer = read(tmp_path, CLASSIC + line)
    assert printer.limits.steps_per_mm[3] == 191.4
    assert [w.name for w in stated.not_understood] == ["M92"]


def test_fixed_time_motion_is_told_of(tmp_path):
    stated, _ = read(tmp_path, CLASSIC + "echo:  M493 S1 D0 A40\n")
    assert any("M493" in note for note in stated.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no M92, M201, M203, M204 or M205"),
        ("hello\nworld\n", "no M92, M201"),
        (CLASSIC + "echo:  G20 ; inch\n", "inches"),
        (CLASSIC.replace("Z2.00 E120.00", ""), "max_velocity_mm_s: got none of Z, E"),
    ],
)
def test_what_is_no_answer_is_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_an_answer_without_accelerations_cannot_stand_on_a_klipper_base(tmp_path):
    text = CLASSIC.replace("M204 P", "M999 P")
    assert read(tmp_path, text)[1].limits.print_acceleration_mm_s2 == 500.0  # the base's
    with pytest.raises(DataError, match="print_acceleration_mm_s2: the file states none"):
        read(tmp_path, text, "klipper_fast")


def test_an_answer_without_a_travels_acceleration_cannot_stand_on_a_klipper_base(tmp_path):
    text = CLASSIC.replace(" T1500.00", "")
    assert read(tmp_path, text)[1].limits.travel_acceleration_mm_s2 == 1000.0  # the base's
    with pytest.raises(DataError, match="travel_acceleration_mm_s2: the file states none"):
        read(tmp_path, text, "klipper_fast")


def test_a_long_run_of_blanks_is_a_blank(tmp_path):
    stated, _ = read(tmp_path, f"{CLASSIC}Recv:{' ' * 1_000_000}x\n")
    assert [word.value for word in stated.not_understood] == ["Recv: x"]


def test_a_value_that_no_machine_has_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match="max_velocity_mm_s"):
        read(tmp_path, CLASSIC.replace("M203 X500.00", "M203 X0.00"))


@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=200), st.integers(0, len(NEW)))
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path, noise, place):
    whole = NEW.encode()
    for content in (noise, whole[:place] + noise + whole[place:]):
        (tmp_path / "a.txt").write_bytes(content)
        said = ""
        try:
            read_m503(tmp_path / "a.txt", ENDER).applied(ENDER, "mine", "")
        except (DataError, ConfigError) as error:
            said = str(error)
        assert "\n" not in said


def test_a_terminals_empty_lines_are_no_words(tmp_path):
    stated, _ = read(tmp_path, f"Recv: \n16:42:55.534 >\n{CLASSIC}")
    assert stated.not_understood == []
