"""The settings of a call: options before a file of one's own before the shipped ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from trajerr.checks import is_number
from trajerr.errors import ConfigError, in_one_line
from trajerr.files import from_home
from trajerr.shipped import conf_dir, shipped

OWN_FILE = "post.yaml"
_NOT_HERE = ("defaults", "hydra", "help_text", "gcode", "out", "in_place", "refine")
_PATHS = ("bundle", "report_dir", "log")  # relative ones count from the file that states them
MACHINES = "machines"

Settings = dict[str, Any]


def shipped_settings() -> Settings:
    """Return ``conf/correct.yaml`` and, before it, ``conf/post/defaults.yaml``."""
    both = shipped("correct") | shipped("post/defaults")
    return {key: value for key, value in both.items() if key not in _NOT_HERE}


def own_file() -> Path:
    """Return where a person's own settings stand on this system."""
    from platformdirs import user_config_path  # not needed where --config is given

    return user_config_path("trajerr", appauthor=False) / OWN_FILE


def read_settings(path: Path) -> Settings:
    """Return what a YAML file of a person's own states, paths made absolute.

    Raises
    ------
    ConfigError
        If it cannot be read, is no YAML, or states what no call takes.
    """
    stated = _read_yaml(path)
    machines = stated.pop(MACHINES, None) or {}
    if not isinstance(machines, Mapping):
        raise ConfigError(f"{path}: {MACHINES}: got {machines}, expected names and their keys")
    stated = _checked(stated, path)
    for name, keys in machines.items():
        if not isinstance(keys, Mapping):
            raise ConfigError(f"{path}: {MACHINES}.{name}: got {keys}, expected key: value pairs")
    return stated | {MACHINES: {str(n): _checked(keys, path) for n, keys in machines.items()}}


def stated_pairs(pairs: Sequence[str]) -> Settings:
    """Return what options ``KEY=VALUE`` state; a dotted key is one of a group.

    Raises
    ------
    ConfigError
        If one has no ``=``, or no value that YAML knows.
    """
    stated: Settings = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise ConfigError(f"--set: got {pair}, expected KEY=VALUE")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {pair}: {in_one_line(error)}") from error
        *groups, last = key.split(".")
        nested: Settings = {last: value}
        for group in reversed(groups):
            nested = {group: nested}
        stated = merged(stated, nested)
    return stated


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Settings:
    """Return settings of which those above come first, in groups as well."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping) and key != MACHINES
        result[key] = merged(old, value) if both else value  # type: ignore[arg-type]
    return result


def settle(layers: Sequence[Mapping[str, Any]], printers: Sequence[str]) -> Settings:
    """Return the settings in force.

    Parameters
    ----------
    layers
        A file's and the options', the last before the others.
    printers
        What the slicer calls the printer, the nearest first; the first that ``machines`` names
        is taken.

    Raises
    ------
    ConfigError
        If a key is unknown, or its value of another kind than the shipped one.
    """
    default = shipped_settings()
    machines: dict[str, Settings] = {}
    for layer in layers:
        machines |= layer.get(MACHINES) or {}
    named: Settings = next((machines[name] for name in printers if name in machines), {})
    file, *options = layers
    settings: Settings = default
    for layer in (file, named, *options):
        check_kinds(layer, default)
        settings = merged(settings, layer)
    return settings


def check_kinds(stated: Mapping[str, Any], default: Mapping[str, Any], group: str = "") -> None:
    """Refuse unknown keys, and values of another kind than their default.

    Raises
    ------
    ConfigError
        Naming the key, what it got and what it takes.
    """
    for key, value in stated.items():
        name = f"{group}{key}"
        if key not in default:
            raise ConfigError(f"{name}: unknown, expected one of {', '.join(sorted(default))}")
        expected = _expected(value, default[key])
        if expected:
            raise ConfigError(f"{name}: got {value}, expected {expected}")
        if isinstance(value, Mapping) and key != MACHINES:
            check_kinds(value, default[key], f"{name}.")


def read_printer(name: str) -> dict[str, Any]:
    """Return the values of a printer: a shipped one by its name, or a YAML file.

    Raises
    ------
    ConfigError
        If there is no such printer, or its file asks for more than values.
    """
    ours = {path.stem: path for path in (conf_dir() / "printer").glob("*.yaml")}
    path = ours[name] if name in ours else from_home(name)
    if not path.is_file():
        known = ", ".join(sorted(ours))
        raise ConfigError(f"printer: got {name}, expected one of {known}, or a YAML file")
    values = _read_yaml(path)
    if "defaults" in values or "${" in path.read_text(encoding="utf-8"):
        raise ConfigError(f"{path}: asks for other files, expected a printer's values alone")
    return values


def _read_yaml(path: Path) -> Settings:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {in_one_line(error)}") from error
    if not isinstance(values, Mapping | None):
        raise ConfigError(f"{path}: got {type(values).__name__}, expected key: value pairs")
    return dict(values or {})


def _checked(stated: Mapping[str, Any], path: Path) -> Settings:
    """Return keys of a file, checked, with paths as they count from its folder."""
    try:
        check_kinds(stated, shipped_settings())
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    placed = dict(stated)
    for key in _PATHS:
        if isinstance(placed.get(key), str):
            placed[key] = str(path.parent / from_home(placed[key]))
    printer = placed.get("printer")
    if isinstance(printer, str) and printer.lower().endswith((".yaml", ".yml")):
        placed["printer"] = str(path.parent / from_home(printer))
    return placed


def _expected(value: object, default: object) -> str:
    """Return what kind a value should be of where it is not that of its default, else ""."""
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "true or false"
    if isinstance(default, Mapping):
        return "" if isinstance(value, Mapping) else "key: value pairs"
    if isinstance(default, int):
        return "" if is_number(value) and isinstance(value, int) else "a whole number"
    if isinstance(default, float):
        return "" if is_number(value) else "a number"
    if isinstance(value, bool | Mapping):
        return "a value of another kind"
    return ""
