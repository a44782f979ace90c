"""Where a network's axis equation starts: fitted to the data before the first step.

By gradients an equation comes to another printer's frequency over thousands of steps, and the rest
of the network learns meanwhile what the equation should have said. That holds for no faster motion
than was seen; an equation does. Its eight numbers alone are found in seconds.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import least_squares

from trajerr.arrays import Floats
from trajerr.dataset.store import Sequence as Layer
from trajerr.dynamics.axis_steps import AXES, solve
from trajerr.errors import DataError
from trajerr.models.inputs import motion
from trajerr.models.physics import AxisEquation

SAMPLES = 60_000  # of motion that are fitted, from as many layers as there are
# Times the equation's own frequency, as a fit may end beside the best; of equals the first wins,
STARTS = (1.0, 0.5, 2.0)  # so that an axis without motion keeps its own.
BOUNDS = {
    "natural_freq_hz": (5.0, 150.0),
    "damping_ratio": (0.005, 0.5),
    "friction_mm_s2": (10.0, 30_000.0),
}
LARGE = 0.1  # deviations of the error from which on a residual counts linearly
EVALUATIONS = 40  # of each start, at most
STEP = (1e-3,)  # relative, of the differences that stand for derivatives


@dataclass(frozen=True)
class _Stretch:
    """A layer's motion and errors, (T, 2) each, of which the first samples do not count."""

    velocity: Floats
    acceleration: Floats
    error: Floats
    begin: int


def fit_equation(equation: AxisEquation, layers: Sequence[Layer], burn_in: int) -> float:
    """Set an equation's parameters to those that leave least of the layers' errors.

    Each axis for itself, by SciPy's reflective trust regions (``least_squares``, ``trf``) on a
    loss that is linear for large residuals (``soft_l1``); the delay and a constant offset, which
    is left out afterwards, follow in closed form (variable projection, Golub and Pereyra 1973).

    Parameters
    ----------
    equation
        Its parameters are where the fit starts, and are changed.
    layers
        To fit, or as much of each as makes :data:`SAMPLES` together.
    burn_in
        Samples of each that do not count, as it begins at rest in the midst of motion.

    Returns
    -------
    float
        mm, RMS that is left.

    Raises
    ------
    DataError
        No layer is longer than what does not count.
    """
    stretches = list(_stretches(layers, burn_in))
    if not stretches:
        raise DataError(
            f"equation_fit: no layer is longer than the {burn_in} samples that do not count, "
            "expected longer ones, or equation_fit=false"
        )
    fits = [_Fit(equation, stretches, axis) for axis in range(AXES)]
    found = [fit.best() for fit in fits]
    frequency, damping, friction, delay = torch.tensor([values for values, _ in found]).T
    with torch.no_grad():
        equation.log_frequency.copy_(torch.log(2.0 * math.pi * frequency))
        equation.log_damping.copy_(torch.log(damping))
        equation.log_friction.copy_(torch.log(friction))
        equation.delay_ms.copy_(1e3 * delay)
    return math.sqrt(np.mean([rms**2 for _, rms in found]))


def _stretches(layers: Sequence[Layer], burn_in: int) -> Iterator[_Stretch]:
    longest = max(2 * burn_in, SAMPLES // len(layers))
    for layer in layers:
        first = max(layer.context, burn_in)
        if len(layer) > first:
            part = slice(first + longest)
            _, velocity, acceleration, _ = motion(layer.features[part].double())
            error = layer.targets[part].double().numpy()
            yield _Stretch(velocity.numpy(), acceleration.numpy(), error, first)


class _Fit:
    """One axis of some motion, and what an equation leaves of its errors."""

    def __init__(self, equation: AxisEquation, stretches: Sequence[_Stretch], axis: int) -> None:
        self._substeps, self._step_s = equation.substeps, equation.step_s
        values = equation.parameters_by_name()
        self._own = [float(np.clip(values[name][axis], *BOUNDS[name])) for name in BOUNDS]
        column = slice(axis, axis + 1)
        self._motion = [
            (
                np.ascontiguousarray(stretch.velocity[:, column]),
                np.ascontiguousarray(stretch.acceleration[:, column]),
                stretch.begin,
            )
            for stretch in stretches
        ]
        self._error = np.concatenate([s.error[s.begin :, axis] for s in stretches])
        self._scale = float(self._error.std()) or 1.0

    def best(self) -> tuple[list[float], float]:
        """Return frequency (Hz), damping ratio, friction (mm/s²) and delay (s), and the RMS, mm."""
        frequency, damping, friction = self._own
        lowest, highest = np.log(list(BOUNDS.values())).T

        def relative(logs: Floats) -> Floats:
            return self._left(logs)[0] / self._scale

        tried = [
            least_squares(
                relative,
                np.clip(np.log([start * frequency, damping, friction]), lowest, highest),
                bounds=(lowest, highest),
                loss="soft_l1",
                f_scale=LARGE,
                diff_step=STEP,
                max_nfev=EVALUATIONS,
            )
            for start in STARTS
        ]
        logs = min(tried, key=lambda result: result.cost).x
        left, delay = self._left(logs)
        return [*np.exp(logs).tolist(), delay], float(np.sqrt(np.mean(left**2)))

    def _left(self, logs: Floats) -> tuple[Floats, float]:
        """Return what is left, mm, of the samples that count, and the delay, s."""
        frequency, damping, friction = np.exp(logs).tolist()
        every, step = self._substeps, self._step_s
        values = ([value] * AXES for value in (frequency, damping, friction, 0.0))
        equation = AxisEquation(1.0 / (step * every), every, *values).double()
        with torch.no_grad():
            coefficients = equation.coefficients().numpy()
        solved = [
            solve(v, a, np.zeros((2, 1)), coefficients, every, step)[every::every, :, 0][begin:]
            for v, a, begin in self._motion
        ]
        error, velocity = np.concatenate(solved).T
        linear = np.column_stack([velocity, np.ones_like(velocity)])
        left = self._error - error
        weights = np.linalg.lstsq(linear, left, rcond=None)[0]
        return left - linear @ weights, -float(weights[0])
