"""What of a print is corrected: its layers, its moves, and where a correction may act."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from trajerr.arrays import Bools, Floats, Ints
from trajerr.correction.blocks import move_times
from trajerr.correction.boards import check_board
from trajerr.correction.layer_windows import LayerWindow
from trajerr.correction.original import Original, nothing_to_correct
from trajerr.correction.regions import CorrectionRegion, Role, find_region, roles
from trajerr.correction.settings import CorrectionSettings
from trajerr.errors import GcodeError
from trajerr.gcode.extrusion import most_section, sections
from trajerr.inversion.least_squares import Freedom
from trajerr.metrics.contour import contour_offsets
from trajerr.motion.path import NominalPath
from trajerr.motion.planner import Plan
from trajerr.motion.rests import without_long_rests

Judge = Callable[[Floats], float]

THICKER = 2.5  # how many times as thick as its move a piece may become, where it is slower


@dataclass(frozen=True)
class Scope:
    """A print's motion, and which of its M moves a correction is to make right."""

    original: Original
    nominal: Plan  # without its long rests
    layers: tuple[int, ...]  # that hold such moves
    role: Ints  # (M,) Role of each move
    move_start: Floats  # (M,) s
    move_end: Floats  # (M,) s
    region: CorrectionRegion  # where a correction may act
    walls: "WallContour"  # how far off such moves are

    @classmethod
    def of(cls, original: Original, settings: CorrectionSettings) -> Self:
        """Find what is to be corrected.

        Raises
        ------
        GcodeError
            If the file cannot be corrected, has not all of the layers, or no such moves.
        ConfigError
            If the board is none for the printer's firmware.
        """
        check_board(settings.board, original.printer.limits.firmware)
        original.check(settings.feature_types, settings.layers)
        nominal = without_long_rests(original.planned)
        layers, program = _chosen_layers(nominal, settings.layers), nominal.program
        role = roles(program.moves, settings.feature_types, layers)
        role[sections(program) > most_section(program) / THICKER] = Role.FIXED
        start, end = move_times(nominal)
        region = find_region(start, end, role, settings.fade_s)
        corrected = role == Role.CORRECTED
        layers = tuple(x for x in layers if np.any(corrected & (program.moves.layer == x)))
        if not layers:
            raise GcodeError(nothing_to_correct(program, settings.feature_types))
        walls = WallContour(nominal, corrected, NominalPath.of_moves(program.moves))
        return cls(original, nominal, layers, role, start, end, region, walls)

    def restrict(self, time: Floats, begin: float, finish: float) -> Freedom:
        """Return where a correction may act at (T,) times, between two of them."""
        move = self.nominal.move[self.nominal.segment_at(time)]
        inside = (time >= begin) & (time <= finish)
        weight = self.region.weight(time) * inside
        return Freedom(weight, self.role[move] == Role.CORRECTED, self.region.hold_at(time))

    def seconds(self, windows: Sequence[LayerWindow]) -> Floats:
        """Return for how many s each of W windows runs along moves that are corrected; (W,)."""
        corrected = self.role == Role.CORRECTED
        start, end = self.move_start[corrected], self.move_end[corrected]
        spans = [(window.begin, window.end) for window in windows]
        return np.array([np.sum(np.clip(end, *x) - np.clip(start, *x)) for x in spans])

    def by_move(self, error: Sequence[float]) -> Floats:
        """Return (M,) the error of each move's layer; between the layers, that of all."""
        layer, known = self.nominal.program.moves.layer, np.array(self.layers)
        row = np.minimum(np.searchsorted(known, layer), len(known) - 1)
        pooled = np.sqrt(np.mean(np.square(error)))
        return np.where(known[row] == layer, np.array(error)[row], pooled)


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
        xy = self.nominal.asked_in(segment[counts], time[counts])[:, :2]
        progress = self.path.progress_at(self.nominal.program.moves, move[counts], xy)

        def rms(actual: Floats) -> float:
            distance = contour_offsets(actual[counts], self.path, progress)
            return float(np.sqrt(np.mean(distance * distance)))

        return rms


def _chosen_layers(nominal: Plan, wanted: Collection[int] | None) -> tuple[int, ...]:
    if wanted is None:
        return tuple(int(layer) for layer in nominal.layers)
    for layer in wanted:
        nominal.layer_span(layer)
    return tuple(sorted(int(layer) for layer in wanted))
