"""Logs of Klipper's data logger, written by another hand."""

import gzip
import json

import numpy as np
import pytest

from tests.recordings.motan_writer import write_log
from tests.recordings.recorded import Sensor, linear, moved
from trajerr.errors import DataError
from trajerr.gcode.program import MoveKind
from trajerr.recordings import Sensors, align
from trajerr.recordings.motan import read_motan

SQUARE = [  # there and back along x, up, along y: start, duration, v, a, from, along
    [10.0, 0.5, 0.0, 100.0, [0.0, 0.0, 0.2], [1.0, 0.0, 0.0]],
    [10.5, 1.0, 50.0, 0.0, [12.5, 0.0, 0.2], [1.0, 0.0, 0.0]],
    [11.5, 0.5, 50.0, -100.0, [62.5, 0.0, 0.2], [1.0, 0.0, 0.0]],
    [13.0, 0.1, 2.0, 0.0, [75.0, 0.0, 0.2], [0.0, 0.0, 1.0]],
    [13.1, 2.0, 30.0, 0.0, [75.0, 0.0, 0.4], [0.0, 1.0, 0.0]],
]
EXTRUDED = [
    [10.5, 1.0, 2.0, 0.0, [0.0, 0.0, 0.0], [1.0, 1.0, 0.0]],
    [11.6, 0.2, 30.0, 0.0, [2.0, 0.0, 0.0], [-1.0, 0.0, 0.0]],
]
SETTINGS = {
    "angle x": {"stepper": "stepper_x"},
    "angle z": {"stepper": "stepper_z"},
    "stepper_x": {"rotation_distance": 40.0, "gear_ratio": [[2.0, 1.0]]},
}


def test_moves_are_where_they_say(tmp_path):
    log = read_motan(write_log(tmp_path / "log", {"trapq:toolhead": SQUARE}, SETTINGS))
    position, speed = log.moves().at(np.array([10.25, 10.5, 11.0, 11.75, 12.5, 13.05, 14.1]))
    np.testing.assert_allclose(
        position[:, 0], [3.125, 12.5, 37.5, 71.875, 75.0, 75.0, 75.0], atol=1e-9
    )
    np.testing.assert_allclose(position[-1], [75.0, 30.0, 0.4])
    np.testing.assert_allclose(speed[:, 0], [25.0, 50.0, 50.0, 25.0, 0.0, 0.0, 0.0], atol=1e-9)


def test_a_trajectory_has_layers_and_says_what_prints(tmp_path):
    dumps = {"trapq:toolhead": SQUARE, "trapq:extruder": EXTRUDED}
    log = read_motan(write_log(tmp_path / "log", dumps, SETTINGS))
    trajectory = log.trajectory(1000.0)
    assert trajectory.first == 10_000
    time = trajectory.time
    printing = trajectory.kind == MoveKind.PRINT
    assert printing[(time > 10.501) & (time < 11.499)].all()
    assert not printing[time > 11.501].any()
    assert set(trajectory.layer[time < 12.9]) == {1}
    assert set(trajectory.layer[time > 13.11]) == {2}


def test_the_name_alone_finds_both_files(tmp_path):
    write_log(tmp_path / "log", {"trapq:toolhead": SQUARE}, SETTINGS)
    assert len(read_motan(tmp_path / "log").moves().start_s) == len(SQUARE)


def test_an_angle_is_the_motors_position(tmp_path):
    turns = [[10.0 + 0.001 * k, 65536.0 * k / 1000.0] for k in range(500)]
    path = write_log(
        tmp_path / "log", {"angle:x": turns}, SETTINGS, {"angle:x": {"position_offset": 3.5}}
    )
    time, position = read_motan(path).positions("angle:x")
    np.testing.assert_allclose(position, 3.5 + 20.0 * (time - 10.0), atol=1e-9)


def test_commanded_and_measured_are_on_one_clock(tmp_path):
    truth = moved(20.0)
    command, time = truth.trajectory.position, 50.0 + np.arange(len(truth.xy)) / 1000.0
    step = np.diff(command, axis=0)
    length = np.linalg.norm(step, axis=1)
    rows = [
        [float(t), 0.001, float(v * 1000.0), 0.0, p.tolist(), (d / v).tolist()]
        for t, v, p, d in zip(time, length, command, step, strict=False)
        if v > 0.0
    ]
    sensor = Sensor(origin_s=50.0, rate=1.0, lost=0.0)
    dumps = {"trapq:toolhead": rows, "adxl345:head": sensor.rows(truth).tolist()}
    log = read_motan(write_log(tmp_path / "log", dumps, SETTINGS))
    aligned = align(Sensors(log.recording("adxl345:head")), log.trajectory(1000.0), linear())
    clock = aligned.clocks["x"]
    assert clock.offset_s.value == pytest.approx(clock.origin_s, abs=3e-4)
    assert clock.rate.value == pytest.approx(1.0, abs=3e-5)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda log: log.recording("adxl345:bed"), "no samples of adxl345:bed, .* trapq:toolhead"),
        (lambda log: log.positions("angle:z"), "names stepper stepper_z, expected one that has"),
        (lambda log: log.moves("trapq:extruder"), "no moves of trapq:extruder"),
        (lambda log: log.recording("trapq:toolhead"), "holds other than samples"),
    ],
)
def test_what_a_log_does_not_hold_is_said(tmp_path, ask, said):
    log = read_motan(write_log(tmp_path / "log", {"trapq:toolhead": SQUARE}, SETTINGS))
    with pytest.raises(DataError, match=said) as refused:
        ask(log)
    assert "\n" not in str(refused.value)


def test_moves_that_run_backwards_are_refused(tmp_path):
    path = write_log(tmp_path / "log", {"trapq:toolhead": SQUARE[::-1]}, SETTINGS)
    with pytest.raises(DataError, match="expected it to increase"):
        read_motan(path).moves()


def test_other_files_are_refused(tmp_path):
    path = write_log(tmp_path / "log", {"trapq:toolhead": SQUARE}, SETTINGS)
    path.write_bytes(gzip.compress(b"G1 X1\x03"))
    with pytest.raises(DataError, match="expected JSON"):
        read_motan(path)
    path.write_bytes(b"plain")
    with pytest.raises(DataError, match="gzip archive is damaged"):
        read_motan(path)
    (tmp_path / "log.index.gz").unlink()
    with pytest.raises(DataError, match="a log is two files"):
        read_motan(path)


ROW = SQUARE[0]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[*ROW[:4], None, ROW[5]]], "holds other than moves"),
        ([ROW[:4]], "holds other than moves"),
        ([1.0], "holds other than moves"),
        ([[10**400, *ROW[1:]]], "holds other than moves"),
        ([{"time": 1.0}], "holds other than moves"),
        ([[float("nan"), *ROW[1:]]], "holds rows that are no moves"),
        ([ROW, [1e12, *ROW[1:]]], "its moves go from 10 to 1e\\+12 s, expected a print"),
    ],
)
def test_rows_that_are_no_moves_are_refused(tmp_path, rows, said):
    log = read_motan(write_log(tmp_path / "log", {"trapq:toolhead": rows}, SETTINGS))
    with pytest.raises(DataError, match=said) as refused:
        log.trajectory(1000.0)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("data", [None, 5, {"a": 1}, "text"])
def test_a_dump_that_is_no_list_is_none(tmp_path, data):
    path = write_log(tmp_path / "log", {"trapq:toolhead": SQUARE}, SETTINGS)
    message = json.dumps({"q": "adxl345:head", "params": {"data": data}}).encode()
    path.write_bytes(gzip.compress(message + b"\x03"))
    with pytest.raises(DataError, match="adxl345:head"):
        read_motan(path).recording("adxl345:head")


@pytest.mark.parametrize(
    "settings",
    [[], {"angle x": []}, {"angle x": {"stepper": []}}, SETTINGS | {"stepper_x": None}]
    + [
        SETTINGS | {"stepper_x": {"rotation_distance": 40.0, "gear_ratio": g}}
        for g in (5, [[0, 0]])
    ],
)
def test_a_config_of_another_shape_is_said(tmp_path, settings):
    path = write_log(tmp_path / "log", {"angle:x": [[10.0, 5.0]]}, settings)
    with pytest.raises(DataError, match="rotation_distance"):
        read_motan(path).positions("angle:x")


@pytest.mark.parametrize("rows", [[["a", 1.0]], [[1.0]], [[1.0, 1e999]], [None]])
def test_rows_that_are_no_angles_are_refused(tmp_path, rows):
    path = write_log(tmp_path / "log", {"angle:x": rows}, SETTINGS)
    with pytest.raises(DataError, match="angle:x holds"):
        read_motan(path).positions("angle:x")


def test_what_unpacks_to_more_than_a_message_is_refused_on_the_way(tmp_path):
    path = write_log(tmp_path / "log", {"trapq:toolhead": SQUARE}, SETTINGS)
    path.write_bytes(gzip.compress(b" " * (20 << 20)))
    with pytest.raises(DataError, match="a message of more than 16777216 bytes"):
        read_motan(path)
    path.write_bytes(gzip.compress(b"[" * 200_000 + b"]" * 200_000 + b"\x03"))
    with pytest.raises(DataError, match="expected JSON"):
        read_motan(path)


def test_a_log_that_was_cut_off_is_read_to_its_last_message(tmp_path):
    path = write_log(tmp_path / "log", {"trapq:toolhead": SQUARE * 1}, SETTINGS)
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content + b'{"q": "trapq:tool'))
    assert len(read_motan(path).moves().start_s) == len(SQUARE)
