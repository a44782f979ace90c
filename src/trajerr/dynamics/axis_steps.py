"""The steps of an axis with friction over whole sequences, and their adjoint, as machine code.

What one step does stands in :class:`trajerr.models.physics.AxisEquation`: each of ``substeps``
steps a sample is solved exactly for a carriage that slides, and holds one that stops. Axes of a
printer alternate along the last dimension of all arrays: x, y, x, y, …
"""

import numpy as np

from trajerr.arrays import Floats
from trajerr.dynamics.compiled import compiled

AXES = 2


def solve(
    velocity: Floats,
    acceleration: Floats,
    start: Floats,
    coefficients: Floats,
    substeps: int,
    step_s: float,
) -> Floats:
    """Return the states of all steps, the first one's included.

    Parameters
    ----------
    velocity, acceleration : (T, R)
        mm/s and mm/s², commanded, of R / 2 sequences of both axes.
    start : (2, R)
        Error (mm) and nozzle velocity (mm/s) before the first sample.
    coefficients : (6, 2)
        Of a step, for x and y: ``p00 p01 p10 p11 brake ratio``.
    substeps
        Steps a sample.
    step_s
        s, their length.

    Returns
    -------
    (T · substeps + 1, 2, R)
        Error and nozzle velocity.
    """
    states = np.empty((len(velocity) * substeps + 1, *start.shape))
    _solve(velocity, acceleration, start, coefficients, substeps, step_s, states)
    return states


def adjoint(
    velocity: Floats,
    acceleration: Floats,
    states: Floats,
    wanted: Floats,
    coefficients: Floats,
    step_s: float,
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the derivatives of a weighted sum of the states that :func:`solve` gave.

    Parameters
    ----------
    velocity, acceleration, coefficients, step_s
        As for :func:`solve`.
    states : (T · substeps + 1, 2, R)
        What it returned.
    wanted : (T, 2, R)
        Weights of the state after each sample.

    Returns
    -------
    tuple
        By velocity and acceleration (T, R), start (2, R) and coefficients (6, 2).
    """
    found = (
        np.empty_like(velocity),
        np.empty_like(acceleration),
        np.empty_like(states[0]),
        np.zeros_like(coefficients),
    )
    substeps = (len(states) - 1) // len(velocity)
    _adjoint(velocity, acceleration, states, wanted, coefficients, substeps, step_s, *found)
    return found


@compiled
def _solve(
    velocity: Floats,
    acceleration: Floats,
    start: Floats,
    coefficients: Floats,
    substeps: int,
    step_s: float,
    states: Floats,
) -> None:
    for row in range(velocity.shape[1]):
        p00, p01, p10, p11, brake, ratio = coefficients[:, row % AXES]
        error, nozzle = start[0, row], start[1, row]
        states[0, 0, row], states[0, 1, row] = error, nozzle
        step = 0
        for sample in range(velocity.shape[0]):
            for index in range(substeps):
                offset = (index + 0.5 - 0.5 * substeps) * step_s
                commanded = velocity[sample, row] + acceleration[sample, row] * offset
                lag = nozzle - commanded
                free = p10 * error + p11 * lag + commanded
                if abs(free) > brake:
                    impulse = brake if free > 0.0 else -brake
                    error = p00 * error + p01 * lag - ratio * impulse
                    nozzle = free - impulse
                else:
                    error += (0.5 * nozzle - commanded) * step_s
                    nozzle = 0.0
                step += 1
                states[step, 0, row], states[step, 1, row] = error, nozzle


@compiled
def _adjoint(
    velocity: Floats,
    acceleration: Floats,
    states: Floats,
    wanted: Floats,
    coefficients: Floats,
    substeps: int,
    step_s: float,
    by_velocity: Floats,
    by_acceleration: Floats,
    by_start: Floats,
    by_coefficients: Floats,
) -> None:
    for row in range(velocity.shape[1]):
        p00, p01, p10, p11, brake, ratio = coefficients[:, row % AXES]
        by = by_coefficients[:, row % AXES]
        by_error, by_nozzle = 0.0, 0.0
        step = velocity.shape[0] * substeps
        for sample in range(velocity.shape[0] - 1, -1, -1):
            by_error += wanted[sample, 0, row]
            by_nozzle += wanted[sample, 1, row]
            by_velocity[sample, row], by_acceleration[sample, row] = 0.0, 0.0
            for index in range(substeps - 1, -1, -1):
                step -= 1
                error, nozzle = states[step, 0, row], states[step, 1, row]
                offset = (index + 0.5 - 0.5 * substeps) * step_s
                commanded = velocity[sample, row] + acceleration[sample, row] * offset
                lag = nozzle - commanded
                free = p10 * error + p11 * lag + commanded
                if abs(free) > brake:
                    sign = 1.0 if free > 0.0 else -1.0
                    by[0] += error * by_error
                    by[1] += lag * by_error
                    by[2] += error * by_nozzle
                    by[3] += lag * by_nozzle
                    by[4] -= sign * (by_nozzle + ratio * by_error)
                    by[5] -= sign * brake * by_error
                    by_lag = p01 * by_error + p11 * by_nozzle
                    by_commanded = by_nozzle - by_lag
                    by_error = p00 * by_error + p10 * by_nozzle
                    by_nozzle = by_lag
                else:
                    by_commanded = -step_s * by_error
                    by_nozzle = 0.5 * step_s * by_error
                by_velocity[sample, row] += by_commanded
                by_acceleration[sample, row] += by_commanded * offset
        by_start[0, row], by_start[1, row] = by_error, by_nozzle
