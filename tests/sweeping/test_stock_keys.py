"""What people know of hydra-optuna-sweeper works, and every sampler draws."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler, TPESampler

from trajerr.errors import ConfigError
from trajerr.sweeping.samplers import sampling
from trajerr.sweeping.space import parse_space
from trajerr.sweeping.study import SharedStudy, StudySettings

STOCK = """
defaults: [{sampler: tpe}]
_target_: hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper
direction: minimize
storage: null
study_name: null
n_trials: 4
n_jobs: 1
max_failure_rate: 0.0
params: {x: "interval(0, 1)"}
"""
SPACE_OF_CODE = (
    "def configure(config, trial):\n    trial.suggest_categorical('group', ['good', 'wide'])\n"
)


def studies(folder):
    url = f"sqlite:///{folder}/study.db"
    return optuna.load_study(study_name=None, storage=url)


def put(toy, more=""):
    path = toy.folder / "conf" / "hydra" / "sweeper" / "stock.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(STOCK + more)


def test_a_file_of_the_stock_plugin_is_taken(toy):
    put(toy)
    done = toy("-m", "hydra/sweeper=stock", "hydra.sweep.dir=here", "hydra.sweeper.sampler.seed=5")
    assert done.returncode == 0, done.stderr
    study = studies(toy.folder / "here")
    assert len(study.trials) == 4
    assert study.study_name.startswith("toy_")
    names = {path.name for path in (toy.folder / "conf" / "experiment").iterdir()}
    assert names == {"best.yaml", f"best_{study.study_name}.yaml"}
    again = toy(
        "-m", "hydra/sweeper=stock", "hydra.sweep.dir=there", "hydra.sweeper.sampler.seed=5"
    )
    assert again.returncode == 0, again.stderr
    assert [t.params for t in studies(toy.folder / "there").trials] == [
        t.params for t in study.trials
    ]


def test_a_function_of_ones_own_suggests(toy):
    put(toy, "custom_search_space: space.configure\n")
    (toy.folder / "space.py").write_text(SPACE_OF_CODE)
    done = toy("-m", "hydra/sweeper=stock", "hydra.sweep.dir=here")
    assert done.returncode == 0, done.stderr
    assert all(set(t.params) == {"x", "group"} for t in studies(toy.folder / "here").trials)


def test_only_a_file_of_ones_own_names_a_function(toy):
    done = toy(*toy.search("hydra.sweeper.custom_search_space=os.getcwd"))
    assert done.returncode == 1
    assert "hydra.sweeper.custom_search_space: got os.getcwd, expected what shipped" in done.stderr


def test_failures_end_a_search(toy):
    put(toy)
    done = toy("-m", "hydra/sweeper=stock", "bug_above=-1.0")
    assert done.returncode == 1
    assert "max_failure_rate: got 1 failures in 1 trials, expected at most 0" in done.stderr


def test_an_unknown_key_is_named(toy):
    done = toy(*toy.search("+hydra.sweeper.n_trial=3"))
    assert "hydra.sweeper.n_trial: got 3, expected a known key, the nearest is" in done.stderr


def test_another_space_has_another_name():
    one, same, other = (
        parse_space({}, [f"x=interval(0.0,{end})"]) for end in ("1.0", "1.0", "2.0")
    )
    assert one.digest == same.digest != other.digest


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsgaii", "qmc", "grid"])
def test_each_sampler_draws(toy, sampler):
    asked = 5 if sampler == "grid" else 4  # the grid has no more than 4
    given = [f"hydra.sweeper.n_trials={asked}", f"hydra/sweeper/sampler={sampler}"]
    swept = toy.search(*given, "group=good,wide")
    swept[2] = "x=0.1,0.2" if sampler == "grid" else swept[2]
    done = toy(*swept)
    assert done.returncode == 0, done.stderr
    drawn = [tuple(trial.params.items()) for trial in toy.trials()]
    assert len(set(drawn)) == len(drawn) == 4


def test_cmaes_says_what_it_needs(toy):
    try:
        import cmaes  # noqa: F401
    except ImportError:
        done = toy(*toy.search("hydra/sweeper/sampler=cmaes"))
        assert done.returncode == 1
        assert "hydra.sweeper.sampler: " in done.stderr
        assert "cmaes" in done.stderr


def test_a_grid_needs_steps():
    space = {"x": FloatDistribution(0.0, 1.0)}
    with pytest.raises(ConfigError, match=r"params\.x: got an interval, expected choices or steps"):
        sampling(optuna.samplers.GridSampler, 0, space)
    stepped = {
        "x": FloatDistribution(0.0, 1.0, step=0.5),
        "n": IntDistribution(1, 3),
        "c": CategoricalDistribution(["a"]),
    }
    assert sampling(optuna.samplers.GridSampler, 0, stepped).at_most == 9


def test_an_even_sequence_stays_even(tmp_path):
    settings = StudySettings("s", f"sqlite:///{tmp_path}/s.db", ["minimize"], 8, 1, 600.0)
    space = {"x": FloatDistribution(0.0, 1.0)}
    with SharedStudy(settings, optuna.samplers.QMCSampler, 3, space) as study:
        drawn = []
        for _ in range(8):
            (trial,) = study.claim(1)
            drawn.append(trial.params["x"])
            study.finish(trial, [1.0])
    assert len({int(value * 4) for value in drawn[1:]}) == 4


def test_a_sampler_that_has_been_made_is_taken():
    made = sampling(TPESampler(seed=3), 0, {})
    assert isinstance(made.make(), TPESampler)
    assert isinstance(sampling(RandomSampler, 0, {}).make(seed=1), RandomSampler)
    with pytest.raises(ConfigError, match=r"hydra\.sweeper\.sampler: got tpe"):
        sampling("tpe", 0, {})
