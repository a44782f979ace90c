"""What a training is asked to do, checked before anything is built from it.

Knows ranges and kinds. Lightning's own arguments are handed on as they are, but for those that
would only fail hours later.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from trajerr.checks import require, require_one_of
from trajerr.shipped import fields_of

Plain = Mapping[str, Any]

ABSURD = 1e12
ENDLESS = -1  # of trainer.max_epochs
NEED_AN_END = ("cosine", "one_cycle")  # schedules that are spread over all steps
NOT_OF_THE_NETWORK = ("optimizer", "schedule")  # within the group model
RESUME, TRANSFER = "resume", "transfer"  # what the old key `start` took


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


def require_within(key: str, value: object, allowed: Range) -> None:
    """Refuse a number out of range, or what is none; None stays what it means.

    Raises
    ------
    ConfigError
        Naming the key.
    """
    holds = value is None or (isinstance(value, int | float) and value in allowed)
    require(key, value, holds, str(allowed))


def require_text(key: str, value: object, expected: str) -> None:
    """Refuse what is neither a text nor None.

    Raises
    ------
    ConfigError
        Naming the key.
    """
    require(key, value, value is None or isinstance(value, str | Path), expected)


@dataclass(frozen=True)
class OptimizerSettings:
    """Which optimiser, of :data:`trajerr.training.optimizers.OPTIMIZERS`, at which rate.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    name: str
    lr: float  # peak
    weight_decay: float

    def __post_init__(self) -> None:
        require_within("model.optimizer.lr", self.lr, Range(0, 1e3, above=True))
        require_within("model.optimizer.weight_decay", self.weight_decay, Range(0, 1e3))


@dataclass(frozen=True)
class ScheduleSettings:
    """How the learning rate goes, by a name of :data:`trajerr.training.schedules.SCHEDULES`.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    name: str
    # Each schedule has its own; None where a model's file leaves out what its schedule has not.
    warm_up: float | None = None  # share of all steps
    factor: float | None = None  # plateau: what the rate is multiplied by
    patience: int | None = None  # plateau: epochs without progress before that

    def __post_init__(self) -> None:
        factor = Range(0, 1, above=True, below=True)
        require_within("model.schedule.warm_up", self.warm_up, Range(0, 1))
        require_within("model.schedule.factor", self.factor, factor)
        require_within("model.schedule.patience", self.patience, Range(0))


@dataclass(frozen=True)
class LossSettings:
    """The terms of the loss and what of a window they leave out.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    lambda_physics: float  # weight of the axis equation's residual
    thermal_weight: float  # weight of a head that predicts the temperatures
    burn_in: int | None  # samples at a window's begin; None: one settling time of the printer
    burn_in_without_printer: int  # samples
    printer: Plain | None  # of the physics loss; None: what the data names

    def __post_init__(self) -> None:
        for key in ("lambda_physics", "thermal_weight", "burn_in", "burn_in_without_printer"):
            require_within(f"loss.{key}", getattr(self, key), Range(0))
        is_printer = self.printer is None or "kinematics" in self.printer
        require("loss.printer", self.printer, is_printer, "the keys of a conf/printer")


@dataclass(frozen=True)
class TrainerSettings:
    """Lightning's Trainer, and what is ours beside it.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    compile: bool  # by torch.compile
    figure_every_n_epochs: int
    arguments: Plain  # of Lightning's Trainer

    def __post_init__(self) -> None:
        require_within("trainer.gradient_clip_val", self["gradient_clip_val"], Range(0))
        for key in ("accumulate_grad_batches", "log_every_n_steps"):
            require_within(f"trainer.{key}", self[key], Range(1))
        require_within("trainer.figure_every_n_epochs", self.figure_every_n_epochs, Range(1))
        epochs = self["max_epochs"]
        holds = epochs is not None and (epochs >= 1 or epochs == ENDLESS)
        require("trainer.max_epochs", epochs, holds, f"1 or more, or {ENDLESS}")
        require_text("trainer.max_time", self["max_time"], "DD:HH:MM:SS")

    def __getitem__(self, argument: str) -> Any:  # noqa: ANN401 - whatever it is
        """Return an argument of Lightning's; None where it is not given."""
        return self.arguments.get(argument)

    @classmethod
    def from_dict(cls, values: Plain) -> Self:
        """Part our own keys from Lightning's arguments."""
        own = fields_of(cls, values)
        return cls(**own, arguments={k: v for k, v in values.items() if k not in own})


@dataclass(frozen=True)
class EarlyStoppingSettings:
    """When a training ends before its last epoch: arguments of Lightning's EarlyStopping.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    arguments: Plain

    def __post_init__(self) -> None:
        for key in ("patience", "min_delta"):
            require_within(f"early_stopping.{key}", self.arguments[key], Range(0))


@dataclass(frozen=True)
class TrainSettings:
    """One training, but for its data.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    experiment_name: str  # for people
    seed: int  # of weights, order and dropout
    network: Plain  # what :func:`trajerr.models.registry.build_network` takes
    optimizer: OptimizerSettings
    schedule: ScheduleSettings
    loss: LossSettings
    trainer: TrainerSettings
    early_stopping: EarlyStoppingSettings
    pretrained: str | None  # checkpoint whose weights alone training starts from
    resume: str | None  # checkpoint that training goes on from, exactly where it ended
    lr_find: bool
    batch_size_find: bool
    objective: str | Sequence[str]  # what a search minimises
    record: Plain  # the config that all this is from, as artefacts keep it

    def __post_init__(self) -> None:
        require_within("seed", self.seed, Range(0, 2**32 - 1))
        epochs, schedule = self.trainer["max_epochs"], self.schedule.name
        ends = epochs != ENDLESS or schedule not in NEED_AN_END
        expected = f"1 or more, as model.schedule.name={schedule} is spread over all epochs"
        require("trainer.max_epochs", epochs, ends, expected)
        names = [self.objective] if isinstance(self.objective, str) else self.objective
        holds = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
        require("objective", self.objective, holds, "a name or a list of names")
        for key in ("pretrained", "resume"):
            require_text(key, getattr(self, key), "a path")
        expected = (
            f"null beside pretrained={self.pretrained}: what is resumed has its weights already"
        )
        require("resume", self.resume, None in (self.pretrained, self.resume), expected)

    @property
    def model(self) -> str:
        """Name of the network."""
        return str(self.network["name"])

    @classmethod
    def from_dict(cls, config: Plain) -> Self:
        """Read what ``conf/train.yaml`` composes to, as plain containers.

        Raises
        ------
        ConfigError
            If a value is out of range; the message names the key.
        """
        config = without_old_start(config)
        model = config["model"]
        parts = {
            "network": {k: v for k, v in model.items() if k not in NOT_OF_THE_NETWORK},
            "optimizer": OptimizerSettings(**fields_of(OptimizerSettings, model["optimizer"])),
            "schedule": ScheduleSettings(**fields_of(ScheduleSettings, model["schedule"])),
            "loss": LossSettings(**fields_of(LossSettings, config["loss"])),
            "trainer": TrainerSettings.from_dict(config["trainer"]),
            "early_stopping": EarlyStoppingSettings(config["early_stopping"]),
            "record": config,
        }
        return cls(**{**fields_of(cls, config), **parts})


def without_old_start(config: Plain) -> Plain:
    """Return a config in which the old ``checkpoint`` and ``start`` are one of the new keys.

    Raises
    ------
    ConfigError
        ``start`` is unknown, or asks for a checkpoint that is not named.
    """
    config = {"pretrained": None, "resume": None, **config}  # of earlier versions: without
    path, start = config.get("checkpoint"), config.get("start") or RESUME
    require_one_of("start", start, (RESUME, TRANSFER))
    require_text("checkpoint", path, "a path")
    if path is None:
        named = start != TRANSFER or config["pretrained"] or config["resume"]
        require("pretrained", None, bool(named), "the checkpoint of a trained network")
        return config
    key = "pretrained" if start == TRANSFER else "resume"
    require("checkpoint", path, config[key] is None, f"null beside {key}={config[key]}")
    sys.stderr.write(f"checkpoint={path} start={start}: old keys; give {key}={path}\n")
    return {**config, "checkpoint": None, "start": None, key: path}
