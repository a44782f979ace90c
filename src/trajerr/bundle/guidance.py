"""Predict with an axis equation that is solved beforehand, in place of inside the graph.

A graph steps through time operator by operator, which takes several times as long as all else
in it; machine code takes next to nothing. What solves is handed in, so that a bundle needs no
compiler.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from trajerr.arrays import Floats, Floats32
from trajerr.bundle.sessions import CPU, open_session
from trajerr.errors import BundleError
from trajerr.motion.features import FEATURES, TARGETS

VELOCITY, ACCELERATION = FEATURES.index("vx"), FEATURES.index("ax")  # x, then y
SIZES = (6, 2)  # of a step's coefficients, for both axes

Solve = Callable[[Floats, Floats, Floats, Floats, int, float], Floats]
"""As :func:`trajerr.dynamics.axis_steps.solve`."""


@dataclass(frozen=True)
class Equation:
    """Steps of an axis with friction, as :class:`trajerr.models.physics.AxisEquation` has them."""

    coefficients: Floats  # (6, 2)
    substeps: int  # a sample
    step_s: float  # s

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` gave.

        Raises
        ------
        BundleError
            A value is missing or of another kind.
        """
        try:
            coefficients = np.asarray(values["coefficients"], dtype=np.float64)
            read = cls(coefficients, int(values["substeps"]), float(values["step_s"]))
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"equation: this trajerr cannot read it: {error}") from error
        if coefficients.shape != SIZES or read.substeps < 1 or not np.isfinite(coefficients).all():
            raise BundleError(
                f"equation: got coefficients {coefficients.shape} and {read.substeps} substeps, "
                f"expected finite ones {SIZES} and at least 1"
            )
        return read

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "coefficients": self.coefficients.tolist(),
            "substeps": self.substeps,
            "step_s": self.step_s,
        }


class GuidedSession:
    """A guided graph and the equation that guides it.

    Parameters
    ----------
    path
        Of the graph, whose inputs are features and the equation's states.
    equation
        Of the same network.
    solve
        What solves it.
    threads, providers
        Of ONNX Runtime.

    Raises
    ------
    BundleError
        ONNX Runtime cannot load the graph.
    """

    def __init__(
        self,
        path: Path,
        equation: Equation,
        solve: Solve,
        threads: int = 1,
        providers: Sequence[str] = CPU,
    ) -> None:
        self._session = open_session(path, threads, providers)
        self._equation = equation
        self._solve = solve

    def errors(self, features: Floats32) -> list[Floats32]:
        """Return the (B, T) errors of both axes in mm, of (B, T, 15) features from rest."""
        feed = {"input_features": features, "states": self._states(features)}
        return list(self._session.run(list(TARGETS), feed))

    def predict(self, features: Floats32) -> Floats32:
        """Return the same as (B, T, 2)."""
        return np.stack(self.errors(features), axis=-1)

    def _states(self, features: Floats32) -> Floats32:
        """Return the equation's states (T, 2, B, 2) after each sample."""
        batch, time, _ = features.shape
        velocity, acceleration = (
            np.ascontiguousarray(
                features[..., first : first + 2].transpose(1, 0, 2), dtype=np.float64
            ).reshape(time, -1)
            for first in (VELOCITY, ACCELERATION)
        )
        start = np.zeros((2, 2 * batch))
        every = self._equation.substeps
        states = self._solve(
            velocity, acceleration, start, self._equation.coefficients, every, self._equation.step_s
        )
        after = states[every::every].reshape(time, 2, batch, 2)
        return np.ascontiguousarray(after, dtype=np.float32)
