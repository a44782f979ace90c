"""The one look of all figures: sizes, fonts, colours, and how a figure is written.

Figures are made without pyplot, so that nothing global changes and no screen is needed.
"""

import functools
import io
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from trajerr.files import write_atomically

P = ParamSpec("P")

COLUMN = 3.5  # inches: one column of a two-column paper
PAGE = 7.2  # inches: both columns
DPI = 200

# Okabe & Ito, Color Universal Design, 2008: told apart with any colour vision.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILLION, PURPLE = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
GREY = "#8C8C8C"
COMMANDED, ACTUAL, PREDICTED, RESIDUAL = GREY, BLACK, VERMILLION, BLUE
AXIS_COLOURS = {"x": BLUE, "y": ORANGE}
CYCLE = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)
SEQUENTIAL = "cividis"  # Nuñez et al., PLoS ONE 13(7), 2018: the same for all colour vision
# Thin lines on white: the palest tenth of plasma would vanish.
PATH_COLOURS = LinearSegmentedColormap.from_list(
    "path", matplotlib.colormaps["plasma"](np.linspace(0.0, 0.9, 256))
)

RC = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": f"cycler(color={list(CYCLE)})",
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.1,
    "figure.dpi": DPI,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "image.cmap": SEQUENTIAL,
    "path.simplify_threshold": 0.2,
}


def styled(plot: Callable[P, Figure]) -> Callable[P, Figure]:
    """Make a plotting function draw in the shared style, whatever the caller's settings."""

    @functools.wraps(plot)
    def draw(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(RC):
            return plot(*args, **kwargs)

    return draw


def new_figure(width: float = PAGE, height: float = 3.0) -> Figure:
    """Return an empty figure, ``width`` × ``height`` inches, whose layout keeps labels apart."""
    # Room for tick labels that equal scales push out after the layout is solved.
    layout = ConstrainedLayoutEngine(w_pad=0.09, h_pad=0.05)
    return Figure(figsize=(width, height), dpi=DPI, layout=layout)


def to_png(figure: Figure) -> bytes:
    """Return a figure as a PNG."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(RC):
        figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as a PNG; an interrupted run leaves no half file."""
    write_atomically(path, to_png(figure))
    return path


def path_axes(axes: Axes, x_label: str = "x / mm", y_label: str = "y / mm") -> Axes:
    """Give axes that show a path equal scales and mm."""
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return axes


def range_of(values: NDArray[np.float64], pad: float = 0.05) -> tuple[float, float]:
    """Return limits that hold all values with ``pad`` (a share of the span) to spare."""
    low, high = float(np.min(values)), float(np.max(values))
    margin = pad * (high - low) or 1.0
    return low - margin, high + margin
