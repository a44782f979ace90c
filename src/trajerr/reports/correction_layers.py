"""A replayed correction as layers to look at: the walls before and after, on their nominal path."""

import numpy as np

from trajerr.arrays import Floats
from trajerr.metrics.closed_loop import UNCORRECTED, Replay, WallMotion
from trajerr.reports.corners import runs
from trajerr.reports.viewer_data import Quantity, Track, ViewedLayer

UM = 1000.0  # µm per mm
WITHIN = np.array([-1e-7, 1e-7])  # mm, of rounding of progress
RATE_HZ = 1000.0  # of the samples that are looked at
QUANTITIES = {
    "contour": Quantity("contour error", "µm"),
    "speed": Quantity("nozzle's speed", "mm/s"),
}
BEFORE, AFTER = "as sliced", "corrected"


def viewed_layer(replay: Replay, number: int, before: WallMotion, after: WallMotion) -> ViewedLayer:
    """Return a layer of a replay as it is looked at.

    Parameters
    ----------
    replay
        The nominal program and the corrected one.
    number
        Of the layer.
    before, after
        The motion on its walls.
    """
    every = max(round(replay.sample_rate_hz / RATE_HZ), 1)
    tracks = [_track(name, motion, every) for name, motion in ((BEFORE, before), (AFTER, after))]
    height = float(replay.nominal.layer_z[number])
    return ViewedLayer(number, height, tracks, _nominal(replay, number))


def _track(name: str, motion: WallMotion, every: int) -> Track:
    rows, starts, speeds, count = [], [], [], 0
    for line in runs(motion):
        chosen = np.arange(line.start, line.stop)[::every]
        starts.append(count)
        count += len(chosen)
        rows.append(chosen)
        speeds.append(_speed(motion.actual[line], motion.time[line])[::every])
    at = np.concatenate(rows)
    values = {"contour": UM * np.abs(motion.contour[at]), "speed": np.concatenate(speeds)}
    deviation = motion.actual[at] - motion.foot[at]
    return Track(name, motion.foot[at], np.array(starts), values, deviation)


def _speed(xy: Floats, time: Floats) -> Floats:
    """Return (N,) mm/s of an uninterrupted motion of at least two samples."""
    return np.asarray(np.linalg.norm(np.gradient(xy, time, axis=0), axis=1))


def _nominal(replay: Replay, layer: int) -> list[Floats]:
    """Return the walls of a layer as polylines, (V, 2) mm."""
    moves, path = replay.plans[UNCORRECTED].program.moves, replay.path
    wall = moves.is_extruding & np.isin(moves.feature, list(replay.features))
    wall &= moves.layer == layer
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wall, [False]]).astype(int)))
    ends = path.move_progress[edges].reshape(-1, 2)
    found = [path.vertices[slice(*np.searchsorted(path.progress, pair + WITHIN))] for pair in ends]
    return [line for line in found if len(line) > 1]
