"""Objects from configs: a ``_target_`` names one of trajerr's own classes, or nothing is made.

Configs of printers, logs and experiments are passed on among people, so they are data: what
they can name stands in one table here, and no name outside it is ever imported. Knows no
Hydra, whose ``instantiate`` calls whatever it is told to.
"""

import inspect
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from trajerr.errors import ConfigError

TARGET = "_target_"
HARMLESS = "_convert_"  # says how Hydra hands containers over; here they are always plain
CALLS = (TARGET, "_args_", "_partial_", "_recursive_")  # Hydra's words for what is called, and how
CLASSES = frozenset(
    {
        "trajerr.calibration.identify.Unknowns",
        "trajerr.calibration.resonance.Sweep",
        "trajerr.calibration.run.Accelerometer",
        "trajerr.calibration.run.CalibrationRun",
        "trajerr.training.datamodule.PrinterDataModule",
        "trajerr.dataset.logs.LogAxis",
        "trajerr.dataset.logs.LogFormat",
        "trajerr.dataset.logs.LogSection",
        "trajerr.dataset.preparation.PrepareSettings",
        "trajerr.dataset.repair.FaultSettings",
        "trajerr.dataset.splits.SplitSettings",
        "trajerr.correction.settings.CorrectionSettings",
        "trajerr.correction.run.CorrectionRun",
        "trajerr.correction.pieces.EmissionSettings",
        "trajerr.correction.learning.LearningSettings",
        "trajerr.refining.settings.RefineSettings",
        "trajerr.dynamics.axis.AxisParameters",
        "trajerr.dynamics.printer.Printer",
        "trajerr.dynamics.thermal.ThermalParameters",
        "trajerr.evaluation.assess.EvaluateSettings",
        "trajerr.evaluation.scores.Bins",
        "trajerr.motion.limits.MachineLimits",
    }
)


def build(config: object, where: str) -> Any:  # noqa: ANN401 - what the config names
    """Return what a config describes, with all that is nested in it.

    Parameters
    ----------
    config
        Plain containers and values, interpolations filled in.
    where
        Dotted key of the config, for messages.

    Raises
    ------
    ConfigError
        If a ``_target_`` at any depth is none of :data:`CLASSES` (nothing is made then), a key
        is none of the class's, a needed one is missing, or a value is out of range.
    """
    for key, value in calls(config, where):
        require_own(key, value)
    return _build(config, where)


def calls(config: object, where: str = "") -> Iterator[tuple[str, object]]:
    """Yield dotted key and value of each of :data:`CALLS` in plain containers, at any depth."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            place = f"{where}.{key}" if where else str(key)
            if key in CALLS:
                yield place, value
            yield from calls(value, place)
    elif isinstance(config, list | tuple):
        for index, value in enumerate(config):
            yield from calls(value, f"{where}[{index}]")


def require_own(key: str, value: object) -> None:
    """Refuse a key of :data:`CALLS`, unless it names one of trajerr's own classes.

    Raises
    ------
    ConfigError
        Naming the key and what it got.
    """
    if key.rpartition(".")[2] != TARGET:
        raise ConfigError(f"{key}: got {value}, expected no such key, as a config is data")
    if not isinstance(value, str) or value not in CLASSES:
        raise ConfigError(
            f"{key}: got {value}, expected a class of trajerr's own, as in the shipped configs: "
            "a config is data and runs no other code"
        )


def _build(config: object, where: str) -> Any:  # noqa: ANN401 - as above
    if isinstance(config, list | tuple):
        return [_build(value, f"{where}[{index}]") for index, value in enumerate(config)]
    if not isinstance(config, Mapping):
        return config
    values = {
        key: _build(value, f"{where}.{key}")
        for key, value in config.items()
        if key not in (TARGET, HARMLESS)
    }
    return _make(config[TARGET], values, where) if TARGET in config else values


def _make(target: str, values: Mapping[str, Any], where: str) -> Any:  # noqa: ANN401 - as above
    module, _, name = target.rpartition(".")
    kind = getattr(import_module(module), name)
    try:
        inspect.signature(kind).bind(**values)
    except TypeError as error:
        raise ConfigError(f"{where}: {name}: {error}") from error
    return kind(**values)
