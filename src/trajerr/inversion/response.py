"""How a machine answers to a small change of its command, measured from whatever predicts it.

A model of a machine is asked what becomes of some random, band-limited changes of a command.
What it answers, over what was changed, is its frequency response, by cross-spectra (Bendat and
Piersol, Random Data, 4th ed. 2010, ch. 6). Friction makes the answer vary along the motion: a
carriage that sticks does not answer at all. So a share of it is found for each instant and axis,
from the same changes, and again from each change that an iteration makes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajerr.arrays import Floats, Floats32
from trajerr.inversion.signals import band_limited, blurred, fast_length

Predict = Callable[[Sequence[Floats]], list[Floats]]
Complexes = NDArray[np.complex128]

PROBES, PROBED_S = 2, 80.0  # changes that a model is asked about: so many, and so much motion
PROBE_MM = 0.06  # RMS of one on each axis, of the order of corrections: sets axes free as they do
FADE_IN_S = 0.25  # in which a change begins
SEGMENT = 512  # samples of a spectrum
OVERLAP = 4  # segments that a sample is in
ROUNDS = 3  # of finding the response from the shares, and the shares from the response
NEAR_S = 0.04  # standard deviation of the time around an instant that tells its share
LEAST = 0.5  # what a share is taken for at least: a change sets free what sticks, as probes may not
MOST = 2.0  # what a share may be: friction that lets go answers by more than the mean
COUPLED = 0.1  # coherence of one axis with the other's command from which on it counts
PADDING_S = 0.6  # of rest around a motion, so that its ends do not meet
TINY = 1e-9  # mm², of squares


class Transfer:
    """A time-invariant response, applied to changes of a given length.

    Parameters
    ----------
    gain : (SEGMENT // 2 + 1, 2, 2)
        Actual over commanded at uniform frequencies from 0 Hz to half the sample rate.
    count
        Samples of a change.
    rate
        Hz.
    """

    def __init__(self, gain: Complexes, count: int, rate: float) -> None:
        self.count = count
        self._length = fast_length(count + int(PADDING_S * rate))
        known = np.linspace(0.0, 1.0, len(gain))
        wanted = np.linspace(0.0, 1.0, self._length // 2 + 1)
        columns = [np.interp(wanted, known, column) for column in gain.reshape(len(gain), 4).T]
        self._gain = np.stack(columns, axis=-1).reshape(-1, 2, 2)
        self._is_coupled = bool(np.any(gain[:, 0, 1]) or np.any(gain[:, 1, 0]))

    def effect(self, change: Floats) -> Floats:
        """Return what becomes of a (T, 2) change, mm."""
        return self._filtered(change, self._gain)

    def transposed(self, values: Floats) -> Floats:
        """Return the transpose of :meth:`effect`, applied to (T, 2) values."""
        return self._filtered(values, np.conj(np.swapaxes(self._gain, 1, 2)))

    def _filtered(self, values: Floats, gain: Complexes) -> Floats:
        spectrum = np.fft.rfft(values, self._length, axis=0)
        answer = gain[:, [0, 1], [0, 1]] * spectrum
        if self._is_coupled:
            answer += gain[:, [0, 1], [1, 0]] * spectrum[:, ::-1]
        return np.asarray(np.fft.irfft(answer, self._length, axis=0)[: self.count])


@dataclass(frozen=True)
class Response:
    """The answer along one motion of T samples: a share, by instant and axis, of a transfer."""

    gain: Complexes  # of the transfer
    rate: float  # of samples, Hz
    expected: Floats32  # (T, 2) mm², squares of what the transfer says of the changes so far
    agreement: Floats32  # (T, 2) mm², the same times what came of them

    @classmethod
    def unknown(cls, count: int, rate: float) -> "Response":
        """Return the response along ``count`` samples of which nothing is known: none."""
        nothing = np.zeros((count, 2), dtype=np.float32)
        return cls(np.zeros((SEGMENT // 2 + 1, 2, 2), np.complex128), rate, nothing, nothing)

    @property
    def transfer(self) -> Transfer:
        """What it is a share of."""
        return Transfer(self.gain, len(self.expected), self.rate)

    @property
    def share(self) -> Floats:
        """(T, 2) of the transfer that acts at each instant on each axis."""
        ratio = self.agreement / (self.expected + np.float32(TINY))
        return np.clip(ratio, LEAST, MOST).astype(np.float64)

    def learned(self, effect: Floats, answer: Floats) -> "Response":
        """Return the response that also knows the answer to a change.

        Parameters
        ----------
        effect : (T, 2)
            What the transfer says of the change, mm.
        answer : (T, 2)
            What came of it, mm.
        """
        return replace(
            self,
            expected=self.expected + self._around(effect * effect),
            agreement=self.agreement + self._around(effect * answer),
        )

    def _around(self, values: Floats) -> Floats32:
        near = blurred(values, NEAR_S * self.rate)
        return np.asarray(near, dtype=np.float32)


def measure(
    predict: Predict,
    commanded: Sequence[Floats],
    rate: float,
    band_hz: float,
    seed: int = 0,
    before: Sequence[Floats] | None = None,
    firsts: Sequence[int] | None = None,
) -> list[Response]:
    """Measure the responses of a machine along some motions of one kind.

    They have the transfer in common, and each its own shares.

    Parameters
    ----------
    predict
        Returns where the nozzle will be, (T, 2) mm, for each of some (T, 3) commands.
    commanded
        (T, 3) mm each; T may differ.
    rate
        Of samples, Hz.
    band_hz
        Up to which changes are sent; above, no answer is known.
    seed
        Of the changes that are sent.
    before
        What ``predict`` says of the commands as they are, where that is known.
    firsts
        From which of its samples on each is changed: from the first, if not said.
    """
    random, band = np.random.default_rng(seed), band_hz / rate
    before = predict(commanded) if before is None else before
    firsts = [0] * len(commanded) if firsts is None else firsts
    changes, answers = [], []
    changed_s = sum(len(c) - first for c, first in zip(commanded, firsts, strict=True)) / rate
    for _ in range(max(PROBES, math.ceil(PROBED_S / changed_s))):
        sent = [
            _probe(random, len(c), first, rate, band)
            for c, first in zip(commanded, firsts, strict=True)
        ]
        after = predict([_shifted(c, change) for c, change in zip(commanded, sent, strict=True)])
        changes.append(sent)
        answers.append([a - b for a, b in zip(after, before, strict=True)])
    asked = [list(pair) for pair in zip(*changes, strict=True)]
    came = [list(pair) for pair in zip(*answers, strict=True)]
    shares = [np.ones((len(c), 2)) for c in commanded]
    for _ in range(ROUNDS):
        gain = _gain(asked, came, shares, band)
        responses = [
            _response(gain, rate, changes, answers)
            for changes, answers in zip(asked, came, strict=True)
        ]
        shares = [response.share for response in responses]
    return responses


def _response(
    gain: Complexes, rate: float, changes: list[Floats], answers: list[Floats]
) -> Response:
    nothing = np.zeros_like(changes[0], dtype=np.float32)
    response = Response(gain, rate, nothing, nothing)
    transfer = response.transfer
    for change, answer in zip(changes, answers, strict=True):
        response = response.learned(transfer.effect(change), answer)
    return response


def _gain(
    changes: list[list[Floats]], answers: list[list[Floats]], shares: list[Floats], band: float
) -> Complexes:
    """Return the transfer whose shares explain answers best, (SEGMENT // 2 + 1, 2, 2)."""
    bins = SEGMENT // 2 + 1
    own = np.zeros((2, bins, 2, 2), dtype=np.complex128)  # by axis: of the changes, as its share
    cross, power = np.zeros((2, bins, 2), dtype=np.complex128), np.zeros((2, bins))
    for sent, came, share in zip(changes, answers, shares, strict=True):
        for change, answer in zip(sent, came, strict=True):
            for axis in range(2):
                x = _spectra(change * share[:, axis, None])
                y = _spectra(answer[:, axis, None])
                own[axis] += np.einsum("sfj,sfk->fjk", np.conj(x), x)
                cross[axis] += np.einsum("sfj,sfk->fj", np.conj(x), y)
                power[axis] += np.sum(np.abs(y[..., 0]) ** 2, axis=0)
    solved = [
        _solved(_smoothed(own[i]), _smoothed(cross[i]), _smoothed(power[i]).real, i, band)
        for i in range(2)
    ]
    return np.stack(solved, axis=1)


def _solved(own: Complexes, cross: Complexes, power: Floats, axis: int, band: float) -> Complexes:
    """Return an axis' answer to both axes' changes; to the other's only where that counts."""
    least = 1e-9 * float(np.max(np.abs(own)))
    direct: Complexes = np.zeros_like(cross)
    direct[:, axis] = cross[:, axis] / (own[:, axis, axis].real + least)
    both = np.asarray(np.linalg.solve(own + least * np.eye(2), cross[..., None])[..., 0])
    sent = slice(0, int(2 * band * len(own)))
    left = np.sum(_unexplained(own, cross, power, direct)[sent])
    gained = 1.0 - np.sum(_unexplained(own, cross, power, both)[sent]) / max(left, TINY)
    gain = both if gained > COUPLED else direct
    gain[sent.stop :] = 0.0
    return gain


def _unexplained(own: Complexes, cross: Complexes, power: Floats, gain: Complexes) -> Floats:
    """Return (F,) what a gain leaves of an answer's power."""
    explained = np.einsum("fj,fj->f", np.conj(gain), cross)
    square = np.einsum("fj,fjk,fk->f", np.conj(gain), own, gain)
    return np.asarray(power - 2.0 * explained.real + square.real)


def _smoothed(values: NDArray[Any]) -> Complexes:
    """Average each frequency with its neighbours."""
    padded = np.concatenate([values[1:2], values, values[-2:-1]])
    mean = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
    return np.asarray(mean, dtype=np.complex128)


def _spectra(values: Floats) -> Complexes:
    """Return the spectra of overlapping parts of (T, K) values, (S, SEGMENT // 2 + 1, K)."""
    length = min(SEGMENT, len(values))
    window = np.hanning(length)[:, None]
    firsts = range(0, len(values) - length + 1, max(1, length // OVERLAP))
    parts = np.stack([window * values[first : first + length] for first in firsts])
    return np.asarray(np.fft.rfft(parts, SEGMENT, axis=1))


def _probe(random: np.random.Generator, count: int, first: int, rate: float, band: float) -> Floats:
    """Return a (count, 2) change in mm: noise up to some frequency, nothing until the first."""
    noise = PROBE_MM * band_limited(random, count, band, SEGMENT)
    begins = np.clip((np.arange(count) - first) / (FADE_IN_S * rate), 0.0, 1.0)
    return np.asarray(noise * begins[:, None])


def _shifted(commanded: Floats, change: Floats) -> Floats:
    moved = commanded.copy()
    moved[:, :2] += change
    return moved
