"""The page of a calibration: a row an axis, what was measured, what is left, the shapers."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trajerr.arrays import Floats
from trajerr.calibration.findings import AxisFindings
from trajerr.calibration.identify import Identified
from trajerr.calibration.print_fit import FittedAxis
from trajerr.calibration.recommendation import worst_remaining
from trajerr.calibration.recordings import PowerSpectrum
from trajerr.calibration.resonance import Resonance
from trajerr.reports import style
from trajerr.reports.style import new_figure, styled

UM = 1000.0  # µm per mm
SHOWN_HZ = 200.0
EXCERPT_S = 1.0
ROW_INCHES = 2.5
SMOOTHED_BINS = 5


@styled
def calibration_page(name: str, axes: Mapping[str, AxisFindings]) -> Figure:
    """Draw the page.

    Parameters
    ----------
    name
        Of the printer.
    axes
        By "x" and "y".
    """
    figure = new_figure(height=ROW_INCHES * len(axes) + 0.3)
    columns = 3 if any(found.shapers for found in axes.values()) else 2
    grid = figure.add_gridspec(len(axes), columns, width_ratios=[1.25, 1, 1][:columns])
    for row, (axis, found) in enumerate(axes.items()):
        panels = [figure.add_subplot(grid[row, column]) for column in range(columns)]
        if found.resonance is not None and found.spectrum is not None:
            _spectrum(panels[0], axis, found.resonance, found.spectrum, found.column)
            _misfit(panels[1], found.resonance)
        if found.identified is not None:
            _error(panels[0], axis, found.identified)
            _residual(panels[1], found.identified)
        if found.recorded is not None:
            _print_spectrum(panels[0], axis, found.recorded)
            _coherence(panels[1], found.recorded)
        if found.shapers:
            _shapers(panels[2], found)
    figure.suptitle(f"calibration of {name}", fontsize=9)
    return figure


def _spectrum(
    axes: Axes, axis: str, found: Resonance, spectrum: PowerSpectrum, column: int
) -> None:
    inside = (spectrum.frequency > 0.0) & (spectrum.frequency <= SHOWN_HZ)
    density = np.maximum(spectrum.density[inside, column], 1e-12)
    axes.semilogy(spectrum.frequency[inside], density, color=style.GREY, lw=0.9, label="measured")
    axes.semilogy(found.frequency, found.model, color=style.VERMILLION, label="model")
    natural = found.natural_freq_hz
    axes.axvspan(natural.low, natural.high, color=style.SKY, alpha=0.5, lw=0.0)
    label = f"{natural.value:.1f} Hz, ζ {found.damping_ratio.value:.3f}"
    axes.axvline(natural.value, color=style.BLUE, ls="--", lw=0.8, label=label)
    middle = density[spectrum.frequency[inside] > 3.0]
    axes.set_ylim(0.3 * middle.min(), 20.0 * middle.max())
    axes.set(
        xlabel="frequency / Hz",
        ylabel="density / (mm s⁻²)² Hz⁻¹",
        title=f"{axis}: acceleration",
        xlim=(0.0, SHOWN_HZ),
    )
    axes.legend(loc="upper right")


def _misfit(axes: Axes, found: Resonance) -> None:
    ratio = 10.0 * np.log10(found.density / found.model)
    axes.axhline(0.0, color=style.GREY, lw=0.6)
    axes.plot(found.frequency, ratio, "o-", ms=2.0, lw=0.7, color=style.RESIDUAL)
    reach = max(1.0, 1.2 * float(np.max(np.abs(ratio))))
    axes.set(
        xlabel="frequency / Hz",
        ylabel="measured over model / dB",
        title="what the model leaves",
        ylim=(-reach, reach),
    )


def _print_spectrum(axes: Axes, axis: str, found: FittedAxis) -> None:
    """Draw measured and modelled acceleration of a print, and what is left."""
    shown = (
        (found.measured, style.GREY, 1.4, "measured"),
        (found.left, style.RESIDUAL, 0.7, "left"),
    )
    for density, colour, width, label in shown:
        axes.semilogy(found.frequency, _smooth(density), color=colour, lw=width, label=label)
    modelled = _smooth(found.modelled)
    axes.semilogy(found.frequency, modelled, color=style.VERMILLION, lw=0.8, label="model")
    natural, second = found.estimates["natural_freq_hz"], found.estimates.get("second_frequency_hz")
    label = f"{natural.value:.1f} Hz, ζ {found.estimates['damping_ratio'].value:.3f}"
    axes.axvline(natural.value, color=style.BLUE, ls="--", lw=0.8, label=label)
    if second is not None:
        label = f"second: {second.value:.1f} Hz"
        axes.axvline(second.value, color=style.BLUE, ls=":", lw=0.8, label=label)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.6)  # room for the legend
    axes.set(
        xlabel="frequency / Hz",
        ylabel="density / (mm s⁻²)² Hz⁻¹",
        title=f"{axis}: acceleration of the print",
    )
    axes.legend(loc="upper right", ncols=2, fontsize=6.5)


def _coherence(axes: Axes, found: FittedAxis) -> None:
    axes.plot(found.frequency, found.coherence, color=style.BLUE, lw=0.8)
    axes.set(
        xlabel="frequency / Hz",
        ylabel="coherence of measured and model",
        title=f"{100.0 * found.explained:.1f} % explained",
        ylim=(0.0, 1.05),
    )


def _smooth(density: Floats) -> Floats:
    """Return a density averaged over near bins, for the eye."""
    weights = np.ones(SMOOTHED_BINS)
    counts = np.convolve(np.ones_like(density), weights, "same")
    smooth: Floats = np.convolve(density, weights, "same") / counts
    return smooth


def _error(axes: Axes, axis: str, found: Identified) -> None:
    time, error, model = _busiest(found)
    axes.plot(time, UM * error, color=style.ACTUAL, lw=1.0, label="measured")
    axes.plot(time, UM * model, color=style.VERMILLION, lw=0.9, ls="--", label="model")
    axes.set(xlabel="time / s", ylabel="error / µm", title=f"{axis}: tracking error")
    low, high = style.range_of(UM * np.concatenate([error, model]))
    axes.set_ylim(low, high + 0.25 * (high - low))
    axes.legend(loc="upper right", ncols=2)


def _busiest(found: Identified) -> tuple[Floats, Floats, Floats]:
    """Return the second of the last stretch in which the error varies most."""
    time, error, model = found.times[-1], found.measured[-1], found.predicted[-1]
    rows = min(len(time), max(2, int(EXCERPT_S / (time[1] - time[0]))))
    begins = np.arange(0, len(time) - rows + 1, max(1, rows // 4))
    first = int(max(begins, key=lambda begin: float(np.std(error[begin : begin + rows]))))
    cut = slice(first, first + rows)
    return time[cut], error[cut], model[cut]


def _residual(axes: Axes, found: Identified) -> None:
    parts = zip(found.times, found.measured, found.predicted, strict=True)
    for index, (time, error, model) in enumerate(parts):
        fitted = index < found.fitted
        colour, label = (style.BLUE, "fitted") if fitted else (style.ORANGE, "held out")
        seen = index in (0, found.fitted)
        left = UM * (error - model)
        axes.plot(time, left, lw=0.5, color=colour, label=label if seen else None)
    title = f"left: {UM * found.rms(held_out=False)[1]:.1f} µm RMS"
    if found.fitted < len(found.times):
        title += f", held out {UM * found.rms(held_out=True)[1]:.1f}"
    axes.set(xlabel="time / s", ylabel="measured − model / µm", title=title)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.2 * (high - low))  # room for the legend
    axes.legend(loc="upper right", ncols=2)


def _shapers(axes: Axes, found: AxisFindings) -> None:
    frequency = np.arange(1.0, SHOWN_HZ, 0.25)
    for choice in found.shapers:
        chosen = found.best is not None and choice.name == found.best.name
        label = f"{choice.name} {choice.frequency_hz:.1f} Hz"
        left = 100.0 * worst_remaining(choice, frequency)
        axes.plot(frequency, left, lw=1.6 if chosen else 0.7, label=label)
    axes.axvline(found.natural_freq_hz.value, color=style.BLUE, ls="--", lw=0.8)
    axes.set(
        xlabel="frequency / Hz",
        ylabel="remaining vibration / %",
        title=f"shapers: {found.best.name}" if found.best else "shapers",
        xlim=(0.0, SHOWN_HZ),
        ylim=(0.0, 175.0),
        yticks=range(0, 101, 20),
    )
    axes.legend(loc="upper right", fontsize=6.5)
