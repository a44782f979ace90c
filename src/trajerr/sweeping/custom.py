"""What a function of the user's own suggests to a trial, beside the space."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna

from trajerr.errors import ConfigError


def custom_suggestions(
    name: str | None,
    config: Any,  # noqa: ANN401 - Hydra's
) -> Callable[[optuna.Trial], None] | None:
    """Return what suggests further values to a trial: ``function(config, trial)``.

    Parameters
    ----------
    name
        Dotted, of the function; None: nothing does.
    config
        Of the multirun, that the function is given.

    Raises
    ------
    ConfigError
        There is no such function.
    """
    if name is None:
        return None
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    module, _, attribute = name.rpartition(".")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"hydra.sweeper.custom_search_space: got {name}, expected what can be imported: {error}"
        ) from error
    return lambda trial: function(config, trial)
