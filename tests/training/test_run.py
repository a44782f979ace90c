import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.shipped import data_module
from tests.training.cases import TINY_NETWORK, make_task, prepare_tiny, train, train_config
from trajerr.commands.configs import load_printer
from trajerr.errors import ConfigError, DataError
from trajerr.shipped import shipped
from trajerr.training import search
from trajerr.training.checkpoint import find_best_checkpoint, load_checkpoint, read_checkpoint
from trajerr.training.datamodule import PrinterDataModule
from trajerr.training.parts import ScheduleSettings
from trajerr.training.run import resolve_precision
from trajerr.training.task import TrajectoryTask


def weights(path: Path) -> dict[str, torch.Tensor]:
    return dict(read_checkpoint(path)["state_dict"])


def test_a_run_leaves_checkpoints_log_and_result(
    data: PrinterDataModule, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "train" / "run"
    outcome = train(train_config(), data, run)
    said = capsys.readouterr().out
    assert said.count("▶ Train Loss:") == said.count("▶ Val   Loss:") == 3
    assert f"✓ Saved checkpoint: {outcome.best}" in said
    assert said.rstrip().endswith(f"Best checkpoint: {outcome.best}")
    assert find_best_checkpoint(tmp_path) == outcome.best
    result = json.loads((run / "train.json").read_text())
    assert result["metrics"]["val/loss"] == outcome.objective
    loaded = load_checkpoint(outcome.best)
    assert loaded.config["model"]["d_model"] == 8
    assert loaded.sample_rate_hz == 200.0
    assert loaded.split_identity == data.split_identity
    assert loaded.printer["name"] == "linear"
    assert loaded.metrics["val/loss"] == outcome.objective
    assert not loaded.network.training
    assert list((run / "tensorboard").glob("events.out.tfevents.*"))


def test_tensorboard_has_every_nth_step_and_the_mean_of_the_epoch(
    data: PrinterDataModule, tmp_path: Path
) -> None:
    config = train_config(
        trainer__max_epochs=1, trainer__log_every_n_steps=1, loss__lambda_physics=0.1
    )
    train(config, data, tmp_path / "all")
    config["trainer"]["log_every_n_steps"] = 3
    train(config, data, tmp_path / "third")
    every, third = (_scalars(tmp_path / name) for name in ("all", "third"))
    sizes = [len(batch["trajectory_targets"]) for batch in data.train_dataloader()]
    for name in ("loss", "mae_x_mm", "mae_y_mm", "physics"):
        steps = every[f"train/{name}_step"]
        assert len(steps) == len(sizes) > 3
        assert third[f"train/{name}_step"] == steps[2::3]
        mean = np.average(steps, weights=sizes)
        assert every[f"train/{name}"] == third[f"train/{name}"] == [pytest.approx(mean, rel=1e-5)]
    assert third["train/gradient_norm"] == every["train/gradient_norm"][2::3]


def test_what_is_shown_was_measured_there(data: PrinterDataModule, tmp_path: Path) -> None:
    config = train_config(trainer__max_epochs=2, loss__lambda_physics=0.5)
    outcome = train(config, data, tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    shown = {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}
    assert [event.step for event in shown["val/loss"]] == [5, 11]  # six steps an epoch
    best = shown["best/val/loss"]
    assert [event.value for event in best] == [pytest.approx(outcome.objective)]
    for total, trajectory, physics in zip(
        shown["train/loss"], shown["train/trajectory"], shown["train/physics"], strict=True
    ):
        assert total.value == pytest.approx(trajectory.value + 0.5 * physics.value, rel=1e-5)


def _scalars(run: Path) -> dict[str, list[float]]:
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    return {tag: [event.value for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_the_checkpoint_holds_the_best_epoch(data: PrinterDataModule, tmp_path: Path) -> None:
    outcome = train(train_config(trainer__max_epochs=4), data, tmp_path)
    loaded = load_checkpoint(outcome.best)
    batches = list(data.val_dataloader())
    scale = loaded.network.scaling.target_std
    with torch.no_grad():
        differences = [
            (loaded.network(b["input_features"]) - b["trajectory_targets"])[:, loaded.burn_in :]
            for b in batches
        ]
    loss = (torch.cat(differences) / scale).abs().mean(dim=(0, 1)).sum()
    assert float(loss) == pytest.approx(outcome.objective, rel=1e-5)


def test_lightning_loads_the_checkpoint_too(data: PrinterDataModule, tmp_path: Path) -> None:
    outcome = train(train_config(trainer__max_epochs=1), data, tmp_path)
    task = TrajectoryTask.load_from_checkpoint(outcome.best, weights_only=True).eval()
    features = next(iter(data.val_dataloader()))["input_features"]
    expected = load_checkpoint(outcome.best).network(features)
    torch.testing.assert_close(task(features), expected, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "plateau", "constant"])
def test_resume_equals_uninterrupted_bit_for_bit(tiny: Path, tmp_path: Path, schedule: str) -> None:
    def data() -> PrinterDataModule:
        return data_module(tiny, batch_size=8, stride=16, samples_per_epoch=48, augment_noise=0.1)

    changes = {"model__schedule__name": schedule, "model__schedule__patience": 0}
    whole = train(train_config(trainer__max_epochs=4, **changes), data(), tmp_path / "whole")

    first = train_config(trainer__max_epochs=4, **changes)
    stopped = _train_until(first, data(), tmp_path / "first", epochs=2)
    second = train_config(trainer__max_epochs=4, resume=str(stopped), **changes)
    resumed = train(second, data(), tmp_path / "second")
    assert resumed.objective == whole.objective
    for name, value in weights(whole.last).items():
        assert torch.equal(value, weights(resumed.last)[name]), name


def _train_until(config: dict, data: PrinterDataModule, output: Path, epochs: int) -> Path:
    """Train, and press Ctrl-C in the middle of an epoch."""
    real = TrajectoryTask.training_step

    def interrupted(self: TrajectoryTask, batch: dict, batch_index: int) -> torch.Tensor:
        if self.current_epoch == epochs and batch_index == 2:
            raise KeyboardInterrupt
        return real(self, batch, batch_index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrajectoryTask, "training_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(config, data, output)
    return output / "checkpoints" / "last.ckpt"


def test_ctrl_c_in_the_first_epoch_leaves_a_checkpoint(
    data: PrinterDataModule, tmp_path: Path
) -> None:
    last = _train_until(train_config(), data, tmp_path / "run", epochs=0)
    assert load_checkpoint(last).sample_rate_hz == 200.0
    with pytest.raises(DataError, match="no finished training run"):
        find_best_checkpoint(tmp_path)


def test_the_same_seed_gives_the_same_weights(data: PrinterDataModule, tmp_path: Path) -> None:
    runs = [train(train_config(), data, tmp_path / name) for name in "ab"]
    assert runs[0].objective == runs[1].objective


@pytest.mark.parametrize("name", ["base", "lstm"])
def test_one_batch_is_overfitted(data: PrinterDataModule, name: str) -> None:
    config = train_config()
    if name == "lstm":
        sizes = {"hidden_size": 12, "num_layers": 1, "dropout": 0.0, "context_length": 16}
        shared = {key: TINY_NETWORK[key] for key in ("axes", "kinematics", "ripple_periods_mm")}
        network = {"name": name, **sizes, **shared}
    else:
        network = {"name": name, **TINY_NETWORK, "dropout": 0.0, "decoder_size": 12}
    config["model"] = {**network, **{k: config["model"][k] for k in ("optimizer", "schedule")}}
    torch.manual_seed(0)
    task = make_task(config, data.stats.to_dict())
    batch = next(iter(data.train_dataloader()))
    features, target = batch["input_features"], batch["trajectory_targets"]
    optimizer = torch.optim.Adam(task.network.parameters(), lr=0.02)
    for _ in range(250):
        loss = (task(features) - target)[:, task.burn_in :].abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    left = (task(features).detach() - target)[:, task.burn_in :]
    assert float(left.square().mean() / target.var()) < 0.01


def test_it_learns(tiny: Path, tmp_path: Path) -> None:
    data = data_module(tiny, batch_size=16, stride=16, samples_per_epoch=640)
    config = train_config(trainer__max_epochs=6, model__dropout=0.0, model__optimizer__lr=0.02)
    outcome = train(config, data, tmp_path)
    assert outcome.metrics["val/r2"] > 0.5


def test_fir_is_fitted_in_closed_form(data: PrinterDataModule, tmp_path: Path) -> None:
    config = train_config()
    config["model"] = {
        "name": "fir",
        "taps": 40,
        "optimizer": {"name": "adamw", "lr": 1.0, "weight_decay": 0.0},
        "schedule": {"name": "constant", "warm_up": 0.0},
    }
    outcome = train(config, data, tmp_path)
    assert outcome.metrics["val/r2"] > 0.99  # the data is linear
    assert load_checkpoint(outcome.best).network.context_length == 40


@pytest.mark.parametrize(
    "changes",
    [
        {"loss__lambda_physics": 0.5},
        {"loss__thermal_weight": 0.3},
        {"trainer__precision": 16},
        {"trainer__accumulate_grad_batches": 2},
    ],
)
def test_options_train(data: PrinterDataModule, tmp_path: Path, changes: dict) -> None:
    outcome = train(train_config(trainer__max_epochs=1, **changes), data, tmp_path)
    assert outcome.objective > 0.0
    load_checkpoint(outcome.best)


def test_layers_are_weighed_only_where_they_say_by_what_they_are_uncertain(
    data: PrinterDataModule, tmp_path: Path
) -> None:
    config = train_config(trainer__max_epochs=1, loss__uncertainty_mm=0.005)
    with pytest.raises(DataError, match=r"^loss\.uncertainty_mm: got 0\.005, expected null"):
        train(config, data, tmp_path)
    outcome = train(train_config(trainer__max_epochs=1), data, tmp_path / "plain")
    task = TrajectoryTask.load_from_checkpoint(outcome.best).eval()  # without dropout
    batch = next(iter(data.val_dataloader()))
    losses = []
    for half_mm, uncertain_mm in ((None, 0.005), (0.005, 0.0), (0.005, 0.005)):
        task._loss = replace(task._loss, uncertainty_mm=half_mm)
        told = torch.full((len(batch["trajectory_targets"]), 2), uncertain_mm)
        losses.append(task.training_step({**batch, "target_uncertainty": told}, 0).item())
    assert losses[1] == losses[0]
    assert losses[2] == pytest.approx(0.5 * losses[0])


def test_lr_find_takes_its_own_rate_and_draws_it(
    data: PrinterDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "COARSE_STEPS", 12)
    monkeypatch.setattr(search, "FINE_STEPS", 24)
    config = train_config(trainer__max_epochs=1, lr_find=True)
    outcome = train(config, data, tmp_path)
    assert (tmp_path / "lr_find.png").stat().st_size > 1000
    content = read_checkpoint(outcome.best)
    found = content["optimizer_states"][0]["parts"][0]["param_groups"][0]["initial_lr"]
    assert found != config["model"]["optimizer"]["lr"]
    assert content["hyper_parameters"]["optimizer"]["lr"] == found


def test_a_longer_training_gets_a_lower_rate() -> None:
    trial = search.Trial(0.03, 200, 0.5)
    assert search.rate_for(trial, 100) == 0.03
    assert search.rate_for(trial, float("inf")) == 0.03
    assert search.rate_for(trial, 12_800) == pytest.approx(0.03 / 8)


def test_a_trial_goes_as_the_schedule_to_come() -> None:
    def rates(name: str) -> list[float]:
        schedule = ScheduleSettings(name)
        return [search.trial_factor(schedule, step, 100) for step in range(100)]

    assert rates("plateau") == [1.0] * 100 == rates("of.ones.own")
    assert rates("constant")[:2] == [0.1, 0.2]
    assert rates("constant")[9:] == [1.0] * 91
    for falling in ("cosine", "one_cycle"):
        assert max(rates(falling)) == rates(falling)[9] == 1.0
        assert rates(falling)[-1] < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("name", ["base", "lstm", "plateau"])
def test_lr_find_is_near_the_best_of_a_grid(tiny: Path, tmp_path: Path, name: str) -> None:
    def loss(output: Path, **changes: object) -> float:
        config = train_config(trainer__max_epochs=5, model__dropout=0.0, **changes)
        if name == "lstm":
            groups = {key: config["model"][key] for key in ("optimizer", "schedule")}
            config["model"] = {**shipped("model/lstm"), "hidden_size": 12, **groups}
        if name == "plateau":
            config["model"]["schedule"]["name"] = "plateau"
            config["model"]["optimizer"]["name"] = "adamw"
        data = data_module(tiny, batch_size=8, stride=16, samples_per_epoch=480)
        return train(config, data, output).objective

    grid = [loss(tmp_path / str(r), model__optimizer__lr=r) for r in (1e-3, 4e-3, 0.016, 0.064)]
    found = loss(tmp_path / "found", lr_find=True)
    assert found < 1.5 * min(grid)  # the toy's loss comes close to zero
    assert found < 0.5 * sorted(grid)[-2]


def test_batch_size_find_takes_what_an_epoch_has(tiny: Path, tmp_path: Path) -> None:
    data = data_module(tiny, batch_size=3, stride=16, samples_per_epoch=48)
    train(train_config(trainer__max_epochs=1, batch_size_find=True), data, tmp_path)
    assert data.batch_size == 48  # doubled from 3 while an epoch has twice as many


def test_batch_size_find_ends_where_memory_does(
    data: PrinterDataModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task(train_config(), data.stats.to_dict())
    window = 10_000
    monkeypatch.setattr(
        search, "_memory_of_step", lambda _, batch, __: (window * len(batch["x"]), 16 * window)
    )
    data.batch_size = 1
    monkeypatch.setattr(type(data.table("train")), "gather", lambda _, rows: {"x": rows})
    assert search.find_batch_size(task, data, torch.device("cpu")) == data.batch_size == 8


def test_precision_words() -> None:
    assert resolve_precision(32, "cpu") == "32-true"
    assert resolve_precision(16, "cpu") == "bf16-mixed"
    with pytest.raises(ConfigError, match=r"trainer\.precision.*8"):
        resolve_precision(8, "cpu")


def test_physics_loss_without_a_printer_is_refused(tmp_path: Path) -> None:
    root = prepare_tiny(tmp_path, named_printer=False)
    data = data_module(root, batch_size=8, stride=16)
    with pytest.raises(ConfigError, match="lambda_physics needs the printer"):
        train(train_config(loss__lambda_physics=0.1), data, tmp_path / "run")


def test_physics_loss_behind_an_input_shaper_is_refused(
    data: PrinterDataModule, tmp_path: Path
) -> None:
    """Its equation takes the command as motors get it; data holds the one before the shaper."""
    mzv = {"type": "mzv", "frequency_hz": 24.0, "damping_ratio": 0.1}
    printer = {**load_printer("ender3_v2").to_dict(), "shaper": {"x": mzv}}
    config = train_config(loss__lambda_physics=0.1, loss__printer=printer)
    with pytest.raises(ConfigError, match=r"^loss\.lambda_physics: got 0\.1, expected 0 for a pr"):
        train(config, data, tmp_path / "run")


def test_physics_loss_of_an_axis_with_a_second_mode_is_refused(
    data: PrinterDataModule, tmp_path: Path
) -> None:
    printer = load_printer("ender3_v2").to_dict()
    mode = {"frequency_hz": 80.0, "damping_ratio": 0.04, "mass_share": 0.2}
    printer["y"] = {**printer["y"], "second_mode": mode}
    config = train_config(loss__lambda_physics=0.1, loss__printer=printer)
    with pytest.raises(ConfigError, match=r"0\.1, expected 0 for a printer with a second mode"):
        train(config, data, tmp_path / "run")


def test_foreign_and_damaged_checkpoints_are_refused(
    data: PrinterDataModule, tmp_path: Path
) -> None:
    missing, text, other = (tmp_path / name for name in ("no.ckpt", "text.ckpt", "other.ckpt"))
    text.write_bytes(b"not a checkpoint")
    torch.save({"state_dict": {}}, other)
    for path, reason in (
        (missing, "no such checkpoint"),
        (text, "not a checkpoint"),
        (other, "hyper_parameters"),
    ):
        with pytest.raises(DataError, match=reason):
            load_checkpoint(path)
    outcome = train(train_config(trainer__max_epochs=1), data, tmp_path / "run")
    half = tmp_path / "half.ckpt"
    half.write_bytes(outcome.best.read_bytes()[:5000])
    with pytest.raises(DataError, match="not a checkpoint"):
        load_checkpoint(half)
    config = train_config(resume=str(outcome.last), model__d_model=16)
    with pytest.raises(DataError, match="another network"):
        train(config, data, tmp_path / "second")
