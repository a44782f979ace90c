"""Confidence intervals of least squares whose residuals are correlated and uneven."""

import numpy as np

from trajerr.arrays import Floats
from trajerr.recordings.estimates import Estimate as Estimate
from trajerr.recordings.estimates import quantile as quantile


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
