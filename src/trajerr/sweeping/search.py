"""Searching: a worker takes trials of a study, has a launcher run them, and tells their ends."""

import csv
import io
import logging
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial, TrialState

from trajerr.checks import require
from trajerr.errors import ConfigError
from trajerr.files import write_atomically
from trajerr.sweeping.best import write_experiment
from trajerr.sweeping.report import FailedRun
from trajerr.sweeping.space import Space
from trajerr.sweeping.study import FOLDER, PRUNED, SharedStudy

FRONT = "pareto.csv"

log = logging.getLogger("trajerr")


class Search:
    """One worker of a study.

    Parameters
    ----------
    study
        Whose trials it takes.
    space
        What they vary.
    launcher
        Of Hydra, runs them.
    context, config
        Hydra's, of the multirun.
    best
        Where the best trial's experiment config goes, and beside it under its study's name;
        None for nowhere.
    named
        Overrides by which a run finds its study.
    max_failure_rate
        Share of failed trials above which the search ends; None: any.
    """

    def __init__(
        self,
        study: SharedStudy,
        space: Space,
        launcher: Launcher,
        context: HydraContext,
        config: DictConfig,
        best: Path | None,
        named: Sequence[str] = (),
        max_failure_rate: float | None = None,
    ) -> None:
        self._named, self._max_failure_rate = named, max_failure_rate
        self._study, self._space, self._launcher = study, space, launcher
        self._context, self._config, self._best = context, config, best
        self._written: int | None = None  # number of the trial that is in the best's file

    def run(self, n_jobs: int) -> None:
        """Take trials, ``n_jobs`` at once, until the study has enough."""
        folder = Path(self._config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self._config, folder / "multirun.yaml")
        self._note_best()
        while trials := self._study.claim(n_jobs):
            self._launch(trials, folder)
            self._note_best()
            self._refuse_failures()
        self._close(folder)

    def _refuse_failures(self) -> None:
        ended = [trial for trial in self._study.trials() if trial.state.is_finished()]
        failed = sum(trial.state is TrialState.FAIL for trial in ended)
        most = self._max_failure_rate
        if most is not None and failed > most * len(ended):
            raise ConfigError(
                f"hydra.sweeper.max_failure_rate: got {failed} failures in {len(ended)} trials, "
                f"expected at most {most:g} of them"
            )

    def _launch(self, trials: Sequence[optuna.Trial], folder: Path) -> None:
        batch = [self._overrides(trial) for trial in trials]
        for trial in trials:
            trial.set_user_attr(FOLDER, str((folder / _subdir(trial)).absolute()))
        returns = self._launcher.launch(batch, initial_job_idx=trials[0].number)
        for trial, returned in zip(trials, returns, strict=True):
            self._tell(trial, returned)

    def _overrides(self, trial: optuna.Trial) -> list[str]:
        of_the_trial = [
            f"hydra.sweep.subdir={_subdir(trial)}",
            f"++hydra.sweeper.trial_id={trial._trial_id}",
            *self._named,
        ]
        return [*self._space.overrides(trial.params), *of_the_trial]

    def _tell(self, trial: optuna.Trial, returned: JobReturn) -> None:
        values, reason = _values(returned, len(self._study.study.directions))
        self._study.finish(trial, values, reason)
        marks = self._study.attributes(trial)
        if values is None:
            log.warning("Trial %d failed: %s", trial.number, reason)
            return
        best = self._study.best()
        shown = ", ".join(f"{value:.5g}" for value in values)
        ended = f", ended early at epoch {marks[PRUNED]}" if PRUNED in marks else ""
        known = f"; best {best.values[0]:.5g} of trial {best.number}" if best else ""
        log.info("Trial %d: %s%s%s", trial.number, shown, ended, known)

    def _note_best(self) -> None:
        """Write the best trial as an experiment, if it is another than before."""
        best = self._study.best()
        if self._best is None or best is None or best.number == self._written:
            return
        run = Path(best.user_attrs[FOLDER])
        if not run.is_dir():
            log.warning("Trial %d is the best, but %s is gone", best.number, run)
            return
        trials = sum(trial.state.is_finished() for trial in self._study.trials())
        comment = [
            f"Best of study {self._study.study.study_name} after {trials} trials: trial "
            f"{best.number}, {', '.join(f'{value:.6g}' for value in best.values)}.",
            f"python -m trajerr.{self._config.hydra.job.name} experiment={self._best.stem}",
        ]
        name = self._config.hydra.job.config_name
        loader = self._context.config_loader
        study = re.sub(r"\W+", "_", self._study.study.study_name)
        for path in (self._best, self._best.with_stem(f"{self._best.stem}_{study}")):
            said = [comment[0], comment[1].replace(self._best.stem, path.stem)]
            write_experiment(path, said, run, best.params, loader, name)
        self._written = best.number

    def _close(self, folder: Path) -> None:
        trials = self._study.trials()
        counts = {
            state.name.lower(): sum(trial.state is state for trial in trials)
            for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        }
        if len(self._study.study.directions) > 1:
            write_front(folder / FRONT, self._study.study.best_trials)
        said = ", ".join(f"{count} {name}" for name, count in counts.items())
        log.info("Study %s: %s", self._study.study.study_name, said)
        if self._best is not None and self._written is not None:
            log.info("Best parameters: %s", self._best)


def _subdir(trial: optuna.Trial) -> str:
    return f"trial_{trial.number:04d}"


def _values(returned: JobReturn, objectives: int) -> tuple[list[float] | None, str]:
    """Return a run's objectives, or None and the reason.

    Raises
    ------
    ConfigError
        The run returns another number of them than the study has directions.
    """
    if returned.status is JobStatus.FAILED:
        return None, str(returned._return_value)
    value = returned.return_value
    if isinstance(value, FailedRun):
        return None, value.reason
    values = [float(v) for v in value] if isinstance(value, Sequence) else [float(value)]
    expected = f"{len(values)}, one for each objective that the run returns"
    require("hydra.sweeper.direction", objectives, len(values) == objectives, expected)
    if not all(math.isfinite(v) for v in values):
        return None, f"objective {values}"
    return values, ""


def write_front(path: Path, trials: Sequence[FrozenTrial]) -> None:
    """Write the trials that no other beats in every objective, best in the first one first."""
    keys = list(dict.fromkeys(key for trial in trials for key in trial.params))
    rows: list[Mapping[str, Any]] = [
        {
            "trial": trial.number,
            **{f"objective_{i}": value for i, value in enumerate(trial.values)},
            **trial.params,
        }
        for trial in sorted(trials, key=lambda trial: trial.values)
    ]
    objectives = [f"objective_{i}" for i in range(len(trials[0].values))] if trials else []
    text = io.StringIO()
    writer = csv.DictWriter(text, ["trial", *objectives, *keys], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())
