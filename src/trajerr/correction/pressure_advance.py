"""What pressure advance asks of an extruder: K times the acceleration of the filament.

Klipper moves the filament by ``E + K · dE/dt`` on moves that print, smoothed by a triangle of
40 ms (``klippy/chelper/kin_extruder.c``), so that the extruder runs faster or slower than the
file says by ``K · dv_e/dt``. Smoothed so, ``dv_e/dt`` is the second difference of E over half the
triangle's width.
"""

import re

import numpy as np

from trajerr.arrays import Floats
from trajerr.gcode.klipper_rests import SMOOTH_TIME
from trajerr.gcode.program import MoveKind, Program
from trajerr.motion.planner import Plan
from trajerr.motion.rests import without_long_rests
from trajerr.motion.sampling import sample_pieces

RATE_HZ = 250.0
MOST_S = 10.0  # that firmware takes for K
_STATED = re.compile(
    rb"^[ \t]*(?:M900\b[^;\r\n]*?[ \t]K|SET_PRESSURE_ADVANCE\b[^;\r\n]*?\bADVANCE=)"
    rb"([0-9]*\.?[0-9]+)",
    re.IGNORECASE | re.MULTILINE,
)


def stated_advance(program: Program) -> float | None:
    """Return the largest K, s, that a file sets (M900 K, SET_PRESSURE_ADVANCE); None: none.

    Slicers state K of Marlin's former linear advance beside, tens of another unit, which firmware
    of today refuses as out of range (``Marlin/src/gcode/feature/advance/M900.cpp``).
    """
    stated = (float(value) for value in _STATED.findall(program.text))
    return max((value for value in stated if value <= MOST_S), default=None)


def peak_filament_acceleration(planned: Plan) -> float:
    """Return the largest ``|dv_e/dt|``, mm/s² of filament, on moves that print.

    Parameters
    ----------
    planned
        A program's motion.
    """
    moving = without_long_rests(planned)
    reach = round(SMOOTH_TIME / 2.0 * RATE_HZ)
    fed, known, peak = 0.0, np.zeros(0), 0.0
    end = float(moving.start_time[-1] + moving.duration[-1])
    for piece in sample_pieces(moving, RATE_HZ, 0.0, end):
        prints = piece.kind == MoveKind.PRINT
        step = np.diff(piece.extrusion, prepend=piece.extrusion[:1]) * prints
        laid = fed + np.cumsum(np.where(step > 0.0, step, 0.0))
        fed = float(laid[-1]) if len(laid) else fed
        known = np.concatenate([known, laid])
        peak = max(peak, _steepest(known, reach))
        known = known[-2 * reach :]
    return peak


def _steepest(laid: Floats, reach: int) -> float:
    """Return the largest second difference of E a square second."""
    if len(laid) <= 2 * reach:
        return 0.0
    bend = laid[2 * reach :] - 2.0 * laid[reach:-reach] + laid[: -2 * reach]
    return float(np.max(np.abs(bend))) / (reach / RATE_HZ) ** 2
