"""A whole correction as the command runs it: model, refinement, corrected file, proof."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from trajerr.deploy.belief import ErrorModel
from trajerr.deploy.compensate import (
    METHODS,
    Correction,
    CorrectionSettings,
    apply_correction,
    correct_program,
)
from trajerr.deploy.correction_report import comparison_table, refinement_table, write_report
from trajerr.deploy.error_models import NetworkModel, TwinModel
from trajerr.deploy.refine import RefineSettings, Round, TorchModel, refine, save_refined
from trajerr.deploy.refusals import check_original, check_other_file
from trajerr.deploy.runtime import Predictor
from trajerr.dynamics.printer import Printer
from trajerr.errors import ConfigError
from trajerr.gcode.program import WALLS, FeatureType, Program
from trajerr.gcode.reader import parse_program, read_program
from trajerr.gcode.sources import LayerSpec, select_layers
from trajerr.metrics.closed_loop import Replay
from trajerr.motion.bed import bed_notes, check_inside
from trajerr.motion.planner import plan
from trajerr.training.checkpoint import find_best_checkpoint, load_checkpoint

REFINED = "refined.ckpt"


@dataclass(frozen=True)
class Refinement:
    """Whether and from what a network is refined before it corrects."""

    rounds: int  # 0: not at all
    checkpoint: str | None  # None: the newest finished training
    outputs: str  # where that is looked for
    data_root: str | None  # the prepared folder that it was trained on
    settings: RefineSettings


@dataclass(frozen=True)
class CorrectionRun:
    """What to correct, with what, and what to show of it.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    gcode: str
    bundle: str | None
    out: str | None  # None: <name>_corrected.gcode beside the original
    method: str
    layers: LayerSpec
    feature_types: str | Sequence[str]  # "walls" or names of FeatureType
    report: bool
    report_dir: str | None  # None: <name of out>_report beside it
    report_layers: int
    compare: Sequence[str]  # further methods to show beside
    force: bool
    sample_rate_hz: float  # of the twin, where no bundle says
    refinement: Refinement
    settings: CorrectionSettings

    def __post_init__(self) -> None:
        if not isinstance(self.gcode, str):
            raise ConfigError(f"gcode: got {self.gcode}, expected one file")
        for method in (self.method, *self.compare):
            if method not in METHODS:
                raise ConfigError(f"method: got {method}, expected one of {', '.join(METHODS)}")
        if self.report_layers < 1:
            raise ConfigError(f"report_layers: got {self.report_layers}, expected 1 or more")
        if self.refinement.rounds > 0 and self.method != "inverse":
            raise ConfigError(f"refine.rounds: got method {self.method}, expected inverse")

    @property
    def target(self) -> Path:
        """Where the corrected file goes."""
        source = Path(self.gcode)
        return Path(self.out) if self.out else source.with_name(f"{source.stem}_corrected.gcode")

    @property
    def report_folder(self) -> Path:
        """Where the report goes."""
        out = self.target
        return Path(self.report_dir) if self.report_dir else out.with_name(f"{out.stem}_report")

    def run(
        self, printer: Printer | None, config: Mapping[str, Any], console: Console
    ) -> Correction:
        """Correct the file and report.

        Parameters
        ----------
        printer
            The true printer; ``None`` is the bundle's.
        config
            The resolved config, to be stored with the report.
        console
            Where the table goes.
        """
        check_other_file(Path(self.gcode), self.target)
        models, printer = self._models(printer)
        program = read_program(Path(self.gcode), printer.limits.firmware)
        if not self.force:
            check_original(program)
        settings = self._settings(program, printer)
        bed = printer.bed(program)
        check_inside(program, bed, settings.feature_types, settings.layers)
        for note in (*program.notes, *bed_notes(program, bed)):
            console.print(note, markup=False, highlight=False, soft_wrap=True)
        rounds: list[Round] = []
        if self.refinement.rounds > 0:
            network, rounds = self._refined(program, printer, settings, console)
            models |= {"inverse": network, "subtract": network}
        with console.status(f"Correcting {program.name}"):
            done = apply_correction(
                Path(self.gcode),
                self.target,
                models[self.method],
                printer,
                settings,
                force=self.force,
            )
        if done.text is None:
            console.print(
                f"Nothing written: the correction is believed to bring "
                f"{100 * done.improvement:.1f} %, less than "
                f"{100 * settings.least_improvement:g} %; the file is best left alone"
            )
            return done
        console.print(f"✓ {self.target}  ({done.seconds / len(done.layers):.2f} s a layer)")
        if self.report:
            with console.status("Replaying through planner and simulated printer"):
                replay = self._replay(program, done, settings, models, printer)
                figures = write_report(
                    self.report_folder, replay, self.method, done, rounds, config
                )
            console.print(comparison_table(figures, self.method))
            console.print(f"✓ {self.report_folder}")
        return done

    def _settings(self, program: Program, printer: Printer) -> CorrectionSettings:
        available = plan(program, printer.limits).layers
        return replace(
            self.settings,
            method=self.method,
            layers=select_layers(self.layers, available, program.name),
            feature_types=_features(self.feature_types),
        )

    def _models(self, printer: Printer | None) -> tuple[dict[str, ErrorModel], Printer]:
        """Return the error models by method, and the true printer."""
        absent = self.bundle is None or not Path(self.bundle).exists()
        if absent and (self.method == "twin" or self.refinement.rounds > 0):
            if printer is None:
                message = "printer: got null and no bundle, expected e.g. printer=ender3_v2"
                raise ConfigError(message)
            twin = TwinModel(printer, self.sample_rate_hz)
            return {"twin": twin, "subtract": twin}, printer
        if self.bundle is None:
            raise ConfigError("bundle: got null, expected the folder of an exported bundle")
        predictor = Predictor.load(self.bundle)
        true = printer or Printer.from_dict(predictor.bundle.manifest["printer"])
        network = NetworkModel(predictor)
        twin = TwinModel(true, predictor.sample_rate_hz)
        return {"inverse": network, "subtract": network, "twin": twin}, true

    def _refined(
        self,
        program: Program,
        printer: Printer,
        settings: CorrectionSettings,
        console: Console,
    ) -> tuple[ErrorModel, list[Round]]:
        """Refine the checkpoint's network; keep it beside the report."""
        wanted = self.refinement
        loaded = load_checkpoint(wanted.checkpoint or find_best_checkpoint(wanted.outputs))
        root = Path(wanted.data_root) if wanted.data_root else None
        with console.status("Refining on own corrections") as status:
            network, rounds = refine(
                program,
                loaded,
                printer,
                settings,
                replace(wanted.settings, rounds=wanted.rounds),
                root,
                lambda r: status.update(
                    f"Round {r.number}: believed {r.believed_um:.1f}, "
                    f"simulated {r.simulated_um:.1f} µm"
                ),
            )
        path = self.report_folder / REFINED
        save_refined(path, loaded, network)
        console.print(refinement_table(rounds))
        console.print(f"✓ {path}: export it for a bundle that corrects like this")
        return TorchModel(network, loaded.sample_rate_hz), rounds

    def _replay(
        self,
        program: Program,
        done: Correction,
        settings: CorrectionSettings,
        models: Mapping[str, ErrorModel],
        printer: Printer,
    ) -> Replay:
        """Return the corrected file beside others, on some of the corrected layers."""
        count = min(self.report_layers, len(done.layers))
        # The middles of equal parts: a first layer, printed slowly, is no fifth of a print.
        picked = (np.arange(count) + 0.5) * len(done.layers) / count
        layers = [done.layers[i] for i in picked.astype(int)]
        candidates = {}
        for method in self.compare:
            if method != self.method and method in models:
                chosen = replace(settings, method=method, layers=layers, least_improvement=-np.inf)
                other = correct_program(program, models[method], printer, chosen)
                candidates[method] = parse_program(other.text or b"", method, program.firmware)
        candidates[self.method] = parse_program(
            done.text or b"", self.target.name, program.firmware
        )
        return Replay(program, candidates, printer, layers, settings.feature_types)


def _features(names: str | Sequence[str]) -> frozenset[int]:
    if names == "walls":
        return frozenset(int(f) for f in WALLS)
    wanted = [names] if isinstance(names, str) else list(names)
    known = {f.name.lower(): int(f) for f in FeatureType}
    for name in wanted:
        if name not in known:
            allowed = ", ".join(["walls", *known])
            raise ConfigError(f"feature_types: got {name}, expected some of {allowed}")
    return frozenset(known[name] for name in wanted)
