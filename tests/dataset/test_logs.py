import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hydra.utils import instantiate
from omegaconf import OmegaConf

from tests.paths import CONF
from trajerr.dataset.logs import LogAxis, LogFormat, LogSection, read_log
from trajerr.dataset.preparation import PrepareSettings, prepare
from trajerr.dataset.splits import SplitSettings
from trajerr.dataset.store import open_split
from trajerr.errors import ConfigError, DataError

X = LogAxis("cmd", "meas")
ONE_AXIS = LogFormat(x=X, time="t")


def write_csv(path: Path, header: str, rows: np.ndarray, delimiter: str = ",") -> Path:
    np.savetxt(path, rows, delimiter=delimiter, header=header, comments="", fmt="%.9g")
    return path


def test_columns_units_and_axes_are_mapped(tmp_path):
    time_ms = np.arange(50) * 2.0
    rows = np.column_stack([0 * time_ms, time_ms, 0.1 + time_ms * 1e-4, 0.1 + time_ms * 1.01e-4])
    path = write_csv(tmp_path / "run7.csv", "noise;stamp;soll;ist", rows, ";")
    log = LogFormat(
        y=LogAxis("soll", "ist"), time="stamp", time_unit="ms", length_unit="m", delimiter=";"
    )
    (record,) = read_log(path, log)
    assert (record.part, record.layer, record.variant) == ("run7", 1, "measured")
    assert record.sample_rate == pytest.approx(500.0)
    np.testing.assert_allclose(record.commanded[:, 1], 100.0 + time_ms * 0.1)
    np.testing.assert_allclose(record.error[:, 1], time_ms * 1e-3, atol=1e-9)
    assert not record.commanded[:, [0, 2]].any()
    assert not record.error[:, 0].any()
    assert record.temperatures is None


def test_two_axes_and_height_without_header_or_time(tmp_path):
    rows = np.random.default_rng(0).normal(size=(30, 5))
    path = tmp_path / "a.csv"
    np.savetxt(path, rows, delimiter=",")
    log = LogFormat(
        x=LogAxis("0", "1"), y=LogAxis("2", "3"), z="4", sample_rate_hz=250.0, header=False
    )
    (record,) = read_log(path, log)
    np.testing.assert_allclose(record.commanded, rows[:, [0, 2, 4]])
    np.testing.assert_allclose(record.actual, rows[:, [1, 3]])
    np.testing.assert_allclose(record.time, np.arange(30) / 250.0)


def test_the_shipped_csv_format_reads_two_axes(tmp_path):
    rows = np.column_stack([np.arange(30) / 100.0, *np.random.default_rng(1).normal(size=(4, 30))])
    path = write_csv(tmp_path / "a.csv", "time,x_ref,y_ref,x_act,y_act", rows)
    log = instantiate(OmegaConf.load(CONF / "log" / "csv.yaml"), _convert_="all")
    (record,) = read_log(path, log)
    np.testing.assert_allclose(record.commanded[:, :2], rows[:, 1:3], rtol=1e-8)
    np.testing.assert_allclose(record.actual, rows[:, 3:], rtol=1e-8)
    assert (record.part, record.sample_rate) == ("a", 100.0)


def test_a_packed_log_is_read_as_the_plain_one(tmp_path):
    text = b"t,cmd,meas\n" + b"".join(b"%d.5,%d,%d\n" % (k, k, k + 1) for k in range(30))
    plain, packed = tmp_path / "a.csv", tmp_path / "b.csv.gz"
    plain.write_bytes(text)
    packed.write_bytes(gzip.compress(text))
    (one,), (other,) = read_log(plain, ONE_AXIS), read_log(packed, ONE_AXIS)
    np.testing.assert_array_equal(one.actual, other.actual)
    np.testing.assert_array_equal(one.time, other.time)


@pytest.mark.parametrize("content", [b"t,cmd,meas\n0,0,0\n", gzip.compress(b"t,c\n" * 999)[:-9]])
def test_a_damaged_archive_is_refused(tmp_path, content):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=r"a\.csv\.gz: the gzip archive is damaged: .*copy it again"
    ):
        read_log(path, ONE_AXIS)


def test_matlab_logs_reach_into_structs(tmp_path):
    time = np.arange(20.0) / 100.0
    scipy.io.savemat(tmp_path / "a.mat", {"run": {"t": time, "cmd": time, "meas": time + 0.1}})
    log = LogFormat(x=LogAxis("run.cmd", "run.meas"), time="run.t")
    (record,) = read_log(tmp_path / "a.mat", log)
    np.testing.assert_allclose(record.error[:, 0], 0.1)


def test_an_empty_cell_is_a_missing_sample_that_repair_cuts_out(tmp_path):
    lines = [f"{k / 100},{k},{k + 0.1}" for k in range(100)]
    lines[40] = "0.4,,40.1"
    path = tmp_path / "a.csv"
    path.write_text("t,cmd,meas\n" + "\n".join(lines) + "\n\n")
    settings = PrepareSettings.shipped(
        data_dirs=(str(path),),
        sequence_length=16,
        log=ONE_AXIS,
        split=SplitSettings.shipped(train_ratio=1.0, val_ratio=0.0, test_ratio=0.0),
    )
    stats = prepare(settings, tmp_path / "out")
    assert stats.faults == {"gaps": 1, "not_finite": 1}
    assert stats.splits["train"].points == 99 - 2 * 3


def test_sections_become_layers_in_the_split_they_name(tmp_path):
    time = np.arange(300) / 100.0
    path = write_csv(tmp_path / "a.csv", "t,cmd,meas", np.column_stack([time, time, time + 0.1]))
    sections = tuple(
        LogSection(100 * i, 100 * i + 100, split)
        for i, split in enumerate(("train", "val", "test"))
    )
    log = LogFormat(x=X, time="t", sections=sections)
    settings = PrepareSettings.shipped(
        data_dirs=(str(path),),
        sequence_length=16,
        log=log,
        split=SplitSettings.shipped(by="section"),
    )
    prepare(settings, tmp_path / "out")
    for index, split in enumerate(("train", "val", "test")):
        (sequence,) = open_split(tmp_path / "out", split).sequences
        own = sequence.trimmed()
        assert own.time[0] == pytest.approx(index + 0.03 * (index == 0))
        assert len(own) == 100 - 3 * (index == 0)
        # One second of motion before it, of which three samples have no history.
        assert sequence.context == (97 if index else 0)
        assert sequence.metadata["layer"] == index + 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no rows of data"),
        ("t,cmd,meas\n", "has no rows of data"),
        ("t,cmd\n0,1\n", r"column meas is missing; the file has \['cmd', 't'\]"),
        ("t,cmd,meas\n0,1,2\n1,x,3\n", r"a\.csv:3: column cmd holds 'x', expected a number"),
        ("t,cmd,meas\n0,1,2\n1,2\n", r"a\.csv:3: 2 columns, expected 3"),
        ("t,cmd,meas\n0,1,2\n0,1,2\n", "time never increases"),
    ],
)
def test_unusable_csv_files_are_refused_with_line_and_column(tmp_path, text, message):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_log(path, ONE_AXIS)


def test_binary_missing_and_unequal_logs_are_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(bytes(range(256)))
    with pytest.raises(DataError, match=r"a\.csv: not a CSV file"):
        read_log(tmp_path / "a.csv", ONE_AXIS)
    with pytest.raises(DataError, match="no such file"):
        read_log(tmp_path / "b.csv", ONE_AXIS)
    unequal = {"t": np.arange(5.0), "cmd": np.arange(5.0), "meas": np.arange(4.0)}
    scipy.io.savemat(tmp_path / "a.mat", unequal)
    with pytest.raises(DataError, match="column meas has 4 rows but time has 5"):
        read_log(tmp_path / "a.mat", ONE_AXIS)
    sections = (LogSection(0, 9),)
    write_csv(tmp_path / "c.csv", "t,cmd,meas", np.arange(12.0).reshape(4, 3))
    with pytest.raises(DataError, match="section 1 ends at row 9, but the file has 4 rows"):
        read_log(tmp_path / "c.csv", LogFormat(x=X, time="t", sections=sections))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time": "t"}, "log.x: got null, expected an axis here or in log.y"),
        ({"x": X}, "log.time: got null, expected a column here or log.sample_rate_hz"),
        ({"x": X, "time": "t", "length_unit": "ft"}, "log.length_unit: got ft, expected one of mm"),
        ({"x": X, "time": "t", "time_unit": "h"}, "log.time_unit: got h"),
        ({"x": X, "sample_rate_hz": -1.0}, "log.sample_rate_hz: got -1.0"),
        ({"x": X, "time": "t", "excitation_hz": 0.0}, "log.excitation_hz: got 0.0"),
    ],
)
def test_impossible_formats_name_their_key(options, message):
    with pytest.raises(ConfigError, match=message):
        LogFormat(**options)


def test_records_tell_up_to_where_the_print_excited_its_machine(tmp_path):
    path = write_csv(tmp_path / "a.csv", "t,c,m", np.column_stack([np.arange(30) / 100.0] * 3))
    log = LogFormat(x=LogAxis("c", "m"), time="t", excitation_hz=110.0)
    assert read_log(path, log)[0].params["excitation_hz"] == 110.0
    assert "excitation_hz" not in read_log(path, replace(log, excitation_hz=None))[0].params


def test_sections_must_be_rows_of_a_known_split():
    with pytest.raises(ConfigError, match=r"log\.sections\.stop: got 5, expected more than start"):
        LogSection(5, 5)
    with pytest.raises(ConfigError, match="split: got dev"):
        LogSection(0, 5, "dev")


def test_sections_may_come_as_a_list():
    assert LogFormat(x=X, time="t", sections=[LogSection(0, 5)]).sections == (LogSection(0, 5),)


@pytest.fixture
def emps(shared, tmp_path) -> Path:
    """The EMPS benchmark, prepared by its config."""
    log = instantiate(OmegaConf.load(CONF / "log" / "emps.yaml"), _convert_="all")
    settings = PrepareSettings.shipped(
        data_dirs=(str(shared / "data/emps/DATA_EMPS.mat"),),
        log=log,
        split=SplitSettings.shipped(by="section"),
    )
    prepare(settings, tmp_path / "emps")
    return tmp_path / "emps"


def test_emps_is_one_axis_split_by_half_lap(emps):
    train, val, test = (
        open_split(emps, s).sequences[0].trimmed() for s in ("train", "val", "test")
    )
    assert train.metadata["sample_rate_hz"] == pytest.approx(1000.0, abs=0.1)
    assert train.time[-1] < val.time[0] < val.time[-1] < 3.12 <= test.time[0]
    assert len(train) + len(val) + len(test) == 6240 - 3
    error = test.targets[:, 0].numpy()
    assert np.sqrt(np.mean(error**2)) == pytest.approx(0.578, abs=0.002)


@pytest.mark.parametrize(("with_sign", "known_um"), [(False, 28.0), (True, 23.2)])
def test_least_squares_on_emps_gives_the_known_numbers(emps, with_sign, known_um):
    """Linear in velocity and acceleration (and the sign of velocity) with a constant.

    Fitted on the forward half-lap, judged on the return; 0.1 s of settling left out of both.
    """

    def table(*splits: str) -> tuple[np.ndarray, np.ndarray]:
        sequences = [open_split(emps, split).sequences[0].trimmed() for split in splits]
        features = np.concatenate([s.features.numpy() for s in sequences])[100:]
        error = np.concatenate([s.targets.numpy() for s in sequences])[100:, 0]
        v, a = features[:, 3], features[:, 7]
        columns = [v, a, np.ones_like(v)] + [np.sign(v)] * with_sign
        return np.column_stack(columns).astype(np.float64), error

    inputs, error = table("train", "val")
    weights = np.linalg.lstsq(inputs, error, rcond=None)[0]
    inputs, error = table("test")
    rms_um = 1e3 * np.sqrt(np.mean((error - inputs @ weights) ** 2))
    print(f"EMPS, return half-lap: {rms_um:.1f} µm RMS (known: {known_um})")
    assert rms_um == pytest.approx(known_um, abs=1.0)
