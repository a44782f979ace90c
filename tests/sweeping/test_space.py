import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from trajerr.errors import ConfigError
from trajerr.sweeping.best import difference
from trajerr.sweeping.space import parse_space


def test_each_word_of_hydra_becomes_its_distribution():
    space = parse_space(
        {"lr": "tag(log, interval(1e-5, 1e-3))", "batch": "choice(16, 32, 64)"},
        ["dropout=interval(0.0,0.3)", "layers=range(1,4)", "width=8,16", "size=int(interval(2,9))"],
    )
    assert space.distributions == {
        "lr": FloatDistribution(1e-5, 1e-3, log=True),
        "batch": CategoricalDistribution([16, 32, 64]),
        "dropout": FloatDistribution(0.0, 0.3),
        "layers": IntDistribution(1, 3),
        "width": CategoricalDistribution([8, 16]),
        "size": IntDistribution(2, 9),
    }


def test_the_command_line_has_the_last_word():
    space = parse_space({"lr": "interval(0.1, 0.2)", "batch": "choice(1,2)"}, ["lr=0.5", "a.b=c"])
    assert set(space.distributions) == {"batch"}
    assert space.overrides({"batch": 2}) == ["lr=0.5", "a.b=c", "batch=2"]


def test_choices_are_written_as_they_were_stated():
    space = parse_space({}, ["model=lstm,base", "name='a b','c,d'", "kinds=[nominal],null"])
    for key in ("model", "name", "kinds"):
        for value in space.distributions[key].choices:
            (override,) = space.overrides({key: value})
            again = parse_space({}, [override, "x=1,2"])
            assert again.fixed == [override]
    assert space.overrides({"name": "c,d"}) == ["name='c,d'"]
    assert space.overrides({"kinds": None}) == ["kinds=null"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], r": got \[\], expected something to search"),
        (["a=1"], ": got .*, expected something to search"),
        (["a=interval(2,1)"], r"\.a: got \[2.0, 1.0\], expected two ends"),
        (["a=tag(log,interval(0,1))"], r"\.a: got \[0.0, 1.0\], expected two ends .* above 0$"),
        (["a=range(3,1)"], r"\.a: got \[3, 1, 1\], expected start, stop and step"),
    ],
)
def test_what_cannot_be_searched_is_refused(arguments, said):
    with pytest.raises(ConfigError, match=rf"^hydra\.sweeper\.params{said}"):
        parse_space({}, arguments)


def test_a_difference_is_what_has_to_be_merged():
    before = {"model": {"name": "base", "lr": 1.0, "deep": {"a": 1}}, "seed": 0, "data": None}
    after = {"model": {"name": "base", "lr": 2.0, "deep": {"a": 1}}, "seed": 0, "data": {"b": 1}}
    assert difference(before, after) == {"model": {"lr": 2.0}, "data": {"b": 1}}
    assert difference(before, before, ["model.deep.a", "seed"]) == {
        "model": {"deep": {"a": 1}},
        "seed": 0,
    }
