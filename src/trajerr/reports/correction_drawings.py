"""The drawings of a correction's page as SVG: corners before and after, errors by layer."""

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from trajerr.arrays import Floats
from trajerr.reports.corners import Corner

UM = 1000.0  # µm per mm
SIDE = 300  # of a close-up's view box
WIDTH, HEIGHT, LEFT, BOTTOM = 960, 200, 46, 26  # of the chart's


def corner_figure(corner: Corner) -> str:
    """Return a close-up in true proportions with its numbers; a link shows it in the viewer."""
    lines = (("nominal", corner.lines), ("before", corner.before), ("after", corner.after))
    drawn = "".join(
        f'<path class="{kind}" d="{_path(piece, corner)}"/>'
        for kind, pieces in lines
        for piece in pieces
    )
    x, y = corner.centre
    before, after = UM * corner.before_mm, UM * corner.after_mm
    place = f"layer {corner.layer}, x {x:.1f} y {y:.1f} mm"
    bar = _nice(corner.side / 3.0)
    length = bar / corner.side * SIDE
    scale = f"{UM * bar:g} µm" if bar < 1.0 else f"{bar:g} mm"
    address = f"#layer={corner.layer}&amp;x={x:.3f}&amp;y={y:.3f}&amp;span={corner.side:.3f}"
    return (
        f'<a class="corner" href="{address}&amp;gain=1"><figure>'
        f'<svg viewBox="0 0 {SIDE} {SIDE}" role="img" aria-label="{escape(place)}: '
        f'{before:.0f} µm before, {after:.0f} µm after">{drawn}'
        f'<path class="bar" d="M14 {SIDE - 14}h{length:.1f}"/>'
        f'<text x="14" y="{SIDE - 22}">{scale}</text></svg>'
        f"<figcaption><b>{before:.0f} → {after:.0f} µm</b><span>{escape(place)}</span>"
        "</figcaption></figure></a>"
    )


def layer_chart(layers: Sequence[int], before_um: Floats, after_um: Floats) -> str:
    """Return the error of each layer before and after, as two lines over the layers.

    Parameters
    ----------
    layers : (L,)
        Numbers, rising.
    before_um, after_um : (L,)
        µm.
    """
    number = np.asarray(layers, dtype=np.float64)
    low, high = float(number[0]), float(max(number[-1], number[0] + 1.0))
    top = _nice_above(float(max(np.max(before_um), np.max(after_um), 1e-3)))
    x = LEFT + (number - low) / (high - low) * (WIDTH - LEFT - 10)

    def y(values: Floats) -> Floats:
        return HEIGHT - BOTTOM - np.asarray(values) / top * (HEIGHT - BOTTOM - 12)

    grid = "".join(
        f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - 10}"/>'
        f'<text class="right" x="{LEFT - 8}" y="{at + 4:.1f}">{value:g}</text>'
        for value, at in ((v, float(y(np.array(v)))) for v in (0.0, top / 2.0, top))
    )
    curves = "".join(
        f'<path class="{kind}" d="{_points(np.column_stack([x, y(values)]))}"/>'
        for kind, values in (("before", before_um), ("after", after_um))
    )
    ends = (
        f'<text x="{LEFT}" y="{HEIGHT - 6}">layer {layers[0]}</text>'
        f'<text class="right" x="{WIDTH - 10}" y="{HEIGHT - 6}">layer {layers[-1]}</text>'
    )
    return (
        f'<figure class="chart"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="predicted contour error by layer">{grid}{curves}{ends}</svg></figure>'
    )


def key(names: Iterable[tuple[str, str]]) -> str:
    """Return what the lines of drawings are: pairs of class and name."""
    shown = "".join(f'<span><i class="{kind}"></i>{escape(name)}</span>' for kind, name in names)
    return f'<p class="key">{shown}</p>'


def _path(piece: Floats, corner: Corner) -> str:
    """Return a line of mm as a path of the close-up's view box, y up."""
    scaled = (piece - corner.centre) / corner.side * SIDE
    return _points(np.column_stack([SIDE / 2 + scaled[:, 0], SIDE / 2 - scaled[:, 1]]))


def _points(xy: Floats) -> str:
    """Return points as a path, without those less than half a unit from the one before."""
    step = np.linalg.norm(np.diff(xy, axis=0), axis=1)
    passed = np.floor(np.concatenate([[0.0], np.cumsum(step)]) / 0.5)
    keep = np.append(np.diff(passed, prepend=-1.0)[:-1] > 0.0, True)
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in xy[keep])


def _nice(value: float) -> float:
    """Return the largest of 1, 2, 5 × 10ⁿ that is at most ``value``."""
    decade = 10.0 ** np.floor(np.log10(value))
    return float(max(step * decade for step in (1, 2, 5) if step * decade <= value))


def _nice_above(value: float) -> float:
    """Return the smallest of 1, 2, 4, 6, 8, 10 × 10ⁿ that is at least ``value``."""
    decade = 10.0 ** np.floor(np.log10(value))
    return float(min(s * decade for s in (1, 2, 4, 6, 8, 10) if s * decade >= 0.999 * value))
