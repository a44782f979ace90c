"""``make machine`` from a recording to a bundle that knows its machine, as small as it gets."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.dynamics.commanded import load_printer
from tests.paths import PROJECT
from tests.pipeline.recorded_machine import write_recorded_print
from trajerr.bundle.machine import LearntMachine
from trajerr.bundle.runtime import Predictor
from trajerr.dynamics.printer import Printer

EARLY = "UNTIL=calibrate"
TINY = (
    "SIMULATED=parts=[boat] layers=[2,3,4] variants=[{acceleration_scale:4.0,speed_scale:1.5}]",
    *("model=small", "trainer.max_epochs=1", "data.samples_per_epoch=64", "data.batch_size=8"),
)


def make(folder, *words):
    return subprocess.run(
        [sys.executable, str(PROJECT / "scripts" / "make_machine.py"), *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
    )


@dataclass(frozen=True)
class Owner:
    """What a machine's owner has in a folder."""

    folder: Path
    true: Printer
    words: tuple[str, ...]


@pytest.fixture(scope="module")
def owner(tmp_path_factory):
    """Who has recorded as little as a calibration takes."""
    return owner_of(tmp_path_factory.mktemp("owner"), layer_s=6.0)


def owner_of(folder, layer_s):
    true = write_recorded_print(folder, load_printer("klipper_fast"), layer_s)
    words = ("NAME=mine", "GCODE=print.gcode", "X=nozzle.csv", "PRINTER=klipper_fast", *TINY)
    return Owner(folder, true, words)


def test_a_recording_of_another_print_is_refused_before_any_training(owner):
    random = np.random.default_rng(5)
    time = np.arange(0.0, 50.0, 1.0 / 3200.0)
    rows = np.column_stack([time, 800.0 * random.standard_normal((len(time), 3))])
    text = "\n".join(",".join(f"{value:.6f}" for value in row) for row in rows)
    (owner.folder / "noise.csv").write_text(f"#time,accel_x,accel_y,accel_z\n{text}\n")
    words = [word.replace("nozzle.csv", "noise.csv") for word in owner.words]
    done = make(owner.folder, *(word.replace("mine", "other") for word in words))
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert said[-2].startswith("calibrate: ")
    assert "noise.csv" in said[-2]
    assert said[-1].startswith("make_machine: calibrate ended with exit code 1")
    assert "Traceback" not in done.stderr
    assert not (owner.folder / "conf/printer/other.yaml").exists()


def test_the_calibration_alone_can_be_looked_at_first(owner):
    done = make(owner.folder, *(word.replace("mine", "early") for word in owner.words), EARLY)
    assert done.returncode == 0, done.stderr
    assert "=== 1 of 1: what the recordings say of the machine ===" in done.stdout
    page = (owner.folder / "machines" / "early" / "machine.md").read_text()
    assert "| x | natural frequency / Hz | " in page
    assert "What it is worth" not in page
    assert (owner.folder / "conf/printer/early.yaml").is_file()
    again = make(owner.folder, *(word.replace("mine", "early") for word in owner.words), EARLY)
    assert "done before" in again.stdout
    assert page in again.stdout


@pytest.mark.slow
def test_a_recording_becomes_a_bundle_that_knows_its_machine_once(tmp_path):
    owner = owner_of(tmp_path, layer_s=9.0)
    done = make(owner.folder, *owner.words)
    assert done.returncode == 0, done.stderr
    run = owner.folder / "machines" / "mine"
    plain = yaml.safe_load((owner.folder / "conf/printer/mine.yaml").read_text())
    found = Printer.from_dict(plain)
    assert found.x.natural_freq_hz == pytest.approx(owner.true.x.natural_freq_hz, rel=0.02)
    stats = json.loads((run / "recorded_layers" / "stats.json").read_text())
    split = {source["layer"]: source["split"] for source in stats["sources"] if source["split"]}
    assert sorted(split) == [1, 2, 3, 4, 5]
    assert set(split.values()) == {"train", "val"}
    predictor = Predictor.load(run / "bundle")
    learnt = LearntMachine.of_bundle(predictor.bundle)
    assert learnt.printer == found
    assert learnt.is_that_of(found)
    assert not learnt.is_that_of(load_printer("klipper_fast"))
    assert len(learnt.recordings) == 1
    page = (run / "machine.md").read_text()
    for title in ("# mine", "## What was found", "## What the recordings tell", "## What it is"):
        assert title in page
    assert page in done.stdout

    again = make(owner.folder, *owner.words)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("done before") == 8
    assert page in again.stdout
