"""A run's settings as an experiment config: what differs from the command's defaults."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.types import RunMode
from omegaconf import OmegaConf

from trajerr.files import write_atomically
from trajerr.sweeping.report import plain_config

Plain = Mapping[str, Any]
NOT_OF_A_GROUP = ("experiment",)  # its content is in the run's config already


def write_experiment(
    path: Path,
    comment: Sequence[str],
    run: Path,
    keys: Iterable[str],
    loader: ConfigLoader,
    config_name: str,
) -> None:
    """Write an experiment config that repeats a run.

    Parameters
    ----------
    path
        Of the config.
    comment
        Lines at its top.
    run
        The run's folder.
    keys
        Dotted, to be stated even where they are at their defaults.
    loader, config_name
        Of the command, to compose its defaults.
    """
    hydra: Any = OmegaConf.load(run / ".hydra" / "hydra.yaml")
    choices = {
        group: choice
        for group, choice in hydra.hydra.runtime.choices.items()
        if "/" not in group and group not in NOT_OF_A_GROUP and choice is not None
    }
    usual = _compose(loader, config_name, [])
    chosen = _compose(loader, config_name, [f"{g}={c}" for g, c in choices.items()])
    overrides = [
        {f"override /{group}": choice}
        for group, choice in choices.items()
        if usual.hydra.runtime.choices.get(group) != choice
    ]
    defaults: Any = OmegaConf.to_container(chosen)
    of_the_run = plain_config(run)
    stated = [key for key in keys if key not in choices]
    changes = difference(defaults, of_the_run, stated)
    content = {**({"defaults": overrides} if overrides else {}), **changes}
    head = "".join(f"# {line}\n" for line in ("@package _global_", *comment))
    text = head + (OmegaConf.to_yaml(OmegaConf.create(content)) if content else "{}\n")
    write_atomically(path, text.encode())


def _compose(loader: ConfigLoader, config_name: str, overrides: list[str]) -> Any:  # noqa: ANN401
    return loader.load_configuration(config_name, overrides, run_mode=RunMode.RUN)


def difference(before: Plain, after: Plain, stated: Collection[str] = ()) -> dict[str, Any]:
    """Return what has to be merged into a nested config to make another of it.

    Parameters
    ----------
    before, after
        Nested configs.
    stated
        Dotted keys that are returned even where they are the same.
    """
    changes: dict[str, Any] = {}
    for key, value in after.items():
        if isinstance(value, Mapping) and isinstance(before.get(key), Mapping):
            within = [k.removeprefix(f"{key}.") for k in stated if k.startswith(f"{key}.")]
            if inner := difference(before[key], value, within):
                changes[key] = inner
        elif key not in before or value != before[key] or key in stated:
            changes[key] = value
    return changes
