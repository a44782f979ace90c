"""On a GPU networks compute, learn and are judged as on a processor; skipped without one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.models.networks import build, random_features, stir
from tests.training.cases import train, train_config
from trajerr.models.registry import NETWORKS
from trajerr.training.checkpoint import load_checkpoint
from trajerr.training.datamodule import PrinterDataModule
from trajerr.training.products import float32_products

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA GPU")


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_and_their_gradients_are_those_of_the_processor(name: str) -> None:
    features = random_features(2, 300)
    error, gradients = error_and_gradients(name, features, "cpu")
    there, gradients_there = error_and_gradients(name, features, "cuda")
    assert float((error - there).abs().max()) < 1e-4 * float(error.abs().max())
    for one, other in zip(gradients, gradients_there, strict=True):
        assert float((one - other).norm()) <= 1e-3 * float(one.norm()) + 1e-9


def error_and_gradients(
    name: str, features: torch.Tensor, device: str
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Of a network whose weights are all at work, without dropout: cuDNN's LSTM is trained so."""
    network = build(name)
    torch.manual_seed(3)
    stir(network).to(device).train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(module, torch.nn.LSTM):
            module.dropout = 0.0
    with float32_products("highest", torch.device(device)):
        error = network(features.to(device))
        error.square().mean().sqrt().backward()
    gradients = [p.grad.cpu() for p in network.parameters() if p.grad is not None]
    return error.detach().cpu(), gradients


@pytest.mark.parametrize("precision", ["32", "16", "bf16"])
def test_training_learns_there_as_on_the_processor(
    precision: str, data: PrinterDataModule, tmp_path: Path
) -> None:
    losses = []
    for accelerator in ("cpu", "gpu"):
        config = train_config(
            trainer__accelerator=accelerator, trainer__precision=precision, trainer__max_epochs=6
        )
        outcome = train(config, data, tmp_path / accelerator)
        losses.append(outcome.objective)
    assert losses[1] == pytest.approx(losses[0], rel=0.1)
    assert torch.cuda.max_memory_allocated() > 0
    loaded = load_checkpoint(outcome.best)
    assert all(p.device.type == "cpu" for p in loaded.network.parameters())


def test_evaluation_finds_there_what_the_processor_finds(
    tiny: Path, data: PrinterDataModule, tmp_path: Path
) -> None:
    checkpoint = train(train_config(trainer__accelerator="gpu"), data, tmp_path / "train").best
    scores = []
    for accelerator in ("cpu", "cuda"):
        folder = tmp_path / accelerator
        command = [
            *(sys.executable, "-m", "trajerr.evaluate", f"checkpoint={checkpoint}"),
            *(f"data.root={tiny}", f"accelerator={accelerator}", f"output_dir={folder}"),
            *("visualize=false", f"hydra.run.dir={tmp_path / 'run'}"),
        ]
        subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
        scores.append(json.loads((folder / "metrics.json").read_text())["trajectory"]["overall"])
    assert scores[1]["rmse_mm"] == pytest.approx(scores[0]["rmse_mm"], rel=1e-3)
    assert scores[1]["r2"] == pytest.approx(scores[0]["r2"], abs=1e-4)


def test_rate_and_batch_are_found_there(data: PrinterDataModule, tmp_path: Path) -> None:
    config = train_config(
        trainer__accelerator="gpu", trainer__max_epochs=1, batch_size_find=True, lr_find=True
    )
    train(config, data, tmp_path)
    assert data.batch_size == 48  # all that an epoch has
    assert (tmp_path / "lr_find.png").exists()
