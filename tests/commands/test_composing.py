import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from trajerr.commands.configs import compose, load_printer
from trajerr.shipped import conf_dir

PRINTERS = sorted(path.stem for path in (conf_dir() / "printer").glob("*.yaml"))


@pytest.mark.parametrize("name", PRINTERS)
def test_a_printer_is_what_the_command_makes_of_its_config(name: str) -> None:
    config = OmegaConf.load(conf_dir() / "printer" / f"{name}.yaml")
    assert load_printer(name) == instantiate(config)


def test_a_composed_config_is_plain_and_resolved() -> None:
    config = compose("train", "model=small", "trainer.max_epochs=3")
    assert config["trainer"]["max_epochs"] == 3
    assert config["experiment_name"] == config["model"]["name"] == "small"
    assert type(config["model"]) is dict


def test_an_unknown_override_is_refused() -> None:
    with pytest.raises(Exception, match="max_epoch"):
        compose("train", "trainer.max_epoch=3")
