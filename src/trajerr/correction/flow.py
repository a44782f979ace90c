"""A flow (M221) that corrected pieces take into their E, where firmware would round it away.

Marlin multiplies the whole steps of E that a block makes by the flow, and rounds the product: of a
block of fewer than ten steps, 95 % are all of them, and corrected pieces have two or three.

References
----------
Marlin 2.1 `planner.cpp`, `Planner::_populate_block`: ``esteps = ABS(de * e_factor) + 0.5f``.
"""

from dataclasses import dataclass

import numpy as np

from trajerr.correction.pieces import decimals
from trajerr.gcode.program import Moves
from trajerr.gcode.writer import number

DIGITS = 5  # decimals of an E from which the file goes on counting


@dataclass
class WrittenFlow:
    """Whether pieces have the flow in their E, under M221 S100, or the file's own holds."""

    moves: Moves  # of the file
    acts: bool  # whether the firmware rounds so
    _move: int = -1  # the move from which on pieces have the flow in their E; -1: they have not
    _zero: float = np.nan  # mm of filament fed where their absolute E counts from

    def take(self, move: int, fed: float) -> list[bytes]:
        """Return the lines after which E is what is fed, where ``fed`` mm have been."""
        flow = float(self.moves.flow[move])
        if not self.acts or flow == 1.0 or self._move >= 0:
            return []
        self._move = move
        self._zero = fed - (fed - float(self.moves.origin[move, 3])) / flow
        return [b"M221 S100"]

    def restore(self, fed: float) -> tuple[list[bytes], float]:
        """Return the lines after which the file's own E holds, and the mm fed that it states."""
        if self._move < 0:
            return [], fed
        moves, move = self.moves, self._move
        self._move = -1
        lines = [b"M221 S" + number(100.0 * float(moves.flow[move]), 4)]
        if moves.absolute[move, 1]:
            zero, scale = self.count(move)
            digits = max(decimals(3, float(moves.unit[move])), DIGITS)
            value = round((fed - zero) / scale, digits)
            return [*lines, b"G92 E" + number(value, digits)], value * scale + zero
        return lines, fed

    def count(self, move: int) -> tuple[float, float]:
        """Return the mm of filament fed where absolute E is 0, and the mm fed for each unit."""
        unit = float(self.moves.unit[move])
        if self._move >= 0:
            return self._zero, unit
        return float(self.moves.origin[move, 3]), unit * float(self.moves.flow[move])
