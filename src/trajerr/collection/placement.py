"""Placement: the same part turned, and standing elsewhere on the bed.

Four parts in the middle of the bed would teach a network that x is about 110 mm, and that
an axis rarely rests while the other moves. Other people's parts stand elsewhere and lie
otherwise; the physics is the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trajerr.arrays import Floats
from trajerr.gcode.program import Moves, Program
from trajerr.motion.segments import segment

TURN = np.pi / 4  # infill at 45° comes to lie along the axes, where one of them rests,
TILT = np.radians([0.05, 5.0])  # or, in two of three draws, nearly so: there it creeps
MARGIN_MM = 5.0  # kept free around the bed
DRAWS = 16  # of turns, until the part fits


@dataclass(frozen=True)
class Placement:
    """Where a part comes to stand."""

    angle: float  # rad, counter-clockwise about the middle of the part
    middle: tuple[float, float]  # mm, where that is in the file
    shift: tuple[float, float]  # mm, of that middle

    def params(self) -> dict[str, str | float]:
        """Return it for the record."""
        x, y = self.shift
        return {"turned_deg": np.degrees(self.angle).item(), "shift_x_mm": x, "shift_y_mm": y}


IN_PLACE = Placement(0.0, (0.0, 0.0), (0.0, 0.0))


def draw(program: Program, bed_mm: Sequence[float], seed: int) -> Placement:
    """Draw a turn, about a multiple of 45°, and a place; a part that fits nowhere stays.

    Parameters
    ----------
    program
        A G-code file's moves, with positions from the bed's front left corner.
    bed_mm
        Size of the bed in x and y, mm.
    seed
        Of the draw.
    """
    random = np.random.default_rng(seed)
    points = _outline(program.moves)
    middle = _middle(points)
    low, high = np.full(2, MARGIN_MM), np.asarray(bed_mm[:2]) - MARGIN_MM
    for _ in range(DRAWS):
        angle = _turn(random)
        turned = (points - middle) @ _rotation(angle).T
        room = high - low - np.ptp(turned, axis=0)
        if np.all(room > 0.0):
            corner = low + room * random.uniform(size=2)
            shift = corner - turned.min(axis=0) - middle
            return Placement(angle, _pair(middle), _pair(shift))
    return IN_PLACE


def place(program: Program, placement: Placement) -> Program:
    """Return a program whose part stands elsewhere; its text is not touched.

    What comes before the first and after the last extrusion of a layer, such as purging and
    parking, happens where it did.
    """
    moves = program.moves
    part = _part(moves)
    rotation = _rotation(placement.angle)
    middle = np.asarray(placement.middle)
    target = middle + np.asarray(placement.shift)

    def moved(points: Floats) -> Floats:
        return np.asarray((points - middle) @ rotation.T + target)

    end, center = moves.end.copy(), moves.center.copy()
    end[part, :2] = moved(end[part, :2])
    center[part] = moved(center[part])
    start = moves.start.copy()
    linked = part & np.roll(part, 1)
    start[linked, :2] = moved(start[linked, :2])
    before = np.flatnonzero(np.diff(part.astype(int)) == 1) + 1  # travels to the part,
    after = np.flatnonzero(np.diff(part.astype(int)) == -1) + 1  # and away from it
    start[after, :2] = end[after - 1, :2]
    center[before], sweep = np.nan, moves.sweep.copy()
    sweep[before] = 0.0
    offset = np.where(part[:, None], moves.offset @ rotation.T, moves.offset)
    moved_moves = replace(moves, start=start, end=end, center=center, offset=offset, sweep=sweep)
    return replace(program, moves=moved_moves)


def _turn(random: np.random.Generator) -> float:
    angle = float(random.integers(round(2 * np.pi / TURN)) * TURN)
    tilt = float(np.exp(random.uniform(*np.log(TILT))))
    return angle + tilt * float(random.choice([0.0, -1.0, 1.0]))


def _part(moves: Moves) -> NDArray[np.bool_]:
    """Return (M,) which moves are turned: from the travel to the first extrusion on."""
    printing = np.flatnonzero(moves.is_extruding & (moves.layer > 0))
    part = np.zeros(len(moves), dtype=bool)
    if len(printing):
        planar = np.any(moves.end[:, :2] != moves.start[:, :2], axis=1)
        leading = np.flatnonzero(planar[: printing[0]])
        part[leading[-1] if len(leading) else printing[0] : printing[-1] + 1] = True
    return part


def _outline(moves: Moves) -> Floats:
    """Return (N, 2) mm points that the turned moves reach."""
    pieces = segment(moves.select(_part(moves)))
    return np.asarray((pieces.start + pieces.direction * pieces.distance[:, None])[:, :2])


def _middle(points: Floats) -> Floats:
    return np.asarray((points.min(axis=0) + points.max(axis=0)) / 2.0)


def _pair(vector: Floats) -> tuple[float, float]:
    return float(vector[0]), float(vector[1])


def _rotation(angle: float) -> Floats:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])
