"""Model the four solids of the embedded default as watertight meshes.

Run it by ``slice_parts.py``; see README.md for what it needs. All lengths are mm, the
x axis runs along a hull, z = 0 is the bed.
"""

from collections.abc import Callable

import manifold3d
import numpy as np
import trimesh
from shapely import affinity
from shapely.geometry import LineString, Point, Polygon, box
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union
from trimesh import Trimesh
from trimesh.boolean import difference, intersection, union
from trimesh.creation import icosphere

SMOOTH = 16  # sides of a quarter circle: chords sag 20 µm at a radius of 16 mm


def extrude(shape: BaseGeometry, bottom: float, top: float) -> Trimesh:
    """Extrude every polygon of a planar shape between two heights."""
    parts = getattr(shape, "geoms", [shape])
    loops = [np.array(loop.coords)[:-1] for p in parts for loop in (p.exterior, *p.interiors)]
    section = manifold3d.CrossSection(loops, manifold3d.FillRule.EvenOdd)
    mesh = manifold3d.Manifold.extrude(section, top - bottom).to_mesh()
    solid = Trimesh(mesh.vert_properties.astype(float), mesh.tri_verts)
    solid.apply_translation((0.0, 0.0, bottom))
    return solid


def loft(outlines: list[np.ndarray], heights: np.ndarray) -> Trimesh:
    """Join star-shaped outlines (n, 2) of equal length, one a height, to a closed solid."""
    n = len(outlines[0])
    rings = [np.column_stack([xy, np.full(n, z)]) for xy, z in zip(outlines, heights, strict=True)]
    caps = [rings[0].mean(axis=0), rings[-1].mean(axis=0)]
    vertices = np.vstack([*rings, caps])
    i = np.arange(n)
    j = (i + 1) % n
    faces = [np.column_stack([np.full(n, len(vertices) - 2), j, i])]
    for level in range(len(rings) - 1):
        low, high = level * n, (level + 1) * n
        faces.append(np.column_stack([low + i, low + j, high + j]))
        faces.append(np.column_stack([low + i, high + j, high + i]))
    top = (len(rings) - 1) * n
    faces.append(np.column_stack([np.full(n, len(vertices) - 1), top + i, top + j]))
    return Trimesh(vertices, np.vstack(faces))


def hull_outline(
    length: float, beam: float, *, bow: float, stern: float, shift: float, n: int = 160
) -> np.ndarray:
    """Return a hull's waterline: superellipse halves, finer at the bow than at the stern.

    ``bow`` and ``stern`` are exponents: 1 is a sharp wedge, 2 an ellipse, large a box.
    """
    angle = 2 * np.pi * (np.arange(n) + 0.5) / n
    exponent = np.where(np.cos(angle) > 0, bow, stern)
    x = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (2 / np.maximum(exponent, 2.0))
    y = np.sign(np.sin(angle)) * (1 - np.abs(x) ** exponent) ** (1 / np.minimum(exponent, 2.0))
    return np.column_stack([shift + length / 2 * x, beam / 2 * y])


def tug_hull(height: float, inset: float = 0.0) -> Trimesh:
    """Return the tug's flaring hull: it overhangs most under the bow; sheer by the loft."""
    heights = np.linspace(0.0, height, 29)
    outlines = []
    for z in heights:
        s = (z / height) ** 0.8
        length = 34.0 + 12.0 * s - 2 * inset
        beam = 13.0 + 8.0 * np.sin(0.5 * np.pi * s) - 2 * inset
        outlines.append(
            hull_outline(length, beam, bow=1.75 + 0.15 * s, stern=3.2, shift=2.2 * s**1.5)
        )
    return loft(outlines, heights)


def tugboat() -> Trimesh:
    """Model a tug, 46 × 21 × 12: overhanging curved hull, cabin with windows, chimney."""
    hull, deck, top = 6.6, 4.4, 12.0
    well = intersection(
        [tug_hull(hull + 0.02, inset=1.7), extrude(box(-40, -20, 40, 20), deck, 20)]
    )
    scuppers = [extrude(box(x, -20, x + 2.2, 20), deck, deck + 0.8) for x in (-14.0, -3.0, 8.0)]
    body = difference([tug_hull(hull), well, *scuppers])
    house = box(-7.0, -6.4, 8.0, 6.4).union(affinity.scale(Point(8.0, 0).buffer(6.4), 0.5, 1.0))
    cabin = union([extrude(house, deck - 0.2, 11.0), extrude(house.buffer(0.7), 11.0, top)])
    room = extrude(house.buffer(-2.5), deck + 0.8, 10.6)
    sides = [extrude(box(x, -10, x + 3.2, 10), 7.2, 9.8) for x in (-4.8, 1.0)]
    pane = extrude(box(6, -2.4, 15, 2.4), 7.2, 9.8)
    door = extrude(box(-10, -1.6, -4, 1.6), deck + 0.8, 9.8)
    cabin = difference([cabin, room, *sides, pane, door])
    chimney = extrude(Point(-12.2, 0).buffer(3.5, SMOOTH), deck - 0.2, top)
    flue = extrude(Point(-12.2, 0).buffer(1.5, SMOOTH), deck + 1.0, top + 1)
    bollard = extrude(Point(16.8, 0).buffer(1.6, SMOOTH // 2), deck - 0.2, 8.0)
    return difference([union([body, cabin, chimney, bollard]), flue])


def bearing() -> Trimesh:
    """Model a printed-in-place ball bearing, 33 across and 8.2 high: rings, raceway, balls."""
    height, pitch, ball, gap, count = 8.2, 10.6, 4.3, 0.35, 7
    wide, bore = pitch + ball + gap + 1.3, pitch - ball - gap - 1.3
    rings = extrude(ring(wide, pitch + 1.8).union(ring(pitch - 1.8, bore)), 0, height)
    race = trimesh.creation.torus(pitch, ball + gap, 4 * SMOOTH, 2 * SMOOTH)
    race.apply_translation((0, 0, height / 2))
    bevels = [chamfer(wide, 0.0, 0.8), chamfer(wide, height, 0.8)]
    keyway = extrude(box(-1.2, 0, 1.2, bore + 1.0), -1, height + 1)
    rings = difference([rings, race, *bevels, keyway])
    slab = extrude(box(-30, -30, 30, 30), 0, height)
    balls = []
    for k in range(count):
        sphere = icosphere(subdivisions=3, radius=ball)
        angle = 2 * np.pi * k / count
        sphere.apply_translation((pitch * np.cos(angle), pitch * np.sin(angle), height / 2))
        balls.append(intersection([sphere, slab]))
    return union([rings, *balls])


def ring(outer: float, inner: float) -> BaseGeometry:
    """Return the area between two circles about the origin."""
    return Point(0, 0).buffer(outer, SMOOTH).difference(Point(0, 0).buffer(inner, SMOOTH))


def chamfer(radius: float, z: float, size: float) -> Trimesh:
    """Return the triangular ring that bevels a cylinder's edge at height ``z`` by ``size``."""
    profile = [(radius - size, z), (radius + 1, z - size - 1), (radius + 1, z + size + 1)]
    return trimesh.creation.revolve(np.array([*profile, profile[0]]), sections=4 * SMOOTH)


def nautilus() -> Trimesh:
    """Model a pair of equal nautilus gears, set apart so that they print freely."""
    gear = nautilus_gear()
    twin = gear.copy()
    twin.apply_transform(trimesh.transformations.rotation_matrix(np.pi, (0, 0, 1)))
    twin.apply_translation((22.3, 2.2, 0))
    return union([gear, twin])


def nautilus_gear() -> Trimesh:
    """Model one gear: a logarithmic spiral with teeth, chambers, and a hub with a bore."""
    low, high, teeth, tooth = 6.0, 12.4, 20, 0.75
    b = np.log(high / low) / (2 * np.pi)
    n = 8 * teeth
    # Equal steps of r are equal steps of arc length on a logarithmic spiral, hence equal teeth.
    r = low + (high - low) * np.arange(n + 1) / n
    angle = np.log(r / low) / b
    wave = np.tanh(2.2 * np.sin(2 * np.pi * teeth * np.arange(n + 1) / n)) / np.tanh(2.2)
    radius = r + tooth * wave
    outline = Polygon(np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])).buffer(0)
    web = outline.difference(chambers(low, b))
    hub = Point(0, 0).buffer(3.9, SMOOTH)
    bore = Point(0, 0).buffer(2.0, SMOOTH)
    rim = outline.difference(outline.buffer(-2.4))
    return union(
        [
            extrude(web.difference(bore), 0.0, 4.8),
            extrude(rim, 0.0, 9.2),
            extrude(hub.difference(bore), 0.0, 7.6),
        ]
    )


def chambers(low: float, b: float) -> BaseGeometry:
    """Return the shell's chambers: between a spiral wall and the hub, cut by curved septa."""
    angle = np.linspace(0.9, 2 * np.pi - 0.12, 240)
    outer = low * np.exp(b * angle) - 3.1
    inner = np.full_like(angle, 4.9)
    turn = np.column_stack([np.cos(angle), np.sin(angle)])
    wide = outer > inner + 0.3
    area = Polygon(
        np.vstack([(outer[:, None] * turn)[wide], (inner[:, None] * turn)[wide][::-1]])
    ).buffer(0)
    septa = []
    for k in np.linspace(2.0, 2 * np.pi, 6)[:-1]:
        radius = np.linspace(4.0, 16.0, 30)
        bend = k + 0.5 * ((radius - 4.0) / 12.0) ** 1.5
        line = LineString(np.column_stack([radius * np.cos(bend), radius * np.sin(bend)]))
        septa.append(line.buffer(0.7))
    rooms = area.difference(unary_union(septa))
    return rooms.buffer(-0.5).buffer(0.5)  # rounds the corners, drops slivers


def boat() -> Trimesh:
    """Model a simple boat, 55 × 25 × 9.2: flat bottom, wide floor, benches, decks."""
    height = 9.2
    heights = np.linspace(0.0, height, 15)
    outlines = [
        hull_outline(50 + 0.55 * z, 21.0 + 0.42 * z, bow=1.65, stern=7.0, shift=0.12 * z)
        for z in heights
    ]
    hull = loft(outlines, heights)
    inside = Polygon(hull_outline(50, 21.5, bow=1.65, stern=7.0, shift=0.4)).buffer(-1.9)
    well = extrude(inside.intersection(box(-21.5, -20, 8.0, 20)), 2.0, 12)
    foredeck = extrude(inside.intersection(box(8.0, -20, 40, 20)), 7.2, 12)
    benches = [
        extrude(inside.intersection(box(x, -20, x + 5, 20)), 1.8, 5.0) for x in (-13.0, -1.0)
    ]
    return union([difference([hull, well, foredeck]), *benches])


PARTS: dict[str, Callable[[], Trimesh]] = {
    "tugboat": tugboat,
    "bearing": bearing,
    "nautilus": nautilus,
    "boat": boat,
}


def checked(name: str) -> Trimesh:
    """Model one part and make sure that it is a closed solid that stands on the bed."""
    solid = PARTS[name]()
    if not solid.is_watertight or solid.volume <= 0:
        raise ValueError(f"{name}: the solid is not closed")
    if abs(solid.bounds[0, 2]) > 1e-9:
        raise ValueError(f"{name}: the solid does not stand on z = 0")
    return solid
