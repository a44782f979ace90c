"""``hydra/sweeper=optuna``: Hydra takes sweepers from this package only, so it stands here.

Hydra imports this module at the start of every command; Optuna is imported when it is used.
"""

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

    def __init__(self, **keys: Any) -> None:  # noqa: ANN401 - those of the config
        from trajerr.checks import require_known
        from trajerr.shipped import shipped

        usual = shipped("hydra/sweeper/optuna")
        known = {*usual, "sampler", "pruner", "search_space"} - {"_target_", "defaults"}
        require_known("hydra.sweeper", keys, known)
        self._keys: dict[str, Any] = {**usual, **keys}  # a file of the stock plugin says less
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
        from optuna.samplers import TPESampler

        from trajerr.sweeping.custom import custom_suggestions
        from trajerr.sweeping.search import Search
        from trajerr.sweeping.space import parse_space
        from trajerr.sweeping.study import SharedStudy, StudySettings

        if self._launcher is None or self._context is None or self.config is None:
            raise RuntimeError("sweep needs setup before")
        keys, custom = self._keys, self._keys["custom_search_space"]
        params = dict(keys["params"] or keys.get("search_space") or {})
        space = parse_space(params, arguments, may_be_empty=custom is not None)
        job = self.config.hydra.job
        name = keys["study_name"] or f"{job.config_name}_{space.digest}"
        folder = Path(self.config.hydra.sweep.dir).absolute()
        storage = keys["storage"] or f"sqlite:///{folder}/study.db"
        direction = keys["direction"]
        settings = StudySettings(
            study_name=name,
            storage=storage,
            directions=[direction] if isinstance(direction, str) else list(direction),
            n_trials=keys["n_trials"],
            n_jobs=keys["n_jobs"],
            stale_after_s=keys["stale_after_s"],
        )
        suggest = custom_suggestions(custom, self.config)
        best = None if keys["best"] is None else Path(keys["best"])
        sampler = keys.get("sampler") or TPESampler
        with SharedStudy(settings, sampler, keys["seed"], space.distributions, suggest) as study:
            # a URL that is stated is in each run's config, its password perhaps not
            found = {"study_name": name} | ({} if keys["storage"] else {"storage": storage})
            named = [f"++hydra.sweeper.{key}={_quoted(text)}" for key, text in found.items()]
            failures = keys["max_failure_rate"]
            search = Search(
                study, space, self._launcher, self._context, self.config, best, named, failures
            )
            search.run(settings.n_jobs)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
