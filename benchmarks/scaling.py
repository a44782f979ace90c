"""What each stage costs as it grows: per layer, per million windows, per epoch; and sweeps.

    python benchmarks/scaling.py [collect prepare train times sweep] [--quick]

collect and prepare print CPU time, which other programs on the machine disturb little; epochs
and sweeps are wall time, and `sweep`, which takes its alternatives in turns, needs a quiet
machine. Growth is fitted as c·nᵖ over three sizes.
"""

import argparse
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

from trajerr.configs import load_printer
from trajerr.data.collection import Collection, collect
from trajerr.data.sources import find_sources
from trajerr.data.variants import parse_variants
from trajerr.data.workforce import Workforce

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
LAYERS = (10, 100, 1000)
EPOCHS = (1200, 2400, 4800)  # windows an epoch
ORIGINAL = (  # the original study's estimates, from the table in its training document
    ("CPU (i7-8700K)", 16, "~15 min", "~25 hours"),
    ("GPU (GTX 1080)", 32, "~3 min", "~5 hours"),
    ("GPU (RTX 3080)", 64, "~1 min", "~2 hours"),
)
ORIGINAL_WINDOWS = 40_000  # an epoch: 80 % of the ~50,000 that its document counts
STAGES = ("collect", "prepare", "train", "times", "sweep")


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
        plan = Collection(printer, parse_variants([{}]), "all", 200.0, 0, out)
        with Workforce(1) as force:
            began, wall = time.process_time(), time.perf_counter()
            collect(plan, sources, force)
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


def trained(folder: Path, root: Path, windows: int, *overrides: str) -> dict[str, float]:
    """Train two epochs; return the second one's seconds, and memory."""
    run_dir = folder / "train"
    cost = run(
        "trajerr.train",
        f"data.root={root}",
        f"data.samples_per_epoch={windows}",
        "data.stride=4096",
        "trainer.max_epochs=2",
        "trainer.accelerator=cpu",
        f"hydra.run.dir={run_dir}",
        *overrides,
    )
    seconds = json.loads((run_dir / "train.json").read_text())["epoch_seconds"][-1]
    return {"epoch_s": seconds, "rss_mib": cost.rss_mib, "cpu_s": cost.cpu_s}


def root_of_data(folder: Path) -> Path:
    """Return prepared data to train on."""
    root = folder / "processed100"
    if not root.is_dir():
        prepared(folder, 100)
    return root


def measure_train(folder: Path, sizes: tuple[int, ...]) -> None:
    """Cost of an epoch of the default model, one thread."""
    rows = {n: trained(folder, root_of_data(folder), n) for n in sizes}
    print("\nTraining model=base, batches of 32, windows of 256 samples, one thread")
    print(f"{'windows':>8s} {'epoch s':>8s} {'ms a window':>12s} {'memory MiB':>11s}")
    for n, row in rows.items():
        each = 1e3 * row["epoch_s"] / n
        print(f"{n:8d} {row['epoch_s']:8.1f} {each:12.2f} {row['rss_mib']:11.0f}")
    power = growth(list(map(float, rows)), [row["epoch_s"] for row in rows.values()])
    print(f"fitted growth: windows^{power:.3f}")


def measure_times(folder: Path, windows: int) -> None:
    """Reprint the original's table of training times with ours below it."""
    print("\nTraining times; the original study's are its document's estimates, ours measured")
    print(f"{'hardware':28s} {'batch':>5s} {'per epoch':>10s} {'100 epochs':>11s}")
    for hardware, batch, epoch, total in ORIGINAL:
        print(f"{hardware:28s} {batch:5d} {epoch:>10s} {total:>11s}")
    cores = len(os.sched_getaffinity(0))
    for batch in (16, 32, 64):
        settings = ["model=large", f"data.batch_size={batch}", "data.sequence_length=128"]
        row = trained(folder, root_of_data(folder), windows, *settings)
        epoch = row["epoch_s"] / windows * ORIGINAL_WINDOWS
        name = f"1 thread of {cores} cores, large"
        print(f"{name:28s} {batch:5d} {epoch / 60:6.1f} min {epoch / 36:7.1f} hours")
    row = trained(folder, root_of_data(folder), windows)
    epoch = row["epoch_s"] / windows * 9600
    print(f"{'the default: base, 12 epochs':28s} {32:5d} {epoch / 60:6.1f} min", end="")
    print(f" {12 * epoch / 60:7.1f} min in all")
    print(f"(ours: timed on epochs of {windows} windows and scaled to {ORIGINAL_WINDOWS} and 9600)")


def swept(folder: Path, root: Path, launcher: str, repeat: int, threads: dict[str, str]) -> Cost:
    """Sweep over four rates and return the cost."""
    return run(
        "trajerr.train",
        "-m",
        f"hydra/launcher={launcher}",
        "model.optimizer.lr=1e-4,3e-4,1e-3,3e-3",
        f"data.root={root}",
        "data.samples_per_epoch=1600",
        "data.stride=4096",
        "trainer.max_epochs=2",
        "trainer.accelerator=cpu",
        f"hydra.sweep.dir={folder / f'{launcher}{repeat}{len(threads)}'}",
        threads=threads,
    )


def measure_sweep(folder: Path, repeats: int) -> None:
    """Compare one process after the other with two side by side, in turns."""
    root = root_of_data(folder)
    single, free, joint = [], [], []
    for repeat in range(repeats):
        joint.append(swept(folder, root, "cores", repeat, {}))
        single.append(swept(folder, root, "basic", repeat, ONE_THREAD))
        free.append(swept(folder, root, "basic", repeat, {}))
    print(f"\nA grid of four runs, medians of {repeats}; load average {os.getloadavg()[0]:.1f}")
    best = statistics.median(cost.wall_s for cost in joint)
    for name, rows in (
        ("one process, one thread", single),
        ("one process, all threads", free),
        ("joblib, two processes", joint),
    ):
        wall = statistics.median(cost.wall_s for cost in rows)
        cpu = statistics.median(cost.cpu_s for cost in rows)
        print(f"{name:26s} {wall:6.1f} s, {cpu:6.1f} s of CPU; joblib {wall / best:.2f} times")


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
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jobs = {
            "collect": lambda: measure_collect(folder, layers),
            "prepare": lambda: measure_prepare(folder, layers),
            "train": lambda: measure_train(folder, epochs),
            "times": lambda: measure_times(folder, 256 // share),
            "sweep": lambda: measure_sweep(folder, arguments.repeats),
        }
        for stage in arguments.stages:
            jobs[stage]()


if __name__ == "__main__":
    main()
