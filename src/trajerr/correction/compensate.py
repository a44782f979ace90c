"""Compensate a G-code file for the error that a model predicts.

One way: program → plan → where a correction may act → iteration on the trajectory →
pieces → iteration on the pieces with the planner in the loop → text. The error model is
anything that predicts errors from features: a bundle's network or the simulated printer.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from trajerr.arrays import Floats
from trajerr.correction.boards import BOARDS, heaviest, planned_on
from trajerr.correction.emission import MARK, write_lines
from trajerr.correction.error_models import ErrorModel
from trajerr.correction.feedrates import TimedProgram, assemble, keep_time
from trajerr.correction.filament import spread_filament
from trajerr.correction.final_check import check_corrected
from trajerr.correction.layer_windows import (
    LayerWindow,
    SampledWindows,
    pooled,
    sample_windows,
    split_span,
)
from trajerr.correction.learning import Project, learn
from trajerr.correction.original import Original, check_other_file
from trajerr.correction.pieces import Offset, Segmentation, rounded, segment, vertices
from trajerr.correction.polish import Polisher, bounded
from trajerr.correction.printer_ensemble import PrinterEnsemble
from trajerr.correction.scope import Scope
from trajerr.correction.settings import CorrectionSettings
from trajerr.dynamics.printer import Printer
from trajerr.errors import GcodeError
from trajerr.files import write_atomically
from trajerr.gcode.extrusion import filament_diameter, most_section
from trajerr.gcode.program import Program
from trajerr.gcode.reader import parse_program
from trajerr.gcode.writer import replace_lines
from trajerr.motion.bed import Bed
from trajerr.motion.planner import Plan
from trajerr.motion.sampling import check_length
from trajerr.version import __version__

MOST_SLOWER = 3  # times that a correction is made anew where its board does not take it
SLOWER = 0.97  # times the rate at which it just would, if all of its load went with the rate


@dataclass(frozen=True)
class Correction:
    """A corrected program and the error predicted for it."""

    text: bytes | None  # None where the correction would not help
    nominal: Plan  # without its long rests
    layers: tuple[int, ...]
    predicted_before_mm: tuple[float, ...]  # per layer: contour RMS on walls
    predicted_after_mm: tuple[float, ...]
    largest_mm: float  # the largest correction
    seconds: float
    replaced: Mapping[int, Sequence[bytes]]  # by line index: what stands in its place
    rate_hz: float  # corrected moves a second, at most
    planned: Plan | None = None  # the corrected text, as its board plans it; None: not yet planned

    @property
    def improvement(self) -> float:
        """Share of the predicted contour error that the correction removes."""
        before = float(np.sum(np.square(self.predicted_before_mm)))
        after = float(np.sum(np.square(self.predicted_after_mm)))
        return 1.0 - float(np.sqrt(after / before)) if before > 0.0 else 0.0


def apply_correction(
    gcode: Path,
    out: Path,
    model: ErrorModel,
    printer: Printer,
    settings: CorrectionSettings | None = None,
    *,
    force: bool = False,
) -> Correction:
    """Correct a G-code file; the result appears at ``out`` only when it is complete.

    Parameters
    ----------
    gcode
        The file to correct; it is never changed.
    out
        Where the corrected file goes; nothing is written where the correction does not help.
    model
        Predicts the printer's error.
    printer
        Its limits plan the file; its linear parameters shape the iteration.
    settings
        What to correct and how; ``None`` is what ``conf/correct.yaml`` says.
    force
        Correct a file again that was corrected before.

    Raises
    ------
    GcodeError
        If the file cannot be corrected, or the corrected text does not print the same part.
    ConfigError
        If ``out`` is the file itself, or a layer does not exist.
    """
    check_other_file(gcode, out)
    settings = settings or CorrectionSettings.shipped()
    original = Original.read(gcode, printer, force=force)
    scope = Scope.of(original, settings)
    done = correct(scope, model, settings)
    return write_correction(out, done, scope, settings)


def correct_program(
    program: Program, model: ErrorModel, printer: Printer, settings: CorrectionSettings
) -> Correction:
    """Correct a program in memory; parameters as for :func:`apply_correction`."""
    return correct(Scope.of(Original(program, printer), settings), model, settings)


def write_correction(
    out: Path, done: Correction, scope: Scope, settings: CorrectionSettings
) -> Correction:
    """Write a corrected text where it helps, after a second reading has found it sound.

    Raises
    ------
    GcodeError
        If the corrected text does not print the same part.
    """
    if done.text is not None:
        program, printer = scope.original.program, scope.original.printer
        check_corrected(program, done.text, done.replaced, printer, settings.max_correction_mm)
        write_atomically(out, done.text)
    return done


def correct(scope: Scope, model: ErrorModel, settings: CorrectionSettings) -> Correction:
    """Correct what of a print is to be corrected.

    Parameters
    ----------
    scope
        The print, and what is wanted of it.
    model
        Predicts the printer's error.
    settings
        Those that the scope was found with.

    Raises
    ------
    GcodeError
        If the program cannot be corrected.
    """
    job = _Job.of(scope, model, settings)
    if settings.method == "subtract":
        segmentation, before = job.subtract()
        return job.within_board(lambda job: job.emitted(segmentation, before, 0))
    offset, before = job.learned()
    tolerated, iterations = scope.by_move(before), settings.learning.planned_iterations

    def emitted(job: _Job) -> Correction:
        emission = job.settings.emission
        first = segment(scope.nominal, scope.region, scope.role, offset, emission, tolerated)
        return job.emitted(first, before, iterations)

    return job.within_board(emitted)


@dataclass(frozen=True)
class _Job:
    """A correction, and what every step of it needs."""

    scope: Scope
    ensemble: PrinterEnsemble
    printer: Printer
    settings: CorrectionSettings
    began: float  # s of the process's clock

    @classmethod
    def of(cls, scope: Scope, model: ErrorModel, settings: CorrectionSettings) -> "_Job":
        began, printer = time.perf_counter(), scope.original.printer
        variants, threads = _variants(settings), settings.learning.threads
        ensemble = PrinterEnsemble(model, printer, variants, threads)
        return cls(scope, ensemble, printer, settings, began)

    def at_rate(self, rate_hz: float) -> "_Job":
        """Return the same with at most so many corrected moves a second."""
        emission = replace(self.settings.emission, rate_hz=rate_hz)
        return replace(self, settings=replace(self.settings, emission=emission))

    def within_board(self, emit: "Callable[[_Job], Correction]") -> Correction:
        """Return a correction that the board takes, where one is named.

        Parameters
        ----------
        emit
            Returns the correction at the rate of its job.

        Raises
        ------
        GcodeError
            If the board takes it at no rate.
        """
        name, program = self.settings.board, self.scope.original.program
        if name is None:
            return emit(self)
        board, original = BOARDS[name], self.scope.original.planned_on(name)
        rate, attempts = self.settings.emission.rate_hz, 1
        if self.settings.method != "subtract":  # which knows no rate
            rate, attempts = min(rate, board.commands_per_s), 1 + MOST_SLOWER
        for _ in range(attempts):
            done = emit(self.at_rate(rate))
            if done.text is None:
                return done
            corrected = parse_program(done.text, program.name, program.firmware)
            planned = planned_on(corrected, self.printer, name)
            demand = heaviest(planned, original, board)
            if demand.share <= 1.0:
                return replace(done, planned=planned)
            rate *= SLOWER / demand.share
        raise GcodeError(
            f"{program.name}: corrected for board {name}, it asks for {demand}; "
            "correct fewer layers or features, or print it on a faster board"
        )

    def emitted(self, first: Segmentation, before: Sequence[float], iterations: int) -> Correction:
        """Return pieces as a corrected program, after some iterations on them.

        Parameters
        ----------
        first
            The pieces.
        before
            Each layer's uncorrected score, mm.
        iterations
            At most.
        """
        scope, settings, program = self.scope, self.settings, self.scope.nominal.program
        segmentation, scores = self.polisher(iterations).polish(first, self.windows)
        segmentation = rounded(segmentation, program.moves)
        area = 0.25 * np.pi * filament_diameter(program.slicer) ** 2
        segmentation = spread_filament(segmentation, scope.nominal, most_section(program) / area)
        timed = self.timed(segmentation)
        after = self.by_layer([values.reached for values in scores])
        lines = write_lines(program, timed, segmentation, self.printer.limits)
        replaced = _marked(program, lines, settings)
        result = Correction(
            replace_lines(program, replaced),
            scope.nominal,
            tuple(scope.layers),
            tuple(before),
            tuple(after),
            self.largest(segmentation),
            time.perf_counter() - self.began,
            replaced,
            settings.emission.rate_hz,
        )
        if settings.method != "subtract" and result.improvement < settings.least_improvement:
            return replace(result, text=None)
        return result

    @cached_property
    def windows(self) -> list[LayerWindow]:
        """What is worked on together: layers, or parts of long ones."""
        nominal, rate = self.scope.nominal, self.ensemble.rate
        spans = [nominal.layer_span(layer) for layer in self.scope.layers]
        check_length(nominal, rate, sum(end - begin for begin, end in spans))
        acting, lead_out_s = self.scope.region.stretches(), self.settings.learning.lead_out_s
        return [
            LayerWindow.of(nominal, layer, span, lead_out_s)
            for layer, whole in zip(self.scope.layers, spans, strict=True)
            for span in split_span(whole, acting, rate)
        ]

    def by_layer(self, error: Sequence[float]) -> list[float]:
        """Return each layer's error from those of its windows."""
        return pooled(self.windows, error, self.scope.seconds(self.windows))

    def polisher(self, iterations: int) -> Polisher:
        """Return what moves the pieces' ends, at most ``iterations`` times."""
        return Polisher(
            self.ensemble,
            self.scope.nominal,
            self.scope.region,
            self.scope.restrict,
            self.printer.limits,
            (self.scope.move_start, self.scope.move_end),
            self.scope.walls.at,
            replace(self.settings.learning, planned_iterations=iterations),
            self.settings.emission,
            self.settings.max_correction_mm,
            Bed(self.printer.bed_mm),
        )

    def timed(self, segmentation: Segmentation) -> TimedProgram:
        """Return the whole corrected program, each piece timed."""
        limits, emission = self.printer.limits, self.settings.emission
        chosen = self.polisher(0).chosen(self.windows)
        slow = assemble(self.scope.nominal, segmentation, limits, emission, chosen)
        _, feed_factor = keep_time(slow, limits, np.ones(len(segmentation.pieces)))
        return assemble(self.scope.nominal, segmentation, limits, emission).at(feed_factor)

    def learned(self) -> tuple[Offset, list[float]]:
        """Return the correction as a function of time, and each layer's uncorrected score."""
        sampled = self._sampled()
        found = learn(
            self.ensemble,
            sampled,
            self.scope.restrict,
            self.scope.walls.at,
            self._bound(sampled.time, sampled.nominal),
            self.settings.learning,
        )
        before = self.by_layer([scores.first for scores in found.scores])
        return self.scope.region.offset(found.correction, sampled.time), before

    def subtract(self) -> tuple[Segmentation, list[float]]:
        """Move each vertex by the error predicted there; return pieces and uncorrected scores."""
        sampled = self._sampled()
        time, nominal = sampled.time, sampled.nominal
        correction = np.zeros((len(time), 2))
        before = []
        for window in sampled.rows:
            actual = self.ensemble.modelled([nominal[window.whole]])[0][window.core]
            correction[window.own] = nominal[window.own, :2] - actual
            before.append(self.scope.walls.at(time[window.own])(actual))
        correction *= self.scope.region.weight(time)[:, None]
        self._bound(time, nominal)(correction, slice(0, len(time)))
        scope, offset = self.scope, self.scope.region.offset(correction, time)
        return vertices(scope.nominal, scope.region, scope.role, offset), self.by_layer(before)

    def largest(self, segmentation: Segmentation) -> float:
        """Return the largest correction of a piece's end, mm."""
        shift = segmentation.pieces.target - self.scope.nominal.asked(segmentation.pieces.end)
        return float(np.max(np.linalg.norm(shift[:, :2], axis=1), initial=0.0))

    def _sampled(self) -> SampledWindows:
        """Return the windows as samples, with what surrounds them."""
        return sample_windows(self.scope.nominal, self.windows, self.ensemble.rate)

    def _bound(self, time: Floats, nominal: Floats) -> Project:
        most, bed = self.settings.max_correction_mm, Bed(self.printer.bed_mm)

        def project(correction: Floats, part: slice) -> None:
            self.scope.region.settle(correction[part], time[part])
            correction[part] = bounded(correction[part], nominal[part, :2], most, bed)

        return project


def _variants(settings: CorrectionSettings) -> tuple[tuple[float, float], ...]:
    """Return the printers beside the modelled one; subtracting knows none."""
    return () if settings.method == "subtract" else settings.learning.variants


def _marked(
    program: Program, lines: Mapping[int, Sequence[bytes]], settings: CorrectionSettings
) -> dict[int, Sequence[bytes]]:
    """Return the lines with a mark after the first."""
    mark = (
        f"{MARK.decode()} by {__version__}, method {settings.method}, of sha256 {program.sha256}"
    ).encode()
    first = list(lines.get(0, [program.line(0)]))
    return {**lines, 0: [*first, mark]}
