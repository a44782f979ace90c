"""The recommendation against what Klipper's own code says of the same spectra."""

import numpy as np
import pytest

from trajerr.calibration.recommendation import recommend
from trajerr.calibration.recordings import PowerSpectrum


def mode(frequency, natural_freq_hz, damping):
    """Density of a swept axis' acceleration, by hand."""
    ratio, damper = frequency / natural_freq_hz, 2.0 * damping * frequency / natural_freq_hz
    return frequency**2 * (1.0 + damper**2) / ((1.0 - ratio**2) ** 2 + damper**2)


SPECTRA = {
    "one": lambda f: mode(f, 46.0, 0.05),
    "soft": lambda f: mode(f, 24.0, 0.14),
    "two": lambda f: mode(f, 38.0, 0.06) + 0.5 * mode(f, 71.0, 0.04),
    "broad": lambda f: mode(f, 55.0, 0.2) + 0.3 * mode(f, 90.0, 0.1),
}
# By shaper_calibrate.py and shaper_defs.py of Klipper, commit 034cb67, with their defaults:
# recommended shaper; of each shaper frequency Hz, vibration, smoothing mm, acceleration.
KLIPPER = {
    "one": (
        "mzv",
        {
            "zv": (46.2, 0.00738, 0.07775, 8318.2),
            "mzv": (47.6, 0.00009, 0.08989, 6674.8),
            "ei": (58.4, 0.0, 0.09661, 6210.5),
            "2hump_ei": (75.0, 0.00003, 0.10067, 5960.2),
            "3hump_ei": (94.0, 0.0, 0.10233, 5863.7),
        },
    ),
    "soft": (
        "mzv",
        {
            "zv": (24.2, 0.06865, 0.26289, 1958.0),
            "mzv": (23.4, 0.0061, 0.37196, 1518.6),
            "ei": (29.0, 0.00497, 0.39179, 1451.6),
            "2hump_ei": (39.0, 0.01654, 0.37229, 1476.3),
            "3hump_ei": (48.0, 0.00947, 0.39242, 1387.3),
        },
    ),
    "two": (
        "ei",
        {
            "zv": (70.0, 0.12709, 0.03808, 19096.0),
            "mzv": (43.6, 0.01245, 0.10714, 5600.1),
            "ei": (58.4, 0.01442, 0.09661, 6210.5),
            "2hump_ei": (67.4, 0.00045, 0.12465, 4813.5),
            "3hump_ei": (84.8, 0.00044, 0.12573, 4772.1),
        },
    ),
    "broad": (
        "2hump_ei",
        {
            "zv": (89.4, 0.19875, 0.02545, 31147.3),
            "mzv": (56.0, 0.01512, 0.06495, 9238.4),
            "ei": (76.4, 0.02233, 0.05645, 10629.0),
            "2hump_ei": (85.2, 0.0004, 0.07801, 7691.6),
            "3hump_ei": (107.6, 0.00041, 0.07809, 7683.1),
        },
    ),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_it_is_klippers(name):
    frequency = 1.5625 * np.arange(129)
    density = SPECTRA[name](frequency) * (frequency <= 135.0) + 1.0
    still = np.zeros_like(density)
    best, fitted = recommend(PowerSpectrum(frequency, np.column_stack([density, still, still])))
    recommended, known = KLIPPER[name]
    assert best.name == recommended
    assert [choice.name for choice in fitted] == list(known)
    for choice in fitted:
        tuning, vibration, smoothing, acceleration = known[choice.name]
        assert choice.frequency_hz == pytest.approx(tuning, abs=1e-6)
        assert choice.vibration == pytest.approx(vibration, abs=1e-5)
        assert choice.smoothing_mm == pytest.approx(smoothing, abs=1e-5)
        assert choice.max_acceleration_mm_s2 == pytest.approx(acceleration, rel=1e-4)
