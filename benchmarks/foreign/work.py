"""What is done with every machine, and how long each stage of it took."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trajerr.correction.error_models import BAND_HZ, told_by
from trajerr.files import write_atomically
from trajerr.test_prints.excitation import Excitation

from .parts import Part

LOG, ACCELEROMETER = "log", "accelerometer"  # what records a machine
AS_SLICED = (1.0,)  # speeds
BASE = "ender3_stock"  # the shipped printer that its owner would take it for,
LIMITS = {"firmware": "klipper", "lookahead_blocks": None}  # and what runs on its board


@dataclass(frozen=True)
class Plan:
    """What is done with every machine."""

    sensor: str  # LOG or ACCELEROMETER
    minutes: float  # of recording
    speeds: Sequence[float]  # times as fast as sliced, at which a log is recorded in turn
    parts: Sequence[Part]
    layers: int  # groups of layers of each part
    methods: Sequence[str]
    excitation: Excitation | None  # what half of the layers that are recorded hold beside
    sample_rate_hz: float
    pretrained: Path | None  # checkpoint that the network comes from
    model: str | None  # the network's name in conf/model
    training: Sequence[str]  # further overrides of the transfer
    threads: int
    gcode: Path  # folder of G-code that is not embedded

    @property
    def band_hz(self) -> float:
        """Up to which frequency what is recorded tells how a machine answers."""
        if self.excitation is None:
            return BAND_HZ
        return told_by(self.excitation.band_hz, self.sample_rate_hz)


@dataclass(frozen=True)
class Stages:
    """Tells of stages, and notes how long each took beside what they leave."""

    folder: Path
    name: str  # of the machine
    tell: Callable[[str], None]

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Tell of a stage, and note how long it took."""
        self.tell(f"{self.name}: {name}")
        began = time.perf_counter()
        yield
        taken = self.seconds() | {name: round(time.perf_counter() - began, 1)}
        text = json.dumps(taken, indent=2) + "\n"
        write_atomically(self.folder / "seconds.json", text.encode())

    def seconds(self) -> dict[str, float]:
        """Return what was noted, by stage."""
        path = self.folder / "seconds.json"
        seconds: dict[str, float] = (
            json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        )
        return seconds
