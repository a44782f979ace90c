"""How fast batches come, against one file a window and against windows already in memory.

    python benchmarks/loader.py [PREPARED] [--batch-size 64] [--repeats 9]

PREPARED is a folder of layout `sequences`, e.g. data/processed; without it a synthetic one
is made. Files and tensors hold the same windows in the same run; all loaders shuffle, use
no workers and give the same keys. Ratios are of the best repeats, which alternate: other work on
the machine only ever adds.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from trajerr.commands.building import TARGET
from trajerr.dataset.matlab import write_layer
from trajerr.dataset.preparation import PrepareSettings, prepare
from trajerr.dataset.record import LayerRecord
from trajerr.dataset.store import save_tensors
from trajerr.dataset.torch_dataset import PrinterSimulationDataset, own_storage
from trajerr.shipped import shipped
from trajerr.training.datamodule import PrinterDataModule

WINDOWS = 10_000  # at most; 120 MB of files
FILES_A_REPEAT = 640  # windows read one by one in each repeat
Batch = dict[str, Tensor]


class WindowFiles(Dataset[Batch]):
    """One file a window, as the original pipeline stores them; metadata left out."""

    def __init__(self, files: list[Path]) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Batch:
        return torch.load(self._files[index], weights_only=True)


def synthetic(folder: Path) -> Path:
    """Prepare 14 layers of 8,000 samples."""
    rng = np.random.default_rng(0)
    for number in range(1, 15):
        position = np.cumsum(rng.normal(size=(8_000, 3)), axis=0) * 0.05 + 100.0
        record = LayerRecord(
            part="walk",
            layer=number,
            variant="a1_v1",
            sample_rate=200.0,
            time=np.arange(8_000) / 200.0,
            commanded=position,
            actual=position[:, :2] + rng.normal(size=(8_000, 2)) * 0.1,
            extruding=np.ones(8_000, np.bool_),
            travel=np.zeros(8_000, np.bool_),
            feature=np.ones(8_000, np.uint8),
            temperatures=rng.uniform(40.0, 200.0, (8_000, 3)),
            adhesion=None,
            params={},
        )
        write_layer(folder / "raw" / f"layer{number:04d}.mat", record)
    prepare(PrepareSettings.shipped(data_dirs=(str(folder / "raw"),)), folder / "prepared")
    return folder / "prepared"


def iterate_memory(windows: Batch, batch_size: int, count: int) -> Iterator[Batch]:
    """Shuffled batches of windows that lie whole in memory."""
    for rows in torch.randperm(len(windows["input_features"]))[:count].split(batch_size):
        yield {name: tensor.index_select(0, rows) for name, tensor in windows.items()}


def seconds_a_window(batches: Iterable[Batch]) -> float:
    """Go through batches and return the time of one window, s."""
    start, seen = time.perf_counter(), 0
    for batch in batches:
        seen += len(batch["input_features"])
    return (time.perf_counter() - start) / seen


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prepared", nargs="?", type=Path)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    size = arguments.batch_size
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.prepared or synthetic(Path(folder))
        dataset = PrinterSimulationDataset(root / "train")
        chosen = torch.randperm(len(dataset))[:WINDOWS].tolist()
        items = [
            own_storage({k: v for k, v in dataset[i].items() if k != "metadata"}) for i in chosen
        ]
        files = [Path(folder) / f"sample_{i:05d}.pt" for i in range(len(items))]
        for path, item in zip(files, items, strict=True):
            save_tensors(path, item, flush=False)
        memory = {name: torch.stack([item[name] for item in items]) for name in items[0]}
        values = {key: value for key, value in shipped("data/default").items() if key != TARGET}
        sizes = {"batch_size": size, "samples_per_epoch": len(items)}
        as_prepared = {"sequence_length": None, "stride": None, "seed": 0}
        module = PrinterDataModule(**{**values, "root": root, **sizes, **as_prepared})
        loader = module.train_dataloader()
        few = files[:FILES_A_REPEAT]
        runs: dict[str, Callable[[], Iterable[Batch]]] = {
            "one file a window": lambda: DataLoader(WindowFiles(few), size, shuffle=True),
            "tensors in memory": lambda: iterate_memory(memory, size, len(items)),
            "PrinterDataModule": lambda: loader,
        }
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(arguments.repeats + 1):
            for name, make in runs.items():
                times[name].append(seconds_a_window(make()))
    best = {name: min(found[1:]) for name, found in times.items()}
    own = best["PrinterDataModule"]
    print(f"{len(items)} windows, batches of {size}, {torch.get_num_threads()} threads")
    for name, least in best.items():
        print(f"{name:20s} {1e6 * least:8.2f} µs a window, {least / own:6.2f} × PrinterDataModule")


if __name__ == "__main__":
    main()
