"""A mass on a shaken spring and damper, in closed form, at any times."""

import numpy as np

from tests.calibration.sweeps import pulses

NOISE = 9806.65 * 290e-6  # (mm/s²)/√Hz, an ADXL345's


def felt(time, natural_freq_hz, damping, **sweep):
    """Return (N,) mm/s² that a sensor on the mass feels during TEST_RESONANCES' vibrations.

    With e the spring's extension and a the base's acceleration, constant over each pulse:
    e'' + 2ζω e' + ω² e = a, so e = a/ω² + exp(−ζωτ) (C cos ω_d τ + D sin ω_d τ) from the
    pulse's begin on, and the mass feels 2ζω e' + ω² e.
    """
    ends, accelerations = pulses(**sweep)
    begins = np.concatenate([[0.0], ends])
    base = np.append(accelerations, 0.0)
    omega = 2.0 * np.pi * natural_freq_hz
    decay, ringing = damping * omega, omega * np.sqrt(1.0 - damping**2)
    cosines, sines = np.empty(len(base)), np.empty(len(base))
    extension = speed = 0.0

    def state(base, cosine, sine, since):
        shrunk = np.exp(-decay * since)
        c, s = np.cos(ringing * since), np.sin(ringing * since)
        turned = (sine * ringing - decay * cosine) * c - (cosine * ringing + decay * sine) * s
        return base / omega**2 + shrunk * (cosine * c + sine * s), shrunk * turned

    for k, acceleration in enumerate(base):
        cosines[k] = extension - acceleration / omega**2
        sines[k] = (speed + decay * cosines[k]) / ringing
        if k < len(ends):
            since = ends[k] - begins[k]
            extension, speed = state(acceleration, cosines[k], sines[k], since)
    k = np.searchsorted(ends, time, side="right")
    extension, speed = state(base[k], cosines[k], sines[k], time - begins[k])
    return 2.0 * decay * speed + omega**2 * extension


def noise(count, rate_hz, seed=3):
    """(N,) mm/s², white."""
    return NOISE * np.sqrt(0.5 * rate_hz) * np.random.default_rng(seed).normal(size=count)
