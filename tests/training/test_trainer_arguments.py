"""Every argument of Lightning's Trainer is a key of ``trainer``, and does what it says."""

import csv
import inspect
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import lightning
import pytest
from omegaconf import OmegaConf

from tests.shipped import data_module
from tests.training.cases import train, train_config
from trajerr.commands.configs import compose
from trajerr.commands.overrides import expected_kind
from trajerr.errors import ConfigError
from trajerr.training.run import Outcome
from trajerr.training.settings import GROUPS, TrainSettings

VALUES: dict[str, Any] = {  # each argument, and a value that is not its default
    "accelerator": "cpu",
    "strategy": "auto",
    "devices": 1,
    "num_nodes": 1,
    "precision": "bf16-mixed",
    "fast_dev_run": True,
    "max_epochs": 1,
    "min_epochs": 1,
    "max_steps": 3,
    "min_steps": 2,
    "max_time": "00:00:10:00",
    "limit_train_batches": 2,
    "limit_val_batches": 1,
    "limit_test_batches": 1,
    "limit_predict_batches": 1,
    "overfit_batches": 1,
    "val_check_interval": 0.5,
    "check_val_every_n_epoch": 2,
    "num_sanity_val_steps": 1,
    "log_every_n_steps": 1,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": True,
    "accumulate_grad_batches": 2,
    "gradient_clip_val": 0.5,
    "gradient_clip_algorithm": "value",
    "deterministic": "warn",
    "benchmark": True,
    "inference_mode": False,
    "use_distributed_sampler": False,
    "profiler": "simple",
    "detect_anomaly": True,
    "barebones": True,
    "plugins": [],
    "sync_batchnorm": True,
    "reload_dataloaders_every_n_epochs": 1,
    "default_root_dir": "elsewhere",
    "enable_autolog_hparams": False,
    "model_registry": None,
}
OTHERS = [
    ("fast_dev_run", 3),
    ("precision", 16),
    ("deterministic", True),
    ("limit_val_batches", 0.5),
]
ARGUMENTS = set(inspect.signature(lightning.Trainer.__init__).parameters) - {"self", *GROUPS}
STEPS = 6  # of an epoch: 48 windows, 8 a batch


def trained(tiny: Path, folder: Path, epochs: int = 2, **changes: Any) -> tuple[Outcome, dict]:
    data = data_module(tiny, batch_size=8, stride=16, samples_per_epoch=48)
    outcome = train(train_config(**{"trainer__max_epochs": epochs, **changes}), data, folder)
    return outcome, json.loads((folder / "train.json").read_text())


@cache
def shipped_trainer() -> Mapping[str, Any]:
    return compose("train")["trainer"]


def steps(outcome: Outcome) -> int:
    import torch

    return int(torch.load(outcome.last, weights_only=True)["global_step"])


def test_the_table_and_the_config_hold_every_argument() -> None:
    assert set(VALUES) == ARGUMENTS
    shipped = compose("train")["trainer"]
    assert set(shipped) - {"compile", "float32_products", "figure_every_n_epochs"} == ARGUMENTS
    given = compose("train", *(f"trainer.{key}={json.dumps(v)}" for key, v in VALUES.items()))
    config = compose("train")
    for key in VALUES:
        trainer = {**shipped, key: given["trainer"][key]}
        TrainSettings.from_dict({**config, "trainer": trainer})


@pytest.mark.parametrize("argument", sorted(VALUES))
def test_each_argument_trains(argument: str, tiny: Path, tmp_path: Path, capsys) -> None:
    value = VALUES[argument]
    value = str(tmp_path / value) if argument == "default_root_dir" else value
    outcome, said = trained(tiny, tmp_path / "run", **{f"trainer__{argument}": value})
    out = capsys.readouterr()
    assert out.err == ""
    assert outcome.objective is not None or argument == "barebones"
    keeps = argument not in ("fast_dev_run", "enable_checkpointing", "barebones")
    assert (outcome.best is not None) == keeps
    assert (said["best_checkpoint"] is not None) == keeps
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").is_file() == keeps
    shown = {
        "enable_model_summary": "Trainable params",
        "profiler": f"Profile: {tmp_path / 'run' / 'fit-profile.txt'}",
    }
    assert shown.get(argument, "") in out.out
    if argument == "profiler":
        assert "run_training_epoch" in (tmp_path / "run" / "fit-profile.txt").read_text()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"trainer__max_steps": 3}, 3),
        ({"trainer__max_epochs": -1, "trainer__max_steps": 8}, 8),
        ({"trainer__max_epochs": None, "trainer__max_steps": 8}, 8),
        ({"trainer__limit_train_batches": 2}, 4),
        ({"trainer__overfit_batches": 1}, 2),
        ({"trainer__accumulate_grad_batches": 2}, 6),
    ],
)
def test_training_ends_by_steps_and_batches(
    changes: dict, expected: int, tiny: Path, tmp_path: Path
) -> None:
    outcome, _ = trained(tiny, tmp_path, **changes)
    assert steps(outcome) == expected
    assert outcome.best is not None
    assert outcome.objective > 0.0


def test_the_same_batch_is_repeated_to_overfit(tiny: Path, tmp_path: Path) -> None:
    losses = {}
    for count in (0.0, 1):
        changes = {"trainer__overfit_batches": count, "model__optimizer__lr": 1e-30}
        config = train_config(trainer__max_epochs=3, model__dropout=0.0, **changes)
        config["logger"] = {"csv": {}}
        train(
            config,
            data_module(tiny, batch_size=8, stride=16, samples_per_epoch=48),
            tmp_path / str(count),
        )
        rows = csv.DictReader(
            (tmp_path / str(count) / "csv" / "metrics.csv").read_text().splitlines()
        )
        losses[count] = {row["train/loss"] for row in rows if row["train/loss"]}
    assert (len(losses[0.0]), len(losses[1])) == (3, 1)


def test_without_validation_the_last_is_the_best(tiny: Path, tmp_path: Path) -> None:
    outcome, said = trained(tiny, tmp_path, trainer__limit_val_batches=0)
    assert outcome.objective is None
    assert said["metrics"] == {}
    assert steps(outcome) == 2 * STEPS
    with pytest.raises(ConfigError, match=r"^model\.schedule\.name: got plateau"):
        trained(tiny, tmp_path, trainer__limit_val_batches=0, model__schedule__name="plateau")


def test_early_stopping_can_be_off(tiny: Path, tmp_path: Path) -> None:
    _, said = trained(
        tiny, tmp_path / "a", 6, early_stopping__min_delta=1e3, early_stopping__patience=1
    )
    assert said["epochs"] == 2
    _, said = trained(tiny, tmp_path / "b", 6, early_stopping=None)
    assert said["epochs"] == 6


def test_checkpoints_by_steps_epochs_and_time(tiny: Path, tmp_path: Path) -> None:
    for trigger, value, count in (
        ("every_n_train_steps", 4, 3),
        ("every_n_epochs", 1, 2),
        ("train_time_interval", "00:00:00:00", 12),
    ):
        config = {f"callbacks__checkpoint__{trigger}": value}
        trained(tiny, tmp_path / trigger, **config)
        kept = {path.name for path in (tmp_path / trigger / "checkpoints").glob("*.ckpt")}
        assert {"best.ckpt", "last.ckpt"} < kept
        assert len(kept) == 2 + count
    with pytest.raises(ConfigError, match="train_time_interval: got soon, expected DD:HH:MM:SS"):
        trained(tiny, tmp_path, callbacks__checkpoint__train_time_interval="soon")


@pytest.mark.parametrize("preset", ["default", "cpu", "cores", "gpu", "ddp", "debug"])
def test_presets_compose(preset: str) -> None:
    composed = compose("train", f"trainer={preset}")
    TrainSettings.from_dict(composed)
    assert set(composed["trainer"]) == set(compose("train")["trainer"])


@pytest.mark.parametrize("debug", ["fast", "overfit", "limit", "profile"])
def test_debugging_composes_over_anything(debug: str) -> None:
    for preset in ("default", "cpu"):
        composed = compose("train", f"trainer={preset}", f"debug={debug}")
        assert composed["trainer"] != compose("train", f"trainer={preset}")["trainer"]
        TrainSettings.from_dict(composed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trainer__accelerator": "abacus"}, r"^trainer: .*abacus"),
        ({"trainer__strategy": "hope"}, r"^trainer: .*hope"),
        ({"trainer__gradient_clip_algorithm": "shears"}, r"^trainer: .*shears"),
        ({"trainer__limit_train_batches": 1.5}, r"^trainer: .*1\.5"),
        ({"trainer__max_epochs": None}, r"^trainer\.max_epochs: got None, expected 1 or more"),
    ],
)
def test_what_lightning_refuses_is_one_line(change: dict, message: str, tiny, tmp_path) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        trained(tiny, tmp_path, **change)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("name", "value"), [*VALUES.items(), *OTHERS])
def test_the_command_line_takes_what_lightning_takes(name: str, value: object) -> None:
    given = OmegaConf.create({"trainer": shipped_trainer(), "given": value})
    assert expected_kind(name, given.trainer[name], given.given) == ""


def test_a_word_that_lightning_would_take_for_true_is_refused() -> None:
    assert expected_kind("deterministic", False, "maybe") == "true, false or warn"
