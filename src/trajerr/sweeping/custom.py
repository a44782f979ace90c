"""What a function of the user's own suggests to a trial, beside the space."""

from collections.abc import Callable
from typing import Any

import optuna

from trajerr.models.foreign import find


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
    function = find("hydra.sweeper.custom_search_space", name)
    return lambda trial: function(config, trial)
