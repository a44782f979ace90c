"""What a correction brought: files replayed through planner and simulated printer.

Knows programs, not how they were corrected. Points of a corrected print are compared with
the *nominal* path. Which part of it a point belongs to is told by extrusion: on walls the
filament laid down grows with the path, and corrected files lay down the same.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from trajerr.arrays import Bools, Floats, Ints
from trajerr.dynamics.designed_shapers import designed_shaper, shape_trajectory
from trajerr.dynamics.layer import lookahead
from trajerr.dynamics.mode_inversion import ModeInversion
from trajerr.dynamics.plant import SIMULATION_RATE_HZ, ActualMotion, simulate_pieces
from trajerr.dynamics.printer import Printer
from trajerr.errors import DataError
from trajerr.gcode.program import WALLS, Program
from trajerr.metrics.contour import contour_feet
from trajerr.motion.lead_in import LayerMotion
from trajerr.motion.path import NominalPath
from trajerr.motion.planner import Plan, plan
from trajerr.motion.rests import busy_span, without_long_rests
from trajerr.motion.trajectory import Trajectory

STIFFNESS = {"nominal": 1.0, "soft": 0.81, "stiff": 1.21}  # ±10 % natural frequency
SHAPERS = ("zv", "mzv", "ei")
INVERSION = "inversion"
IN_FIRMWARE = (*SHAPERS, INVERSION)  # what firmware can do to the uncorrected file
UNCORRECTED = "uncorrected"
UM = 1000.0
MOST_KEPT = 3 << 20  # samples of the motion on walls of all layers together: about 150 MB
MOST_THINNED = 20  # simulated samples of which one is kept, at most: errors end below 100 Hz

Pieces = Iterable[Trajectory]
Moved = Iterator[tuple[Trajectory, ActualMotion]]
Machine = Callable[[Pieces, float], Moved]  # from pieces in order and a factor on stiffness


@dataclass(frozen=True)
class WallMotion:
    """Motion on the walls of one layer; N samples at its replay's rate."""

    time: Floats  # (N,) s of its own plan
    actual: Floats  # (N, 2) mm
    nominal: Floats  # (N, 2) mm, the point of the nominal path that should be printed
    contour: Floats  # (N,) mm, signed distance to the nominal path, left positive
    foot: Floats  # (N, 2) mm, the point of the nominal path that is nearest


@dataclass(frozen=True)
class WallErrors:
    """Errors on walls, in µm; tracking is the length of the vector."""

    wall_contour_rms_um: float
    wall_contour_p99_um: float
    wall_contour_max_um: float
    wall_tracking_rms_um: float

    @classmethod
    def of(cls, motions: Sequence[WallMotion]) -> "WallErrors":
        """Return the errors over all samples of some layers."""
        contour = np.abs(np.concatenate([m.contour for m in motions])) * UM
        tracking = np.concatenate([m.actual - m.nominal for m in motions]) * UM
        return cls(
            float(np.sqrt(np.mean(contour**2))),
            float(np.percentile(contour, 99)),
            float(np.max(contour)),
            float(np.sqrt(np.mean(np.sum(tracking**2, axis=1)))),
        )


@dataclass(frozen=True)
class Replay:
    """A nominal program, and others that should print the same walls.

    Parameters
    ----------
    nominal
        The uncorrected program.
    candidates
        Corrected programs by the name of their method.
    printer
        The true one: its limits plan, its effects act.
    layers
        Those compared.
    features
        The feature types that count as walls.
    seed
        Of the printer's timing jitter, the same for all.
    planned
        Plans that are known already, by method; the nominal one is "uncorrected".
    machine
        What moves the nozzle in place of the printer's own plant; the printer then plans, and
        shapers are designed for what it is taken for.
    """

    nominal: Program
    candidates: Mapping[str, Program]
    printer: Printer
    layers: Sequence[int]
    features: Collection[int] = WALLS
    seed: int = 1
    planned: Mapping[str, Plan] = field(default_factory=dict)
    machine: Machine | None = None

    @cached_property
    def plans(self) -> dict[str, Plan]:
        """The plans of all programs, by method; the nominal one is "uncorrected"."""
        programs = {UNCORRECTED: self.nominal, **self.candidates}
        return {name: self.planned.get(name) or self._plan(p) for name, p in programs.items()}

    def _plan(self, program: Program) -> Plan:
        return plan(self.printer.placed(program), self.printer.limits)

    @cached_property
    def path(self) -> NominalPath:
        """The nominal path of the whole print."""
        return NominalPath.of_moves(self.plans[UNCORRECTED].program.moves)

    def walls(self, method: str, layer: int, stiffness: float = 1.0) -> WallMotion:
        """Simulate one layer and return the motion on its walls.

        Parameters
        ----------
        method
            "uncorrected", one of :data:`IN_FIRMWARE`, or one of the candidates.
        layer
            Its number.
        stiffness
            Factor on the printer's stiffnesses; shapers stay tuned to the nominal ones.

        Raises
        ------
        DataError
            If a candidate's walls are not those of the nominal program.
        """
        name = UNCORRECTED if method in IN_FIRMWARE else method
        planned, is_wall = self._moving[name], self._is_wall(self.plans[name].program)
        along = self._progress(planned.program, is_wall, layer)
        pieces = []
        for driven, motion in self._moved(method, layer, stiffness):
            kept = np.flatnonzero(is_wall[driven.move] & (driven.layer == layer))
            kept = kept[(driven.first + kept) % self._every == 0]
            actual = motion.xy[kept]
            progress = along(driven.move[kept], driven.extrusion[kept])
            contour, foot = contour_feet(actual, self.path, progress)
            pieces.append((driven.time[kept], actual, self._points(progress), contour, foot))
        return WallMotion(*(np.concatenate(columns) for columns in zip(*pieces, strict=True)))

    @property
    def sample_rate_hz(self) -> float:
        """Samples of wall motion a second: the simulation's, or fewer where layers are long."""
        return SIMULATION_RATE_HZ / self._every

    @cached_property
    def _moving(self) -> dict[str, Plan]:
        """The plans without their long rests."""
        return {name: without_long_rests(planned) for name, planned in self.plans.items()}

    @cached_property
    def _every(self) -> int:
        """Of how many simulated samples one is kept."""
        spans = np.array([busy_span(self._moving[UNCORRECTED], n) for n in self.layers])
        seconds = float(np.sum(spans[:, 1] - spans[:, 0]))
        return int(np.clip(np.ceil(seconds * SIMULATION_RATE_HZ / MOST_KEPT), 1, MOST_THINNED))

    def _driven(self, method: str, layer: int) -> Iterator[Trajectory]:
        """Yield what is commanded, from a lead-in before a layer to its end, in pieces.

        What firmware does to it is done already. The printer's own, which comes after, is given
        as much of what follows the layer as it looks ahead.
        """
        if method not in IN_FIRMWARE:
            motion = LayerMotion.of(self._moving[method], layer)
            yield from motion.pieces(SIMULATION_RATE_HZ, lookahead(self.printer))
            return
        motion = LayerMotion.of(self._moving[UNCORRECTED], layer)
        inversion = ModeInversion.of(self.printer) if method == INVERSION else None
        margin = (inversion or designed_shaper(self.printer, method)).reach
        for wide, own in motion.pieces_around(SIMULATION_RATE_HZ, margin):
            changed = inversion.apply(wide) if inversion else self._shaped(wide, method)
            yield changed.rows(own)

    def _shaped(self, commanded: Trajectory, method: str) -> Trajectory:
        return shape_trajectory(commanded, self.printer, method)

    def _moved(self, method: str, layer: int, stiffness: float) -> Moved:
        """Yield pieces of what is commanded, each with what the nozzle does in it.

        A designed shaper or inversion takes the place of the printer's own.
        """
        pieces = self._driven(method, layer)
        if self.machine is not None:
            return self.machine(pieces, stiffness)
        printer = self.printer.with_stiffness_scale(stiffness)
        if method in IN_FIRMWARE:
            printer = replace(printer, shaper=None)
        return simulate_pieces(printer, pieces, seed=self.seed)

    def errors(self, method: str, stiffness: float = 1.0) -> WallErrors:
        """Return the errors on the walls of all layers."""
        return WallErrors.of([self.walls(method, layer, stiffness) for layer in self.layers])

    def methods(self) -> list[str]:
        """Return what is compared, in the order of tables."""
        return [UNCORRECTED, *IN_FIRMWARE, *self.candidates]

    def cases(self) -> dict[str, dict[str, dict[str, float]]]:
        """Return the errors of every method at every stiffness, JSON-ready."""
        return {
            case: {method: vars(self.errors(method, scale)) for method in self.methods()}
            for case, scale in STIFFNESS.items()
        }

    def costs(self, method: str) -> dict[str, Any]:
        """Return what a corrected file costs, each number before and after."""
        pair = (UNCORRECTED, method)
        programs = [self.plans[name].program for name in pair]
        return {
            "print_time_s": _pair([self.plans[name].print_time for name in pair]),
            "moves": _pair([len(program.moves) for program in programs]),
            "extrusion_mm": _pair([_extruded(program) for program in programs]),
            "file_bytes": _pair([len(program.text) for program in programs]),
        }

    def _is_wall(self, program: Program) -> Bools:
        moves = program.moves
        return np.asarray(moves.is_extruding & np.isin(moves.feature, list(self.features)))

    def _progress(
        self, program: Program, is_wall: Bools, layer: int
    ) -> Callable[[Ints, Floats], Floats]:
        """Return what tells how far along the nominal path samples on a layer's walls are.

        It takes (N,) moves and (N,) mm of filament fed, and returns (N,) mm.
        """
        own = _wall_runs(program, is_wall, layer)
        wanted = _wall_runs(self.nominal, self._is_wall(self.nominal), layer)
        if len(own.begin) != len(wanted.begin):
            raise DataError(
                f"{program.name}: layer {layer} has {len(own.begin)} walls, "
                f"the nominal file {len(wanted.begin)}; they cannot be compared"
            )
        chosen = np.flatnonzero(wanted.run >= 0)
        amount = (self.nominal.moves.end - self.nominal.moves.start)[:, 3]
        known = np.column_stack([wanted.laid[chosen], wanted.laid[chosen] + amount[chosen]])
        at = self.path.move_progress
        along = np.column_stack([at[chosen], at[chosen + 1]])

        def progress(move: Ints, fed: Floats) -> Floats:
            laid = own.laid[move] + fed - program.moves.start[move, 3]
            run = own.run[move]
            share = (laid - own.begin[run]) / (own.end - own.begin)[run]
            length = (wanted.end - wanted.begin)[run]
            # Strictly inside the run: at its ends the path jumps to the next one.
            laid = wanted.begin[run] + length * np.clip(share, 1e-9, 1.0 - 1e-9)
            return np.asarray(np.interp(laid, known.ravel(), along.ravel()))

        return progress

    def _points(self, progress: Floats) -> Floats:
        columns = [
            np.interp(progress, self.path.progress, self.path.vertices[:, i]) for i in range(2)
        ]
        return np.column_stack(columns)


@dataclass(frozen=True)
class _Runs:
    """The wall moves of a layer as uninterrupted runs; M moves, R runs."""

    run: Ints  # (M,) number of the run; -1 for other moves
    laid: Floats  # (M,) filament laid on the layer's walls before the move, mm
    begin: Floats  # (R,) the same where runs begin
    end: Floats  # (R,) and end


def _wall_runs(program: Program, is_wall: Bools, layer: int) -> _Runs:
    moves = program.moves
    chosen = is_wall & (moves.layer == layer)
    amount = np.where(chosen, moves.end[:, 3] - moves.start[:, 3], 0.0)
    laid = np.concatenate([[0.0], np.cumsum(amount)])
    edge = np.diff(np.concatenate([[0], chosen.astype(np.int64), [0]]))
    first, last = np.flatnonzero(edge == 1), np.flatnonzero(edge == -1)
    run = np.where(chosen, np.cumsum(edge[:-1] == 1) - 1, -1)
    return _Runs(run, laid[:-1], laid[first], laid[last])


def _extruded(program: Program) -> float:
    """Return the filament laid down while moving, mm."""
    moves = program.moves
    return float(np.sum((moves.end - moves.start)[moves.is_extruding, 3]))


def _pair(values: Sequence[float]) -> dict[str, float]:
    return {"before": values[0], "after": values[1]}
