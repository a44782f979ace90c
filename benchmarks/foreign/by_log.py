"""A machine known by a log of positions: a printer from an excerpt, a network from all of it."""

from dataclasses import dataclass, replace
from pathlib import Path

from measuring.commands import run

from trajerr.checks import shown
from trajerr.commands.configs import load_printer
from trajerr.commands.machine_recipe import ANY_ERROR, MORE_MOTION, collected

from . import recording
from .machine import Machine
from .motion import Variant
from .work import BASE, LIMITS, Plan, Stages

SIMULATED, RECORDED = "train_simulated", "train_recorded"  # folders of runs
FINISHED = "train.json"  # what a training writes last


@dataclass(frozen=True)
class PositionLog:
    """What becomes of one machine's log, in its folder; what is there is kept."""

    machine: Machine
    plan: Plan
    stages: Stages

    @property
    def printer_file(self) -> Path:
        """The calibrated printer's config."""
        return self._configs / "printer" / f"{self.machine.name}.yaml"

    @property
    def bundle(self) -> Path:
        """The transferred network."""
        return self.stages.folder / "bundle"

    @property
    def _configs(self) -> Path:
        return self.stages.folder / "conf"

    @property
    def _log(self) -> Path:
        return self.stages.folder / "log.csv"

    def calibrate(self) -> None:
        """Record the print and calibrate a printer from 30 s of it."""
        if not self._log.is_file():
            with self.stages.stage("record"):
                self._record()
        if not self.printer_file.is_file():
            with self.stages.stage("calibrate"):
                self._calibrate()

    def transfer(self) -> None:
        """Transfer the network to the calibrated printer, simulated, and then to all of the log."""
        if not (self._runs / SIMULATED / FINISHED).is_file():  # an interrupted one has a best.ckpt
            with self.stages.stage("transfer to the simulated printer"):
                self._transfer_to_simulation()
        if not (self.bundle / "bundle.json").is_file():
            with self.stages.stage("transfer to the log"):
                self._transfer_to_log()

    @property
    def _runs(self) -> Path:
        return self.stages.folder / "runs"

    def _best(self, kind: str) -> Path:
        return self._runs / kind / "checkpoints" / "best.ckpt"

    def _record(self) -> None:
        printer = load_printer(BASE)
        printer = replace(printer, limits=replace(printer.limits, **LIMITS))
        logged = recording.record(
            Variant(self.machine),
            printer,
            60.0 * self.plan.minutes,
            self.machine.number,
            self.plan.speeds,
            self.plan.excitation,
        )
        recording.write(logged, self._log, self._configs, self.plan.excitation)

    def _calibrate(self) -> None:
        folder = self.stages.folder
        run(
            "calibrate",
            f"--config-dir={self._configs}",
            f"name={self.machine.name}",
            f"printer={BASE}",
            *(f"printer.limits.{key}={shown(value)}" for key, value in LIMITS.items()),
            "log=excerpt",
            f"log_file={self._log}",
            f"out={self.printer_file}",
            f"output_dir={folder / 'calibration'}",
            "plot=false",
            f"hydra.run.dir={folder / 'runs' / 'calibrate'}",
        )

    def _transfer_to_simulation(self) -> None:
        folder, runs = self.stages.folder, self._runs
        raw, prepared = folder / "simulated", folder / "simulated_layers"
        run(
            "collect",
            f"--config-dir={self._configs}",
            f"printer={self.machine.name}",
            MORE_MOTION,
            ANY_ERROR,
            f"sample_rate_hz={self.plan.sample_rate_hz}",
            f"workers={self.plan.threads}",
            f"out={raw}",
            f"hydra.run.dir={runs / 'collect'}",
        )
        run(
            "prepare",
            collected(str(raw)),
            f"output_dir={prepared}",
            f"hydra.run.dir={runs / 'prepare_simulated'}",
        )
        self._train(SIMULATED, prepared, self.plan.pretrained)

    def _transfer_to_log(self) -> None:
        runs, prepared = self._runs, self.stages.folder / "prepared"
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
        self._train(RECORDED, prepared, self._best(SIMULATED))
        run(
            "export",
            f"checkpoint={self._best(RECORDED)}",
            f"output_dir={self.bundle}",
            "format=[onnx]",
            f"hydra.run.dir={runs / 'export'}",
        )

    def _train(self, kind: str, prepared: Path, pretrained: Path | None) -> None:
        run(
            "train",
            "experiment=transfer",
            f"pretrained={pretrained}",
            f"model={self.plan.model}",
            f"data.root={prepared}",
            f"hydra.run.dir={self._runs / kind}",
            *self.plan.training,
        )
