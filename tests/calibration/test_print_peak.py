"""The resonance of an axis that something unknown shakes."""

import math

import numpy as np
import pytest
from scipy.signal import cont2discrete, lfilter

from trajerr.calibration.print_peak import find_peak
from trajerr.calibration.print_spectra import cut

RATE = 1000.0


def shaken(frequency, ratio, seconds=180.0, noise=0.02, seed=0):
    """Felt acceleration of an axis whose motor is shaken evenly, and a sensor's noise; (M,)."""
    random = np.random.default_rng(seed)
    omega = 2.0 * math.pi * frequency
    spring = [2.0 * ratio * omega, omega**2], [1.0, 2.0 * ratio * omega, omega**2]
    numerator, denominator, _ = cont2discrete(spring, 1.0 / RATE, "bilinear")
    pushed = random.standard_normal(round(seconds * RATE))
    felt = lfilter(numerator.ravel(), denominator, pushed)
    return felt + noise * felt.std() * random.standard_normal(len(felt))


def spectra(felt):
    everywhere = np.ones(len(felt), dtype=np.bool_)
    segments = cut(everywhere, everywhere, RATE, "x")
    return segments.frequency, segments.spectra(felt)


@pytest.mark.parametrize(("frequency", "ratio"), [(37.5, 0.05), (52.0, 0.09), (30.0, 0.15)])
@pytest.mark.parametrize("near", [0.85, 1.15])
def test_frequency_and_damping_of_a_shaken_axis_are_found(frequency, ratio, near):
    found = find_peak(*spectra(shaken(frequency, ratio)), near * frequency)
    assert found is not None
    assert found.natural_freq_hz == pytest.approx(frequency, rel=0.02)
    assert found.damping_ratio == pytest.approx(ratio, rel=0.2)
    for name, each in found.replicates.items():
        centre = math.log(getattr(found, name))
        assert len(each) == 12
        assert abs(float(each.mean()) - centre) < 0.05
        assert 0.0 < float(each.std()) < 0.1


def test_the_strongest_peak_near_the_frequency_is_taken():
    both = shaken(36.0, 0.05, seed=1) + 2.0 * shaken(90.0, 0.05, seed=2)
    found = find_peak(*spectra(both), 32.0)
    assert found is not None
    assert found.natural_freq_hz == pytest.approx(36.0, rel=0.02)


def test_noise_has_no_peak():
    noise = np.random.default_rng(3).standard_normal(120_000)
    assert find_peak(*spectra(noise), 40.0) is None
    assert find_peak(*spectra(np.cumsum(noise)), 40.0) is None  # red, as a frame's drift is
