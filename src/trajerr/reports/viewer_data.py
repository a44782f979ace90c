"""What the layer viewer is given: layers as paths of samples, packed small.

Positions are rounded to 1 µm. Samples that lie on the line between others, within
:data:`TOLERANCE_MM`, are left out; where all layers would make a page too large, some are, evenly.
"""

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trajerr.arrays import Floats, Ints
from trajerr.metrics.errors import magnitude

UM = 1000.0  # µm per mm
MOST_BYTES = 10_000_000  # of a page's data
TOLERANCE_MM = 0.001  # of a position, and of a deviation, between the samples that stay
SHADES = 64  # steps of a quantity's scale, within one of which a value may be off
BLOCK = 64  # samples thinned alike; a power of 2
LONGEST_MM = 30.0  # between two samples along an axis: 16 bits of micrometres
FULL = {"<i2": 32767, "<u2": 65535}
GAINS = (1, 2, 5, 10, 20, 50, 100, 200, 500)  # by which a deviation can be drawn larger
DRAWN = 0.015  # of a part's size: what the 95th percentile of its deviation is drawn as, about


@dataclass(frozen=True)
class Quantity:
    """What a path can be coloured by."""

    label: str  # e.g. "contour error"
    unit: str  # of the values
    top: float | None = None  # end of the colour scale; None: the 99th percentile of all


@dataclass(frozen=True)
class Track:
    """One motion through a layer: N samples in K uninterrupted stretches."""

    name: str  # e.g. "as sliced"
    path: Floats  # (N, 2) mm
    starts: Ints  # (K,) the first sample of each stretch; the first is 0
    values: Mapping[str, Floats] = field(default_factory=dict)  # by quantity: (N,), from 0
    deviation: Floats | None = None  # (N, 2) mm, drawn magnified from the path

    def rows(self, chosen: Ints) -> "Track":
        """Return the samples at (fractional) indices within stretches, all starts among them."""
        at = np.arange(len(self.path))

        def of(column: Floats) -> Floats:
            return np.interp(chosen, at, column)

        def both(pairs: Floats) -> Floats:
            return np.column_stack([of(pairs[:, 0]), of(pairs[:, 1])])

        return Track(
            self.name,
            both(self.path),
            np.searchsorted(chosen, self.starts),
            {key: of(values) for key, values in self.values.items()},
            None if self.deviation is None else both(self.deviation),
        )


@dataclass(frozen=True)
class ViewedLayer:
    """A layer as it is looked at."""

    number: int  # as the print counts it
    height_mm: float  # z
    tracks: Sequence[Track]  # the same names in the same order in every layer
    nominal: Sequence[Floats] = ()  # polylines, (V, 2) mm, of the path that is wanted


def viewer_data(
    layers: Iterable[ViewedLayer],
    quantities: Mapping[str, Quantity],
    *,
    of_layers: int | None = None,
    most_bytes: int = MOST_BYTES,
) -> dict[str, Any]:
    """Return what the viewer's script draws, JSON-ready.

    Parameters
    ----------
    layers
        At least one; each is packed before the next is asked for.
    quantities
        By key of the tracks' values.
    of_layers
        How many there are, of which these are some; ``None``: those given.
    most_bytes
        Of all layers together. Where they are more, layers between stay away, and a single
        layer is drawn coarser.

    Raises
    ------
    ValueError
        If there is no layer.
    """
    packed, tops = [], dict.fromkeys(quantities, 0.0)
    gains = list[float]()
    names: tuple[str, ...] = ()
    for layer in layers:
        packed.append(_bounded(layer, quantities, most_bytes))
        names = tuple(track.name for track in layer.tracks)
        for key, top in _tops(layer, quantities).items():
            tops[key] = max(tops[key], top)
        gains += _gain(layer)
    if not packed:
        raise ValueError("layers: got none, expected at least one")
    kept = _evenly([_size(layer) for layer in packed], most_bytes)
    return {
        "tracks": names,
        "quantities": [
            {"key": key, "label": q.label, "unit": q.unit, "top": q.top or tops[key] or 1.0}
            for key, q in quantities.items()
        ],
        "layers": [packed[i] for i in kept],
        "of_layers": of_layers or len(packed),
        "gains": GAINS,
        "gain": _round_gain(float(np.median(gains)) if gains else 1.0),
    }


def _gain(layer: ViewedLayer) -> list[float]:
    """Return by how much a layer's deviations are to be drawn larger; nothing where it has none."""
    paths = [p for p in (*layer.nominal, *(t.path for t in layer.tracks)) if len(p)]
    size = float(np.max(np.ptp(np.concatenate(paths), axis=0))) if paths else 0.0
    off = [magnitude(t.deviation) for t in layer.tracks if t.deviation is not None]
    # Where a deviation is not wanted it is 0, and says nothing of the others.
    large = max((float(np.percentile(d[d > 0.0], 95)) for d in off if np.any(d > 0.0)), default=0.0)
    return [DRAWN * size / large] if size > 0.0 and large > 0.0 else []


def _round_gain(wanted: float) -> int:
    """Return the gain that is nearest by its ratio."""
    return min(GAINS, key=lambda gain: abs(math.log(gain / wanted)))


def _tops(layer: ViewedLayer, quantities: Mapping[str, Quantity]) -> dict[str, float]:
    """Return the 99th percentile of each quantity that has no scale of its own."""
    return {
        key: max((float(np.percentile(t.values[key], 99)) for t in layer.tracks), default=0.0)
        for key, quantity in quantities.items()
        if quantity.top is None
    }


def _evenly(sizes: Sequence[int], most: int) -> list[int]:
    """Return the indices of as many as fit, the middles of equal parts."""
    count = len(sizes)
    while count > 1:
        picked = [int((i + 0.5) * len(sizes) / count) for i in range(count)]
        total = sum(sizes[i] for i in picked)
        if total <= most:
            return picked
        count = min(count - 1, int(count * most / total))
    return [len(sizes) // 2]


def _size(packed: Mapping[str, Any]) -> int:
    """Return about how many bytes a packed layer takes."""
    texts = [packed["nominal"], *packed["tracks"], *(t["values"] for t in packed["tracks"])]
    return sum(len(v) for group in texts for v in group.values() if isinstance(v, str))


def _bounded(
    layer: ViewedLayer, quantities: Mapping[str, Quantity], most_bytes: int
) -> dict[str, Any]:
    """Return a layer packed as finely as fits."""
    tolerance = TOLERANCE_MM
    packed = _packed_layer(layer, quantities, tolerance)
    while _size(packed) > most_bytes and tolerance < 1.0:
        tolerance *= 2.0
        packed = _packed_layer(layer, quantities, tolerance)
    return packed


def _packed_layer(
    layer: ViewedLayer, quantities: Mapping[str, Quantity], tolerance: float
) -> dict[str, Any]:
    nominal = _joined(layer.nominal)
    return {
        "number": layer.number,
        "z": layer.height_mm,
        "tolerance_um": UM * tolerance,
        "nominal": _packed_path(_split(_thinned(nominal, {}, tolerance))),
        "tracks": [_packed_track(t, quantities, tolerance) for t in layer.tracks],
    }


def _joined(lines: Sequence[Floats]) -> Track:
    """Return polylines as the stretches of a track without samples' values."""
    if not lines:
        return Track("", np.empty((0, 2)), np.empty(0, np.int64))
    starts = np.cumsum([0, *(len(line) for line in lines[:-1])])
    return Track("", np.concatenate(list(lines)), starts)


def _packed_track(
    track: Track, quantities: Mapping[str, Quantity], tolerance: float
) -> dict[str, Any]:
    track = _split(_thinned(track, quantities, tolerance))
    packed: dict[str, Any] = _packed_path(track)
    if track.deviation is not None:
        unit = _unit(track.deviation, FULL["<i2"], 1e-4)
        packed |= {"off": _base64(np.rint(track.deviation / unit), "<i2"), "off_unit": unit}
    units = {key: _unit(track.values[key], FULL["<u2"]) for key in quantities}
    packed["values"] = {
        key: _base64(np.rint(track.values[key] / units[key]), "<u2") for key in quantities
    }
    packed["units"] = units
    return packed


def _packed_path(track: Track) -> dict[str, Any]:
    """Return where stretches begin, and the steps from sample to sample; all in µm."""
    place = np.rint(UM * track.path).astype(np.int64)
    step = np.diff(place, axis=0, prepend=place[:1])
    step[track.starts] = 0
    return {
        "starts": _base64(track.starts, "<i4"),
        "origin": _base64(place[track.starts], "<i4"),
        "step": _base64(step, "<i2"),
    }


def _unit(values: Floats, full: int, least: float = 1e-9) -> float:
    """Return the size of a count so that all values fit."""
    return max(float(np.max(np.abs(values), initial=0.0)) / full, least)


def _thinned(track: Track, quantities: Mapping[str, Quantity], tolerance: float) -> Track:
    """Return a track without samples that the lines between others say."""
    if not len(track.path):
        return track
    columns = [*(track.path / tolerance).T]
    if track.deviation is not None:
        columns += [*(track.deviation / tolerance).T]
    for key in quantities:
        top = float(np.max(track.values[key], initial=0.0))
        columns.append(track.values[key] * (SHADES / top if top > 0.0 else 1.0))
    ends = [*track.starts[1:].tolist(), len(track.path)]
    kept = [
        begin + _needed([column[begin:end] for column in columns])
        for begin, end in zip(track.starts.tolist(), ends, strict=True)
    ]
    return track.rows(np.concatenate(kept)) if kept else track


def _needed(columns: Sequence[Floats]) -> Ints:
    """Return the samples between which lines leave no column off by more than 1."""
    count = len(columns[0])
    at = np.arange(count)
    edges = np.arange(0, count, BLOCK)
    spacing = np.ones(len(edges), np.int64)
    step = 2
    while step <= BLOCK:
        knots = np.append(at[::step], count - 1)
        off = np.zeros(count)
        for column in columns:
            np.maximum(off, np.abs(np.interp(at, knots, column[knots]) - column), out=off)
        spacing[np.maximum.reduceat(off, edges) <= 1.0] = step
        step *= 2
    keep = at % np.repeat(spacing, BLOCK)[:count] == 0
    keep[-1] = True
    return np.flatnonzero(keep)


def _split(track: Track) -> Track:
    """Return a track without steps that are longer than 16 bits hold."""
    if not len(track.path):
        return track
    longest = np.max(np.abs(np.diff(track.path, axis=0)), axis=1, initial=0.0)
    longest[track.starts[1:] - 1] = 0.0
    parts = np.maximum(np.ceil(longest / LONGEST_MM), 1.0).astype(np.int64)
    if np.all(parts == 1):
        return track
    index = np.repeat(np.arange(len(parts)), parts)
    within = np.arange(len(index)) - np.repeat(np.cumsum(parts) - parts, parts)
    return track.rows(np.append(index + within / parts[index], len(track.path) - 1.0))


def _base64(values: ArrayLike, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values).astype(kind).tobytes()).decode()
