"""Network, loss, optimiser, schedule, callback and logger of a user's own, as docs/extending.md."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.collection.small_print import small_gcode
from tests.paths import PROJECT
from tests.shipped import data_module
from tests.training.cases import make_task, train_config
from tests.warm_python import warm_python
from trajerr.bundle.runtime import Predictor
from trajerr.errors import ConfigError
from trajerr.training.checkpoint import load_checkpoint, read_checkpoint
from trajerr.training.task import TrajectoryTask

SHORT = ["trainer=cpu", "trainer.max_epochs=2", "data.sequence_length=64", "data.stride=32"]
ALL = ["loss=huber", "optimizer=rms", "schedule=steps", "callbacks=mine", "logger=[mine,csv]"]


def put_files(folder: Path) -> None:
    """Write the files that the page shows, each under the name in its first line."""
    page = (PROJECT / "docs" / "extending.md").read_text(encoding="utf-8")
    for text in re.findall(r"```(?:python|yaml)\n(.*?)```", page, flags=re.S):
        path = folder / re.match(r"# (\S+)", text)[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def run(folder: Path, command: str, *overrides: str) -> subprocess.CompletedProcess[str]:
    line = [*warm_python(), "-m", f"trajerr.{command}", *overrides]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A folder with a user's own parts, and a training by them in ``run``."""
    folder = tmp_path_factory.mktemp("home")
    put_files(folder)
    root = f"data.root={tiny}"
    done = run(folder, "train", root, "model=tcn", *SHORT, *ALL, "hydra.run.dir=run")
    assert (done.returncode, done.stderr) == (0, "")
    return folder


CHECKPOINT = "checkpoint=run/checkpoints/best.ckpt"


def test_all_of_them_are_used(home: Path) -> None:
    content = read_checkpoint(home / "run" / "checkpoints" / "last.ckpt")
    made_from = content["hyper_parameters"]
    assert made_from["network"]["_target_"] == "own.Tcn"
    assert "square_avg" in content["optimizer_states"][0]["state"][0]  # RMSprop's
    assert content["optimizer_states"][0]["param_groups"][0]["alpha"] == 0.9
    assert content["lr_schedulers"][0]["step_size"] == 5
    assert any(key.startswith("Timer") for key in content["callbacks"])
    assert list((home / "tables").rglob("metrics.csv"))
    assert "train/loss" in (home / "run" / "csv" / "metrics.csv").read_text()
    assert not (home / "run" / "tensorboard").exists()
    said = json.loads((home / "run" / "train.json").read_text())
    assert said["model"] == "tcn"
    assert said["metrics"]["val/r2"] > -1.0


def test_it_is_evaluated_exported_and_corrects(
    home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(home)
    root = f"data.root={tiny}"
    quick = ["visualize=false", "generate_report=false"]
    done = run(home, "evaluate", CHECKPOINT, root, "model=tcn", *quick)
    assert done.returncode == 0, done.stderr
    scores = json.loads((home / "results" / "evaluation" / "metrics.json").read_text())
    assert scores["model"]["name"] == "tcn"
    done = run(home, "export", CHECKPOINT, "model=tcn")
    assert done.returncode == 0, done.stderr
    loaded = load_checkpoint(home / "run/checkpoints/best.ckpt", allowed=["own.Tcn"])
    features = data_module(tiny).open_split("test").sequences[0].features[:100]
    with torch.no_grad():
        expected = loaded.network(features[None])[0, :, 0].numpy()
    found = Predictor.load(home / "bundle").predict(features.numpy())["error_x"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    (home / "part.gcode").write_text(small_gcode(1))
    done = run(home, "correct", "gcode=part.gcode", "report=false", "least_improvement=-9")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("command", "key"), [("evaluate", "data.root=x"), ("export", "format=onnx")]
)
def test_a_checkpoint_brings_no_permission_along(home: Path, command: str, key: str) -> None:
    done = run(home, command, CHECKPOINT, key)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "model._target_: got own.Tcn, expected it to be allowed" in done.stderr


def test_a_shipped_network_is_no_permission(home: Path) -> None:
    done = run(home, "export", CHECKPOINT, "model=base")
    assert done.stderr.startswith("export: model: got base, expected a network of your own")


def test_it_resumes_by_the_same_config(home: Path, tiny: Path) -> None:
    last = "resume=run/checkpoints/last.ckpt"
    more = [*SHORT, "trainer.max_epochs=3", *ALL, last]
    done = run(home, "train", f"data.root={tiny}", "model=tcn", *more, "hydra.run.dir=on")
    assert done.returncode == 0, done.stderr
    assert "Epoch 3/3" in done.stdout
    assert "Epoch 2/3" not in done.stdout


def test_from_python_it_has_to_be_allowed_too(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(home)
    path = home / "run" / "checkpoints" / "best.ckpt"
    for load in (load_checkpoint, TrajectoryTask.load_from_checkpoint):
        with pytest.raises(ConfigError, match=r"got own\.\w+, expected it to be allowed"):
            load(path)
    names = ["own.Tcn", "own.Huber", "torch.optim.RMSprop", "torch.optim.lr_scheduler.StepLR"]
    task = TrajectoryTask.load_from_checkpoint(path, weights_only=True, allowed=names)
    assert type(task.network.inner).__name__ == "Tcn"
    assert type(task.criterion).__name__ == "Huber"


def test_a_checkpoint_cannot_allow_itself(home: Path, tmp_path: Path) -> None:
    content = read_checkpoint(home / "run" / "checkpoints" / "best.ckpt")
    content["hyper_parameters"]["allowed"] = ["own.Tcn", "own.Huber"]
    torch.save(content, tmp_path / "sly.ckpt")
    with pytest.raises(ConfigError, match=r"got own\.\w+, expected it to be allowed"):
        TrajectoryTask.load_from_checkpoint(tmp_path / "sly.ckpt", weights_only=True)


WRONG = {
    "another shape": (
        {"_target_": "torch.nn.Linear", "in_features": 15, "out_features": 3},
        "expected \\[2, 5, 2\\]",
    ),
    "no module": ({"_target_": "builtins.dict"}, "model: got a dict, expected a torch.nn.Module"),
    "not there": (
        {"_target_": "nowhere.Net"},
        "model._target_: got nowhere.Net, expected what can",
    ),
    "no such argument": (
        {"_target_": "torch.nn.Identity", "wide": 3},
        "model: forward|got 3",
    ),
    "no such key": (
        {"_target_": "torch.nn.Linear", "in_feature": 15, "out_features": 2},
        "model.in_feature: got 15, expected a known key, the nearest is model.in_features",
    ),
    "no context": (
        {"_target_": "torch.nn.Linear", "in_features": 15, "out_features": 2},
        "model.context_length: got null",
    ),
}


@pytest.mark.parametrize(("network", "message"), WRONG.values(), ids=WRONG)
def test_what_is_no_network_is_named(network: dict, message: str, data) -> None:
    config = train_config()
    groups = {key: config["model"][key] for key in ("optimizer", "schedule")}
    context = {} if "context" in message else {"context_length": 8}
    config["model"] = {"name": "own", **network, **context, **groups}
    with pytest.raises(ConfigError, match=message):
        make_task(config, data.stats.to_dict())


def test_a_loss_of_ones_own_leaves_no_weight_without_effect(data) -> None:
    config = train_config()
    config["loss"] = {**config["loss"], "_target_": "torch.nn.L1Loss", "squared_weight": 0.5}
    with pytest.raises(
        ConfigError, match=r"^loss\.squared_weight: got 0\.5, expected 0, as a loss"
    ):
        make_task(config, data.stats.to_dict())


UNKNOWN = {
    "+trainer.max_epoch=3": "got 3, expected a known key, the nearest is trainer.max_epochs",
    "+model.widht=3": "model.widht: got 3, expected a known key",
    "+model.optimizer.beta=0.9": "got 0.9, .*, the nearest is model.optimizer.betas",
    "+model.schedule.warmup=0.1": "the nearest is model.schedule.warm_up",
    "+loss.lambda=0.1": "the nearest is loss.lambda_physics",
    "+early_stopping.patienc=3": "the nearest is early_stopping.patience",
    "+data.foo=1": "data: PrinterDataModule: got an unexpected keyword argument 'foo'",
    "+callbacks.mine={a:1}": "callbacks.mine: got no _target_",
    "+callbacks.checkpoint.dirpath=x": "callbacks.checkpoint.dirpath: got x, expected a known key",
    "+logger.foo={a:1}": "logger.foo: got no _target_",
    "+logger.tensorboard.foo=1": "logger.tensorboard",
    "+trainer.logger=false": "trainer.logger: got false, expected a known key",
    "+earlystopping.patience=3": "earlystopping: got .*, the nearest is early_stopping",
    "+model.optimizer._target_=torch.optim.SGD": "model.optimizer._target_: got torch.optim.SGD",
    "+loss._target_=own.Huber": "loss._target_: got own.Huber",
    "model.architecture=mlp": "model.architecture: got mlp, expected one of transformer, lstm",
    "trainer.profiler=clock": "trainer.profiler: got clock, expected one of simple",
}


@pytest.mark.parametrize(("override", "message"), UNKNOWN.items(), ids=UNKNOWN)
def test_a_key_that_nothing_reads_is_refused(
    override: str, message: str, tiny: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    from trajerr import train as command

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setattr(sys, "argv", ["train", f"data.root={tiny}", *SHORT, override])
    with pytest.raises(SystemExit) as ended:
        command.main()
    said = capsys.readouterr().err
    assert (ended.value.code, said.count("\n")) == (1, 1)
    assert re.search(message, said), said


@pytest.mark.parametrize(
    ("command", "override", "message"),
    [
        ("evaluate", "+trainers.accelerator=cpu", "trainers: got"),
        (
            "evaluate",
            "+data.foo=1",
            "data.foo: got 1, expected a known key, the nearest is data.root",
        ),
        ("export", "+formt=onnx", "formt: got onnx, expected a known key, the nearest is format"),
        ("prepare", "+strid=3", "strid: got 3, expected a known key, the nearest is stride"),
        ("collect", "+layer=3", "layer: got 3, expected a known key, the nearest is layers"),
        ("correct", "+methods=twin", "the nearest is method"),
        ("calibrate", "+nam=x", "nam: got x, expected a known key, the nearest is name"),
    ],
)
def test_so_it_is_in_every_command(
    command: str, override: str, message: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    import importlib

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    given = ["gcode=x.gcode"] if command == "correct" else []
    monkeypatch.setattr(sys, "argv", [command, *given, override])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"trajerr.{command}").main()
    assert (ended.value.code, message in capsys.readouterr().err) == (1, True)
