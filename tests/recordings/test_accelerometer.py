"""Sensors' files: what is read, and what is refused before any plan is looked at."""

import gzip
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recordings.recorded import write_klipper
from trajerr.errors import ConfigError, DataError
from trajerr.recordings.accelerometer import KLIPPER, Columns, Recording, read_recording


def shaking(seconds: float = 12.0, rate: float = 3200.0, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    time = 5.0 + np.arange(round(seconds * rate)) / rate
    return np.column_stack([time, 1e3 * random.standard_normal((len(time), 3))])


def recording(rows: np.ndarray) -> Recording:
    return Recording(rows[:, 0], rows[:, 1:], "s.csv")


@pytest.mark.parametrize("name", ["s.csv", "s.csv.gz"])
def test_klippers_file_is_read_as_written(tmp_path, name):
    rows = shaking()
    read = read_recording(write_klipper(rows, tmp_path / name))
    np.testing.assert_allclose(read.time_s, rows[:, 0], atol=1e-6)
    np.testing.assert_allclose(read.acceleration_mm_s2, rows[:, 1:], atol=1e-6)
    assert read.rate_hz == pytest.approx(3200.0, rel=1e-4)
    assert read.lost.sum() == 0


def test_columns_units_and_order_are_mapped(tmp_path):
    rows = shaking()
    table = np.column_stack([rows[:, 3] / 9806.65, rows[:, 0] * 1e3, rows[:, 1:3] / 9806.65])
    lines = ["az;t_ms;ax;ay", *(";".join(f"{v:.9f}" for v in row) for row in table)]
    (tmp_path / "own.csv").write_text("\n".join(lines))
    columns = Columns(
        time="t_ms",
        x="2",
        y="ay",
        z="az",
        time_unit="ms",
        acceleration_unit="g",
        delimiter=";",
    )
    read = read_recording(tmp_path / "own.csv", columns)
    np.testing.assert_allclose(read.time_s, rows[:, 0], atol=1e-9)
    np.testing.assert_allclose(read.acceleration_mm_s2, rows[:, 1:], atol=1e-3)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(10, 30_000), min_size=1, max_size=40, unique=True))
def test_every_lost_sample_is_counted(gone):
    rows = np.delete(shaking(), gone, axis=0)
    assert recording(rows).lost.sum() == len(gone)


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        (lambda r: r[::-1], "expected it to increase"),
        (lambda r: r[:3000], r"got 0\.94 s, expected at least 10 s"),
        (lambda r: r[::16], "got 200 samples a second, expected at least 400"),
        (lambda r: r[:1], "got 1 samples"),
        (
            lambda r: r[np.arange(len(r)) % 200 >= 20],
            "10 % of the samples are lost, expected at most 5 %",
        ),
        (
            lambda r: np.column_stack([r[:, 0], np.clip(r[:, 1], -1500.0, 1500.0), r[:, 2:]]),
            r"of the sensor's x are all at its limit, 1\.5 m/s²",
        ),
        (
            lambda r: r * [1.0, 1.0, 1e6, 1.0],
            r"got .*e\+\d+ mm/s², expected at most 1e\+07; is the unit of acceleration right",
        ),
    ],
    ids=["backwards", "short", "slow", "single", "lost", "clipped", "beyond"],
)
def test_what_no_alignment_could_mend_is_refused(damaged, said):
    with pytest.raises(DataError, match=said) as refused:
        recording(damaged(shaking()))
    assert "\n" not in str(refused.value)


def test_a_sensor_at_rest_with_few_digits_is_not_clipped():
    rows = shaking()
    rows[:, 1:] = 38.2 * np.round(30.0 * rows[:, 1:] / 1e3 / 38.2)
    assert recording(rows).rate_hz > 3000.0


def test_a_missing_column_and_a_missing_file_are_named(tmp_path):
    path = write_klipper(shaking(), tmp_path / "s.csv")
    with pytest.raises(DataError, match="expected 'ax' among them"):
        read_recording(path, replace(KLIPPER, x="ax"))
    with pytest.raises(DataError, match="no such file"):
        read_recording(tmp_path / "none.csv")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(path.read_bytes())[:-50])
    with pytest.raises(DataError, match="damaged"):
        read_recording(tmp_path / "cut.gz")


def test_an_unknown_unit_is_refused():
    with pytest.raises(ConfigError, match=r"log\.columns\.acceleration_unit: got 'm/s\^2'"):
        replace(KLIPPER, acceleration_unit="m/s^2")
