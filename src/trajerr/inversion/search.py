"""Iterative learning: find the change of a command with which the nozzle goes where it should.

Knows one motion on a uniform grid, and nothing of what predicts it. Each step takes the change
that the learning filter asks for (:mod:`.least_squares`); the secants between earlier steps say
what a change did in truth, so that the step begins at the mixture of them whose error is predicted
least (Anderson, J. ACM 12:547, 1965; as quasi-Newton updates: Fang and Saad, Numer. Linear
Algebra Appl. 16:197, 2009). Where friction holds an axis, the response is learned on the way.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from trajerr.arrays import Floats
from trajerr.inversion.least_squares import Freedom, LowPass, learning_step
from trajerr.inversion.response import Response, Transfer

DAMPING = (0.3, 0.2)  # at the first step and at last: what is known of the response grows
FALL = 0.8  # of it from step to step
MEMORY = 4  # earlier steps
RIDGE = 1e-3  # of the secants' mean square: errors are not quite linear in the change
FARTHEST = 2.0  # of a secant that a step may go along
SHRINK, GROW = 0.7, 1.2  # of the gain, where a step makes it worse or better
GAINS = (0.2, 1.0)
GAINED = 0.95  # of the best error: what falls below it is progress


@dataclass
class Search:
    """The search for one command of T samples."""

    response: Response
    freedom: Freedom
    smooth: LowPass
    gain: float  # share of the learning filter's change that a step takes, to begin with
    scores: list[float] = field(default_factory=list)  # of each step, mm
    best: int = 0  # the step of the least score
    found: Floats = field(default_factory=lambda: np.zeros((0, 2)))  # (T, 2) mm, its change
    progress: int = 0  # the last step that was markedly better than what was before
    _changes: list[Floats] = field(default_factory=list)
    _errors: list[Floats] = field(default_factory=list)

    @cached_property
    def transfer(self) -> Transfer:
        """What the response is a share of."""
        return self.response.transfer

    def note(self, change: Floats, error: Floats, score: float) -> None:
        """Take in what a change has come to.

        Parameters
        ----------
        change, error : (T, 2)
            mm; error is actual minus wanted.
        score
            What is to become small, mm.
        """
        least = min(self.scores, default=np.inf)
        if score < GAINED * least:
            self.progress = len(self.scores)
        if score <= least:
            self.best, self.found = len(self.scores), change
        self.scores.append(score)
        self.gain = float(np.clip(self.gain * (GROW if score <= least else SHRINK), *GAINS))
        if self._changes:
            step = change - self._changes[-1]
            effect = self.transfer.effect(step)
            self.response = self.response.learned(effect, error - self._errors[-1])
        self._changes = [*self._changes, change][-1 - MEMORY :]
        self._errors = [*self._errors, error][-1 - MEMORY :]

    def next(self) -> Floats:
        """Return the change to try now, (T, 2) mm."""
        steps = len(self.scores) - 1
        change, error = self._mixed()
        damping = max(DAMPING[0] * FALL**steps, DAMPING[1])
        step = learning_step(
            error, self.transfer, self.response.share, self.freedom, self.smooth, damping
        )
        return change - self.gain * step

    def _mixed(self) -> tuple[Floats, Floats]:
        """Return the mixture of earlier changes whose error would be least, and that error."""
        known = len(self._changes)
        best = int(np.argmin(self.scores[-known:]))
        change, error = self._changes[best], self._errors[best]
        others = [i for i in range(known) if i != best]
        if not others:
            return change, error
        seen = self.freedom.importance
        secants = np.stack([(seen * (self._errors[i] - error)).ravel() for i in others])
        square = secants @ secants.T
        ridge = RIDGE * np.trace(square) / len(others) + np.finfo(float).tiny
        square += ridge * np.eye(len(others))
        along = np.clip(
            np.linalg.solve(square, -secants @ (seen * error).ravel()), -FARTHEST, FARTHEST
        )
        for share, i in zip(along.tolist(), others, strict=True):
            change = change + share * (self._changes[i] - self._changes[best])
            error = error + share * (self._errors[i] - self._errors[best])
        return change, error
