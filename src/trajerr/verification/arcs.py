"""Arcs as Marlin's ``G2_G3.cpp`` and Klipper's ``gcode_arcs.py`` read them, in the plane."""

import math
from collections.abc import Sequence

from trajerr.verification.parsing import Arc

Point = tuple[float, float, float]
Planar = tuple[float, float]


def sweep(start: Point, end: Point, arc: Arc, unit: float) -> tuple[Planar, float]:
    """Return the centre in mm and the angle in rad, counter-clockwise positive.

    Parameters
    ----------
    start, end
        In mm; equal ends are a whole circle.
    arc
        Its words.
    unit
        mm per unit of them.
    """
    if arc.radius is not None:
        center = _center(start, end, arc.radius * unit, arc.clockwise)
    else:
        center = (start[0] + arc.i * unit, start[1] + arc.j * unit)
    x, y = start[0] - center[0], start[1] - center[1]
    u, v = end[0] - center[0], end[1] - center[1]
    angle = math.atan2(x * v - y * u, x * u + y * v)
    if start[:2] == end[:2]:
        angle = math.tau
    elif angle < 0.0:
        angle += math.tau
    return center, angle - (math.tau if arc.clockwise and angle < math.tau else 0.0)


def _center(start: Point, end: Point, radius: float, clockwise: bool) -> Planar:
    """Return the centre of the shorter arc, of the longer one for a negative radius."""
    x, y = end[0] - start[0], end[1] - start[1]
    chord = math.hypot(x, y)
    if chord == 0.0:
        return (start[0], start[1])
    height = math.sqrt(max(0.0, radius * radius - chord * chord / 4.0))
    side = -height if clockwise != (radius < 0.0) else height
    return (start[0] + x / 2 - side * y / chord, start[1] + y / 2 + side * x / chord)


def outermost(start: Point, center: Planar, radius: float, angle: float) -> Sequence[Point]:
    """Return the points in which an arc reaches farthest along an axis between its ends."""
    if not math.isfinite(angle) or not math.isfinite(radius):
        return ()
    begin = math.atan2(start[1] - center[1], start[0] - center[0])
    low, high = sorted((begin, begin + angle))
    quarter = math.pi / 2
    return [
        (
            center[0] + radius * math.cos(k * quarter),
            center[1] + radius * math.sin(k * quarter),
            start[2],
        )
        for k in range(math.ceil(low / quarter), math.floor(high / quarter) + 1)
    ]
