"""The nominal path of a layer: where its moves ask the nozzle to go, regardless of time."""

from dataclasses import dataclass

import numpy as np

from trajerr.gcode.program import Bools, Floats, Ints
from trajerr.motion.planner import Plan
from trajerr.motion.segments import segment

FINE_SAG = 0.001  # mm, so that chords do not show in contour errors
FINE_CHORD = 1.0  # mm


@dataclass(frozen=True)
class NominalPath:
    """A polyline in the plane with P points; its edges run from each point to the next."""

    points: Floats  # (P, 2) mm
    is_extruding: Bools  # (P-1,) whether the edge lays material down
    is_wall: Bools  # (P-1,) whether the edge is an outer, inner or overhang wall
    move: Ints  # (P-1,) index of the edge's move, into Program.moves


def nominal_path(plan: Plan, layer: int) -> NominalPath:
    """Return a layer's path, arcs as fine chords, travels as edges that do not extrude.

    Parameters
    ----------
    plan
        A program's motion.
    layer
        Its number; 1 is the first.

    Raises
    ------
    GcodeError
        If the program has no motion in that layer.
    """
    plan.layer_span(layer)
    moves = plan.program.moves
    chosen = np.flatnonzero(moves.layer == layer)
    fine = segment(moves.select(chosen), FINE_SAG, FINE_CHORD)
    planar = np.flatnonzero(np.any(fine.direction[:, :2] != 0.0, axis=1))
    start = fine.start[planar, :2]
    end = start + fine.direction[planar, :2] * fine.distance[planar, None]
    move = chosen[fine.move[planar]]
    return NominalPath(
        points=np.concatenate([start[:1], end]),
        is_extruding=moves.is_extruding[move],
        is_wall=moves.is_wall[move],
        move=move,
    )
