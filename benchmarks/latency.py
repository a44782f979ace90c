"""How long a prediction takes in each deployed form, against plain eager mode in the same run.

    python benchmarks/latency.py [MODEL|CHECKPOINT …] [--threads 1 2] [--seconds 1.0]

A model of conf/model is timed with random weights, which cost the same as trained ones. Timed
are one window of 128 samples and one more sample of a stream, as the runtime serves them: the
time of a call from Python, features given. `solved` is a window whose axis equation is solved
beforehand, as for `correct`, where the network has one; `position` is a sample from its position
on, with its features to be computed. All forms take turns in short rounds, so that a busy moment
hits all alike; p50 and p99 are of all calls, "quiet" is the 5th percentile.
"""

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from trajerr.bundle.guidance import GuidedSession
from trajerr.bundle.manifest import ONNX, ONNX_GUIDED, ONNX_INT8, ONNX_STEP, TORCHSCRIPT
from trajerr.bundle.sessions import CPU, open_session
from trajerr.bundle.streaming import StreamingPredictor
from trajerr.dynamics.axis_steps import solve
from trajerr.exporting.export import equation_of
from trajerr.exporting.graphs import (
    write_guided,
    write_onnx,
    write_quantized,
    write_step,
    write_torchscript,
)
from trajerr.models.registry import build_network, count_parameters
from trajerr.motion.features import FEATURES
from trajerr.shipped import conf_dir
from trajerr.training.checkpoint import load_checkpoint

MODELS = ("base", "small", "large", "lstm", "hybrid")
SAMPLES = 128  # a window
RATE_HZ = 200.0
ROUND_S = 0.05  # of calls in a row to one form
LEAST_CALLS = 20  # a form, however slow
TRAINING_ONLY = ("optimizer", "schedule")

Call = Callable[[], object]


def network_of(name: str) -> torch.nn.Module:
    """Return a trained network, or one of conf/model with random weights."""
    if Path(name).is_file():
        return load_checkpoint(Path(name)).network
    config = OmegaConf.to_container(OmegaConf.load(conf_dir() / "model" / f"{name}.yaml"))
    config = {key: value for key, value in config.items() if key not in TRAINING_ONLY}
    if "sample_rate_hz" in config:
        config["sample_rate_hz"] = RATE_HZ
    return build_network(config).eval()


def write_all(network: torch.nn.Module, folder: Path) -> None:
    """Write every form that is timed."""
    write_torchscript(network, folder / TORCHSCRIPT)
    write_onnx(network, folder / ONNX)
    write_quantized(folder / ONNX, folder / ONNX_INT8)
    if hasattr(network, "step"):
        write_step(network, folder / ONNX_STEP)
    if equation_of(network) is not None:
        write_guided(network, folder / ONNX_GUIDED)


def window_calls(network: torch.nn.Module, folder: Path, threads: int) -> dict[str, Call]:
    """Return what predicts one window, by form; eager mode first."""
    window = np.random.default_rng(0).normal(size=(1, SAMPLES, len(FEATURES))).astype(np.float32)
    tensor = torch.from_numpy(window)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.load` is deprecated")
        scripted = torch.jit.load(folder / TORCHSCRIPT)
    sessions = {name: open_session(folder / name, threads, CPU) for name in (ONNX, ONNX_INT8)}
    feed = {"input_features": window}
    calls: dict[str, Call] = {
        "eager": lambda: network(tensor),
        "torchscript": lambda: scripted(tensor),
        "onnx": lambda: sessions[ONNX].run(None, feed),
        "onnx int8": lambda: sessions[ONNX_INT8].run(None, feed),
    }
    equation = equation_of(network)
    if equation is not None:
        guided = GuidedSession(folder / ONNX_GUIDED, equation, solve, threads)
        calls["onnx, solved"] = lambda: guided.errors(window)
    return calls


def step_calls(network: torch.nn.Module, folder: Path, threads: int) -> dict[str, Call]:
    """Return what predicts one more sample, by form; eager mode first."""
    if not hasattr(network, "step"):
        return {}
    rows = np.random.default_rng(0).normal(size=(SAMPLES, len(FEATURES))).astype(np.float32)
    forever = endless(rows)
    state = [network.initial_state(1)]
    given, positions = (
        StreamingPredictor(open_session(folder / ONNX_STEP, threads, CPU, "sample"), RATE_HZ)
        for _ in range(2)
    )

    def eager() -> None:
        _, state[0] = network.step(state[0], torch.from_numpy(next(forever)[None]))

    return {
        "eager": eager,
        "onnx": lambda: given.update_features(next(forever)),
        "onnx, position": lambda: positions.update(next(forever)[:3]),
    }


def endless(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows again and again."""
    while True:
        yield from rows


def measure(calls: dict[str, Call], seconds: float) -> dict[str, np.ndarray]:
    """Return the times of single calls in µs, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():  # warm up
        for _ in range(LEAST_CALLS):
            call()
    rounds = 0
    while rounds * ROUND_S < seconds or min(map(len, times.values())) < LEAST_CALLS:
        rounds += 1
        for name, call in calls.items():
            begin = time.perf_counter()
            while (start := time.perf_counter()) - begin < ROUND_S:
                call()
                times[name].append(time.perf_counter() - start)
    return {name: 1e6 * np.array(taken) for name, taken in times.items()}


def add_rows(table: Table, label: list[str], times: dict[str, np.ndarray]) -> None:
    """Add a line for each form, with its ratio to eager mode."""
    base = np.median(times["eager"])
    for name, taken in times.items():
        quiet, p50, p99 = np.percentile(taken, [5, 50, 99])
        cells = [f"{p50:,.0f}", f"{p99:,.0f}", f"{quiet:,.0f}", f"{p50 / base:.2f}"]
        table.add_row(*label, name, *cells)
    table.add_section()


def main() -> None:
    """Time all forms of all models and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--seconds", type=float, default=1.0, help="for each form, about")
    arguments = parser.parse_args()
    table = Table(box=None, title="One call, µs", title_justify="left")
    for column in ("model", "threads", "what", "form"):
        table.add_column(column, no_wrap=True)
    for column in ("p50", "p99", "quiet", "p50 / eager"):
        table.add_column(column, justify="right", no_wrap=True)
    for name in arguments.models:
        network = network_of(name)
        label = f"{Path(name).name} ({count_parameters(network):,})"
        with tempfile.TemporaryDirectory() as folder:
            print(f"exporting {label} …", file=sys.stderr)
            write_all(network, Path(folder))
            for threads in arguments.threads:
                torch.set_num_threads(threads)
                for what, make in (("window", window_calls), ("sample", step_calls)):
                    calls = make(network, Path(folder), threads)
                    with torch.inference_mode():
                        times = measure(calls, arguments.seconds) if calls else {}
                    if times:
                        add_rows(table, [label, str(threads), what], times)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
