"""Arc words to centre and swept angle."""

import numpy as np

from trajerr.arrays import Bools, Floats

CLOSED = 1e-9  # mm between start and end of a full circle
MAX_TURNS = 1000
FARTHEST = 1e6  # mm, of a centre from its arc; slicers write straight lines long before
LONGEST = 1e5  # mm of one arc: sixteen circles of a metre's radius
LONGEST_TOGETHER = 1e7  # mm of all arcs of a file: what more than a spool would print


def resolve_arcs(
    start: Floats,
    end: Floats,
    words: Floats,
    clockwise: Bools,
    absolute_centre: Bools,
    origin: Floats,
    as_stated: bool = False,
) -> tuple[Floats, Floats, Floats]:
    """Return the centre, the centre as given, and the sweep of arcs.

    Parameters
    ----------
    start, end : (n, 2) float
        Machine coordinates, mm.
    words : (n, 4) float
        I, J, R in mm and P, the count of extra full turns; NaN where absent.
    clockwise : (n,) bool
    absolute_centre : (n,) bool
        Whether I and J are coordinates (G90.1) and not offsets from the start.
    origin : (n, 2) float
        Machine coordinate of the file's zero, mm.
    as_stated : bool
        Whether centres stay where I and J put them and P means nothing, as on Klipper.

    Returns
    -------
    centre : (n, 2) float
        mm; NaN where no arc exists, which :func:`first_fault` explains.
    given : (n, 2) float
        mm; the centre that the words name, before it moved.
    sweep : (n,) float
        rad, counter-clockwise positive.

    Notes
    -----
    Centres given by I and J are rounded by slicers, so start and end lie on circles of
    slightly different radius. The centre moves along the chord until both agree; only an
    arc that nearly closes keeps its centre. Klipper takes centres as they are
    (``klippy/extras/gcode_arcs.py``). P counts full circles: they come before an arc
    that goes elsewhere, as in Marlin (``ARC_P_CIRCLES``); of an arc that ends where it
    starts they are the whole, as in LinuxCNC and in Bambu's spiral lifts (``P1``).
    """
    by_radius = np.isfinite(words[:, 2])
    offset = np.nan_to_num(words[:, :2])
    base = np.where(absolute_centre[:, None], origin, start)
    given = np.where(absolute_centre[:, None] & np.isnan(words[:, :2]), start, base + offset)
    from_radius = _centre_from_radius(start, end, words[:, 2], clockwise)
    given = np.where(by_radius[:, None], from_radius, given)
    even = given if as_stated else _equidistant(start, end, given)
    centre = np.where(by_radius[:, None], from_radius, even)
    turns = np.zeros(len(words)) if as_stated else np.nan_to_num(words[:, 3])
    return centre, given, _sweep(start, end, centre, clockwise, turns)


def _centre_from_radius(start: Floats, end: Floats, radius: Floats, clockwise: Bools) -> Floats:
    """Return the centre left of the chord for a minor counter-clockwise arc.

    Where the ends are further apart than the diameter, the half circle over the chord is
    taken, as Marlin's ``G2_G3`` does: cutting-table files hold such arcs.
    """
    chord = end - start
    length = np.hypot(*chord.T)
    square = np.maximum(np.nan_to_num(radius) ** 2 - length**2 / 4, 0.0)
    height = np.divide(np.sqrt(square), length, out=np.zeros_like(length), where=length > 0)
    height = np.where(clockwise == (radius > 0), -height, height)
    normal = np.column_stack([-chord[:, 1], chord[:, 0]])
    return np.asarray((start + end) / 2 + height[:, None] * normal)


def _equidistant(start: Floats, end: Floats, centre: Floats) -> Floats:
    """Move centres along the chord to equal distance from start and end."""
    chord = end - start
    square = np.einsum("ij,ij->i", chord, chord)
    along = np.einsum("ij,ij->i", (start + end) / 2 - centre, chord)
    share = np.divide(along, square, out=np.zeros_like(along), where=square > 0)
    shift = share[:, None] * chord
    radius = np.hypot(*(start - centre).T)
    near = (np.hypot(*shift.T) <= 0.1 * radius) & ~_radius_mismatch(start, end, centre)
    return np.asarray(np.where(near[:, None], centre + shift, centre))


def _sweep(start: Floats, end: Floats, centre: Floats, clockwise: Bools, turns: Floats) -> Floats:
    a, b = start - centre, end - centre
    cross = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    angle = np.arctan2(cross, np.einsum("ij,ij->i", a, b))
    direction = np.where(clockwise, -1.0, 1.0)
    closed = np.hypot(*(end - start).T) < CLOSED
    circles = np.maximum(np.floor(turns), closed)
    forward = np.where(closed, 0.0, np.mod(direction * angle, 2 * np.pi))
    return np.asarray(direction * (forward + 2 * np.pi * circles))


def first_fault(
    start: Floats, end: Floats, words: Floats, centre: Floats, sweep: Floats
) -> tuple[int, str] | None:
    """Return index and explanation of the first impossible arc."""
    length = np.hypot(*(end - start).T)
    radius, turns = words[:, 2], np.nan_to_num(words[:, 3])
    near, far = np.hypot(*(start - centre).T), np.hypot(*(end - centre).T)
    way = np.abs(sweep) * near
    together = np.cumsum(way)
    masks = (
        np.isnan(words[:, :3]).all(axis=1),
        np.isfinite(radius) & (length < CLOSED),
        length > 4 * np.abs(radius),
        _radius_mismatch(start, end, centre),
        near < CLOSED,
        np.abs(turns) > MAX_TURNS,
        ~(near <= FARTHEST),
        way > LONGEST,
        together > LONGEST_TOGETHER,
    )
    found = [(int(np.argmax(mask)), kind) for kind, mask in enumerate(masks) if mask.any()]
    if not found:
        return None
    i, kind = min(found)
    return i, (
        "an arc without I, J or R, expected its centre or radius",
        "an arc by R that ends where it starts, expected I and J for a full circle",
        f"an arc with R {radius[i]:g} mm but its ends {length[i]:g} mm apart, expected at most 2 R",
        f"an arc whose ends lie {near[i]:g} and {far[i]:g} mm from its centre, expected equal",
        "an arc of radius zero, expected I or J",
        f"an arc of {turns[i]:g} turns, expected at most {MAX_TURNS}",
        f"an arc of radius {near[i]:g} mm, expected at most {FARTHEST:g} mm",
        f"an arc {way[i]:g} mm long, expected at most {LONGEST:g} mm",
        f"arcs of {together[i]:g} mm so far, expected at most {LONGEST_TOGETHER:g} mm in all",
    )[kind]


def _radius_mismatch(start: Floats, end: Floats, centre: Floats) -> Bools:
    a, b = np.hypot(*(start - centre).T), np.hypot(*(end - centre).T)
    return np.asarray(np.abs(a - b) > np.maximum(0.1, 0.02 * a))
