import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.training.cases import prepare_tiny
from tests.warm_python import warm_python

TINY = [
    "model=small",
    "model.d_model=8",
    "model.feedforward=8",
    "data.samples_per_epoch=48",
    "data.batch_size=8",
    "data.stride=16",
    "data.sequence_length=64",
    "trainer.accelerator=cpu",
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_tiny(tmp_path_factory.mktemp("prepared"))


def command(*overrides: str) -> list[str]:
    return [*warm_python(), "-m", "trajerr.train", *overrides]


def run(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*overrides), cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


def test_train_ends_with_the_best_checkpoint(prepared: Path, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "trajerr.train", f"data.root={prepared}", *TINY]
    done = subprocess.run(
        [*line, "trainer.max_epochs=2"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("Best checkpoint: ")
    best = Path(last.removeprefix("Best checkpoint: "))
    assert best.is_file()
    assert json.loads((best.parents[1] / "train.json").read_text())["epochs"] == 2


def test_a_grid_gives_each_run_its_folder(prepared: Path, tmp_path: Path) -> None:
    done = run(
        tmp_path,
        "-m",
        f"data.root={prepared}",
        *TINY,
        "trainer.max_epochs=1",
        "model.optimizer.lr=1e-4,1e-3",
    )
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("multirun/train/*/[01]/checkpoints/best.ckpt"))) == 2


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("data.root=nowhere", "nowhere: no stats.json"),
        ("model=resnet", "resnet"),
        ("resume=nowhere.ckpt", "nowhere.ckpt: no such checkpoint"),
        ("trainer.max_epoch=8", "max_epoch"),
        ("trainer.max_epochs=0", "trainer.max_epochs: got 0, expected 1 or more"),
        ("trainer.accelerator=quantum", "trainer: You selected an invalid accelerator"),
        ("pretrained=evil.ckpt", "evil.ckpt: not a checkpoint: damaged, or holding more than"),
    ],
)
def test_mistakes_end_in_one_line(
    prepared: Path, tmp_path: Path, override: str, reason: str
) -> None:
    (tmp_path / "evil.ckpt").write_bytes(pickle.dumps(os.system))
    done = run(tmp_path, f"data.root={prepared}", *TINY, override)
    assert done.returncode in (1, 2)
    assert reason in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_ctrl_c_leaves_a_checkpoint_to_resume_from(prepared: Path, tmp_path: Path) -> None:
    overrides = [f"data.root={prepared}", *TINY, f"hydra.run.dir={tmp_path / 'run'}"]
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    process = subprocess.Popen(
        command(*overrides, "trainer.max_epochs=100000"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120.0
    while not last.is_file() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "interrupted" in said
    done = torch.load(last, weights_only=True)["epoch"] + 1
    on = [*overrides[:-1], f"resume={last}", f"hydra.run.dir={tmp_path / 'second'}"]
    finished = run(tmp_path, *on, f"trainer.max_epochs={done}")
    said = f"trainer.max_epochs: got {done}, expected more than the {done} epochs"
    assert said in finished.stderr
    resumed = run(tmp_path, *on, f"trainer.max_epochs={done + 1}")
    assert resumed.returncode == 0, resumed.stderr
    assert f"Epoch {done + 1}/{done + 1}" in resumed.stdout


@pytest.mark.slow
def test_two_processes_train_as_one(prepared: Path, tmp_path: Path) -> None:
    metrics = []
    for devices, batch in ((1, 16), (2, 8)):
        folder = tmp_path / str(devices)
        done = run(
            tmp_path,
            f"data.root={prepared}",
            *TINY,
            f"data.batch_size={batch}",
            f"trainer.devices={devices}",
            f"trainer.strategy={'ddp' if devices > 1 else 'auto'}",
            "trainer.max_epochs=2",
            f"hydra.run.dir={folder}",
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("Model small") == 1
        metrics.append(json.loads((folder / "train.json").read_text())["metrics"])
    for name, value in metrics[0].items():
        assert metrics[1][name] == pytest.approx(value, rel=1e-4), name
