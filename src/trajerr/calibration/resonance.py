"""Natural frequency and damping of an axis from the spectrum of a resonance test.

Firmware shakes the axis with an acceleration of amplitude A ∝ f while f sweeps at a constant
rate, so the commanded acceleration has the density ``G f²``. The accelerometer feels the
carriage's acceleration, and

    S(f) = ∫ W(f − f′) G f′^p |H(f′)|² df′ + N

with H the axis' response to its command, W the power of the Welch window's transform, which
widens a peak by about two bins, and N the sensor's noise. Two models of H are tried:

- viscous: ``H = (2ζω_n s + ω_n²) / (s² + 2ζω_n s + ω_n²)``, the transmissibility of a mass on
  a shaken base. p is fitted near 2: motor ripple makes small motions relatively larger.
- friction, p = 2: Coulomb friction by its describing function 4F/π (Gelb and Vander Velde,
  1968), which is as great as the command at the frequency φ, as that grows with f. Balancing
  the fundamentals,
  ``((ω_n² − ω²) h/ω²)² + (2ζω_n h/ω + φ/f)² = (ω_n⁴ + 4ζ²ω_n²ω²)/ω⁴`` with h = |H|.

The second is taken where it fits clearly better. It is an approximation: a carriage that
stops within each period is not sinusoidal.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares

from trajerr.arrays import Floats
from trajerr.calibration.recordings import KAISER_BETA, PowerSpectrum
from trajerr.calibration.uncertainty import Estimate, quantile
from trajerr.checks import require, require_positive
from trajerr.errors import DataError

FINER = 8  # points of the model in one bin
REACH = 6  # bins that the window's transform spreads over, to each side
BAND = 2.0  # the fit reaches from the peak's frequency over this to the peak's times this
BLOCKS = 6  # of bins, that are left out one after the other
CLEAR_PEAK = 2.0  # times the response below the peak: no damping above 0.33 shows one
EXCITED = 4.0  # times the noise, of the median density within the sweep
LARGEST_MISFIT = 0.4  # RMS of the logarithm
LARGEST_SPREAD = 0.1  # of the natural frequency
CLEARLY_BETTER = 0.7  # share of the viscous model's misfit
DAMPINGS = (0.03, 0.1, 0.3)  # that searches start from
FRICTIONS_HZ = (5.0, 20.0)
KLIPPER_BIN_HZ = 3200.0 / 2048  # of an ADXL345's spectrum
MODEL_FROM_HZ = 5.0  # that Klipper shakes from, unless told otherwise
MODEL_HZ = 200.0  # that a spectrum made from a model reaches to


@dataclass(frozen=True)
class Sweep:
    """The frequencies that the test excited.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    low_hz: float
    high_hz: float

    def __post_init__(self) -> None:
        for key in ("low_hz", "high_hz"):
            require_positive(f"sweep.{key}", getattr(self, key))
        low, high = self.low_hz, self.high_hz
        require("sweep.high_hz", high, low < high, f"above sweep.low_hz, {low:g}")


@dataclass(frozen=True)
class Resonance:
    """One axis as the accelerometer shows it."""

    natural_freq_hz: Estimate
    damping_ratio: Estimate
    friction_hz: float  # φ, where friction is as great as the command; 0 for the viscous model
    frequency: Floats  # (B,) Hz, bins that were fitted
    density: Floats  # (B,) (mm/s²)²/Hz, measured there
    model: Floats  # (B,) (mm/s²)²/Hz

    @property
    def misfit(self) -> float:
        """RMS of the natural logarithm of measured over model."""
        return float(np.sqrt(np.mean(np.log(self.density / self.model) ** 2)))


def fit_resonance(spectrum: PowerSpectrum, column: int, sweep: Sweep, where: str) -> Resonance:
    """Fit the resonance model to the surroundings of the highest peak.

    Parameters
    ----------
    spectrum
        Of a test of one axis.
    column
        Of the accelerometer: 0, 1, 2 for x, y, z.
    sweep
        What the test excited.
    where
        For messages: the file.

    Raises
    ------
    DataError
        The axis was not excited, there is no clear peak, or the model does not describe it.
    """
    frequency, density = spectrum.frequency, spectrum.density[:, column]
    peak, noise = find_peak(frequency, density, sweep, where)
    low, high = max(peak / BAND, sweep.low_hz), min(peak * BAND, sweep.high_hz)
    chosen = (frequency >= low) & (frequency <= high)
    if np.count_nonzero(chosen) < 8:
        raise DataError(
            f"{where}: {np.count_nonzero(chosen)} frequencies around the peak at {peak:.1f} Hz, "
            "expected 8 or more; a longer window or a wider sweep would tell more"
        )
    band = _Band(frequency[chosen], density[chosen], spectrum.step, peak, noise)
    fits = {friction: band.fit(friction=friction) for friction in (False, True)}
    friction = bool(fits[True].cost < CLEARLY_BETTER**2 * fits[False].cost)
    found = band.resonance(fits[friction], friction=friction)
    if found.misfit > LARGEST_MISFIT or found.natural_freq_hz.spread > LARGEST_SPREAD:
        raise DataError(
            f"{where}: no clear peak: near {peak:.1f} Hz the resonance model is off by a factor "
            f"of {math.exp(found.misfit):.2f} (RMS), so it says nothing about the axis"
        )
    return found


def response(
    frequency: Floats, natural_freq_hz: float, damping: float, friction_hz: float
) -> Floats:
    """Return |H|, the carriage's acceleration over the commanded one, of the fundamentals.

    Parameters
    ----------
    frequency : (N,)
        Hz.
    natural_freq_hz, damping
        Of the linear axis.
    friction_hz
        φ, 0 without friction. Where the equation has no root friction holds the carriage:
        about from ``natural_freq_hz² / friction_hz`` on.
    """
    stiff = (natural_freq_hz / frequency) ** 2
    damper = 2.0 * damping * natural_freq_hz / frequency
    rub = friction_hz / frequency
    squared = (stiff - 1.0) ** 2 + damper**2
    linear = damper * rub
    constant = rub**2 - stiff**2 - damper**2
    root = np.sqrt(np.maximum(linear**2 - squared * constant, 0.0))
    found: Floats = np.maximum(root - linear, 0.0) / squared
    return found


def find_peak(frequency: Floats, density: Floats, sweep: Sweep, where: str) -> tuple[float, float]:
    """Return where the response peaks, Hz, and the sensor's noise, (mm/s²)²/Hz.

    Parameters
    ----------
    frequency, density : (F,)
        Hz, and (mm/s²)²/Hz of the axis that was shaken.
    sweep
        What the test excited.
    where
        For messages: the file.

    Raises
    ------
    DataError
        The spectrum does not hold the sweep, shows no excitation, or no clear peak.
    """
    swept = (frequency >= sweep.low_hz) & (frequency <= sweep.high_hz)
    if np.count_nonzero(swept) < 8:
        raise DataError(
            f"{where}: the spectrum ends at {frequency[-1]:.0f} Hz, expected it to hold the "
            f"sweep, {sweep.low_hz:g} to {sweep.high_hz:g} Hz"
        )
    noise = _noise(frequency, density, sweep)
    if not np.median(density[swept]) > EXCITED * noise:
        raise DataError(
            f"{where}: no excitation: the density from {sweep.low_hz:g} to {sweep.high_hz:g} Hz "
            "does not stand out from the noise above it"
        )
    f = frequency[swept]
    shaken = np.maximum(density[swept] - noise, 0.0) / f**2
    inner = (f > 1.3 * sweep.low_hz) & (f < 0.95 * sweep.high_hz)
    index = int(np.argmax(np.where(inner, shaken, 0.0)))
    below = shaken[(f > 1.2 * sweep.low_hz) & (f < 0.7 * f[index])]
    at_rest = float(np.median(below)) if len(below) else math.inf
    higher_ends = max(shaken[index - 1], shaken[min(index + 1, len(f) - 1)]) > shaken[index]
    if not shaken[index] > CLEAR_PEAK * at_rest or higher_ends:
        raise DataError(
            f"{where}: no clear peak between {sweep.low_hz:g} and {sweep.high_hz:g} Hz; was this "
            "axis the one that shook, and is this its column?"
        )
    return float(f[index]), noise


def _noise(frequency: Floats, density: Floats, sweep: Sweep) -> float:
    """Return the density well above the sweep, or where a spectrum ends there, its smallest."""
    above = (frequency > 4.0 * sweep.high_hz) & (frequency < 0.9 * frequency[-1])
    if np.count_nonzero(above) >= 8:
        return float(np.median(density[above]))
    positive = density[(density > 0.0) & (frequency > 0.0)]
    return float(np.min(positive, initial=np.inf)) if len(positive) else math.inf


@dataclass(frozen=True)
class _Band:
    """What is fitted: B bins around the peak."""

    frequency: Floats  # (B,) Hz
    density: Floats  # (B,) (mm/s²)²/Hz
    step: float  # Hz, of the bins
    peak: float  # Hz
    noise: float  # (mm/s²)²/Hz

    def fit(self, *, friction: bool) -> OptimizeResult:
        """Fit log S by least squares in ln G, ln f_n, ln ζ, ln N and p or φ."""
        return self._search(self._starts(friction), friction)

    def resonance(self, found: OptimizeResult, *, friction: bool) -> Resonance:
        """Return what a fit found, with intervals by leaving out block after block of bins.

        The delete-a-block jackknife (Künsch, Annals of Statistics 17:1217, 1989): what a model
        leaves of a smooth spectrum is no independent noise, and curvature would promise more
        than ten times too much.
        """
        blocks = np.array_split(np.arange(len(self.frequency)), BLOCKS)
        refits = [self._without(block)._search([found.x], friction).x[1:3] for block in blocks]
        around = np.array(refits) - np.mean(refits, axis=0)
        deviation = np.sqrt((BLOCKS - 1) / BLOCKS * np.sum(around**2, axis=0))
        reach = quantile(BLOCKS - 1) * deviation
        return Resonance(
            _exponential(found.x[1], reach[0]),
            _exponential(found.x[2], reach[1]),
            float(found.x[4]) if friction else 0.0,
            self.frequency,
            self.density,
            self.density * np.exp(found.fun),
        )

    def _without(self, block: NDArray[np.intp]) -> "_Band":
        frequency, density = np.delete(self.frequency, block), np.delete(self.density, block)
        return _Band(frequency, density, self.step, self.peak, self.noise)

    def _search(self, starts: Sequence[Sequence[float] | Floats], friction: bool) -> OptimizeResult:
        fine, spread = _window(self.frequency, self.step)
        measured = np.log(np.maximum(self.density, 1e-12 * self.density.max()))

        def residual(q: Floats) -> Floats:
            exponent, rub = (2.0, q[4]) if friction else (q[4], 0.0)
            shape = response(fine, float(np.exp(q[1])), float(np.exp(q[2])), rub) ** 2
            relative = (fine / self.peak) ** exponent
            model = spread @ (np.exp(q[0]) * relative * shape) + np.exp(q[3])
            return np.asarray(np.log(model) - measured)

        low, high = self._bounds(friction)
        inside = [np.clip(start, np.add(low, 1e-9), np.subtract(high, 1e-9)) for start in starts]
        searches = (least_squares(residual, start, bounds=(low, high)) for start in inside)
        return min(searches, key=lambda search: float(search.cost))

    def _bounds(self, friction: bool) -> tuple[list[float], list[float]]:
        peak, noise = math.log(self.peak), math.log(self.noise)
        last = (0.0, 2.0 * self.peak) if friction else (1.5, 2.5)
        return (
            [-np.inf, peak - 0.4, math.log(2e-3), noise - 7.0, last[0]],
            [np.inf, peak + 0.4, math.log(0.6), noise + 10.0, last[1]],
        )

    def _starts(self, friction: bool) -> list[list[float]]:
        height = math.log(np.interp(self.peak, self.frequency, self.density))
        peak, noise = math.log(self.peak), math.log(self.noise) + 0.1
        lasts = [min(f, self.peak) for f in FRICTIONS_HZ] if friction else [2.0]
        return [
            [height + math.log(4.0 * z**2), peak, math.log(z), noise, last]
            for z in DAMPINGS
            for last in lasts
        ]


def _exponential(logarithm: float, reach: float) -> Estimate:
    value, low, high = np.exp([logarithm, logarithm - reach, logarithm + reach])
    return Estimate(float(value), float(low), float(high))


def _window(frequency: Floats, step: float) -> tuple[Floats, Floats]:
    """Return a finer grid (K,) Hz, and the (B, K) weights with which it enters each bin."""
    first = max(frequency[0] - REACH * step, step / FINER)
    count = round((frequency[-1] + REACH * step - first) / step * FINER) + 1
    fine = first + np.arange(count) * (step / FINER)
    length = 512  # the transform of a Kaiser window, in bins, is the same for any great length
    lobe = np.abs(np.fft.rfft(np.kaiser(length, KAISER_BETA), length * 64)) ** 2
    offset = np.abs(frequency[:, None] - fine[None, :]) / step
    weights = np.interp(offset, np.arange(len(lobe)) / 64.0, lobe)
    weights[offset > REACH] = 0.0
    return fine, weights / (2.0 * lobe[: REACH * 64].sum() - lobe[0]) * (64.0 / FINER)


def model_spectrum(natural_freq_hz: float, damping: float) -> PowerSpectrum:
    """Return what a noiseless resonance test of an axis would show, up to a factor.

    Parameters
    ----------
    natural_freq_hz, damping
        Of the axis.
    """
    step = KLIPPER_BIN_HZ
    frequency = step * np.arange(round(MODEL_HZ / step) + 1, dtype=np.float64)
    fine, spread = _window(frequency, step)
    excited = np.where(fine >= MODEL_FROM_HZ, fine, 0.0) ** 2
    density = spread @ (excited * response(fine, natural_freq_hz, damping, 0.0) ** 2)
    return PowerSpectrum(frequency, np.column_stack([density, 0.0 * density, 0.0 * density]))
