"""Running under Hydra: a config composed, a function called, errors in one line."""

import functools
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import (
    CompactHydraException,
    HydraException,
    InstantiationException,
    OverrideParseException,
)
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from trajerr.commands.composition import checked_composition
from trajerr.commands.known import require_known_keys
from trajerr.commands.log_file import logged_output, note
from trajerr.commands.overrides import check_kinds
from trajerr.commands.quoting import advice_to_install, unfilled, unreadable
from trajerr.errors import ConfigError, TrajerrError
from trajerr.interrupt import let_commands_end
from trajerr.shipped import conf_dir
from trajerr.sweeping.orphans import end_with_the_sweep
from trajerr.sweeping.report import FailedRun, PastHydra

FULL_ERROR = "HYDRA_FULL_ERROR"
OWN_CONF = Path("conf")  # a user's own configs, where the command is run

log = logging.getLogger("trajerr")

Config = dict[str, Any]


def command(name: str) -> Callable[[Callable[[Config], object]], Callable[[], None]]:
    """Make a function of a config into a Hydra command with root config ``name``.

    The function is given plain containers and values, interpolations filled in; values that a
    person has left out stay ``???``.

    A user's mistake (:class:`TrajerrError`, a wrong override, a bad config) ends in one
    line on stderr and exit code 1; anything else is a bug and keeps its traceback. A failed
    run of a multirun lets the others go on, and makes the exit code 1 at the end.
    """

    def decorate(task: Callable[[Config], object]) -> Callable[[], None]:
        @functools.wraps(task)
        def job(cfg: DictConfig) -> object:
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                end_with_the_sweep()
            try:
                require_known_keys(name, _unfilled(cfg))
                check_kinds(name, cfg)
                with logged_output():
                    return task(_plain(cfg))
            except Exception as error:
                if HydraConfig.get().mode == RunMode.MULTIRUN:
                    return _failed_run(error)
                raise PastHydra from error

        run = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=name)(job)

        @functools.wraps(task)
        def main() -> None:
            wants_traceback = os.environ.get(FULL_ERROR) == "1"
            os.environ[FULL_ERROR] = "1"  # makes Hydra raise, so that errors are worded here
            sys.argv[1:1] = _own_configs(sys.argv)
            try:
                let_commands_end()
                _refuse_pickles(sys.argv[1:])
                with checked_composition():
                    run()
            except KeyboardInterrupt as interrupt:
                said = str(interrupt) or "interrupted; run the same command again to resume"
                sys.stderr.write(f"{name}: {said}\n")
                sys.exit(130)
            except (Exception, PastHydra) as error:  # noqa: BLE001 - where all errors end
                cause = _user_error(error) or _composing_error(error)
                if cause is None or wants_traceback:
                    traceback.print_exc()
                else:
                    note(_one_line(cause), logging.ERROR)
                    sys.stderr.write(f"{name}: {_one_line(cause)}\n")
                sys.exit(1)

        return main

    return decorate


def _unfilled(cfg: DictConfig) -> Config:
    config: Any = OmegaConf.to_container(cfg, resolve=False)
    return dict(config)


def _plain(cfg: DictConfig) -> Config:
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    return dict(config)


def _own_configs(arguments: list[str]) -> list[str]:
    """Return the arguments that have ``conf/`` of the working folder searched as well."""
    stated = any(argument.startswith(("--config-dir", "-cd")) for argument in arguments)
    if stated or not OWN_CONF.is_dir() or OWN_CONF.resolve() == conf_dir().resolve():
        return []
    return ["--config-dir", str(OWN_CONF)]


def _refuse_pickles(arguments: Sequence[str]) -> None:
    """Refuse Hydra's option that unpickles a file, which can run any code."""
    if any(argument.startswith("--e") for argument in arguments):  # argparse takes beginnings
        raise ConfigError(
            "--experimental-rerun: a pickle can run code; give the run's overrides again, they "
            "are in its .hydra/overrides.yaml"
        )


def _failed_run(error: Exception) -> FailedRun:
    """Log why a run of a multirun failed, a bug with its traceback, and say so to its sweep."""
    cause = _user_error(error)
    reason = f"{type(error).__name__}: {_one_line(error)}" if cause is None else _one_line(cause)
    log.error(reason, exc_info=error if cause is None else None)
    return FailedRun(reason)


def _user_error(error: BaseException) -> BaseException | None:
    """Return the innermost error in the chain that a user can mend, if there is one."""
    found = None
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, TrajerrError):
            return link
        if isinstance(
            link,
            CompactHydraException | HydraException | OmegaConfBaseException | OSError,
        ) and not isinstance(link, InstantiationException):
            found = found or link
        link = link.__cause__
    return found


def _composing_error(error: BaseException) -> BaseException | None:
    """Return what Hydra itself makes of a wrong override: it has no one class for that."""
    return error if isinstance(error, ValueError | TypeError) else None


def _one_line(error: BaseException) -> str:
    if isinstance(error, OverrideParseException):
        return unreadable(error.override)
    if isinstance(error, OSError) and error.strerror:
        where = error.filename or "a run's folder (hydra.run.dir, hydra.sweep.dir)"
        return f"{where}: {error.strerror}"
    line = " ".join(part.strip() for part in str(error).splitlines() if part.strip())
    if isinstance(error, InterpolationResolutionError):
        return line + unfilled(sys.argv[1:])
    return line + advice_to_install(line)
