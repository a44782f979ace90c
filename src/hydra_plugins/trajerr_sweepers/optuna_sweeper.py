"""``hydra/sweeper=optuna``: Hydra takes sweepers from this package only, so it stands here.

Hydra imports this module at the start of every command; Optuna is imported when it is used.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from hydra.plugins.launcher import Launcher


class OptunaSweeper(Sweeper):
    """Searches with a current Optuna; see ``conf/hydra/sweeper/optuna.yaml`` for its keys."""

    def __init__(
        self,
        study_name: str,
        storage: str,
        direction: str | Sequence[str],
        n_trials: int,
        n_jobs: int,
        stale_after_s: float,
        seed: int | None,
        sampler: Callable[..., Any],
        best: str | None = None,
        params: Mapping[str, str] | None = None,
        pruner: object = None,  # the runs' matter
        trial_id: int | None = None,  # likewise
    ) -> None:
        directions = [direction] if isinstance(direction, str) else list(direction)
        self._settings: dict[str, Any] = {
            "study_name": study_name,
            "storage": storage,
            "directions": directions,
            "n_trials": n_trials,
            "n_jobs": n_jobs,
            "stale_after_s": stale_after_s,
        }
        self._sampler, self._seed = sampler, seed
        self._best = None if best is None else Path(best)
        self._params = dict(params or {})
        self._launcher: Launcher | None = None
        self._context: HydraContext | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra gives."""
        self._context, self.config = hydra_context, config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Search until the study has its trials."""
        from trajerr.sweeping.search import Search
        from trajerr.sweeping.space import parse_space
        from trajerr.sweeping.study import SharedStudy, StudySettings

        if self._launcher is None or self._context is None or self.config is None:
            raise RuntimeError("sweep needs setup before")
        space = parse_space(self._params, arguments)
        settings = StudySettings(**self._settings)
        with SharedStudy(settings, self._sampler, self._seed, space.distributions) as study:
            search = Search(study, space, self._launcher, self._context, self.config, self._best)
            search.run(settings.n_jobs)
