import warnings
from itertools import pairwise

import lightning
import pytest
import torch

from tests.shipped import data_module
from trajerr.dataset.preparation import PrepareSettings, prepare
from trajerr.dataset.stats import read_stats
from trajerr.dataset.store import open_split
from trajerr.errors import ConfigError, DataError
from trajerr.training import datamodule
from trajerr.training.datamodule import PrinterDataModule


def epoch(module: PrinterDataModule, number: int) -> list[dict[str, torch.Tensor]]:
    """All training batches of one epoch, as Lightning would ask for them."""
    loader = module.train_dataloader()
    loader.sampler.set_epoch(number)
    return list(loader)


def equal(first, second) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a[name], b[name]) for a, b in zip(first, second, strict=True) for name in a
    )


def test_evaluation_goes_through_all_windows_in_order(prepared):
    module = data_module(prepared, batch_size=7)
    for split, loader in (("val", module.val_dataloader()), ("test", module.test_dataloader())):
        expected = [
            s.features[a : a + 32]
            for s in open_split(prepared, split).sequences
            for a in range(0, len(s) - 31, 4)
        ]
        batches = list(loader)
        assert len(loader) == len(batches) == -(-len(expected) // 7)
        assert torch.equal(torch.cat([b["input_features"] for b in batches]), torch.stack(expected))
    assert equal(list(module.predict_dataloader()), list(module.test_dataloader()))


def test_batches_are_contiguous_float32_of_the_designed_shapes(prepared):
    batch = next(iter(data_module(prepared, batch_size=16).train_dataloader()))
    shapes = {name: tuple(tensor.shape) for name, tensor in batch.items()}
    assert shapes == {
        "input_features": (16, 32, 15),
        "trajectory_targets": (16, 32, 2),
        "thermal_targets": (16, 32, 3),
    }
    assert all(t.is_contiguous() and t.dtype == torch.float32 for t in batch.values())


def test_training_windows_are_slices_at_any_offset(prepared):
    module = data_module(prepared, batch_size=16, samples_per_epoch=320)
    sequences = open_split(prepared, "train").sequences
    known = {
        s.features[a].numpy().tobytes(): s.features[a : a + 32]
        for s in sequences
        for a in range(len(s) - 31)
    }
    batches = epoch(module, 0)
    assert len(batches) == len(module.train_dataloader()) == 20
    windows = torch.cat([b["input_features"] for b in batches])
    for window in windows:
        assert torch.equal(window, known[window[0].numpy().tobytes()])
    assert len({w[0].numpy().tobytes() for w in windows}) > 250


def test_an_epoch_depends_on_seed_and_number_alone(prepared):
    options = {"batch_size": 16, "augment_noise": 0.1}
    first, second = (data_module(prepared, **options) for _ in range(2))
    epochs = [epoch(first, number) for number in range(3)]
    assert equal(epoch(second, 2), epochs[2])  # resumed: epochs 0 and 1 were never drawn
    assert all(not equal(a, b) for a, b in pairwise(epochs))
    other = data_module(prepared, seed=1, **options)
    assert not equal(epoch(other, 0), epochs[0])


def test_workers_change_nothing(prepared):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork in a process with threads
        alone = data_module(prepared, batch_size=16, augment_noise=0.1)
        helped = data_module(prepared, batch_size=16, augment_noise=0.1, num_workers=2)
        assert equal(epoch(helped, 1), epoch(alone, 1))
        assert equal(list(helped.val_dataloader()), list(alone.val_dataloader()))


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_an_epoch_without_overlap(prepared, monkeypatch, world):
    options = {"batch_size": 16, "samples_per_epoch": 200}
    whole = epoch(data_module(prepared, **options), 4)
    shares = []
    for rank in range(world):
        monkeypatch.setattr(datamodule, "_rank_and_world", lambda rank=rank: (rank, world))
        module = data_module(prepared, **options)
        shares.append(epoch(module, 4))
        assert len(module.train_dataloader()) == len(shares[-1])
    assert len({len(share) for share in shares}) == 1
    together = [batch for turn in zip(*shares, strict=True) for batch in turn]
    assert equal(together, whole[: len(together)])
    assert len(whole) - len(together) < world


@pytest.mark.parametrize("world", [2, 5, 100])
def test_processes_evaluate_every_window(prepared, monkeypatch, world):
    batches = list(data_module(prepared, batch_size=7).val_dataloader())
    seen = []
    for rank in range(world):
        monkeypatch.setattr(datamodule, "_rank_and_world", lambda rank=rank: (rank, world))
        seen.append(list(data_module(prepared, batch_size=7).val_dataloader()))
    assert len({len(share) for share in seen}) == 1
    together = [batch for turn in zip(*seen, strict=True) for batch in turn]
    assert equal(together[: len(batches)], batches)


def test_incomplete_training_batches_are_left_out_unless_alone(prepared):
    full = epoch(data_module(prepared, batch_size=16, samples_per_epoch=40), 0)
    assert [len(b["input_features"]) for b in full] == [16, 16]
    few = epoch(data_module(prepared, batch_size=64, samples_per_epoch=40), 0)
    assert [len(b["input_features"]) for b in few] == [40]


def test_noise_is_in_units_of_each_features_deviation(prepared):
    options = {"batch_size": 32, "samples_per_epoch": 1600}
    clean = epoch(data_module(prepared, **options), 0)
    noisy = epoch(data_module(prepared, augment_noise=0.2, **options), 0)
    noise = torch.cat(
        [(n["input_features"] - c["input_features"]) for n, c in zip(noisy, clean, strict=True)]
    ).double()
    std = torch.tensor(read_stats(prepared).feature_std).double()
    measured = noise.std(dim=(0, 1)) / std
    torch.testing.assert_close(measured, torch.full_like(std, 0.2), rtol=0.03, atol=0.0)
    for n, c in zip(noisy, clean, strict=True):
        assert torch.equal(n["trajectory_targets"], c["trajectory_targets"])
    module = data_module(prepared, augment_noise=0.2)
    assert equal(list(module.val_dataloader()), list(data_module(prepared).val_dataloader()))


def test_windows_may_be_longer_than_prepared(prepared):
    module = data_module(prepared, sequence_length=100, stride=50)
    assert next(iter(module.train_dataloader()))["input_features"].shape[1] == 100


def test_long_windows_are_halved_where_layers_are_short(prepared):
    """Layers of 197 samples, prepared for windows of 32."""
    for asked, given in ((197, 197), (198, 99), (500, 125), (5000, 156), (33, 33), (20, 20)):
        module = data_module(prepared, sequence_length=asked, stride=50)
        assert next(iter(module.train_dataloader()))["input_features"].shape[1] == given
        assert next(iter(module.val_dataloader()))["input_features"].shape[1] == given


def test_kinds_select_what_is_trained_and_evaluated_on(tmp_path, make_collection):
    make_collection(parts=("cube",), kind="nominal")
    make_collection(parts=("cone",), kind="perturbed")
    settings = PrepareSettings.shipped(data_dirs=(str(tmp_path / "raw"),), sequence_length=32)
    prepare(settings, tmp_path / "out")
    module = data_module(tmp_path / "out", kinds=["perturbed"], eval_kinds=["nominal"])
    train = {s.metadata["part"] for s in module.open_split("train").sequences}
    test = {s.metadata["part"] for s in module.open_split("test").sequences}
    assert (train, test) == ({"cone"}, {"cube"})


def test_the_rate_is_checked(prepared):
    with pytest.raises(DataError, match="has 200 Hz, expected 100 Hz"):
        data_module(prepared, sample_rate_hz=100.0).train_dataloader()


def test_thermal_targets_are_refused_only_where_needed(tmp_path, make_collection):
    make_collection(thermal=False)
    settings = PrepareSettings.shipped(data_dirs=(str(tmp_path / "raw"),), sequence_length=32)
    prepare(settings, tmp_path / "out")
    assert set(next(iter(data_module(tmp_path / "out").train_dataloader()))) == {
        "input_features",
        "trajectory_targets",
    }
    with pytest.raises(DataError, match="thermal targets are needed, but not all its layers"):
        data_module(tmp_path / "out", thermal=True).train_dataloader()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "data.batch_size: got 0, expected a whole number from 1 on"),
        ({"stride": -1}, "data.stride: got -1"),
        ({"augment_noise": -0.1}, "data.augment_noise: got -0.1, expected a number from 0 on"),
        ({"num_workers": -1}, "data.num_workers: got -1"),
    ],
)
def test_numbers_out_of_range_name_their_key(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        data_module(tmp_path, **options)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="not a prepared folder"):
        data_module(tmp_path).train_dataloader()


def test_the_windows_layout_is_refused_for_training(tmp_path, make_collection):
    make_collection(parts=("cube",), layers=3, variants=("a",))
    settings = PrepareSettings.shipped(
        data_dirs=(str(tmp_path / "raw"),), sequence_length=32, layout="windows"
    )
    prepare(settings, tmp_path / "out")
    with pytest.raises(DataError, match="layout is windows, expected sequences"):
        data_module(tmp_path / "out").train_dataloader()


class Recorder(lightning.LightningModule):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: dict[int, list[torch.Tensor]] = {}
        self.validated = 0

    def training_step(self, batch, _index):
        self.seen.setdefault(self.current_epoch, []).append(batch["input_features"].clone())
        return self.weight * batch["trajectory_targets"].sum()

    def validation_step(self, batch, _index):
        self.validated += len(batch["input_features"])

    def predict_step(self, batch, _index):
        return batch["input_features"]

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


# Lightning advises workers, which this loader does not need, and calls torch's old names.
@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
@pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning")
def test_lightning_draws_the_same_epochs_and_resumes_them(prepared, tmp_path):
    def trainer(epochs: int) -> lightning.Trainer:
        return lightning.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )

    data, whole = data_module(prepared, batch_size=64), Recorder()
    trainer(3).fit(whole, datamodule=data)
    assert whole.validated == 3 * read_stats(prepared).splits["val"].windows + _sanity(data)
    for number in range(3):
        expected = [b["input_features"] for b in epoch(data, number)]
        assert all(map(torch.equal, whole.seen[number], expected))
    first, begun = trainer(2), Recorder()
    first.fit(begun, datamodule=data_module(prepared, batch_size=64))
    first.save_checkpoint(tmp_path / "half.ckpt")
    resumed = Recorder()
    trainer(3).fit(
        resumed,
        datamodule=data_module(prepared, batch_size=64),
        ckpt_path=tmp_path / "half.ckpt",
        weights_only=True,
    )
    assert list(resumed.seen) == [2]
    assert all(map(torch.equal, resumed.seen[2], whole.seen[2]))
    predicted = trainer(1).predict(resumed, datamodule=data)
    assert torch.equal(
        torch.cat(predicted), torch.cat([b["input_features"] for b in data.test_dataloader()])
    )


def _sanity(data: PrinterDataModule) -> int:
    """Windows in the two batches that Lightning validates before it trains."""
    return sum(
        len(b["input_features"]) for b, _ in zip(data.val_dataloader(), range(2), strict=False)
    )


def test_layers_of_another_folder_are_trained_on_up_to_their_share(prepared):
    own = data_module(prepared).table("train")
    module = data_module(prepared, beside=str(prepared), beside_share=0.4)
    both = module.table("train")
    added = len(both.features) - len(own.features)
    assert 0 < added <= 0.4 / 0.6 * len(own.features)
    assert torch.equal(both.features[: len(own.features)], own.features)
    again = data_module(prepared, beside=str(prepared), beside_share=0.4).table("train")
    assert torch.equal(again.features, both.features)
    assert torch.equal(module.table("val").features, data_module(prepared).table("val").features)
    with pytest.raises(ConfigError, match=r"data.beside_share: got 1e-06, expected a share that"):
        data_module(prepared, beside=str(prepared), beside_share=1e-6).table("train")


@pytest.mark.parametrize("share", [0.0, 1.0, "half"])
def test_a_share_out_of_range_is_named(prepared, share):
    with pytest.raises(ConfigError, match=r"data.beside_share: got .*, expected between 0 and 1"):
        data_module(prepared, beside_share=share)
