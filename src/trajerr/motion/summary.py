"""What a plan amounts to: times, distances and filament."""

import numpy as np

from trajerr.gcode.program import FeatureType, MoveKind
from trajerr.motion.planner import Plan

Summary = dict[str, float | int | dict[str, float]]


def summarise(planned: Plan) -> Summary:
    """Return a plan's totals as a plain, JSON-ready mapping.

    Parameters
    ----------
    planned
        A program's motion.

    Returns
    -------
    dict
        ``print_time_s``, ``layers`` (that print), ``moves`` (of the file), ``segments``,
        ``print_distance_mm``, ``travel_distance_mm``, ``extruded_mm`` (filament that printing
        moves ask for, as slicers count it), ``fed_mm`` (what flow rates, M221, make of it),
        ``time_by_kind_s`` and ``time_by_feature_s`` (of the moves that print).
    """
    moves = planned.program.moves
    kind, feature = moves.kind[planned.move], moves.feature[planned.move]
    distance, duration = planned.segments.distance, planned.duration
    filament = planned.segments.direction[:, 3] * distance
    asked = filament / moves.flow[planned.move]
    prints = kind == MoveKind.PRINT
    return {
        "print_time_s": planned.print_time,
        "layers": len(planned.layers),
        "moves": len(moves),
        "segments": len(planned),
        "print_distance_mm": float(distance[prints].sum()),
        "travel_distance_mm": float(distance[kind == MoveKind.TRAVEL].sum()),
        "extruded_mm": float(asked[prints].sum()),
        "fed_mm": float(filament[prints].sum()),
        "time_by_kind_s": {
            MoveKind(k).name.lower(): float(duration[kind == k].sum()) for k in np.unique(kind)
        },
        "time_by_feature_s": {
            FeatureType(f).name.lower(): float(duration[prints & (feature == f)].sum())
            for f in np.unique(feature[prints])
        },
    }
