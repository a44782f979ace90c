import csv
import time
from collections import Counter
from itertools import pairwise

import pytest
from omegaconf import OmegaConf
from optuna.trial import TrialState


def finished(toy):
    return [trial for trial in toy.trials() if "abandoned" not in trial.user_attrs]


def wait_for(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


def test_a_search_ends_with_its_best_as_an_experiment(toy):
    done = toy(*toy.search("group=choice(good,wide)", "hydra.sweeper.n_trials=6", "pause_s=0.001"))
    assert done.returncode == 0, done.stderr
    assert len(toy.table()) == 6
    best = min(toy.trials(), key=lambda trial: trial.value)
    path = toy.folder / "conf" / "experiment" / "best.yaml"
    assert f"trial {best.number}" in path.read_text()
    shown = OmegaConf.create(toy("experiment=best", "--cfg", "job").stdout)
    assert shown.x == best.params["x"]
    assert shown.pause_s == 0.001
    assert shown.group.width == (16 if best.params["group"] == "wide" else 8)
    repeated = toy("experiment=best")
    assert repeated.returncode == 0, repeated.stderr


@pytest.mark.slow
def test_the_estimator_finds_what_chance_does_not_stay_at(toy):
    assert toy(*toy.search("hydra.sweeper.n_trials=25")).returncode == 0
    late = [abs(trial.params["x"] - 0.3) for trial in toy.trials()[15:]]
    assert sorted(late)[len(late) // 2] < 0.1  # 0.25 by chance


@pytest.mark.slow
def test_going_on_with_a_study_is_the_same_as_not_stopping(toy, tmp_path_factory):
    from tests.sweeping.conftest import make_toy

    other = make_toy(tmp_path_factory.mktemp("other"))
    startup = "hydra.sweeper.sampler.n_startup_trials=2"
    for count in (2, 6):
        assert toy(*toy.search(f"hydra.sweeper.n_trials={count}", startup)).returncode == 0
    assert other(*other.search("hydra.sweeper.n_trials=6", startup)).returncode == 0
    assert [t.params for t in toy.trials()] == [t.params for t in other.trials()]


def test_a_killed_study_goes_on_and_loses_nothing(toy):
    arguments = toy.search("hydra.sweeper.n_trials=4", "pause_s=0.4")
    running = toy.start(*arguments)
    wait_for(lambda: list(toy.folder.glob("multirun/toy/*/trial_0001/.hydra/config.yaml")))
    running.kill()
    running.communicate(timeout=60)
    interrupted = toy.trials()[1]
    assert interrupted.state is TrialState.RUNNING
    done = toy(*arguments)
    assert done.returncode == 0, done.stderr
    states = [trial.state for trial in finished(toy)]
    assert states == [TrialState.COMPLETE] * 4
    assert toy.trials()[1].state is TrialState.FAIL
    again = [trial for trial in toy.trials() if trial.user_attrs.get("again") == 1]
    assert [trial.params for trial in again] == [interrupted.params]
    more = toy(*arguments)
    assert more.returncode == 0
    assert len(toy.trials()) == 5  # the study has enough


def test_workers_on_one_study_neither_lose_nor_repeat_a_trial(toy):
    arguments = toy.search("hydra.sweeper.n_trials=10", "pause_s=0.2")
    workers = [toy.start(*arguments) for _ in range(2)]
    said = [worker.communicate(timeout=120) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    trials = toy.trials()
    assert [trial.number for trial in trials] == list(range(10))
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert len({trial.params["x"] for trial in trials}) == 10
    assert len({trial.user_attrs["owner"]["pid"] for trial in trials}) == 2
    ran = Counter(path.parent.name for path in toy.folder.glob("multirun/toy/*/*/outcome.json"))
    assert ran == {f"trial_{number:04d}": 1 for number in range(10)}


def test_failed_trials_count_and_are_told(toy):
    done = toy(*toy.search("bug_above=0.5", "hydra.sweeper.n_trials=5"))
    assert done.returncode == 1
    failed = [trial for trial in toy.trials() if trial.state is TrialState.FAIL]
    assert 1 <= len(failed) < 5
    assert all(trial.params["x"] > 0.5 for trial in failed)
    assert {trial.user_attrs["reason"] for trial in failed} == {"ZeroDivisionError: a bug"}
    assert f"{len(failed)} of 5 runs failed" in done.stderr


def test_several_objectives_give_a_front(toy):
    done = toy(
        *toy.search(
            "two=true", "hydra.sweeper.direction=[minimize,maximize]", "hydra.sweeper.n_trials=6"
        )
    )
    assert done.returncode == 0, done.stderr
    (path,) = toy.folder.glob("multirun/toy/*/pareto.csv")
    with path.open(newline="") as file:
        front = [(float(r["objective_0"]), float(r["objective_1"])) for r in csv.DictReader(file)]
    assert front
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(front))
    for trial in toy.trials():
        assert any(f[0] <= trial.values[0] and f[1] >= trial.values[1] for f in front)


@pytest.mark.slow
def test_more_trials_at_once_need_a_launcher_only(toy):
    done = toy(
        *toy.search("hydra.sweeper.n_trials=5", "hydra.sweeper.n_jobs=2", "hydra/launcher=cores")
    )
    assert done.returncode == 0, done.stderr
    assert [trial.state for trial in toy.trials()] == [TrialState.COMPLETE] * 5
