"""The learning filter: which change of command removes an error, within what may change.

``G⁻¹`` of an axis acts before the error that it removes. Where the command may not change
then (in a retraction, on infill), the plain inverse leaves ringing that a command later
could still remove. The filter here is the least-squares answer under these constraints, for an
ensemble of printers at once:

``min over d of Σ w_m ‖M (ê_m − G_m d)‖² + ρ ‖q‖²`` with ``d = P S q``,

where G_m is printer m's response along its motion, w_m what it counts, M weighs what is to be
seen, P says where a command may change, S fades out frequencies at which the carriage no
longer follows. It is found by conjugate gradients on the normal equations (norm-optimal
iterative learning control; Bristow, Tharayil and Alleyne, IEEE CSM 26:96, 2006; Hestenes and
Stiefel, J. Res. NBS 49:409, 1952).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import fft

from trajerr.arrays import Bools, Floats, Ints
from trajerr.correction.response import Response
from trajerr.dynamics.printer import Printer

DAMPING = 0.01  # ρ: what the command's own size counts
UNSEEN = 0.1  # what an error counts where nothing is seen, as a share of where it is
ROUNDS = 6  # of conjugate gradients; the iteration around them needs no exact answer
PADDING_S = 0.6  # of rest around a window, so that its ends do not meet
DONE = 1e-14  # mm², the residual that needs no further round


@dataclass(frozen=True)
class Freedom:
    """Where a command may change, and where its effect is seen; T samples."""

    weight: Floats  # (T,) 0..1, how much of a change acts
    seen: Bools  # (T,) whether errors there count in full
    hold: Ints  # (T,) number of the hold that a sample lies in, from 0; -1 outside

    def project(self, change: Floats) -> Floats:
        """Return the part of a (T, 2) change that may act: weighted, constant in holds."""
        return self._held(change) * self.weight[:, None]

    def transposed(self, change: Floats) -> Floats:
        """Return the transpose of :meth:`project`, which is not quite itself."""
        return self._held(change * self.weight[:, None])

    def _held(self, change: Floats) -> Floats:
        inside = np.flatnonzero(self.hold >= 0)
        if not len(inside):
            return change
        result = change.copy()
        label = self.hold[inside]
        count = np.maximum(np.bincount(label), 1)
        for axis in range(2):
            mean = np.bincount(label, weights=change[inside, axis]) / count
            result[inside, axis] = mean[label]
        return result


@dataclass(frozen=True)
class Smoothing:
    """A low-pass of zero phase, the root of a Butterworth magnitude of order 4 on each axis."""

    edges_hz: tuple[float, float]  # of x and y
    rate: float  # Hz

    @classmethod
    def of(cls, printer: Printer, cutoff: float, rate: float) -> Self:
        """Return what fades out above ``cutoff`` natural frequencies of a printer's axes."""
        x, y = (cutoff * axis.natural_freq_hz for axis in (printer.x, printer.y))
        return cls((x, y), rate)

    def filter(self, count: int) -> Callable[[Floats], Floats]:
        """Return what filters (count, 2) values."""
        length = int(fft.next_fast_len(count + int(PADDING_S * self.rate), real=True))
        frequency = np.arange(length // 2 + 1, dtype=np.float64) * (self.rate / length)
        gain = (1.0 + (frequency[:, None] / np.array(self.edges_hz)) ** 8) ** -0.5

        def smooth(values: Floats) -> Floats:
            spectrum = gain * fft.rfft(values, length, axis=0)
            return np.asarray(fft.irfft(spectrum, length, axis=0)[:count])

        return smooth


def learning_step(
    error: Floats,
    responses: Sequence[Response],
    weights: Floats,
    freedom: Freedom,
    smoothing: Smoothing,
) -> Floats:
    """Return the change of command whose effect at the nozzle is, as far as may be, an error.

    Parameters
    ----------
    error : (V, T, 2)
        Actual minus wanted of each printer of an ensemble, mm.
    responses
        How each of the V printers answers to a change.
    weights : (V,)
        What each counts.
    freedom
        Where the command may change.
    smoothing
        How fast.

    Returns
    -------
    (T, 2)
        mm; subtract it from the command to remove the error.
    """
    count = error.shape[1]
    smooth = smoothing.filter(count)
    seen = np.where(freedom.seen, 1.0, UNSEEN**2)[:, None]
    fitted = [response.fitted(count) for response in responses]
    share = weights / np.sum(weights)

    def command(values: Floats) -> Floats:
        return freedom.project(smooth(values))

    def back(parts: Iterable[Floats]) -> Floats:
        pairs = zip(fitted, parts, share, strict=True)
        total = sum((w * g.transposed(seen * part) for g, part, w in pairs), np.zeros((count, 2)))
        return smooth(freedom.transposed(total))

    def normal(values: Floats) -> Floats:
        change = command(values)
        return back(response.effect(change) for response in fitted) + DAMPING * values

    return command(_conjugate_gradients(normal, back(error)))


def _conjugate_gradients(normal: Callable[[Floats], Floats], right: Floats) -> Floats:
    """Solve ``normal(q) = right`` roughly, each column on its own; (T, 2)."""
    answer = np.zeros_like(right)
    residual, direction = right.copy(), right.copy()
    size = np.sum(residual * residual, axis=0)
    for _ in range(ROUNDS):
        if np.all(size < DONE):
            break
        image = normal(direction)
        length = size / np.maximum(np.sum(direction * image, axis=0), np.finfo(float).tiny)
        answer += length * direction
        residual -= length * image
        before, size = size, np.sum(residual * residual, axis=0)
        direction = residual + direction * (size / np.maximum(before, np.finfo(float).tiny))
    return answer
