"""Numbers of a train config that no training can be run with are named."""

import pytest

from trajerr.commands.configs import compose
from trajerr.errors import ConfigError
from trajerr.training.ranges import RANGES, check_ranges

MODELS = ("base", "small", "large", "lstm", "fir", "physics", "hybrid")


@pytest.mark.parametrize("model", MODELS)
def test_what_is_shipped_is_in_range(model: str) -> None:
    check_ranges(compose("train", f"model={model}"))


@pytest.mark.parametrize("key", RANGES)
def test_each_number_is_bounded_and_its_key_exists(key: str) -> None:
    for wrong in ("-0.5", "1e30", "[]"):
        with pytest.raises(ConfigError, match=rf"^{key}: got .*, expected "):
            check_ranges(compose("train", f"{key}={wrong}"))


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
        check_ranges(compose("train", wrong))


def test_a_training_without_an_end_needs_a_schedule_without_one() -> None:
    with pytest.raises(ConfigError, match=r"^trainer\.max_epochs: got -1.*cosine"):
        check_ranges(compose("train", "trainer.max_epochs=-1"))
    check_ranges(compose("train", "trainer.max_epochs=-1", "model.schedule.name=constant"))


@pytest.mark.parametrize("epochs", ["0", "-2", "null"])
def test_no_epochs_are_no_training(epochs: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^trainer\.max_epochs: got .*, expected 1 or more, or -1"
    ):
        check_ranges(compose("train", f"trainer.max_epochs={epochs}"))


@pytest.mark.parametrize("objective", ["7.5", "null", "[val/loss,3]"])
def test_an_objective_is_named(objective: str) -> None:
    with pytest.raises(ConfigError, match=r"^objective: got"):
        check_ranges(compose("train", f"objective={objective}"))


@pytest.mark.parametrize("wrong", ["checkpoint=[]", "trainer.max_time=[]", "loss.printer={a:1}"])
def test_kinds_that_no_default_tells(wrong: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{wrong.partition('=')[0]}: got .*, expected "):
        check_ranges(compose("train", wrong))
