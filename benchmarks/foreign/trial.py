"""One machine: recorded, calibrated, transferred to, corrected for, and judged.

Everything goes to the machine's own folder; what is there is kept, so that an interrupted trial
goes on where it was.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from accuracy import run

from trajerr.bundle.runtime import Predictor
from trajerr.checks import shown
from trajerr.commands.configs import load_printer
from trajerr.correction.compensate import correct
from trajerr.correction.error_models import ErrorModel, NetworkModel, TwinModel
from trajerr.correction.original import Original
from trajerr.correction.scope import Scope
from trajerr.correction.settings import CorrectionSettings
from trajerr.dynamics.plant import ActualMotion
from trajerr.dynamics.printer import Printer
from trajerr.files import write_atomically
from trajerr.gcode.reader import parse_program
from trajerr.metrics.closed_loop import Replay
from trajerr.motion.trajectory import Trajectory

from . import recording
from .machine import Machine
from .motion import MachineModel, Variant
from .parts import Part
from .reconstruction import left, record_print

TWIN, NETWORK, MACHINE = "twin", "network", "machine"
METHODS = (TWIN, NETWORK, MACHINE)  # calibrated printer; transferred network; the machine itself
BASE = "ender3_stock"  # the shipped printer that its owner would take it for,
LIMITS = {"firmware": "klipper", "lookahead_blocks": None}  # and what runs on its board
JUDGED, CORRECTED = "judged", "corrected"  # folders
Cases = dict[str, dict[str, dict[str, float]]]  # by case and method, as Replay has them


@dataclass(frozen=True)
class Plan:
    """What is done with every machine."""

    minutes: float  # of recording
    parts: Sequence[Part]
    layers: int  # groups of layers of each part
    methods: Sequence[str]
    sample_rate_hz: float
    pretrained: Path | None  # checkpoint that the network comes from
    model: str | None  # the network's name in conf/model
    training: Sequence[str]  # further overrides of the transfer
    threads: int
    gcode: Path  # folder of G-code that is not embedded


@dataclass(frozen=True)
class Trial:
    """One machine under a plan."""

    machine: Machine
    plan: Plan
    folder: Path
    tell: Callable[[str], None]

    def results(self) -> dict[str, Any]:
        """Return the judged cases of each part, and how long each stage took, JSON-ready."""
        self._claim()
        self._record()
        self._calibrate()
        if NETWORK in self.plan.methods:
            self._transfer()
        cases = {part.name: self._judged(part) for part in self.plan.parts}
        return {"machine": self.machine.to_dict(), "parts": cases, "seconds": self._seconds()}

    def _claim(self) -> None:
        """Write what the folder is for; refuse one that was begun for something else."""
        plan = self.plan
        basis = {
            "machine": self.machine.to_dict(),
            "minutes": plan.minutes,
            "sample_rate_hz": plan.sample_rate_hz,
        }
        self._claim_by("trial.json", basis)
        if NETWORK in plan.methods:
            origin = {"pretrained": str(plan.pretrained), "training": list(plan.training)}
            self._claim_by("transfer.json", origin)

    def _claim_by(self, name: str, known: dict[str, Any]) -> None:
        path, text = self.folder / name, json.dumps(known, indent=2) + "\n"
        if path.is_file() and path.read_text(encoding="utf-8") != text:
            raise SystemExit(
                f"{path}: was begun with other settings; expected the same, or another --out"
            )
        write_atomically(path, text.encode())

    def forget_corrections(self) -> None:
        """Remove what was corrected and judged; log, calibration and network stay."""
        for name in (JUDGED, CORRECTED):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    @cached_property
    def _configs(self) -> Path:
        return self.folder / "conf"

    @cached_property
    def _log(self) -> Path:
        return self.folder / "log.csv"

    def _record(self) -> None:
        if self._log.is_file():
            return
        with self._stage("record"):
            seed, printer = int(self.machine.name.rsplit("_", 1)[1]), load_printer(BASE)
            printer = replace(printer, limits=replace(printer.limits, **LIMITS))
            logged = recording.record(
                Variant(self.machine), printer, 60.0 * self.plan.minutes, seed
            )
            recording.write(logged, self._log, self._configs)

    def _calibrate(self) -> None:
        if self._printer_file.is_file():
            return
        with self._stage("calibrate"):
            run(
                "calibrate",
                f"--config-dir={self._configs}",
                f"name={self.machine.name}",
                f"printer={BASE}",
                *(f"printer.limits.{key}={shown(value)}" for key, value in LIMITS.items()),
                "log=excerpt",
                f"log_file={self._log}",
                f"out={self._printer_file}",
                f"output_dir={self.folder / 'calibration'}",
                "plot=false",
                f"hydra.run.dir={self.folder / 'runs' / 'calibrate'}",
            )

    def reconstruction(self) -> dict[str, Any]:
        """Return what accelerometers make of the machine's error, without and with a reference."""
        kept = self.folder / "reconstruction.json"
        if not kept.is_file():
            self._claim()
            self._record()
            self._calibrate()
            with self._stage("reconstruct"):
                seed = int(self.machine.name.rsplit("_", 1)[1])
                recorded = record_print(self.machine, self.printer, 60.0 * self.plan.minutes, seed)
                found = {
                    key: left(recorded, self.printer, reference=used)
                    for key, used in (("alone", False), ("reference", True))
                }
            write_atomically(kept, (json.dumps(found, indent=2) + "\n").encode())
        return {"machine": self.machine.name, **json.loads(kept.read_text(encoding="utf-8"))}

    @cached_property
    def _printer_file(self) -> Path:
        return self._configs / "printer" / f"{self.machine.name}.yaml"

    @cached_property
    def printer(self) -> Printer:
        """The calibrated printer."""
        return Printer.from_dict(yaml.safe_load(self._printer_file.read_text(encoding="utf-8")))

    def _transfer(self) -> None:
        if (self.folder / "bundle" / "bundle.json").is_file():
            return
        with self._stage("transfer"):
            runs, prepared = self.folder / "runs", self.folder / "prepared"
            run(
                "prepare",
                f"--config-dir={self._configs}",
                "log=recorded",
                f"data_dirs=['{self._log}']",
                "split.by=section",
                f"train_ratio={1.0 - recording.VALIDATION}",
                f"val_ratio={recording.VALIDATION}",
                "test_ratio=0",
                f"sample_rate_hz={self.plan.sample_rate_hz}",
                f"output_dir={prepared}",
                f"hydra.run.dir={runs / 'prepare'}",
            )
            run(
                "train",
                "experiment=transfer",
                f"pretrained={self.plan.pretrained}",
                f"model={self.plan.model}",
                f"data.root={prepared}",
                f"hydra.run.dir={runs / 'train'}",
                *self.plan.training,
            )
            run(
                "export",
                f"checkpoint={runs / 'train' / 'checkpoints' / 'best.ckpt'}",
                f"output_dir={self.folder / 'bundle'}",
                "format=[onnx]",
                f"hydra.run.dir={runs / 'export'}",
            )

    def _model(self, method: str) -> ErrorModel:
        rate, threads = self.plan.sample_rate_hz, self.plan.threads
        if method == TWIN:
            return TwinModel(self.printer, rate, threads)
        if method == MACHINE:
            return MachineModel(Variant(self.machine), rate, threads)
        return NetworkModel(Predictor.load(self.folder / "bundle"))

    def _judged(self, part: Part) -> Cases:
        """Return the errors on a part's walls, of every method and shaper, at every stiffness."""
        layers = part.first(self.plan.layers)
        kept = self.folder / JUDGED / f"{self._named(part)}.json"
        known: Cases = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
        missing = [name for name in self.plan.methods if name not in known.get("nominal", {})]
        if missing:
            original = part.read(self.printer, self.plan.gcode)
            texts = {name: self._corrected(name, part, original) for name in missing}
            with self._stage(f"judge {part.name}"):
                judged = judge(self.machine, original, texts, layers)
            known = {case: {**known.get(case, {}), **found} for case, found in judged.items()}
            write_atomically(kept, (json.dumps(known, indent=2) + "\n").encode())
        return known

    def _corrected(self, method: str, part: Part, original: Original) -> bytes:
        """Return a part corrected by a method; as it was, where that would not help."""
        layers = part.first(self.plan.layers)
        path = self.folder / CORRECTED / f"{self._named(part)}_{method}.gcode"
        if not path.is_file():
            with self._stage(f"correct {part.name} by {method}"):
                text = corrected(original, self._model(method), layers, self.plan.threads)
            write_atomically(path, original.program.text if text is None else text)
        return path.read_bytes()

    def _named(self, part: Part) -> str:
        return f"{part.name}_{self.plan.layers}"

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        """Tell of a stage, and note how long it took."""
        self.tell(f"{self.machine.name}: {name}")
        began = time.perf_counter()
        yield
        taken = self._seconds() | {name: round(time.perf_counter() - began, 1)}
        text = json.dumps(taken, indent=2) + "\n"
        write_atomically(self.folder / "seconds.json", text.encode())

    def _seconds(self) -> dict[str, float]:
        path = self.folder / "seconds.json"
        seconds: dict[str, float] = (
            json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        )
        return seconds


def corrected(
    original: Original, model: ErrorModel, layers: Sequence[int], threads: int
) -> bytes | None:
    """Return a program with some layers corrected by a model; None where that would not help.

    The one place where this benchmark meets the correction.
    """
    settings = CorrectionSettings.shipped(layers=layers)
    settings = replace(settings, learning=replace(settings.learning, threads=threads))
    return correct(Scope.of(original, settings), model, settings).text


def judge(
    machine: Machine, original: Original, texts: dict[str, bytes], layers: Sequence[int]
) -> Cases:
    """Return the errors on walls where the machine prints what was written, planned anew.

    Parameters
    ----------
    machine
        Prints; at its own stiffness, softer and stiffer.
    original
        Its printer plans, and its axes tune the shapers.
    texts
        Corrected programs by method.
    layers
        Those judged.
    """

    def moved(
        pieces: Iterable[Trajectory], stiffness: float
    ) -> Iterator[tuple[Trajectory, ActualMotion]]:
        return Variant(machine, stiffness).along(pieces)

    program = original.program
    candidates = {
        name: parse_program(text, f"{name}.gcode", program.firmware) for name, text in texts.items()
    }
    return Replay(program, candidates, original.printer, layers, machine=moved).cases()
