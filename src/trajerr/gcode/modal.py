"""Positions of all rows at once: absolute and relative, units, G92 and homing.

A row's target l in the file's own coordinates is either stated (absolute motion, G92,
homing) or a sum of steps since it was last stated. The machine coordinate is l + o, where
the origin o moves at each G92 by what G92 renames, and returns to zero at homing.
"""

from dataclasses import dataclass

import numpy as np

from trajerr.gcode.commands import HOME, SET, Interpreter, Row
from trajerr.gcode.plain import PlainMotion
from trajerr.gcode.program import Bools, Floats, Ints

STILL = 1e-9  # mm; a shorter step is the rounding of binary fractions
DEFAULT_FEEDRATE = 25.0  # mm/s before the first F, as Marlin and Klipper start


@dataclass(frozen=True)
class Rows:
    """All rows of a file in order, words in mm and mm/s, positions resolved."""

    line: Ints  # (n,)
    code: Ints  # (n,) 0..3, SET, HOME, PAUSE
    words: Floats  # (n, 9) as COLUMNS, in mm; F in mm/s
    seconds: Floats  # (n,)
    position: Floats  # (n+1, 4) machine coordinates; entry 0 is where the machine starts
    origin: Floats  # (n, 4) machine coordinate of the file's zero
    relative: Bools  # (n, 2) of xyz, of e
    unit: Floats  # (n,) mm per unit
    feedrate: Floats  # (n,) mm/s


def resolve(plain: PlainMotion, interpreter: Interpreter) -> Rows:
    """Merge plain and careful rows and follow them through the file."""
    line, code, words, seconds = _merge(plain, interpreter.rows)
    code = _inherit(code)
    unit = np.asarray(interpreter.unit.at(line), dtype=np.float64)
    relative = np.asarray(interpreter.relative.at(line), dtype=bool).reshape(-1, 2)
    area = np.asarray(interpreter.filament_area.at(line), dtype=np.float64)
    factor = np.asarray(interpreter.speed_factor.at(line), dtype=np.float64)
    words[:, :8] *= unit[:, None]  # not P, which counts turns
    words[:, 3] /= area
    words[:, 4] /= 60.0
    n = len(line)
    position, origin = np.zeros((n + 1, 4)), np.zeros((n, 4))
    for axis in range(4):
        step = relative[:, 1 if axis == 3 else 0]
        position[1:, axis], origin[:, axis] = _follow(words[:, axis], code, step)
    feedrate = _hold(words[:, 4], words[:, 4] > 0, DEFAULT_FEEDRATE) * factor
    return Rows(line, code, words, seconds, position, origin, relative, unit, feedrate)


def _merge(plain: PlainMotion, rows: list[Row]) -> tuple[Ints, Ints, Floats, Floats]:
    line = np.concatenate([plain.line, np.array([r.line for r in rows], dtype=np.int64)])
    code = np.concatenate([plain.motion, np.array([r.code for r in rows], dtype=np.int64)])
    careful = np.array([r.words for r in rows], dtype=np.float64).reshape(-1, 9)
    words = np.concatenate([plain.words, careful])
    seconds = np.zeros(len(line))
    seconds[len(plain.line) :] = [r.seconds for r in rows]
    order = np.argsort(line, kind="stable")
    return line[order], code[order].astype(np.int64), words[order], seconds[order]


def _inherit(code: Ints) -> Ints:
    """Give bare words the motion command in force; -1 stays where there is none."""
    is_motion = (code >= 0) & (code <= 3)
    last = np.maximum.accumulate(np.where(is_motion, np.arange(len(code)), -1))
    inherited = np.where(last >= 0, code[last], -1) if len(code) else code
    return np.where(code == -1, inherited, code)


def _hold(values: Floats, valid: Bools, initial: float) -> Floats:
    """Carry each valid value on to the next one."""
    last = np.maximum.accumulate(np.where(valid, np.arange(len(values)), -1))
    return np.where(last >= 0, values[last], initial) if len(values) else values


def _follow(value: Floats, code: Ints, relative: Bools) -> tuple[Floats, Floats]:
    """Return machine coordinate and origin of one axis after each row."""
    if not len(value):
        return value, value
    given = np.isfinite(value)
    moves = given & (code <= 3)
    is_set, is_home = given & (code == SET), given & (code == HOME)
    steps = np.cumsum(np.where(moves & relative, value, 0.0))
    stated = (moves & ~relative) | is_set | is_home
    last = np.maximum.accumulate(np.where(stated, np.arange(len(value)), -1))
    logical = np.where(last >= 0, value[last] + (steps - steps[last]), steps)
    before = np.concatenate([[0.0], logical[:-1]])
    renamed = np.cumsum(np.where(is_set, before - logical, 0.0))
    home = np.maximum.accumulate(np.where(is_home, np.arange(len(value)), -1))
    origin = renamed - np.where(home >= 0, renamed[home], 0.0)
    return _settle(origin + logical), origin


def _settle(position: Floats) -> Floats:
    """Remove the rounding noise of G92 from rows that do not move."""
    step = np.diff(position, prepend=0.0)
    moved = np.abs(step) > STILL
    last = np.maximum.accumulate(np.where(moved, np.arange(len(position)), -1))
    return np.where(last >= 0, position[last], 0.0)
