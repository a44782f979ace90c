"""Numbers of a train config that no training can be run with are named."""

from functools import cache

import pytest
from omegaconf import DictConfig, OmegaConf

from trajerr.commands.configs import compose
from trajerr.errors import ConfigError
from trajerr.training.settings import TrainSettings

NUMBERS = (
    "seed",
    "model.optimizer.lr",
    "model.optimizer.weight_decay",
    "model.schedule.warm_up",
    "model.schedule.factor",
    "model.schedule.patience",
    "loss.lambda_physics",
    "loss.thermal_weight",
    "loss.uncertainty_mm",
    "loss.burn_in",
    "loss.burn_in_without_printer",
    "loss.squared_weight",
    "trainer.gradient_clip_val",
    "trainer.accumulate_grad_batches",
    "trainer.log_every_n_steps",
    "trainer.figure_every_n_epochs",
    "early_stopping.patience",
    "early_stopping.min_delta",
)
MODELS = ("base", "small", "large", "lstm", "fir", "physics", "hybrid")


@pytest.mark.parametrize("model", MODELS)
def test_what_is_shipped_is_in_range(model: str) -> None:
    TrainSettings.from_dict(compose("train", f"model={model}"))


@cache
def composed(wrong: str | None = None) -> DictConfig:
    """The config as shipped, or with a wrong value of every number."""
    given = () if wrong is None else (f"{key}={wrong}" for key in NUMBERS)
    return OmegaConf.create(compose("train", *given))


@pytest.mark.parametrize("key", NUMBERS)
def test_each_number_is_bounded_and_its_key_exists(key: str) -> None:
    for wrong in ("-0.5", "1e30", "[]"):
        config = composed().copy()
        OmegaConf.update(config, key, OmegaConf.select(composed(wrong), key))
        with pytest.raises(ConfigError, match=rf"^{key}: got .*, expected "):
            TrainSettings.from_dict(OmegaConf.to_container(config))


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ("model.optimizer.lr=0", "above 0, at most 1000"),
        ("model.schedule.factor=0.0", "above 0, below 1"),
        ("model.schedule.factor=1.0", "above 0, below 1"),
        ("trainer.log_every_n_steps=0", "1 or more, at most"),
    ],
)
def test_an_end_that_does_not_belong_is_refused_and_said(wrong: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=f"expected {expected}"):
        TrainSettings.from_dict(compose("train", wrong))


def test_a_training_without_an_end_needs_a_schedule_without_one() -> None:
    with pytest.raises(ConfigError, match=r"^trainer\.max_epochs: got -1.*cosine"):
        TrainSettings.from_dict(compose("train", "trainer.max_epochs=-1"))
    TrainSettings.from_dict(
        compose("train", "trainer.max_epochs=-1", "model.schedule.name=constant")
    )


@pytest.mark.parametrize("epochs", ["0", "-2", "null"])
def test_no_epochs_are_no_training(epochs: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^trainer\.max_epochs: got .*, expected 1 or more, or -1"
    ):
        TrainSettings.from_dict(compose("train", f"trainer.max_epochs={epochs}"))


@pytest.mark.parametrize("objective", ["7.5", "null", "[val/loss,3]"])
def test_an_objective_is_named(objective: str) -> None:
    with pytest.raises(ConfigError, match=r"^objective: got"):
        TrainSettings.from_dict(compose("train", f"objective={objective}"))


@pytest.mark.parametrize(
    "wrong",
    ["pretrained=[]", "resume=[]", "checkpoint=[]", "trainer.max_time=[]", "loss.printer={a:1}"],
)
def test_kinds_that_no_default_tells(wrong: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{wrong.partition('=')[0]}: got .*, expected "):
        TrainSettings.from_dict(compose("train", wrong))


def old(*overrides: str) -> TrainSettings:
    return TrainSettings.from_dict(compose("train", *overrides))


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (["checkpoint=a.ckpt"], "resume"),
        (["checkpoint=a.ckpt", "start=resume"], "resume"),
        (["checkpoint=a.ckpt", "start=transfer"], "pretrained"),
        (["checkpoint=a.ckpt", "experiment=transfer"], "pretrained"),
        (["checkpoint=a.ckpt", "experiment=transfer", "start=resume"], "resume"),
    ],
)
def test_old_keys_mean_what_they_meant_and_say_the_new(
    overrides: list[str], key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = old(*overrides)
    other = {"resume": "pretrained", "pretrained": "resume"}[key]
    assert (getattr(settings, key), getattr(settings, other)) == ("a.ckpt", None)
    assert settings.record[key] == "a.ckpt"
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.endswith(f": old keys; give {key}=a.ckpt\n")


@pytest.mark.parametrize("key", ["pretrained", "resume"])
def test_new_keys_need_no_old_ones(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert getattr(old(f"{key}=a.ckpt"), key) == "a.ckpt"
    assert getattr(old(f"{key}=a.ckpt", "experiment=transfer"), key) == "a.ckpt"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["start=anew"], "start: got anew, expected one of resume, transfer"),
        (["experiment=transfer"], "pretrained: got null, expected the checkpoint of a trained"),
        (["start=transfer"], "pretrained: got null, expected the checkpoint of a trained"),
        (["resume=a", "pretrained=b"], "resume: got a, expected null beside pretrained=b"),
        (["resume=a", "checkpoint=b"], "checkpoint: got b, expected null beside resume=a"),
    ],
)
def test_one_checkpoint_is_started_from(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        old(*overrides)


def test_configs_of_earlier_versions_are_read() -> None:
    config = compose("train", "checkpoint=a.ckpt")
    del config["pretrained"], config["resume"]
    assert TrainSettings.from_dict(config).resume == "a.ckpt"
