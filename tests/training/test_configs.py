from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from rich.console import Console

from tests.training.cases import make_task
from trajerr.commands import configs
from trajerr.models.registry import NETWORKS, count_parameters
from trajerr.shipped import conf_dir
from trajerr.training.datamodule import PrinterDataModule
from trajerr.training.progress import EpochReport
from trajerr.training.run import make_trainer
from trajerr.training.settings import TrainSettings

EXPERIMENTS = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))


def composed(*overrides: str) -> dict[str, Any]:
    return configs.compose("train", *overrides)


def test_every_network_has_a_config_and_every_config_a_network() -> None:
    names = {path.stem for path in (conf_dir() / "model").glob("*.yaml")}
    assert names == set(NETWORKS)


@pytest.mark.parametrize("model", NETWORKS)
def test_each_model_composes_and_instantiates(model: str, data: PrinterDataModule) -> None:
    task = make_task(composed(f"model={model}"), data.stats.to_dict())
    assert task.hparams["network"]["name"] == model
    assert count_parameters(task.network) > 0


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_each_experiment_composes_and_instantiates(
    experiment: str, tiny: Path, tmp_path: Path
) -> None:
    given = [f"data.root={tiny}", "trainer.accelerator=cpu"]
    if experiment == "transfer":
        given.append("pretrained=some.ckpt")
    config = composed(f"experiment={experiment}", *given)
    data = instantiate(config["data"])
    make_task(config, data.stats.to_dict())
    report = EpochReport(Console(quiet=True))
    settings = TrainSettings.from_dict(config)
    assert make_trainer(settings, data, tmp_path, report).max_epochs >= 1


def test_experiments_are_deltas_that_take_effect() -> None:
    reference = composed("experiment=reference")
    assert reference["model"]["name"] == "large"
    assert reference["model"]["optimizer"]["lr"] == 1e-4
    assert reference["data"]["batch_size"] == 32
    assert reference["data"]["sequence_length"] == 256
    assert reference["data"]["samples_per_epoch"] is None
    assert composed("experiment=smoke")["data"]["samples_per_epoch"] == 640
    assert reference["early_stopping"]["patience"] == 15
    assert reference["trainer"]["gradient_clip_val"] == 1.0
    assert reference["loss"]["lambda_physics"] == 0.1
    assert composed("experiment=overfitting")["data"]["augment_noise"] > 0.0


def test_one_seed_is_that_of_weights_and_of_order() -> None:
    assert composed("seed=3")["data"]["seed"] == 3
    assert composed("seed=3", "data.seed=4")["data"]["seed"] == 4
    transferred = composed("experiment=transfer", "pretrained=some.ckpt", "seed=3")
    assert transferred["data"]["seed"] == 3


def test_overrides_of_the_documented_keys() -> None:
    config = composed(
        "model=large",
        "data.root=elsewhere",
        "data.batch_size=16",
        "data.augment_noise=0.02",
        "model.optimizer.lr=1e-5",
        "model.optimizer.weight_decay=0.1",
        "model.d_model=512",
        "model.num_layers=8",
        "model.dropout=0.2",
        "loss.lambda_physics=0.5",
        "trainer.max_epochs=7",
        "trainer.precision=16",
        "trainer.gradient_clip_val=0.5",
        "trainer.accelerator=cpu",
        "trainer.devices=2",
        "trainer.strategy=ddp",
        "early_stopping.patience=3",
        "lr_find=true",
        "experiment_name=mine",
        "resume=some/last.ckpt",
    )
    assert config["model"]["d_model"] == 512
    assert config["early_stopping"]["patience"] == 3
    assert config["experiment_name"] == "mine"


def test_the_search_is_over_the_original_s_space() -> None:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("train", ["experiment=search"], return_hydra_config=True)
    assert set(cfg.hydra.sweeper.params) == {
        "model.optimizer.lr",
        "data.batch_size",
        "model.dropout",
    }
    assert cfg.hydra.sweeper.direction == "minimize"
    assert cfg.hydra.runtime.choices["hydra/sweeper"] == "optuna"
