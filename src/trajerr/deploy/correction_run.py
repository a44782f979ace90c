"""A whole correction as the command runs it: model, corrected file, proof, pictures, table."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from trajerr import __version__
from trajerr.data.atomic import write_atomically
from trajerr.data.sources import LayerSpec, select_layers
from trajerr.deploy.belief import ErrorModel
from trajerr.deploy.compensate import (
    Correction,
    CorrectionSettings,
    apply_correction,
    correct_program,
)
from trajerr.deploy.error_models import NetworkModel, TwinModel
from trajerr.deploy.runtime import Predictor
from trajerr.dynamics.plant import SIMULATION_RATE_HZ
from trajerr.dynamics.printer import Printer
from trajerr.errors import ConfigError
from trajerr.evaluation import correction_plots
from trajerr.evaluation.closed_loop import SHAPERS, UNCORRECTED, Replay
from trajerr.evaluation.style import save_figure
from trajerr.gcode.program import WALLS, FeatureType, Program
from trajerr.gcode.reader import parse_program, read_program
from trajerr.motion.planner import plan

METHODS = ("inverse", "subtract", "twin")


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
    threads: int
    settings: CorrectionSettings

    def __post_init__(self) -> None:
        for method in (self.method, *self.compare):
            if method not in METHODS:
                raise ConfigError(f"method: got {method}, expected one of {', '.join(METHODS)}")
        if self.report_layers < 1:
            raise ConfigError(f"report_layers: got {self.report_layers}, expected 1 or more")

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
        predictor = self._predictor()
        printer = self._printer(printer, predictor)
        models = self._models(predictor, printer)
        program = read_program(Path(self.gcode))
        available = plan(program, printer.limits).layers
        layers = select_layers(self.layers, available, program.name)
        settings = replace(
            self.settings,
            method="subtract" if self.method == "subtract" else "inverse",
            layers=layers,
            feature_types=_features(self.feature_types),
        )
        with console.status(f"Correcting {len(layers)} layers of {program.name}"):
            done = apply_correction(
                Path(self.gcode), self.target, models[self.method], printer, settings,
                force=self.force,
            )  # fmt: skip
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
                self._report(program, done, settings, models, printer, config, console)
        return done

    def _predictor(self) -> Predictor | None:
        if self.method == "twin" and (self.bundle is None or not Path(self.bundle).exists()):
            return None
        if self.bundle is None:
            raise ConfigError("bundle: got null, expected the folder of an exported bundle")
        return Predictor.load(self.bundle, threads=self.threads)

    def _printer(self, printer: Printer | None, predictor: Predictor | None) -> Printer:
        if printer is not None:
            return printer
        if predictor is None:
            raise ConfigError("printer: got null and no bundle, expected e.g. printer=ender3_v2")
        return Printer.from_dict(predictor.bundle.manifest["printer"])

    def _models(self, predictor: Predictor | None, printer: Printer) -> dict[str, ErrorModel]:
        if predictor is None:
            twin = TwinModel(printer, self.sample_rate_hz)
            return {"twin": twin, "subtract": twin}
        network = NetworkModel(predictor)
        twin = TwinModel(printer, predictor.sample_rate_hz)
        return {"inverse": network, "subtract": network, "twin": twin}

    def _report(
        self,
        program: Program,
        done: Correction,
        settings: CorrectionSettings,
        models: Mapping[str, ErrorModel],
        printer: Printer,
        config: Mapping[str, Any],
        console: Console,
    ) -> None:
        began = time.perf_counter()
        picked = np.linspace(0, len(done.layers) - 1, min(self.report_layers, len(done.layers)))
        layers = [done.layers[i] for i in np.unique(picked.round().astype(int))]
        candidates = {}
        for method in self.compare:
            if method != self.method and method in models:
                kind = "subtract" if method == "subtract" else "inverse"
                other = correct_program(
                    program,
                    models[method],
                    printer,
                    replace(settings, method=kind, layers=layers, least_improvement=-np.inf),
                )
                candidates[method] = parse_program(other.text or b"", method)
        candidates[self.method] = parse_program(done.text or b"", self.target.name)
        replay = Replay(program, candidates, printer, layers, settings.feature_types)
        figures: dict[str, Any] = {
            "schema_version": 1,
            "cases": replay.cases(),
            **replay.costs(self.method),
            "seconds": done.seconds,
            "seconds_per_layer": done.seconds / len(done.layers),
            "report_seconds": 0.0,
            "method": self.method,
            "layers_corrected": len(done.layers),
            "layers_compared": layers,
            "belief_um": {
                "before": 1e3 * _mean(done.belief_before_mm),
                "after": 1e3 * _mean(done.belief_after_mm),
            },
            "largest_correction_mm": done.largest_mm,
            "source": {"name": program.name, "sha256": program.sha256},
            "printer": printer.name,
            "version": __version__,
            "config": dict(config),
        }
        folder = self.report_folder
        draw(replay, self.method, folder)
        figures["report_seconds"] = time.perf_counter() - began
        write_atomically(folder / "correction.json", json.dumps(figures, indent=2).encode())
        console.print(table(figures, self.method))
        console.print(f"✓ {folder}")


def _mean(values: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


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


def draw(replay: Replay, method: str, folder: Path) -> None:
    """Write the figures of a comparison into a folder."""
    layer = replay.layers[len(replay.layers) // 2]
    shown = {name: replay.walls(name, layer) for name in (UNCORRECTED, method)}
    title = f"layer {layer}"
    figure = correction_plots.corner(shown[UNCORRECTED], shown[method], name=method, title=title)
    save_figure(figure, folder / "corner.png")
    save_figure(correction_plots.error_maps(shown, title=title), folder / "error_maps.png")
    motions = {
        name: [replay.walls(name, number) for number in replay.layers]
        for name in (UNCORRECTED, SHAPERS[0], method)
    }
    printer = replay.printer
    resonance = (printer.x.natural_freq_hz, printer.y.natural_freq_hz)
    figure = correction_plots.spectra(motions, SIMULATION_RATE_HZ, resonance)
    save_figure(figure, folder / "spectra.png")
    save_figure(correction_plots.comparison(replay.cases()), folder / "comparison.png")


def table(figures: Mapping[str, Any], method: str) -> Table:
    """Return the comparison as a console table: contour RMS on walls and its change."""
    cases = figures["cases"]
    result = Table(title=f"Contour error on walls / µm RMS, {figures['printer']}")
    result.add_column("method")
    for case in cases:
        result.add_column(case, justify="right")
    result.add_column("p99, nominal", justify="right")
    result.add_column("tracking", justify="right")
    for name in cases["nominal"]:
        cells = []
        for errors in cases.values():
            value = errors[name]["wall_contour_rms_um"]
            change = value / errors[UNCORRECTED]["wall_contour_rms_um"] - 1.0
            cells.append(f"{value:.1f}" + ("" if name == UNCORRECTED else f" ({change:+.0%})"))
        nominal = cases["nominal"][name]
        cells += [f"{nominal['wall_contour_p99_um']:.1f}", f"{nominal['wall_tracking_rms_um']:.1f}"]
        result.add_row(name, *cells, style="bold" if name == method else None)
    time_s, size = figures["print_time_s"], figures["file_bytes"]
    result.caption = (
        f"print time {time_s['after'] / time_s['before'] - 1:+.2%}, "
        f"file × {size['after'] / size['before']:.2f}, "
        f"believed {figures['belief_um']['before']:.1f} → {figures['belief_um']['after']:.1f} µm, "
        f"{figures['seconds_per_layer']:.2f} s a layer"
    )
    return result
