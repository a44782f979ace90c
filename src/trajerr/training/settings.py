"""What a training is asked to do, checked before anything is built from it.

Knows ranges and kinds. Lightning's own arguments are handed on as they are, but for those that
would only fail hours later.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import lightning

from trajerr.checks import require, require_known, require_one_of
from trajerr.errors import ConfigError
from trajerr.models.foreign import parameters
from trajerr.models.registry import named_classes
from trajerr.shipped import fields_of
from trajerr.training.parts import (
    EarlyStoppingSettings,
    LossSettings,
    OptimizerSettings,
    ScheduleSettings,
)
from trajerr.training.products import PRODUCTS
from trajerr.training.ranges import Range, require_text, require_within

Plain = Mapping[str, Any]

ENDLESS = -1  # of trainer.max_epochs and trainer.max_steps
GROUPS = ("logger", "callbacks")  # Lightning's arguments that are groups of their own
NOT_OF_THE_NETWORK = ("optimizer", "schedule")  # within the group model
RESUME, TRANSFER = "resume", "transfer"  # what the old key `start` took


@dataclass(frozen=True)
class TrainerSettings:
    """Lightning's Trainer, and what is ours beside it.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    compile: bool  # by torch.compile
    float32_products: str  # of PRODUCTS, on GPUs
    figure_every_n_epochs: int
    arguments: Plain  # of Lightning's Trainer

    def __post_init__(self) -> None:
        known = (parameters(lightning.Trainer) or set()) - {*GROUPS}
        require_known("trainer", self.arguments, known | set(self.__dataclass_fields__))
        require_within("trainer.gradient_clip_val", self["gradient_clip_val"], Range(0))
        for key in ("accumulate_grad_batches", "log_every_n_steps"):
            require_within(f"trainer.{key}", self[key], Range(1))
        require_within("trainer.figure_every_n_epochs", self.figure_every_n_epochs, Range(1))
        require_one_of("trainer.float32_products", self.float32_products, PRODUCTS)
        epochs = self["max_epochs"]
        ends_otherwise = self.max_steps is not None or self["max_time"] is not None
        if (epochs is None and not ends_otherwise) or (
            epochs is not None and (epochs == 0 or epochs < ENDLESS)
        ):
            raise ConfigError(f"trainer.max_epochs: got {epochs}, expected 1 or more, or {ENDLESS}")
        require_text("trainer.max_time", self["max_time"], "DD:HH:MM:SS")

    @property
    def max_steps(self) -> int | None:
        """Steps at which training ends; None where they do not end it."""
        steps = self["max_steps"]
        return None if steps is None or steps == ENDLESS else int(steps)

    @property
    def validates(self) -> bool:
        """Whether there is validation."""
        return bool(self["limit_val_batches"] != 0)

    @property
    def keeps(self) -> bool:
        """Whether checkpoints are written."""
        off = self["enable_checkpointing"] is False or self["barebones"] or self["fast_dev_run"]
        return not off

    def __getitem__(self, argument: str) -> Any:  # noqa: ANN401 - whatever it is
        """Return an argument of Lightning's; None where it is not given."""
        return self.arguments.get(argument)

    @classmethod
    def from_dict(cls, values: Plain) -> Self:
        """Part our own keys from Lightning's arguments."""
        own = fields_of(cls, values)
        return cls(**own, arguments={k: v for k, v in values.items() if k not in own})


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
    early_stopping: EarlyStoppingSettings | None
    callbacks: Plain  # further ones by name; ``checkpoint`` is Lightning's ModelCheckpoint
    logger: Plain  # each by its kind, or a class of the user's own by any name
    pretrained: str | None  # checkpoint whose weights alone training starts from
    resume: str | None  # checkpoint that training goes on from, exactly where it ended
    equation_fit: bool  # whether a network's axis equation is fitted to the data first
    lr_find: bool
    batch_size_find: bool
    objective: str | Sequence[str]  # what a search minimises
    record: Plain  # the config that all this is from, as artefacts keep it

    def __post_init__(self) -> None:
        require_within("seed", self.seed, Range(0, 2**32 - 1))
        name = str(self.experiment_name or "")
        require("experiment_name", name, bool(name) and not set(name) & {"/", "\\"}, "a name")
        epochs, steps = self.trainer["max_epochs"], self.trainer.max_steps
        if epochs in (None, ENDLESS) and steps is None and self.schedule.needs_an_end:
            raise ConfigError(
                f"trainer.max_epochs: got {epochs}, expected 1 or more, or trainer.max_steps, as "
                f"model.schedule.name={self.schedule.name} is spread over all epochs"
            )
        if self.schedule.name == "plateau" and not self.trainer.validates:
            raise ConfigError(
                "model.schedule.name: got plateau, expected another without validation "
                "(trainer.limit_val_batches=0)"
            )
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
        """What the network is called."""
        return str(self.network["name"])

    @property
    def allowed(self) -> frozenset[str]:
        """Classes of the user's own that this training may use: those that it names."""
        parts = (self.network, self.optimizer.arguments, self.schedule.arguments)
        return frozenset().union(*map(named_classes, (*parts, self.loss.arguments)))

    @classmethod
    def from_dict(cls, config: Plain) -> Self:
        """Read what ``conf/train.yaml`` composes to, as plain containers.

        Raises
        ------
        ConfigError
            If a key is unknown or a value is out of range; the message names the key.
        """
        config = without_old_start(config)
        model, stopping = config["model"], config.get("early_stopping")
        network = {k: v for k, v in model.items() if k not in NOT_OF_THE_NETWORK}
        for group in NOT_OF_THE_NETWORK:
            if not model.get(group):
                raise ConfigError(f"model.{group}: missing, expected the group {group}")
        parts = {
            "network": {"name": network.get("_target_"), **network},
            "optimizer": OptimizerSettings.from_dict(model["optimizer"]),
            "schedule": ScheduleSettings.from_dict(model["schedule"]),
            "loss": LossSettings.from_dict(config["loss"]),
            "trainer": TrainerSettings.from_dict(config["trainer"]),
            "early_stopping": None if stopping is None else EarlyStoppingSettings(stopping),
            "callbacks": config.get("callbacks") or {},
            "logger": config.get("logger") or {},
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
