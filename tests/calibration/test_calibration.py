"""A whole calibration in one process: what it refuses, what it leaves alone, what it repeats."""

import hashlib
import io
import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from rich.console import Console

from tests.calibration.shipped import ABSENT
from tests.calibration.sweeps import load_printer, record, write_raw
from tests.shipped import as_shipped
from trajerr.calibration.resonance import Sweep
from trajerr.calibration.run import CalibrationRun
from trajerr.dataset.logs import LogAxis, LogFormat
from trajerr.dynamics.printer import Printer
from trajerr.errors import ConfigError, DataError
from trajerr.reports.calibration_report import write_calibration

LOG = LogFormat(x=LogAxis("c", "m"), time="t")


def settings(folder, **changes):
    values = {
        "name": "mine",
        "base": load_printer("ender3_v2"),
        "out": str(folder / "printers" / "mine.yaml"),
        "output_dir": str(folder / "results"),
        "accelerometer": replace(ABSENT, x=str(folder / "raw.csv")),
    }
    return as_shipped(CalibrationRun, "calibrate", **{**values, **changes})


def calibrate(run, console):
    found = run.calibrate()
    write_calibration(run, found, console)
    return found.report


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": None}, "name: got null, expected letters"),
        ({"name": "../mine"}, "name: got '../mine'"),
        ({"name": "mine\n"}, "name: got 'mine"),
        ({"name": "drücker"}, "name: got drücker"),
        ({"name": 7}, "name: got 7"),
        ({"name": "7"}, "name: got '7'"),
        ({"name": "null"}, "name: got 'null'"),
        ({"test_share": 2}, "test_share: got 2, expected 0 to below 0.9"),
        ({"test_share": "half"}, "test_share: got half"),
        ({"accelerometer": ABSENT}, "log_file: got null, expected a file here or accelerometer"),
        ({"log_file": "b.csv", "log": LOG}, "log_file: got b.csv, expected .* not both"),
        ({"log_file": "b.csv", "accelerometer": ABSENT}, "log: got null, expected csv"),
    ],
)
def test_contradictions_are_refused(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        settings(tmp_path, **changes)


def test_a_sensor_has_three_axes():
    with pytest.raises(ConfigError, match=r"accelerometer\.y_column: got w, expected one of x"):
        replace(ABSENT, y_column="w")


@pytest.fixture(scope="module")
def recorded():
    """Rows of a short test of an axis."""
    printer = load_printer("ender3_stock").without("friction")
    return record(printer, 0, hz_per_s=2.0, low_hz=25.0, high_hz=90.0)


def test_the_same_recording_gives_the_same_bytes_and_nothing_is_overwritten(tmp_path, recorded):
    write_raw(tmp_path / "raw.csv", recorded)
    sensor = replace(ABSENT, x=str(tmp_path / "raw.csv"), sweep=Sweep(25.0, 90.0))
    out = tmp_path / "printers" / "mine.yaml"
    said = io.StringIO()
    run = settings(tmp_path, accelerometer=sensor)
    report = calibrate(run, Console(file=said, width=120))
    assert "mzv" in said.getvalue()
    assert report["axes"]["x"]["natural_freq_hz"]["value"] == pytest.approx(46.0, rel=0.01)
    assert report["axes"]["x"]["recording"]["clock"] is None
    assert "times are uneven" not in said.getvalue()
    first = out.read_bytes()
    kept = (tmp_path / "results" / "calibration.json").read_bytes()
    with pytest.raises(DataError, match="exists; overwrite=true replaces it"):
        calibrate(run, Console(file=said))
    again = settings(tmp_path, accelerometer=sensor, overwrite=True, plot=False)
    calibrate(again, Console(file=said))
    assert out.read_bytes() == first
    assert (tmp_path / "results" / "calibration.json").read_bytes() == kept
    report, written = json.loads(kept), Printer.from_dict(yaml.safe_load(first))
    assert report["base"] == "ender3_v2"
    digest = hashlib.sha256((tmp_path / "raw.csv").read_bytes()).hexdigest()
    assert written.recordings == (digest,)
    assert report["identity"] == written.identity != load_printer("ender3_v2").identity


def test_uneven_times_are_resampled_and_told(tmp_path, recorded):
    """Klipper's own tools take such a file: a lost message, and steps of 0.6 and 1.8."""
    rows = recorded.copy()
    step = (rows[-1, 0] - rows[0, 0]) / (len(rows) - 1)
    rows[:, 0] += step * np.array([0.0, 0.8, 0.4])[np.arange(len(rows)) % 3]
    write_raw(tmp_path / "raw.csv", np.delete(rows, slice(30_000, 30_008), axis=0))
    sensor = replace(ABSENT, x=str(tmp_path / "raw.csv"), sweep=Sweep(25.0, 90.0))
    said = io.StringIO()
    run = settings(tmp_path, accelerometer=sensor, plot=False)
    report = calibrate(run, Console(file=said, width=120))
    assert report["axes"]["x"]["natural_freq_hz"]["value"] == pytest.approx(46.0, rel=0.01)
    told = report["axes"]["x"]["recording"]
    assert told["missing"] == 8
    assert told["gaps"] == 1
    assert told["uneven_steps"] > len(rows) // 4
    assert told["clock"] == "sensor"
    assert told["rate_hz"] == pytest.approx(1.0 / step, rel=1e-4)
    assert "x: times are uneven, up to" in said.getvalue()
    assert f"{told['uneven_steps']} of {len(rows) - 9} steps are off" in said.getvalue()
    assert f"x: 8 of {len(rows)} samples are missing" in said.getvalue()


def test_the_wrong_column_is_refused_and_nothing_is_written(tmp_path, recorded):
    """A channel that hears nothing but noise and gravity."""
    deaf = recorded.copy()
    deaf[:, 3] = np.random.default_rng(0).normal(9800.0, 100.0, len(deaf))
    write_raw(tmp_path / "raw.csv", deaf)
    sensor = replace(ABSENT, x=str(tmp_path / "raw.csv"), x_column="z", sweep=Sweep(25.0, 90.0))
    with pytest.raises(DataError, match=r"raw\.csv: no excitation"):
        calibrate(settings(tmp_path, accelerometer=sensor), Console(file=io.StringIO()))
    assert not (tmp_path / "printers").exists()
    assert not (tmp_path / "results").exists()
