"""Which samples belong together: by feature type, commanded speed, turning angle.

Every function returns groups as ``{name: (N,) membership}``, in the order to print them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trajerr.arrays import Floats
from trajerr.gcode.program import WALLS, FeatureType

Groups = dict[str, NDArray[np.bool_]]

INFILL = frozenset({FeatureType.INFILL, FeatureType.SOLID_INFILL, FeatureType.TOP_SURFACE})
TURN_LOOKBACK = 0.1  # s: two periods of a 20 Hz carriage, while a corner's ringing is strong


def by_feature_type(
    feature: NDArray[np.uint8], extruding: NDArray[np.bool_], travel: NDArray[np.bool_]
) -> Groups:
    """Group into walls, infill (solid and top included), travel, and the rest.

    Parameters
    ----------
    feature : (N,)
        FeatureType of each sample.
    extruding, travel : (N,)
        Whether the nozzle prints, whether it moves without printing.
    """
    walls = np.isin(feature, list(WALLS)) & extruding
    infill = np.isin(feature, list(INFILL)) & extruding
    return {
        "walls": walls,
        "infill": infill,
        "travel": travel,
        "other": ~(walls | infill | travel),
    }


def by_label(labels: NDArray[np.str_]) -> Groups:
    """Group by name, alphabetically; ``labels`` is (N,)."""
    return {str(label): labels == label for label in np.unique(labels)}


def by_bins(values: Floats, edges: Sequence[float], unit: str) -> Groups:
    """Group into ``edges[i] ≤ value < edges[i+1]``; the last bin takes all above its edge.

    Parameters
    ----------
    values : (N,)
        In ``unit``.
    edges
        Lower edges, rising. Values below the first edge belong to no group.
    unit
        For the groups' names.
    """
    uppers = [*edges[1:], np.inf]
    return {
        f"{low:g}–{high:g} {unit}" if np.isfinite(high) else f"≥ {low:g} {unit}": (values >= low)
        & (values < high)
        for low, high in zip(edges, uppers, strict=True)
    }


def turning_angle(velocity: Floats, sample_rate: float, lookback: float = TURN_LOOKBACK) -> Floats:
    """Return the largest angle between the direction now and any within ``lookback``.

    A corner, a sharp curve and a reversal all count, for as long as they ring; a straight
    line counts 0. At rest the last direction holds; before the first motion the angle is 0.

    Parameters
    ----------
    velocity : (N, 2)
        Commanded, mm/s.
    sample_rate
        Hz.
    lookback
        s.

    Returns
    -------
    numpy.ndarray : (N,)
        degrees, 0 … 180.
    """
    heading = _headings(velocity)
    smallest = np.ones(len(heading))
    for lag in range(1, min(round(lookback * sample_rate), len(heading) - 1) + 1):
        cosine = np.sum(heading[lag:] * heading[:-lag], axis=1)
        known = np.any(heading[:-lag] != 0, axis=1)
        smallest[lag:] = np.where(known, np.minimum(smallest[lag:], cosine), smallest[lag:])
    return np.asarray(np.degrees(np.arccos(np.clip(smallest, -1.0, 1.0))))


def _headings(velocity: Floats) -> Floats:
    """Return (N, 2) unit directions, held at rest; zero before the first motion."""
    speed = np.linalg.norm(velocity, axis=1)
    moving = speed > 1e-3  # mm/s: slower is rounding, not travel
    last = np.maximum.accumulate(np.where(moving, np.arange(len(speed)), -1))
    unit = velocity / np.where(moving, speed, 1.0)[:, np.newaxis]
    return np.where((last >= 0)[:, np.newaxis], unit[np.maximum(last, 0)], 0.0)
