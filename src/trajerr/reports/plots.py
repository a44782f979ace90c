"""The figures of an evaluation: one function a figure, arrays in, a matplotlib Figure out.

Callers save them with :func:`trajerr.reports.style.save_figure`. Errors come in mm and are
shown in µm. Layers as paths are in :mod:`trajerr.reports.path_plots`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from trajerr.arrays import Bools, Floats
from trajerr.metrics.errors import (
    AXES,
    PERCENTILES,
    mean_absolute_error,
    percentiles,
    r_squared,
    root_mean_square_error,
)
from trajerr.metrics.spectra import Spectrum
from trajerr.reports import style
from trajerr.reports.style import AXIS_COLOURS, new_figure, range_of, styled

UM = 1000.0  # µm per mm
BOTH = (0, 1)
# A legend on the upper edge of the axes, where no curve runs.
_ABOVE = {"loc": "lower right", "bbox_to_anchor": (1, 0.97), "borderaxespad": 0, "ncols": 2}


@styled
def error_distribution(
    prediction: Floats, target: Floats, limits_mm: Mapping[str, float] | None = None
) -> Figure:
    """Show how error components spread without and with prediction, and the tail of both.

    Parameters
    ----------
    prediction, target : (..., A)
        mm.
    limits_mm
        Percentile name → accepted value, e.g. ``{"p90": 0.035}``; marked in the tail panel.
    """
    truth, wrong = UM * np.ravel(target), UM * np.ravel(np.asarray(prediction) - target)
    figure = new_figure(height=2.7)
    spread, tail = figure.subplots(1, 2)
    edges = np.linspace(*range_of(truth, 0.02), 121)
    for values, colour, name in (
        (truth, style.GREY, "tracking error"),
        (wrong, style.BLUE, "residual of the prediction"),
    ):
        label = f"{name}, RMS {np.sqrt(np.mean(values**2)):.1f} µm"
        spread.hist(values, edges, density=True, histtype="stepfilled", color=colour, alpha=0.35)
        spread.hist(values, edges, density=True, histtype="step", color=colour, lw=1.1, label=label)
        _exceedance(tail, np.abs(values), colour, name)
    spread.set(yscale="log", xlabel="component / µm", ylabel="density / µm⁻¹")
    spread.set_title("Components of all axes")
    spread.set_ylim(top=spread.get_ylim()[1] * 12)
    spread.legend(loc="upper left")
    _mark_percentiles(tail, np.abs(wrong), limits_mm or {})
    return figure


@styled
def error_correlation(prediction: Floats, target: Floats, axes: Sequence[int] = BOTH) -> Figure:
    """Show predicted against true error, a panel an axis; colour is the number of samples.

    Parameters
    ----------
    prediction, target : (..., 2)
        mm.
    axes
        Of 0 (x) and 1 (y), those to show.
    """
    got, wanted = (UM * np.reshape(v, (-1, 2)) for v in (prediction, target))
    figure = new_figure(height=3.3)
    panels = figure.subplots(1, len(axes), squeeze=False)[0]
    span = max(float(np.max(np.abs(v))) for v in (got, wanted)) * 1.04
    norm = LogNorm(1, max(len(wanted) / 40, 10))
    for i, panel in zip(axes, panels, strict=True):
        image = panel.hexbin(
            wanted[:, i], got[:, i], gridsize=70, extent=(-span, span, -span, span), mincnt=1,
            norm=norm, linewidths=0.1,
        )  # fmt: skip
        panel.axline((0, 0), slope=1, color=style.VERMILLION, lw=0.8, ls="--")
        panel.set(xlim=(-span, span), ylim=(-span, span), aspect="equal")
        panel.set(xlabel=f"true error {AXES[i]} / µm", title=f"{AXES[i]} axis")
        panel.text(
            0.04, 0.96, _fit_text(got[:, i], wanted[:, i]), transform=panel.transAxes, va="top"
        )
    panels[0].set_ylabel("predicted error / µm")
    figure.colorbar(image, ax=panels, label="samples per cell", shrink=0.8)
    return figure


@styled
def per_axis_error(
    predictions: Mapping[str, Floats],
    target: Floats,
    groups: Mapping[str, Bools],
    *,
    noise_floor_mm: float | None = None,
    axes: Sequence[int] = BOTH,
) -> Figure:
    """Compare the axes: RMSE of each method, tail of the first, RMSE of the first by group.

    Parameters
    ----------
    predictions
        Method → (N, 2) mm; the first is the model under evaluation, the others baselines.
    target : (N, 2)
        mm.
    groups
        name → (N,) membership.
    noise_floor_mm
        RMS error that no model can beat; drawn as a line.
    axes
        Of 0 (x) and 1 (y), those to show.
    """
    model = next(iter(predictions.values()))
    figure = new_figure(height=1.6 + 0.17 * max(len(groups), 8))
    methods, tail, parts = figure.subplots(1, 3, width_ratios=[1, 0.85, 1.15])
    rmse = {
        name: [UM * root_mean_square_error(p[:, i], target[:, i]) for i in axes]
        for name, p in predictions.items()
    }
    _axis_dots(methods, rmse, axes)
    methods.set(xscale="log", xlabel="RMSE / µm", title="Methods")
    methods.set_xlim(right=methods.get_xlim()[1] * 3)
    if noise_floor_mm:
        methods.axvline(UM * noise_floor_mm, color=style.BLACK, lw=0.8, ls=":", label="noise floor")
        methods.set_xlim(left=0.6 * UM * noise_floor_mm)
    ranks = {
        f"p{rank}": [UM * percentiles(np.abs(model[:, i] - target[:, i]))[f"p{rank}"] for i in axes]
        for rank in PERCENTILES
    }
    _axis_bars(tail, ranks, axes)
    tail.set(xlabel="|residual| / µm", title="Model: percentiles")
    tail.set_xlim(right=tail.get_xlim()[1] * 1.12)
    by_group = {
        name: [UM * root_mean_square_error(model[m, i], target[m, i]) for i in axes]
        for name, m in groups.items()
        if np.any(m)
    }
    _axis_bars(parts, by_group, axes)
    parts.set(xlabel="RMSE / µm", title="Model: by motion")
    parts.set_xlim(right=parts.get_xlim()[1] * 1.1)
    figure.legend(*methods.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@styled
def sequence_prediction(
    time: Floats,
    prediction: Floats,
    target: Floats,
    speed: Floats,
    *,
    title: str = "",
    axes: Sequence[int] = BOTH,
) -> Figure:
    """Show a stretch of time: commanded speed, true and predicted error, what is left.

    Parameters
    ----------
    time : (N,)
        s.
    prediction, target : (N, 2)
        mm.
    speed : (N,)
        Commanded, mm/s.
    axes
        Of 0 (x) and 1 (y), those to show.
    """
    figure = new_figure(height=2.0 + 1.1 * len(axes))
    ratios = [0.55, *(1 for _ in axes), 0.7]
    rows = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios)
    rows[0].fill_between(time, speed, color=style.GREY, alpha=0.3, lw=0)
    rows[0].plot(time, speed, color=style.GREY, lw=0.9)
    rows[0].set(ylabel="speed\n/ mm s⁻¹", title=title)
    rows[0].set_ylim(bottom=0)
    for i, row in zip(axes, rows[1:-1], strict=True):
        row.plot(time, UM * target[:, i], color=style.ACTUAL, label="true")
        row.plot(time, UM * prediction[:, i], color=style.PREDICTED, ls="--", label="predicted")
        row.set_ylabel(f"error {AXES[i]}\n/ µm")
        left = UM * (prediction[:, i] - target[:, i])
        rows[-1].plot(time, left, color=AXIS_COLOURS[AXES[i]], lw=0.9, label=AXES[i])
    rows[1].legend(**_ABOVE)
    rows[-1].set(xlabel="time / s", ylabel="residual\n/ µm")
    rows[-1].legend(**_ABOVE)
    rows[0].set_xlim(time[0], time[-1])
    figure.align_ylabels(rows)
    return figure


@styled
def spectrum(
    error: Spectrum,
    residual: Spectrum,
    *,
    resonance_hz: Sequence[float] = (),
    baselines: Mapping[str, Spectrum] | None = None,
    axes: Sequence[int] = BOTH,
) -> Figure:
    """Show which frequencies the error holds and which the prediction leaves, per axis.

    Parameters
    ----------
    error, residual
        Densities of (F, 2), mm²/Hz.
    resonance_hz
        Natural frequency of x and of y, marked where given.
    baselines
        Method → residual spectrum.
    axes
        Of 0 (x) and 1 (y), those to show.
    """
    figure = new_figure(height=2.8)
    panels = figure.subplots(1, len(axes), sharey=True, squeeze=False)[0]
    for i, panel in zip(axes, panels, strict=True):
        curves = [
            (error, style.BLACK, "tracking error"),
            (residual, style.BLUE, "residual of the model"),
        ]
        others = zip((baselines or {}).items(), (style.ORANGE, style.GREEN, style.PURPLE))  # noqa: B905 - as many as there are
        curves += [(s, colour, f"of {name}") for (name, s), colour in others]
        for curve, colour, name in curves:
            density = UM**2 * curve.density[1:, i]  # 0 Hz does not fit a logarithmic axis
            panel.loglog(curve.frequency[1:], density, color=colour, label=name)
        if len(resonance_hz) == 2:
            panel.axvline(resonance_hz[i], color=style.VERMILLION, lw=0.8, ls="--")
            panel.annotate(
                f" {resonance_hz[i]:.1f} Hz", (resonance_hz[i], 1), color=style.VERMILLION,
                xycoords=("data", "axes fraction"), va="top", fontsize=7.5,
            )  # fmt: skip
        panel.set(xlabel="frequency / Hz", title=f"{AXES[i]} axis")
        panel.set_xlim(curve.frequency[1], curve.frequency[-1])
        panel.yaxis.set_major_locator(LogLocator(numticks=8))
        panel.yaxis.set_minor_formatter(NullFormatter())
    panels[0].set_ylabel("density / µm² Hz⁻¹")
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=len(handles[0]))
    return figure


def _axis_bars(panel: Axes, values: Mapping[str, Sequence[float]], axes: Sequence[int]) -> None:
    """Draw a bar an axis for each name, the first on top, each with its number."""
    places = -np.arange(len(values), dtype=np.float64)
    for at, axis in enumerate(AXES[i] for i in axes):
        lengths = [each[at] for each in values.values()]
        aside = 0.19 * (len(axes) - 1) - 0.38 * at
        bars = panel.barh(
            places + aside, lengths, 0.36, color=AXIS_COLOURS[axis], label=f"{axis} axis"
        )
        panel.bar_label(bars, [f"{v:.1f}" for v in lengths], padding=2, fontsize=6.5)
    panel.set_yticks(places, list(values))
    panel.grid(visible=False, axis="y")
    panel.tick_params(axis="y", length=0)


def _axis_dots(panel: Axes, values: Mapping[str, Sequence[float]], axes: Sequence[int]) -> None:
    """Draw a dot an axis for each name, for a scale on which bars have no foot."""
    for at, i in enumerate(axes):
        places = 0.15 * (len(axes) - 1) - 0.3 * at - np.arange(len(values), dtype=np.float64)
        sizes = [each[at] for each in values.values()]
        colour, name = AXIS_COLOURS[AXES[i]], f"{AXES[i]} axis"
        panel.plot(sizes, places, "os"[i], ms=4, color=colour, label=name)
        for size, place in zip(sizes, places, strict=True):
            panel.annotate(
                f"{size:.3g}", (size, place), xytext=(5, 0), textcoords="offset points",
                va="center", fontsize=6.5,
            )  # fmt: skip
    panel.set_yticks(-np.arange(len(values)), list(values))
    panel.set_ylim(0.6 - len(values), 0.6)
    panel.tick_params(axis="y", length=0)


def _exceedance(axes: Axes, sizes: Floats, colour: str, name: str) -> None:
    """Plot the share of samples above each size."""
    # A few thousand quantiles draw the same curve as a million samples.
    share = np.geomspace(1.0, 1.0 / max(len(sizes), 2), 2000)
    axes.loglog(np.quantile(sizes, 1 - share), share, color=colour, label=name)


def _mark_percentiles(axes: Axes, sizes: Floats, limits_mm: Mapping[str, float]) -> None:
    for rank, cut in zip(PERCENTILES, percentiles(sizes).values(), strict=True):
        axes.plot(cut, 1 - rank / 100, "o", ms=3.5, color=style.BLUE)
        axes.annotate(
            f"p{rank}  {cut:.1f} µm", (cut, 1 - rank / 100), xytext=(-4, -1), ha="right", va="top",
            textcoords="offset points", fontsize=7, color=style.BLUE,
        )  # fmt: skip
    marks = [(UM * limits_mm[k], 1 - r / 100) for r in PERCENTILES if (k := f"p{r}") in limits_mm]
    if marks:
        axes.plot(
            *zip(*marks, strict=True),
            "v",
            color=style.VERMILLION,
            ms=4.5,
            ls="none",
            label="target",
        )
    axes.set(xlabel="|component| / µm", ylabel="share of samples above")
    axes.set_title("How often a size is exceeded")
    axes.set_xlim(left=max(float(np.quantile(sizes, 0.03)), 1e-3))
    axes.set_ylim(top=1.5)
    axes.legend(loc="lower left")


def _fit_text(got: Floats, wanted: Floats) -> str:
    mae = mean_absolute_error(got, wanted)
    return f"R² {r_squared(got, wanted):.4f}\nMAE {mae:.2f} µm\nn = {len(wanted):,}"


@styled
def comparison(
    models: Mapping[str, tuple[Mapping[str, float], Mapping[str, Sequence[float]] | None]],
    baselines: Mapping[str, Mapping[str, float]],
) -> Figure:
    """Compare models by MAE, RMSE and R², each with its interval; baselines as marks.

    Parameters
    ----------
    models
        Name → (``mae_mm rmse_mm r2``, the same names → (low, high) if known).
    baselines
        Name → ``mae_mm rmse_mm r2``.
    """
    names = [*models, *baselines]
    figure = new_figure(height=1.1 + 0.26 * len(names))
    panels = figure.subplots(1, 3, sharey=True)
    quantities = {"mae_mm": "MAE / µm", "rmse_mm": "RMSE / µm", "r2": "1 − R²"}
    for axes, (key, label) in zip(panels, quantities.items(), strict=True):
        for place, name in enumerate(names):
            if name in models:
                metrics, spans = models[name]
                if spans:
                    edges = [_smaller_is_better(key, edge) for edge in spans[key]]
                    axes.plot(edges, [place, place], color=style.BLUE, lw=2, alpha=0.5)
                value = _smaller_is_better(key, metrics[key])
                axes.plot(value, place, "o", ms=4.5, color=style.BLUE)
            else:
                axes.plot(
                    _smaller_is_better(key, baselines[name][key]),
                    place,
                    "D",
                    ms=4,
                    color=style.GREY,
                )
        axes.set(xscale="log", xlabel=label)
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(axis="y", length=0)
    panels[0].set_ylim(len(names) - 0.5, -0.5)  # the first on top
    panels[0].set_title("Whole layers, 95 % intervals over layers")
    return figure


def _smaller_is_better(key: str, value: float) -> float:
    """Return µm, or the unexplained share: near-perfect models differ in it, not in R²."""
    return 1.0 - value if key == "r2" else UM * value
