"""Refinement: predictions against the plant, a network that learns, a checkpoint read back."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.correction.cases import linear_printer, small_print
from trajerr.correction.original import Original
from trajerr.correction.run import CorrectionRun
from trajerr.correction.settings import CorrectionSettings, LearningSettings
from trajerr.dynamics.layer import simulate_layer
from trajerr.errors import ConfigError
from trajerr.models.registry import build_network
from trajerr.motion.features import HISTORY
from trajerr.motion.lead_in import LayerMotion
from trajerr.motion.planner import plan
from trajerr.refining import refine as module
from trajerr.refining.refine import TorchModel, refine, refined, save_refined
from trajerr.refining.settings import RefineSettings
from trajerr.training.checkpoint import load_checkpoint

CONFIG = {
    "name": "lstm",
    "hidden_size": 16,
    "num_layers": 1,
    "dropout": 0.0,
    "axes": "shared",
    "kinematics": "cartesian",
    "ripple_periods_mm": [],
    "context_length": 64,
}
STATS = {
    "sample_rate_hz": 200.0,
    "feature_mean": [100, 100, 0.2] + [0.0] * 12,
    "feature_std": [50, 50, 1, 50, 50, 1, 50, 1e3, 1e3, 1, 1e3, 1e5, 1e5, 1, 1],
    "target_mean": [0.0, 0.0],
    "target_std": [0.03, 0.03],
    "identity": "none",
}
QUICK = CorrectionSettings.shipped(
    layers=(1, 2),
    learning=LearningSettings.shipped(
        iterations=3, planned_iterations=1, soft_weight=0, stiff_weight=0
    ),
)


@pytest.fixture
def loaded(tmp_path):
    torch.manual_seed(0)
    network = build_network(CONFIG)
    network.scaling.set_statistics(STATS)
    path = tmp_path / "some.ckpt"
    content = {
        "state_dict": {f"network.{k}": v for k, v in network.state_dict().items()},
        "hyper_parameters": {
            "network": CONFIG,
            "config": {},
            "stats": STATS,
            "printer": linear_printer().to_dict(),
            "version": "0",
        },
        "trajerr": {"metrics": {}, "burn_in": 20},
        "epoch": 3,
    }
    torch.save(content, path)
    return load_checkpoint(path)


def test_rounds_train_a_copy_and_the_best_is_kept(loaded):
    before = {k: v.clone() for k, v in loaded.network.state_dict().items()}
    seen = []
    settings = RefineSettings.shipped(rounds=2, layers=1, steps=40, batch=8, window=128, lr=5e-3)
    network, rounds = refine(
        Original(small_print(), linear_printer()), loaded, QUICK, settings, None, seen.append
    )
    assert seen == rounds
    assert [r.number for r in rounds] == [0, 1, 2]
    assert rounds[0].loss is None
    assert rounds[2].loss < rounds[1].loss
    assert len({r.uncorrected_um for r in rounds}) == 1
    # An untrained network predicts anything; a trained one is nearer to the plant.
    gaps = [abs(r.predicted_um - r.simulated_um) for r in rounds]
    assert min(gaps[1:]) < gaps[0]
    for key, value in loaded.network.state_dict().items():
        assert torch.equal(value, before[key])
    assert any(not torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_it_ends_where_prediction_and_plant_agree(loaded, monkeypatch):
    settings = RefineSettings.shipped(rounds=3, layers=1, agreement_um=1e6)
    _, rounds = refine(
        Original(small_print(), linear_printer()), loaded, QUICK, settings, None, lambda r: None
    )
    assert len(rounds) == 1


def test_a_refined_checkpoint_reads_back(loaded, tmp_path):
    torch.manual_seed(1)
    other = build_network(CONFIG)
    other.scaling.set_statistics(STATS)
    save_refined(tmp_path / "refined.ckpt", loaded, other)
    again = load_checkpoint(tmp_path / "refined.ckpt")
    features = np.random.default_rng(0).normal(size=(2, 50, 15)) * np.array(STATS["feature_std"])
    np.testing.assert_array_equal(
        TorchModel.of(again.network, again).errors(features),
        TorchModel.of(other.eval(), again).errors(features),
    )
    assert again.burn_in == loaded.burn_in


def test_windows_come_from_stretches_that_are_long_enough():
    stretches = [(torch.zeros(50, 15), torch.zeros(50, 2)), (torch.ones(90, 15), torch.ones(90, 2))]
    drawn = module._windows(stretches, 20, 64, np.random.default_rng(0))
    assert all(f.shape == (64, 15) and e.shape == (64, 2) for f, e in drawn)
    assert all(float(f[0, 0]) == 1.0 for f, _ in drawn)
    with pytest.raises(ConfigError, match="window"):
        module._windows(stretches, 1, 200, np.random.default_rng(0))


@pytest.mark.parametrize("key", ["rounds", "layers", "steps", "batch", "window", "replay", "lr"])
def test_values_out_of_range_name_their_key(key):
    with pytest.raises(ConfigError, match=key):
        RefineSettings.shipped(**{key: -1})


def test_a_checkpoint_of_another_machine_is_refused_before_any_work(loaded, tmp_path):
    printer = linear_printer()
    (tmp_path / "small.gcode").write_bytes(small_print().text)
    settings = RefineSettings.shipped(rounds=1, checkpoint=str(loaded.path), data_root=None)
    other = replace(printer, name="other", x=printer.y)
    run = CorrectionRun(
        gcode=str(tmp_path / "small.gcode"),
        bundle=None,
        out=None,
        in_place=False,
        layers="all",
        report=False,
        report_dir=None,
        report_layers=1,
        report_page=False,
        report_pictures=False,
        page_layers=1,
        compare=[],
        force=False,
        other_machine=False,
        sample_rate_hz=200.0,
        rounds=1,
        accelerator="cpu",
        settings=QUICK,
    )
    with pytest.raises(
        ConfigError, match=r"^printer: got other \(\w+\), expected linear .* differs in x;"
    ):
        refined(run.prepare(other), settings, tmp_path / "refined.ckpt", lambda _: None)
    assert not (tmp_path / "refined.ckpt").exists()


@pytest.mark.parametrize("lead", [0, 20, 10**6])
def test_what_is_learned_begins_with_the_lead_in(lead):
    printer = linear_printer()
    motion = LayerMotion.of(plan(small_print(), printer.limits), 2)
    layer = simulate_layer(printer, motion, 200.0, seed=0)
    features, errors = module._stretch(layer, lead)
    assert layer.context > 20
    kept = len(layer.actual) - layer.context + min(lead, layer.context - HISTORY)
    assert len(features) == len(errors) == kept
    np.testing.assert_allclose(features[:, :2], layer.commanded.position[-kept:, :2], rtol=1e-6)
    np.testing.assert_allclose(errors, layer.error[-kept:], rtol=1e-5, atol=1e-9)
