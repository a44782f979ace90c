"""Ending a study's hopeless trials early: reports to its database, from wherever a run is."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.storages import RDBStorage

from trajerr.sweeping.study import PRUNED, open_storage

Judge = Callable[[int, float], bool]  # (epoch, metric) → whether to end there


def pruning_judge(
    sweeper: Mapping[str, Any], make_pruner: Callable[[], BasePruner]
) -> Judge | None:
    """Return what decides after each epoch whether a run ends; None for a run of no study.

    Parameters
    ----------
    sweeper
        ``hydra.sweeper`` of the run.
    make_pruner
        Called if a pruner is needed.
    """
    if sweeper.get("trial_id") is None or sweeper.get("pruner") is None:
        return None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = open_storage(sweeper["storage"])
    study = optuna.load_study(
        study_name=sweeper["study_name"], storage=storage, pruner=make_pruner()
    )
    if len(study.directions) > 1:
        return None  # there is no order among unfinished trials
    return functools.partial(_judge, study, storage, int(sweeper["trial_id"]))


def _judge(
    study: optuna.Study, storage: RDBStorage, trial_id: int, epoch: int, metric: float
) -> bool:
    storage.set_trial_intermediate_value(trial_id, epoch, metric)
    if not study.pruner.prune(study, storage.get_trial(trial_id)):
        return False
    storage.set_trial_user_attr(trial_id, PRUNED, epoch)
    return True
