"""The figures that show a layer as a path: compared, mapped, coloured by a value.

Equal scales on both axes, positions in mm, errors in µm. Arrays in, a matplotlib Figure out.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from trajerr.arrays import Bools, Floats
from trajerr.metrics.errors import magnitude
from trajerr.reports import style
from trajerr.reports.style import new_figure, path_axes, styled

UM = 1000.0  # µm per mm


@styled
def trajectory_comparison(
    commanded: Floats, predicted: Floats, error: Floats, *, printing: Bools, title: str
) -> Figure:
    """Show a layer's commanded, actual and predicted paths: whole, and two places enlarged.

    In the enlarged places the deviation from the commanded path is exaggerated, by a factor
    that the legend states. They are where the true error is largest, and where, elsewhere, the
    residual is.

    Parameters
    ----------
    commanded : (N, 2)
        mm.
    predicted, error : (N, 2)
        Predicted and true tracking error, mm.
    printing : (N,)
        Whether material is laid down; travel is not drawn in the enlarged places.
    """
    figure = new_figure(height=2.9)
    whole, *places = figure.subplots(1, 3, width_ratios=[1.15, 1, 1])
    drawn = np.where(printing[:, np.newaxis], commanded, np.nan)
    path_axes(whole).plot(*drawn.T, color=style.COMMANDED, lw=0.6)
    whole.set_title(title)
    side = max(float(np.max(np.ptp(commanded[printing], axis=0))) / 9, 1.0)
    gain = _nice(0.12 * side / max(float(np.percentile(magnitude(error), 90)), 1e-4))
    worst = _worst(commanded, magnitude(error), printing)
    elsewhere = printing & (np.max(np.abs(commanded - worst), axis=1) > side)
    spots = (worst, _worst(commanded, magnitude(predicted - error), elsewhere))
    for axes, centre, name in zip(places, spots, "AB", strict=True):
        corner = (float(centre[0] - side / 2), float(centre[1] - side / 2))
        box = Rectangle(corner, side, side, fill=False, ec=style.BLUE, lw=1, zorder=5)
        whole.add_patch(box)
        whole.annotate(
            name, centre + side / 2, color=style.BLUE, weight="bold", xytext=(1, 1),
            textcoords="offset points", zorder=6,
        )  # fmt: skip
        _enlarge(axes, centre, side, (drawn, drawn + gain * error, drawn + gain * predicted))
        axes.set_title(f"{name}  largest {'error' if name == 'A' else 'residual'}")
    handles, labels = places[0].get_legend_handles_labels()
    enlarged = f" (deviation × {gain:g})" if gain != 1 else ""
    figure.legend(
        handles, [labels[0], *(f"{label}{enlarged}" for label in labels[1:])],
        loc="outside lower center", ncols=3,
    )  # fmt: skip
    return figure


@styled
def residual_map(
    commanded: Floats, predicted: Floats, error: Floats, *, printing: Bools, title: str
) -> Figure:
    """Map a layer twice: coloured by the length of the true error, and of the residual.

    Parameters
    ----------
    commanded, predicted, error : (N, 2)
        mm.
    printing : (N,)
        Whether material is laid down; travel is not drawn.
    """
    figure = new_figure(height=3.4)
    panels = figure.subplots(1, 2)
    shown = (("tracking error", error), ("residual of the prediction", predicted - error))
    for axes, (name, vectors) in zip(panels, shown, strict=True):
        _draw_map(axes, commanded, UM * magnitude(vectors), f"{name} / µm", printing)
    panels[0].set_title(title)
    panels[1].set_ylabel("")
    return figure


@styled
def path_map(
    xy: Floats, value: Floats, label: str, *, printing: Bools | None = None, title: str = ""
) -> Figure:
    """Draw a path in true proportions, coloured by a value.

    Parameters
    ----------
    xy : (N, 2)
        mm.
    value : (N,)
        In the unit that ``label`` names.
    printing : (N,)
        Where to draw; everywhere if ``None``.
    """
    figure = new_figure(style.COLUMN, 3.2)
    axes = figure.subplots()
    _draw_map(axes, xy, value, label, np.ones(len(xy), bool) if printing is None else printing)
    axes.set_title(title)
    return figure


def _draw_map(axes: Axes, xy: Floats, value: Floats, label: str, printing: Bools) -> None:
    both = printing[1:] & printing[:-1]
    segments = np.stack([xy[:-1], xy[1:]], axis=1)[both]
    top = float(np.percentile(value[printing], 99)) if np.any(printing) else 1.0
    lines = LineCollection(
        list(segments), array=value[1:][both], norm=Normalize(0, top or 1.0), lw=1.1,
        capstyle="butt", cmap=style.PATH_COLOURS, rasterized=True,
    )  # fmt: skip
    axes.add_collection(lines)
    axes.autoscale_view()
    path_axes(axes).grid(visible=False)
    axes.figure.colorbar(
        lines, ax=axes, label=label, extend="max", orientation="horizontal", shrink=0.9, aspect=35
    )


def _enlarge(axes: Axes, centre: Floats, side: float, paths: tuple[Floats, ...]) -> None:
    """Draw commanded, actual and predicted path within a square of ``side`` mm."""
    commanded, actual, predicted = (path.T for path in paths)
    axes.plot(*commanded, color=style.COMMANDED, lw=1.2, label="commanded")
    axes.plot(*actual, color=style.ACTUAL, lw=1.3, label="actual")
    dashes = (0, (3, 1.5))
    axes.plot(*predicted, color=style.PREDICTED, lw=1.3, ls=dashes, label="predicted")
    path_axes(axes, y_label="").set_aspect("equal", adjustable="box")
    axes.set_xlim(centre[0] - side / 2, centre[0] + side / 2)
    axes.set_ylim(centre[1] - side / 2, centre[1] + side / 2)


def _worst(commanded: Floats, badness: Floats, allowed: Bools) -> Floats:
    """Return the (2,) point of the largest badness; of any, where none is allowed."""
    found: Floats = commanded[np.argmax(np.where(allowed, badness, badness * 1e-9))]
    return found


def _nice(value: float) -> float:
    """Return the largest of 1, 2, 5 × 10ⁿ that is at most ``value``."""
    decade = 10.0 ** np.floor(np.log10(value))
    return float(max(step * decade for step in (1, 2, 5) if step * decade <= value))
