"""Arcs as straight pieces, cut as each firmware cuts them.

Knows geometry only; :func:`cutting` says which rule a firmware has.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trajerr.arrays import Floats, Ints
from trajerr.gcode.firmware import is_klipper
from trajerr.gcode.program import Moves
from trajerr.motion.limits import MARLIN, MachineLimits

SAG = 0.005  # mm, the farthest that a planned chord leaves its arc
CHORD = 1.0  # mm, the longest chord of an arc
NOTHING = 1e-9  # mm; shorter is rounding, not motion

CIRCLE_PIECES = 72  # Marlin: the fewest of a whole circle, MIN_CIRCLE_SEGMENTS
LONGEST, SHORTEST = 1.0, 0.1  # mm of a piece, Marlin's MAX_ARC_SEGMENT_MM, MIN_ARC_SEGMENT_MM
EXACT_EVERY = 25  # pieces; between, Marlin turns the radius by a short series, N_ARC_CORRECTION
SAME = 1e-6  # mm between start and end of Marlin's full circle


@dataclass(frozen=True)
class Cutting:
    """How arcs become straight pieces."""

    counts: Callable[[Moves, Ints], Ints]  # of moves and (A,) rows of arcs: (A,) how many
    points: Callable[[Moves, Ints, Ints, Ints], Floats]  # of moves, (N,) rows of arcs, (N,) which
    #   piece has been completed and (N,) of how many: (N, 2) x and y, mm


def cut(moves: Moves, cutting: Cutting) -> tuple[Ints, Ints, Floats]:
    """Return moves as straight pieces.

    Parameters
    ----------
    moves
        M moves. A helix is linear in z and e along its angle.
    cutting
        How arcs are cut.

    Returns
    -------
    tuple
        (M,) into how many pieces each move is cut, (N,) each piece's move, and (N, 4) x y z e
        where it ends, mm.
    """
    counts = np.ones(len(moves), dtype=np.int64)
    arcs = np.flatnonzero(moves.sweep)
    if len(arcs):
        counts[arcs] = cutting.counts(moves, arcs)
    owner = np.repeat(np.arange(len(moves)), counts)
    end = moves.end[owner]
    if len(owner) > len(moves):
        total = counts[owner]
        done = np.arange(1, len(owner) + 1) - np.repeat(np.cumsum(counts) - counts, counts)
        inner = np.flatnonzero(done < total)
        arc, done, total = owner[inner], done[inner], total[inner]
        start = moves.start[arc]
        end[inner] = start + (end[inner] - start) * (done / total)[:, None]
        end[inner, :2] = cutting.points(moves, arc, done, total)
    return counts, owner, end


def by_sag(sag: float = SAG, chord: float = CHORD) -> Cutting:
    """Cut arcs into equal chords that stay near them.

    Parameters
    ----------
    sag
        How far a chord may leave its arc, mm.
    chord
        The longest chord, mm.
    """

    def counts(moves: Moves, arcs: Ints) -> Ints:
        radius = np.hypot(*(moves.start[arcs, :2] - moves.center[arcs]).T)
        # A chord that spans the angle 2h leaves the circle by r·(1 − cos h) = 2r·sin²(h/2).
        widest = 4.0 * np.arcsin(np.sqrt(np.minimum(sag / np.maximum(radius, sag), 1.0) / 2.0))
        angle = np.minimum(widest, chord / np.maximum(radius, NOTHING))
        pieces = np.ceil(np.abs(moves.sweep[arcs]) / angle)
        return np.asarray(np.maximum(1, pieces), dtype=np.int64)

    return Cutting(counts, _on_the_arc)


def _on_the_arc(moves: Moves, arcs: Ints, done: Ints, total: Ints) -> Floats:
    """Return points on the arc; a spiral, whose ends differ by rounding, is linear in radius."""
    center, part = moves.center[arcs], done / total
    before, after = moves.start[arcs, :2] - center, moves.end[arcs, :2] - center
    radius = np.hypot(*before.T) * (1.0 - part) + np.hypot(*after.T) * part
    angle = np.arctan2(before[:, 1], before[:, 0]) + moves.sweep[arcs] * part
    return np.asarray(center + radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)]))


def _marlin_sweep(moves: Moves, arcs: Ints) -> Floats:
    """Return (A,) swept angles around the centres that the file gives, rad, signed."""
    # In its single precision, which decides into how many pieces an eighth of a circle goes.
    offset = moves.offset[arcs].astype(np.float32)
    start, end = (
        (point[arcs, :2] - moves.origin[arcs, :2]).astype(np.float32)
        for point in (moves.start, moves.end)
    )
    ahead = end - (start + offset)
    cross = offset[:, 1] * ahead[:, 0] - offset[:, 0] * ahead[:, 1]
    angle = np.arctan2(cross, -np.einsum("ij,ij->i", offset, ahead)).astype(np.float64)
    sweep = moves.sweep[arcs]
    turn = 2.0 * np.pi
    whole = np.all(np.abs(end - start) < SAME, axis=1)
    around = np.where(whole, 0.0, np.mod(np.sign(sweep) * angle, turn))
    return np.sign(sweep) * (around + turn * np.round((np.abs(sweep) - around) / turn))


def _marlin_counts(moves: Moves, arcs: Ints) -> Ints:
    radius = np.hypot(*moves.offset[arcs].T)
    angle = np.abs(_marlin_sweep(moves, arcs))
    length = radius * angle
    portion = (angle / (2.0 * np.pi)).astype(np.float32)
    fewest = np.ceil(np.float32(CIRCLE_PIECES) * portion)
    wanted = np.maximum(np.floor(length / LONGEST), fewest)
    piece = length / np.maximum(wanted, 1.0)
    longer, shorter = np.ceil(length / LONGEST), np.floor(length / SHORTEST)
    counts = np.where(piece > LONGEST, longer, np.where(piece < SHORTEST, shorter, wanted))
    return np.asarray(np.maximum(counts, 1), dtype=np.int64)


def _marlin_points(moves: Moves, arcs: Ints, done: Ints, total: Ints) -> Floats:
    """Return points at the start's radius around the given centre; the arc's last is its end."""
    spoke, step = -moves.offset[arcs], _marlin_sweep(moves, arcs) / total
    sine, cosine = step - step**3 / 6.0, 1.0 - step**2 / 2.0
    turns = done % EXACT_EVERY
    angle = (done - turns) * step + turns * np.arctan2(sine, cosine)
    longer = np.hypot(sine, cosine) ** turns
    cos, sin = longer * np.cos(angle), longer * np.sin(angle)
    x, y = spoke.T
    turned = np.column_stack([x * cos - y * sin, x * sin + y * cos])
    return np.asarray(moves.start[arcs, :2] + moves.offset[arcs] + turned)


def as_klipper(resolution: float) -> Cutting:
    """Cut arcs as Klipper does.

    As many whole times as the resolution goes into an arc's length, and at least once: chords are
    longer than it, and nothing bounds how far they leave the arc. They keep the radius at which
    the arc starts; the last one ends where the file says.

    Parameters
    ----------
    resolution
        Klipper's ``resolution`` of ``[gcode_arcs]``, mm.

    References
    ----------
    Klipper `klippy/extras/gcode_arcs.py`, `ArcSupport.planArc`.
    """

    def counts(moves: Moves, arcs: Ints) -> Ints:
        radius = np.hypot(*(moves.start[arcs, :2] - moves.center[arcs]).T)
        rise = moves.end[arcs, 2] - moves.start[arcs, 2]
        length = np.hypot(radius * moves.sweep[arcs], rise)
        return np.asarray(np.maximum(1, np.floor(length / resolution)), dtype=np.int64)

    def points(moves: Moves, arcs: Ints, done: Ints, total: Ints) -> Floats:
        center = moves.center[arcs]
        x, y = (moves.start[arcs, :2] - center).T
        angle = np.arctan2(y, x) + moves.sweep[arcs] * (done / total)
        turned = np.column_stack([np.cos(angle), np.sin(angle)])
        return np.asarray(center + np.hypot(x, y)[:, None] * turned)

    return Cutting(counts, points)


BY_SAG = by_sag()
AS_MARLIN = Cutting(_marlin_counts, _marlin_points)
"""Marlin 2.1, ``G2_G3.cpp``, ``plan_arc``: at least 72 pieces a circle, of 0.1 to 1 mm."""


def cutting(limits: MachineLimits) -> Cutting:
    """Return how the firmware of a machine cuts arcs."""
    if is_klipper(limits.firmware):
        return as_klipper(limits.arc_resolution_mm)
    return AS_MARLIN if limits.firmware in MARLIN else by_sag()
