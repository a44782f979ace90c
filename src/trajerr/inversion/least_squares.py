"""The learning filter: which change of command removes an error, within what may change.

An inverse acts before the error that it removes. Where the command may not change then (in a
retraction, on infill), the plain inverse leaves ringing that a command later could still
remove. The filter here is the least-squares answer under these constraints:

``min over q of ‖M (ê − G d)‖² + ρ ‖q‖²`` with ``d = P S q``,

where G is the measured response, M weighs what is to be seen, P says where a command may change,
S fades out frequencies at which the machine hardly follows. It is found by conjugate gradients on
the normal equations (norm-optimal iterative learning control; Bristow, Tharayil and Alleyne, IEEE
CSM 26:96, 2006; Hestenes and Stiefel, J. Res. NBS 49:409, 1952).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from trajerr.arrays import Bools, Floats, Ints
from trajerr.inversion.response import PADDING_S, Transfer
from trajerr.inversion.signals import fast_length

UNSEEN = 0.1  # what an error counts where nothing is seen, as a share of where it is
ROUNDS = 8  # of conjugate gradients; the iteration around them needs no exact answer
DONE = 1e-14  # mm², the residual that needs no further round


@dataclass(frozen=True)
class Freedom:
    """Where a command may change, and where its effect is seen; T samples."""

    weight: Floats  # (T,) 0..1, how much of a change acts
    seen: Bools  # (T,) whether errors there count in full
    hold: Ints  # (T,) number of the hold that a sample lies in, from 0; -1 outside

    @property
    def importance(self) -> Floats:
        """(T, 1) what an error counts."""
        return np.where(self.seen, 1.0, UNSEEN)[:, None]

    def project(self, change: Floats) -> Floats:
        """Return the part of a (T, 2) change that may act: weighted, constant in holds."""
        return self._held(change) * self.weight[:, None]

    def transposed(self, change: Floats) -> Floats:
        """Return the transpose of :meth:`project`, which is not quite itself."""
        return self._held(change * self.weight[:, None])

    def _held(self, change: Floats) -> Floats:
        inside, label, count = self._holds
        if not len(inside):
            return change
        result = change.copy()
        for axis in range(2):
            mean = np.bincount(label, weights=change[inside, axis]) / count
            result[inside, axis] = mean[label]
        return result

    @cached_property
    def _holds(self) -> tuple[Ints, Ints, Ints]:
        inside = np.flatnonzero(self.hold >= 0)
        label = self.hold[inside]
        return inside, label, np.maximum(np.bincount(label), 1)


@dataclass(frozen=True)
class LowPass:
    """A low-pass of zero phase, the root of a Butterworth magnitude of order 4."""

    edge_hz: float
    rate: float  # Hz
    count: int  # samples of what is filtered

    def __call__(self, values: Floats) -> Floats:
        """Return filtered (T, 2) values."""
        gain, length = self._gain
        return np.asarray(
            np.fft.irfft(gain * np.fft.rfft(values, length, axis=0), length, axis=0)[: self.count]
        )

    @cached_property
    def _gain(self) -> tuple[Floats, int]:
        length = fast_length(self.count + int(PADDING_S * self.rate))
        frequency = np.arange(length // 2 + 1, dtype=np.float64) * (self.rate / length)
        return (1.0 + (frequency[:, None] / self.edge_hz) ** 8) ** -0.5, length


def learning_step(
    error: Floats,
    transfer: Transfer,
    share: Floats,
    freedom: Freedom,
    smooth: LowPass,
    damping: float,
) -> Floats:
    """Return the change of command whose effect at the nozzle is, as far as may be, an error.

    Parameters
    ----------
    error : (T, 2)
        Actual minus wanted, mm.
    transfer
        How the nozzle answers to a change.
    share : (T, 2)
        How much of that acts at each instant.
    freedom
        Where the command may change.
    smooth
        How fast.
    damping
        ρ: what the command's own size counts.

    Returns
    -------
    (T, 2)
        mm; subtract it from the command to remove the error.
    """
    counts = freedom.importance**2

    def back(values: Floats) -> Floats:
        return smooth(freedom.transposed(transfer.transposed(share * counts * values)))

    def normal(values: Floats) -> Floats:
        change = freedom.project(smooth(values))
        return back(share * transfer.effect(change)) + damping * values

    return freedom.project(smooth(_conjugate_gradients(normal, back(error))))


def _conjugate_gradients(normal: Callable[[Floats], Floats], right: Floats) -> Floats:
    """Solve ``normal(q) = right`` roughly; (T, 2)."""
    answer = np.zeros_like(right)
    residual, direction = right.copy(), right.copy()
    size = float(np.vdot(residual, residual))
    for _ in range(ROUNDS):
        if size < DONE:
            break
        image = normal(direction)
        length = size / max(float(np.vdot(direction, image)), np.finfo(float).tiny)
        answer += length * direction
        residual -= length * image
        before, size = size, float(np.vdot(residual, residual))
        direction = residual + direction * (size / before)
    return answer
