"""Learning-rate schedules by name."""

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau

from trajerr.errors import ConfigError
from trajerr.training.settings import ScheduleSettings

SCHEDULES = ("plateau", "cosine", "one_cycle", "constant")


def make_schedule(
    optimizer: Optimizer, schedule: ScheduleSettings, total_steps: int
) -> dict[str, Any]:
    """Return a schedule in the form that Lightning takes.

    Parameters
    ----------
    optimizer
        Whose learning rate changes.
    schedule
        Its name, of :data:`SCHEDULES`; for ``plateau`` its factor and patience, for all
        others the share of all steps in which the rate rises.
    total_steps
        Steps of the whole training.

    Raises
    ------
    ConfigError
        The name is unknown, or a value that it needs is missing.
    """
    name = schedule.name
    if name not in SCHEDULES:
        raise ConfigError(
            f"model.schedule.name: got {name}, expected one of {', '.join(SCHEDULES)}"
        )
    if name == "plateau":
        patience = int(_needed(schedule, "patience"))
        plateau = ReduceLROnPlateau(
            optimizer, factor=_needed(schedule, "factor"), patience=patience
        )
        return {"scheduler": plateau, "monitor": "val/loss", "interval": "epoch"}
    share = _needed(schedule, "warm_up")
    warm_up = max(1, round(share * total_steps))
    if name == "cosine":
        steps = LambdaLR(optimizer, lambda step: cosine_factor(step, warm_up, total_steps))
        return {"scheduler": steps, "interval": "step"}
    if name == "one_cycle":
        peak = optimizer.param_groups[0]["lr"]
        cycle = OneCycleLR(
            optimizer,
            peak,
            total_steps + 1,
            pct_start=share,
            cycle_momentum="betas" in optimizer.defaults,
        )
        return {"scheduler": cycle, "interval": "step"}
    flat = LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / warm_up))
    return {"scheduler": flat, "interval": "step"}


def _needed(schedule: ScheduleSettings, key: str) -> float:
    value: float | None = getattr(schedule, key)
    if value is None:
        raise ConfigError(f"model.schedule.{key}: got null, expected a number for {schedule.name}")
    return value


def cosine_factor(step: int, warm_up: int, total: int) -> float:
    """Return the share of the peak rate at a step: linear rise, then half a cosine to 1 %."""
    if step < warm_up:
        return (step + 1) / warm_up
    progress = min(1.0, (step - warm_up) / max(1, total - warm_up))
    return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * progress))
