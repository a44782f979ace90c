"""Compensate a G-code file for the error that a model predicts.

One way: program → plan → where a correction may act → iteration on the trajectory →
pieces → iteration on the pieces with the planner in the loop → text. The error model is
anything that predicts errors from features: a bundle's network or the simulated printer.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from trajerr import __version__
from trajerr.arrays import Bools, Floats, Ints
from trajerr.deploy.belief import Belief, ErrorModel
from trajerr.deploy.blocks import move_times
from trajerr.deploy.emission import MARK, check_writable, write_lines
from trajerr.deploy.episodes import Sampled, sample_windows
from trajerr.deploy.feedrates import Driven, assemble, keep_time
from trajerr.deploy.filament import spread_filament
from trajerr.deploy.final_check import check_corrected
from trajerr.deploy.inverse import Freedom
from trajerr.deploy.joins import FADE, Joins, Role, join, roles
from trajerr.deploy.knots import (
    Cut,
    EmissionSettings,
    Offset,
    cut,
    rounded,
    vertices,
)
from trajerr.deploy.learning import Judge, LearningSettings, Project, learn
from trajerr.deploy.polish import Polisher, bounded
from trajerr.deploy.refusals import check_original, check_other_file, nothing_to_correct
from trajerr.deploy.windows import Window, part, pooled
from trajerr.dynamics.printer import Printer
from trajerr.errors import ConfigError, GcodeError
from trajerr.files import write_atomically
from trajerr.gcode.extrusion import filament_diameter, most_section, sections
from trajerr.gcode.program import WALLS, Program
from trajerr.gcode.reader import read_program
from trajerr.gcode.writer import replace_lines
from trajerr.metrics.contour import contour_offsets
from trajerr.motion.bed import Bed, check_inside
from trajerr.motion.path import NominalPath
from trajerr.motion.planner import Plan, plan
from trajerr.motion.rests import without_long_rests
from trajerr.motion.sampling import check_length

THICKER = 2.5  # how many times as thick as its move a piece may become, where it is slower
METHODS = ("inverse", "subtract", "twin")


@dataclass(frozen=True)
class CorrectionSettings:
    """What to correct, how, and within which bounds.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    method: str = "inverse"  # twin is inverse by a simulated printer instead of a network
    feature_types: Collection[int] = WALLS
    layers: Collection[int] | None = None  # None: all
    max_correction_mm: float = 0.5
    fade_s: float = FADE  # how long a correction fades in travels beside walls
    least_improvement: float = 0.05  # of the predicted contour error; below, nothing is written
    learning: LearningSettings = field(default_factory=LearningSettings)
    emission: EmissionSettings = field(default_factory=EmissionSettings)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            message = f"correction method: got {self.method}, expected one of {', '.join(METHODS)}"
            raise ConfigError(message)
        for key, low in (("max_correction_mm", 0.0), ("fade_s", 0.025)):
            value = getattr(self, key)
            if not low < value < np.inf:
                raise ConfigError(f"correction {key}: got {value}, expected above {low:g}")


@dataclass(frozen=True)
class Correction:
    """A corrected program and what is believed of it."""

    text: bytes | None  # None where the correction would not help
    nominal: Plan  # without its long rests
    layers: tuple[int, ...]
    belief_before_mm: tuple[float, ...]  # per layer: predicted contour RMS on walls
    belief_after_mm: tuple[float, ...]
    largest_mm: float  # the largest correction
    seconds: float
    replaced: Mapping[int, Sequence[bytes]]  # by line index: what stands in its place

    @property
    def improvement(self) -> float:
        """Share of the predicted contour error that the correction removes."""
        before = float(np.sum(np.square(self.belief_before_mm)))
        after = float(np.sum(np.square(self.belief_after_mm)))
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
        What to correct and how; ``None`` is the default.
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
    program = read_program(gcode, printer.limits.firmware)
    if not force:
        check_original(program)
    settings = settings or CorrectionSettings()
    result = correct_program(program, model, printer, settings)
    if result.text is not None:
        check_corrected(program, result.text, result.replaced, printer, settings.max_correction_mm)
        write_atomically(out, result.text)
    return result


def correct_program(
    program: Program, model: ErrorModel, printer: Printer, settings: CorrectionSettings
) -> Correction:
    """Correct a program in memory; parameters as for :func:`apply_correction`."""
    began = time.perf_counter()
    check_writable(program)
    check_inside(program, printer.bed(program), settings.feature_types, settings.layers)
    program = printer.placed(program)
    job = _Job.prepare(program, model, printer, settings)
    if settings.method == "subtract":
        division, before = job.subtract()
        division, scores = job.polisher(0).polish(division, job.spans)
    else:
        offset, before = job.learned()
        first = cut(
            job.nominal, job.joins, job.role, offset, settings.emission, job.by_move(before)
        )
        polisher = job.polisher(settings.learning.planned_iterations)
        division, scores = polisher.polish(first, job.spans)
    division = rounded(division, program.moves)
    area = 0.25 * np.pi * filament_diameter(program.slicer) ** 2
    division = spread_filament(division, job.nominal, most_section(program) / area)
    driven = job.driven(division)
    after = job.by_layer([values.reached for values in scores])
    replaced = _marked(program, write_lines(program, driven, division, printer.limits), settings)
    largest = job.largest(division)
    result = Correction(
        replace_lines(program, replaced),
        job.nominal,
        tuple(job.layers),
        tuple(before),
        tuple(after),
        largest,
        time.perf_counter() - began,
        replaced,
    )
    if settings.method != "subtract" and result.improvement < settings.least_improvement:
        return Correction(**{**vars(result), "text": None})
    return result


@dataclass(frozen=True)
class _Job:
    """A program that is being corrected, and what every step of it needs."""

    belief: Belief
    printer: Printer
    settings: CorrectionSettings
    nominal: Plan
    layers: tuple[int, ...]
    role: Ints
    move_start: Floats
    move_end: Floats
    joins: Joins
    walls: "WallContour"

    @classmethod
    def prepare(
        cls, program: Program, model: ErrorModel, printer: Printer, settings: CorrectionSettings
    ) -> "_Job":
        nominal = without_long_rests(plan(program, printer.limits))
        layers = _chosen_layers(nominal, settings.layers)
        role = roles(program.moves, settings.feature_types, layers)
        role[sections(program) > most_section(program) / THICKER] = Role.FIXED
        start, end = move_times(nominal)
        joins = join(start, end, role, settings.fade_s)
        corrected = role == Role.CORRECTED
        layers = tuple(x for x in layers if np.any(corrected & (program.moves.layer == x)))
        if not layers:
            raise GcodeError(nothing_to_correct(program, settings.feature_types))
        walls = WallContour(nominal, corrected, NominalPath.of_moves(program.moves))
        belief = Belief(model, printer, _variants(settings), settings.learning.threads)
        return cls(belief, printer, settings, nominal, layers, role, start, end, joins, walls)

    @cached_property
    def windows(self) -> list[Window]:
        """What is worked on together: layers, or parts of long ones."""
        spans = [self.nominal.layer_span(layer) for layer in self.layers]
        check_length(self.nominal, self.belief.rate, sum(end - begin for begin, end in spans))
        acting, rate = self.joins.stretches(), self.belief.rate
        pairs = zip(self.layers, spans, strict=True)
        return [window for pair in pairs for window in part(*pair, acting, rate)]

    @property
    def spans(self) -> list[tuple[float, float]]:
        """When each window begins and ends, s."""
        return [(window.begin, window.end) for window in self.windows]

    def by_layer(self, error: Sequence[float]) -> list[float]:
        """Return each layer's error from those of its windows."""
        corrected = self.role == Role.CORRECTED
        start, end = self.move_start[corrected], self.move_end[corrected]
        seconds = [np.sum(np.clip(end, *x) - np.clip(start, *x)) for x in self.spans]
        return pooled(self.windows, error, np.array(seconds))

    def polisher(self, iterations: int) -> Polisher:
        """Return what moves knots, at most ``iterations`` times."""
        return Polisher(
            self.belief,
            self.nominal,
            self.joins,
            self.restrict,
            self.printer.limits,
            (self.move_start, self.move_end),
            self.walls.at,
            replace(self.settings.learning, planned_iterations=iterations),
            self.settings.emission,
            self.settings.max_correction_mm,
            Bed(self.printer.bed_mm),
        )

    def driven(self, division: Cut) -> Driven:
        """Return the whole corrected program, each piece timed."""
        limits, emission = self.printer.limits, self.settings.emission
        chosen = self.polisher(0).chosen(self.spans)
        slow = assemble(self.nominal, division, limits, emission, chosen)
        _, haste = keep_time(slow, limits, np.ones(len(division.pieces)))
        return assemble(self.nominal, division, limits, emission).at(haste)

    def learned(self) -> tuple[Offset, list[float]]:
        """Return the correction as a function of time, and each layer's uncorrected score."""
        sampled = self._sampled()
        found = learn(
            self.belief,
            sampled.nominal,
            sampled.time,
            self.restrict,
            sampled.episodes,
            self.walls.at,
            self._bound(sampled.time, sampled.nominal),
            self.settings.learning,
        )
        before = self.by_layer([scores.first for scores in found.scores])
        return self.joins.offset(found.correction, sampled.time), before

    def by_move(self, error: Sequence[float]) -> Floats:
        """Return (M,) the error of each move's layer; between the layers, that of all."""
        layer, known = self.nominal.program.moves.layer, np.array(self.layers)
        row = np.minimum(np.searchsorted(known, layer), len(known) - 1)
        pooled = np.sqrt(np.mean(np.square(error)))
        return np.where(known[row] == layer, np.array(error)[row], pooled)

    def subtract(self) -> tuple[Cut, list[float]]:
        """Move each vertex by the error predicted there; return pieces and uncorrected scores."""
        sampled = self._sampled()
        time, nominal = sampled.time, sampled.nominal
        correction = np.zeros((len(time), 2))
        before = []
        for e in sampled.episodes:
            actual = self.belief.modelled([nominal[e.first : e.last]])[0]
            core = slice(e.begin - e.first, e.end - e.first)
            correction[e.begin : e.end] = nominal[e.begin : e.end, :2] - actual[core]
            before.append(self.walls.at(time[e.begin : e.end])(actual[core]))
        correction *= self.joins.weight(time)[:, None]
        self._bound(time, nominal)(correction, slice(0, len(time)))
        offset = self.joins.offset(correction, time)
        return vertices(self.nominal, self.joins, self.role, offset), self.by_layer(before)

    def largest(self, division: Cut) -> float:
        """Return the largest correction of a knot, mm."""
        shift = division.pieces.target - self.nominal.position(division.pieces.end)
        return float(np.max(np.linalg.norm(shift[:, :2], axis=1), initial=0.0))

    def restrict(self, time: Floats, begin: float, finish: float) -> Freedom:
        """Return where a correction may act at (T,) times, between two of them."""
        move = self.nominal.move[self.nominal.segment_at(time)]
        inside = (time >= begin) & (time <= finish)
        weight = self.joins.weight(time) * inside
        return Freedom(weight, self.role[move] == Role.CORRECTED, self.joins.hold_at(time))

    def _sampled(self) -> Sampled:
        """Return the windows as samples, with what surrounds them."""
        lead_out = self.settings.learning.lead_out_s
        return sample_windows(self.nominal, self.spans, self.belief.rate, lead_out)

    def _bound(self, time: Floats, nominal: Floats) -> Project:
        most, bed = self.settings.max_correction_mm, Bed(self.printer.bed_mm)

        def project(correction: Floats, part: slice) -> None:
            self.joins.settle(correction[part], time[part])
            correction[part] = bounded(correction[part], nominal[part, :2], most, bed)

        return project


@dataclass(frozen=True)
class WallContour:
    """The contour error of corrected moves, from times and actual positions."""

    nominal: Plan
    corrected: Bools  # (M,) moves that count
    path: NominalPath

    def at(self, time: Floats) -> Judge:
        """Return what finds the RMS distance in mm of (N, 2) positions at (N,) s of the plan."""
        segment = self.nominal.segment_at(time)
        move = self.nominal.move[segment]
        counts = self.corrected[move]
        if not np.any(counts):
            return lambda actual: 0.0
        xy = self.nominal.position_in(segment[counts], time[counts])[:, :2]
        progress = self.path.progress_at(self.nominal.program.moves, move[counts], xy)

        def rms(actual: Floats) -> float:
            distance = contour_offsets(actual[counts], self.path, progress)
            return float(np.sqrt(np.mean(distance * distance)))

        return rms


def _variants(settings: CorrectionSettings) -> tuple[tuple[float, float], ...]:
    """Return the printers beside the modelled one; subtracting knows none."""
    return () if settings.method == "subtract" else settings.learning.variants


def _chosen_layers(nominal: Plan, wanted: Collection[int] | None) -> tuple[int, ...]:
    if wanted is None:
        return tuple(int(layer) for layer in nominal.layers)
    for layer in wanted:
        nominal.layer_span(layer)
    return tuple(sorted(int(layer) for layer in wanted))


def _marked(
    program: Program, lines: Mapping[int, Sequence[bytes]], settings: CorrectionSettings
) -> dict[int, Sequence[bytes]]:
    """Return the lines with a mark after the first."""
    mark = (
        f"{MARK.decode()} by {__version__}, method {settings.method}, of sha256 {program.sha256}"
    ).encode()
    first = list(lines.get(0, [program.line(0)]))
    return {**lines, 0: [*first, mark]}
