"""Contour error: how far the nozzle is from the nominal path, regardless of time.

Knows geometry only. Walls of one layer run 0.4 mm apart, so the nearest point of the whole
layer may lie on a neighbour; each actual point is therefore compared with the part of the
path near the progress at which it was commanded.
"""

import numpy as np

from trajerr.arrays import Floats
from trajerr.dynamics.compiled import compiled
from trajerr.motion.path import NominalPath

REACH = 1.5  # mm of path searched before and after the progress of a point


def contour_offsets(
    actual: Floats, path: NominalPath, progress: Floats, reach: float = REACH
) -> Floats:
    """Return the signed distance of actual points to the path near their progress.

    Parameters
    ----------
    actual : (N, 2)
        Where the nozzle was, mm.
    path
        The nominal path.
    progress : (N,)
        Roughly how far along the path each point was commanded to be, mm.
    reach
        How much of the path before and after that progress is searched, mm. It must
        exceed the tracking error and stay below the length of a loop.

    Returns
    -------
    (N,)
        mm, positive where the nozzle is left of the path in the direction of travel.

    Raises
    ------
    ValueError
        If the arrays' lengths differ.
    """
    return contour_feet(actual, path, progress, reach)[0]


def contour_feet(
    actual: Floats, path: NominalPath, progress: Floats, reach: float = REACH
) -> tuple[Floats, Floats]:
    """Return the signed distance of actual points to the path, and the nearest points on it.

    Parameters
    ----------
    actual, path, progress, reach
        As for :func:`contour_offsets`.

    Returns
    -------
    offset : (N,)
        mm, positive where the nozzle is left of the path in the direction of travel.
    foot : (N, 2)
        mm.

    Raises
    ------
    ValueError
        If the arrays' lengths differ.
    """
    if actual.shape != (len(progress), 2):
        message = f"actual has shape {actual.shape}, expected ({len(progress)}, 2) like progress"
        raise ValueError(message)
    offset, foot = _nearest(
        np.ascontiguousarray(actual, dtype=np.float64),
        np.ascontiguousarray(path.vertices),
        path.progress,
        np.ascontiguousarray(progress, dtype=np.float64),
        float(reach),
    )
    return np.asarray(offset), np.asarray(foot)


@compiled
def _nearest(
    actual: Floats, vertices: Floats, along: Floats, progress: Floats, reach: float
) -> tuple[Floats, Floats]:
    offsets, feet = np.empty(len(actual)), actual.copy()
    segments = len(vertices) - 1
    for i in range(len(actual)):
        first = np.searchsorted(along, progress[i] - reach) - 1
        last = np.searchsorted(along, progress[i] + reach)
        best = np.inf
        side = 0.0
        for j in range(max(first, 0), min(last, segments)):
            dx = vertices[j + 1, 0] - vertices[j, 0]
            dy = vertices[j + 1, 1] - vertices[j, 1]
            px = actual[i, 0] - vertices[j, 0]
            py = actual[i, 1] - vertices[j, 1]
            square = dx * dx + dy * dy
            if square == 0.0:
                continue
            t = min(max((px * dx + py * dy) / square, 0.0), 1.0)
            distance = (px - t * dx) ** 2 + (py - t * dy) ** 2
            if distance < best:
                best = distance
                side = dx * py - dy * px
                feet[i, 0] = vertices[j, 0] + t * dx
                feet[i, 1] = vertices[j, 1] + t * dy
        offsets[i] = np.sqrt(best) if side >= 0.0 else -np.sqrt(best)
    return offsets, feet
