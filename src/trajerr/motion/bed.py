"""Where a printer's bed is in a file's coordinates, and what leaves it.

A file may count from the bed's corner, from its middle, or from elsewhere. A printer is
described from the front left corner of its bed, so a program is moved there before anything
is simulated, predicted or corrected: :func:`from_corner`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from trajerr.arrays import Bools, Floats, Ints
from trajerr.errors import GcodeError
from trajerr.gcode.program import WALLS, FeatureType, MoveKind, Program
from trajerr.gcode.stated_bed import StatedBed, read_stated_bed
from trajerr.motion.segments import segment

AXIS_NAMES = "XYZ"
MARGIN = 5.0  # mm; purge lines and brims reach a little over the edge of the bed


@dataclass(frozen=True)
class Bed:
    """The box in which a printer prints."""

    size: Sequence[float]  # mm, reach of x, y, z
    low: tuple[float, float] = (0.0, 0.0)  # mm, what x and y are at its front left corner
    stated: StatedBed | None = None  # by the file

    @classmethod
    def of(
        cls,
        slicer: Mapping[str, str],
        size: Sequence[float],
        origin: Sequence[float] | None = None,
    ) -> Self:
        """Return where a printer's bed is in the coordinates of a file.

        Parameters
        ----------
        slicer
            The file's slicer settings.
        size
            Of the printer's bed in x, y and z, mm.
        origin
            x and y of its front left corner in G-code, mm; ``None``: as the file says, and
            0, 0 where it says nothing.
        """
        stated = read_stated_bed(slicer)
        if origin is not None:
            low = (origin[0], origin[1])
        else:
            low = stated.corner((size[0], size[1])) if stated else (0.0, 0.0)
        return cls(tuple(size), low, stated)

    @property
    def from_corner(self) -> Self:
        """The same bed where coordinates count from its front left corner."""
        return replace(self, low=(0.0, 0.0), stated=None)

    @property
    def corners(self) -> tuple[Floats, Floats]:
        """The least and the greatest (3,) x, y, z, mm."""
        low = np.array([*self.low, 0.0])
        return low, low + np.asarray(self.size)

    def beyond(self, points: Floats) -> Floats:
        """Return how far (N, 3) points are off the bed along each axis, (N, 3) mm; 0 on it."""
        return np.asarray(points - np.clip(points, *self.corners))

    def held(self, points: Floats, base: Floats) -> Floats:
        """Return (N, 2) points in mm, none further off the bed than its (N, 2) base is."""
        low, high = self.corners
        return np.clip(points, np.minimum(base, low[:2]), np.maximum(base, high[:2]))


def from_corner(program: Program, bed: Bed) -> Program:
    """Return a program whose positions count from the bed's front left corner.

    Its text stays, and lines that are written for it are in the file's own coordinates:
    the logical zeros move along.
    """
    if not any(bed.low):
        return program
    moves, shift = program.moves, np.array([*bed.low, 0.0, 0.0])
    moved = replace(
        moves,
        start=moves.start - shift,
        end=moves.end - shift,
        center=moves.center - shift[:2],
        origin=moves.origin - shift,
    )
    return replace(program, moves=moved)


def check_inside(
    program: Program,
    bed: Bed,
    features: Collection[int] | None = None,
    layers: Collection[int] | None = None,
    margin: float = MARGIN,
) -> None:
    """Raise if a wall leaves the bed.

    What else leaves it, such as purging, wiping and parking, is the firmware's business;
    :func:`bed_notes` tells of it.

    Parameters
    ----------
    program
        A G-code file's moves, in its own coordinates.
    bed
        In the same coordinates.
    features
        Feature types that count as walls; ``None``: walls, and all that is printed where the
        file does not say what a wall is.
    layers
        That matter; ``None``: all.
    margin
        How far a wall may leave the bed, mm.

    Raises
    ------
    GcodeError
        Naming file and line of the first wall outside.
    """
    moves = program.moves
    wanted = _walls(program) if features is None else features
    chosen = moves.is_extruding & np.isin(moves.feature, list(wanted)) & (moves.layer > 0)
    if layers is not None:
        chosen &= np.isin(moves.layer, list(layers))
    move, start, end = _pieces(program, chosen)
    move, reached = np.repeat(move, 2), np.stack([start, end], axis=1).reshape(-1, 3)
    beyond = np.abs(bed.beyond(reached)) > margin
    bad = np.flatnonzero(beyond.any(axis=1))
    if len(bad):
        axis = int(np.flatnonzero(beyond[bad[0]])[0])
        low, high = (corner[axis] for corner in bed.corners)
        generally = f"give the printer's bed, printer.bed_mm, and {_advice(bed)}"
        raise GcodeError(
            f"{program.name}:{int(moves.line[move[bad[0]]]) + 1}: the wall leaves the bed at "
            f"{AXIS_NAMES[axis]}{reached[bad[0], axis]:.6g} mm, expected {low:g} to {high:g} mm "
            f"(margin {margin:g} mm); {_larger(bed, margin) or generally}"
        )


def bed_notes(program: Program, bed: Bed, margin: float = MARGIN) -> tuple[str, ...]:
    """Return what is worth telling of a file's bed and of the moves that leave it, a line each.

    Moves before the first layer and after the last extrusion are not told of: many machines
    purge and park beside the bed.

    Parameters
    ----------
    program
        A G-code file's moves, in its own coordinates.
    bed
        In the same coordinates.
    margin
        How far a move may leave the bed without being told of, mm; and how much beds may
        differ.
    """
    notes = [_larger(bed, margin), _elsewhere(bed, margin), _leaving(program, bed, margin)]
    return tuple(f"{program.name}: {note}" for note in notes if note)


def _larger(bed: Bed, margin: float) -> str:
    size = bed.stated.size if bed.stated else None
    if size is None or all(a <= b + margin for a, b in zip(size, bed.size, strict=False)):
        return ""
    return (
        f"sliced for a bed of {size[0]:g} by {size[1]:g} mm; the printer's is "
        f"{bed.size[0]:g} by {bed.size[1]:g} mm (printer.bed_mm)"
    )


def _elsewhere(bed: Bed, margin: float) -> str:
    if bed.stated is None:
        return ""
    x, y = bed.stated.corner((bed.size[0], bed.size[1]))
    if max(abs(x - bed.low[0]), abs(y - bed.low[1])) <= margin:
        return ""
    return (
        f"says that the bed begins at X{x:g} Y{y:g}, but printer.bed_origin_mm is "
        f"[{bed.low[0]:g},{bed.low[1]:g}], which holds"
    )


def _leaving(program: Program, bed: Bed, margin: float) -> str:
    moves = program.moves
    goes = (moves.kind == MoveKind.PRINT) | (moves.kind == MoveKind.TRAVEL)
    last = np.flatnonzero(moves.is_extruding)[-1:]
    goes[last[0] + 1 if len(last) else len(moves) :] = False
    move, _, reached = _pieces(program, goes & (moves.layer > 0))
    beyond = np.abs(bed.beyond(reached))
    out = np.flatnonzero((beyond > margin).any(axis=1))
    if not len(out):
        return ""
    count = len(np.unique(move[out]))
    row, axis = np.unravel_index(np.argmax(beyond), beyond.shape)
    what = "1 move leaves" if count == 1 else f"{count} moves leave"
    unsaid = bed.stated is None and not any(bed.low) and moves.is_extruding[move[out]].any()
    hint = f"; {_advice(bed)}" if unsaid else ""
    return (
        f"{what} the bed by up to {beyond[row, axis]:.4g} mm, to "
        f"{AXIS_NAMES[axis]}{reached[row, axis]:.6g} (the first in line "
        f"{int(moves.line[move[out[0]]]) + 1}); that is left to the firmware{hint}"
    )


def _advice(bed: Bed) -> str:
    middle = ",".join(f"{-size / 2.0:g}" for size in bed.size[:2])
    return f"if X0 Y0 is the bed's middle, printer.bed_origin_mm=[{middle}]"


def _walls(program: Program) -> Collection[int]:
    return WALLS if np.any(program.moves.is_wall) else frozenset({FeatureType.UNKNOWN})


def _pieces(program: Program, chosen: Bools) -> tuple[Ints, Floats, Floats]:
    """Return (S,) move and (S, 3) mm where straight pieces of (M,) chosen moves begin and end."""
    rows = np.flatnonzero(chosen)
    pieces = segment(program.moves.select(rows))
    end = pieces.start + pieces.direction * pieces.distance[:, None]
    return rows[pieces.move], pieces.start[:, :3], np.asarray(end[:, :3])
