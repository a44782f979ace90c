"""Objects from configs: a ``_target_`` names one of trajerr's own classes, or nothing is made.

Configs of printers, logs and experiments are passed on among people, so they are data: what
they can name stands in one table here, and no name outside it is ever imported. Knows no
Hydra, whose ``instantiate`` calls whatever it is told to.
"""

import inspect
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from trajerr.checks import require
from trajerr.errors import ConfigError

TARGET = "_target_"
HARMLESS = "_convert_"  # says how Hydra hands containers over; here they are always plain
CALLS = (TARGET, "_args_", "_partial_", "_recursive_")  # Hydra's words for what is called, and how
LEFT_OUT = "???"  # Hydra's word for a value that a person has to give
CLASSES = frozenset(
    {
        "trajerr.calibration.identify.Unknowns",
        "trajerr.calibration.resonance.Sweep",
        "trajerr.calibration.ripples.Reading",
        "trajerr.calibration.run.Accelerometer",
        "trajerr.correction.settings.LearningSettings",
        "trajerr.dataset.logs.LogAxis",
        "trajerr.dataset.logs.LogFormat",
        "trajerr.dataset.logs.LogSection",
        "trajerr.dataset.quality.QualityLimits",
        "trajerr.dataset.repair.FaultSettings",
        "trajerr.dataset.splits.SplitSettings",
        "trajerr.dataset.sensor_logs.AccelerometerLog",
        "trajerr.dataset.sensor_logs.MotanLog",
        "trajerr.dynamics.axis.AxisParameters",
        "trajerr.dynamics.printer.Printer",
        "trajerr.dynamics.thermal.ThermalParameters",
        "trajerr.evaluation.scores.Bins",
        "trajerr.motion.limits.MachineLimits",
        "trajerr.recordings.accelerometer.Columns",
        "trajerr.refining.settings.RefineSettings",
        "trajerr.test_prints.excitation.Excitation",
        "trajerr.test_prints.shakedown.Shakedown",
        "trajerr.test_prints.tower.RingingTower",
        "trajerr.training.datamodule.PrinterDataModule",
    }
)
MOVED = {  # names in files that people wrote for earlier versions
    "trajerr.correction.learning.LearningSettings": "trajerr.correction.settings.LearningSettings",
    "trajerr.data.datamodule.PrinterDataModule": "trajerr.training.datamodule.PrinterDataModule",
    "trajerr.data.logs.LogAxis": "trajerr.dataset.logs.LogAxis",
    "trajerr.data.logs.LogFormat": "trajerr.dataset.logs.LogFormat",
    "trajerr.data.logs.LogSection": "trajerr.dataset.logs.LogSection",
}

if TYPE_CHECKING:
    from trajerr.dynamics.printer import Printer

T = TypeVar("T")


def pick(kind: type[T], config: Mapping[str, Any], **given: object) -> T:
    """Build a dataclass from those keys of a config that have its fields' names.

    Parameters
    ----------
    kind
        The dataclass.
    config
        A whole config; what its keys hold is built by :func:`build`.
    given
        Fields that come from elsewhere; keys of their names are passed over.

    Raises
    ------
    ConfigError
        As :func:`build`, or a key is missing.
    """
    wanted = [field for field in fields(kind) if field.name not in given]  # type: ignore[arg-type]
    for field in wanted:
        is_needed = field.default is MISSING and field.default_factory is MISSING
        if is_needed and field.name not in config:
            raise ConfigError(f"{field.name}: missing from the config, expected a value")
    named = [field.name for field in wanted if field.name in config]
    return kind(**{name: build(config[name], name) for name in named}, **given)


def build(config: object, where: str, **given: object) -> Any:  # noqa: ANN401 - what it names
    """Return what a config describes, with all that is nested in it.

    Parameters
    ----------
    config
        Plain containers and values, interpolations filled in.
    where
        Dotted key of the config, for messages.
    given
        Further arguments of the class at its top, where the config does not state them.

    Raises
    ------
    ConfigError
        If a ``_target_`` at any depth is none of :data:`CLASSES` (nothing is made then), a key
        is none of the class's, a needed one is missing or ``???``, or a value is out of range.
    """
    named = list(calls(config, where))
    for key, value in named:
        require_own(key, value)
    _tell_moved({str(value) for _, value in named} & MOVED.keys(), where)
    return _build({**given, **config} if isinstance(config, Mapping) else config, where)


def build_printer(config: object) -> "Printer":
    """Return the printer that a config's ``printer`` describes.

    Raises
    ------
    ConfigError
        As :func:`build`, or the config is of something else.
    """
    from trajerr.dynamics.printer import Printer  # brings Numba; not for --help

    made = build(config, "printer")
    if not isinstance(made, Printer):
        raise ConfigError(_unnamed(Printer, "printer"))
    return made


def _unnamed(kind: type, where: str) -> str:
    target = f"{kind.__module__}.{kind.__qualname__}"
    return f"{where}.{TARGET}: missing, expected {target}, as in the shipped configs"


def _tell_moved(old: set[str], where: str) -> None:
    if old:
        moves = ", ".join(f"{name} is now {MOVED[name]}" for name in sorted(old))
        sys.stderr.write(f"{where}: {moves}; please change the file\n")


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
    is_target = key.rpartition(".")[2] == TARGET
    require(key, value, is_target, "no such key, as a config is data")
    is_own = isinstance(value, str) and value in CLASSES | MOVED.keys()
    expected = (
        "a class of trajerr's own, as in the shipped configs: a config is data and runs no "
        "other code"
    )
    require(key, value, is_own, expected)


def _build(config: object, where: str) -> Any:  # noqa: ANN401 - as above
    if isinstance(config, list | tuple):
        return [_build(value, f"{where}[{index}]") for index, value in enumerate(config)]
    if config == LEFT_OUT:
        raise ConfigError(f"{where}: not given, expected {where}=VALUE")
    if not isinstance(config, Mapping):
        return config
    values = {
        key: _build(value, f"{where}.{key}")
        for key, value in config.items()
        if key not in (TARGET, HARMLESS)
    }
    return _make(config[TARGET], values, where) if TARGET in config else values


def _nearest(values: Collection[str], known: Collection[str]) -> str:
    """Return which known key each unknown one is nearest to, as the end of a sentence."""
    near = [get_close_matches(key, known, 1, 0.0)[0] for key in values if key not in known]
    return f"; the nearest known is {', '.join(near)}" if near else ""


def allowed_classes(config: Mapping[str, Any]) -> frozenset[str]:
    """Return the classes that a checkpoint may name, as the config's ``model`` names them.

    Raises
    ------
    ConfigError
        ``model`` names a network of trajerr's own, which a checkpoint has with it.
    """
    model = config.get("model") or {}
    found = frozenset(str(value) for key, value in calls(model) if key.rpartition(".")[2] == TARGET)
    if model and not found:
        raise ConfigError(
            f"model: got {model.get('name')}, expected a network of your own, by {TARGET}; a "
            "checkpoint knows trajerr's own by itself"
        )
    return found


def _make(target: str, values: Mapping[str, Any], where: str) -> Any:  # noqa: ANN401 - as above
    module, _, name = MOVED.get(target, target).rpartition(".")
    kind = getattr(import_module(module), name)
    try:
        inspect.signature(kind).bind(**values)
    except TypeError as error:
        near = _nearest(values, inspect.signature(kind).parameters)
        raise ConfigError(f"{where}: {name}: {error}{near}") from error
    data = [key for key, value in values.items() if isinstance(value, Mapping)]
    hints = get_type_hints(kind) if data and is_dataclass(kind) else {}
    for key in data:
        part = hints.get(key)
        if isinstance(part, type) and is_dataclass(part):
            raise ConfigError(_unnamed(part, f"{where}.{key}"))
    return kind(**values)
