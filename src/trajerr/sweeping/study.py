"""A study that several workers share, and that outlives them: who has taken which trial.

A study's ``n_trials`` are counted over all workers and all starts. A trial belongs to the
worker that took it; when that worker is gone before the trial's end, the next to come by
gives the trial up and queues its values again, so that none is lost and none runs twice.
"""

import contextlib
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import optuna
from filelock import FileLock
from optuna.distributions import BaseDistribution
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from trajerr.checks import is_number, require, require_count, require_some_of
from trajerr.errors import ConfigError, in_one_line
from trajerr.sweeping.owner import Owner
from trajerr.sweeping.samplers import sampling

SQLITE_WAIT_S = 120.0  # until another's writing is done
DIRECTIONS = ("minimize", "maximize")
BEAT_S = 30.0  # between a worker's signs of life
DATABASE_ERRORS = (SQLAlchemyError, optuna.exceptions.StorageInternalError)
OWNER, ABANDONED, PRUNED, REASON, FOLDER = "owner", "abandoned", "pruned_at", "reason", "folder"


@dataclass(frozen=True)
class StudySettings:
    """What a study is called, where it lives, and when it has enough.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    study_name: str
    storage: str  # URL of a database, as SQLAlchemy writes it
    directions: Sequence[str]  # minimize | maximize, one for each objective
    n_trials: int  # of the study, over all workers and starts
    n_jobs: int  # trials that this worker launches at once
    stale_after_s: float  # without a sign of life, until a worker elsewhere counts as gone

    def __post_init__(self) -> None:
        for key in ("n_trials", "n_jobs"):
            require_count(f"hydra.sweeper.{key}", getattr(self, key))
        require_some_of("hydra.sweeper.direction", self.directions, DIRECTIONS)
        alive = is_number(self.stale_after_s) and self.stale_after_s > 2.0 * BEAT_S
        expected = f"a number above {2.0 * BEAT_S:g}"
        require("hydra.sweeper.stale_after_s", self.stale_after_s, alive, expected)


def open_storage(url: str) -> RDBStorage:
    """Open a study's database; a file of SQLite is made where there is none.

    Raises
    ------
    ConfigError
        The URL or its database cannot be used.
    """
    try:
        parts = make_url(url)
        if parts.get_backend_name() != "sqlite":
            return RDBStorage(url)
        if parts.database:
            Path(parts.database).parent.mkdir(parents=True, exist_ok=True)
        with _lock_for(url):  # of workers that start together one makes the tables
            return RDBStorage(url, engine_kwargs={"connect_args": {"timeout": SQLITE_WAIT_S}})
    except (SQLAlchemyError, ImportError, RuntimeError) as error:
        raise _unusable(url, error) from error


def _unusable(url: str, error: BaseException) -> ConfigError:
    first = str(error).splitlines()[0]
    return ConfigError(f"hydra.sweeper.storage: {_without_password(url)}: {first}")


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.partition('://')[0]}://…@{tail}" if at else url


class SharedStudy:
    """One worker's hold on a study; a context that shows the worker to be alive.

    Parameters
    ----------
    settings
        Of the study.
    sampler
        Makes a sampler; called for each trial, with a seed of its own where ``seed`` is set,
        so that trial k is drawn alike whoever draws it, and workers never draw the same.
    seed
        Of all sampling; None is a new one each time.
    space
        Distributions by parameter.
    suggest
        Called with each new trial, to suggest it what is not in the space.

    Raises
    ------
    ConfigError
        The database cannot be used, or holds another study under this name.
    """

    def __init__(
        self,
        settings: StudySettings,
        sampler: object,
        seed: int | None,
        space: Mapping[str, BaseDistribution],
        suggest: Callable[[optuna.Trial], None] | None = None,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._settings, self._suggest = settings, suggest
        self._space = dict(space)
        self._sampling = sampling(sampler, seed, self._space)
        self._storage = open_storage(settings.storage)
        self._lock = _lock_for(settings.storage)
        with self._lock:
            self.study = optuna.create_study(
                study_name=settings.study_name,
                storage=self._storage,
                directions=[StudyDirection[word.upper()] for word in settings.directions],
                load_if_exists=True,
            )
        self._check_same()
        self._me = Owner.here()
        self._ended = threading.Event()
        self._beat = threading.Thread(target=self._show_life, daemon=True)

    def __enter__(self) -> Self:
        self._beat.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._beat.join()
        if isinstance(error, DATABASE_ERRORS):
            raise _unusable(self._settings.storage, error.__cause__ or error) from error
        if kind is not None:
            with self._lock:
                for trial in self._running():
                    if _owner_of(trial) == self._me:
                        self._give_up(trial)

    def _check_same(self) -> None:
        wanted = [direction.upper() for direction in self._settings.directions]
        found = [direction.name for direction in self.study.directions]
        if found != wanted:
            raise self._another(f"has the directions {found}, not {wanted}")
        for trial in self.study.get_trials(deepcopy=False):
            for key, before in trial.distributions.items():
                now = self._space.get(key, before)
                if now != before:
                    raise self._another(f"has chosen {key} from {before}, not from {now}")
            varied = trial.distributions.keys()
            if self._suggest is None and varied and varied != self._space.keys():
                searched = ", ".join(sorted(varied))
                raise self._another(f"has searched {searched}, not {', '.join(self._space)}")

    def _another(self, reason: str) -> ConfigError:
        name = self._settings.study_name
        return ConfigError(f"study {name} {reason}; choose another hydra.sweeper.study_name")

    def claim(self, count: int) -> list[optuna.Trial]:
        """Take up to ``count`` trials, first those that others have left; none when all are."""
        with self._lock:
            for trial in self._running():
                if self._is_stale(trial):
                    self._give_up(trial)
            most = self._settings.n_trials
            if self._sampling.at_most is not None:
                most = min(most, self._sampling.at_most)
            room = most - sum(map(_counts, self.trials()))
            return [self._ask() for _ in range(min(count, room))]

    def _ask(self) -> optuna.Trial:
        seed = self._sampling.seed
        if seed is not None and self._sampling.by_trial:
            number = len(self.study.get_trials(deepcopy=False))
            entropy = [seed, number, *self._me.entropy(shared=self._locked)]
            seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                given = {} if seed is None else {"seed": seed}
                self.study.sampler = self._sampling.make(**given)
                trial = self.study.ask(self._space)
        except ImportError as error:
            reason = in_one_line(error)
            raise ConfigError(f"hydra.sweeper.sampler: {reason}") from error
        trial.set_user_attr(OWNER, vars(self._me))
        if self._suggest is not None:
            self._suggest(trial)
        return trial

    @property
    def _locked(self) -> bool:
        return isinstance(self._lock, FileLock)

    def trials(self) -> list[FrozenTrial]:
        """Return all trials but those given up."""
        trials = self.study.get_trials(deepcopy=False)
        return [trial for trial in trials if ABANDONED not in trial.user_attrs]

    def finish(self, trial: optuna.Trial, values: Sequence[float] | None, reason: str = "") -> None:
        """Tell how a trial ended: with values, pruned, or without any, for a reason."""
        marks = self.attributes(trial)
        if values is None:
            trial.set_user_attr(REASON, reason)
            self.study.tell(trial, state=TrialState.FAIL)
        elif PRUNED in marks:
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, list(values))

    def attributes(self, trial: optuna.Trial) -> Mapping[str, Any]:
        """Return what is noted of a trial, also by the run itself."""
        return self._storage.get_trial(trial._trial_id).user_attrs

    def best(self) -> FrozenTrial | None:
        """Return the best trial, of several objectives the best in the first; None if none."""
        done = [trial for trial in self.trials() if trial.state is TrialState.COMPLETE]
        sign = 1.0 if self._settings.directions[0] == "minimize" else -1.0
        candidates = self.study.best_trials if len(self._settings.directions) > 1 else done
        return min(candidates, key=lambda trial: sign * trial.values[0], default=None)

    def _running(self) -> list[FrozenTrial]:
        return list(self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))

    def _is_stale(self, trial: FrozenTrial) -> bool:
        owner = _owner_of(trial)
        if owner is None:  # its worker died, or lives and has not yet signed
            began = trial.datetime_start
            age = time.time() - began.timestamp() if began else np.inf
            return self._locked or age > self._settings.stale_after_s
        if owner.host == self._me.host:
            return not owner.lives()
        seen = self.study.user_attrs.get(owner.key, 0.0)
        return bool(time.time() - seen > self._settings.stale_after_s)

    def _give_up(self, trial: FrozenTrial) -> None:
        self._storage.set_trial_user_attr(trial._trial_id, ABANDONED, True)
        self.study.tell(trial.number, state=TrialState.FAIL)
        self.study.enqueue_trial(trial.params, user_attrs={"again": trial.number})

    def _show_life(self) -> None:
        while True:
            with contextlib.suppress(*DATABASE_ERRORS):
                self.study.set_user_attr(self._me.key, time.time())
            if self._ended.wait(BEAT_S):
                return


def _counts(trial: FrozenTrial) -> bool:
    return trial.state is not TrialState.WAITING


def _owner_of(trial: FrozenTrial) -> Owner | None:
    """Return the worker that took a trial; None if it did not come to sign."""
    signed = trial.user_attrs.get(OWNER)
    return None if signed is None else Owner(**signed)


def _lock_for(url: str) -> FileLock | contextlib.AbstractContextManager[None]:
    """Return a lock over a file of SQLite, which has none between reading and writing.

    Other databases are not locked: workers that take a study's very last trials at the same
    instant may run one more each.
    """
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite" and parts.database:
        return FileLock(f"{parts.database}.lock")
    return contextlib.nullcontext()
