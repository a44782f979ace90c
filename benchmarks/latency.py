"""How long a prediction takes, against least squares (`fir`) measured in the same run.

    python benchmarks/latency.py [CHECKPOINT …] [--bundle FOLDER] [--repeats 3]

Without checkpoints it times the networks of conf/model with random weights, which cost the
same. With a bundle it also times ONNX Runtime. Prints medians of windows of 128 samples and of
one more sample of a stream, and the ratio to `fir`.
"""

import argparse
import statistics
from collections.abc import Iterator

import numpy as np
import torch
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from trajerr.deploy.runtime import Predictor
from trajerr.entry import conf_dir
from trajerr.evaluation.timing import BATCHES, measure_calls, measure_inference
from trajerr.models.registry import build_network, count_parameters
from trajerr.training.checkpoint import load_checkpoint

SAMPLES = 128  # a window
RATE_HZ = 200.0
TRAINING_ONLY = ("optimizer", "schedule")


def networks(checkpoints: list[str]) -> Iterator[tuple[str, torch.nn.Module]]:
    """Yield the checkpoints' networks, or an untrained one of each config, by name."""
    if checkpoints:
        for path in checkpoints:
            loaded = load_checkpoint(path)
            yield str(loaded.network_config["name"]), loaded.network
        return
    for path in sorted((conf_dir() / "model").glob("*.yaml")):
        config = OmegaConf.to_container(OmegaConf.load(path))
        config = {k: v for k, v in config.items() if k not in TRAINING_ONLY}
        if "sample_rate_hz" in config:
            config["sample_rate_hz"] = config["sample_rate_hz"] or RATE_HZ
        yield path.stem, build_network(config).eval()


def onnx_figures(folder: str, window: np.ndarray) -> dict:
    """Time a bundle's graph as timing.py times a network."""
    rows = []
    for threads in sorted({1, torch.get_num_threads()}):
        predictor = Predictor.load(folder, threads=threads)
        for batch in BATCHES:
            windows = np.tile(window[None], (batch, 1, 1))
            timed = measure_calls(lambda: predictor.predict(windows), threads, batch)  # noqa: B023
            rows.append({"threads": threads, "batch": batch, "p50_ms": timed.p50_ms})
    stream, samples = Predictor.load(folder).stream(), iter(np.tile(window, (50, 1)))
    step = measure_calls(lambda: stream.update_features(next(samples)), 1, 1)
    return {"windows": rows, "step_us_p50": 1000 * step.p50_ms}


def line(figures: dict) -> list[float]:
    """Return ms: windows in the table's order, then one sample of a stream."""
    return [*(row["p50_ms"] for row in figures["windows"]), figures["step_us_p50"] / 1000]


def main() -> None:
    """Time everything, interleaved, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs="*")
    parser.add_argument("--bundle")
    parser.add_argument("--repeats", type=int, default=3, help="runs; medians over them")
    arguments = parser.parse_args()
    window = torch.randn(SAMPLES, 15, generator=torch.Generator().manual_seed(0))
    timed = dict(networks(arguments.checkpoints))
    timed.setdefault("fir", build_network({"name": "fir", "taps": 40}).eval())
    runs: dict[str, list[list[float]]] = {}
    for _ in range(arguments.repeats):  # interleaved, so that a busy moment hits all alike
        for name, network in timed.items():
            runs.setdefault(name, []).append(line(measure_inference(network, window)))
        if arguments.bundle:
            figures = onnx_figures(arguments.bundle, window.numpy())
            runs.setdefault("bundle (ONNX)", []).append(line(figures))
    print_table(runs, {name: count_parameters(n) for name, n in timed.items()})


def print_table(runs: dict[str, list[list[float]]], parameters: dict[str, int]) -> None:
    """Print the median over runs of each figure, with its ratio to fir's."""
    table = Table(box=None, title="Median ms (× fir)", title_justify="left")
    table.add_column("", no_wrap=True)
    table.add_column("parameters", justify="right")
    for threads in sorted({1, torch.get_num_threads()}):
        for batch in BATCHES:
            table.add_column(f"{batch} × {SAMPLES}, {threads} thr", justify="right", no_wrap=True)
    table.add_column("1 sample", justify="right", no_wrap=True)
    medians = {
        name: [statistics.median(c) for c in zip(*r, strict=True)] for name, r in runs.items()
    }
    for name, values in medians.items():
        cells = [f"{v:.3f} ({v / f:.1f})" for v, f in zip(values, medians["fir"], strict=True)]
        table.add_row(name, f"{parameters[name]:,}" if name in parameters else "", *cells)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
