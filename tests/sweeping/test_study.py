import functools
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.pruners import MedianPruner
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from trajerr.errors import ConfigError
from trajerr.sweeping.pruning import pruning_judge
from trajerr.sweeping.study import OWNER, SharedStudy, StudySettings, open_storage

SPACE = {"x": FloatDistribution(0.0, 1.0), "model": CategoricalDistribution(["base", "lstm"])}


def open_study(folder: Path, space=SPACE, **changes) -> SharedStudy:
    settings = {
        "study_name": "s",
        "storage": f"sqlite:///{folder}/deep/studies.db",
        "directions": ["minimize"],
        "n_trials": 4,
        "n_jobs": 1,
        "stale_after_s": 600.0,
        **changes,
    }
    return SharedStudy(StudySettings(**settings), RandomSampler, 0, space)


def test_a_study_gives_out_its_trials_once(tmp_path):
    one, other = open_study(tmp_path), open_study(tmp_path)
    with one, other:
        taken = [*one.claim(1), *other.claim(2), *one.claim(5)]
        assert [trial.number for trial in taken] == [0, 1, 2, 3]
        assert len({trial.params["x"] for trial in taken}) == 4
        assert other.claim(1) == []
        for trial in taken:
            other.finish(trial, [trial.params["x"]])
        assert one.claim(1) == []
        assert one.best().value == min(trial.params["x"] for trial in taken)


def test_what_an_error_leaves_is_taken_next(tmp_path):
    with pytest.raises(RuntimeError), open_study(tmp_path) as study:
        (left,) = study.claim(1)
        raise RuntimeError
    with open_study(tmp_path) as study:
        (taken,) = study.claim(1)
        assert (taken.number, taken.params) == (1, left.params)
        assert len(study.claim(9)) == 3


@pytest.mark.parametrize(
    ("host", "pid", "seen_s_ago", "gone"),
    [
        (None, "ended", 0.0, True),
        (None, "reused", 0.0, True),
        (None, "alive", 9999.0, False),
        ("elsewhere", "ended", 9999.0, True),
        ("elsewhere", "ended", 10.0, False),
    ],
)
def test_a_worker_is_gone_when_its_process_is_or_silent_for_long(
    tmp_path, monkeypatch, host, pid, seen_s_ago, gone
):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with open_study(tmp_path) as study:
        (trial,) = study.claim(1)
        owner = dict(study.attributes(trial)[OWNER])
        owner["host"] = host or owner["host"]
        owner["pid"] = ended.pid if pid == "ended" else os.getpid()
        owner["started"] -= 5 if pid == "reused" else 0
        trial.set_user_attr(OWNER, owner)
        key = f"alive {owner['host']} {owner['pid']} {owner['started']}"
        study.study.set_user_attr(key, time.time() - seen_s_ago)
        other = open_study(tmp_path)
        (taken,) = other.claim(1)
        assert (taken.params == trial.params) is gone


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"directions": ["minimize", "minimize"]}, r"has the directions \['MINIMIZE'\]"),
        ({"space": {"model": CategoricalDistribution(["base", "fir"])}}, "has chosen model from"),
        ({"space": {"x": CategoricalDistribution([1, 2])}}, "has chosen x from"),
        ({"space": {"x": FloatDistribution(0.0, 2.0)}}, "has chosen x from .*high=1.0.*high=2.0"),
        ({"space": {}}, "has searched model, x, not"),
        ({"n_trials": 0}, r"hydra\.sweeper\.n_trials: got 0"),
        ({"n_jobs": 0}, r"hydra\.sweeper\.n_jobs: got 0"),
        ({"directions": ["down"]}, r"hydra\.sweeper\.direction: got \[down\]"),
        (
            {"stale_after_s": 1.0},
            r"hydra\.sweeper\.stale_after_s: got 1\.0, expected a number above 60",
        ),
        ({"storage": "nothing"}, r"hydra\.sweeper\.storage: nothing"),
        ({"storage": "mysql://me:secret@host/db"}, "mysql://…@host/db"),
    ],
)
def test_what_does_not_fit_a_study_is_refused(tmp_path, changes, said):
    study = open_study(tmp_path)
    with study:
        (trial,) = study.claim(1)
        study.finish(trial, [1.0])
    with pytest.raises(ConfigError, match=said) as raised:
        open_study(tmp_path, **changes)
    assert "secret" not in str(raised.value)


def test_hopeless_trials_are_pruned(tmp_path):
    study = open_study(tmp_path)
    make_pruner = functools.partial(MedianPruner, n_startup_trials=2, n_warmup_steps=1)
    ended = []
    with study:
        for level in (1.0, 2.0, 9.0, 0.5):
            (trial,) = study.claim(1)
            sweeper = {
                "trial_id": trial._trial_id,
                "pruner": {},
                "study_name": "s",
                "storage": f"sqlite:///{tmp_path}/deep/studies.db",
            }
            judge = pruning_judge(sweeper, make_pruner)
            ended.append([judge(epoch, level) for epoch in range(3)])
            study.finish(trial, [level])
    assert ended == [[False] * 3, [False] * 3, [False, True, True], [False] * 3]
    states = [trial.state for trial in study.trials()]
    assert states == [TrialState.COMPLETE] * 2 + [TrialState.PRUNED, TrialState.COMPLETE]
    assert study.best().value == 0.5


def test_a_run_of_no_study_is_not_judged():
    assert pruning_judge({"trial_id": None, "pruner": {}}, MedianPruner) is None
    assert pruning_judge({}, MedianPruner) is None


def test_storage_is_made_where_there_is_none(tmp_path):
    open_storage(f"sqlite:///{tmp_path}/a/b/studies.db")
    assert (tmp_path / "a" / "b" / "studies.db").is_file()
    assert optuna.get_all_study_names(f"sqlite:///{tmp_path}/a/b/studies.db") == []


def test_a_database_that_fails_on_the_way_ends_in_one_line(tmp_path):
    full = sqlite3.OperationalError("database or disk is full")
    with (
        pytest.raises(ConfigError, match=r"storage: sqlite.*studies\.db: database or disk is full"),
        open_study(tmp_path) as study,
    ):
        study.claim(1)
        raise optuna.exceptions.StorageInternalError("on commit") from full
    with open_study(tmp_path) as again:
        assert [trial.number for trial in again.trials()] == [0]
