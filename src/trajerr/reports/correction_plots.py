"""The figures of a correction: a corner before and after, error maps, spectra, the comparison.

Arrays and metrics of :mod:`trajerr.metrics.closed_loop` in, matplotlib figures out.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from trajerr.arrays import Floats
from trajerr.metrics.closed_loop import UNCORRECTED, WallMotion
from trajerr.metrics.spectra import spectrum
from trajerr.reports import style
from trajerr.reports.corners import near_corners, runs
from trajerr.reports.style import new_figure, path_axes, styled

UM = 1000.0  # µm per mm
WINDOW = 22.0  # side of an enlarged place, in multiples of the uncorrected error there
MOST_PLOTTED = 1_000_000  # points of a layer's whole path
MOST_DRAWN = 100_000  # pieces of an error map: each takes about a kilobyte
COLOURS = {
    UNCORRECTED: style.BLACK,
    "zv": style.ORANGE,
    "mzv": style.YELLOW,
    "ei": style.SKY,
    "subtract": style.PURPLE,
    "inverse": style.BLUE,
    "twin": style.GREEN,
}


@styled
def corner(before: WallMotion, after: WallMotion, *, name: str, title: str) -> Figure:
    """Show the corner where the uncorrected print errs most, before and after.

    True proportions, enlarged: the side of the window is a few millimetres.

    Parameters
    ----------
    before, after
        Motion on the walls of the same layer.
    name
        Of the correction.
    title
        Of the layer.
    """
    figure = new_figure(height=2.9)
    whole, *places = figure.subplots(1, 3)
    worst = int(np.argmax(np.abs(before.contour) * near_corners(before)))
    centre = before.nominal[worst]
    side = max(WINDOW * abs(float(before.contour[worst])), 0.2)
    every = 1 + len(before.time) // MOST_PLOTTED
    for line in runs(before):
        path_axes(whole).plot(*before.nominal[line][::every].T, color=style.COMMANDED, lw=0.5)
    whole.add_patch(_box(centre, side))
    whole.set_title(title)
    for axes, motion, label in zip(places, (before, after), (UNCORRECTED, name), strict=True):
        for i, line in enumerate(runs(motion)):
            axes.plot(
                *motion.nominal[line].T,
                color=style.COMMANDED,
                lw=2.5,
                alpha=0.6,
                label="nominal path" if i == 0 else None,
            )
            axes.plot(
                *motion.actual[line].T,
                color=COLOURS.get(label, style.BLUE),
                lw=1.2,
                label="nozzle" if i == 0 else None,
            )
        path_axes(axes, y_label="").set_aspect("equal", adjustable="box")
        axes.set_xlim(centre[0] - side / 2, centre[0] + side / 2)
        axes.set_ylim(centre[1] - side / 2, centre[1] + side / 2)
        axes.set_title(f"{label}: {UM * _rms(motion.contour):.1f} µm RMS")
    figure.legend(*places[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


@styled
def error_maps(motions: Mapping[str, WallMotion], *, title: str) -> Figure:
    """Map a layer's walls once a method, coloured by contour error on one scale.

    Parameters
    ----------
    motions
        Method → motion on the walls of the same layer; the first sets the scale.
    title
        Of the layer.
    """
    figure = new_figure(height=3.0)
    panels = figure.subplots(1, len(motions), squeeze=False)[0]
    first = next(iter(motions.values()))
    norm = Normalize(0.0, UM * float(np.percentile(np.abs(first.contour), 99)))
    for axes, (name, motion) in zip(panels, motions.items(), strict=True):
        pieces, values = [], []
        every = max(10, len(motion.time) // MOST_DRAWN)
        for line in runs(motion):
            xy, size = motion.nominal[line][::every], UM * np.abs(motion.contour[line][::every])
            pieces += list(np.stack([xy[:-1], xy[1:]], axis=1))
            values.append(size[1:])
        lines = LineCollection(
            pieces, array=np.concatenate(values), norm=norm, lw=1.3, cmap=style.PATH_COLOURS
        )
        path_axes(axes).add_collection(lines)
        axes.autoscale()
        axes.set_title(f"{name}: {UM * _rms(motion.contour):.1f} µm RMS")
    figure.colorbar(lines, ax=panels, label="contour error / µm", extend="max")
    figure.suptitle(title, fontsize=8.5, x=0.01, ha="left")
    return figure


@styled
def spectra(
    motions: Mapping[str, Iterable[WallMotion]], rate: float, resonance_hz: Sequence[float]
) -> Figure:
    """Show which frequencies the contour error holds, by method.

    Parameters
    ----------
    motions
        Method → motion on the walls of some layers; no more than contour errors are kept.
    rate
        Their sample rate, Hz.
    resonance_hz
        Natural frequencies of x and y.
    """
    figure = new_figure(height=2.8)
    axes = figure.subplots()
    for name, layers in motions.items():
        signals = [m.contour[line][:, None] for m in layers for line in runs(m)]
        shown = spectrum(signals, rate, int(rate))
        inside = (shown.frequency >= 1.0) & (shown.frequency <= 200.0)
        axes.loglog(
            shown.frequency[inside],
            UM**2 * shown.density[inside, 0],
            color=COLOURS.get(name, style.BLUE),
            label=name,
        )
    for frequency in resonance_hz:
        axes.axvline(frequency, color=style.VERMILLION, lw=0.8, ls="--")
    axes.set(xlabel="frequency / Hz", ylabel="contour error / µm² Hz⁻¹")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=7)
    return figure


@styled
def comparison(cases: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Figure:
    """Compare methods by contour RMS on walls: bars for the nominal printer, marks for others.

    Parameters
    ----------
    cases
        Case → method → errors, as in ``correction.json``.
    """
    figure = new_figure(height=2.6)
    axes = figure.subplots()
    methods = list(cases["nominal"])
    places = -np.arange(len(methods), dtype=np.float64)
    lengths = [cases["nominal"][m]["wall_contour_rms_um"] for m in methods]
    colours = [COLOURS.get(m, style.BLUE) for m in methods]
    axes.barh(places, lengths, 0.6, color=colours, alpha=0.85)
    _marks(axes, cases, methods, places)
    for length, place in zip(lengths, places, strict=True):
        axes.annotate(f" {length:.1f}", (length, place), va="center", fontsize=7.5)
    axes.set_yticks(places, methods)
    axes.set(xlabel="contour error on walls / µm RMS", title="numbers: nominal printer")
    axes.grid(visible=False, axis="y")
    axes.legend(loc="lower right")
    return figure


def _marks(
    axes: Axes,
    cases: Mapping[str, Mapping[str, Mapping[str, float]]],
    methods: Sequence[str],
    places: Floats,
) -> None:
    for case, marker in (("soft", "<"), ("stiff", ">")):
        if case in cases:
            values = [cases[case][m]["wall_contour_rms_um"] for m in methods]
            axes.plot(values, places, marker, color=style.VERMILLION, mec="white", ms=5, label=case)


def _box(centre: Floats, side: float) -> Rectangle:
    corner_xy = (float(centre[0] - side / 2), float(centre[1] - side / 2))
    return Rectangle(corner_xy, side, side, fill=False, ec=style.VERMILLION, lw=1.2, zorder=5)


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values * values)))
