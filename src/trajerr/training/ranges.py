"""What the numbers of a train config may be, before anything is built from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trajerr.errors import ConfigError

ABSURD = 1e12


@dataclass(frozen=True)
class Range:
    """What a number may be; an open end is not itself in the range."""

    least: float
    greatest: float = ABSURD
    above: bool = False  # open at its least
    below: bool = False  # open at its greatest

    def __contains__(self, value: float) -> bool:
        at_open_end = value in (self.least,) * self.above + (self.greatest,) * self.below
        return self.least <= value <= self.greatest and not at_open_end

    def __str__(self) -> str:
        low = f"above {self.least:g}" if self.above else f"{self.least:g} or more"
        return f"{low}, {'below' if self.below else 'at most'} {self.greatest:g}"


RANGES = {  # by key; None stays what it means
    "seed": Range(0, 2**32 - 1),
    "model.optimizer.lr": Range(0, 1e3, above=True),
    "model.optimizer.weight_decay": Range(0, 1e3),
    "model.schedule.warm_up": Range(0, 1),
    "model.schedule.factor": Range(0, 1, above=True, below=True),
    "model.schedule.patience": Range(0),
    "loss.lambda_physics": Range(0),
    "loss.thermal_weight": Range(0),
    "loss.burn_in": Range(0),
    "loss.burn_in_without_printer": Range(0),
    "trainer.gradient_clip_val": Range(0),
    "trainer.accumulate_grad_batches": Range(1),
    "trainer.log_every_n_steps": Range(1),
    "trainer.figure_every_n_epochs": Range(1),
    "early_stopping.patience": Range(0),
    "early_stopping.min_delta": Range(0),
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
    for key, allowed in RANGES.items():
        value = _at(config, key)
        if value is None:
            continue
        if not isinstance(value, int | float) or value not in allowed:
            raise ConfigError(f"{key}: got {value}, expected {allowed}")
    epochs, schedule = config["trainer"]["max_epochs"], config["model"]["schedule"]["name"]
    if epochs is None or epochs == 0 or epochs < ENDLESS:
        raise ConfigError(f"trainer.max_epochs: got {epochs}, expected 1 or more, or {ENDLESS}")
    if epochs == ENDLESS and schedule in NEED_AN_END:
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
