import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.warm_python import warm_python
from trajerr import collect
from trajerr.bundle.manifest import sha256_of
from trajerr.gcode.parts import part_text

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
SMALL = ("parts=[tugboat]", "layers=[31,36]", "variants=[{},{acceleration_scale:4.0}]")


def run(cwd: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*warm_python(), "-m", "trajerr.collect", *overrides],
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture
def in_process(tmp_path, monkeypatch, capsys):
    """Run the command in this process, which is quicker; return its exit code and streams."""

    def call(*overrides: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
        monkeypatch.setattr(sys, "argv", ["collect", "workers=1", *overrides])
        code = 0
        try:
            collect.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, *capsys.readouterr()

    return call


def layers_of(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*.mat"))
    }


def half_files(out: Path) -> list[Path]:
    return [path for path in out.rglob("*") if path.name.endswith((".tmp", ".part"))]


def test_help_explains_every_key(in_process):
    code, shown, _ = in_process("--help")
    assert code == 0
    assert "plan_only=true stops after planning" in shown
    assert "sample_rate_hz: 400.0" in shown


def test_collecting_writes_layers_and_a_report(in_process, tmp_path):
    code, shown, errors = in_process(*SMALL, "plot=true")
    assert code == 0, errors
    assert errors == ""
    assert "RMS error as sliced / µm" in shown
    assert "cross term" in shown
    assert len(layers_of(tmp_path / "data" / "raw")) == 4
    report = json.loads((tmp_path / "data" / "raw" / "quality.json").read_text())
    assert (report["layers"], report["files"]) == (2, 4)
    card = (tmp_path / "data" / "raw" / "DATA_CARD.md").read_text(encoding="utf-8")
    assert "**Simulated** motion of the printer `ender3_v2`, 400 samples a second" in card
    metadata = json.loads((tmp_path / "data" / "raw" / "croissant.json").read_text("utf-8"))
    listed = {entry["contentUrl"]: entry["sha256"] for entry in metadata["distribution"]}
    assert listed == {
        path.relative_to(tmp_path / "data" / "raw").as_posix(): sha256_of(path)
        for path in (tmp_path / "data" / "raw").glob("*/*.mat")
    }
    assert len(metadata["recordSet"][0]["data"]) == 4
    parts = report["sources"]
    squares = sum(value**2 for value in parts["added_rms_um"].values())
    assert squares + parts["cross_term_um2"] == pytest.approx(parts["total_rms_um"] ** 2)
    pictures = list((tmp_path / "data" / "raw" / "plots").glob("*.png"))
    assert [path.name for path in pictures] == ["tugboat_layer0036_error.png"]


def test_plan_only_ends_with_json_and_meets_the_slicers_own_estimate(in_process, tmp_path):
    code, shown, _ = in_process("parts=[tugboat]", "plan_only=true", "plot=true", "layers=31")
    assert code == 0
    summary = json.loads(shown.splitlines()[-1])
    found = re.search(rb"printing time \(normal mode\) = (\d+)m (\d+)s", part_text("tugboat"))
    assert summary["print_time_s"] == pytest.approx(60 * int(found[1]) + int(found[2]), rel=0.01)
    assert summary["layers"] == 60
    assert summary["moves"] > 10_000
    assert not layers_of(tmp_path)
    assert (tmp_path / "data" / "raw" / "plots" / "tugboat_layer0031_plan.png").is_file()


def test_a_pause_of_months_is_collected_without_it(in_process, tmp_path):
    text = "G1 X10 Y10 Z.2 F3000\nG1 X20 E1\nG4 S9999999\nG1 X30 E2\nG1 X10 E4\nG1 X30 E6\n"
    (tmp_path / "long.gcode").write_text(text)
    code, shown, _ = in_process("gcode=long.gcode", "plan_only=true")
    assert code == 0
    assert json.loads(shown.splitlines()[-1])["print_time_s"] > 9_999_999
    code, _, errors = in_process("gcode=long.gcode", "layers=all", "variants=[{}]")
    assert code == 0, errors
    report = json.loads((tmp_path / "data" / "raw" / "quality.json").read_text())
    assert report["points"] < 400.0 * 100.0


def test_plan_only_adds_several_sources_up(in_process):
    code, shown, _ = in_process("parts=[tugboat,boat]", "plan_only=true")
    assert code == 0
    summary = json.loads(shown.splitlines()[-1])
    assert summary["layers"] == 60 + 46
    each = [source["print_time_s"] for source in summary["sources"].values()]
    assert summary["print_time_s"] == pytest.approx(sum(each))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("gcode=nowhere.gcode",), "nowhere.gcode: no such file"),
        (("gcode=empty.gcode",), "empty.gcode"),
        (("gcode=still.gcode",), "still.gcode"),
        (("gcode='*.none'",), "*.none: no such file"),
        (("parts=[benchy]",), "parts: got benchy, expected one of tugboat"),
        (
            ("parts=[tugboat]", "layers=[999]"),
            "layers: got [999], expected layers that print in tugboat, 1 to 60",
        ),
        (("parts=[tugboat]", "layers=most"), "layers: got most"),
        (("variants=[{kind:wild}]",), "variants kind: got wild"),
        (("sample_rate_hz=0",), "sample_rate_hz: got 0"),
        (("printer.x.mass_kg=-1",), "mass_kg: got -1"),
        (("quality.rms_error_um=[2,1]",), "quality.rms_error_um"),
        (("workers=0",), "workers: got 0"),
        # No step interrupt of Marlin takes longer for a step than a second.
        (
            ("gcode=long.gcode", "layers=all", "printer.limits.firmware=marlin_estimated"),
            "long.gcode: 1e+07 s of motion to be sampled",
        ),
        (("printer=nothing",), "nothing"),
        (("layer=3",), "layer"),
    ],
)
def test_mistakes_end_in_one_line(in_process, tmp_path, overrides, message):
    (tmp_path / "empty.gcode").touch()
    (tmp_path / "still.gcode").write_text("; nothing moves\nM104 S200\n")
    (tmp_path / "long.gcode").write_text("G1 X10 Y10 Z.2\nG1 X20 E1 F.00006\n")
    code, shown, errors = in_process(*overrides)
    assert code == 1
    assert shown == ""
    assert len(errors.splitlines()) == 1, errors
    assert errors.startswith("collect: ")
    assert message in errors
    assert not layers_of(tmp_path)


def test_strict_fails_after_writing_the_report(in_process, tmp_path):
    strict = ("strict=true", "quality.rms_error_um=[1,2]", "layers=36", *SMALL[::2])
    code, _, errors = in_process(*strict)
    assert code == 1
    assert errors.startswith("collect: quality: rms_error_um outside the accepted range")
    report = json.loads((tmp_path / "data" / "raw" / "quality.json").read_text())
    assert not report["checks"]["rms_error_um"]["passed"]
    assert in_process("quality.rms_error_um=[1,2]", "layers=36", *SMALL[::2])[0] == 0


def test_a_file_in_the_folders_place_is_told_in_one_line(in_process, tmp_path):
    (tmp_path / "raw").write_text("a file where the folder should be")
    code, _, errors = in_process(*SMALL, "out=raw")
    assert (code, errors) == (1, "collect: raw/data_simulation_tugboat: Not a directory\n")
    assert (tmp_path / "raw").read_text() == "a file where the folder should be"


def test_a_full_disk_leaves_no_half_file_and_the_next_run_goes_on(in_process, tmp_path):
    """No file may grow beyond 20 kB: layers do not fit, as on a disk that is full."""
    small = ("parts=[tugboat]", "layers=[36]", "variants=[{}]", "out='a folder ü'")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        code, _, errors = in_process(*small)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    where = "a folder ü/data_simulation_tugboat/layer0036_a1_v1.mat"
    assert (code, errors) == (1, f"collect: {where}: File too large\n")
    assert [path for path in (tmp_path / "a folder ü").rglob("*") if path.is_file()] == []
    assert in_process(*small)[0] == 0
    assert (tmp_path / where).is_file()


def test_two_runs_at_once_in_one_folder_give_what_one_gives(tmp_path):
    small = ("parts=[tugboat]", "layers=[34,36]", "variants=[{},{acceleration_scale:4.0}]")
    command = ["-m", "trajerr.collect", *small, "workers=1"]
    alone = [sys.executable, *command, "out=alone"]
    assert subprocess.run(alone, cwd=tmp_path, env=ENVIRONMENT, timeout=300).returncode == 0
    line = [*warm_python(), *command, "out=both"]
    both = [
        subprocess.Popen(line, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [process.wait(timeout=300) for process in both] == [0, 0]
    assert layers_of(tmp_path / "both") == layers_of(tmp_path / "alone")
    assert half_files(tmp_path / "both") == []


def start(out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*warm_python(), "-m", "trajerr.collect", f"out={out}", "workers=2", *KILLED],
        cwd=out.parent,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


KILLED = ("parts=[tugboat]", "layers=[34,36,38,40]", "variants=[{},{kind:precompensated}]")


def wait_for_files(out: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while len(layers_of(out)) < count and time.monotonic() < deadline:
        time.sleep(0.02)


def test_ctrl_c_leaves_whole_files_and_resumes(tmp_path):
    out = tmp_path / "raw"
    running = start(out)
    wait_for_files(out, 2)
    running.send_signal(signal.SIGINT)
    shown, errors = running.communicate(timeout=120)
    assert running.returncode == 130, errors
    assert errors == "collect: interrupted; run the same command again to resume\n"
    assert shown == ""
    assert half_files(out) == []
    before = layers_of(out)
    assert 2 <= len(before) < 8
    assert run(tmp_path, f"out={out}", "workers=2", *KILLED).returncode == 0
    after = layers_of(out)
    assert len(after) == 8
    assert before.items() <= after.items()


@pytest.mark.slow
def test_killed_ten_times_it_resumes_to_the_same_bytes(tmp_path):
    assert run(tmp_path, f"out={tmp_path / 'whole'}", "workers=2", *KILLED).returncode == 0
    out = tmp_path / "raw"
    for written in (0, 1, 1, 2, 3, 4, 5, 6, 7, 7):
        running = start(out)
        wait_for_files(out, written)
        running.kill()  # the workers are not told
        running.communicate(timeout=60)  # ends when they have ended, too: they hold its pipes
    resumed = run(tmp_path, f"out={out}", "workers=2", *KILLED)
    assert resumed.returncode == 0, resumed.stderr
    assert half_files(out) == []
    assert layers_of(out) == layers_of(tmp_path / "whole")
