"""The shipped configs' own values, read as plain YAML.

The one place where a default stands is ``conf/``; what is used from Python without a command
reads it here. Knows no Hydra: no overrides, and interpolations are not filled in.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml


def conf_dir() -> Path:
    """Return the folder of the shipped configs, in a checkout or in an installed wheel."""
    package = Path(__file__).resolve().parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


def shipped(name: str) -> dict[str, Any]:
    """Return the plain values of one shipped config.

    Parameters
    ----------
    name
        Of the file below ``conf/``, without its ending: ``"correct"``, ``"model/base"``.
    """
    text = (conf_dir() / f"{name}.yaml").read_text(encoding="utf-8")
    values: dict[str, Any] = yaml.safe_load(text)
    return values


def fields_of(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of some values that have the name of a dataclass's field."""
    return {f.name: values[f.name] for f in fields(kind) if f.name in values}
