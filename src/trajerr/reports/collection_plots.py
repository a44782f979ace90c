"""Figures of a collection: a planned layer, and a page on the error of a simulated one."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from trajerr.arrays import Bools, Floats
from trajerr.dataset.record import LayerRecord
from trajerr.dynamics.error_sources import ErrorSources
from trajerr.metrics.spectra import spectrum
from trajerr.motion.planner import Plan
from trajerr.motion.rests import busy_span, without_long_rests
from trajerr.motion.sampling import sample
from trajerr.reports import style
from trajerr.reports.style import AXIS_COLOURS, new_figure, path_axes, styled

UM = 1000.0  # µm per mm
EXCERPT_S = 4.0  # of the curves over time; a whole layer's would be a solid band
PLOT_RATE_HZ = 1000.0  # of planned curves, fine enough to show trapezoids
MOST_PLANNED = 1_000_000  # samples of a planned layer; of a longer one fewer a second
MOST_DRAWN = 100_000  # pieces of a coloured path: each takes about a kilobyte
SPECTRUM_SEGMENT_S = 2.56


@styled
def planned_layer(planned: Plan, layer: int) -> Figure:
    """Show a layer as planned: its path coloured by speed; speed and acceleration over time.

    Parameters
    ----------
    planned
        A program's motion.
    layer
        Its number; 1 is the first.
    """
    whole_begin, whole_end = planned.layer_span(layer)
    planned = without_long_rests(planned)
    begin, end = busy_span(planned, layer)
    path = sample(planned, min(PLOT_RATE_HZ, MOST_PLANNED / (end - begin)), begin, end)
    velocity = planned.velocity(path.time)
    acceleration = planned.acceleration_at(path.time)
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    along = np.hypot(acceleration[:, 0], acceleration[:, 1])
    rate = np.where(np.sum(velocity * acceleration, axis=1) < 0.0, -along, along)
    figure = new_figure(height=4.2)
    grid = figure.add_gridspec(2, 2, width_ratios=[1.1, 1])
    name = f"{planned.program.name}, layer {layer}: {whole_end - whole_begin:.1f} s"
    whole = figure.add_subplot(grid[:, 0])
    draw_path(whole, path.position[:, :2], speed, "speed / mm s⁻¹")
    whole.set_title(name)
    upper = figure.add_subplot(grid[0, 1])
    lower = figure.add_subplot(grid[1, 1], sharex=upper)
    first, last = _middle(path.time, EXCERPT_S)
    cut = (path.time >= first) & (path.time <= last)  # so that the scales fit what is shown
    upper.plot(path.time[cut], speed[cut], lw=0.8)
    upper.set(ylabel="speed / mm s⁻¹", title=f"{EXCERPT_S:g} s from the middle")
    upper.tick_params(labelbottom=False)
    lower.plot(path.time[cut], rate[cut], lw=0.8, color=style.VERMILLION)
    lower.set(ylabel="acceleration / mm s⁻²", xlabel="time / s")
    upper.set_xlim(first, last)
    lower.locator_params(axis="x", nbins=5)
    upper.set_ylim(bottom=0.0)
    figure.align_ylabels([upper, lower])
    return figure


@styled
def collection_page(
    record: LayerRecord, natural_freq_hz: Sequence[float], sources: ErrorSources
) -> Figure:
    """Show the error of a collected layer: over time, by frequency, by source, on the path.

    Parameters
    ----------
    record
        One layer in one variant.
    natural_freq_hz
        Of x and y, marked in the spectrum.
    sources
        RMS by source.
    """
    figure = new_figure(height=6.4)
    grid = figure.add_gridspec(2, 2, height_ratios=[1, 1.15])
    _over_time(figure.add_subplot(grid[0, 0]), record)
    _by_frequency(figure.add_subplot(grid[0, 1]), record, natural_freq_hz)
    _by_source(figure.add_subplot(grid[1, 0]), sources)
    onto = figure.add_subplot(grid[1, 1])
    size = UM * np.hypot(*record.error.T)
    draw_path(onto, record.commanded[:, :2], size, "error / µm", record.extruding)
    onto.set_title("on the path")
    rms = np.sqrt(np.mean(size**2))
    figure.suptitle(
        f"{record.part}, layer {record.layer}, {record.variant}: RMS {rms:.0f} µm, "
        f"{record.sample_rate:g} Hz",
        fontsize=9,
    )
    return figure


def draw_path(
    axes: Axes, xy: Floats, value: Floats, label: str, drawn: Bools | None = None
) -> None:
    """Draw a path (N, 2) mm in true proportions, coloured by a value (N,)."""
    every = 1 + len(xy) // MOST_DRAWN
    shown = (np.ones(len(xy), bool) if drawn is None else drawn)[::every]
    xy, value = xy[::every], value[::every]
    both = shown[1:] & shown[:-1]
    pieces = np.stack([xy[:-1], xy[1:]], axis=1)[both]
    top = float(np.percentile(value[shown], 99.5)) if shown.any() else 1.0
    lines = LineCollection(
        list(pieces),
        array=value[1:][both],
        norm=Normalize(0.0, top or 1.0),
        cmap=style.PATH_COLOURS,
        lw=0.7,
        rasterized=True,
    )
    axes.add_collection(lines)
    axes.autoscale_view()
    path_axes(axes).grid(visible=False)
    axes.figure.colorbar(
        lines, ax=axes, label=label, orientation="horizontal", shrink=0.9, aspect=35
    )


def _over_time(axes: Axes, record: LayerRecord) -> None:
    for i, name in enumerate("xy"):
        axes.plot(
            record.time, UM * record.error[:, i], lw=0.9, color=AXIS_COLOURS[name], label=name
        )
    axes.set_xlim(_middle(record.time, EXCERPT_S))
    axes.locator_params(axis="x", nbins=5)  # times of a long print are long numbers
    axes.set(xlabel="time / s", ylabel="error / µm", title=f"{EXCERPT_S:g} s from the middle")
    axes.legend(loc="upper right", ncols=2)


def _by_frequency(axes: Axes, record: LayerRecord, natural_freq_hz: Sequence[float]) -> None:
    segment = int(SPECTRUM_SEGMENT_S * record.sample_rate)
    found = spectrum([record.error], record.sample_rate, segment)
    for i, name in enumerate("xy"):
        colour = AXIS_COLOURS[name]
        density = UM * np.sqrt(found.density[1:, i])
        axes.loglog(found.frequency[1:], density, color=colour, lw=0.9)
        label = f"{name}: {natural_freq_hz[i]:.1f} Hz"
        axes.axvline(natural_freq_hz[i], color=colour, ls="--", lw=0.8, label=label)
    axes.set_xlim(found.frequency[1], found.frequency[-1])
    axes.set(xlabel="frequency / Hz", ylabel="amplitude density / µm Hz⁻½", title="by frequency")
    axes.legend(loc="lower left", title="natural frequency")


def _by_source(axes: Axes, sources: ErrorSources) -> None:
    names = list(sources.added)
    place = np.arange(len(names))[::-1]
    added = UM * np.array([sources.added[name] for name in names])
    axes.barh(place, added, height=0.62, color=style.SKY)
    for row, value in zip(place, added, strict=True):
        axes.annotate(
            f"{value:.1f}", (value, row), xytext=(3, 0), textcoords="offset points", va="center"
        )
    axes.set_yticks(place, names)
    axes.set_xlim(right=1.15 * added.max())
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="RMS added to the effects above it / µm", title="by source")
    text = (
        f"in quadrature {UM * sources.quadrature:.0f} µm\n"
        f"cross term {UM**2 * sources.cross:+.0f} µm²\ntotal {UM * sources.total:.0f} µm"
    )
    axes.text(0.97, 0.04, text, transform=axes.transAxes, ha="right", va="bottom", fontsize=7.5)


def _middle(time: Floats, length: float) -> tuple[float, float]:
    begin = max(time[0], 0.5 * (time[0] + time[-1] - length))
    return float(begin), float(min(begin + length, time[-1]))
