"""A number that was measured, with the interval that it lies in."""

from dataclasses import dataclass
from typing import Any

from scipy.stats import t as student

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % confidence interval."""

    value: float
    low: float
    high: float

    @property
    def spread(self) -> float:
        """Half of the interval's width over the value; infinite for 0."""
        return 0.5 * (self.high - self.low) / abs(self.value) if self.value else float("inf")

    def scaled(self, factor: float) -> "Estimate":
        """Return the estimate in another unit; ``factor`` is above 0."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)

    def to_dict(self) -> dict[str, Any]:
        """Return a plain container."""
        return {"value": self.value, "low": self.low, "high": self.high}


def quantile(freedom: float) -> float:
    """Return by how many standard deviations the interval reaches out (Student's t)."""
    return float(student.ppf(0.5 + 0.5 * CONFIDENCE, max(freedom, 1.0)))
