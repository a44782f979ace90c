import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from trajerr.dataset.stats import FILE, Stats, read_stats, write_stats
from trajerr.dataset.store import (
    load_sequence,
    load_tensors,
    make_sequence,
    open_split,
    save_sequence,
    save_tensors,
)
from trajerr.errors import ConfigError, DataError
from trajerr.motion.features import compute_features

NOTES = {"part": "cube", "layer": 1, "variant": "a", "kind": "nominal", "sample_rate_hz": 200.0}


def test_a_sequence_is_a_record_without_its_first_three_samples(make_record):
    record = make_record()
    sequence = make_sequence(record, NOTES)
    features = compute_features(record.commanded, record.sample_rate)[3:]
    assert sequence.features.dtype == torch.float32
    np.testing.assert_allclose(sequence.features.numpy(), features, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(sequence.targets.numpy(), record.error[3:], atol=1e-7)
    np.testing.assert_array_equal(sequence.time.numpy(), record.time[3:])
    np.testing.assert_array_equal(sequence.feature.numpy(), record.feature[3:])
    with pytest.raises(DataError, match="3 samples are too few"):
        make_sequence(record.select(slice(0, 3)), NOTES)


@pytest.mark.parametrize("thermal", [True, False])
def test_saving_then_loading_is_the_identity(tmp_path, make_record, thermal):
    sequence = make_sequence(make_record(thermal=thermal), NOTES)
    save_sequence(tmp_path / "a.pt", sequence)
    found = load_sequence(tmp_path / "a.pt")
    for name in ("features", "targets", "time", "feature", "extruding", "travel"):
        assert torch.equal(getattr(found, name), getattr(sequence, name)), name
    assert found.metadata == NOTES
    assert (found.temperatures is None) == (not thermal)
    if thermal:
        assert torch.equal(found.temperatures, sequence.temperatures)


def test_loaded_tensors_are_views_of_the_mapped_file(tmp_path, make_record):
    path = tmp_path / "a.pt"
    save_sequence(path, make_sequence(make_record(), NOTES))
    found = load_sequence(path)
    with Path("/proc/self/maps").open() as maps:
        assert str(path) in maps.read()
    assert len(found) == 197


def test_files_that_run_code_are_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"features": Trap()}, tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Trap()))
    for name in ("a.pt", "b.pt"):
        with pytest.raises(DataError, match=rf"{name}: not a \.pt file of tensors"):
            load_tensors(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_damaged_and_foreign_files_are_refused(tmp_path, make_record):
    path = tmp_path / "a.pt"
    sequence = make_sequence(make_record(), NOTES)
    save_sequence(path, sequence)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"not a \.pt file"):
        load_sequence(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"not a \.pt file"):
        load_sequence(path)
    torch.save(torch.zeros(3), path)
    with pytest.raises(DataError, match="holds a Tensor, expected a dict"):
        load_sequence(path)
    save_tensors(path, {"features": torch.zeros(3, 15)})
    with pytest.raises(DataError, match="tensor 'targets' is missing; prepare the data again"):
        load_sequence(path)
    save_sequence(path, replace(sequence, targets=torch.zeros(5, 2)))
    with pytest.raises(DataError, match=r"targets has shape \(5, 2\), expected \(197, 2\)"):
        load_sequence(path)
    with pytest.raises(DataError, match=r"absent\.pt"):
        load_sequence(tmp_path / "absent.pt")


def test_a_split_opens_in_order_and_selects_kinds(prepared):
    split = open_split(prepared, "train")
    names = [
        (s.metadata["part"], s.metadata["layer"], s.metadata["variant"]) for s in split.sequences
    ]
    assert names == sorted(names)
    assert split.has_temperatures
    assert len(split.select({"nominal"}).sequences) == len(names)
    with pytest.raises(DataError, match=r"none of kinds \['perturbed'\]; it has \['nominal'\]"):
        open_split(prepared, "train", kinds=["perturbed"])


def test_a_folder_of_another_rate_layout_or_split_is_refused(prepared):
    open_split(prepared, "val", sample_rate=200.0)
    with pytest.raises(DataError, match="has 200 Hz, expected 100 Hz; prepare again with"):
        open_split(prepared, "val", sample_rate=100.0)
    with pytest.raises(ConfigError, match="split: got dev, expected one of train, val, test"):
        open_split(prepared, "dev")
    write_stats(prepared, replace(read_stats(prepared), layout="windows"))
    with pytest.raises(DataError, match="layout is windows, expected sequences"):
        open_split(prepared, "val")
    with pytest.raises(DataError, match=r"not a prepared folder; run python -m trajerr\.prepare"):
        open_split(prepared / "train", "val")


def test_stats_survive_json(prepared):
    stats = read_stats(prepared)
    assert Stats.from_dict(stats.to_dict()) == stats
    plain = stats.to_dict()
    assert plain["names"]["targets"] == ["error_x", "error_y"]
    assert plain["units"]["features"][3] == "mm/s"
    assert len(plain["feature_mean"]) == len(plain["feature_std"]) == 15


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "Expecting value"),
        ("[]", "not an object"),
        ('{"schema_version": 99}', "schema_version is 99, expected 1; prepare the data again"),
        ('{"schema_version": 1}', "features differ from this version's"),
    ],
)
def test_foreign_stats_are_refused(prepared, content, message):
    (prepared / FILE).write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        read_stats(prepared)
    assert str(prepared / FILE) in str(caught.value)


def test_stats_with_a_key_missing_name_it(prepared):
    plain = read_stats(prepared).to_dict()
    del plain["target_std"]
    with pytest.raises(DataError, match="'target_std'"):
        Stats.from_dict(plain)
