"""Hydra's composition of configs, with a check that what people pass on stays data.

Hydra calls what its own part of a config names (callbacks, handlers of the log, sweeper,
launcher) before a command's function runs, so the check stands where a config is composed:
each file as it is loaded, and the whole with what the command line adds.
"""

import os.path
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra._internal.hydra as hydra_main
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository, IConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import ConfigDefault, GroupDefault, InputDefault, ResultDefault
from hydra.core.override_parser.types import Override, ValueType
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from trajerr.checks import require
from trajerr.commands.building import CALLS, calls, require_own
from trajerr.commands.known import groups
from trajerr.commands.quoting import refuse_ambiguous, take_file
from trajerr.errors import ConfigError
from trajerr.shipped import conf_dir

CODE_GROUPS = ("model", "loss", "optimizer", "schedule", "callbacks", "logger", "hydra")
PLACED = {"optimizer": "model.optimizer", "schedule": "model.schedule"}  # group → where it goes
EVERYWHERE = (
    "experiment",
    "trainer",
    "debug",
)  # groups whose files set any value; of Hydra's part, these:
HYDRA_VALUES = ("mode", "run", "sweep", "sweeper")
SWEEPER_PARTS = ("sampler", "pruner")  # Hydra's word for code within the sweeper's values
COMMANDS = ("calibrate", "collect", "correct", "evaluate", "export", "prepare", "train")
ROOTS = (*COMMANDS, "hydra_settings")  # shipped files of no group, which set up Hydra
CALLED_BY_HYDRA = ("callbacks", "launcher", "sweeper", "job_logging", "hydra_logging")
STOCK_SWEEPER = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"
OWN_SWEEPER = "hydra_plugins.trajerr_sweepers.optuna_sweeper.OptunaSweeper"
NAMES_A_FUNCTION = "custom_search_space"  # of the sweeper
LOG_CALLS = ("()", "class")  # what logging.config calls
IMPORTED = "ext://"  # how logging.config is told to import a value
DEEPEST = 50  # levels of a config; interpolations can nest one in itself without end


@contextmanager
def checked_composition() -> Iterator[None]:
    """Have Hydra compose by :class:`CheckedLoader` for as long as the context is open."""
    usual = vars(hydra_main)["ConfigLoaderImpl"]
    vars(hydra_main)["ConfigLoaderImpl"] = CheckedLoader
    try:
        yield
    finally:
        vars(hydra_main)["ConfigLoaderImpl"] = usual


@dataclass(frozen=True)
class Origin:
    """Where a config comes from."""

    file: str  # for messages
    group: tuple[str, ...]  # () of a root config
    is_code: bool  # set up by trajerr or Hydra, or of a group that brings code in

    @property
    def place(self) -> str:
        """Dotted key of the config that its content belongs to; "" of a root config."""
        group = "/".join(self.group)
        return PLACED.get(group, ".".join(self.group))

    @property
    def is_strict(self) -> bool:
        """Whether it may write into its own group alone."""
        return not self.is_code and bool(self.group) and self.group[0] not in EVERYWHERE


def find_origin(config_path: str, source: str) -> Origin:
    """Return where a config comes from.

    Parameters
    ----------
    config_path
        Hydra's, within the source: ``printer/mine``. May lead elsewhere by ``..``.
    source
        The source's URL, ``file:///…`` or ``pkg://…``.

    Raises
    ------
    ConfigError
        If the path leads out of the source's folder.
    """
    scheme, _, root = source.partition("://")
    if scheme != "file":
        return Origin(f"{source}/{config_path}", tuple(config_path.split("/")[:-1]), True)
    root = os.path.abspath(root)  # noqa: PTH100 - resolve() would follow a user's links
    path = os.path.normpath(os.path.join(root, config_path.replace("\\", "/")))  # noqa: PTH118
    file = Path(path).with_suffix("") if path.endswith((".yaml", ".yml")) else Path(path)
    if not file.is_relative_to(root):
        raise ConfigError(f"{config_path}: outside of {root}, expected a config in that folder")
    group = file.relative_to(root).parts[:-1]
    is_root = not group and Path(root) == conf_dir() and file.name in ROOTS
    shown = f"{_near(file)}.yaml"
    return Origin(shown, group, is_root or group[:1] in [(g,) for g in CODE_GROUPS])


class CheckedRepository(ConfigRepository):
    """Hydra's files, each checked for what it pulls in before that is looked at."""

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Load one file.

        Raises
        ------
        ConfigError
            If a file that is data says where to search for others, or one of a group changes
            what is chosen of another group; if it is not YAML.
        """
        try:
            loaded = super().load_config(config_path)
        except (YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{config_path}: not YAML: {error}") from error
        if loaded is not None:
            origin = find_origin(config_path, loaded.path)
            if origin.place != ".".join(origin.group):
                loaded.header["package"] = f"_global_.{origin.place}"
            if not origin.is_code:
                _check_hydra(origin, _plain(loaded.config))
            if origin.is_strict:
                for default in loaded.defaults_list or ():
                    _check_default(origin, default)
        return loaded


class CheckedLoader(ConfigLoaderImpl):
    """Hydra's, which refuses code in configs that are data, and takes names as slicers give them.

    Pickled by launchers, so that it checks in the processes that they start as well.
    """

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self.repository = CheckedRepository(config_search_path)
        self._stated: set[tuple[str, str]] = set()
        self._root: str | None = None

    def list_groups(self, parent_name: str) -> list[str]:
        """Return the names of groups; at the top, those of the command only."""
        found = super().list_groups(parent_name)
        if parent_name or self._root not in COMMANDS:
            return found
        own = {name.split("/")[0] for name in groups(str(self._root))}
        return [name for name in found if name in own]

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Compose a config.

        Raises
        ------
        ConfigError
            If anything in it would run other code than trajerr's own, Hydra's, and what files
            of groups for code name; if an override is no ``key=value`` nor a file.
        """
        self._stated, self._root = set(), config_name
        given = take_file(config_name or "", overrides)
        config = super().load_configuration(
            config_name, given, run_mode, from_shell, validate_sweep_overrides
        )
        take_stock_sweeper(config, self._stated)
        check_composed(config, self._stated)
        return config

    @staticmethod
    def validate_sweep_overrides_legal(
        overrides: list[Override], run_mode: RunMode, from_shell: bool
    ) -> None:
        """Refuse values with commas outside a multirun, in words that fit names of files."""
        if run_mode == RunMode.RUN:
            for override in overrides:
                if override.value_type == ValueType.SIMPLE_CHOICE_SWEEP:
                    refuse_ambiguous(override)
        ConfigLoaderImpl.validate_sweep_overrides_legal(overrides, run_mode, from_shell)

    def _load_single_config(self, default: ResultDefault, repo: IConfigRepository) -> ConfigResult:
        loaded = super()._load_single_config(default, repo)
        origin = find_origin(default.config_path or "", loaded.path)
        content = _plain(loaded.config)
        if origin.is_code:
            stated = {(key, str(value)) for key, value in _code(content)}
            self._stated |= {item for item in stated if _is_within(item[0], origin.place)}
        else:
            check_data(origin, content)
        return loaded


def take_stock_sweeper(config: DictConfig, stated: set[tuple[str, str]]) -> None:
    """Put our sweeper in the place of hydra-optuna-sweeper's, whose keys it takes."""
    sweeper = config.hydra.get("sweeper")
    if sweeper is not None and sweeper.get("_target_") == STOCK_SWEEPER:
        with open_dict(config):
            sweeper["_target_"] = OWN_SWEEPER
        stated.add(("hydra.sweeper._target_", OWN_SWEEPER))


def check_data(origin: Origin, content: object) -> None:
    """Check a file that is data, in the place of the config that it writes to.

    Raises
    ------
    ConfigError
        Naming the file and the key.
    """
    _check_hydra(origin, content)
    if origin.is_strict:
        for key in _outside(content, origin.group):
            raise ConfigError(
                f"{origin.file}: {key}: a file of the group {'/'.join(origin.group)} writes into "
                "its own group alone; take the key, or a line # @package, out"
            )
    for key, value in calls(content):
        try:
            require_own(key, value)
        except ConfigError as error:
            raise ConfigError(f"{origin.file}: {error}") from error


def check_composed(config: DictConfig, stated: set[tuple[str, str]]) -> None:
    """Check a whole config, interpolations filled in as far as they can be.

    Parameters
    ----------
    config
        Hydra's part included.
    stated
        Keys and values that name code in files that may.

    Raises
    ------
    ConfigError
        Naming the key.
    """
    for name in config:
        if name != "hydra":
            for key, value in _resolved(config, name, ""):
                if _says_call(key, value, CALLS) and (key, str(value)) not in stated:
                    require_own(key, value)
    for name in CALLED_BY_HYDRA:
        for key, value in _resolved(config.hydra, name, "hydra"):
            _check_of_hydra(key, value, stated)


def _check_of_hydra(key: str, value: object, stated: set[tuple[str, str]]) -> None:
    is_known = not _says_call(key, value, (*CALLS, *LOG_CALLS)) or (key, str(value)) in stated
    expected = (
        "what shipped configs and files of your own in conf/hydra/ name, as code comes from "
        "nowhere else"
    )
    require(key, value, is_known, expected)
    is_final = not isinstance(value, str) or "${" not in value  # else Hydra would fill it in again
    require(key, value, is_final, "no ${ once interpolations are filled in")


def _check_hydra(origin: Origin, content: object) -> None:
    """Refuse what a file that is data says to Hydra, values of a sweep excepted."""
    if not isinstance(content, Mapping) or "hydra" not in content:
        return
    within = content["hydra"]
    allowed = () if origin.is_strict else HYDRA_VALUES
    for key in within if isinstance(within, Mapping) else [""]:
        if key not in allowed:
            raise ConfigError(
                f"{origin.file}: hydra.{key}".rstrip(".") + f": expected {_some(allowed)} of "
                "hydra in a config that is data; what Hydra calls is set on the command line or "
                "in a file of your own in conf/hydra/"
            )
    sweeper = within.get("sweeper", {})
    for part, value in sweeper.items() if isinstance(sweeper, Mapping) else [("", sweeper)]:
        is_late = part in (*SWEEPER_PARTS, "") and "${" in str(value)  # filled in once a run began
        place = f"hydra.sweeper.{part}".rstrip(".")
        require(f"{origin.file}: {place}", value, not is_late, "values without ${")


def _some(keys: Sequence[str]) -> str:
    return f"{', '.join(keys[:-1])} or {keys[-1]}" if keys else "nothing"


def _check_default(origin: Origin, default: InputDefault) -> None:
    """Refuse a line of a defaults list that chooses in another group."""
    if default.is_self():
        return
    if isinstance(default, GroupDefault):
        named = default.group or ""
    else:
        named = str(default.path) if isinstance(default, ConfigDefault) else ""
    own = "/".join(origin.group)
    absolute = named[1:] if named.startswith("/") else f"{own}/{named}"
    if not _is_within(os.path.normpath(absolute.replace("\\", "/")), own, "/"):
        raise ConfigError(
            f"{origin.file}: defaults: {named}: a file of the group {own} chooses in its own "
            "group alone; choose it on the command line"
        )


def _code(content: object, where: str = "") -> Iterator[tuple[str, object]]:
    """Yield each key of plain containers whose value names code."""
    items: Iterator[tuple[Any, object]] = iter(())
    if isinstance(content, Mapping):
        items = ((f".{key}" if where else str(key), value) for key, value in content.items())
    elif isinstance(content, list):
        items = ((f"[{index}]", value) for index, value in enumerate(content))
    for key, value in items:
        if _says_call(f"{where}{key}", value, (*CALLS, *LOG_CALLS)):
            yield f"{where}{key}", value
        yield from _code(value, f"{where}{key}")


def _says_call(key: str, value: object, words: Sequence[str]) -> bool:
    imports = isinstance(value, str) and value.startswith(IMPORTED) and LOG_CALLS[0] in words
    if key == f"hydra.sweeper.{NAMES_A_FUNCTION}" and value is not None:
        return LOG_CALLS[0] in words
    return imports or key.rpartition(".")[2] in words


def _resolved(node: DictConfig | ListConfig, name: Any, where: str) -> Iterator[tuple[str, object]]:  # noqa: ANN401
    """Yield dotted key and value of an entry and of all within it; none where it has none yet."""
    shown = f"[{name}]" if isinstance(name, int) else f".{name}" if where else str(name)
    key = f"{where}{shown}"
    if key.count(".") + key.count("[") > DEEPEST:
        raise ConfigError(f"{key[:60]}…: more than {DEEPEST} levels, expected a config that ends")
    try:
        value = node[name]
    except OmegaConfBaseException:
        return  # missing, or filled in once a run has begun: what is made of it checks again
    yield key, value
    if isinstance(value, DictConfig):
        names: Any = list(value.keys())
    else:
        names = range(len(value)) if isinstance(value, ListConfig) else ()
        yield from _code(value, key)  # oc.decode makes plain containers
    for inner in names:
        yield from _resolved(value, inner, key)


def _outside(content: object, group: Sequence[str]) -> Iterator[str]:
    """Yield keys that are not within a group's own place."""
    where: list[str] = []
    for part in group:
        if not isinstance(content, Mapping):
            yield ".".join(where) or "a list"
            return
        yield from (".".join([*where, str(key)]) for key in content if key != part)
        if part not in content:
            return
        content = content[part]
        where.append(part)


def _is_within(key: str, place: str, separator: str = ".") -> bool:
    return place in ("", key) or key.startswith(place + separator)


def _near(file: Path) -> Path:
    here = Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else file


def _plain(config: object) -> Any:  # noqa: ANN401 - containers, interpolations as they stand
    return OmegaConf.to_container(config, resolve=False) if OmegaConf.is_config(config) else config
