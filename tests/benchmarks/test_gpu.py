"""``python benchmarks/gpu.py``: tiny trainings on the processor, and what it makes of kernels."""

import re
import subprocess
from pathlib import Path

import pytest
import torch
from benchmarks.measuring.course import Waiting, kernels_of
from torch.autograd import DeviceType
from torch.autograd.profiler_util import FunctionEvent

from tests.paths import PROJECT
from tests.training.cases import prepare_tiny
from tests.warm_python import warm_python
from trajerr.dataset.store import open_split
from trajerr.errors import DataError

SCRIPT = PROJECT / "benchmarks" / "gpu.py"
SMALL = ("model=small", "data.batch_size=4", "data.sequence_length=64", "data.stride=8")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*warm_python(), str(SCRIPT), "--accelerator=cpu", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_tiny(tmp_path_factory.mktemp("gpu"))


@pytest.fixture(scope="module")
def said(tiny: Path) -> str:
    variants = "--variants=32-true,bf16-mixed"
    done = run(tiny.parent, "--root=processed", "--batches=3", variants, *SMALL)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_variant_is_timed_and_its_parts_make_up_the_whole(said: str):
    rows = re.findall(
        r"^(\S+): ([\d.]+) windows/s, an epoch ([\d.]+) s, peak memory (\d+ MiB|not told)$",
        said,
        re.M,
    )
    assert [row[0] for row in rows] == ["32-true", "bf16-mixed"]
    assert all(float(row[1]) > 0.0 for row in rows)
    timed = re.findall(r"timed: (\d+) batches in ([\d.]+) s", said)
    assert [int(batches) for batches, _ in timed] == [3, 3]
    for shares in re.findall(r"shares: (.*) \(3 batches", said):
        parts = dict(part.split(" ") for part in shares.split(", "))
        assert set(parts) == {"data", "forward", "backward", "optimiser", "other"}
        values = {part: float(share.rstrip("%")) for part, share in parts.items()}
        assert all(values[part] > 0.0 for part in ("forward", "backward", "optimiser"))
        assert min(values.values()) >= 0.0
        assert sum(values.values()) == pytest.approx(100.0, abs=0.3)
    assert said.count("hindered by ") == 2
    assert said.startswith("cpu: ")


def test_an_epoch_has_the_windows_that_the_data_has(said: str, tiny: Path):
    lengths = [len(sequence) for sequence in open_split(tiny, "train").sequences]
    windows = sum((length - 64) // 8 + 1 for length in lengths)
    assert f"an epoch has {windows} windows: all of processed/train, of 64 samples each" in said


def event(name: str, start: int, end: int, *, note: bool = False, on: DeviceType) -> FunctionEvent:
    return FunctionEvent(
        id=0, name=name, thread=0, start_us=start, end_us=end, device_type=on,
        is_user_annotation=note,
    )  # fmt: skip


def test_kernels_are_counted_by_the_step():
    cuda = DeviceType.CUDA
    events = [
        event("gemm", 0, 30, on=cuda),
        event("add", 30, 34, on=cuda),
        event("gemm", 50, 80, on=cuda),
        event("copy", 80, 84, on=cuda),
        event("Optimizer.step", 0, 90, note=True, on=cuda),
        event("cudaLaunchKernel", 0, 500, on=DeviceType.CPU),
    ]
    found = kernels_of(events, steps=2)
    assert (found.count, found.mean_us) == (2.0, 17.0)
    assert found.seconds == pytest.approx(34e-6)
    with pytest.raises(DataError, match="no kernel"):
        kernels_of(events[-2:], steps=2)


def test_a_profile_without_the_parts_of_a_step_is_refused():
    with pytest.raises(DataError, match=r"got no action \.train_dataloader_next"):
        Waiting(torch.device("cpu")).shares(1.0)


def test_a_training_that_ends_too_early_is_told(tiny: Path):
    short = ("--variants=32-true", "trainer.max_epochs=1", *SMALL)
    done = run(tiny.parent, "--root=processed", "--batches=40", *short)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("the training ended after 16 batches, expected")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--root=none"], "none: no prepared data; run python -m trajerr.collect and python"),
        (["--variants=32-true+jit"], "--variants: got 32-true+jit, expected PRECISION or"),
        (["--variants=8-true"], "trainer.precision is '8-true', expected 16, 32, 64 or one of"),
        (["--minutes=0"], "argument --minutes: got 0, expected a number above 0"),
        (["--batches=x"], "argument --batches: got x, expected a whole number from 1"),
        (["data.batch_sise=4"], "data.batch_sise"),
        (["data.batch_size=0"], "data.batch_size: got 0, expected a whole number from 1 on"),
    ],
)
def test_a_mistake_is_told_in_one_line(tiny: Path, options: list[str], expected: str):
    done = run(tiny.parent, "--root=processed", "--batches=1", *options)
    assert done.returncode in (1, 2)
    last = done.stderr.splitlines()[-1]
    assert expected in last
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
