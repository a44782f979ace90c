"""The shipped configs from Python: what a command would run with, for notebooks and scripts."""

from typing import Any

import hydra
from omegaconf import OmegaConf

from trajerr.commands.composition import checked_composition
from trajerr.dynamics.printer import Printer
from trajerr.shipped import conf_dir


def compose(command: str, *overrides: str) -> dict[str, Any]:
    """Return the resolved config of a command as plain containers.

    Parameters
    ----------
    command
        ``collect``, ``prepare``, ``train``, ``evaluate``, ``export``, ``correct``, …
    overrides
        As on its command line: ``"model=small"``, ``"trainer.max_epochs=2"``.

    Raises
    ------
    ConfigError
        A config names other code than trajerr's own; the message names the key.
    """
    with (
        checked_composition(),
        hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"),
    ):
        plain: Any = OmegaConf.to_container(hydra.compose(command, list(overrides)), resolve=True)
    config: dict[str, Any] = plain
    return config


def load_printer(name: str = "ender3_v2") -> Printer:
    """Return a printer of ``conf/printer``.

    Raises
    ------
    ConfigError
        A value of it is out of range; the message names the key.
    """
    return Printer.from_dict(compose("collect", f"printer={name}")["printer"])
