"""Optimiser, schedule, loss and early stopping of a training, as configs describe them.

Each knows the keys that it reads and refuses any other. A class of the user's own, named by
``_target_``, takes the rest of its keys as arguments.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Self

from lightning.pytorch.callbacks import EarlyStopping
from torch.optim import SGD, Adam, AdamW, Muon
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau

from trajerr.checks import require_known
from trajerr.errors import ConfigError
from trajerr.models.foreign import TARGET, find, is_foreign, parameters
from trajerr.shipped import fields_of
from trajerr.training.ranges import Range, require_within

Plain = Mapping[str, Any]

OPTIMIZERS: Mapping[str, tuple[Any, ...]] = {  # name → classes whose arguments it takes
    "muon": (Muon, AdamW),
    "adamw": (AdamW,),
    "adam": (Adam,),
    "sgd": (SGD,),
}
SCHEDULES: Mapping[str, tuple[Any, ...]] = {
    "plateau": (ReduceLROnPlateau,),
    "cosine": (),
    "one_cycle": (OneCycleLR,),
    "constant": (),
}
NEED_AN_END = ("cosine", "one_cycle")  # schedules that are spread over all steps
GIVEN = ("self", "params", "optimizer", "lr", "max_lr", "total_steps", "adjust_lr_fn")  # by us
OF_A_SCHEDULE = ("interval", "monitor", "frequency")  # Lightning's, beside a schedule's own


@dataclass(frozen=True)
class OptimizerSettings:
    """Which optimiser, of :data:`OPTIMIZERS` or of the user's own, at which rate.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    name: str
    lr: float  # peak
    weight_decay: float
    arguments: Plain = field(default_factory=dict)  # further ones, or the user's own class

    def __post_init__(self) -> None:
        require_within("model.optimizer.lr", self.lr, Range(0, 1e3, above=True))
        require_within("model.optimizer.weight_decay", self.weight_decay, Range(0, 1e3))

    @classmethod
    def from_dict(cls, values: Plain) -> Self:
        """Part the keys that all optimisers share from the arguments of one."""
        own = fields_of(cls, values)
        if is_foreign(values):
            own = {"name": values[TARGET], "weight_decay": 0.0, **own}
        for key in ("name", "lr", "weight_decay"):
            if key not in own:
                raise ConfigError(
                    f"model.optimizer.{key}: missing, expected a value; choose optimizer=adamw"
                )
        made = cls(**own, arguments={k: v for k, v in values.items() if k not in own})
        require_arguments("model.optimizer", made, OPTIMIZERS)
        return made


@dataclass(frozen=True)
class ScheduleSettings:
    """How the learning rate goes, by a name of :data:`SCHEDULES` or a class of the user's own.

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
    arguments: Plain = field(default_factory=dict)  # further ones, or the user's own class

    def __post_init__(self) -> None:
        factor = Range(0, 1, above=True, below=True)
        require_within("model.schedule.warm_up", self.warm_up, Range(0, 1))
        require_within("model.schedule.factor", self.factor, factor)
        require_within("model.schedule.patience", self.patience, Range(0))

    @classmethod
    def from_dict(cls, values: Plain) -> Self:
        """Part our own keys from the arguments of a class."""
        own = fields_of(cls, values)
        if is_foreign(values):
            own = {**own, "name": values[TARGET]}
        if "name" not in own:
            raise ConfigError(
                "model.schedule.name: missing, expected a value; choose schedule=cosine"
            )
        made = cls(**own, arguments={k: v for k, v in values.items() if k not in own})
        require_arguments("model.schedule", made, SCHEDULES)
        return made

    @property
    def needs_an_end(self) -> bool:
        """Whether it is spread over all steps."""
        return not is_foreign(self.arguments) and self.name in NEED_AN_END


@dataclass(frozen=True)
class LossSettings:
    """The terms of the loss and what of a window they leave out.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    squared_weight: float  # of the squared errors, beside the absolute ones
    lambda_physics: float  # weight of the axis equation's residual
    thermal_weight: float  # weight of a head that predicts the temperatures
    burn_in: int | None  # samples at a window's begin; None: one settling time of the printer
    burn_in_without_printer: int  # samples
    printer: Plain | None  # of the physics loss; None: what the data names
    uncertainty_mm: float | None = None  # by which a recorded layer counts half; None: all alike
    arguments: Plain = field(default_factory=dict)  # the user's own class for the first term

    def __post_init__(self) -> None:
        weights = ("squared_weight", "lambda_physics", "thermal_weight")
        for key in (*weights, "burn_in", "burn_in_without_printer"):
            require_within(f"loss.{key}", getattr(self, key), Range(0))
        require_within("loss.uncertainty_mm", self.uncertainty_mm, Range(0, above=True))
        if self.printer is not None and "kinematics" not in self.printer:
            raise ConfigError(
                f"loss.printer: got {self.printer}, expected the keys of a conf/printer"
            )
        if not is_foreign(self.arguments):
            require_known("loss", self.arguments, set(self.__dataclass_fields__) - {"arguments"})

    @classmethod
    def from_dict(cls, values: Plain) -> Self:
        """Part our own keys from the arguments of the user's class."""
        own = fields_of(cls, values)
        needed = {f.name for f in fields(cls) if f.default is f.default_factory is MISSING}
        for key in needed - own.keys():
            raise ConfigError(f"loss.{key}: missing; a loss of your own has `defaults: [default]`")
        return cls(**own, arguments={k: v for k, v in values.items() if k not in own})


@dataclass(frozen=True)
class EarlyStoppingSettings:
    """When a training ends before its last epoch: arguments of Lightning's EarlyStopping.

    Raises
    ------
    ConfigError
        If a key is unknown or a value is out of range; the message names the key.
    """

    arguments: Plain

    def __post_init__(self) -> None:
        require_known("early_stopping", self.arguments, parameters(EarlyStopping) or ())
        for key in ("patience", "min_delta"):
            require_within(f"early_stopping.{key}", self.arguments[key], Range(0))


def flat(settings: OptimizerSettings | ScheduleSettings | LossSettings) -> dict[str, Any]:
    """Return settings as the plain values that ``from_dict`` takes."""
    own = {f.name: getattr(settings, f.name) for f in fields(settings) if f.name != "arguments"}
    return {**own, **settings.arguments}


def require_arguments(
    where: str,
    settings: OptimizerSettings | ScheduleSettings,
    known: Mapping[str, tuple[Any, ...]],
) -> None:
    """Refuse an unknown name, and arguments that neither its classes nor the user's own take.

    Raises
    ------
    ConfigError
        Naming the key.
    """
    name, arguments = settings.name, settings.arguments
    if is_foreign(arguments):
        taken = parameters(find(f"{where}.{TARGET}", str(arguments[TARGET])))
        extra = OF_A_SCHEDULE if known is SCHEDULES else ()
        if taken is not None:
            require_known(where, arguments, {*taken, *extra, TARGET} - {"self", "params"})
        return
    if name not in known:
        raise ConfigError(f"{where}.name: got {name}, expected one of {', '.join(known)}")
    taken = set().union(*(parameters(kind) or () for kind in known[name])) - {*GIVEN}
    shared = {"name", "lr", "weight_decay"} if known is OPTIMIZERS else {"name", "warm_up"}
    require_known(where, arguments, taken | shared)
