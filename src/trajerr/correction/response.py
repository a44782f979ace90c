"""How a printer answers to a small change of its command, linearised along its motion.

While a carriage moves, Coulomb friction is a constant force, and a change of the command acts
through the linear axis. While the carriage sticks, a change of the command does nothing, and
what the carriage was off by when it stopped stays. Where it reverses without sticking,
friction's jump scales what there is of a change in speed (the saltation matrix of a
trajectory that crosses a discontinuity; Leine and Nijmeijer, Dynamics and Bifurcations of
Non-Smooth Mechanical Systems, 2004, ch. 7). The answer is linear, but depends on time: it is
found by stepping through the motion, its transpose by stepping back.

A change that is not small sets a stuck carriage free, of which the linearisation knows
nothing. So a part of the answer is the one without friction.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from trajerr.arrays import Floats
from trajerr.dynamics.axis import discretise
from trajerr.dynamics.compiled import compiled
from trajerr.dynamics.printer import Printer

FREE = 0.5  # share of the answer without friction
STUCK = 2e-3  # mm/s; what moves slower sticks, creep included
FADED = 1e-60  # mm and mm/s, below which a state counts as nothing


@dataclass(frozen=True)
class Response:
    """The linearised answer of one printer along one motion of T samples."""

    flow: Floats  # (2, 8) over a fine step of each axis: transition (4), start (2), end (2)
    keep: Floats  # (N, 2) share of a change in speed that a fine step leaves; 0: it sticks
    times: int  # fine steps a sample, N = (T − 1) · times
    free: float = FREE

    @classmethod
    def along(cls, printer: Printer, actual: Floats, rate: float, times: int) -> Self:
        """Return a printer's response along its motion.

        Parameters
        ----------
        printer
            Its linear parameters.
        actual : (N + 1, 2)
            Where its nozzle is on the fine grid, mm.
        rate
            Of samples, Hz.
        times
            Fine steps a sample.
        """
        step = 1.0 / (rate * times)
        rows = []
        for axis in (printer.x, printer.y):
            solved = discretise(axis, step)
            parts = (solved.transition, solved.start, solved.end)
            rows.append(np.concatenate([part.ravel() for part in parts]))
        return cls(np.array(rows), _kept(np.diff(actual, axis=0) / step), times)

    def fitted(self, count: int) -> Self:
        """Return the response along a motion of ``count`` samples, free where none is known."""
        steps = (count - 1) * self.times
        missing = max(steps - len(self.keep), 0)
        keep = np.concatenate([self.keep[:steps], np.ones((missing, 2))])
        return replace(self, keep=np.ascontiguousarray(keep))

    def effect(self, change: Floats) -> Floats:
        """Return how the nozzle's place changes with the command, (T, 2) mm of (T, 2) mm."""
        result = np.empty_like(change)
        _forward(change, self.flow, self.keep, self.times, self.free, result)
        return result

    def transposed(self, values: Floats) -> Floats:
        """Return the transpose of :meth:`effect`, applied to (T, 2) values."""
        result = np.zeros_like(values)
        _backward(values, self.flow, self.keep, self.times, self.free, result)
        return result


@compiled
def _kept(speed: Floats) -> Floats:
    """Return (N, 2) what steps leave of a change in speed, from (N, 2) mean speeds in mm/s."""
    keep = np.ones_like(speed)
    last = len(speed) - 1
    for n in range(len(speed)):
        for axis in range(2):
            v, before = speed[n, axis], speed[max(n - 1, 0), axis]
            if abs(v) < STUCK:
                keep[n, axis] = 0.0
            elif v * before < 0.0 and 1 < n < last:
                slowing = before - speed[n - 2, axis]
                going = speed[n + 1, axis] - v
                keep[n, axis] = min(max(going / slowing, 0.0), 1.0) if slowing != 0.0 else 1.0
    return keep


@compiled
def _flushed(a: float, b: float, c: float, d: float) -> tuple[float, float, float, float]:
    """Return states with nothing in place of what has faded away.

    Half a minute after the last change they would be subnormal numbers, with which processors
    calculate ten times slower.
    """
    return (
        a if abs(a) > FADED else 0.0,
        b if abs(b) > FADED else 0.0,
        c if abs(c) > FADED else 0.0,
        d if abs(d) > FADED else 0.0,
    )


# Both axes, with friction and without, are stepped side by side: each waits for its own last
# step only, so that the four of them take hardly longer than one.
@compiled
def _forward(
    change: Floats, flow: Floats, keep: Floats, times: int, free: float, result: Floats
) -> None:
    a, b, c, d, s, u, e, w = flow[0]
    a2, b2, c2, d2, s2, u2, e2, w2 = flow[1]
    x = v = y = z = free_x = free_v = free_y = free_z = 0.0
    result[0] = 0.0
    n = 0
    for t in range(1, len(change)):
        p, q = change[t - 1, 0], change[t - 1, 1]
        step_p, step_q = (change[t, 0] - p) / times, (change[t, 1] - q) / times
        for _ in range(times):
            end_p, end_q = p + step_p, q + step_q
            drive_x, drive_v = s * p + e * end_p, u * p + w * end_p
            drive_y, drive_z = s2 * q + e2 * end_q, u2 * q + w2 * end_q
            p, q = end_p, end_q
            free_x, free_v = a * free_x + b * free_v + drive_x, c * free_x + d * free_v + drive_v
            free_y, free_z = (
                a2 * free_y + b2 * free_z + drive_y,
                c2 * free_y + d2 * free_z + drive_z,
            )
            if keep[n, 0] > 0.0:
                x, v = a * x + b * v + drive_x, keep[n, 0] * (c * x + d * v + drive_v)
            else:
                v = 0.0
            if keep[n, 1] > 0.0:
                y, z = a2 * y + b2 * z + drive_y, keep[n, 1] * (c2 * y + d2 * z + drive_z)
            else:
                z = 0.0
            n += 1
        x, v, free_x, free_v = _flushed(x, v, free_x, free_v)
        y, z, free_y, free_z = _flushed(y, z, free_y, free_z)
        result[t, 0] = free * free_x + (1.0 - free) * x
        result[t, 1] = free * free_y + (1.0 - free) * y


@compiled
def _backward(
    values: Floats, flow: Floats, keep: Floats, times: int, free: float, result: Floats
) -> None:
    """Step back through :func:`_forward`; what were states are their adjoints."""
    a, b, c, d, s, u, e, w = flow[0]
    a2, b2, c2, d2, s2, u2, e2, w2 = flow[1]
    x = v = y = z = free_x = free_v = free_y = free_z = 0.0
    n = len(keep)
    for t in range(len(values) - 1, 0, -1):
        x += (1.0 - free) * values[t, 0]
        y += (1.0 - free) * values[t, 1]
        free_x += free * values[t, 0]
        free_y += free * values[t, 1]
        for i in range(times - 1, -1, -1):
            n -= 1
            v *= keep[n, 0]
            z *= keep[n, 1]
            total_x, total_v, total_y, total_z = free_x, free_v, free_y, free_z
            free_x, free_v = a * free_x + c * free_v, b * free_x + d * free_v
            free_y, free_z = a2 * free_y + c2 * free_z, b2 * free_y + d2 * free_z
            if keep[n, 0] > 0.0:
                total_x, total_v = total_x + x, total_v + v
                x, v = a * x + c * v, b * x + d * v
            if keep[n, 1] > 0.0:
                total_y, total_z = total_y + y, total_z + z
                y, z = a2 * y + c2 * z, b2 * y + d2 * z
            begin_p, end_p = s * total_x + u * total_v, e * total_x + w * total_v
            begin_q, end_q = s2 * total_y + u2 * total_z, e2 * total_y + w2 * total_z
            near, far = i / times, (i + 1) / times
            result[t - 1, 0] += begin_p * (1.0 - near) + end_p * (1.0 - far)
            result[t, 0] += begin_p * near + end_p * far
            result[t - 1, 1] += begin_q * (1.0 - near) + end_q * (1.0 - far)
            result[t, 1] += begin_q * near + end_q * far
        x, v, free_x, free_v = _flushed(x, v, free_x, free_v)
        y, z, free_y, free_z = _flushed(y, z, free_y, free_z)
