"""Optimisers from what a config says of them."""

from collections.abc import Callable, Iterable
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import AdamW, Muon, Optimizer

from trajerr.errors import ConfigError
from trajerr.models.foreign import TARGET, find, is_foreign, make, parameters
from trajerr.training.parts import OPTIMIZERS, OptimizerSettings, require_arguments


def make_optimizer(
    trained: Iterable[Parameter], settings: OptimizerSettings, rate: float
) -> Optimizer:
    """Return an optimiser.

    Parameters
    ----------
    trained
        Parameters of the network and what is trained with it.
    settings
        Its name, or a class of the user's own, with its arguments.
    rate
        Peak learning rate, which a range test may have found.

    Raises
    ------
    ConfigError
        An argument is out of range, or there is no matrix for Muon.
    """
    if is_foreign(settings.arguments):
        return _make_foreign(trained, settings, rate)
    require_arguments("model.optimizer", settings, OPTIMIZERS)
    given = {"lr": rate, "weight_decay": settings.weight_decay, **settings.arguments}
    try:
        if settings.name == "muon":
            return MuonAdamW(trained, given.pop("lr"), given.pop("weight_decay"), **given)
        (kind,) = OPTIMIZERS[settings.name]
        made: Optimizer = kind(trained, **given)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"model.optimizer: {settings.name}: {error}") from error
    return made


def _make_foreign(
    trained: Iterable[Parameter], settings: OptimizerSettings, rate: float
) -> Optimizer:
    name = str(settings.arguments[TARGET])
    taken = parameters(find(f"model.optimizer.{TARGET}", name))
    shared = {"lr": rate, "weight_decay": settings.weight_decay}
    given = {key: value for key, value in shared.items() if taken is None or key in taken}
    made = make("model.optimizer", {**settings.arguments, **given}, trained)
    if not isinstance(made, Optimizer):
        raise ConfigError(f"model.optimizer: got a {type(made).__name__}, expected an Optimizer")
    return made


class MuonAdamW(Optimizer):
    """Muon for matrices and AdamW for all else, under one learning rate.

    Muon (Jordan et al., 2024) makes the momentum of each matrix orthogonal, so that its rare
    directions are learnt as fast as its frequent ones. Its steps are scaled to the size of
    AdamW's (Liu et al., Muon is scalable for LLM training, 2025), hence the common rate.

    Parameters
    ----------
    parameters
        What is trained; matrices of one row or column count as vectors.
    rate
        Learning rate of both.
    weight_decay
        Decoupled, of both.
    arguments
        Further ones; each of both takes those that it knows.

    Raises
    ------
    ConfigError
        There is no matrix.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        rate: float,
        weight_decay: float,
        **arguments: Any,  # noqa: ANN401 - the classes' own
    ) -> None:
        trained = list(parameters)
        matrices = [p for p in trained if _is_matrix(p)]
        others = [p for p in trained if not _is_matrix(p)]
        if not matrices:
            raise ConfigError(
                "model.optimizer.name: got muon, expected adamw: this model has no weight matrices"
            )
        of_muon = {k: v for k, v in arguments.items() if k in signature(Muon).parameters}
        of_adamw = {k: v for k, v in arguments.items() if k in signature(AdamW).parameters}
        shared: dict[str, Any] = {"lr": rate, "weight_decay": weight_decay}
        self._parts: list[Optimizer] = [
            Muon(matrices, **shared, **of_muon, adjust_lr_fn="match_rms_adamw")
        ]
        if others:
            self._parts.append(AdamW(others, **shared, **of_adamw))
        groups = [group for part in self._parts for group in part.param_groups]
        super().__init__(groups, {"lr": rate, "weight_decay": weight_decay})
        self._share_groups()

    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]
        """Update all parameters; returns the closure's loss, where one is given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self._parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return both optimisers' states."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over both optimisers' states."""
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._share_groups()

    def _share_groups(self) -> None:
        """Let a schedule that changes our groups change the parts'."""
        self.param_groups = [group for part in self._parts for group in part.param_groups]


def _is_matrix(parameter: Parameter) -> bool:
    return parameter.ndim == 2 and min(parameter.shape) > 1
