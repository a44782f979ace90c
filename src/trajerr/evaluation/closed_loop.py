"""What a correction brought: files replayed through planner and simulated printer.

Knows programs, not how they were corrected. Points of a corrected print are compared with
the *nominal* path. Which part of it a point belongs to is told by extrusion: on walls the
filament laid down grows with the path, and corrected files lay down the same.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajerr.dynamics.plant import SIMULATION_RATE_HZ, simulate
from trajerr.dynamics.printer import Printer
from trajerr.dynamics.shapers import shape_trajectory
from trajerr.errors import DataError
from trajerr.evaluation.contour import contour_offsets
from trajerr.gcode.program import WALLS, Program
from trajerr.motion.lead_in import lead_in
from trajerr.motion.path import NominalPath
from trajerr.motion.planner import Plan, plan
from trajerr.motion.sampling import sample
from trajerr.motion.trajectory import Trajectory

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

STIFFNESS = {"nominal": 1.0, "soft": 0.81, "stiff": 1.21}  # ±10 % natural frequency
SHAPERS = ("zv", "mzv", "ei")
UNCORRECTED = "uncorrected"
UM = 1000.0


@dataclass(frozen=True)
class WallMotion:
    """Motion on the walls of one layer; N samples at the simulation's rate."""

    time: Floats  # (N,) s of its own plan
    actual: Floats  # (N, 2) mm
    nominal: Floats  # (N, 2) mm, the point of the nominal path that should be printed
    contour: Floats  # (N,) mm, signed distance to the nominal path, left positive


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
    """

    nominal: Program
    candidates: Mapping[str, Program]
    printer: Printer
    layers: Sequence[int]
    features: Collection[int] = WALLS
    seed: int = 1

    @cached_property
    def plans(self) -> dict[str, Plan]:
        """The plans of all programs, by method; the nominal one is "uncorrected"."""
        programs = {UNCORRECTED: self.nominal, **self.candidates}
        limits = self.printer.limits
        return {name: plan(self.printer.placed(p), limits) for name, p in programs.items()}

    @cached_property
    def path(self) -> NominalPath:
        """The nominal path of the whole print."""
        return NominalPath.of_moves(self.plans[UNCORRECTED].program.moves)

    def walls(self, method: str, layer: int, stiffness: float = 1.0) -> WallMotion:
        """Simulate one layer and return the motion on its walls.

        Parameters
        ----------
        method
            "uncorrected", a shaper, or one of the candidates.
        layer
            Its number.
        stiffness
            Factor on the printer's stiffnesses; shapers stay tuned to the nominal ones.

        Raises
        ------
        DataError
            If a candidate's walls are not those of the nominal program.
        """
        planned = self.plans[UNCORRECTED if method in SHAPERS else method]
        start, stop = planned.layer_span(layer)
        commanded = sample(planned, SIMULATION_RATE_HZ, lead_in(planned, start), stop)
        driven = commanded
        if method in SHAPERS:
            driven = shape_trajectory(commanded, self.printer, method)
        printer = self.printer.with_stiffness_scale(stiffness)
        actual = simulate(printer, driven, seed=self.seed).xy
        on_wall = self._is_wall(planned.program)[commanded.move] & (commanded.layer == layer)
        progress = self._progress(planned.program, commanded, on_wall, layer)
        return WallMotion(
            commanded.time[on_wall],
            actual[on_wall],
            self._points(progress),
            contour_offsets(actual[on_wall], self.path, progress),
        )

    def errors(self, method: str, stiffness: float = 1.0) -> WallErrors:
        """Return the errors on the walls of all layers."""
        return WallErrors.of([self.walls(method, layer, stiffness) for layer in self.layers])

    def methods(self) -> list[str]:
        """Return what is compared, in the order of tables."""
        return [UNCORRECTED, *SHAPERS, *self.candidates]

    def cases(self) -> dict[str, dict[str, dict[str, float]]]:
        """Return the errors of every method at every stiffness, JSON-ready."""
        return {
            case: {method: vars(self.errors(method, scale)) for method in self.methods()}
            for case, scale in STIFFNESS.items()
        }

    def costs(self, method: str) -> dict[str, Any]:
        """Return what a corrected file costs, each figure before and after."""
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
        self, program: Program, commanded: Trajectory, on_wall: Bools, layer: int
    ) -> Floats:
        """Return how far along the nominal path samples on walls are, by extrusion; (N,) mm."""
        own = _wall_runs(program, self._is_wall(program), layer)
        wanted = _wall_runs(self.nominal, self._is_wall(self.nominal), layer)
        if len(own.begin) != len(wanted.begin):
            raise DataError(
                f"{program.name}: layer {layer} has {len(own.begin)} walls, "
                f"the nominal file {len(wanted.begin)}; they cannot be compared"
            )
        move = commanded.move[on_wall]
        laid = own.laid[move] + commanded.extrusion[on_wall] - program.moves.start[move, 3]
        run = own.run[move]
        share = (laid - own.begin[run]) / (own.end - own.begin)[run]
        length = (wanted.end - wanted.begin)[run]
        # Strictly inside the run: at its ends the path jumps to the next one.
        laid = wanted.begin[run] + length * np.clip(share, 1e-9, 1.0 - 1e-9)
        chosen = np.flatnonzero(wanted.run >= 0)
        amount = (self.nominal.moves.end - self.nominal.moves.start)[:, 3]
        known = np.column_stack([wanted.laid[chosen], wanted.laid[chosen] + amount[chosen]])
        at = self.path.move_progress
        along = np.column_stack([at[chosen], at[chosen + 1]])
        return np.asarray(np.interp(laid, known.ravel(), along.ravel()))

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
