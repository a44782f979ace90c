"""Which frequencies the error and the residual hold: Welch's averaged periodogram.

Welch, IEEE Trans. Audio Electroacoustics 15(2):70–73, 1967: Hann-windowed segments, half
overlapping, each freed of its mean; one-sided densities in mm²/Hz.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trajerr.arrays import Floats

SEGMENT = 512  # samples: 0.8 Hz resolution at 400 Hz


@dataclass(frozen=True)
class Spectrum:
    """A one-sided power spectral density of A axes."""

    frequency: Floats  # (F,) Hz
    density: Floats  # (F, A) mm²/Hz

    def band_rms(self, low: float, high: float) -> float:
        """Return the RMS within ``low ≤ f < high`` Hz, in mm, axes taken together."""
        inside = (self.frequency >= low) & (self.frequency < high)
        step = self.frequency[1] - self.frequency[0]
        return float(np.sqrt(np.mean(np.sum(self.density[inside], axis=0)) * step))


def spectrum(signals: Sequence[Floats], sample_rate: float, segment: int = SEGMENT) -> Spectrum:
    """Average the periodograms of all segments of all signals.

    Parameters
    ----------
    signals
        Each (N_i, A), mm. Those shorter than ``segment`` are left out, unless all are: then
        the segment is as long as the longest.
    sample_rate
        Hz.
    segment
        Samples per segment.

    Raises
    ------
    ValueError
        If no signal has at least 2 samples.
    """
    longest = max((len(signal) for signal in signals), default=0)
    if longest < 2:
        raise ValueError("a spectrum needs a signal of at least 2 samples")
    length = min(segment, longest)
    # Periodic Hann, as spectral analysis uses it: the symmetric one leaks more.
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    pieces = np.concatenate([_segments(signal, length) for signal in signals])
    power = np.abs(np.fft.rfft(pieces * window, axis=-1)) ** 2
    density = power.mean(axis=0) / (sample_rate * np.sum(window**2))
    density[..., 1 : (length + 1) // 2] *= 2  # the negative frequencies, but for 0 and Nyquist
    frequency = np.arange(length // 2 + 1, dtype=np.float64) * (sample_rate / length)
    return Spectrum(frequency, np.asarray(density.T, dtype=np.float64))


def _segments(signal: Floats, length: int) -> Floats:
    """Return (S, A, length) half-overlapping segments without their means."""
    if len(signal) < length:
        return np.empty((0, signal.shape[1], length))
    cuts = np.lib.stride_tricks.sliding_window_view(signal, length, axis=0)
    chosen = cuts[:: max(length - length // 2, 1)]
    return np.asarray(chosen - chosen.mean(axis=-1, keepdims=True), dtype=np.float64)
