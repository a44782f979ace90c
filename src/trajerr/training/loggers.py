"""Logs of metrics, as the group ``logger`` names them."""

from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import (
    CSVLogger,
    Logger,
    MLFlowLogger,
    TensorBoardLogger,
    WandbLogger,
)
from torch.utils.tensorboard import SummaryWriter

from trajerr.checks import require_known
from trajerr.errors import ConfigError
from trajerr.models.foreign import TARGET, is_foreign, make, parameters

Plain = Mapping[str, Any]

KINDS: Mapping[str, type[Logger]] = {
    "tensorboard": TensorBoardLogger,
    "csv": CSVLogger,
    "wandb": WandbLogger,
    "mlflow": MLFlowLogger,
}
OF_TENSORBOARD = {  # the logger takes any argument, the writer below it only these
    name
    for kind in (TensorBoardLogger, SummaryWriter)
    for name in signature(kind).parameters
    if name not in ("kwargs", "log_dir")
}
EXTRAS = ("wandb", "mlflow")  # kinds that need an extra of the package of their name


def make_loggers(config: Plain, output: Path, run_name: str) -> list[Logger]:
    """Return the logs that a config names.

    Parameters
    ----------
    config
        Each log by its kind, of :data:`KINDS`, or by any name with a ``_target_``; what it
        holds are arguments of its class.
    output
        The run's folder, below which they write.
    run_name
        What a run is called where a log shows several.

    Raises
    ------
    ConfigError
        A kind or an argument is unknown, or a package is missing.
    """
    return [_make(kind, values or {}, output, run_name) for kind, values in config.items()]


def _make(kind: str, values: object, output: Path, run_name: str) -> Logger:
    where = f"logger.{kind}"
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: got {values}, expected key: value pairs")
    if is_foreign(values):
        made = make(where, values)
        if not isinstance(made, Logger):
            raise ConfigError(f"{where}: got a {type(made).__name__}, expected a Lightning Logger")
        return made
    if kind not in KINDS:
        expected = f"one of {', '.join(KINDS)}, or a class by {TARGET} in a file of conf/logger/"
        raise ConfigError(f"{where}: got no {TARGET}, expected {expected}")
    known = OF_TENSORBOARD if kind == "tensorboard" else parameters(KINDS[kind])
    if known is not None:
        require_known(where, values, known)
    try:
        return KINDS[kind](**{**_placed(kind, output, run_name), **_said(values)})
    except ModuleNotFoundError as error:
        if kind not in EXTRAS:
            raise
        raise ConfigError(
            f"{where}: needs a package that is not installed, expected `pip install "
            f"'trajerr[{kind}]'` before"
        ) from error
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from error


def _placed(kind: str, output: Path, run_name: str) -> dict[str, Any]:
    """Return what a log is given so that it writes into the run's folder under its name."""
    if kind == "tensorboard":
        return {"save_dir": output, "name": "", "version": kind, "default_hp_metric": False}
    if kind == "csv":
        return {"save_dir": output, "name": "", "version": _free(output, kind)}
    if kind == "wandb":
        return {"save_dir": output, "name": run_name}
    return {"run_name": run_name, "tracking_uri": f"file:{output / 'mlruns'}"}


def _free(output: Path, name: str) -> str:
    """Return a name that no folder has: a table of a resumed training leaves the first alone."""
    taken = sum(1 for path in output.glob(f"{name}*") if path.is_dir())
    return name if not taken else f"{name}_{taken + 1}"


def _said(values: Plain) -> dict[str, Any]:
    """Return arguments; a null of a place or a name leaves that to the run."""
    return {key: value for key, value in values.items() if value is not None}
