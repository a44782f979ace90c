"""Keys at the top of a command's config that something reads; any other is a mistake.

Deeper ones are known to what takes them: the classes and settings that configs describe.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from trajerr.checks import require_known
from trajerr.commands.building import TARGET
from trajerr.shipped import conf_dir, shipped

GLOBAL = re.compile(r"#\s*@package\s+_global_\s*$", re.MULTILINE)
DEFAULTS, SELF, HYDRA = "defaults", "_self_", "hydra"


def require_known_keys(root: str, config: Mapping[str, Any]) -> None:
    """Refuse keys that a command does not know, unless another value of the config names them.

    Parameters
    ----------
    root
        Name of the command's config.
    config
        The whole of it, interpolations as they stand.

    Raises
    ------
    ConfigError
        Naming the key and the nearest one that is known.
    """
    if not (conf_dir() / f"{root}.yaml").is_file():
        return  # a command of somebody else's
    named = set(_interpolated(config))
    unknown = {key: value for key, value in config.items() if key not in named}
    require_known("", unknown, set(top_keys(root)))
    for key, usual in shipped(root).items():
        given = config.get(key) or {}
        if _is_plain(usual) and _is_plain(given):
            require_known(key, given, usual)


def groups(root: str) -> Iterator[str]:
    """Yield the names of the groups that a command chooses from, those within groups too."""
    for name, option in _chosen(root):
        if name:
            yield name
        for file in _options(name, option):
            yield from groups(file)


def top_keys(root: str) -> Iterator[str]:
    """Yield the keys that a command's config may have at its top."""
    yield from (key for key in shipped(root) if key not in (DEFAULTS, HYDRA))
    for name, option in _chosen(root):
        global_files = [file for file in _options(name, option) if _is_global(file)]
        for file in global_files:
            yield from top_keys(file)
        if name and not global_files:
            yield name


def _chosen(root: str) -> Iterator[tuple[str, str | None]]:
    """Yield group and option of each line of a defaults list; a file of no group has no group."""
    for line in shipped(root).get(DEFAULTS, ()):
        if isinstance(line, Mapping):
            for said, option in line.items():
                words = said.split()
                if "override" not in words:
                    yield words[-1].lstrip("/"), option
        elif line != SELF and "/" not in root:
            yield "", line


def _options(group: str, option: str | None) -> list[str]:
    if option is None:
        return []
    file = f"{group}/{option}" if group else option
    return [file] if (conf_dir() / f"{file}.yaml").is_file() else []


def _is_global(file: str) -> bool:
    return GLOBAL.search((conf_dir() / f"{file}.yaml").read_text(encoding="utf-8")) is not None


def _is_plain(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value) and TARGET not in value


def _interpolated(config: object) -> Iterator[str]:
    """Yield the first part of each key that some value is filled in from."""
    if isinstance(config, Mapping):
        for value in config.values():
            yield from _interpolated(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _interpolated(value)
    elif isinstance(config, str):
        yield from re.findall(r"\$\{\s*(\w+)[.\[}]", config)
