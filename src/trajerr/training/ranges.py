"""What the numbers of a train config may be, before anything is built from them."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trajerr.errors import ConfigError

ABSURD = 1e12
RANGES = {  # key → least and greatest; None stays what it means
    "seed": (0, 2**32 - 1),
    "model.optimizer.lr": (math.ulp(0.0), 1e3),
    "model.optimizer.weight_decay": (0, 1e3),
    "model.schedule.warm_up": (0, 1),
    "model.schedule.factor": (math.ulp(0.0), 1 - 1e-9),
    "model.schedule.patience": (0, ABSURD),
    "loss.lambda_physics": (0, ABSURD),
    "loss.thermal_weight": (0, ABSURD),
    "loss.burn_in": (0, ABSURD),
    "loss.burn_in_without_printer": (0, ABSURD),
    "trainer.gradient_clip_val": (0, ABSURD),
    "trainer.accumulate_grad_batches": (1, ABSURD),
    "trainer.log_every_n_steps": (1, ABSURD),
    "trainer.figure_every_n_epochs": (1, ABSURD),
    "early_stopping.patience": (0, ABSURD),
    "early_stopping.min_delta": (0, ABSURD),
}
ENDLESS = -1  # of trainer.max_epochs
NEED_AN_END = ("cosine", "one_cycle")  # schedules that are spread over all steps


def check_ranges(config: Mapping[str, Any]) -> None:
    """Refuse what no training can be run with.

    Parameters
    ----------
    config
        Resolved train config.

    Raises
    ------
    ConfigError
        A number is out of range, or no number; the message names the key.
    """
    for key, (least, greatest) in RANGES.items():
        value = _at(config, key)
        if value is None:
            continue
        if not isinstance(value, int | float) or not least <= value <= greatest:
            low = f"above {least:.0f}" if 0.0 < least < 1e-300 else f"{least:g} or more"
            raise ConfigError(f"{key}: got {value}, expected {low}, at most {greatest:g}")
    schedule = config["model"]["schedule"]["name"]
    if config["trainer"]["max_epochs"] == ENDLESS and schedule in NEED_AN_END:
        raise ConfigError(
            f"trainer.max_epochs: got {ENDLESS}, expected 1 or more, as "
            f"model.schedule.name={schedule} is spread over all epochs"
        )
    _check_kinds(config)


def _check_kinds(config: Mapping[str, Any]) -> None:
    """Refuse what is of another kind than its key takes, where no default tells the kind."""
    objective, printer = config.get("objective", ""), _at(config, "loss.printer")
    names = objective if isinstance(objective, list) else [objective]
    if not all(isinstance(name, str) for name in names):
        raise ConfigError(f"objective: got {objective}, expected a name or a list of names")
    if printer is not None and "kinematics" not in printer:
        raise ConfigError(f"loss.printer: got {printer}, expected the keys of a conf/printer")
    for key, expected in (("checkpoint", "a path"), ("trainer.max_time", "DD:HH:MM:SS")):
        value = _at(config, key)
        if value is not None and not isinstance(value, str | Path):
            raise ConfigError(f"{key}: got {value}, expected {expected}")


def _at(config: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401 - whatever is there
    value: Any = config
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
