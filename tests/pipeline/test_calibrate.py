"""``python -m trajerr.calibrate`` as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.calibration.logs import simulated_log
from tests.calibration.sweeps import load_printer, record, write_raw
from tests.test_prints.squares import squares
from tests.warm_python import warm_python
from trajerr.gcode.excitation import excitation_hz
from trajerr.gcode.reader import read_program


def run(
    folder: Path, *overrides: str, command="calibrate", python: list[str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*(python or warm_python()), "-m", f"trajerr.{command}", *overrides],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def tests_of_a_printer(tmp_path_factory) -> Path:
    """A folder with the resonance tests of both axes, as Klipper writes them."""
    folder = tmp_path_factory.mktemp("my printer ü")
    printer = load_printer("ender3_stock").without("friction")
    for axis, name in enumerate("xy"):
        rows = record(printer, axis, seed=axis, hz_per_s=2.0, low_hz=20.0, high_hz=100.0)
        write_raw(folder / f"raw_data_{name}.csv", rows)
    return folder


FILES = ("accelerometer.x=raw_data_x.csv", "accelerometer.y=raw_data_y.csv")
SWEEP = ("accelerometer.sweep.low_hz=20", "accelerometer.sweep.high_hz=100")


def test_an_accelerometer_makes_a_printer_that_collect_takes(tests_of_a_printer):
    folder = tests_of_a_printer
    done = run(folder, "name=mine", *FILES, *SWEEP, python=[sys.executable])
    assert done.returncode == 0, done.stderr
    assert "(recommended)" in done.stdout
    report = json.loads((folder / "results/calibration/mine/calibration.json").read_text())
    assert report["axes"]["x"]["natural_freq_hz"]["value"] == pytest.approx(46.0, rel=0.01)
    assert report["axes"]["y"]["natural_freq_hz"]["value"] == pytest.approx(42.5, rel=0.01)
    assert (folder / "results/calibration/mine/calibration.png").stat().st_size > 10_000
    written = (folder / "conf/printer/mine.yaml").read_bytes()
    for source in report["sources"]:
        assert source["sha256"].encode() in written

    planned = run(
        folder,
        "--config-dir=conf",
        "printer=mine",
        "plan_only=true",
        "parts=[boat]",
        command="collect",
    )
    assert planned.returncode == 0, planned.stderr
    assert json.loads(planned.stdout.splitlines()[-1])["moves"] > 1000

    again = run(folder, "name=mine", *FILES, *SWEEP, "plot=false")
    assert again.returncode == 1
    assert "conf/printer/mine.yaml: exists; overwrite=true replaces it" in again.stderr
    assert again.stderr.count("\n") == 1
    assert (folder / "conf/printer/mine.yaml").read_bytes() == written


def test_a_log_makes_a_printer(tmp_path):
    printer = load_printer("ender3_v2").only("friction")
    time, commanded, measured = simulated_log(printer, rate_hz=500.0, seconds=4.0)
    table = np.column_stack([time, commanded, measured])
    np.savetxt(tmp_path / "a.csv", table, delimiter=",", header="time,x_ref,y_ref,x_act,y_act",
               comments="")  # fmt: skip
    done = run(tmp_path, "name=mine", "log=csv", "log_file=a.csv", "printer.effects=[friction]",
               "out=elsewhere/mine.yaml")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "held out" in done.stdout
    report = json.loads((tmp_path / "results/calibration/mine/calibration.json").read_text())
    for name, axis in (("x", printer.x), ("y", printer.y)):
        found = report["printer"][name]
        assert found["stiffness_n_per_m"] == pytest.approx(axis.stiffness_n_per_m, rel=0.02)
        assert found["coulomb_n"] == pytest.approx(axis.coulomb_n, rel=0.1)
    assert "coulomb_n" in (tmp_path / "elsewhere/mine.yaml").read_text()


def test_a_drive_with_an_integral_makes_a_report_and_no_printer(tmp_path):
    printer = load_printer("ender3_v2").only("friction")
    time, commanded, measured = simulated_log(printer, rate_hz=500.0, seconds=3.0)
    table = np.column_stack([time, commanded, measured])
    np.savetxt(tmp_path / "a.csv", table, delimiter=",", header="time,x_ref,y_ref,x_act,y_act",
               comments="")  # fmt: skip
    done = run(tmp_path, "name=mine", "log=csv", "log_file=a.csv", "printer.effects=[friction]",
               "fit.integral=true", "log.y=null", "plot=false")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "No printer is written" in done.stdout
    assert not (tmp_path / "conf").exists()
    report = json.loads((tmp_path / "results/calibration/mine/calibration.json").read_text())
    assert report["axes"]["x"]["integral_per_s"]["low"] >= 0.0
    assert "printer" not in report


def test_the_measured_servo_by_the_command_of_the_docs(shared, tmp_path):
    file = shared / "data/emps/DATA_EMPS.mat"
    done = run(tmp_path, "name=emps", "log=emps", f"log_file={file}", "fit.drag=all",
               "printer.effects=[friction]", "plot=false")  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "results/calibration/emps/calibration.json").read_text())
    assert report["axes"]["x"]["held_out"]["left_rms_um"] < 6.0
    printer = yaml.safe_load((tmp_path / "conf/printer/emps.yaml").read_text(encoding="utf-8"))
    both = printer["x"]["damping_n_s_per_m"] + printer["x"]["viscous_n_s_per_m"]
    assert printer["x"]["viscous_n_s_per_m"] > 0.999 * both
    assert printer["x"]["delay_s"] >= 0.0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "name: got null, expected letters"),
        (["name=mine"], "log_file: got null, expected a file here or accelerometer.x=FILE"),
        (["name=mine", "accelerometer.x=absent.csv"], "absent.csv: no such file"),
        (["name=mine", "accelerometer.x=empty.csv"], "empty.csv: is empty"),
        (["name=mine", "log=csv", "log_file=wrong.csv"], "column time is missing"),
        (["name='a b'", "accelerometer.x=a.csv"], "name: got 'a b', expected letters"),
        (["name=mine", "accelerometer.x=a.csv", "printer=none"], "none"),
    ],
)
def test_mistakes_end_in_one_line_and_write_nothing(tmp_path, overrides, message):
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n")
    done = run(tmp_path, *overrides)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "conf").exists()
    assert not (tmp_path / "results").exists()


def test_help_names_every_key_with_its_unit(tmp_path):
    done = run(tmp_path, "--help")
    assert done.returncode == 0, done.stderr
    for key in ("name", "accelerometer", "low_hz", "log_file", "test_share", "overwrite", "drag"):
        assert key in done.stdout
    assert "damping" in done.stdout


CFG = """[printer]
kinematics: cartesian
max_velocity: 250
max_accel: 4000
[stepper_x]
microsteps: 16
rotation_distance: 40
position_max: 235
[stepper_y]
microsteps: 16
rotation_distance: 40
position_max: 235
[stepper_z]
microsteps: 16
rotation_distance: 8
position_max: 250
[extruder]
microsteps: 16
rotation_distance: 33.5
nozzle_diameter: 0.4
[mcu]
serial: /dev/ttyUSB0
"""
M503 = """echo:  M92 X80.00 Y80.00 Z400.00 E93.00
echo:  M203 X500.00 Y500.00 Z10.00 E50.00
echo:  M201 X1000.00 Y1000.00 Z100.00 E5000.00
echo:  M204 P700.00 R1000.00 T900.00
echo:  M205 B20000.00 S0.00 T0.00 J0.08
echo:  M920 Q1
"""


def test_a_machines_own_file_makes_a_printer_whose_test_print_is_written(tmp_path):
    (tmp_path / "printer.cfg").write_text(CFG)
    (tmp_path / "answer.txt").write_text(M503)
    done = run(tmp_path, "name=mine", "printer_cfg=printer.cfg")
    assert done.returncode == 0, done.stderr
    assert "not understood: [mcu] serial: /dev/ttyUSB0" in done.stdout
    report = json.loads((tmp_path / "results/calibration/mine/calibration.json").read_text())
    assert report["not_understood"] == [
        {"place": "[mcu]", "name": "serial", "value": "/dev/ttyUSB0"}
    ]
    assert report["printer"]["limits"]["path_velocity_mm_s"] == 250.0

    recorded = run(tmp_path, "test_print=record.gcode", "printer=mine", "record.chips=[a,b]")
    assert recorded.returncode == 0, recorded.stderr
    assert "record.gcode: 3." in recorded.stdout
    text = (tmp_path / "record.gcode").read_text()
    assert text.count("ACCELEROMETER_MEASURE") == 4
    again = run(tmp_path, "test_print=record.gcode", "printer=mine")
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith("calibrate: record.gcode: exists; overwrite=true replaces it")
    assert (tmp_path / "record.gcode").read_text() == text

    (tmp_path / "part.gcode").write_bytes(squares(3))
    excites = ("excitation_print=excited.gcode", "gcode=part.gcode", "printer=mine")
    excited = run(tmp_path, *excites)
    assert excited.returncode == 0, excited.stderr
    assert "excited.gcode: 0." in excited.stdout
    assert excitation_hz(read_program(tmp_path / "excited.gcode", "klipper")) == 110.0

    done = run(tmp_path, "name=other", "m503=answer.txt")
    assert done.returncode == 0, done.stderr
    assert "not understood: line 6 M920" in done.stdout
    tower = run(tmp_path, "ringing_tower=tower.gcode", "printer=other", "tower.band_mm=2")
    assert tower.returncode == 0, tower.stderr
    counted = "ringing.y={speed_mm_s: 60, ripples: 6, distance_mm: 9}"
    rung = run(tmp_path, "name=rung", "printer=other", counted)
    assert rung.returncode == 0, rung.stderr
    assert "y: natural frequency 40." in rung.stdout
    report = json.loads((tmp_path / "results/calibration/rung/calibration.json").read_text())
    assert list(report["axes"]) == ["y"]
    assert report["printer"]["limits"]["print_acceleration_mm_s2"] == 700.0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["test_print=a.gcode", "ringing_tower=b.gcode"], "ringing_tower: got b.gcode beside"),
        (["test_print=5"], "test_print: got 5, expected a path"),
        (["test_print=a.gcode", "gcode=b.gcode"], "gcode: got b.gcode, expected null: it acts"),
        (["log_file=a.csv", "log=csv", "bundle=b"], "bundle: got b, expected null: it acts"),
        (["excitation_print=a.gcode"], "gcode: got null, expected a path, as excitation_print"),
        (
            ["excitation_print=a.gcode", "gcode=b.gcode", "excitation.rms_mm=1"],
            "excitation.rms_mm: got 1, expected up to 0.1",
        ),
        (
            ["excitation_print=a.gcode", "gcode=b.gcode"],
            "printer.limits.firmware: got marlin_2_1_2, expected klipper",
        ),
        (
            ["excitation_print=a.gcode", "gcode=b.gcode", "printer=klipper_fast"],
            "b.gcode: no such file",
        ),
        (
            ["excitation_print=a.gcode", "test_print=b.gcode"],
            "excitation_print: got a.gcode beside",
        ),
        (["test_print=a.gcode", "log_file=a.csv"], "log_file: got a.csv beside test_print"),
        (["test_print=a.gcode", "record.second=9"], "Could not override 'record.second'"),
        (["test_print=a.gcode", "printer.bed_mm=[60,60,60]"], "printer.bed_mm: got 60 × 60"),
        (["ringing_tower=a.gcode", "tower.speed_mm_s=400"], "tower.speed_mm_s: got 400"),
        (["name=a", "printer_cfg=absent"], "absent: no such file"),
        (["name=a", "m503=absent"], "absent: no such file"),
        (["printer_cfg=printer.cfg"], "name: got null, expected letters"),
        (["name=a", "m503=a.txt", "firmware=klipper"], "firmware: got klipper, expected null"),
        (["name=a", "printer_cfg=a", "firmware=grbl"], "firmware: got grbl, expected one of"),
        (["name=a", "ringing.x={speed_mm_s: 60}"], "ringing.x.ripples: got null"),
        (["name=a", "ringing.z=1"], "ringing.z"),
        (["proof_print=a.gcode"], "gcode: got null, expected a path, as proof_print needs it"),
        (["proof_print=a.gcode", "gcode=b.gcode"], "bundle: got null, expected a path"),
        (["proof_print=a.gcode", "gcode=absent.gcode", "bundle=absent"], "absent"),
    ],
)
def test_mistakes_of_what_is_made_end_in_one_line_and_write_nothing(tmp_path, overrides, message):
    done = run(tmp_path, *overrides)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".gcode"] == []
    assert not (tmp_path / "conf").exists()
