"""Values that hold from a line on until the next change."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from trajerr.arrays import Ints

T = TypeVar("T")


@dataclass
class Timeline(Generic[T]):
    """The changes of one modal value, in file order."""

    initial: T
    lines: list[int] = field(default_factory=list)
    values: list[T] = field(default_factory=list)

    @property
    def current(self) -> T:
        """The value in force after all changes so far."""
        return self.values[-1] if self.values else self.initial

    def change(self, line: int, value: T) -> None:
        """Let a value hold from this line on, the line's own moves included."""
        if value != self.current:
            self.lines.append(line)
            self.values.append(value)

    def at(self, lines: Ints) -> NDArray[np.generic]:
        """Return the values in force at some lines, shape (n,) or (n, size of a value)."""
        table = np.array([self.initial, *self.values])
        index = np.searchsorted(np.array(self.lines, dtype=np.int64), lines, side="right")
        return np.asarray(table[index])
