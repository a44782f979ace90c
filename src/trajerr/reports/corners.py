"""Where a motion has sharp corners, and at which of them a print errs most."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from trajerr.arrays import Floats
from trajerr.metrics.closed_loop import WallMotion

NEAR, SHARP = 1.0, np.radians(40.0)  # mm and rad: a path that turns so much so fast has a corner
WINDOW = 16.0  # side of a close-up, in multiples of the uncorrected error there
LEAST_SIDE, MOST_SIDE = 0.4, 6.0  # mm
APART = 2.0  # mm between two close-ups, whatever their layers


@dataclass(frozen=True)
class Corner:
    """A close-up: a square around the place of an error, before and after."""

    layer: int
    centre: Floats  # (2,) mm
    side: float  # mm
    lines: tuple[Floats, ...]  # (V, 2) mm each: the nominal path
    before: tuple[Floats, ...]  # where the nozzle goes
    after: tuple[Floats, ...]
    before_mm: float  # the largest contour error within
    after_mm: float


def runs(motion: WallMotion) -> list[slice]:
    """Return the uninterrupted stretches of a motion."""
    step = float(np.median(np.diff(motion.time)))
    breaks = np.flatnonzero(np.diff(motion.time) > 1.5 * step) + 1
    edges = [0, *breaks.tolist(), len(motion.time)]
    return [slice(a, b) for a, b in pairwise(edges) if b - a > 1]


def near_corners(motion: WallMotion) -> NDArray[np.bool_]:
    """Return (N,) which samples lie within 1 mm of a sharp corner; all where there is none."""
    near = np.zeros(len(motion.time), dtype=bool)
    for line in runs(motion):
        xy = motion.nominal[line]
        heading = np.unwrap(np.arctan2(*np.diff(xy, axis=0).T[::-1]))
        progress = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(xy, axis=0), axis=1))])
        ahead = np.interp(progress + NEAR / 2, progress[1:], heading)
        behind = np.interp(progress - NEAR / 2, progress[1:], heading)
        near[line] = np.abs(ahead - behind) > SHARP
    return near if near.any() else ~near


def close_ups(layer: int, before: WallMotion, after: WallMotion, count: int) -> list[Corner]:
    """Return the corners of a layer where the uncorrected print errs most, at most ``count``."""
    error = np.abs(before.contour) * near_corners(before)
    found: list[Corner] = []
    for _ in range(count):
        worst = int(np.argmax(error))
        if error[worst] <= 0.0:
            break
        centre = before.foot[worst]
        found.append(_close_up(layer, before, after, centre, float(error[worst])))
        error[np.linalg.norm(before.foot - centre, axis=1) < APART] = 0.0
    return found


def worst(corners: Iterable[Corner], count: int) -> list[Corner]:
    """Return the worst first, at most ``count``, no two of them at nearly the same place."""
    kept: list[Corner] = []
    for corner in sorted(corners, key=lambda corner: -corner.before_mm):
        if all(np.linalg.norm(corner.centre - other.centre) >= APART for other in kept):
            kept.append(corner)
    return kept[:count]


def _close_up(
    layer: int, before: WallMotion, after: WallMotion, centre: Floats, error: float
) -> Corner:
    side = float(np.clip(WINDOW * error, LEAST_SIDE, MOST_SIDE))
    within = _inside(after.foot, centre, side)
    left = float(np.max(np.abs(after.contour[within]), initial=0.0))
    return Corner(
        layer, centre, side,
        _pieces(before, before.nominal, centre, side),
        _pieces(before, before.actual, centre, side),
        _pieces(after, after.actual, centre, side),
        error, left,
    )  # fmt: skip


def _inside(xy: Floats, centre: Floats, side: float) -> NDArray[np.bool_]:
    return np.asarray(np.max(np.abs(xy - centre), axis=1) <= side / 2.0)


def _pieces(motion: WallMotion, xy: Floats, centre: Floats, side: float) -> tuple[Floats, ...]:
    """Return the parts of a motion's lines that run through a square, with one sample beyond."""
    found = []
    for line in runs(motion):
        points = xy[line]
        inside = _inside(points, centre, side)
        inside = inside | np.append(inside[1:], False) | np.insert(inside[:-1], 0, False)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(int)))
        found += [points[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > 1]
    return tuple(found)
