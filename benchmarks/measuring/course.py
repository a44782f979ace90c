"""How a training goes while it is measured: warmed up, timed, its parts watched, kernels traced."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lightning
import torch
from lightning.pytorch.profilers import PassThroughProfiler, SimpleProfiler
from torch.autograd import DeviceType
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity

from trajerr.errors import DataError

WARM_UP, WATCHED, TRACED = 5, 50, 5  # batches, at most
SHARES = {"timed": 0.75, "watched": 0.25}  # of a variant's minutes
PARTS = {  # of a step → how Lightning's profiler calls what it is made of
    "data": (".train_dataloader_next", ".batch_to_device"),
    "forward": (".training_step",),
    "backward": (".backward",),
    "optimiser": (".optimizer_step",),
}


@dataclass(frozen=True)
class Kernels:
    """What the device ran in a step, copies among it."""

    count: float
    mean_us: float

    @property
    def seconds(self) -> float:
        """Time of a step with a kernel on the device, s."""
        return self.count * self.mean_us * 1e-6


class Waiting(SimpleProfiler):
    """Lightning's profiler, which waits for the device before it looks at the clock."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device

    def start(self, action_name: str) -> None:
        """Begin an action once all before it is done."""
        wait_for(self._device)
        super().start(action_name)

    def stop(self, action_name: str) -> None:
        """End an action once all of it is done."""
        wait_for(self._device)
        super().stop(action_name)

    def seconds(self, endings: Sequence[str]) -> float:
        """Return the time of all actions that are called so."""
        names = [name for name in self.recorded_durations if name.endswith(tuple(endings))]
        if not names:
            raise DataError(f"Lightning's profiler: got no action {' or '.join(endings)}")
        return math.fsum(math.fsum(self.recorded_durations[name]) for name in names)

    def shares(self, total: float) -> dict[str, float]:
        """Return what share of so many seconds each part of a step took."""
        parts = {part: self.seconds(endings) for part, endings in PARTS.items()}
        # Lightning hands forward and backward to the optimiser's step, which calls them.
        parts["optimiser"] -= parts["forward"] + parts["backward"]
        parts["other"] = total - sum(parts.values())
        return {part: seconds / total for part, seconds in parts.items()}


class Course(lightning.Callback):
    """Leads a training through warm-up, timing, watching and tracing, and ends it.

    Parameters
    ----------
    seconds
        To time and to watch.
    batches
        To time; None: as many as the seconds hold.
    device
        That is trained on.
    """

    def __init__(self, seconds: float, batches: int | None, device: torch.device) -> None:
        most = math.inf if batches is None else batches
        self._most = {"warm-up": min(WARM_UP, most), "timed": most, "watched": min(WATCHED, most)}
        if device.type == "cuda":
            self._most["traced"] = min(TRACED, most)
        self._seconds = {phase: share * seconds for phase, share in SHARES.items()}
        self._left = list(self._most)
        self._device = device
        self._began = 0.0
        self.taken: dict[str, float] = {}  # s
        self.batches = dict.fromkeys(self._most, 0)
        self.windows = dict.fromkeys(self._most, 0)
        self.watch = Waiting(device)
        self.trace: torch.profiler.profile | None = None

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Begin with the first phase."""
        self._enter(trainer)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401 - Lightning's signature
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Count a batch, and go on to the next phase where it was the last of this one."""
        if not self._left:
            return
        phase = self._left[0]
        self.batches[phase] += 1
        self.windows[phase] += len(batch["input_features"])
        enough = self.batches[phase] >= self._most[phase]
        if enough or time.perf_counter() - self._began > self._seconds.get(phase, math.inf):
            self._leave(trainer)
            self._enter(trainer)

    def require_finished(self) -> None:
        """Refuse what ended before all was measured."""
        if self._left:
            seen = sum(self.batches.values())
            raise DataError(
                f"the training ended after {seen} batches, expected more for the phase "
                f"{self._left[0]}; give trainer.max_epochs, or fewer --batches"
            )

    def _enter(self, trainer: lightning.Trainer) -> None:
        if not self._left:
            trainer.should_stop = True
            return
        if self._left[0] == "watched":
            trainer.profiler = self.watch
        if self._left[0] == "traced":
            self.trace = torch.profiler.profile(activities=[ProfilerActivity.CUDA])
            self.trace.start()
        self._began = time.perf_counter()

    def _leave(self, trainer: lightning.Trainer) -> None:
        wait_for(self._device)
        phase = self._left.pop(0)
        self.taken[phase] = time.perf_counter() - self._began
        if phase == "watched":
            trainer.profiler = PassThroughProfiler()
        if self.trace is not None:
            self.trace.stop()


def wait_for(device: torch.device) -> None:
    """Wait until a device has done what it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def kernels_of(events: Sequence[FunctionEvent], steps: int) -> Kernels:
    """Return what a device ran in each of so many steps, from what torch's profiler saw."""
    ran = [e for e in events if e.device_type == DeviceType.CUDA and not e.is_user_annotation]
    if not ran:
        raise DataError("torch's profiler: got no kernel on CUDA; it needs CUPTI")
    total = math.fsum(event.time_range.elapsed_us() for event in ran)
    return Kernels(len(ran) / steps, total / len(ran))
