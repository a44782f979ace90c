"""The pictures of a correction, from what a replay tells."""

from types import SimpleNamespace

import numpy as np
import pytest

from trajerr.metrics.closed_loop import SHAPERS, UNCORRECTED, WallMotion
from trajerr.reports.correction_report import spectra

RATE_HZ = 1000.0
OFF_MM = {UNCORRECTED: 0.06, SHAPERS[0]: 0.05, "inverse": 0.006}


class Replayed:
    """A replay whose walls are off by a sine of each method's own size."""

    layers = (3, 9)
    sample_rate_hz = RATE_HZ
    printer = SimpleNamespace(
        x=SimpleNamespace(natural_freq_hz=24.0), y=SimpleNamespace(natural_freq_hz=21.0)
    )

    def walls(self, method: str, layer: int) -> WallMotion:
        time = layer + np.arange(4000) / RATE_HZ
        contour = OFF_MM[method] * np.sin(2.0 * np.pi * 20.0 * time)
        nowhere = np.zeros((len(time), 2))
        return WallMotion(time, nowhere, nowhere, contour, nowhere)


def test_each_method_has_its_own_spectrum():
    figure = spectra(Replayed(), "inverse")
    curves = {curve.get_label(): curve.get_ydata().max() for curve in figure.axes[0].lines[:3]}
    assert list(curves) == list(OFF_MM)
    for method, off in OFF_MM.items():
        ratio = (off / OFF_MM[UNCORRECTED]) ** 2
        assert curves[method] / curves[UNCORRECTED] == pytest.approx(ratio, rel=1e-6)
