"""Learning-rate schedules by name."""

import math
from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau

from trajerr.errors import ConfigError

SCHEDULES = ("plateau", "cosine", "one_cycle", "constant")


def make_schedule(
    optimizer: Optimizer, schedule: Mapping[str, Any], total_steps: int
) -> dict[str, Any]:
    """Return a schedule in the form that Lightning takes.

    Parameters
    ----------
    optimizer
        Whose learning rate changes.
    schedule
        ``name`` of :data:`SCHEDULES`; for ``plateau`` its ``factor`` and ``patience``
        (epochs), for ``cosine`` and ``one_cycle`` the share ``warm_up`` of all steps.
    total_steps
        Steps of the whole training.

    Raises
    ------
    ConfigError
        The name is unknown.
    """
    name = schedule["name"]
    if name == "plateau":
        plateau = ReduceLROnPlateau(
            optimizer, factor=schedule["factor"], patience=schedule["patience"]
        )
        return {"scheduler": plateau, "monitor": "val/loss", "interval": "epoch"}
    warm_up = max(1, round(schedule["warm_up"] * total_steps))
    if name == "cosine":
        steps = LambdaLR(optimizer, lambda step: cosine_factor(step, warm_up, total_steps))
        return {"scheduler": steps, "interval": "step"}
    if name == "one_cycle":
        peak = optimizer.param_groups[0]["lr"]
        cycle = OneCycleLR(
            optimizer,
            peak,
            total_steps + 1,
            pct_start=schedule["warm_up"],
            cycle_momentum="betas" in optimizer.defaults,
        )
        return {"scheduler": cycle, "interval": "step"}
    if name == "constant":
        flat = LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / warm_up))
        return {"scheduler": flat, "interval": "step"}
    raise ConfigError(f"model.schedule.name is {name!r}, expected one of {', '.join(SCHEDULES)}")


def cosine_factor(step: int, warm_up: int, total: int) -> float:
    """Return the share of the peak rate at a step: linear rise, then half a cosine to 1 %."""
    if step < warm_up:
        return (step + 1) / warm_up
    progress = min(1.0, (step - warm_up) / max(1, total - warm_up))
    return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * progress))
