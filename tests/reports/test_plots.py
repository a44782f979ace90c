"""Every figure, drawn: nothing runs out of the picture, axes have units, paths keep shape."""

import re

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from tests.evaluation.motion import layer
from trajerr.metrics import strata
from trajerr.metrics.spectra import spectrum
from trajerr.reports import path_plots, plots, style

MOTION = layer(seed=2, turns=4)
XY, ERROR, PREDICTED = MOTION["xy"], MOTION["error"], MOTION["predicted"]
PRINTING = MOTION["kind"] > 0
VELOCITY = np.diff(XY, axis=0, prepend=XY[:1]) * 200.0
SPEED = np.linalg.norm(VELOCITY, axis=1)
GROUPS = strata.by_bins(SPEED, (0, 20, 50, 100), "mm/s")
LIMITS = {"p50": 0.015, "p90": 0.035, "p95": 0.045, "p99": 0.07}


def figures(predicted=PREDICTED, error=ERROR) -> dict:
    path = {"printing": PRINTING, "title": "tugboat, layer 12, a4_v1.5_precompensated"}
    spectra = [spectrum([e], 200.0) for e in (error, predicted - error, 0.3 * error)]
    methods = {"transformer_recurrent": predicted, "fir": 0.7 * error, "zero": 0 * error}
    part = slice(200, 700)
    metrics_of = {"mae_mm": 0.004, "rmse_mm": 0.007, "r2": 0.99}
    spans = {"mae_mm": (0.003, 0.005), "rmse_mm": (0.006, 0.009), "r2": (0.98, 0.995)}
    models = {"base": (metrics_of, spans), "lstm": (metrics_of, None)}
    return {
        "trajectory_comparison": path_plots.trajectory_comparison(XY, predicted, error, **path),
        "residual_map": path_plots.residual_map(XY, predicted, error, **path),
        "path_map": path_plots.path_map(XY, SPEED, "speed / mm s⁻¹"),
        "error_distribution": plots.error_distribution(predicted, error, LIMITS),
        "error_correlation": plots.error_correlation(predicted, error),
        "per_axis_error": plots.per_axis_error(methods, error, GROUPS, noise_floor_mm=0.0012),
        "sequence_prediction": plots.sequence_prediction(
            MOTION["time"][part],
            predicted[part],
            error[part],
            SPEED[part],
        ),
        "spectrum": plots.spectrum(
            spectra[0], spectra[1], resonance_hz=(24.1, 21.2), baselines={"fir": spectra[2]}
        ),
        "comparison": plots.comparison(models, {"zero": metrics_of}),
    }


DRAWN = figures()


@pytest.fixture(scope="module", params=sorted(DRAWN))
def drawn(request, tmp_path_factory):
    figure = DRAWN[request.param]
    path = tmp_path_factory.mktemp("figures") / f"{request.param}.png"
    return figure, style.save_figure(figure, path)


def test_nothing_runs_out_of_the_figure(drawn):
    figure, _ = drawn
    taken = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer())  # inches
    width, height = figure.get_size_inches()
    assert taken.x0 > -0.01
    assert taken.y0 > -0.01
    assert taken.x1 < width + 0.01
    assert taken.y1 < height + 0.01


def test_axes_say_what_they_show_with_units(drawn):
    figure, _ = drawn
    labels = [a.get_xlabel() for a in figure.axes] + [a.get_ylabel() for a in figure.axes]
    for label in filter(None, labels):
        assert re.search(r"/ (mm|µm|s|Hz|mm s⁻¹|µm⁻¹|µm² Hz⁻¹)$|share|samples|R²", label), label
    assert any(labels)


def test_letters_are_legible_at_column_width(drawn):
    figure, _ = drawn
    for text in figure.findobj(matplotlib.text.Text):
        assert text.get_fontsize() * style.PAGE / max(figure.get_figwidth(), style.PAGE) >= 6


def test_the_png_has_the_stated_resolution_and_is_not_blank(drawn):
    figure, path = drawn
    picture = imread(path)
    width, height = figure.get_size_inches() * style.DPI
    assert picture.shape[:2] == (int(height), int(width))
    assert picture[..., :3].std() > 0.02
    assert not list(path.parent.glob("*.tmp"))


@pytest.mark.parametrize("name", ["trajectory_comparison", "residual_map", "path_map"])
def test_paths_keep_their_shape(name):
    paths = [a for a in DRAWN[name].axes if a.get_xlabel() == "x / mm"]
    assert paths
    assert all(axes.get_aspect() == 1.0 for axes in paths)


def test_colours_differ_in_brightness_too():
    """Predicted on actual on commanded has to be told apart on a grey printer as well."""

    def luminance(colour: str) -> float:
        return float(np.dot(to_rgb(colour), [0.2126, 0.7152, 0.0722]))

    shades = sorted(map(luminance, (style.COMMANDED, style.ACTUAL, style.PREDICTED)))
    assert min(np.diff(shades)) > 0.1
    assert abs(luminance(style.AXIS_COLOURS["x"]) - luminance(style.AXIS_COLOURS["y"])) > 0.1


def test_sequential_colours_rise_in_brightness_and_stay_visible_on_white():
    shades = style.PATH_COLOURS(np.linspace(0, 1, 32))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(shades) > 0)
    assert shades[-1] < 0.8


def test_nothing_global_changes():
    before = {key: matplotlib.rcParams[key] for key in style.RC}
    plots.error_correlation(PREDICTED, ERROR)
    assert {key: matplotlib.rcParams[key] for key in style.RC} == before


@pytest.mark.parametrize(
    ("predicted", "error"),
    [
        (ERROR * [1.0, 0.0], ERROR * [1.0, 0.0]),  # one axis only, predicted perfectly
        (PREDICTED, np.zeros_like(ERROR)),  # a perfect machine
    ],
)
def test_extreme_data_can_be_drawn(predicted, error):
    for figure in figures(predicted, error).values():
        figure.set_dpi(40)
        figure.draw_without_rendering()
