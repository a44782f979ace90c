import os
import time
from pathlib import Path

import pytest


def test_a_grid_ends_with_its_table(toy):
    done = toy("-m", "x=0.1,0.2,0.3", "group=good,wide")
    assert done.returncode == 0, done.stderr
    rows = toy.table()
    assert [(row["run"], row["x"], row["group"]) for row in rows] == [
        (str(3 * 0 + 2 * i + j), x, group)
        for i, x in enumerate(("0.1", "0.2", "0.3"))
        for j, group in enumerate(("good", "wide"))
    ]
    for row in rows:
        expected = (float(row["x"]) - 0.3) ** 2 + (0.16 if row["group"] == "wide" else 0.08)
        assert float(row["returned"]) == pytest.approx(expected)
    shown = done.stdout.splitlines()[-7:]
    assert shown[0].split() == ["run", "x", "group", "returned", "s"]
    assert len(list(toy.folder.glob("multirun/toy/*/[0-5]/.hydra/config.yaml"))) == 6


@pytest.mark.parametrize(("override", "warned"), [("+{}.metrics", 0), ("{}.figures", 1)])
def test_metrics_of_a_run_s_file_go_into_the_table(toy, override, warned):
    (toy.folder / "numbers.json").write_text('{"metrics": {"loss": 0.25}, "epochs": 3}')
    key = override.format("hydra.callbacks.sweep")
    done = toy("-m", "x=0.1,0.2", f"{key}=../../../../numbers.json")
    assert done.returncode == 0, done.stderr
    assert [(row["loss"], row["epochs"]) for row in toy.table()] == [("0.25", "3")] * 2
    assert (done.stdout + done.stderr).count("figures is called metrics now") == warned


def test_failed_runs_are_told_and_do_not_end_the_others(toy):
    done = toy("-m", "x=0.3,3.0", "group=good,bad")
    assert done.returncode == 1
    assert [(row["status"], row["reason"]) for row in toy.table()] == [
        ("done", ""),
        ("failed", "a layer is missing"),
        ("failed", "ZeroDivisionError: a bug"),
        ("failed", "a layer is missing"),
    ]
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("toy: 3 of 4 runs failed, see multirun/toy/")
    assert "ZeroDivisionError: a bug" in done.stdout.splitlines()[-2]
    (log,) = toy.folder.glob("multirun/toy/*/2/toy.log")
    assert "Traceback" in log.read_text()


def test_a_mistake_in_the_command_line_runs_nothing(toy):
    done = toy("-m", "x=0.1,0.2", "group=good,none")
    assert done.returncode == 1
    assert not list(toy.folder.glob("multirun/toy/*/0"))
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "launcher", ["cores", "slurm_local", pytest.param("ray_cluster", marks=pytest.mark.slow)]
)
def test_a_grid_runs_side_by_side(toy, launcher):
    if launcher == "ray_cluster":
        pytest.importorskip("ray", reason="the extra ray is not installed")
    done = toy("-m", f"hydra/launcher={launcher}", "x=0.1,0.2,3.0")
    assert done.returncode == 1, done.stderr
    assert [row["status"] for row in toy.table()] == ["done", "done", "failed"]
    assert "1 of 3 runs failed" in done.stderr


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
def test_a_killed_sweep_leaves_no_process_behind(toy):
    sweep = toy.start("-m", "hydra/launcher=cores", "hydra.launcher.n_jobs=2", "pause_s=99,98")
    deadline = time.monotonic() + 60.0
    while len(list(toy.folder.glob("multirun/toy/*/[01]/.hydra/config.yaml"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert working_in(toy.folder) > {sweep.pid}
    sweep.kill()
    sweep.communicate(timeout=60)
    while working_in(toy.folder):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def working_in(folder: Path) -> set[int]:
    """Processes whose working folder it is."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder.resolve():
                found.add(int(process.name))
        except OSError:  # gone, or somebody else's
            continue
    return found - {os.getpid()}


def test_a_conf_folder_where_one_works_is_searched_as_well(toy):
    (toy.folder / "conf" / "experiment").mkdir()
    (toy.folder / "conf" / "experiment" / "mine.yaml").write_text(
        "# @package _global_\nx: 0.5\ndefaults: [override /group: wide]\n"
    )
    done = toy("experiment=mine", "--cfg", "job")
    assert done.returncode == 0, done.stderr
    assert "x: 0.5" in done.stdout
    assert "width: 16" in done.stdout
