"""What to correct, how, and within which bounds."""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from trajerr.correction.learning import LearningSettings
from trajerr.correction.pieces import EmissionSettings
from trajerr.correction.regions import FADE
from trajerr.errors import ConfigError
from trajerr.gcode.program import WALLS

METHODS = ("inverse", "subtract", "twin")


@dataclass(frozen=True)
class CorrectionSettings:
    """What to correct, how, and within which bounds.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    method: str = "inverse"  # twin is inverse by a simulated printer instead of a network
    feature_types: Collection[int] = WALLS
    layers: Collection[int] | None = None  # None: all
    max_correction_mm: float = 0.5
    fade_s: float = FADE  # how long a correction fades in travels beside walls
    least_improvement: float = 0.05  # of the predicted contour error; below, nothing is written
    learning: LearningSettings = field(default_factory=LearningSettings)
    emission: EmissionSettings = field(default_factory=EmissionSettings)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            message = f"correction method: got {self.method}, expected one of {', '.join(METHODS)}"
            raise ConfigError(message)
        for key, low in (("max_correction_mm", 0.0), ("fade_s", 0.025)):
            value = getattr(self, key)
            if not low < value < np.inf:
                raise ConfigError(f"correction {key}: got {value}, expected above {low:g}")
