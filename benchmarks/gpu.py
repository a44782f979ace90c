"""How fast the reference experiment trains on the accelerator at hand, and what hinders it.

    python benchmarks/gpu.py [--minutes 3 | --batches 200] [--variants 32-true,bf16-mixed,…]
                             [--accelerator auto] [--root data/processed] [--windows N]
                             [override of trajerr.train …]

`experiment=reference` is trained by Lightning as `trajerr.train` does it, without checkpoints, in
a process of its own for each variant: a precision, with `+compile` by torch.compile. After a
warm-up a stretch of it is timed as it is. A second one waits for the device after each part of a
step, so that Lightning's profiler tells how the time is shared; on CUDA torch's profiler then
counts kernels. The minutes are shared by the variants. An epoch has as many windows as training
takes from the prepared data (`--windows`: another number, to compare with other data); its time is
that number over the windows a second, validation not among it.
"""

import argparse
import math
import multiprocessing
import platform
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from hydra.errors import HydraException, InstantiationException
from hydra.utils import instantiate
from measuring.arguments import count, positive
from measuring.course import Course, Kernels, kernels_of
from rich.console import Console

from trajerr.commands.configs import compose
from trajerr.errors import ConfigError, DataError, TrajerrError
from trajerr.models.registry import count_parameters
from trajerr.models.threads import threads_for
from trajerr.training import memory
from trajerr.training.datamodule import PrinterDataModule
from trajerr.training.messages import own_messages
from trajerr.training.products import float32_products
from trajerr.training.progress import EpochReport
from trajerr.training.run import make_task
from trajerr.training.settings import TrainSettings
from trajerr.training.trainer import make_trainer, resolve_precision

VARIANTS = "32-true,bf16-mixed,bf16-mixed+compile"
COMPILE = "compile"
BUSY = 0.8  # share of a step with a kernel on the device, from which more speed is computation
IDLE = 0.2  # share of a step beside computation that is worth mending


@dataclass(frozen=True)
class Found:
    """Of one variant."""

    device: str
    model: str
    epoch_windows: int
    epoch_of: str  # where that number comes from
    warm_up_s: float
    batches: int  # timed
    windows: int  # in these
    seconds: float
    peak_mib: float | None  # None where the device does not tell
    shares: Mapping[str, float]  # of the watched time
    watched: int  # batches
    kernels: Kernels | None  # on CUDA alone

    @property
    def rate(self) -> float:
        """Windows a second."""
        return self.windows / self.seconds

    @property
    def busy(self) -> float | None:
        """Share of a timed step with a kernel on the device; at most 1, if several overlap."""
        if self.kernels is None:
            return None
        return min(1.0, self.kernels.seconds * self.batches / self.seconds)


@dataclass(frozen=True)
class Job:
    """What each process is told."""

    variant: str
    root: Path
    accelerator: str
    seconds: float  # of training; infinite where batches end it
    batches: int | None
    windows: int | None  # an epoch
    overrides: tuple[str, ...]


def config_of(job: Job) -> dict[str, Any]:
    """Return the config of the reference experiment, as a variant changes it."""
    precision, _, further = job.variant.partition("+")
    if further not in ("", COMPILE) or not precision:
        raise ConfigError(f"--variants: got {job.variant}, expected PRECISION or PRECISION+compile")
    try:
        return compose(
            "train",
            "experiment=reference",
            f"data.root={job.root}",
            f"trainer.accelerator={job.accelerator}",
            "trainer.devices=1",
            f"trainer.precision={precision}",
            f"trainer.compile={str(further == COMPILE).lower()}",
            "trainer.limit_val_batches=1",  # the schedule asks for a validation an epoch
            "trainer.enable_checkpointing=false",
            "early_stopping=null",
            *job.overrides,
        )
    except HydraException as error:
        raise ConfigError(" ".join(str(error).split())) from error


def parts_of(job: Job) -> tuple[TrainSettings, PrinterDataModule]:
    """Return what is trained, on what, both checked."""
    config = config_of(job)
    settings = TrainSettings.from_dict(config)
    resolve_precision(settings.trainer["precision"], settings.trainer["accelerator"])
    try:
        return settings, instantiate(config["data"])
    except InstantiationException as error:
        raise ConfigError(" ".join(str(error.__cause__ or error).split())) from error


def epoch_of(data: PrinterDataModule, asked: int | None) -> tuple[int, str]:
    """Return how many windows an epoch has, and why."""
    if asked is not None:
        return asked, "as --windows says"
    if data.samples is not None:
        return data.samples, "as data.samples_per_epoch says"
    table = data.table("train")
    why = (
        f"all of {data.root / 'train'}, of {table.sequence_length} samples each, at a stride of "
        f"{data.stride}, the last {data.burn_in} samples of lead-ins included"
    )
    return len(table.strided(data.stride)), why


def measure(job: Job) -> Found:
    """Train one variant in this process."""
    settings, data = parts_of(job)
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    task = make_task(settings, data.stats.to_dict())
    data.burn_in = task.burn_in
    with tempfile.TemporaryDirectory() as name, own_messages(Path(name)), threads_for(task.network):
        report = EpochReport(Console(quiet=True), shows_bar=False)
        trainer = make_trainer(settings, data, Path(name), report)
        device = trainer.strategy.root_device
        course = Course(job.seconds, job.batches, device)
        trainer.callbacks.append(course)
        if settings.trainer.compile:
            task.network.compile()
        with float32_products(settings.trainer.float32_products, device):
            products = torch.get_float32_matmul_precision()
            try:
                trainer.fit(task, datamodule=data)
            except RuntimeError as error:  # memory, or a compiler that is absent
                said = str(error).strip().splitlines() or [type(error).__name__]
                raise DataError(f"{job.variant} on {device}: {said[0]}") from error
        course.require_finished()
        said_device = f"{device_name(device)}, {torch.get_num_threads()} threads of the processor"
    windows, why = epoch_of(data, job.windows)
    trace = course.trace
    return Found(
        device=f"{said_device}, float32 products {products}",
        model=f"{settings.model}, {count_parameters(task.network):,} parameters, "
        f"batches of {data.batch_size}",
        epoch_windows=windows,
        epoch_of=why,
        warm_up_s=course.taken["warm-up"],
        batches=course.batches["timed"],
        windows=course.windows["timed"],
        seconds=course.taken["timed"],
        peak_mib=peak_mib(device),
        shares=course.watch.shares(course.taken["watched"]),
        watched=course.batches["watched"],
        kernels=None if trace is None else kernels_of(trace.events(), course.batches["traced"]),
    )


def device_name(device: torch.device) -> str:
    """Return what a person calls a device."""
    if device.type == "cuda":
        return f"{device}: {torch.cuda.get_device_name(device)}"
    return f"{device}: {platform.processor() or platform.machine()}"


def peak_mib(device: torch.device) -> float | None:
    """Return the most memory that training has held on a device."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    on_linux = device.type == "cpu" and sys.platform == "linux"
    return memory.peak() / 2**20 if on_linux else None


def hindrance(found: Found) -> str:
    """Return what a variant would have to have less of to be faster."""
    shares, busy = found.shares, found.busy
    computes = shares["forward"] + shares["backward"] + shares["optimiser"]
    if busy is not None and busy >= BUSY:
        return f"computation: kernels keep the device busy for {busy:.0%} of a step"
    if shares["data"] > IDLE:
        return f"data: {shares['data']:.0%} of the time; try data.num_workers, data.pin_memory=true"
    if busy is not None:
        return (
            f"launches: kernels keep the device busy for {busy:.0%} of a step; "
            "try larger batches, or +compile"
        )
    if shares["other"] > IDLE:
        return f"what is beside the steps, logs and callbacks: {shares['other']:.0%} of the time"
    return f"computation: forward, backward and optimiser take {computes:.0%} of the time"


def lines_of(variant: str, found: Found) -> list[str]:
    """Return what is printed of one variant."""
    seconds = found.epoch_windows / found.rate
    epoch = f"{seconds:.1f} s" if seconds < 120.0 else f"{seconds / 60.0:.1f} min"
    peak = "not told" if found.peak_mib is None else f"{found.peak_mib:.0f} MiB"
    shares = ", ".join(f"{part} {share:.1%}" for part, share in found.shares.items())
    lines = [
        f"{variant}: {found.rate:.1f} windows/s, an epoch {epoch}, peak memory {peak}",
        f"  timed: {found.batches} batches in {found.seconds:.2f} s, "
        f"after {found.warm_up_s:.2f} s of warm-up",
        f"  shares: {shares} ({found.watched} batches, each part waited for)",
    ]
    if found.kernels is not None:
        ran = found.kernels
        lines.append(f"  kernels: {ran.count:.0f} a step, mean {ran.mean_us:.1f} µs")
    return [*lines, f"  hindered by {hindrance(found)}"]


def jobs_of(arguments: argparse.Namespace) -> list[Job]:
    """Return the variants that are asked for."""
    variants = arguments.variants.split(",")
    if not (arguments.root / "stats.json").is_file():
        raise DataError(
            f"{arguments.root}: no prepared data; run python -m trajerr.collect and "
            "python -m trajerr.prepare, or give --root"
        )
    seconds = math.inf if arguments.batches else 60.0 * arguments.minutes / len(variants)
    given = (arguments.batches, arguments.windows, tuple(arguments.overrides))
    jobs = [Job(v, arguments.root, arguments.accelerator, seconds, *given) for v in variants]
    for job in jobs:  # a slip in the last variant is not told after minutes of the first
        parts_of(job)
    return jobs


def options() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=positive, default=3.0, help="of all variants (3)")
    parser.add_argument("--batches", type=count, help="to time in each variant, in place of that")
    parser.add_argument("--variants", default=VARIANTS, help=f"({VARIANTS})")
    parser.add_argument("--accelerator", default="auto", help="auto, cpu, gpu, … (auto)")
    parser.add_argument("--root", type=Path, default=Path("data/processed"), help="prepared data")
    parser.add_argument("--windows", type=count, help="of an epoch (as the data has)")
    parser.add_argument("overrides", nargs="*", help="of trajerr.train, e.g. data.batch_size=256")
    return parser


def main() -> None:
    """Measure each variant in a process of its own and print what came of it."""
    try:
        for number, job in enumerate(jobs_of(options().parse_intermixed_args())):
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                found = pool.submit(measure, job).result()
            if number == 0:
                print(f"{found.device}\n{found.model}")
                print(f"an epoch has {found.epoch_windows:,} windows: {found.epoch_of}")
            print("", *lines_of(job.variant, found), sep="\n", flush=True)
    except BrokenProcessPool:
        sys.exit(f"{job.variant}: its process was killed; for want of memory, most likely")
    except TrajerrError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
