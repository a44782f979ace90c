"""Compensate a G-code file for the error that a model predicts.

One way: program → plan → where a correction may act → iteration on the trajectory →
pieces → iteration on the pieces with the planner in the loop → text. The error model is
anything that predicts errors from features: a bundle's network or the simulated printer.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trajerr.arrays import Floats
from trajerr.correction.boards import BOARDS, heaviest, planned_on
from trajerr.correction.emission import MARK, write_lines
from trajerr.correction.error_models import ErrorModel
from trajerr.correction.filament import writable
from trajerr.correction.final_check import check_corrected
from trajerr.correction.layer_windows import LayerWindow, pooled, sample_windows, split_span
from trajerr.correction.learning import Learned, Learning, untold
from trajerr.correction.learning import Tell as Done
from trajerr.correction.nozzle import Nozzle
from trajerr.correction.original import Original, check_other_file
from trajerr.correction.pieces import Segmentation, segment, vertices
from trajerr.correction.plausible import PROVED, require_plausible, some_layers
from trajerr.correction.polish import Polisher
from trajerr.correction.scope import Scope
from trajerr.correction.settings import CorrectionSettings
from trajerr.dynamics.printer import Printer
from trajerr.errors import GcodeError
from trajerr.files import write_atomically
from trajerr.gcode.containers.kinds import Container, container_for, packed
from trajerr.gcode.program import Program
from trajerr.gcode.reader import parse_program
from trajerr.gcode.writer import replace_lines
from trajerr.inversion.response import Response
from trajerr.motion.planner import Plan
from trajerr.motion.sampling import check_length
from trajerr.version import __version__

MOST_SLOWER = 3  # times that a correction is made anew where its board does not take it
STAGES = ("path", "moves")  # what a correction works on: the commanded path, then its moves
SLOWER = 0.97  # times the rate at which it just would, if all of its load went with the rate

Tell = Callable[[str, int, int], None]


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
        If the file cannot be corrected, the corrected text does not print the same part, or it
        makes walls much worse where the printer is simulated.
    ConfigError
        If ``out`` is the file itself, or a layer does not exist.
    """
    check_other_file(gcode, out)
    settings = settings or CorrectionSettings.shipped()
    original = Original.read(gcode, printer, force=force)
    container = container_for(out, original.program.container)
    scope = Scope.of(original, settings)
    done = correct(scope, model, settings)
    return write_correction(out, done, scope, settings, container)


def correct_program(
    program: Program, model: ErrorModel, printer: Printer, settings: CorrectionSettings
) -> Correction:
    """Correct a program in memory; parameters as for :func:`apply_correction`."""
    return correct(Scope.of(Original(program, printer), settings), model, settings)


def write_correction(
    out: Path,
    done: Correction,
    scope: Scope,
    settings: CorrectionSettings,
    container: Container,
    *,
    proved: bool = True,
) -> Correction:
    """Plan a corrected text and write it where it helps, after a second reading found it sound.

    A file that stands there is replaced as a whole, and keeps its permissions.

    Parameters
    ----------
    out, done
        The file, and what it is to hold.
    scope, settings
        What the correction was made with.
    container
        What the text is packed in.
    proved
        Whether a network's correction is simulated on its printer first.

    Raises
    ------
    GcodeError
        If the corrected text does not print the same part, or makes walls much worse where its
        printer is simulated.
    """
    text, program, printer = done.text, scope.original.program, scope.original.printer
    if text is not None:
        check_corrected(program, text, done.replaced, printer, settings.max_correction_mm)
        planned = planned_again(done, scope, settings)
        if proved and settings.method == "inverse":
            require_plausible(scope.original, planned, settings, some_layers(done.layers, PROVED))
        done = replace(done, planned=planned)
        write_atomically(out, packed(container, text, out.name), keep_mode=True)
    return done


def planned_again(done: Correction, scope: Scope, settings: CorrectionSettings) -> Plan:
    """Return a corrected text's motion as the board plans it; parameters as it was made with."""
    if done.planned is not None:
        return done.planned
    original = scope.original
    written = parse_program(done.text or b"", original.program.name, original.program.firmware)
    return planned_on(written, original.printer, settings.board)


def with_comments(done: Correction, program: Program, lines: Sequence[bytes]) -> Correction:
    """Return a correction with lines of comment behind its mark.

    Parameters
    ----------
    done
        Of the program, with a text.
    program
        What was corrected.
    lines
        Each begins with a semicolon.
    """
    replaced = {**done.replaced, 0: [*done.replaced[0], *lines]}
    text = replace_lines(program, replaced)
    return replace(done, text=text, replaced=replaced, planned=None)  # whose lines are others


def correct(
    scope: Scope, model: ErrorModel, settings: CorrectionSettings, tell: Tell | None = None
) -> Correction:
    """Correct what of a print is to be corrected.

    Parameters
    ----------
    scope
        The print, and what is wanted of it.
    model
        Predicts the printer's error.
    settings
        Those that the scope was found with.
    tell
        Is told what it works on, of :data:`STAGES`, and how many layers of how many are done.

    Raises
    ------
    GcodeError
        If the program cannot be corrected.
    """
    job = _Job.of(scope, model, settings)
    if settings.method == "subtract":
        subtracted = job.subtracted()
        return job.within_board(lambda job: job.emitted(subtracted, 0))
    path, moves = (_by_layer(tell, stage, job.windows) for stage in STAGES)
    correction, learned = job.learning.learn(path)
    before = job.by_layer([each.before_mm for each in learned])
    offset = scope.region.offset(correction, job.learning.sampled.time)
    tolerated = scope.by_move(before)

    def emitted(job: _Job) -> Correction:
        pieces = segment(
            scope.nominal, scope.region, scope.role, offset, job.settings.emission, tolerated
        )
        draft = _Draft(pieces, correction, learned, tuple(before))
        return job.emitted(draft, settings.learning.planned_iterations, moves)

    return job.within_board(emitted)


@dataclass(frozen=True)
class _Draft:
    """A correction as pieces, before these are planned."""

    segmentation: Segmentation
    correction: Floats  # (N, 2) mm, at the windows' samples
    learned: Sequence[Learned]  # of each window
    before_mm: tuple[float, ...]  # each layer's uncorrected score


@dataclass(frozen=True)
class _Job:
    """A correction, and what every step of it needs."""

    scope: Scope
    learning: Learning
    windows: Sequence[LayerWindow]
    settings: CorrectionSettings
    began: float  # s of the process's clock

    @classmethod
    def of(cls, scope: Scope, model: ErrorModel, settings: CorrectionSettings) -> "_Job":
        began, printer, how = time.perf_counter(), scope.original.printer, settings.learning
        settings = replace(settings, emission=settings.emission_for(model.band_hz))
        if printer.shaper is not None:
            settings = replace(settings, emission=settings.emission.behind_shaper())
        family = () if settings.method == "subtract" else how.family  # it knows no iteration
        nozzle = Nozzle(model, printer, family, how.threads)
        windows = _windows(scope, nozzle.rate, how.lead_out_s)
        sampled = sample_windows(scope.nominal, windows, nozzle.rate)
        learning = Learning(scope, sampled, nozzle, how, settings.max_correction_mm)
        return cls(scope, learning, windows, settings, began)

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
        rate, attempts = self.settings.emission.rate, 1
        if self.settings.method != "subtract":  # which knows no rate
            rate, attempts = min(rate, board.commands_per_s), 1 + MOST_SLOWER
        for _ in range(attempts):
            done = emit(self.at_rate(rate))
            if done.text is None:
                return done
            corrected = parse_program(done.text, program.name, program.firmware)
            planned = planned_on(corrected, self.scope.original.printer, name)
            demand = heaviest(planned, original, board)
            if demand.share <= 1.0:
                return replace(done, planned=planned)
            rate *= SLOWER / demand.share
        raise GcodeError(
            f"{program.name}: corrected for board {name}, it asks for {demand}; "
            "correct fewer layers or features, or print it on a faster board"
        )

    def emitted(self, draft: _Draft, iterations: int, tell: Done = untold) -> Correction:
        """Return pieces as a corrected program, after some iterations on them.

        Parameters
        ----------
        draft
            The pieces.
        iterations
            At most.
        tell
            As for :meth:`.Polisher.polish`.
        """
        scope, settings, program = self.scope, self.settings, self.scope.nominal.program
        polisher = Polisher(
            self.learning, self.windows, draft.segmentation, draft.correction, settings.emission
        )
        polisher.polish(draft.learned, iterations, tell)
        segmentation = writable(polisher.segmentation, scope.nominal)
        timed = polisher.timed(segmentation)
        # While the model is asked what has come of it, the lines are written.
        asked = self.learning.nozzle.begin(lambda: polisher.forecast(segmentation, timed))
        lines = write_lines(program, timed, segmentation, scope.original.printer.limits)
        replaced = _marked(program, lines, settings)
        result = Correction(
            replace_lines(program, replaced),
            scope.nominal,
            tuple(scope.layers),
            draft.before_mm,
            tuple(self.by_layer(asked.result())),
            self.largest(segmentation),
            time.perf_counter() - self.began,
            replaced,
            settings.emission.rate,
        )
        if settings.method != "subtract" and result.improvement < settings.least_improvement:
            return replace(result, text=None)
        return result

    def by_layer(self, error: Sequence[float]) -> list[float]:
        """Return each layer's error from those of its windows."""
        return pooled(self.windows, error, self.scope.seconds(self.windows))

    def subtracted(self) -> _Draft:
        """Move each vertex by the error predicted there."""
        scope, sampled, nozzle = self.scope, self.learning.sampled, self.learning.nozzle
        time, nominal = sampled.time, sampled.nominal
        correction, learned = np.zeros((len(time), 2)), []
        for rows in sampled.rows:
            (actual,) = nozzle.positions([nominal[rows.whole]])
            correction[rows.own] = nominal[rows.own, :2] - actual[rows.core]
            before = scope.walls.at(time[rows.own])(actual[rows.core])
            learned.append(Learned(Response.unknown(len(rows), nozzle.rate), before))
        correction *= scope.region.weight(time)[:, None]
        self.learning.bound(correction, slice(0, len(time)))
        offset = scope.region.offset(correction, time)
        pieces = vertices(scope.nominal, scope.region, scope.role, offset)
        before_mm = self.by_layer([each.before_mm for each in learned])
        return _Draft(pieces, correction, learned, tuple(before_mm))

    def largest(self, segmentation: Segmentation) -> float:
        """Return the largest correction of a piece's end, mm."""
        shift = segmentation.pieces.target - self.scope.nominal.asked(segmentation.pieces.end)
        return float(np.max(np.linalg.norm(shift[:, :2], axis=1), initial=0.0))


def _by_layer(tell: Tell | None, stage: str, windows: Sequence[LayerWindow]) -> Done:
    """Return what tells of a stage in layers when it is told of windows."""
    if tell is None:
        return untold
    numbers = [window.layer for window in windows]
    total = len(set(numbers))
    return lambda done, _: tell(stage, len(set(numbers[:done])), total)


def _windows(scope: Scope, rate: float, lead_out_s: float) -> list[LayerWindow]:
    """Return what is worked on together: layers, or parts of long ones."""
    nominal = scope.nominal
    spans = [nominal.layer_span(layer) for layer in scope.layers]
    check_length(nominal, rate, sum(end - begin for begin, end in spans))
    acting = scope.region.stretches()
    return [
        LayerWindow.of(nominal, layer, span, lead_out_s)
        for layer, whole in zip(scope.layers, spans, strict=True)
        for span in split_span(whole, acting, rate)
    ]


def _marked(
    program: Program, lines: Mapping[int, Sequence[bytes]], settings: CorrectionSettings
) -> dict[int, Sequence[bytes]]:
    """Return the lines with a mark after the first."""
    mark = (
        f"{MARK.decode()} by {__version__}, method {settings.method}, of sha256 {program.sha256}"
    ).encode()
    first = list(lines.get(0, [program.line(0)]))
    return {**lines, 0: [*first, mark]}
