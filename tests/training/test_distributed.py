"""Two real processes under Lightning's DDP share an epoch as the sampler says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.paths import PROJECT
from tests.shipped import data_module

SCRIPT = """
import sys
import lightning
import torch
from tests.shipped import data_module


class Recorder(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = {"train": [], "val": []}

    def training_step(self, batch, _index):
        self.seen["train"].append(batch["input_features"].clone())
        return self.weight * batch["trajectory_targets"].sum()

    def validation_step(self, batch, _index):
        self.seen["val"].append(batch["input_features"].clone())

    def on_fit_end(self):
        torch.save(self.seen, f"{sys.argv[2]}/rank{self.global_rank}.pt")

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


trainer = lightning.Trainer(
    max_epochs=1, accelerator="cpu", devices=2, strategy="ddp", logger=False,
    enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    num_sanity_val_steps=0,
)
trainer.fit(Recorder(), datamodule=data_module(sys.argv[1], batch_size=16))
"""


@pytest.mark.slow
def test_two_processes_under_lightning_share_the_batches(prepared: Path, tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(prepared), str(tmp_path)],
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(PROJECT), *sys.path]),
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    ranks = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    module = data_module(prepared, batch_size=16)
    for name, loader in (("train", module.train_dataloader()), ("val", module.val_dataloader())):
        alone = [batch["input_features"] for batch in loader]
        assert len(ranks[0][name]) == len(ranks[1][name])
        pairs = zip(ranks[0][name], ranks[1][name], strict=True)
        shared = [batch for pair in pairs for batch in pair]
        kept = min(len(alone), len(shared))
        assert kept >= len(alone) - 1
        assert all(map(torch.equal, shared[:kept], alone[:kept]))


TWO = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.max_epochs=1"]


@pytest.mark.slow
def test_two_processes_beside_configs_of_ones_own_and_in_a_sweep(tiny: Path, tmp_path: Path):
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mine.yaml").write_text(
        "defaults: [small, _self_]\nname: mine\n"
    )
    small = ["model=mine", "data.samples_per_epoch=48", "data.sequence_length=64"]
    line = [sys.executable, "-m", "trajerr.train"]
    given = [f"data.root={tiny}", *small, *TWO]
    for more in (["hydra.run.dir=run"], ["-m", "seed=0,1", "hydra.sweep.dir=sweep"]):
        done = subprocess.run(
            [*line, *more, *given],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    one = [f"data.root={tiny}", *small, "trainer.max_epochs=1", "trainer.accelerator=cpu"]
    for preset in ("cores", "cpu"):
        folder = f"hydra.run.dir={preset}"
        done = subprocess.run(
            [*line, folder, f"trainer={preset}", *one],
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    losses = [
        json.loads((tmp_path / folder / "train.json").read_text())["metrics"]["val/loss"]
        for folder in ("run", "sweep/0", "sweep/1", "cores", "cpu")
    ]
    assert losses[3] == pytest.approx(losses[4], rel=1e-3)  # two halves of a batch are one
    assert losses[0] == losses[1] != losses[2]
