"""A whole correction as the command runs it: model, corrected file, replay."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trajerr.bundle.machine import LearntMachine
from trajerr.bundle.runtime import Predictor
from trajerr.bundle.sessions import providers_of
from trajerr.checks import require, require_count
from trajerr.correction.compensate import (
    Correction,
    Tell,
    correct,
    planned_again,
    with_comments,
    write_correction,
)
from trajerr.correction.error_models import ErrorModel, NetworkModel, TwinModel
from trajerr.correction.original import Original, check_other_file, check_replaceable
from trajerr.correction.plausible import replayed, some_layers
from trajerr.correction.scope import Scope
from trajerr.correction.settings import CorrectionSettings, check_method
from trajerr.dynamics.axis_steps import solve
from trajerr.dynamics.printer import Printer
from trajerr.errors import ConfigError
from trajerr.gcode.containers.kinds import Container, container_for, split_name
from trajerr.gcode.files import STANDARD_INPUT
from trajerr.gcode.program import Program
from trajerr.gcode.reader import parse_program
from trajerr.gcode.sources import LayerSpec, select_layers
from trajerr.metrics.closed_loop import Replay
from trajerr.motion.bed import bed_notes


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
    out: str | None  # None: <name>_corrected beside the original, with its ending
    in_place: bool  # the original is replaced
    layers: LayerSpec
    report: bool
    report_dir: str | None  # None: <name of out>_report beside it
    report_layers: int
    report_page: bool  # one page to look at
    report_pictures: bool
    page_layers: int  # to be looked at there, at most
    compare: Sequence[str]  # further methods to show beside
    force: bool
    other_machine: bool  # correct by a bundle of another machine than the printer all the same
    accelerator: str  # what a bundle's network runs on, of bundle.sessions.ACCELERATORS
    sample_rate_hz: float  # of the twin, where no bundle says
    rounds: int  # of refinement before; 0: none
    settings: CorrectionSettings  # of all layers; which are corrected, says the file

    def __post_init__(self) -> None:
        require("gcode", self.gcode, isinstance(self.gcode, str), "one file")
        if self.in_place and self.out:
            raise ConfigError(f"out: got {self.out} beside in_place=true, expected one of them")
        if Path(self.gcode) == STANDARD_INPUT and (self.in_place or not self.out):
            raise ConfigError("out: not given, expected a file where gcode is standard input (-)")
        providers_of(self.accelerator)
        for method in self.compare:
            check_method(method)
        forced = self.other_machine
        require("other_machine", forced, isinstance(forced, bool), "true or false")
        for key in ("report_page", "report_pictures"):
            value = getattr(self, key)
            require(key, value, isinstance(value, bool), "true or false")
        require_count("report_layers", self.report_layers)
        require_count("page_layers", self.page_layers)
        holds = self.rounds == 0 or self.method == "inverse"
        require("method", self.method, holds, "inverse, which refine.rounds works on")

    @property
    def method(self) -> str:
        """How the file is corrected."""
        return self.settings.method

    @property
    def target(self) -> Path:
        """Where the corrected file goes."""
        if self.out:
            return Path(self.out)
        if self.in_place:
            return Path(self.gcode).resolve()  # where it is a link, what that leads to
        stem, ending = split_name(Path(self.gcode))
        return Path(self.gcode).with_name(f"{stem}_corrected{ending}")

    @property
    def report_folder(self) -> Path:
        """Where the report goes."""
        if self.report_dir:
            return Path(self.report_dir)
        return self.target.with_name(f"{split_name(self.target)[0]}_report")

    def prepare(self, printer: Printer | None) -> "Prepared":
        """Read and plan the file, once, and refuse what cannot be corrected before any work.

        Parameters
        ----------
        printer
            The true printer; ``None`` is the one whose motion the bundle has learnt.

        Raises
        ------
        GcodeError
            If the file cannot be read or corrected.
        ConfigError
            If ``out`` is the file itself or asks for a container that cannot be written, the model
            or a layer does not exist, or the bundle has learnt the motion of another machine.
        """
        if self.in_place:
            check_replaceable(self.target)
        else:
            check_other_file(Path(self.gcode), self.target)
        models, printer = self._models(printer)
        original = Original.read(Path(self.gcode), printer, force=self.force)
        available, name = original.planned.layers, original.program.name
        self.container(original.program)
        settings = replace(self.settings, layers=select_layers(self.layers, available, name))
        return Prepared(self, models, settings, Scope.of(original, settings))

    def container(self, program: Program) -> Container:
        """Return what to pack the corrected file in.

        Raises
        ------
        ConfigError
            If the name of ``out`` asks for what cannot be written.
        """
        return program.container if self.in_place else container_for(self.target, program.container)

    def _models(self, printer: Printer | None) -> tuple[dict[str, ErrorModel], Printer]:
        """Return the error models by method, and the true printer."""
        absent = self.bundle is None or not Path(self.bundle).exists()
        if absent and (self.method == "twin" or self.rounds > 0):
            if printer is None:
                message = "printer: got null and no bundle, expected e.g. printer=ender3_v2"
                raise ConfigError(message)
            return self._twin_alone(printer)
        if self.bundle is None:
            raise ConfigError("bundle: got null, expected the folder of an exported bundle")
        providers = providers_of(self.accelerator)
        predictor = Predictor.load(self.bundle, providers=providers, solve=solve)
        learnt = LearntMachine.of_bundle(predictor.bundle)
        true = printer or learnt.printer
        if true is None:
            raise ConfigError(
                "printer: got null, expected e.g. printer=mine: the bundle names none"
            )
        if printer is not None and not self.other_machine:
            if self._by_twin_alone and not learnt.is_that_of(printer):
                return self._twin_alone(printer)
            learnt.require_that_of(printer, "the bundle")
        network = NetworkModel.of(predictor)
        twin = TwinModel(true, predictor.sample_rate_hz)
        return {"inverse": network, "subtract": network, "twin": twin}, true

    @property
    def _by_twin_alone(self) -> bool:
        """Whether a bundle would only show, beside, what it is not asked for."""
        return self.method == "twin" and "inverse" not in self.compare

    def _twin_alone(self, printer: Printer) -> tuple[dict[str, ErrorModel], Printer]:
        expected = "cpu or auto, as no network predicts"
        require("accelerator", self.accelerator, self.accelerator != "gpu", expected)
        twin = TwinModel(printer, self.sample_rate_hz)
        return {"twin": twin, "subtract": twin}, printer


@dataclass(frozen=True)
class Prepared:
    """A correction that nothing stands against."""

    run: CorrectionRun
    models: Mapping[str, ErrorModel]  # by method
    settings: CorrectionSettings
    scope: Scope

    @property
    def program(self) -> Program:
        """What is corrected."""
        return self.scope.original.program

    @property
    def printer(self) -> Printer:
        """The true printer."""
        return self.scope.original.printer

    @property
    def notes(self) -> list[str]:
        """What a person should know of how the file was read."""
        return [*self.program.notes, *bed_notes(self.program, self.printer.bed(self.program))]

    @property
    def rate_hz(self) -> float:
        """Corrected moves a second, at most, where no board asks for fewer."""
        return self.settings.emission_for(self.models[self.run.method].band_hz).rate

    def with_network(self, network: ErrorModel) -> "Prepared":
        """Return the same with another network in the place of the bundle's."""
        return replace(self, models={**self.models, "inverse": network, "subtract": network})

    def correct(
        self,
        comments: Callable[[Correction], Sequence[bytes]] | None = None,
        tell: Tell | None = None,
    ) -> Correction:
        """Correct the file, plan what has come of it, and write it where that helps.

        Parameters
        ----------
        comments
            Returns lines of comment for the head of the file.
        tell
            As for :func:`.compensate.correct`.

        Raises
        ------
        GcodeError
            If a network's correction makes walls much worse where its printer is simulated.
        """
        run = self.run
        done = correct(self.scope, self.models[run.method], self.settings, tell)
        if comments is not None and done.text is not None:
            done = with_comments(done, self.program, comments(done))
        container = run.container(self.program)
        return write_correction(
            run.target, done, self.scope, self.settings, container, proved=not run.other_machine
        )

    def replay(self, done: Correction) -> Replay:
        """Return the corrected file beside others, on some of the corrected layers."""
        run = self.run
        layers = some_layers(done.layers, run.report_layers)
        candidates = {
            method: self._other(method, layers, done.rate_hz)
            for method in run.compare
            if method != run.method and method in self.models
        }
        planned = planned_again(done, self.scope, self.settings)
        return replayed(self.scope.original, planned, self.settings, layers, candidates)

    def _other(self, method: str, layers: Sequence[int], rate_hz: float) -> Program:
        """Return some layers corrected by another method, as finely, whatever the board takes."""
        settings = replace(
            self.settings,
            method=method,
            layers=layers,
            board=None,
            least_improvement=-np.inf,
            emission=replace(self.settings.emission, rate_hz=rate_hz),
        )
        done = correct(Scope.of(self.scope.original, settings), self.models[method], settings)
        return parse_program(done.text or b"", method, self.program.firmware)
