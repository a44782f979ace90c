import shutil
from dataclasses import replace

import pytest
import torch
from torch.utils.data import DataLoader

from tests.shipped import data_module
from trajerr.dataset.matlab import write_layer
from trajerr.dataset.preparation import PrepareSettings, prepare
from trajerr.dataset.splits import SplitSettings
from trajerr.dataset.stats import read_stats
from trajerr.dataset.store import open_split, split_files
from trajerr.dataset.torch_dataset import PrinterSimulationDataset
from trajerr.dataset.windows import count_windows
from trajerr.errors import DataError

SETTINGS = PrepareSettings.shipped(
    data_dirs=(), sequence_length=32, stride=7, split=SplitSettings.shipped(seed=1)
)


@pytest.fixture
def both(tmp_path, make_collection):
    """The same data in both layouts."""
    make_collection()
    for layout in ("sequences", "windows"):
        asked = replace(SETTINGS, data_dirs=(str(tmp_path / "raw"),), layout=layout)
        prepare(asked, tmp_path / layout)
    return tmp_path / "sequences", tmp_path / "windows"


def test_items_are_slices_of_the_sequences(prepared):
    dataset = PrinterSimulationDataset(prepared / "test")
    expected = [
        (s, start)
        for s in open_split(prepared, "test").sequences
        for start in range(0, len(s) - 31, 4)
    ]
    assert len(dataset) == len(expected) == read_stats(prepared).splits["test"].windows
    for index, (sequence, start) in enumerate(expected):
        item = dataset[index]
        assert torch.equal(item["input_features"], sequence.features[start : start + 32])
        assert torch.equal(item["trajectory_targets"], sequence.targets[start : start + 32])
        assert torch.equal(item["thermal_targets"], sequence.temperatures[start : start + 32])
        assert item["metadata"] == {**sequence.metadata, "start": start}


def test_both_layouts_give_equal_items(both):
    for split in ("train", "val", "test"):
        first, second = (PrinterSimulationDataset(root / split) for root in both)
        assert len(first) == len(second) > 0
        for one, other in zip(first, second, strict=True):
            assert one.keys() == other.keys()
            assert one["metadata"] == other["metadata"]
            for name in ("input_features", "trajectory_targets", "thermal_targets"):
                assert torch.equal(one[name], other[name])
                assert one[name].dtype == other[name].dtype == torch.float32


def test_both_layouts_count_parts_and_windows_in_one_order(tmp_path, make_record):
    for part in ("boat", "boat2", "boat-3"):
        folder = tmp_path / "raw" / f"data_simulation_{part}"
        for layer in (1, 2, 3):
            record = make_record(layer=layer, part=part)
            write_layer(folder / f"layer{layer:04d}_a.mat", record)
    for layout in ("sequences", "windows"):
        asked = replace(SETTINGS, data_dirs=(str(tmp_path / "raw"),), layout=layout)
        prepare(asked, tmp_path / layout)
    first, second = (
        [(i["metadata"]["part"], i["metadata"]["start"]) for i in PrinterSimulationDataset(folder)]
        for folder in (tmp_path / "sequences" / "train", tmp_path / "windows" / "train")
    )
    assert first == second
    assert len({part for part, _ in first}) == 3


def test_windows_beyond_the_99999th_stay_in_order(tmp_path):
    numbers = (99_999, 100_000, 100_001, 10_000, 1)
    (tmp_path / "train").mkdir()
    for number in numbers:
        (tmp_path / "train" / f"sample_{number:05d}.pt").touch()
    found = [int(file.stem.removeprefix("sample_")) for file in split_files(tmp_path, "train")]
    assert found == sorted(numbers)


def test_both_layouts_are_the_same_data(both):
    first, second = (read_stats(root) for root in both)
    assert first.identity == second.identity
    assert first.feature_std == second.feature_std
    assert (first.layout, second.layout) == ("sequences", "windows")


def test_windows_are_files_numbered_from_one(both):
    names = sorted(p.name for p in (both[1] / "train").iterdir())
    assert names[0] == "sample_00001.pt"
    assert len(names) == read_stats(both[1]).splits["train"].windows
    content = torch.load(both[1] / "train" / names[0], weights_only=True)
    assert content["input_features"].shape == (32, 15)
    assert content["input_features"].untyped_storage().nbytes() == 32 * 15 * 4
    assert content["metadata"]["part"] in ("cube", "cone")


def test_items_are_views_not_copies(prepared):
    dataset = PrinterSimulationDataset(prepared / "train")
    first, second = dataset[0]["input_features"], dataset[1]["input_features"]
    assert second.data_ptr() - first.data_ptr() == 4 * 15 * 4


def test_another_length_and_stride_cut_anew(prepared):
    dataset = PrinterSimulationDataset(prepared / "val", sequence_length=50, stride=9)
    lengths = [len(s) for s in open_split(prepared, "val").sequences]
    assert len(dataset) == sum(count_windows(n, 50, 9) for n in lengths)
    assert dataset[0]["input_features"].shape == (50, 15)


def test_stored_windows_have_one_length_and_stride_only(both):
    with pytest.raises(DataError, match=r"windows were cut with .* \(32, 7\), asked for \(64, 7\)"):
        PrinterSimulationDataset(both[1] / "val", sequence_length=64)


def test_indices_count_from_both_ends(prepared):
    dataset = PrinterSimulationDataset(prepared / "val")
    last = dataset[len(dataset) - 1]["input_features"]
    assert torch.equal(dataset[-1]["input_features"], last)
    with pytest.raises(IndexError, match="window"):
        dataset[len(dataset)]


def test_a_default_dataloader_collates_items(prepared):
    batch = next(iter(DataLoader(PrinterSimulationDataset(prepared / "val"), batch_size=5)))
    assert batch["input_features"].shape == (5, 32, 15)
    assert len(batch["metadata"]["variant"]) == 5


def test_data_without_temperatures_has_no_thermal_targets(tmp_path, make_collection):
    make_collection(thermal=False)
    prepare(replace(SETTINGS, data_dirs=(str(tmp_path / "raw"),)), tmp_path / "out")
    dataset = PrinterSimulationDataset(tmp_path / "out" / "train")
    assert not dataset.has_thermal_targets
    assert "thermal_targets" not in dataset[0]
    assert read_stats(tmp_path / "out").temperature_mean is None


def test_folders_that_are_no_split_are_refused(prepared, tmp_path):
    with pytest.raises(DataError, match="not a split's folder, expected …/train"):
        PrinterSimulationDataset(prepared)
    with pytest.raises(DataError, match=r"no stats\.json, so this is not a prepared folder"):
        PrinterSimulationDataset(tmp_path / "train")
    shutil.rmtree(prepared / "val")
    with pytest.raises(DataError, match=r"no \.pt files; this folder has no split val"):
        PrinterSimulationDataset(prepared / "val")


def test_torch_makes_shuffled_batches_of_layers_that_say_different_things(tmp_path, make_record):
    for layer in range(1, 9):
        more = {"iterations": 3.0} if layer % 2 else {"note": "by hand"}
        path = tmp_path / "raw" / "data_simulation_cube" / f"layer{layer:04d}.mat"
        write_layer(path, make_record(layer=layer, **more))
    prepare(replace(SETTINGS, data_dirs=(str(tmp_path / "raw"),)), tmp_path / "out")
    dataset = PrinterSimulationDataset(tmp_path / "out" / "train")
    torch.manual_seed(0)
    batch = next(iter(DataLoader(dataset, batch_size=64, shuffle=True)))
    assert batch["input_features"].shape == (64, 32, 15)
    given = [note == "by hand" for note in batch["metadata"]["note"]]
    assert given == batch["metadata"]["iterations"].isnan().tolist()
    assert 0 < sum(given) < 64


def test_a_split_s_own_folder_names_its_data(prepared):
    assert data_module(prepared / "test").root == prepared
    assert data_module(prepared).root == prepared
