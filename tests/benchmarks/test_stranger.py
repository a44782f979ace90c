"""``python benchmarks/stranger.py``: its recording, its table, and a tiny run of it."""

import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import yaml
from benchmarks.foreign.machine import draw
from benchmarks.foreign.motion import Variant
from benchmarks.foreign.parts import PARTS
from benchmarks.foreign.recording import LOG_RATE_HZ, NOISE_MM, PRINTS, record, write
from benchmarks.foreign.table import table

from tests.paths import PROJECT
from tests.warm_python import warm_python
from trajerr.commands.configs import load_printer
from trajerr.dataset.logs import LogAxis, LogFormat, LogSection, read_log
from trajerr.errors import ConfigError
from trajerr.gcode.parts import PARTS as EMBEDDED
from trajerr.metrics.closed_loop import IN_FIRMWARE, SHAPERS

SCRIPT = PROJECT / "benchmarks" / "stranger.py"


def run(folder, *arguments, python=None):
    return subprocess.run(
        [*(python or warm_python()), str(SCRIPT), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.fixture(scope="module")
def recording():
    return record(Variant(draw(0, 0)), load_printer("ender3_stock"), seconds=62.0, seed=3)


def test_what_is_recorded_is_never_judged():
    recorded, judged = {part for part, _ in PRINTS}, {part.name for part in PARTS}
    assert recorded <= set(EMBEDDED)
    assert recorded.isdisjoint(judged)
    collected = [layer for part in PARTS if part.file is None for layer in part.first(4)]
    assert all(layer % 5 != 1 for layer in collected)


def test_a_recording_lasts_as_asked_and_is_off_by_the_machine_and_the_sensor(recording):
    rows = recording.rows
    assert len(rows) == 62 * LOG_RATE_HZ
    assert np.allclose(np.diff(rows[:, 0]), 1.0 / LOG_RATE_HZ)
    assert len(recording.begins) == 2
    again = record(Variant(draw(0, 0)), load_printer("ender3_stock"), seconds=20.0, seed=4)
    rows_again, rows = again.rows, rows[: len(again.rows)]
    assert np.array_equal(rows_again[:, 1:4], rows[:, 1:4])
    noise = (rows_again - rows)[:, 4:] / np.sqrt(2.0)
    assert np.std(noise, axis=0) == pytest.approx([NOISE_MM] * 2, rel=0.02)
    assert np.all(np.std(rows[:, 4:] - rows[:, 1:3], axis=0) > 0.01)


def test_each_layer_is_printed_at_every_speed_in_turn():
    recording = record(
        Variant(draw(0, 0)), load_printer("ender3_stock"), 62.0, seed=3, speeds=(1.0, 3.0)
    )
    edges = [*recording.begins, len(recording.rows)][:3]
    sliced, fast = (recording.rows[a:b, 1:3] for a, b in pairwise(edges))
    speeds = [np.hypot(*np.diff(path, axis=0).T) * LOG_RATE_HZ for path in (sliced, fast)]
    assert len(sliced) > 1.5 * len(fast)
    assert np.percentile(speeds[1], 75) > 1.5 * np.percentile(speeds[0], 75)


def test_speeds_are_refused_where_the_print_is_as_sliced(tmp_path):
    done = run(tmp_path, *TINY, "--speeds=1,2", "sensor=accelerometer")
    assert done.returncode == 1
    assert "--speeds: not for sensor=accelerometer" in done.stderr


def test_a_log_is_read_back_print_by_print(recording, tmp_path):
    write(recording, tmp_path / "log.csv", tmp_path / "conf")
    values = yaml.safe_load((tmp_path / "conf" / "log" / "recorded.yaml").read_text())

    def plain(mapping):
        return {key: value for key, value in mapping.items() if key != "_target_"}

    sections = tuple(LogSection(**plain(section)) for section in values["sections"])
    axes = {axis: LogAxis(**plain(values[axis])) for axis in "xy"}
    log = LogFormat(**{**plain(values), **axes, "sections": sections})
    records = read_log(tmp_path / "log.csv", log)
    assert [record.params["split"] for record in records] == ["train", "train", "val"]
    own = [record_.without_context() for record_ in records]
    read = np.concatenate([np.column_stack([r.commanded, r.actual]) for r in own])
    assert np.max(np.abs(read - recording.rows[:, 1:])) <= 0.5e-5 + 1e-9
    for record_ in records:  # within a print nothing leaps
        assert np.max(np.abs(np.diff(record_.commanded[:, :2], axis=0))) * LOG_RATE_HZ < 500.0


def test_longer_than_parts_a_take_is_refused():
    with pytest.raises(ConfigError, match=r"minutes: got 60\.0, expected up to 5"):
        record(Variant(draw(0, 0)), load_printer("ender3_stock"), seconds=3600.0, seed=0)


def test_the_table_shows_the_mean_and_the_worst():
    def cases(before, after):
        walls = {"uncorrected": before, "machine": after, **dict.fromkeys(SHAPERS, before)}
        plain = {name: {"wall_contour_rms_um": value} for name, value in walls.items()}
        return dict.fromkeys(("nominal", "soft", "stiff"), plain)

    results = [
        {"machine": {"name": "a"}, "parts": {"p": cases(40.0, 10.0), "q": cases(20.0, 10.0)}},
        {"machine": {"name": "b"}, "parts": {"p": cases(50.0, 5.0), "q": cases(50.0, 5.0)}},
    ]
    rows = [line.split(" | ") for line in table(results, ["machine"]).splitlines()[2:]]
    assert [row[0] for row in rows] == ["| a", "| b", "| mean", "| worst machine", "| worst part"]
    assert [row[1].split(" / ")[0] for row in rows] == ["30.0", "50.0", "40.0", "50.0", "50.0"]
    assert [row[2].split(" / ")[0] for row in rows] == ["−62", "−90", "−76", "−62", "−50"]


TINY = (
    "--machines=1",
    "--layers=1",
    "--minutes=0.15",
    "--parts=nautilus",
    "--methods=machine",
    "--out=out",
)


def results(folder):
    (result,) = json.loads((folder / "out" / "stranger.json").read_text())
    return result


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("machines")
    done = run(folder, *TINY, python=[sys.executable])
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_a_tiny_run_corrects_and_judges(finished):
    folder, shown = finished
    assert shown == (folder / "out" / "stranger.md").read_text()
    result = results(folder)
    for case in ("nominal", "soft", "stiff"):
        errors = {k: v["wall_contour_rms_um"] for k, v in result["parts"]["nautilus"][case].items()}
        assert set(errors) == {"uncorrected", *IN_FIRMWARE, "machine"}
        assert 10.0 < errors["uncorrected"] < 100.0
        assert errors["machine"] < 0.6 * errors["uncorrected"]
    stages = ["record", "calibrate", "correct nautilus by machine", "judge nautilus"]
    assert list(result["seconds"]) == stages


def test_what_is_done_is_not_done_again(finished):
    folder, shown = finished
    before = results(folder)
    again = run(folder, *TINY)
    assert again.stdout == shown
    assert "correct" not in again.stderr
    assert results(folder) == before


def test_a_folder_of_other_settings_is_refused(finished):
    other = run(finished[0], *(option.replace("0.15", "0.2") for option in TINY))
    assert other.returncode == 1
    assert other.stderr.splitlines()[-1].endswith("expected the same, or another --out")


@pytest.mark.slow
def test_corrected_anew_it_comes_out_the_same(finished):
    folder, shown = finished
    anew = run(folder, *TINY, "--anew")
    assert anew.stdout == shown
    told = [line.split(": ")[1] for line in anew.stderr.splitlines() if ": " in line]
    assert told == ["correct nautilus by machine", "judge nautilus"]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--methods=magic", "--methods: got magic, expected some of twin, network, machine"),
        ("--parts=castle", "--parts: got castle, expected some of nautilus, bearing, helix"),
        ("--machines=0", "argument --machines: got 0, expected a whole number from 1"),
        ("--seed=-1", "argument --seed: got -1, expected a whole number from 0"),
        ("--minutes=0", "argument --minutes: got 0, expected a number above 0"),
        ("--checkpoint=none.ckpt", "none.ckpt: no such checkpoint"),
    ],
)
def test_a_mistake_is_told_in_one_line(tmp_path, option, said):
    done = run(tmp_path, option)
    assert done.returncode in (1, 2)
    assert done.stderr.splitlines()[-1].endswith(said)
    assert "Traceback" not in done.stderr
