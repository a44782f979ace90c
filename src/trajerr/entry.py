"""What the commands share: finding ``conf/``, running under Hydra, one-line errors."""

import functools
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException, HydraException, InstantiationException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from trajerr.errors import TrajerrError

FULL_ERROR = "HYDRA_FULL_ERROR"


def conf_dir() -> Path:
    """Return the folder of the shipped configs, in a checkout or in an installed wheel."""
    package = Path(__file__).resolve().parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


def command(name: str) -> Callable[[Callable[[DictConfig], object]], Callable[[], None]]:
    """Make a function of a config into a Hydra command with root config ``name``.

    A user's mistake (:class:`TrajerrError`, a wrong override, a bad config) ends in one
    line on stderr and exit code 1; anything else is a bug and keeps its traceback.
    """

    def decorate(task: Callable[[DictConfig], object]) -> Callable[[], None]:
        @functools.wraps(task)
        def job(cfg: DictConfig) -> object:
            try:
                return task(cfg)
            except Exception as error:
                if HydraConfig.get().mode == RunMode.MULTIRUN:
                    raise  # the sweeper has to know that this run failed
                raise _Failed from error

        run = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=name)(job)

        @functools.wraps(task)
        def main() -> None:
            wants_traceback = os.environ.get(FULL_ERROR) == "1"
            os.environ[FULL_ERROR] = "1"  # makes Hydra raise, so that errors are worded here
            try:
                run()
            except KeyboardInterrupt:
                sys.stderr.write(f"{name}: interrupted; run the same command again to resume\n")
                sys.exit(130)
            except (Exception, _Failed) as error:  # noqa: BLE001 - where all errors end
                cause = _user_error(error)
                if cause is None or wants_traceback:
                    traceback.print_exc()
                else:
                    sys.stderr.write(f"{name}: {_one_line(cause)}\n")
                sys.exit(1)

        return main

    return decorate


class _Failed(BaseException):
    """Carries a job's error past Hydra, which would print a line of its own about it."""


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


def _one_line(error: BaseException) -> str:
    return " ".join(part.strip() for part in str(error).splitlines() if part.strip())
