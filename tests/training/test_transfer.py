from pathlib import Path
from typing import Any

import pytest
import torch

from tests.shipped import data_module
from tests.training.cases import linear_printer, make_task, prepare_tiny, train, train_config
from trajerr.errors import ConfigError, DataError
from trajerr.evaluation.leakage import shared_layers
from trajerr.shipped import shipped
from trajerr.training.checkpoint import load_checkpoint, read_checkpoint
from trajerr.training.datamodule import PrinterDataModule
from trajerr.training.run import Outcome
from trajerr.training.settings import TrainSettings
from trajerr.training.task import TrajectoryTask
from trajerr.training.transfer import (
    ANCESTORS,
    SCALES_OF_INPUTS,
    load_start,
    take_weights,
    with_pretrained,
)


def module(root: Path) -> PrinterDataModule:
    return data_module(root, batch_size=8, stride=16, samples_per_epoch=48)


@pytest.fixture(scope="module")
def pretrained(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A network trained on the soft printer."""
    return train(train_config(), module(tiny), tmp_path_factory.mktemp("pretrained"))


@pytest.fixture(scope="module")
def stiff(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other layers, on a printer four times as stiff."""
    folder = tmp_path_factory.mktemp("stiff")
    return prepare_tiny(folder, printer=linear_printer(36000.0), first_layer=11)


def transfer_config(pretrained: Outcome, **changes: Any) -> dict[str, Any]:
    return train_config(pretrained=str(pretrained.best), **changes)


def test_it_starts_with_the_pretrained_predictions_in_its_own_scale(
    pretrained: Outcome, stiff: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[torch.Tensor] = []
    data = module(stiff)
    features = next(iter(data.val_dataloader()))["input_features"]
    real = TrajectoryTask.on_train_start

    def first_look(self: TrajectoryTask) -> None:
        real(self)
        with torch.no_grad():
            started.append(self.network.eval()(features))
        self.network.train()

    monkeypatch.setattr(TrajectoryTask, "on_train_start", first_look)
    train(transfer_config(pretrained), data, tmp_path)
    before, scale = load_checkpoint(pretrained.best), data.stats.to_dict()
    old, new = (
        [torch.tensor(stats[f"target_{name}"]) for name in ("mean", "std")]
        for stats in (before.stats, scale)
    )
    expected = (before.network(features) - old[0]) / old[1] * new[1] + new[0]
    assert new[1].max() < 0.5 * old[1].min()  # the printer is stiffer
    torch.testing.assert_close(started[0], expected, rtol=1e-4, atol=1e-7)


def test_it_keeps_the_scales_of_its_inputs_and_names_its_own_data(
    pretrained: Outcome, stiff: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = module(stiff)
    outcome = train(transfer_config(pretrained), data, tmp_path)
    assert f"Weights of {pretrained.best}, trained on linear" in capsys.readouterr().out
    before, after = load_checkpoint(pretrained.best), load_checkpoint(outcome.best)
    for name in SCALES_OF_INPUTS:
        assert after.stats[name] == before.stats[name]
        assert after.stats[name] != data.stats.to_dict()[name]
        kept = torch.tensor(before.stats[name], dtype=torch.float32)
        torch.testing.assert_close(getattr(after.network.scaling, name), kept)
    for name in ("target_mean", "target_std"):
        assert after.stats[name] == data.stats.to_dict()[name]
    assert after.split_identity == data.split_identity
    assert after.printer["x"]["stiffness_n_per_m"] == 36000.0


def test_neither_epoch_nor_optimiser_come_along(
    pretrained: Outcome, stiff: Path, tmp_path: Path
) -> None:
    config = transfer_config(pretrained, trainer__max_epochs=2)
    outcome = train(config, module(stiff), tmp_path)
    assert len(outcome.epoch_seconds) == 2
    state = read_checkpoint(outcome.last)["optimizer_states"][0]["parts"][1]["state"]
    assert {int(each["step"]) for each in state.values()} == {2 * 48 // 8}


def test_it_pays(stiff: Path, tiny: Path, tmp_path: Path) -> None:
    data = data_module(tiny, batch_size=16, stride=16, samples_per_epoch=480)
    sizes = {"model__dropout": 0.0, "model__optimizer__lr": 0.02, "trainer__max_epochs": 4}
    good = train(train_config(**sizes), data, tmp_path / "good")
    short = {**sizes, "trainer__max_epochs": 2}
    scratch = train(train_config(**short), module(stiff), tmp_path / "scratch")
    tuned = train(transfer_config(good, **short), module(stiff), tmp_path / "tuned")
    assert tuned.metrics["val/mae_mm"] < 0.7 * scratch.metrics["val/mae_mm"]


def test_an_interrupted_transfer_resumes_bit_for_bit(
    pretrained: Outcome, stiff: Path, tmp_path: Path
) -> None:
    whole = train(transfer_config(pretrained, trainer__max_epochs=4), module(stiff), tmp_path / "a")
    real = TrajectoryTask.training_step

    def interrupted(self: TrajectoryTask, batch: Any, batch_index: int) -> torch.Tensor:
        if self.current_epoch == 2:
            raise KeyboardInterrupt
        return real(self, batch, batch_index)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrajectoryTask, "training_step", interrupted)
        train(transfer_config(pretrained, trainer__max_epochs=4), module(stiff), tmp_path / "b")
    last = tmp_path / "b" / "checkpoints" / "last.ckpt"
    again = train_config(resume=str(last), trainer__max_epochs=4)
    resumed = train(again, module(stiff), tmp_path / "c")
    assert resumed.objective == whole.objective
    found, expected = load_checkpoint(resumed.best), load_checkpoint(whole.best)
    assert dict(found.stats) == dict(expected.stats)
    for name, value in expected.network.state_dict().items():
        assert torch.equal(value, found.network.state_dict()[name]), name


def test_what_its_ancestors_were_trained_on_stays_forbidden(
    pretrained: Outcome, stiff: Path, tiny: Path, tmp_path: Path
) -> None:
    tuned = load_checkpoint(train(transfer_config(pretrained), module(stiff), tmp_path).best)
    soft = module(tiny).stats.sources
    trained = [source for source in soft if source.split == "train"]
    unseen = [source for source in soft if source.split != "train"]
    assert len(shared_layers(tuned.stats, trained)) == len(trained)
    assert shared_layers(tuned.stats, unseen) == []
    again = with_pretrained(module(tiny).stats.to_dict(), tuned)
    assert len(again[ANCESTORS]) == len(trained) + len(tuned.stats[ANCESTORS])


def test_what_was_trained_on_beside_stays_forbidden_too(
    pretrained: Outcome, stiff: Path, tiny: Path, tmp_path: Path
) -> None:
    there = module(stiff).stats.sources
    trained = [source for source in there if source.split == "train"]
    unseen = [source for source in there if source.split != "train"]
    for name, config in (("anew", train_config()), ("tuned", transfer_config(pretrained))):
        data = data_module(tiny, batch_size=16, beside=str(stiff), beside_share=0.5)
        stats = load_checkpoint(train(config, data, tmp_path / name).best).stats
        assert len(shared_layers(stats, trained)) == len(trained)
        assert shared_layers(stats, unseen) == []


def test_mistakes_are_named(pretrained: Outcome, stiff: Path, tmp_path: Path) -> None:
    data = module(stiff)
    start = {"pretrained": str(pretrained.best)}
    for changes, kind, reason in (
        ({"model__d_model": 16}, DataError, "d_model is 8 there, 16 here"),
        ({"model": shipped("model/physics")}, DataError, "holds model=base, not model=physics"),
        ({"pretrained": "nowhere.ckpt"}, DataError, "no such checkpoint"),
        (
            {"resume": "last.ckpt"},
            ConfigError,
            r"^resume: got last.ckpt, expected null beside pretrained=",
        ),
    ):
        with pytest.raises(kind, match=reason):
            train(train_config(**{**start, **changes}), data, tmp_path)
    assert not (tmp_path / "checkpoints").exists()


def test_another_sample_rate_is_refused(pretrained: Outcome, stiff: Path) -> None:
    stats = {**module(stiff).stats.to_dict(), "sample_rate_hz": 100.0}
    config = transfer_config(pretrained)
    task = make_task(config, stats)
    found = load_start(TrainSettings.from_dict(config))
    assert found is not None
    with pytest.raises(DataError, match="trained at 200 Hz, the data has 100 Hz"):
        take_weights(task, found)


def test_a_fir_cannot_start_from_anything(pretrained: Outcome, stiff: Path, tmp_path: Path) -> None:
    config = transfer_config(pretrained)
    plain = {"name": "constant", "warm_up": 0.0}
    config["model"] = {
        "name": "fir",
        "taps": 40,
        "optimizer": {"name": "adamw", "lr": 1.0, "weight_decay": 0.0},
    }
    config["model"]["schedule"] = plain
    with pytest.raises(ConfigError, match="solved at once"):
        train(config, module(stiff), tmp_path)


def test_dropout_may_change(pretrained: Outcome, stiff: Path, tmp_path: Path) -> None:
    config = transfer_config(pretrained, model__dropout=0.3, trainer__max_epochs=1)
    assert train(config, module(stiff), tmp_path).objective > 0.0
