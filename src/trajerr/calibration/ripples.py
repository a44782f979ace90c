"""A frequency from the ripples on a printed wall, with what a ruler leaves open.

f_d = v n / d for n ripples over d mm behind a corner, printed at v mm/s (Klipper,
docs/Resonance_Compensation.md). It is the damped frequency; the natural one is
f_n = f_d / √(1 − ζ²) with the damping ratio ζ, which a wall does not show.
"""

import math
from dataclasses import dataclass

from trajerr.calibration.uncertainty import Estimate
from trajerr.checks import is_number, require, require_known, require_positive
from trajerr.errors import ConfigError

KEYS = ("speed_mm_s", "ripples", "distance_mm")
NORMAL = 1.96  # standard deviations in half of a 95 % interval
MOST_DAMPING = 0.25  # of machines whose ripples can be counted


@dataclass(frozen=True)
class Reading:
    """How well ripples are read; standard deviations.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    distance_mm: float  # of the distance
    ripples: float  # of their count: where a ripple begins and ends is judged by eye

    def __post_init__(self) -> None:
        for key in ("distance_mm", "ripples"):
            require_positive(f"reading.{key}", getattr(self, key))


@dataclass(frozen=True)
class Ripples:
    """What was counted and measured on a wall.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    axis: str
    speed_mm_s: float
    ripples: float
    distance_mm: float

    def __post_init__(self) -> None:
        for key in KEYS:
            require_positive(f"ringing.{self.axis}.{key}", getattr(self, key))
        low = self.ripples >= 1.0
        require(f"ringing.{self.axis}.ripples", self.ripples, low, "1 or more")
        frequency = round(self.speed_mm_s * self.ripples / self.distance_mm, 1)
        wanted = "5 to 250 Hz of speed_mm_s × ripples / distance_mm"
        require(f"ringing.{self.axis}", frequency, 5.0 <= frequency <= 250.0, wanted)

    @classmethod
    def read(cls, axis: str, values: object) -> "Ripples":
        """Return what a config says of one axis.

        Raises
        ------
        ConfigError
            If a key is unknown or missing, or a value is out of range.
        """
        where = f"ringing.{axis}"
        if not isinstance(values, dict):
            raise ConfigError(f"{where}: got {values}, expected the keys {', '.join(KEYS)}")
        require_known(where, values, KEYS)
        for key in KEYS:
            value = values.get(key)
            require(f"{where}.{key}", value, is_number(value), "a number")
        return cls(axis, *(float(values[key]) for key in KEYS))

    def natural_frequency(self, damping_ratio: float, reading: Reading) -> Estimate:
        """Return the natural frequency, Hz.

        Parameters
        ----------
        damping_ratio
            Assumed; the interval leaves it open from none to a strongly damped machine's.
        reading
            How well ripples are read.
        """
        damped = self.speed_mm_s * self.ripples / self.distance_mm
        spread = NORMAL * math.hypot(
            reading.distance_mm / self.distance_mm, reading.ripples / self.ripples
        )
        most = max(MOST_DAMPING, damping_ratio)
        low = damped * max(1.0 - spread, 0.0)
        return Estimate(
            damped / math.sqrt(1.0 - damping_ratio**2),
            low,
            damped * (1.0 + spread) / math.sqrt(1.0 - most**2),
        )
