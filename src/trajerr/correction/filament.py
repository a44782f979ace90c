"""Keep each piece of a correction below what a firmware extrudes at once.

Where a corrected command nearly stands (at the end of a wall, where it reverses), its pieces are
some micrometres long and would still lay down the filament of their time. Klipper refuses such a
move, and the whole print with it; one that is rounded to a standstill is filament alone, at which
all else stops. The filament is what it was; it only moves to the pieces beside.
"""

from dataclasses import replace

import numpy as np

from trajerr.arrays import Bools, Floats
from trajerr.correction.pieces import Pieces, Segmentation, rounded
from trajerr.correction.regions import ROUNDING
from trajerr.gcode.extrusion import filament_diameter, most_section
from trajerr.motion.planner import Plan

SHARE = 0.5  # of the greatest cross-section; rounding of short pieces may double one


def writable(segmentation: Segmentation, nominal: Plan) -> Segmentation:
    """Return pieces with x and y as they will be written, and filament that firmware takes.

    Parameters
    ----------
    segmentation
        Pieces.
    nominal
        The plan that they stand for.
    """
    program = nominal.program
    area = 0.25 * np.pi * filament_diameter(program.slicer) ** 2
    ends = rounded(segmentation, program.moves)
    return spread_filament(ends, nominal, most_section(program) / area)


def spread_filament(segmentation: Segmentation, nominal: Plan, most: float) -> Segmentation:
    """Return pieces none of which lays down more than a share of a limit, where that is possible.

    A piece of a move that goes somewhere, but stands still itself, lays down nothing: no line then.

    Parameters
    ----------
    segmentation
        Pieces with x and y as they will be written.
    nominal
        The plan that they stand for.
    most
        mm of filament per mm of path, that a firmware takes at most.
    """
    pieces = segmentation.pieces
    if not len(pieces):
        return segmentation
    begin, linked = _begins(pieces, nominal)
    laid = pieces.target[:, 3] - begin[:, 3]
    length = np.linalg.norm(pieces.target[:, :3] - begin[:, :3], axis=1)
    moves = nominal.program.moves
    goes = np.any(moves.end[pieces.move, :2] != moves.start[pieces.move, :2], axis=1)
    room = np.where(goes, SHARE * most * length, np.inf) - laid
    lays = goes & (laid > 0.0)
    linked[1:] &= lays[1:] & lays[:-1]
    over = np.flatnonzero((room < 0.0) & (laid > 0.0))
    if not len(over):
        return segmentation
    change = np.zeros(len(pieces))
    for piece in over.tolist():
        excess = -float(room[piece] - change[piece])
        for step in (1, -1):
            excess = _pass_on(piece, step, excess, room, change, linked)
    run = np.cumsum(~linked)
    total = np.cumsum(change)
    before = np.concatenate([[0.0], total])[np.searchsorted(run, run)]
    target = pieces.target.copy()
    target[:, 3] += np.where(np.abs(total - before) > 1e-12, total - before, 0.0)
    return replace(segmentation, pieces=replace(pieces, target=target))


def _begins(pieces: Pieces, nominal: Plan) -> tuple[Floats, Bools]:
    """Return where each piece begins, (K, 4) mm, and (K,) whether the one before ends there."""
    linked = np.zeros(len(pieces), dtype=bool)
    linked[1:] = (np.abs(pieces.start[1:] - pieces.end[:-1]) < ROUNDING) & (
        pieces.stretch[1:] == pieces.stretch[:-1]
    )
    begin = nominal.asked(pieces.start)
    # A retraction comes between pieces of one stretch, at one place.
    same = np.zeros(len(pieces), dtype=bool)
    same[1:] = pieces.stretch[1:] == pieces.stretch[:-1]
    begin[1:, :3] = np.where(same[1:, None], pieces.target[:-1, :3], begin[1:, :3])
    begin[1:, 3] = np.where(linked[1:], pieces.target[:-1, 3], begin[1:, 3])
    return begin, linked


def _pass_on(
    piece: int, step: int, excess: float, room: Floats, change: Floats, linked: Bools
) -> float:
    """Give filament to the pieces of one run in one direction; return what none has taken, mm."""
    place = piece + step
    while excess > 0.0 and 0 <= place < len(room) and linked[place if step > 0 else place + 1]:
        free = float(room[place] - change[place])
        if free > 0.0:
            taken = min(free, excess)
            change[place] += taken
            change[piece] -= taken
            excess -= taken
        place += step
    return excess
