"""An interrupted training goes on in its folder; what contradicts its state is refused."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from tests.shipped import data_module
from tests.training.cases import train, train_config
from tests.training.test_run import _train_until, weights
from tests.warm_python import warm_python
from trajerr.errors import ConfigError, DataError
from trajerr.shipped import shipped
from trajerr.training.checkpoint import read_checkpoint
from trajerr.training.datamodule import PrinterDataModule


def module(tiny: Path) -> PrinterDataModule:
    return data_module(tiny, batch_size=8, stride=16, samples_per_epoch=48)


AVERAGED = {"callbacks__average": shipped("callbacks/averaged")["average"], "model__mirrored": True}


@pytest.mark.parametrize("changes", [{}, AVERAGED], ids=["plain", "averaged"])
def test_the_same_command_in_the_same_folder_goes_on(
    tiny: Path, tmp_path: Path, capsys, changes: dict
) -> None:
    config = train_config(trainer__max_epochs=4, **changes)
    whole = train(config, module(tiny), tmp_path / "whole")
    _train_until(config, module(tiny), tmp_path / "run", epochs=2)
    capsys.readouterr()
    resumed = train(config, module(tiny), tmp_path / "run")
    said = capsys.readouterr().out
    assert f"Going on from {resumed.last}" in said
    assert re.findall(r"^Epoch (\d)/4$", said, re.M) == ["3", "4"]
    assert resumed.objective == whole.objective
    for name, value in weights(whole.last).items():
        assert torch.equal(value, weights(resumed.last)[name]), name


def test_a_finished_training_begins_anew(tiny: Path, tmp_path: Path, capsys) -> None:
    first = train(train_config(trainer__max_epochs=2), module(tiny), tmp_path)
    capsys.readouterr()
    again = train(train_config(trainer__max_epochs=2), module(tiny), tmp_path)
    assert "Going on" not in capsys.readouterr().out
    assert again.objective == first.objective


@pytest.mark.parametrize("changes", [{}, AVERAGED], ids=["plain", "averaged"])
def test_what_was_stopped_after_its_last_epoch_is_concluded(
    tiny: Path, tmp_path: Path, capsys, changes: dict
) -> None:
    config = train_config(trainer__max_epochs=2, **changes)
    whole = train(config, module(tiny), tmp_path)
    (tmp_path / "train.json").unlink()
    before = {name: value.clone() for name, value in weights(whole.last).items()}
    capsys.readouterr()
    concluded = train(config, module(tiny), tmp_path)
    assert "Epoch" not in capsys.readouterr().out.split("Going on")[1].split("Best epoch")[0]
    assert concluded.metrics == whole.metrics
    assert json.loads((tmp_path / "train.json").read_text())["epochs"] == 2
    for path in (concluded.last, concluded.best):
        assert path.is_file()
    for name, value in weights(concluded.last).items():
        assert torch.equal(value, before[name]), name


def test_nothing_of_an_epoch_begins_anew(tiny: Path, tmp_path: Path, capsys) -> None:
    _train_until(train_config(), module(tiny), tmp_path, epochs=0)
    capsys.readouterr()
    train(train_config(), module(tiny), tmp_path)
    said = capsys.readouterr().out
    assert "Going on" not in said
    assert "Epoch 1/3" in said


@pytest.fixture(scope="module")
def interrupted(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interrupted")
    return _train_until(train_config(trainer__max_epochs=4), module(tiny), folder, epochs=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__optimizer__lr": 0.5}, r"^model\.optimizer\.lr: got 0.5, expected 0.01 as in"),
        ({"model__optimizer__name": "adamw"}, r"^model\.optimizer\.name: got adamw, expected muon"),
        ({"model__schedule__warm_up": 0.5}, r"^model\.schedule\.warm_up: got 0.5, expected 0.1"),
        ({"model__schedule__name": "constant"}, r"^model\.schedule\.name: got constant"),
    ],
)
def test_what_its_state_contradicts_is_refused(
    interrupted: Path, tiny: Path, tmp_path: Path, changes: dict, message: str
) -> None:
    config = train_config(trainer__max_epochs=4, resume=str(interrupted), **changes)
    with pytest.raises(ConfigError, match=message):
        train(config, module(tiny), tmp_path)


def test_another_network_is_refused(interrupted: Path, tiny: Path, tmp_path: Path) -> None:
    config = train_config(resume=str(interrupted), model__d_model=16)
    with pytest.raises(DataError, match="another network"):
        train(config, module(tiny), tmp_path)


def test_a_checkpoint_has_nothing_imported(
    interrupted: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "canary.py").write_text("import pathlib\npathlib.Path('RAN').touch()\n")
    monkeypatch.chdir(tmp_path)
    content = dict(read_checkpoint(interrupted))
    for part in ("optimizer", "schedule"):
        made_from = dict(content["hyper_parameters"])
        made_from[part] = {**made_from[part], "_target_": "canary.Sgd"}
        torch.save({**content, "hyper_parameters": made_from}, tmp_path / "sly.ckpt")
        config = train_config(trainer__max_epochs=4, resume=str(tmp_path / "sly.ckpt"))
        with pytest.raises(ConfigError, match=rf"model\.{part}\._target_: got canary\.Sgd"):
            train(config, module(tiny), tmp_path / "run")
    assert not (tmp_path / "RAN").exists()


def test_patience_and_the_end_take_effect(interrupted: Path, tiny: Path, tmp_path: Path) -> None:
    changes = {"early_stopping__patience": 1, "early_stopping__min_delta": 1e3}
    config = train_config(trainer__max_epochs=9, resume=str(interrupted), **changes)
    outcome = train(config, module(tiny), tmp_path)
    states = read_checkpoint(outcome.last)["callbacks"]
    (stopping,) = (value for key, value in states.items() if key.startswith("EarlyStopping"))
    assert stopping["patience"] == 1
    assert read_checkpoint(outcome.last)["epoch"] + 1 < 9


def test_a_label_is_free_to_change(interrupted: Path, tiny: Path, tmp_path: Path) -> None:
    config = train_config(trainer__max_epochs=3, resume=str(interrupted))
    config["model"] |= {"name": "mine", "architecture": "transformer"}
    assert train(config, module(tiny), tmp_path).objective > 0.0


def test_what_is_said_at_ctrl_c_is_true(tiny: Path, tmp_path: Path) -> None:
    short = ["model=small", "model.d_model=8", "trainer=cpu", "data.samples_per_epoch=48"]
    line = [*warm_python(), "-m", "trajerr.train", f"data.root={tiny}", *short]
    process = subprocess.Popen(
        [*line, "trainer.max_epochs=100000"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120.0
    while not list(tmp_path.rglob("last.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    folder = re.search(r"run the same command again with (hydra.run.dir=\S+) to resume", said)[1]
    done = read_checkpoint(next(tmp_path.rglob("last.ckpt")))["epoch"] + 1
    again = subprocess.run(
        [*line, f"trainer.max_epochs={done + 1}", folder],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert f"Epoch {done + 1}/{done + 1}" in again.stdout
    assert "Epoch 1/" not in again.stdout
