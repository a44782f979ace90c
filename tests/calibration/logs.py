"""Logs of simulated printers, as an encoder would record them."""

import numpy as np

from tests.calibration.sweeps import resting
from trajerr.calibration.stretches import AxisLog, Stretch
from trajerr.dynamics.plant import SIMULATION_RATE_HZ, simulate

NOISE_MM = 1e-3  # RMS, of an encoder


def wandering(seconds, seed):
    """(N, 2) mm at the simulation's rate: trapezoids, reversals, rests, jumps of speed."""
    random = np.random.default_rng(seed)
    ends = np.arange(0.0, seconds + 0.3, 0.11)
    ends[1:] += random.uniform(-0.02, 0.02, len(ends) - 1)
    speed = np.clip(random.normal(0.0, 60.0, (len(ends), 2)), -140.0, 140.0)
    speed[random.random(len(ends)) < 0.25] = 0.0
    leaving = speed + random.normal(0.0, 6.0, speed.shape)
    time = np.arange(round(seconds * SIMULATION_RATE_HZ) + 1) / SIMULATION_RATE_HZ
    piece = np.searchsorted(ends, time, side="right") - 1
    share = ((time - ends[piece]) / (ends[piece + 1] - ends[piece]))[:, None]
    velocity = leaving[piece] * (1.0 - share) + speed[piece + 1] * share
    return 110.0 + np.cumsum(velocity, axis=0) / SIMULATION_RATE_HZ


def simulated_log(printer, *, rate_hz=1000.0, seconds=6.0, seed=0, late_s=0.0, skip_s=0.0):
    """Return (N,) s, and (N, 2) mm commanded and measured; measured later by ``late_s``."""
    xy = wandering(seconds + skip_s, seed)
    actual = simulate(printer, resting(xy, SIMULATION_RATE_HZ), seed=seed).xy
    late = np.roll(actual, round(late_s * SIMULATION_RATE_HZ), axis=0)
    every = slice(round(skip_s * SIMULATION_RATE_HZ), None, round(SIMULATION_RATE_HZ / rate_hz))
    noise = NOISE_MM * np.random.default_rng(seed).normal(size=actual.shape)
    commanded, measured = xy[every], (late + noise)[every]
    return np.arange(len(commanded)) / rate_hz, commanded, measured


def divided(time, commanded, measured, axis, share=0.7) -> AxisLog:
    """Return one axis of a log, its last part held out."""
    at = round(share * len(time))
    parts = [
        Stretch(time[cut], commanded[cut, axis], measured[cut, axis])
        for cut in (slice(None, at), slice(at, None))
    ]
    return AxisLog((parts[0],), (parts[1],))
