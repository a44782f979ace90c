"""``python -m trajerr.prepare`` as a user runs it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.paths import CONF
from tests.warm_python import warm_python
from trajerr.dataset.matlab import write_layer
from trajerr.dataset.record import LayerRecord


def command(*overrides: str) -> list[str]:
    return [*warm_python(), "-m", "trajerr.prepare", *overrides]


def run(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*overrides), cwd=folder, capture_output=True, text=True, timeout=300
    )


def layer(number: int, samples: int = 400) -> LayerRecord:
    time_s = np.arange(samples) / 200.0
    x = 100.0 + 20.0 * np.sin(time_s * (1.0 + 0.1 * number))
    commanded = np.column_stack([x, x[::-1], np.full(samples, 0.2 * number)])
    return LayerRecord(
        part="vase",
        layer=number,
        variant="a1_v1",
        sample_rate=200.0,
        time=time_s,
        commanded=commanded,
        actual=commanded[:, :2] + 0.1 * np.sin(9.0 * time_s)[:, None],
        extruding=np.ones(samples, np.bool_),
        travel=np.zeros(samples, np.bool_),
        feature=np.ones(samples, np.uint8),
        temperatures=None,
        adhesion=None,
        params={"kind": "nominal"},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with five collected layers where collect puts them."""
    for number in range(1, 6):
        name = f"data/raw/data_simulation_vase/layer{number:04d}_a1_v1.mat"
        write_layer(tmp_path / name, layer(number))
    return tmp_path


def test_the_defaults_prepare_what_collect_wrote(folder):
    line = [sys.executable, "-m", "trajerr.prepare"]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for word in ("split", "layers", "points", "windows", "error RMS µm", "faults found: none"):
        assert word in done.stdout
    stats = json.loads((folder / "data/processed/stats.json").read_text())
    assert stats["sequence_length"] == 128
    assert {name: split["layers"] for name, split in stats["splits"].items()} == {
        "train": 3,
        "val": 1,
        "test": 1,
    }
    assert sorted(p.name for p in (folder / "data").iterdir()) == ["processed", "raw"]


def test_two_runs_at_once_give_what_one_gives(folder):
    line = command("output_dir=both")
    runs = [
        subprocess.Popen(line, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    assert [(done.communicate(timeout=120)[1], done.returncode) for done in runs] == [(b"", 0)] * 3
    assert run(folder, "output_dir=alone").returncode == 0
    both, alone = (
        {path.relative_to(folder / name): path.read_bytes() for path in folder.rglob(f"{name}/*/*")}
        for name in ("both", "alone")
    )
    assert both == alone
    assert {path.name for path in folder.iterdir()} == {"data", "outputs", "both", "alone"}


def test_a_pattern_may_find_the_collections_report(folder):
    (folder / "data/raw/quality.json").write_text("{}")
    done = run(folder, "data_dirs=['data/raw/*']", "output_dir='vor bereitet ü'")
    assert done.returncode == 0, done.stderr
    assert (folder / "vor bereitet ü/stats.json").is_file()


def test_every_key_reaches_its_setting(folder):
    done = run(
        folder,
        "output_dir=elsewhere",
        "sequence_length=64",
        "stride=8",
        "train_ratio=0.6",
        "val_ratio=0",
        "test_ratio=0.4",
        "layout=windows",
        "sample_rate_hz=100",
        "seed=3",
        "faults.max_speed_mm_s=300",
    )
    assert done.returncode == 0, done.stderr
    stats = json.loads((folder / "elsewhere/stats.json").read_text())
    assert (stats["sequence_length"], stats["stride"], stats["layout"]) == (64, 8, "windows")
    assert stats["sample_rate_hz"] == 100.0
    assert [stats["splits"][s]["layers"] for s in ("train", "val", "test")] == [3, 0, 2]
    assert stats["settings"]["split"]["seed"] == 3
    assert stats["settings"]["faults"]["max_speed_mm_s"] == 300.0
    assert (folder / "elsewhere/train/sample_00001.pt").is_file()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data_dirs=['absent/*']"], "prepare: data_dirs: absent/* finds no .mat file"),
        (["split.by=part"], "prepare: 1 parts cannot fill 3 splits (train, val, test)"),
        (["data_dirs=bad.mat"], "bad.mat: not a readable MATLAB file"),
        (["stride=often"], "prepare: stride: got often, expected a whole number"),
    ],
)
def test_mistakes_end_in_one_line_and_exit_code_1(folder, overrides, message):
    (folder / "bad.mat").write_bytes(b"MATLAB 5.0 MAT-file, cut short")
    done = run(folder, *overrides)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert not (folder / "data/processed").exists()


def test_ctrl_c_says_so_and_the_next_run_goes_on(folder):
    for number in range(6, 150):
        name = f"data/raw/data_simulation_vase/layer{number:04d}_a1_v1.mat"
        write_layer(folder / name, layer(number))
    staged = folder / "data/.processed.partial/staged"
    process = subprocess.Popen(command(), cwd=folder, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not staged.is_dir():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "prepare: interrupted; run the same command again to resume" in complaint
    assert "Traceback" not in complaint
    assert not (folder / "data/processed").exists()
    assert 0 < len(list(staged.iterdir())) < 149
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert not staged.exists()
    assert (folder / "data/processed/stats.json").is_file()


def test_a_printer_is_refused_where_no_sensor_was_on_it(tmp_path):
    for log in ([], ["log=csv"]):
        done = run(tmp_path, "printer=ender3_v2", *log)
        assert done.returncode == 1
        assert done.stderr == (
            "prepare: printer: got ender3_v2, expected null: it acts with log=accelerometer or "
            "log=motan alone\n"
        )


def test_a_measured_log_prepares_by_its_config(shared, tmp_path):
    done = run(
        tmp_path, f"data_dirs=['{shared}/data/emps/DATA_EMPS.mat']", "log=emps", "split.by=section"
    )
    assert done.returncode == 0, done.stderr
    stats = json.loads((tmp_path / "data/processed/stats.json").read_text())
    assert stats["sample_rate_hz"] == 1000.0
    points = {name: split["points"] for name, split in stats["splits"].items()}
    # The first section has no motion before it: three samples lack their differences.
    assert points == {"train": 2597, "val": 520, "test": 3120}


def test_a_log_config_of_an_earlier_version_is_read_and_told_of(tmp_path):
    config = (CONF / "log" / "csv.yaml").read_text().replace("trajerr.dataset", "trajerr.data")
    (tmp_path / "conf" / "log").mkdir(parents=True)
    (tmp_path / "conf" / "log" / "mine.yaml").write_text(config)
    time_s = np.arange(2000) / 200.0
    wave = 50.0 * np.sin(time_s)
    rows = np.column_stack([time_s, wave, wave + 0.1 * np.cos(9 * time_s), wave, wave])
    header = "time,x_ref,x_act,y_ref,y_act"
    np.savetxt(tmp_path / "a.csv", rows, delimiter=",", header=header, comments="")
    whole = ("train_ratio=1", "val_ratio=0", "test_ratio=0")
    done = run(tmp_path, "log=mine", "data_dirs=[a.csv]", *whole)
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        "log: trajerr.data.logs.LogAxis is now trajerr.dataset.logs.LogAxis, "
        "trajerr.data.logs.LogFormat is now trajerr.dataset.logs.LogFormat; "
        "please change the file\n"
    )


def test_help_names_every_key_with_its_unit(tmp_path):
    done = run(tmp_path, "--help")
    assert done.returncode == 0
    for key in ("data_dirs", "sequence_length", "train_ratio", "max_speed_mm_s", "sample_rate_hz"):
        assert key in done.stdout
