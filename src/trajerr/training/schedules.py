"""Learning-rate schedules from what a config says of them."""

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau

from trajerr.errors import ConfigError
from trajerr.models.foreign import TARGET, find, is_foreign, make, parameters
from trajerr.training.parts import OF_A_SCHEDULE, SCHEDULES, ScheduleSettings, require_arguments

EPOCH = "epoch"  # how often Lightning steps a schedule that does not say


def make_schedule(
    optimizer: Optimizer, schedule: ScheduleSettings, total_steps: float
) -> dict[str, Any]:
    """Return a schedule in the form that Lightning takes.

    Parameters
    ----------
    optimizer
        Whose learning rate changes.
    schedule
        Its name, or a class of the user's own; for ``plateau`` its factor and patience, for
        all others the share of all steps in which the rate rises.
    total_steps
        Steps of the whole training; infinite where it has no end.

    Raises
    ------
    ConfigError
        The name is unknown, or a value that it needs is missing.
    """
    try:
        return _make(optimizer, schedule, total_steps)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"model.schedule: {schedule.name}: {error}") from error


def _make(optimizer: Optimizer, schedule: ScheduleSettings, total_steps: float) -> dict[str, Any]:
    if is_foreign(schedule.arguments):
        return _make_foreign(optimizer, schedule)
    require_arguments("model.schedule", schedule, SCHEDULES)
    name = schedule.name
    if name == "plateau":
        patience = int(_needed(schedule, "patience"))
        plateau = ReduceLROnPlateau(
            optimizer, factor=_needed(schedule, "factor"), patience=patience, **schedule.arguments
        )
        return {"scheduler": plateau, "monitor": "val/loss", "interval": EPOCH}
    share = _needed(schedule, "warm_up")
    warm_up = max(1, round(share * total_steps)) if math.isfinite(total_steps) else 1
    if name == "cosine":
        steps = LambdaLR(optimizer, lambda step: cosine_factor(step, warm_up, total_steps))
        return {"scheduler": steps, "interval": "step"}
    if name == "one_cycle":
        peak = optimizer.param_groups[0]["lr"]
        cycle = OneCycleLR(
            optimizer,
            peak,
            int(total_steps) + 1,
            pct_start=share,
            **{"cycle_momentum": "betas" in optimizer.defaults, **schedule.arguments},
        )
        return {"scheduler": cycle, "interval": "step"}
    flat = LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / warm_up))
    return {"scheduler": flat, "interval": "step"}


def _make_foreign(optimizer: Optimizer, schedule: ScheduleSettings) -> dict[str, Any]:
    """Make a schedule of the user's own; factor and patience are its own where it takes them."""
    said = {k: v for k, v in schedule.arguments.items() if k not in OF_A_SCHEDULE}
    taken = parameters(find(f"model.schedule.{TARGET}", str(said[TARGET]))) or set()
    ours = {"factor": schedule.factor, "patience": schedule.patience}
    given = {key: value for key, value in ours.items() if key in taken and value is not None}
    made = make("model.schedule", {**said, **given}, optimizer)
    lightnings = {k: v for k, v in schedule.arguments.items() if k in OF_A_SCHEDULE}
    return {"scheduler": made, "interval": EPOCH, "monitor": "val/loss", **lightnings}


def _needed(schedule: ScheduleSettings, key: str) -> float:
    value: float | None = getattr(schedule, key)
    if value is None:
        raise ConfigError(f"model.schedule.{key}: got null, expected a number for {schedule.name}")
    return value


def cosine_factor(step: int, warm_up: int, total: float) -> float:
    """Return the share of the peak rate at a step: linear rise, then half a cosine to 1 %."""
    if step < warm_up:
        return (step + 1) / warm_up
    progress = min(1.0, (step - warm_up) / max(1, total - warm_up))
    return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * progress))
