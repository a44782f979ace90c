import pytest
from hypothesis import given
from hypothesis import strategies as st

from trajerr.dataset.splits import (
    Group,
    SplitSettings,
    assign_splits,
    canonical_sources,
    require_filled,
)
from trajerr.errors import ConfigError, DataError

groups = st.lists(
    st.builds(Group, st.sampled_from("abcd"), st.integers(1, 30)), min_size=3, max_size=60
).filter(lambda found: len(set(found)) >= 3)


def ratios(draw_train: float, draw_val: float) -> SplitSettings:
    return SplitSettings.shipped(
        train_ratio=draw_train, val_ratio=draw_val, test_ratio=1.0 - draw_train - draw_val
    )


@given(groups, st.integers(0, 5), st.randoms())
def test_each_group_has_one_split_whatever_the_order(found, seed, random):
    assigned = assign_splits(found, SplitSettings.shipped(seed=seed))
    shuffled = list(found)
    random.shuffle(shuffled)
    assert assign_splits(shuffled, SplitSettings.shipped(seed=seed)) == assigned
    assert assigned.keys() == set(found)
    assert set(assigned.values()) == {"train", "val", "test"}


@given(groups, st.floats(0.1, 0.8), st.floats(0.05, 0.1))
def test_ratios_count_layers(found, train, val):
    settings = ratios(train, val)
    splits = list(assign_splits(found, settings).values())
    for split, ratio in settings.ratios.items():
        assert splits.count(split) == pytest.approx(ratio * len(splits), abs=2.0)


def test_a_small_test_split_draws_from_every_source():
    found = [Group(source, layer) for source in "abcd" for layer in range(1, 6)]
    settings = SplitSettings.shipped(train_ratio=0.6, val_ratio=0.2, test_ratio=0.2)
    for seed in range(10):
        assigned = assign_splits(found, SplitSettings.shipped(**{**vars(settings), "seed": seed}))
        for split in ("val", "test"):
            assert {g.source for g, s in assigned.items() if s == split} == set("abcd")


@given(st.sets(st.integers(1, 300), min_size=3), st.integers(0, 99))
def test_a_source_is_split_alike_under_another_name(layers, seed):
    first, second = (
        {
            g.layer: s
            for g, s in assign_splits(
                [Group(name, n) for n in layers], SplitSettings.shipped(seed=seed)
            ).items()
        }
        for name in ("v7", "v73")
    )
    assert first == second


def test_seeds_differ():
    found = [Group("a", layer) for layer in range(1, 21)]
    outcomes = {
        tuple(
            sorted(
                g.layer
                for g, s in assign_splits(found, SplitSettings.shipped(seed=i)).items()
                if s == "test"
            )
        )
        for i in range(5)
    }
    assert len(outcomes) > 1


def test_a_ratio_of_zero_leaves_its_split_out():
    settings = SplitSettings.shipped(train_ratio=0.5, val_ratio=0.0, test_ratio=0.5)
    found = [Group("a", layer) for layer in range(4)]
    assert sorted(assign_splits(found, settings).values()) == ["test", "test", "train", "train"]
    assert settings.wanted == ("train", "test")


def test_parts_are_held_out_whole():
    found = [Group(source, layer) for source in "abcd" for layer in range(1, 6)]
    assigned = assign_splits(found, SplitSettings.shipped(by="part"))
    by_source = {g.source: s for g, s in assigned.items()}
    assert all(by_source[g.source] == s for g, s in assigned.items())
    assert sorted(by_source.values()) == ["test", "train", "train", "val"]


def test_named_parts_go_where_they_are_named():
    found = [Group(source, layer) for source in "abcd" for layer in range(1, 6)]
    settings = SplitSettings.shipped(by="part", test_parts=("b",), val_parts=("d",))
    assigned = {g.source: s for g, s in assign_splits(found, settings).items()}
    assert assigned == {"a": "train", "b": "test", "c": "train", "d": "val"}
    only_test = SplitSettings.shipped(by="part", test_parts=("b",))
    assigned = {g.source: s for g, s in assign_splits(found, only_test).items()}
    assert assigned["b"] == "test"
    assert sorted(assigned.values()) == ["test", "train", "train", "val"]


@pytest.mark.parametrize(
    ("count", "settings", "message"),
    [
        (2, SplitSettings.shipped(), r"2 layers cannot fill 3 splits \(train, val, test\)"),
        (5, SplitSettings.shipped(by="part"), "1 parts cannot fill 3 splits"),
        (
            5,
            SplitSettings.shipped(by="part", test_parts=("z",)),
            r"names parts \['z'\], but the data has",
        ),
        (5, SplitSettings.shipped(by="part", test_parts=("a",)), "0 parts cannot fill 2 splits"),
    ],
)
def test_splits_that_would_be_empty_are_refused(count, settings, message):
    with pytest.raises(DataError, match=message):
        assign_splits([Group("a", layer) for layer in range(count)], settings)


def test_splits_without_a_window_are_refused():
    require_filled({"train": 5, "val": 1, "test": 2}, SplitSettings.shipped())
    with pytest.raises(DataError, match="split val and test would hold no window; add layers"):
        require_filled({"train": 5, "val": 0}, SplitSettings.shipped())
    for_test = SplitSettings.shipped(train_ratio=0.0, val_ratio=0.0, test_ratio=1.0)
    with pytest.raises(DataError, match=r"scaled by it; give it some layers by train_ratio$"):
        require_filled({"test": 5}, for_test)


SHARED = r"split.test_parts: got \[b, a\], expected none of split.val_parts, a$"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "window"}, "split.by: got window, expected one of layer, part, section"),
        ({"train_ratio": 0.9}, r"got \[0.9, 0.15, 0.15\], expected a sum of 1"),
        ({"val_ratio": "some"}, "val_ratio: got some, expected a number from 0 on"),
        ({"seed": 1.5}, "seed: got 1.5, expected a whole number from 0 on"),
        (
            {"train_ratio": 1.2, "val_ratio": -0.35},
            "val_ratio: got -0.35, expected a number from 0 on",
        ),
        ({"test_parts": ("a",)}, "split.by: got layer, expected part, as split.val_parts or"),
        ({"by": "part", "test_parts": ("b", "a"), "val_parts": ("a",)}, SHARED),
    ],
)
def test_impossible_settings_name_their_key(options, message):
    with pytest.raises(ConfigError, match=message):
        SplitSettings.shipped(**options)


def test_parts_of_one_source_file_are_one_source():
    names = [("a", "1"), ("b", "2"), ("c", "1"), ("c", "3"), ("d", "3"), ("e", "")]
    assert canonical_sources(names) == {"a": "a", "c": "a", "d": "a", "b": "b", "e": "e"}


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["", "1", "2", "3"]))))
def test_sources_are_connected_through_names_and_files(names):
    found = canonical_sources(names)
    for part, sha256 in names:
        for other, its in names:
            if part == other or (sha256 and sha256 == its):
                assert found[part] == found[other]
    assert canonical_sources(reversed(names)) == found
