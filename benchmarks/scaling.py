"""What each stage costs as it grows: per layer, per million windows, per epoch; and sweeps.

    python benchmarks/scaling.py [collect prepare train times memory sweep] [--quick]

All but sweep print CPU time of one thread, which other programs on the machine disturb little;
`sweep`, which takes its alternatives in turns, is wall time and needs a quiet machine. Growth is
fitted as c·nᵖ over three sizes.
"""

import argparse
import contextlib
import io
import json
import math
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hydra.utils import instantiate

from trajerr.collection.campaign import Collection, collect
from trajerr.collection.process_pool import ProcessPool
from trajerr.collection.variants import parse_variants
from trajerr.commands.configs import compose, load_printer
from trajerr.gcode.sources import find_sources

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
LAYERS = (10, 100, 1000)
EPOCHS = (150, 600, 2400)  # windows an epoch
ORIGINAL = (  # the original study's estimates, from the table in its training document
    ("CPU (i7-8700K)", 16, "~15 min", "~25 hours"),
    ("GPU (GTX 1080)", 32, "~3 min", "~5 hours"),
    ("GPU (RTX 3080)", 64, "~1 min", "~2 hours"),
)
ORIGINAL_WINDOWS = 40_000  # an epoch: 80 % of the ~50,000 that its document counts
TIMED_WINDOWS = 128  # that the large model is timed on
STAGES = ("collect", "prepare", "train", "times", "memory", "sweep")
MEMORY = (  # overrides, from the least memory to the most
    ("model=small",),
    ("data.batch_size=4",),
    (),
    ("model=large", "data.batch_size=4", "data.sequence_length=128"),
    ("model=large",),
    ("model=large", "data.batch_size=64", "data.sequence_length=128"),
)


@dataclass(frozen=True)
class Cost:
    """Of one command."""

    cpu_s: float  # user and system, its children's too
    wall_s: float
    rss_mib: float  # the largest of its processes, at its largest


def run(*arguments: str, threads: dict[str, str] | None = None) -> Cost:
    """Run a stage and return its cost; its own words are shown if it fails."""
    command = [sys.executable, "-m", *arguments]
    kept = {key: value for key, value in os.environ.items() if key not in ONE_THREAD}
    environment = {**kept, **(ONE_THREAD if threads is None else threads)}
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        child = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - began
        if child.returncode:
            said.seek(0)
            sys.exit(said.read().decode())
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def tower(layers: int) -> str:
    """Return G-code of a square tower of 12 mm, filled at 2 mm: about 4 s of motion a layer."""
    lines = ["G90", "M82", "M104 S200", "G92 E0"]
    length = 0.0
    for level in range(1, layers + 1):
        lines += [";LAYER_CHANGE", f"G1 Z{0.2 * level:.2f} F600", "G1 X50 Y50 F6000"]
        corners = [(62, 50), (62, 62), (50, 62), (50, 50)]
        fill = [(x, y) for i, x in enumerate(range(52, 62, 2)) for y in ((51, 61), (61, 51))[i % 2]]
        for kind, path in (("External perimeter", corners), ("Internal infill", fill)):
            lines.append(f";TYPE:{kind}")
            for x, y in path:
                length += 0.3
                lines.append(f"G1 X{x} Y{y} E{length:.3f} F2400")
    return "\n".join(lines) + "\n"


def collected(folder: Path, layers: int) -> Path:
    """Collect a tower with the command and return its folder."""
    out, gcode = folder / f"raw{layers}", folder / f"tower{layers}.gcode"
    gcode.write_text(tower(layers))
    given = [f"gcode={gcode}", f"out={out}", "layers=all", "variants=[{}]", "workers=1"]
    run("trajerr.collect", *given, f"hydra.run.dir={folder / 'hydra'}")
    return out


def collect_cost(folder: Path, layers: int) -> Cost:
    """Collect a tower in this process, after a small one that loads and compiles everything."""
    printer = load_printer()
    for count in (2, layers):
        gcode = folder / f"timed{count}.gcode"
        gcode.write_text(tower(count))
        sources = find_sources([], str(gcode))
        out = folder / f"timed_raw{layers}_{count}"
        collection = Collection(printer, parse_variants([{}]), "all", 200.0, 0, out)
        with ProcessPool(1) as pool:
            began, wall = time.process_time(), time.perf_counter()
            collect(collection, sources, pool)
            cpu, wall = time.process_time() - began, time.perf_counter() - wall
    return Cost(cpu, wall, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def in_fresh_process(folder: Path, layers: int) -> Cost:
    """Return :func:`collect_cost`, in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(collect_cost, folder, layers).result()


def growth(sizes: list[float], seconds: list[float]) -> float:
    """Return p of c·nᵖ, by least squares in logarithms."""
    x, y = [math.log(size) for size in sizes], [math.log(value) for value in seconds]
    return statistics.linear_regression(x, y).slope


def measure_collect(folder: Path, sizes: tuple[int, ...]) -> None:
    """Cost per layer from ten layers to a thousand, one process."""
    costs = {layers: in_fresh_process(folder, layers) for layers in sizes}
    each = {layers: cost.cpu_s / layers for layers, cost in costs.items()}
    print("\nCollecting a tower, one process, one variant")
    print(f"{'layers':>8s} {'CPU s':>8s} {'ms a layer':>11s} {'memory MiB':>11s}")
    for layers, cost in costs.items():
        print(f"{layers:8d} {cost.cpu_s:8.1f} {1e3 * each[layers]:11.1f} {cost.rss_mib:11.0f}")
    first, last = min(each), max(each)
    power = growth(list(map(float, costs)), [cost.cpu_s for cost in costs.values()])
    print(f"fitted growth: layers^{power:.3f}")
    print(f"cost per layer, {last} to {first} layers: ratio {each[last] / each[first]:.3f}")
    more = costs[last].rss_mib - costs[first].rss_mib
    print(f"memory, {last} to {first} layers: {more:+.0f} MiB")


def prepared(folder: Path, layers: int) -> tuple[int, Cost]:
    """Prepare a collected tower; return its windows and the cost."""
    if not (folder / f"raw{layers}").is_dir():
        collected(folder, layers)
    out = folder / f"processed{layers}"
    cost = run(
        "trajerr.prepare",
        f"data_dirs=['{folder}/raw{layers}/data_simulation_*']",
        f"output_dir={out}",
        f"hydra.run.dir={folder / 'hydra'}",
    )
    splits = json.loads((out / "stats.json").read_text())["splits"]
    return sum(split["windows"] for split in splits.values()), cost


def measure_prepare(folder: Path, sizes: tuple[int, ...]) -> None:
    """Cost per million windows."""
    rows = [prepared(folder, layers) for layers in sizes]
    start = rows[0][1].cpu_s
    print("\nPreparing, windows of 128 samples at stride 4")
    print(f"{'windows':>10s} {'CPU s':>8s} {'s a million':>12s} {'memory MiB':>11s}")
    for windows, cost in rows:
        million = 1e6 * cost.cpu_s / windows
        print(f"{windows:10d} {cost.cpu_s:8.1f} {million:12.1f} {cost.rss_mib:11.0f}")
    (few, _), (many, last) = rows[0], rows[-1]
    slope = 1e6 * (last.cpu_s - start) / (many - few)
    print(f"each further million windows: {slope:.1f} s of CPU")


@dataclass(frozen=True)
class Epoch:
    """Of a training: its second epoch, with its validation."""

    windows: int
    batch_size: int
    sequence_length: int
    cpu_s: float
    rss_mib: float  # the process at its largest


def train_here(folder: Path, root: Path, overrides: tuple[str, ...]) -> Epoch:
    """Train two epochs in this process; the first one warms it up."""
    from trajerr.training.run import train
    from trajerr.training.settings import TrainSettings

    config = compose("train", f"data.root={root}", "data.stride=4096", *overrides)
    seconds = [time.process_time()]

    def note(epoch: int, loss: float) -> bool:
        seconds.append(time.process_time())
        return False

    data = config["data"]
    with contextlib.redirect_stdout(io.StringIO()):
        train(TrainSettings.from_dict(config), instantiate(data), folder, note)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sizes = (data["samples_per_epoch"], data["batch_size"], data["sequence_length"])
    return Epoch(*sizes, seconds[2] - seconds[1], rss)


def trained(folder: Path, *overrides: str) -> Epoch:
    """Return :func:`train_here`, in a process of its own."""
    given = ("trainer.max_epochs=2", "trainer.accelerator=cpu", *overrides)
    run_folder = Path(tempfile.mkdtemp(dir=folder))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(train_here, run_folder, root_of_data(folder), given).result()


def root_of_data(folder: Path) -> Path:
    """Return prepared data to train on."""
    root = folder / "processed100"
    if not root.is_dir():
        prepared(folder, 100)
    return root


def measure_train(folder: Path, sizes: tuple[int, ...]) -> None:
    """Cost of an epoch of the default model at several sizes."""
    rows = [trained(folder, f"data.samples_per_epoch={n}") for n in sizes]
    shape = f"batches of {rows[0].batch_size} windows of {rows[0].sequence_length} samples"
    print(f"\nAn epoch of model=base, {shape}, one thread")
    print(f"{'windows':>8s} {'CPU s':>8s} {'ms a window':>12s} {'memory MiB':>11s}")
    for row in rows:
        each = 1e3 * row.cpu_s / row.windows
        print(f"{row.windows:8d} {row.cpu_s:8.1f} {each:12.2f} {row.rss_mib:11.0f}")
    power = growth([float(row.windows) for row in rows], [row.cpu_s for row in rows])
    print(f"fitted growth: windows^{power:.3f}")


def measure_times(folder: Path, windows: int) -> None:
    """Reprint the original's table of training times with ours below it."""
    print("\nTraining times; the original study's are its document's estimates, ours measured")
    print(f"{'hardware':30s} {'batch':>5s} {'per epoch':>10s} {'100 epochs':>11s}")
    for hardware, batch, epoch, total in ORIGINAL:
        print(f"{hardware:30s} {batch:5d} {epoch:>10s} {total:>11s}")
    for batch in (16, 32, 64):
        settings = ("model=large", f"data.batch_size={batch}", "data.sequence_length=128")
        row = trained(folder, f"data.samples_per_epoch={windows}", *settings)
        epoch = row.cpu_s / windows * ORIGINAL_WINDOWS
        name = "one core, model=large"
        print(f"{name:30s} {batch:5d} {epoch / 60:6.1f} min {epoch / 36:7.1f} hours")
    print(f"(timed on {windows} windows of 128 samples, scaled to {ORIGINAL_WINDOWS})")
    usual = compose("train")
    total, epochs = usual["data"]["samples_per_epoch"], usual["trainer"]["max_epochs"]
    row = trained(folder, f"data.samples_per_epoch={2 * windows}")
    epoch = row.cpu_s / row.windows * total
    name = "one core, the default"
    print(f"{name:30s} {row.batch_size:5d} {epoch:8.1f} s", end="")
    print(f" {epochs * epoch / 60:5.1f} min for its {epochs} epochs")
    print(f"(timed on {row.windows} windows of {row.sequence_length} samples, scaled to {total})")


def measure_memory(folder: Path) -> None:
    """Peak of a training's process, two steps of it."""
    print("\nMemory of a training, one thread")
    print(f"{'batch':>6s} {'samples':>8s} {'MiB':>6s}  overrides")
    for overrides in MEMORY:
        size = compose("train", *overrides)["data"]["batch_size"]
        row = trained(folder, *overrides, f"data.samples_per_epoch={size}")
        said = " ".join(overrides) or "(the default)"
        print(f"{row.batch_size:6d} {row.sequence_length:8d} {row.rss_mib:6.0f}  {said}")


def swept(folder: Path, root: Path, launcher: str, repeat: int) -> Cost:
    """Sweep over four rates and return the cost."""
    return run(
        "trajerr.train",
        "-m",
        f"hydra/launcher={launcher}",
        "model.optimizer.lr=1e-4,3e-4,1e-3,3e-3",
        f"data.root={root}",
        "data.samples_per_epoch=2400",
        "data.stride=4096",
        "trainer.max_epochs=2",
        "trainer.accelerator=cpu",
        f"hydra.sweep.dir={folder / f'{launcher}{repeat}'}",
        threads={},
    )


def measure_sweep(folder: Path, repeats: int) -> None:
    """Compare one run after the other with as many side by side as there are cores, in turns."""
    root = root_of_data(folder)
    single, joint = [], []
    for repeat in range(repeats):
        joint.append(swept(folder, root, "cores", repeat))
        single.append(swept(folder, root, "basic", repeat))
    print(f"\nA grid of four runs, medians of {repeats}; load average {os.getloadavg()[0]:.1f}")
    best = statistics.median(cost.wall_s for cost in joint)
    for name, rows in (("one after the other", single), ("joblib, side by side", joint)):
        wall = statistics.median(cost.wall_s for cost in rows)
        cpu = statistics.median(cost.cpu_s for cost in rows)
        share = 100.0 * cpu / wall
        print(f"{name:22s} {wall:6.1f} s, {cpu:6.1f} s of CPU ({share:.0f} %); ", end="")
        print(f"joblib {wall / best:.2f} times")


def main() -> None:
    """Measure the chosen stages in a folder that is removed afterwards."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stages", nargs="*", default=STAGES, help=", ".join(STAGES))
    parser.add_argument("--quick", action="store_true", help="sizes ten times smaller")
    parser.add_argument("--repeats", type=int, default=3, help="turns of sweep")
    arguments = parser.parse_args()
    unknown = set(arguments.stages) - set(STAGES)
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(STAGES)}")
    share = 10 if arguments.quick else 1
    layers = (10, 30, 100) if arguments.quick else LAYERS
    epochs = tuple(n // share for n in EPOCHS)
    os.environ.update(ONE_THREAD)  # for the processes to come; `sweep` takes it back
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jobs = {
            "collect": lambda: measure_collect(folder, layers),
            "prepare": lambda: measure_prepare(folder, layers),
            "train": lambda: measure_train(folder, epochs),
            "times": lambda: measure_times(folder, max(TIMED_WINDOWS // share, 64)),
            "memory": lambda: measure_memory(folder),
            "sweep": lambda: measure_sweep(folder, arguments.repeats),
        }
        for stage in arguments.stages:
            jobs[stage]()


if __name__ == "__main__":
    main()
