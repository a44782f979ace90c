"""Confidence intervals of least squares whose residuals are correlated and uneven."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

from trajerr.arrays import Floats

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


def deviations(jacobian: Floats, residual: Floats, lag: int) -> Floats:
    """Return standard deviations of parameters, robust to correlated, uneven residuals.

    The sandwich ``(JᵀJ)⁻¹ Γ (JᵀJ)⁻¹`` with Γ after Newey and West (Econometrica 55:703,
    1987), Bartlett weights, and n/(n − p) for the fitted parameters.

    Parameters
    ----------
    jacobian
        (N, P).
    residual
        (N,).
    lag
        Samples over which residuals are correlated.

    Returns
    -------
    Floats : (P,)
        In the parameters' units.
    """
    n, p = jacobian.shape
    scores = jacobian * residual[:, None]
    middle = scores.T @ scores
    for step in range(1, min(lag, n - 1) + 1):
        cross = scores[step:].T @ scores[:-step]
        middle += (1.0 - step / (lag + 1.0)) * (cross + cross.T)
    scale = np.linalg.norm(jacobian, axis=0)
    scale[scale == 0.0] = 1.0
    bread = np.linalg.pinv((jacobian / scale).T @ (jacobian / scale), hermitian=True)
    covariance = bread @ (middle / np.outer(scale, scale)) @ bread * n / max(n - p, 1)
    spread: Floats = np.sqrt(np.maximum(np.diag(covariance), 0.0)) / scale
    return spread


def quantile(freedom: float) -> float:
    """Return by how many standard deviations the interval reaches out (Student's t)."""
    return float(student.ppf(0.5 + 0.5 * CONFIDENCE, max(freedom, 1.0)))
