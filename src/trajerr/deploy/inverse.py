"""The learning filter: which change of command removes an error, within what may change.

``G⁻¹`` of an axis acts before the error that it removes. Where the command may not change
then (in a retraction, on infill), the plain inverse leaves ringing that a command later
could still remove. The filter here is the least-squares answer under these constraints:

``min over d of Σ w ‖M (ê − G d)‖² + ρ ‖q‖²`` with ``d = P S q``,

where M weighs what is to be seen, P says where a command may change, S fades out frequencies
at which the carriage no longer follows. It is found by conjugate gradients on the normal
equations, with the transfer functions G applied in the frequency domain (norm-optimal
iterative learning control; Bristow, Tharayil and Alleyne, IEEE CSM 26:96, 2006; Hestenes and
Stiefel, J. Res. NBS 49:409, 1952).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from trajerr.dynamics.axis import frequency_response
from trajerr.dynamics.printer import Printer

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Complex = NDArray[np.complex128]

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


def learning_step(
    error: Floats,
    members: Sequence[Printer],
    weights: Floats,
    freedom: Freedom,
    rate: float,
    cutoff: float,
) -> Floats:
    """Return the change of command whose effect at the nozzle is, as far as may be, an error.

    Parameters
    ----------
    error : (V, T, 2)
        Actual minus wanted of each member of a family of printers, mm.
    members
        The V printers, the modelled one first; its dynamics shape the steps.
    weights : (V,)
        What each counts.
    freedom
        Where the command may change.
    rate
        Hz.
    cutoff
        Natural frequencies above which changes fade out, as a Butterworth magnitude.

    Returns
    -------
    (T, 2)
        mm; subtract it from the command to remove the error.
    """
    count = error.shape[1]
    length = int(fft.next_fast_len(count + int(PADDING_S * rate), real=True))
    frequency = np.arange(length // 2 + 1, dtype=np.float64) * (rate / length)
    responses = [_responses(member, frequency) for member in members]
    smooth = np.sqrt(_fading(members[0], frequency, cutoff))
    counts = np.where(freedom.seen, 1.0, UNSEEN**2)[:, None]

    def filtered(response: Complex | Floats, values: Floats) -> Floats:
        spectrum = response * fft.rfft(values, length, axis=0)
        return np.asarray(fft.irfft(spectrum, length, axis=0)[:count])

    def command(values: Floats) -> Floats:
        return freedom.project(filtered(smooth, values))

    def back(values: Floats) -> Floats:
        return filtered(smooth, freedom.transposed(values))

    def normal(values: Floats) -> Floats:
        effect = filtered(responses[0], command(values))
        return back(filtered(np.conj(responses[0]), counts * effect)) + DAMPING * values

    share = weights / np.sum(weights)
    gradient = np.zeros((count, 2))
    for part, response, member_error in zip(share, responses, error, strict=True):
        gradient += part * filtered(np.conj(response), counts * member_error)
    return command(_conjugate_gradients(normal, back(gradient)))


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


def _responses(printer: Printer, frequency: Floats) -> Complex:
    """Return (F, 2) actual over commanded of both axes."""
    return np.stack([frequency_response(axis, frequency) for axis in (printer.x, printer.y)], -1)


def _fading(printer: Printer, frequency: Floats, cutoff: float) -> Floats:
    """Return (F, 2) a Butterworth magnitude of order 4 for both axes."""
    natural = np.array([printer.x.natural_freq_hz, printer.y.natural_freq_hz])
    return np.asarray(1.0 / (1.0 + (frequency[:, None] / (cutoff * natural)) ** 8))
