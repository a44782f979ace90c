"""Machines to measure and to invert: linear, coupled, rubbing; written without trajerr."""

import numpy as np
from scipy.signal import butter, lfilter

RATE = 200.0


def resonant(frequency, damping):
    """Return (b, a) of a carriage on a belt, k / (m s² + c s + k) by the bilinear transform."""
    warped = 2.0 * RATE * np.tan(np.pi * frequency / RATE)
    s2, s1, s0 = 4.0 * RATE**2, 4.0 * damping * warped * RATE, warped**2
    a = np.array([s2 + s1 + s0, 2.0 * s0 - 2.0 * s2, s2 - s1 + s0])
    b = s0 * np.array([1.0, 2.0, 1.0])
    return b / a[0], a / a[0]


AXES = (resonant(22.0, 0.12), resonant(18.0, 0.15))


def along(axis, values):
    """Return what an axis makes of (T,) values, at rest before them."""
    b, a = AXES[axis]
    return values[0] + lfilter(b, a, values - values[0])


def linear(commands):
    return [np.column_stack([along(0, c[:, 0]), along(1, c[:, 1])]) for c in commands]


def coupled(commands):
    """The y axis also follows a third of what x does."""
    found = linear(commands)
    for xy, command in zip(found, commands, strict=True):
        xy[:, 1] += (along(0, command[:, 0]) - command[0, 0]) / 3.0
    return found


def sticking(commands, begin, end):
    """The x axis stands still between two samples, then goes on as if it had not."""
    found = linear(commands)
    for xy in found:
        xy[begin:end, 0] = 50.0
    return found


def limping(commands):
    """The farther an axis lags, the more it gives way: by up to a third."""
    pairs = zip(commands, linear(commands), strict=True)
    return [
        c[:, :2] + lag * (1.0 + np.tanh(np.abs(lag)) / 3.0)
        for c, xy in pairs
        for lag in [xy - c[:, :2]]
    ]


def strokes(seconds, seed=0):
    """Return (T, 3) mm of a motion that turns now and then."""
    random = np.random.default_rng(seed)
    count = int(seconds * RATE)
    b, a = butter(2, 4.0, fs=RATE)
    xy = 50.0 + 40.0 * lfilter(b, a, random.standard_normal((count, 2)), axis=0)
    xy -= xy[0] - 50.0
    return np.column_stack([xy, np.full(count, 0.2)])
