"""Recordings on a plan: clock, direction, scale and gravity, against a truth of SciPy's."""

from dataclasses import replace

import numpy as np
import pytest

from tests.recordings.recorded import GRAVITY, RATE_HZ, Sensor, Truth, linear, moved
from trajerr.errors import DataError
from trajerr.recordings import Recording, Sensors, align
from trajerr.recordings.fusion import fuse


def recording(rows: np.ndarray, name: str = "s.csv") -> Recording:
    return Recording(rows[:, 0], rows[:, 1:], name)


@pytest.fixture(scope="module")
def truth() -> Truth:
    return moved()


@pytest.fixture(scope="module")
def two(truth):
    sensors = (
        Sensor(feels=(1.0, 0.0)),
        Sensor(feels=(0.0, -1.0), turned_deg=(-15.0, 18.0, -8.0), scale=0.88, seed=1),
    )
    x, y = (recording(sensor.rows(truth)) for sensor in sensors)
    return sensors, align(Sensors(x, y), truth.trajectory, linear())


def test_offset_and_rate_are_found_within_their_intervals(two):
    (sensor, _), aligned = two
    clock = aligned.clocks["x"]
    assert aligned.clocks["y"] is clock
    true_offset = (clock.origin_s - sensor.origin_s) / sensor.rate
    assert abs(clock.offset_s.value - true_offset) < 2e-4
    assert abs(clock.rate.value * sensor.rate - 1.0) < 2e-5
    assert clock.offset_s.high - clock.offset_s.low < 5e-4


@pytest.mark.parametrize(("axis", "sign"), [("x", 1.0), ("y", -1.0)])
def test_direction_scale_and_gravity_are_found(two, axis, sign):
    sensors, aligned = two
    number = "xy".index(axis)
    sensor, mount = sensors[number], aligned.mounts[axis]
    direction = mount.direction / np.linalg.norm(mount.direction)
    assert direction @ (sign * sensor.direction(number)) > np.cos(np.radians(1.5))
    assert mount.scale.value == pytest.approx(sensor.scale, rel=0.01)
    assert mount.scale.low < mount.scale.value < mount.scale.high
    assert mount.gravity_mm_s2.value == pytest.approx(GRAVITY, rel=0.02)
    assert mount.upright_deg == pytest.approx(90.0, abs=2.0)


def test_acceleration_is_the_nozzles(two, truth):
    _, aligned = two
    rows = slice(2000, -2000)
    first = aligned.time_s[0] * RATE_HZ
    true = truth.acceleration[round(first) : round(first) + len(aligned.time_s)][rows]
    smooth = np.ones(8) / 8.0
    for number in range(2):
        felt = np.convolve(aligned.acceleration[rows, number], smooth, "same")
        wanted = np.convolve(true[:, number], smooth, "same")
        assert np.corrcoef(felt, wanted)[0, 1] > 0.98


def test_one_sensor_tells_both_axes(truth):
    aligned = align(Sensors(recording(Sensor().rows(truth))), truth.trajectory, linear())
    assert aligned.mounts["x"].scale.value == pytest.approx(1.1, rel=0.01)
    assert aligned.mounts["y"].scale.value == pytest.approx(1.1, rel=0.01)
    x, y = aligned.mounts["x"].direction, aligned.mounts["y"].direction
    assert abs(x @ y) < 0.03


def test_a_gap_is_not_measured_and_the_rest_is(truth):
    rows = Sensor().rows(truth)
    rows = np.delete(rows, np.arange(60_000, 60_160), axis=0)  # 50 ms
    aligned = align(Sensors(recording(rows)), truth.trajectory, linear())
    gap = np.flatnonzero(~aligned.measured[aligned.span].all(axis=1))
    assert 45 <= len(gap) <= 56
    assert np.all(np.diff(gap) == 1)


def test_what_a_reference_feels_is_subtracted(truth):
    sway = 300.0 * np.sin(2.0 * np.pi * 17.0 * np.arange(len(truth.xy)) / RATE_HZ)
    shaken = np.column_stack([0.8 * sway, 0.6 * sway])
    sensor = Sensor(vibration=100.0, noise=10.0)
    felt = recording(sensor.rows(truth, shaken))
    frame = recording(replace(sensor, feels=(0.0, 0.0), seed=5).rows(truth, shaken))

    def left(reference):
        aligned = align(Sensors(felt, None, reference), truth.trajectory, linear())
        fused = fuse(aligned)
        first = round(fused.time_s[0] * RATE_HZ)
        true = (truth.xy - truth.trajectory.position[:, :2])[first : first + len(fused.error)]
        return float(np.sqrt(np.mean((fused.error - true)[2000:-2000] ** 2)))

    alone, subtracted = left(None), left(frame)
    assert subtracted < 0.5 * alone


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: np.column_stack([rows[:, 0], rows[:, 1:] * 1e-3]), "unit of acceleration"),
        (lambda rows: np.column_stack([rows[:, 0], rows[:, 1:] * 9806.65]), "unit of acceleration"),
    ],
    ids=["m/s² read as mm/s²", "mm/s² read as g"],
)
def test_units_off_by_orders_of_magnitude_are_refused(truth, change, said):
    with pytest.raises(DataError, match=said):
        align(Sensors(recording(change(Sensor().rows(truth)))), truth.trajectory, linear())


def test_a_recording_of_another_print_is_refused(truth):
    other = recording(Sensor().rows(moved(seed=9)))
    with pytest.raises(DataError, match="nothing in it moves like the plan") as refused:
        align(Sensors(other), truth.trajectory, linear())
    assert "\n" not in str(refused.value)


def test_a_sensor_given_for_the_wrong_axis_is_refused(truth):
    only_y = recording(Sensor(feels=(0.0, 1.0)).rows(truth), "bed.csv")
    with pytest.raises(DataError, match=r"bed\.csv: it shows .* is it the recording of x\?"):
        align(Sensors(only_y), truth.trajectory, linear())


def test_a_pause_that_the_plan_does_not_have_is_refused(truth):
    rows = Sensor().rows(truth)
    rows[len(rows) // 2 :, 0] += 0.012
    with pytest.raises(DataError, match="lie on one clock"):
        align(Sensors(recording(rows)), truth.trajectory, linear())


def test_a_reference_of_another_time_is_refused(truth):
    felt = Sensor(vibration=100.0)
    late = recording(replace(felt, origin_s=9000.0).rows(truth), "frame.csv")
    with pytest.raises(DataError, match=r"frame\.csv: its times have nothing in common"):
        align(Sensors(recording(felt.rows(truth)), None, late), truth.trajectory, linear())
