"""Classes that people bring along, by ``_target_`` in a config: found, checked, called.

Only what a caller allows is ever imported. A command allows what configs of the user's own
name; a checkpoint allows nothing, as it may come from anywhere.
"""

import importlib
import inspect
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from trajerr.checks import require_known
from trajerr.errors import ConfigError, in_one_line

TARGET = "_target_"
HARMLESS = "_convert_"  # how Hydra hands containers over; here they are always plain

Plain = Mapping[str, Any]


def is_foreign(config: Plain) -> bool:
    """Whether a config names its class itself."""
    return TARGET in config


def targets(config: object) -> Iterator[str]:
    """Yield each class that a config names, at any depth."""
    if isinstance(config, Mapping):
        if TARGET in config:
            yield str(config[TARGET])
        for value in config.values():
            yield from targets(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from targets(value)


def require_allowed(where: str, config: object, allowed: Collection[str]) -> None:
    """Refuse classes that nobody has allowed.

    Raises
    ------
    ConfigError
        Naming the class.
    """
    for name in targets(config):
        if name not in allowed:
            raise ConfigError(
                f"{where}.{TARGET}: got {name}, expected it to be allowed by a config of your own "
                "that names it, as model=MINE with conf/model/mine.yaml"
            )


def make(where: str, config: Plain, *given: object) -> Any:  # noqa: ANN401 - what it names
    """Call what a config names, with what it says, after all that is nested in it.

    Parameters
    ----------
    where
        Dotted key of the config, for messages.
    config
        ``_target_`` and keyword arguments.
    given
        Arguments that come before.

    Raises
    ------
    ConfigError
        There is no such class, or it takes no such arguments.
    """
    kind = find(f"{where}.{TARGET}", str(config[TARGET]))
    values = {
        key: _nested(f"{where}.{key}", value)
        for key, value in config.items()
        if key not in (TARGET, HARMLESS)
    }
    accepted = parameters(kind)
    if accepted is not None:
        require_known(where, values, accepted)
    try:
        return kind(*given, **values)
    except (TypeError, ValueError, ImportError) as error:
        raise ConfigError(f"{where}: {config[TARGET]}: {in_one_line(error)}") from error


def find(where: str, name: str) -> Any:  # noqa: ANN401 - whatever has that name
    """Return what a dotted name stands for; modules beside the user's ``conf/`` are found.

    Raises
    ------
    ConfigError
        There is none.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"{where}: got {name}, expected what can be imported: {in_one_line(error)}"
        ) from error
    if not callable(found):
        raise ConfigError(f"{where}: got {name}, expected a class or a function")
    return found


def parameters(kind: Any) -> set[str] | None:  # noqa: ANN401 - any callable
    """Return the names that a callable takes; None where it takes any, or does not say."""
    try:
        stated = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in stated):
        return None
    return {parameter.name for parameter in stated}


def _nested(where: str, value: object) -> Any:  # noqa: ANN401 - as make
    if isinstance(value, Mapping):
        if TARGET in value:
            return make(where, value)
        return {key: _nested(f"{where}.{key}", inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_nested(f"{where}[{index}]", inner) for index, inner in enumerate(value)]
    return value
