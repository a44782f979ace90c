"""Which input shaper firmware would choose for a spectrum: Klipper's procedure.

After ``shaper_calibrate.py`` of Klipper (commit 034cb67), so that its numbers can be
compared.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trajerr.arrays import Floats
from trajerr.calibration.recordings import PowerSpectrum
from trajerr.dynamics.shapers import Shaper, residual, shaper

# Lowest frequencies that Klipper tries: each about a suggested acceleration of 1500 mm/s².
LOWEST_HZ = {"zv": 21.0, "mzv": 23.0, "ei": 29.0, "2hump_ei": 39.0, "3hump_ei": 48.0}
HIGHEST_HZ = 200.0
STEP_HZ = 0.2
DAMPING = 0.1  # that Klipper's shapers are made for
TEST_DAMPINGS = (0.075, 0.1, 0.15)  # the worst of them counts
REDUCTION = 20.0  # vibrations below the peak over this are not counted
ACCELERATION = 5000.0  # mm/s², at which smoothing is stated
CORNER_VELOCITY = 5.0  # mm/s, square-corner velocity
TARGET_SMOOTHING = 0.12  # mm, that the suggested acceleration keeps to


@dataclass(frozen=True)
class ShaperChoice:
    """A shaper at the frequency that suits a spectrum best."""

    name: str
    frequency_hz: float
    vibration: float  # share of the vibrations that remains
    smoothing_mm: float  # at 5000 mm/s² and a square-corner velocity of 5 mm/s
    max_acceleration_mm_s2: float  # suggested
    score: float  # the lower the better

    def to_dict(self) -> dict[str, Any]:
        """Return a plain container."""
        return dict(vars(self))


def recommend(spectrum: PowerSpectrum) -> tuple[ShaperChoice, list[ShaperChoice]]:
    """Return the shaper that Klipper would recommend, and the best of each type."""
    inside = spectrum.frequency <= HIGHEST_HZ
    frequency, density = spectrum.frequency[inside], spectrum.normalised[inside]
    best: ShaperChoice | None = None
    fitted: list[ShaperChoice] = []
    for name in LOWEST_HZ:
        tried = _try_all(name, frequency, density)
        choice = _best_of(tried)
        if best is None or _improves(choice, best):
            best = choice
        for other in reversed(tried):
            if other.vibration < best.vibration and other.smoothing_mm < best.smoothing_mm:
                best = choice = other
        fitted.append(choice)
    if best is None:  # LOWEST_HZ is not empty
        raise ValueError("no shaper to choose from")
    if best.name == "zv":
        better = [c for c in fitted[1:] if c.vibration * 1.1 < best.vibration]
        best = better[0] if better else best
    return best, fitted


def worst_remaining(choice: ShaperChoice, frequency: Floats) -> Floats:
    """Return the share (F,) that a choice leaves at the worst of the tested dampings."""
    tuned = shaper(choice.name, choice.frequency_hz, DAMPING)
    worst: Floats = np.max([residual(tuned, frequency, d) for d in TEST_DAMPINGS], axis=0)
    return worst


def smoothing(
    tuned: Shaper, acceleration: float = ACCELERATION, corner: float = CORNER_VELOCITY
) -> float:
    """Return by how much a shaper rounds corners, mm: the greater of turns by 90° and 180°."""
    late = np.maximum(tuned.times, 0.0)
    ninety = tuned.amplitudes @ ((corner + 0.5 * acceleration * late) * late) * math.sqrt(2.0)
    about = 0.5 * acceleration * tuned.amplitudes @ tuned.times**2
    return float(max(ninety, about))


def max_acceleration(tuned: Shaper, corner: float = CORNER_VELOCITY) -> float:
    """Return the acceleration, mm/s², at which smoothing reaches :data:`TARGET_SMOOTHING`."""
    late = np.maximum(tuned.times, 0.0)
    corner_mm = corner * tuned.amplitudes @ late  # the part that acceleration does not touch
    ninety = (TARGET_SMOOTHING / math.sqrt(2.0) - corner_mm) / (tuned.amplitudes @ late**2)
    about = TARGET_SMOOTHING / (tuned.amplitudes @ tuned.times**2)
    return 2.0 * max(float(min(ninety, about)), 0.0)


def _try_all(name: str, frequency: Floats, density: Floats) -> list[ShaperChoice]:
    """Return choices from the highest frequency down, as Klipper tries them."""
    threshold = density.max() / REDUCTION
    all_of_it = np.maximum(density - threshold, 0.0).sum()
    tested = np.arange(LOWEST_HZ[name], HIGHEST_HZ, STEP_HZ)[::-1]
    choices = []
    for tuning in tested:
        tuned = shaper(name, float(tuning), DAMPING)
        left = max(
            float(np.maximum(residual(tuned, frequency, d) * density - threshold, 0.0).sum())
            for d in TEST_DAMPINGS
        )
        choices.append(_choice(tuned, float(tuning), left / all_of_it))
    return choices


def _choice(tuned: Shaper, frequency_hz: float, vibration: float) -> ShaperChoice:
    rounding = smoothing(tuned)
    score = rounding * (vibration**1.5 + 0.2 * vibration + 0.01)
    suggested = max_acceleration(tuned)
    return ShaperChoice(tuned.name, frequency_hz, vibration, rounding, suggested, score)


def _best_of(tried: Sequence[ShaperChoice]) -> ShaperChoice:
    """Return the one with the best score among those nearly as quiet as the quietest."""
    quietest = min(tried, key=lambda choice: choice.vibration)
    selected = quietest
    for choice in reversed(tried):
        near = choice.vibration < quietest.vibration * 1.1 + 0.0005
        if near and choice.score < selected.score:
            selected = choice
    return selected


def _improves(choice: ShaperChoice, best: ShaperChoice) -> bool:
    """Whether the score is better by a fifth, or by 5 % with a tenth less smoothing."""
    less = choice.smoothing_mm * 1.1 < best.smoothing_mm
    return choice.score * 1.2 < best.score or (choice.score * 1.05 < best.score and less)
