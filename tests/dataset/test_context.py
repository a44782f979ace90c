"""The lead-in of layers: kept by every step, counted by none."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from trajerr.dataset.matlab import read_layer, write_layer
from trajerr.dataset.preparation import PrepareSettings, prepare
from trajerr.dataset.repair import FaultSettings, repair
from trajerr.dataset.resample import resample
from trajerr.dataset.splits import SplitSettings
from trajerr.dataset.stats import Stats
from trajerr.dataset.store import (
    load_sequence,
    load_tensors,
    make_sequence,
    open_split,
    save_sequence,
    save_tensors,
)
from trajerr.dataset.torch_dataset import PrinterSimulationDataset
from trajerr.dataset.windows import WindowTable
from trajerr.errors import DataError
from trajerr.motion.features import HISTORY

CONTEXT = 60
SCALES = ("feature_mean", "feature_std", "target_mean", "target_std")


@pytest.fixture
def layer(make_record):
    return replace(make_record(), context=CONTEXT)


@pytest.fixture
def prepare_layers(make_record, tmp_path):
    """Prepare layers whose lead-ins have an error of their own, mm; return the folder."""

    def prepared(name: str, wrong: float, **settings):
        for number in range(1, 7):
            record = make_record(layer=number)
            actual = record.actual.copy()
            actual[:CONTEXT] += wrong
            path = tmp_path / name / "data_simulation_cube" / f"layer{number:04d}_a.mat"
            write_layer(path, replace(record, actual=actual, context=CONTEXT))
        split = SplitSettings.shipped(train_ratio=0.5, val_ratio=0.25, test_ratio=0.25)
        asked = PrepareSettings.shipped(
            data_dirs=(str(tmp_path / name / "data_simulation_cube"),),
            sequence_length=32,
            split=split,
            **settings,
        )
        prepare(asked, tmp_path / f"{name}_prepared")
        return tmp_path / f"{name}_prepared"

    return prepared


@pytest.mark.parametrize(
    ("rows", "left"),
    [
        (slice(10, None), 50),
        (slice(100, None), 0),
        (slice(0, 30), 30),
        (np.arange(200) % 2 == 0, 30),
        (np.array([0, 1, 59, 60, 61]), 3),
    ],
)
def test_choosing_rows_keeps_what_is_left_of_the_lead_in(layer, rows, left):
    chosen = layer.select(rows)
    assert chosen.context == left
    np.testing.assert_array_equal(chosen.time, layer.time[rows])


def test_a_layer_file_holds_its_lead_in(layer, tmp_path):
    write_layer(tmp_path / "layer0001_a.mat", layer)
    assert read_layer(tmp_path / "layer0001_a.mat").context == CONTEXT


def test_a_file_that_names_no_lead_in_has_none(shared):
    (path, *_) = sorted((shared / "data/matlab/v7").glob("layer*.mat"))
    assert read_layer(path).context == 0


@pytest.mark.parametrize("stated", [-1, 200, 3.5])
def test_an_impossible_lead_in_is_refused(layer, stated, tmp_path):
    write_layer(tmp_path / "layer0001_a.mat", replace(layer, context=stated))
    with pytest.raises(
        DataError, match=r"layer0001_a\.mat: params\.context_samples is .* 200 rows"
    ):
        read_layer(tmp_path / "layer0001_a.mat")


@pytest.mark.parametrize("rate", [100.0, 250.0, 1000.0])
def test_another_rate_begins_to_count_at_the_same_time(layer, rate):
    found = resample(layer, rate)
    begin = layer.time[CONTEXT]
    assert found.time[found.context - 1] < begin <= found.time[found.context] + 1e-12
    assert found.time[found.context] - begin < 1.0 / rate


def test_a_fault_within_the_lead_in_shortens_it_and_costs_no_layer(layer):
    actual = layer.actual.copy()
    actual[20] = np.nan
    repaired = repair(replace(layer, actual=actual), FaultSettings.shipped(), min_samples=100)
    (piece,) = repaired.pieces
    assert piece.context == CONTEXT - 21
    assert len(piece.time) == 200 - 21
    assert "short" not in repaired.faults


@pytest.mark.parametrize(("context", "kept"), [(0, 1), (2, 1), (3, 1), (60, 1), (104, 0)])
def test_a_layer_is_long_enough_by_what_counts(make_record, context, kept):
    record = replace(make_record(), context=context)
    repaired = repair(record, FaultSettings.shipped(), min_samples=100 + HISTORY)
    assert len(repaired.pieces) == kept
    assert repaired.faults["short"] == 1 - kept


def test_a_stored_sequence_keeps_its_lead_in(layer, tmp_path):
    sequence = make_sequence(layer, {})
    assert sequence.context == CONTEXT - HISTORY
    save_sequence(tmp_path / "a.pt", sequence)
    found = load_sequence(tmp_path / "a.pt")
    assert found.context == sequence.context
    own = found.trimmed()
    assert len(own) == 200 - CONTEXT
    assert own.time[0] == layer.time[CONTEXT]
    assert found.trimmed(10).context == 10
    torch.testing.assert_close(found.trimmed(10).features, found.features[-len(own) - 10 :])
    assert found.trimmed(999).context == found.context
    features, errors = found.pair
    assert len(features) == len(found)
    torch.testing.assert_close(errors, own.targets)


def test_a_sequence_stored_before_there_were_lead_ins_has_none(layer, tmp_path):
    save_sequence(tmp_path / "a.pt", make_sequence(layer, {}))
    old = {k: v for k, v in load_tensors(tmp_path / "a.pt").items() if k != "context"}
    save_tensors(tmp_path / "old.pt", old)
    assert load_sequence(tmp_path / "old.pt").context == 0
    save_tensors(tmp_path / "bad.pt", {**old, "context": 9999})
    with pytest.raises(DataError, match="context is 9999, expected 0 to 196"):
        load_sequence(tmp_path / "bad.pt")


@pytest.mark.parametrize("layout", ["sequences", "windows"])
def test_nothing_that_is_counted_depends_on_errors_of_lead_ins(prepare_layers, layout):
    right, wrong = (
        PrinterSimulationDataset(prepare_layers(name, error, layout=layout) / "train")
        for name, error in (("right", 0.0), ("wrong", 3.0))
    )
    for name in SCALES:
        assert getattr(right.stats, name) == getattr(wrong.stats, name)
    assert right.stats.splits == wrong.stats.splits
    assert len(right) == len(wrong) == right.stats.splits["train"].windows
    for one, other in zip(right, wrong, strict=True):
        torch.testing.assert_close(one["trajectory_targets"], other["trajectory_targets"])


def test_stats_say_what_context_there_is(prepare_layers):
    root = prepare_layers("right", 0.0)
    split = open_split(root, "train")
    held = split.stats.splits["train"]
    assert held.points == held.sequences * (200 - CONTEXT)
    assert held.context == held.sequences * (CONTEXT - HISTORY)
    assert held.cold == 0
    assert split.stats.cold == ""


def test_stats_of_folders_without_lead_ins_say_so(prepare_layers):
    stats = open_split(prepare_layers("right", 0.0), "train").stats
    plain = stats.to_dict()
    for held in plain["splits"].values():
        del held["context"], held["cold"]
    old = Stats.from_dict(plain)
    assert all(held.cold == held.sequences for held in old.splits.values())
    assert old.cold == "\n6 of 6 sequences hold no motion before their layer, to lead into it"


@pytest.mark.parametrize("lead", [0, 12, 31, 500])
def test_windows_count_nothing_of_a_lead_in(prepare_layers, lead):
    """What a loss leaves out at a window's begin covers the context that the window holds."""
    right, wrong = (
        WindowTable.of(open_split(prepare_layers(name, error), "train").sequences, 32, lead)
        for name, error in (("right", 0.0), ("wrong", 3.0))
    )
    assert set(right.lengths.tolist()) == {200 - CONTEXT + min(lead, 31)}
    rows = right.strided(1)
    counted = slice(min(lead, 31), None)
    for table in (right, wrong):
        assert len(table.features) == int(table.lengths.sum())
    one, other = (t.gather(rows)["trajectory_targets"] for t in (right, wrong))
    torch.testing.assert_close(one[:, counted], other[:, counted])
    assert torch.equal(one, other) == (lead == 0)
