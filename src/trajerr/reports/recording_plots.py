"""The page of a recording: both parts of the error, coherence and crossover, uncertainty."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trajerr.recordings.fusion import Fused
from trajerr.reports import style
from trajerr.reports.style import new_figure, styled

UM = 1000.0  # µm per mm
SHOWN_HZ = 100.0
EXCERPT_S = 1.0
WINDOW_S = 5.0  # over which uncertainty is shown
ROW_INCHES = 2.5


@styled
def recording_page(name: str, fused: Fused) -> Figure:
    """Draw a row an axis.

    Parameters
    ----------
    name
        Of what was printed.
    fused
        The errors.
    """
    figure = new_figure(height=2 * ROW_INCHES + 0.3)
    grid = figure.add_gridspec(2, 3, width_ratios=[1.25, 1, 1])
    for row, axis in enumerate("xy"):
        panels = [figure.add_subplot(grid[row, column]) for column in range(3)]
        _parts(panels[0], axis, row, fused)
        _coherence(panels[1], axis, row, fused)
        _uncertainty(panels[2], row, fused)
    figure.suptitle(f"recording of {name}", fontsize=9)
    return figure


def _parts(axes: Axes, axis: str, row: int, fused: Fused) -> None:
    """Draw the second in which the sensor adds most."""
    width = min(round(EXCERPT_S * fused.sample_rate), len(fused.error))
    energy = np.concatenate([[0.0], np.cumsum(fused.above[:, row] ** 2)])
    first = int(np.argmax(energy[width:] - energy[:-width]))
    rows = slice(first, first + width)
    time = fused.time_s[rows]
    axes.plot(time, UM * fused.below[rows, row], color=style.GREY, lw=0.9, label="printer, below")
    axes.plot(time, UM * fused.above[rows, row], color=style.SKY, lw=0.9, label="sensor, above")
    axes.plot(time, UM * fused.error[rows, row], color=style.VERMILLION, lw=0.9, label="together")
    axes.set(xlabel="time of the plan, s", ylabel=f"error of {axis}, µm")
    axes.legend(loc="upper right")


def _coherence(axes: Axes, axis: str, row: int, fused: Fused) -> None:
    shown = (fused.frequency > 0.0) & (fused.frequency <= SHOWN_HZ)
    axes.semilogx(fused.frequency[shown], fused.coherence[shown, row], color=style.GREY, lw=0.9)
    crossover = fused.crossover[axis].frequency_hz
    axes.axvline(crossover, color=style.VERMILLION, lw=0.9, label=f"crossover, {crossover:.1f} Hz")
    axes.set(xlabel="frequency, Hz", ylabel="coherence with the plan", ylim=(0.0, 1.05))
    axes.legend(loc="lower left")


def _uncertainty(axes: Axes, row: int, fused: Fused) -> None:
    width = round(WINDOW_S * fused.sample_rate)
    begins = range(0, max(len(fused.error) - width, 0) + 1, width)
    pieces = [slice(begin, begin + width) for begin in begins]
    time = [fused.time_s[piece].mean() for piece in pieces]
    error = [UM * np.sqrt(np.mean(fused.error[piece, row] ** 2)) for piece in pieces]
    uncertain = [UM * fused.uncertainty(piece)[row] for piece in pieces]
    axes.semilogy(time, error, color=style.GREY, lw=0.9, label="error")
    axes.semilogy(time, uncertain, color=style.VERMILLION, lw=0.9, label="its uncertainty")
    axes.set(xlabel="time of the plan, s", ylabel=f"RMS over {WINDOW_S:g} s, µm")
    axes.legend(loc="lower right")
