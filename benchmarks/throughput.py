"""What Lightning costs: training samples per second against a plain PyTorch loop.

    python benchmarks/throughput.py [--root data/processed] [--model base] [--samples 1600]

Both train the same network on the same batches with the same loss, optimiser and clipping,
in turns, in one process; printed are medians and their ratio.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate

from trajerr.commands.configs import compose
from trajerr.models.losses import trajectory_mae
from trajerr.training.datamodule import PrinterDataModule
from trajerr.training.optimizers import make_optimizer
from trajerr.training.run import make_task, train
from trajerr.training.settings import TrainSettings


def configure(root: str, model: str, samples: int) -> dict[str, Any]:
    """Return the resolved config of two epochs without validation to speak of."""
    return compose(
        "train",
        f"data.root={root}",
        f"model={model}",
        f"data.samples_per_epoch={samples}",
        "data.stride=4096",
        "trainer.max_epochs=2",
        "trainer.accelerator=cpu",
    )


def plain_loop(settings: TrainSettings, data: PrinterDataModule) -> float:
    """Train one epoch by hand and return its seconds."""
    task = make_task(settings, data.stats.to_dict())
    network, clip = task.network.train(), settings.trainer["gradient_clip_val"]
    optimizer = make_optimizer(network.parameters(), settings.optimizer, settings.optimizer.lr)
    loader = data.train_dataloader()
    began = time.perf_counter()
    for batch in loader:
        predicted = network(batch["input_features"])
        target = batch["trajectory_targets"]
        loss = trajectory_mae(predicted, target, network.scaling.target_std, task.burn_in)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimizer.step()
    return time.perf_counter() - began


def main() -> None:
    """Alternate the two and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default="data/processed")
    parser.add_argument("--model", default="base")
    parser.add_argument("--samples", type=int, default=1600, help="windows an epoch")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    config = configure(arguments.root, arguments.model, arguments.samples)
    settings, data = TrainSettings.from_dict(config), instantiate(config["data"])
    data.table("train")
    by_hand, by_lightning = [], []
    for _ in range(arguments.repeats):
        by_hand.append(plain_loop(settings, data))
        with tempfile.TemporaryDirectory() as folder:
            outcome = train(settings, data, Path(folder))
        by_lightning.append(outcome.epoch_seconds[-1])
    hand, lightning = statistics.median(by_hand), statistics.median(by_lightning)
    for name, seconds in (("plain loop", hand), ("trajerr.train", lightning)):
        print(f"{name:14s} {arguments.samples / seconds:8.0f} windows/s ({seconds:.1f} s an epoch)")
    print(f"throughput ratio {hand / lightning:.3f}")


if __name__ == "__main__":
    main()
