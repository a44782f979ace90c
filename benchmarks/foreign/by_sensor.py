"""A machine known as its owner knows it: by the recordings of a print, and ``make machine``.

The owner has the print's G-code, Klipper's files of two accelerometers, and a printer config with
what ``printer.cfg`` says. The frame's sensor and the true path of the nozzle are written beside,
for :mod:`.reconstruction`; ``make machine`` is given neither.
"""

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from trajerr.commands.configs import load_printer
from trajerr.dynamics.printer import Printer
from trajerr.files import write_atomically
from trajerr.recordings import Sensors
from trajerr.recordings.accelerometer import read_recording
from trajerr.shipped import shipped

from .machine import Machine
from .reconstruction import Recorded, left, planned_print, print_text, record_print
from .sensor import write_sensor
from .work import BASE, LIMITS, Plan, Stages

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "make_machine.py"
NAME, AS_BOUGHT = "mine", "mine_limits"  # printers: calibrated, and before that
SENSORS = ("x", "y", "reference")


@dataclass(frozen=True)
class OwnersFiles:
    """What becomes of one machine's recordings, in its folder; what is there is kept."""

    machine: Machine
    plan: Plan
    stages: Stages

    @property
    def printer_file(self) -> Path:
        """The calibrated printer's config."""
        return self._printer(NAME)

    @property
    def bundle(self) -> Path:
        """The transferred network."""
        return self.stages.folder / "machines" / NAME / "bundle"

    def _printer(self, name: str) -> Path:
        return self.stages.folder / "conf" / "printer" / f"{name}.yaml"

    def _sensor(self, key: str) -> Path:
        return self.stages.folder / f"{key}.csv.gz"

    @property
    def _truth(self) -> Path:
        return self.stages.folder / "truth.npz"

    @property
    def _gcode(self) -> Path:
        return self.stages.folder / "print.gcode"

    def calibrate(self) -> None:
        """Record the print, and let ``make machine`` calibrate a printer from it."""
        if not self._truth.is_file():
            with self.stages.stage("record"):
                self._record()
        if not self.printer_file.is_file():
            with self.stages.stage("calibrate"):
                self._make("UNTIL=calibrate")

    def transfer(self) -> None:
        """Let ``make machine`` do the rest."""
        if not (self.bundle / "bundle.json").is_file():
            with self.stages.stage("make machine"):
                self._make(f"PRETRAINED={self.plan.pretrained}", f"model={self.plan.model}")

    def reconstruction(self, printer: Printer) -> dict[str, Any]:
        """Return how near the errors that sensors tell come, without and with a reference."""
        kept = self.stages.folder / "reconstruction.json"
        if not kept.is_file():
            with self.stages.stage("reconstruct"):
                found = {
                    key: left(self.recorded, printer, reference=used)
                    for key, used in (("alone", False), ("reference", True))
                }
            write_atomically(kept, (json.dumps(found, indent=2) + "\n").encode())
        found = json.loads(kept.read_text(encoding="utf-8"))
        return {"machine": self.machine.name, **found}

    @cached_property
    def recorded(self) -> Recorded:
        """What was recorded, read back from the files, with what was true."""
        read = {key: read_recording(self._sensor(key)) for key in SENSORS}
        with np.load(self._truth) as truth:
            first, nozzle = int(truth["first"]), truth["nozzle"]
        return Recorded(
            planned_print(self._as_bought, self._gcode.read_bytes()), first, nozzle, Sensors(**read)
        )

    @property
    def _as_bought(self) -> Printer:
        printer = load_printer(BASE)
        return replace(printer, limits=replace(printer.limits, **LIMITS))

    def _record(self) -> None:
        """Write all files; the truth is there when all are."""
        printer, seconds = self._as_bought, 60.0 * self.plan.minutes
        text = print_text(printer, self.plan.excitation)
        recorded = record_print(self.machine, printer, text, seconds, self.machine.number)
        for key in SENSORS:
            sensor = getattr(recorded.sensors, key)
            rows = np.column_stack([sensor.time_s, sensor.acceleration_mm_s2])
            write_sensor(rows, self._sensor(key))
        write_atomically(self._gcode, text)
        config = shipped(f"printer/{BASE}") | {"name": AS_BOUGHT}
        config["limits"] = config["limits"] | LIMITS
        text = yaml.safe_dump(config, sort_keys=False)
        write_atomically(self._printer(AS_BOUGHT), text.encode())
        np.savez_compressed(self._truth, first=recorded.first, nozzle=recorded.nozzle)

    def _make(self, *words: str) -> None:
        """Run what ``make machine`` runs, in the machine's folder; silently unless it fails."""
        files = {"GCODE": self._gcode, "X": self._sensor("x"), "Y": self._sensor("y")}
        given = [f"NAME={NAME}", f"PRINTER={AS_BOUGHT}"]
        given += [f"{key}={path.name}" for key, path in files.items()]
        done = subprocess.run(
            [sys.executable, str(SCRIPT), *given, *words, *self.plan.training],
            cwd=self.stages.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"make machine {' '.join([*given, *words])}\n{done.stderr}")
