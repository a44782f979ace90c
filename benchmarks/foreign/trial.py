"""One machine: recorded, calibrated, transferred to, corrected for, and judged.

Everything goes to the machine's own folder; what is there is kept, so that an interrupted trial
goes on where it was.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import yaml

from trajerr.bundle.runtime import Predictor
from trajerr.correction.compensate import correct
from trajerr.correction.error_models import ErrorModel, NetworkModel, TwinModel
from trajerr.correction.original import Original
from trajerr.correction.scope import Scope
from trajerr.correction.settings import CorrectionSettings
from trajerr.dynamics.axis_steps import solve
from trajerr.dynamics.plant import ActualMotion
from trajerr.dynamics.printer import Printer
from trajerr.files import write_atomically
from trajerr.gcode.reader import parse_program
from trajerr.metrics.closed_loop import Replay
from trajerr.motion.trajectory import Trajectory

from .machine import Machine
from .motion import MachineModel, Variant
from .parts import Part
from .work import AS_SLICED, LOG, Plan, Stages

TWIN, NETWORK, MACHINE = "twin", "network", "machine"
METHODS = (TWIN, NETWORK, MACHINE)  # calibrated printer; transferred network; the machine itself
JUDGED, CORRECTED = "judged", "corrected"  # folders
Cases = dict[str, dict[str, dict[str, float]]]  # by case and method, as Replay has them


class Known(Protocol):
    """How a machine becomes known; each call keeps what is there."""

    @property
    def printer_file(self) -> Path:
        """The calibrated printer's config."""

    @property
    def bundle(self) -> Path:
        """The transferred network."""

    def calibrate(self) -> None:
        """Record, and calibrate a printer."""

    def transfer(self) -> None:
        """Transfer the network to what was recorded."""


@dataclass(frozen=True)
class Trial:
    """One machine under a plan."""

    machine: Machine
    plan: Plan
    stages: Stages
    known: Known

    @property
    def folder(self) -> Path:
        """The machine's own."""
        return self.stages.folder

    def results(self) -> dict[str, Any]:
        """Return the judged cases of each part, and how long each stage took, JSON-ready."""
        self.claim()
        self.known.calibrate()
        if NETWORK in self.plan.methods:
            self.known.transfer()
        cases = {part.name: self._judged(part) for part in self.plan.parts}
        return {"machine": self.machine.to_dict(), "parts": cases, "seconds": self.stages.seconds()}

    def claim(self) -> None:
        """Write what the folder is for; refuse one that was begun for something else."""
        plan = self.plan
        basis = {
            "machine": self.machine.to_dict(),
            "minutes": plan.minutes,
            "sample_rate_hz": plan.sample_rate_hz,
        }
        if plan.sensor != LOG:
            basis["sensor"] = plan.sensor
        if tuple(plan.speeds) != AS_SLICED:
            basis["speeds"] = list(plan.speeds)
        if plan.excitation is not None:
            basis["excitation"] = asdict(plan.excitation)
        self._claim_by("trial.json", basis)
        if NETWORK in plan.methods:
            origin: dict[str, Any] = {
                "pretrained": str(plan.pretrained),
                "training": list(plan.training),
                "stages": 2,  # the calibrated printer simulated, then what was recorded
            }
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
    def printer(self) -> Printer:
        """The calibrated printer."""
        return Printer.from_dict(
            yaml.safe_load(self.known.printer_file.read_text(encoding="utf-8"))
        )

    def _model(self, method: str) -> ErrorModel:
        rate, threads = self.plan.sample_rate_hz, self.plan.threads
        if method == TWIN:
            return TwinModel(self.printer, rate, threads)
        if method == MACHINE:
            return MachineModel(Variant(self.machine), rate, threads, self.plan.band_hz)
        return NetworkModel.of(Predictor.load(self.known.bundle, solve=solve))

    def _judged(self, part: Part) -> Cases:
        """Return the errors on a part's walls, of every method and shaper, at every stiffness."""
        layers = part.first(self.plan.layers)
        kept = self.folder / JUDGED / f"{self._named(part)}.json"
        known: Cases = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
        missing = [name for name in self.plan.methods if name not in known.get("nominal", {})]
        if missing:
            original = part.read(self.printer, self.plan.gcode)
            texts = {name: self._corrected(name, part, original) for name in missing}
            with self.stages.stage(f"judge {part.name}"):
                judged = judge(self.machine, original, texts, layers)
            known = {case: {**known.get(case, {}), **found} for case, found in judged.items()}
            write_atomically(kept, (json.dumps(known, indent=2) + "\n").encode())
        return known

    def _corrected(self, method: str, part: Part, original: Original) -> bytes:
        """Return a part corrected by a method; as it was, where that would not help."""
        layers = part.first(self.plan.layers)
        path = self.folder / CORRECTED / f"{self._named(part)}_{method}.gcode"
        if not path.is_file():
            with self.stages.stage(f"correct {part.name} by {method}"):
                text = corrected(original, self._model(method), layers, self.plan.threads)
            write_atomically(path, original.program.text if text is None else text)
        return path.read_bytes()

    def _named(self, part: Part) -> str:
        return f"{part.name}_{self.plan.layers}"


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
