"""Optimisers by name."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import AdamW, Muon, Optimizer

from trajerr.errors import ConfigError
from trajerr.training.settings import OptimizerSettings

OPTIMIZERS = ("muon", "adamw")


def make_optimizer(
    parameters: Iterable[Parameter], settings: OptimizerSettings, rate: float
) -> Optimizer:
    """Return an optimiser.

    Parameters
    ----------
    parameters
        Of the network and what is trained with it.
    settings
        Its name, of :data:`OPTIMIZERS`, and its decay.
    rate
        Peak learning rate, which a range test may have found.

    Raises
    ------
    ConfigError
        The name is unknown, or there is no matrix for Muon.
    """
    name, decay = settings.name, settings.weight_decay
    if name == "adamw":
        return AdamW(parameters, lr=rate, weight_decay=decay)
    if name == "muon":
        return MuonAdamW(parameters, rate, decay)
    raise ConfigError(f"model.optimizer.name: got {name}, expected one of {', '.join(OPTIMIZERS)}")


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

    Raises
    ------
    ConfigError
        There is no matrix.
    """

    def __init__(self, parameters: Iterable[Parameter], rate: float, weight_decay: float) -> None:
        trained = list(parameters)
        matrices = [p for p in trained if _is_matrix(p)]
        others = [p for p in trained if not _is_matrix(p)]
        if not matrices:
            raise ConfigError(
                "model.optimizer.name: got muon, expected adamw: this model has no weight matrices"
            )
        self._parts: list[Optimizer] = [
            Muon(matrices, lr=rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
        ]
        if others:
            self._parts.append(AdamW(others, lr=rate, weight_decay=weight_decay))
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
