"""The training command swept for real, on tiny data; each run takes about two seconds."""

import csv
import subprocess
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from tests.training.cases import prepare_tiny
from tests.warm_python import warm_python

TINY = [
    "model=small",
    "model.d_model=8",
    "model.feedforward=8",
    "data.samples_per_epoch=48",
    "data.stride=16",
    "data.sequence_length=64",
    "trainer.accelerator=cpu",
]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_tiny(tmp_path_factory.mktemp("prepared"))


def train(folder: Path, prepared: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    said = {argument.split("=")[0] for argument in arguments}
    command = [*warm_python(), "-m", "trajerr.train", *arguments]
    command += [f"data.root={prepared}", *(key for key in TINY if key.split("=")[0] not in said)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=280, check=False
    )


def table(folder: Path) -> list[dict[str, str]]:
    (path,) = folder.glob("multirun/train/*/sweep.csv")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_grid_of_rates_and_batches(prepared: Path, tmp_path: Path) -> None:
    grid = ["model.optimizer.lr=1e-5,1e-4,1e-3", "data.batch_size=8,16"]
    done = train(tmp_path, prepared, "-m", *grid, "trainer.max_epochs=1")
    assert done.returncode == 0, done.stderr
    rows = table(tmp_path)
    assert len(rows) == 6
    assert {(r["model.optimizer.lr"], r["data.batch_size"]) for r in rows} == {
        (lr, size) for lr in ("1e-05", "0.0001", "0.001") for size in ("8", "16")
    }
    for row in rows:
        assert row["status"] == "done"
        assert float(row["val/rmse_mm"]) >= float(row["val/mae_mm"]) > 0.0
    assert len(list(tmp_path.glob("multirun/train/*/[0-5]/checkpoints/best.ckpt"))) == 6


def test_a_run_that_cannot_train_is_one_row(prepared: Path, tmp_path: Path) -> None:
    done = train(tmp_path, prepared, "-m", "trainer.precision=32,7", "trainer.max_epochs=1")
    assert done.returncode == 1
    assert [row["status"] for row in table(tmp_path)] == ["done", "failed"]
    assert done.stderr.startswith("train: 1 of 2 runs failed")


def test_a_search_stops_hopeless_trials_and_leaves_an_experiment(
    prepared: Path, tmp_path: Path
) -> None:
    search = ["-m", "experiment=search", "trainer.max_epochs=6", "hydra.sweeper.n_trials=6"]
    early = ["hydra.sweeper.pruner.n_startup_trials=2", "hydra.sweeper.pruner.n_warmup_steps=1"]
    done = train(tmp_path, prepared, *search, *early)
    assert done.returncode == 0, done.stderr
    trials = optuna.load_study(
        study_name="reference", storage=f"sqlite:///{tmp_path}/multirun/studies.db"
    ).trials
    assert {trial.state for trial in trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    epochs = [int(row["epochs"]) for row in table(tmp_path)]
    assert [e == 6 for e in epochs] == [t.state is TrialState.COMPLETE for t in trials]
    best = min((t for t in trials if t.state is TrialState.COMPLETE), key=lambda t: t.value)
    shown = train(tmp_path, prepared, "--cfg", "job", "experiment=best").stdout
    assert f"lr: {best.params['model.optimizer.lr']}" in shown
    assert f"batch_size: {best.params['data.batch_size']}" in shown
    repeated = train(tmp_path, prepared, "experiment=best")
    assert f"loss {best.value:.5f}" in repeated.stdout


def test_error_against_latency(prepared: Path, tmp_path: Path) -> None:
    done = train(
        tmp_path,
        prepared,
        "-m",
        "experiment=search_tradeoff",
        "model.d_model=choice(8,32)",
        "model.num_layers=range(1,3)",
        "trainer.max_epochs=1",
        "hydra.sweeper.n_trials=3",
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "multirun" / "train" / "tradeoff" / "pareto.csv").is_file()
    trials = optuna.load_study(
        study_name="tradeoff", storage=f"sqlite:///{tmp_path}/multirun/studies.db"
    ).trials
    assert all(0.0 < trial.values[0] < 1.0 for trial in trials)
    assert all(trial.values[1] > 0.0 for trial in trials)
