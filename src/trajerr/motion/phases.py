"""How segments run where that is not quite what a planner means: in three phases of their own.

A segment speeds up at a constant rate, keeps a speed, and slows down at the same rate. Knows how
long each phase takes and how far it leads, not why; speeds at their ends follow.
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Self

import numpy as np

from trajerr.arrays import Floats, Ints


@dataclass(frozen=True)
class Phases:
    """Speeding up, going on and slowing down; S rows. A hold has none of them."""

    time: Floats  # (S, 3) s
    way: Floats  # (S, 3) mm
    speed: Floats  # (S, 3) mm/s where each phase begins
    acceleration: Floats  # (S, 3) mm/s²

    @classmethod
    def of(cls, time: Floats, way: Floats, rate: Floats) -> Self:
        """Return phases of known times in s and ways in mm, (S, 3), at rates (S,) in mm/s².

        No phase turns back: one that is too slow for its rate has a lower one.
        """
        mean = np.divide(way, time, out=np.zeros_like(way), where=time > 0.0)
        most = np.divide(2.0 * mean, time, out=np.zeros_like(way), where=time > 0.0)
        acceleration = np.minimum(rate[:, None], most) * np.array([1.0, 0.0, -1.0])
        return cls(time, way, mean - 0.5 * acceleration * time, acceleration)

    def among(self, count: int, rows: Ints) -> Self:
        """Return these phases as those of the given rows of so many, all others without any."""
        changes = {}
        for field in fields(self):
            changes[field.name] = np.zeros((count, 3))
            changes[field.name][rows] = getattr(self, field.name)
        return replace(self, **changes)

    def travelled(self, index: Ints, gone: Floats) -> Floats:
        """Return (N,) mm that segments (N,) have come, (N,) s since they began."""
        phase, inside = _phase_at(index, gone, self._time_before, self.time)
        rate = self.acceleration.ravel()[phase]
        speed = self.speed.ravel()[phase]
        return self._way_before.ravel()[phase] + inside * (speed + 0.5 * rate * inside)

    def reached(self, index: Ints, way: Floats) -> Floats:
        """Return (N,) s after which segments (N,) have come (N,) mm: :meth:`travelled` undone."""
        phase, inside = _phase_at(index, way, self._way_before, self.way)
        speed, rate = self.speed.ravel()[phase], self.acceleration.ravel()[phase]
        total = speed + np.sqrt(np.maximum(speed**2 + 2.0 * rate * inside, 0.0))
        spent = np.divide(2.0 * inside, total, out=np.zeros_like(inside), where=total > 0.0)
        return self._time_before.ravel()[phase] + spent

    def speed_at(self, index: Ints, gone: Floats) -> tuple[Floats, Floats]:
        """Return (N,) speed in mm/s and (N,) its rate of change, (N,) s since segments began.

        Before and after a segment both are 0.
        """
        phase, inside = _phase_at(index, gone, self._time_before, self.time)
        speed, rate = self.speed.ravel()[phase], self.acceleration.ravel()[phase]
        within = (gone >= 0.0) & (gone <= self.time[index].sum(axis=1))
        return np.where(within, speed + rate * inside, 0.0), np.where(within, rate, 0.0)

    @cached_property
    def _time_before(self) -> Floats:
        """(S, 3) s from a segment's begin to a phase's."""
        return _before(self.time)

    @cached_property
    def _way_before(self) -> Floats:
        """(S, 3) mm from a segment's begin to a phase's."""
        return _before(self.way)


def _before(parts: Floats) -> Floats:
    return np.cumsum(np.column_stack([np.zeros(len(parts)), parts[:, :2]]), axis=1)


def _phase_at(index: Ints, value: Floats, before: Floats, parts: Floats) -> tuple[Ints, Floats]:
    """Return (N,) in which phase, of all in order, a time or way lies, and how far in it."""
    phase = 3 * index + (value >= before[index, 1]) + (value >= before[index, 2])
    inside = np.clip(value - before.ravel()[phase], 0.0, parts.ravel()[phase])
    return phase, inside
