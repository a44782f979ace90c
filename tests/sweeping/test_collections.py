"""Collecting by several runs into one folder."""

import json
import multiprocessing
import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.warm_python import warm_python
from trajerr.dataset.quality import LayerMetrics, collected_metrics, layer_path, save_metrics
from trajerr.files import clear_leftovers, write_atomically

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}


def collect(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*warm_python(), "-m", "trajerr.collect", *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def gcode(levels: int, side_mm: float) -> str:
    """Squares on top of each other."""
    lines = ["G90", "M82", "M104 S200", "G92 E0"]
    length = 0.0
    for level in range(1, levels + 1):
        lines += [";LAYER_CHANGE", f";Z:{0.2 * level:.2f}", f"G1 Z{0.2 * level:.2f} F600"]
        lines += ["G1 X50 Y50 F6000", ";TYPE:External perimeter"]
        for x, y in ((1, 0), (1, 1), (0, 1), (0, 0)):
            length += 0.03 * side_mm
            lines.append(f"G1 X{50 + x * side_mm:g} Y{50 + y * side_mm:g} E{length:.4f} F2400")
    return "\n".join([*lines, "M104 S0", ""])


def test_runs_side_by_side_end_in_one_report(tmp_path):
    for name, side in (("small", 8.0), ("middle", 12.0), ("large", 16.0)):
        (tmp_path / f"{name}.gcode").write_text(gcode(3, side))
    common = ["layers=all", "variants=[{}]", "workers=1"]
    files = "gcode=small.gcode,middle.gcode,large.gcode"
    done = collect(tmp_path, "-m", "hydra/launcher=cores", files, *common, "out=many")
    assert done.returncode == 0, done.stderr
    single = files.replace("=", "=[") + "]"
    assert collect(tmp_path, single, *common, "out=one").returncode == 0
    reports = [json.loads((tmp_path / out / "quality.json").read_text()) for out in ("many", "one")]
    for report in reports:
        del report["seconds"]
    sources = [report.pop("sources") for report in reports]  # sums in another order
    for key in ("added_rms_um", "without_rms_um"):
        assert sources[0][key] == pytest.approx(sources[1][key])
    assert reports[0] == reports[1]
    assert reports[0]["layers"] == 9
    (table,) = tmp_path.glob("multirun/collect/*/sweep.csv")
    assert table.read_text().count("done") == 3
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_file_that_cannot_be_collected_leaves_the_others(tmp_path):
    (tmp_path / "good.gcode").write_text(gcode(1, 8.0))
    (tmp_path / "empty.gcode").touch()
    done = collect(
        tmp_path, "-m", "gcode=empty.gcode,good.gcode", "variants=[{}]", "workers=1", "layers=all"
    )
    assert done.returncode == 1
    assert "1 of 2 runs failed" in done.stderr
    report = json.loads((tmp_path / "data" / "raw" / "quality.json").read_text())
    assert list(report["by_part"]) == ["good"]


def metrics_of(layer: int) -> LayerMetrics:
    return LayerMetrics("p", layer, "v", "nominal", 1, 1.0, 1.0, None, None)


def save_some(folder: Path, first: int) -> None:
    for layer in range(first, first + 20):
        layer_path(folder, layer, "v").touch()
        save_metrics(folder, [metrics_of(layer)])


def test_processes_that_share_a_part_lose_no_metrics(tmp_path):
    folder = tmp_path / "data_simulation_p"
    folder.mkdir()
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=save_some, args=(folder, first)) for first in (100, 200, 300)]
    for process in others:
        process.start()
    for process in others:
        process.join()
    assert len(collected_metrics(tmp_path)) == 60


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        (f".a.mat.{socket.gethostname()}-{os.getpid()}.tmp", True),
        (f".a.mat.{socket.gethostname()}-99999999.tmp", False),
        (".a.mat.elsewhere-1.tmp", True),
    ],
    ids=["of this process", "of a dead process", "of another machine"],
)
def test_only_what_nobody_writes_any_more_is_cleared(tmp_path, name, stays):
    (tmp_path / name).touch()
    (tmp_path / "a.mat").touch()
    clear_leftovers(tmp_path)
    assert (tmp_path / name).exists() is stays
    assert (tmp_path / "a.mat").exists()


def test_leftovers_are_recognised_by_the_names_that_writing_gives(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        Path, "replace", lambda self, _: seen.append(self.name) or self.rename(tmp_path / "moved")
    )
    write_atomically(tmp_path / "a.mat", b"content")
    assert seen == [f".a.mat.{socket.gethostname()}-{os.getpid()}.tmp"]
