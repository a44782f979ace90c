"""Positions of all rows at once: absolute and relative, units, G92, homing, kept states.

A row's target l in the file's own coordinates is either stated (absolute motion, G92,
homing) or a sum of steps since it was last stated. The machine coordinate is o + f l, where
the flow f (M221) is 1 but for the extruder, and the origin o moves at each G92 by what G92
renames, and returns to the offset in force (Klipper's SET_GCODE_OFFSET) at homing. Rows that
fetch what an earlier one kept divide the file into stretches, which are followed in order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trajerr.arrays import Bools, Floats, Ints
from trajerr.gcode.commands import Interpreter
from trajerr.gcode.plain import PlainMotion
from trajerr.gcode.rows import Code, Row
from trajerr.gcode.timeline import Timeline

STILL = 1e-9  # mm; a shorter step is the rounding of binary fractions
DEFAULT_FEEDRATE = 25.0  # mm/s before the first F, as Marlin and Klipper start
_FETCHING = (Code.RESTORE, Code.RETURN, Code.POP)
_DIVIDING = (Code.RESTORE, Code.RETURN, Code.RECALL, Code.OFFSET, Code.SHIFT)
_OWN_FEED = (Code.RETURN, Code.RECALL, Code.SHIFT, Code.FILAMENT)
E = 3


@dataclass(frozen=True)
class Rows:
    """All rows of a file in order, words in mm and mm/s, positions resolved."""

    line: Ints  # (n,)
    code: Ints  # (n,) 0..3 or of rows.Code
    words: Floats  # (n, 9) as COLUMNS, in mm; F in mm/s
    seconds: Floats  # (n,)
    position: Floats  # (n+1, 4) machine coordinates; entry 0 is where the machine starts
    origin: Floats  # (n, 4) machine coordinate of the file's zero
    relative: Bools  # (n, 2) of xyz, of e
    unit: Floats  # (n,) mm per unit
    flow: Floats  # (n,) mm of filament fed per mm commanded
    feedrate: Floats  # (n,) mm/s
    known: Bools  # (n, 4) whether the file says where the axis stands before the row
    entered: Bools  # (n, 4) whether nothing but homing, or the beginning, keeps that unknown

    @property
    def is_motion(self) -> Bools:
        """(n,) whether the row is one of G0 to G3."""
        return np.asarray((self.code >= 0) & (self.code <= 3))


def resolve(
    plain: PlainMotion, interpreter: Interpreter, relative: Timeline[tuple[bool, bool]]
) -> Rows:
    """Merge plain and careful rows and follow them through the file.

    Parameters
    ----------
    plain, interpreter
        What the two readings found.
    relative
        Whether axes and extruder are relative, from each line on.
    """
    line, code, words, seconds, slot = _merge(plain, interpreter.rows)
    code = _inherit(code)
    unit = np.asarray(interpreter.unit.at(line), dtype=np.float64)
    is_relative = np.asarray(relative.at(line), dtype=bool).reshape(-1, 2)
    area = np.asarray(interpreter.filament_area.at(line), dtype=np.float64)
    factor = np.asarray(interpreter.speed_factor.at(line), dtype=np.float64)
    flow = np.asarray(interpreter.flow.at(line), dtype=np.float64)
    offset = np.asarray(interpreter.home_offset.at(line), dtype=np.float64).reshape(-1, 4)
    words[:, :8] *= unit[:, None]  # not P, which counts turns
    words[:, E] /= np.where(code == Code.FILAMENT, 1.0, area)
    words[:, 4] /= 60.0
    stretches = _Stretches(code, words, slot, is_relative[:, [0, 0, 0, 1]], flow, offset)
    position, origin = stretches.follow()
    feedrate = _feedrates(words[:, 4], code, slot, factor)
    known, entered = _known(code, words, is_relative)
    resolved = (position, origin, is_relative, unit, flow, feedrate, known, entered)
    return Rows(line, code, words, seconds, *resolved)


def _merge(plain: PlainMotion, rows: list[Row]) -> tuple[Ints, Ints, Floats, Floats, Ints]:
    line = np.concatenate([plain.line, np.array([r.line for r in rows], dtype=np.int64)])
    code = np.concatenate([plain.motion, np.array([r.code for r in rows], dtype=np.int64)])
    careful = np.array([r.words for r in rows], dtype=np.float64).reshape(-1, 9)
    words = np.concatenate([plain.words, careful])
    seconds, slot = np.zeros(len(line)), np.full(len(line), -1, dtype=np.int64)
    seconds[len(plain.line) :] = [r.seconds for r in rows]
    slot[len(plain.line) :] = [r.slot for r in rows]
    order = np.argsort(line, kind="stable")
    return line[order], code[order].astype(np.int64), words[order], seconds[order], slot[order]


def _inherit(code: Ints) -> Ints:
    """Give bare words the motion command in force; -1 stays where there is none."""
    is_motion = (code >= 0) & (code <= 3)
    last = np.maximum.accumulate(np.where(is_motion, np.arange(len(code)), -1))
    inherited = np.where(last >= 0, code[last], -1) if len(code) else code
    return np.where(code == Code.INHERIT, inherited, code)


def _last(marked: Bools) -> Ints:
    """Return (n,) the last marked row up to each one, itself included; -1 where there is none."""
    return np.maximum.accumulate(np.where(marked, np.arange(len(marked)), -1))


def _feedrates(word: Floats, code: Ints, slot: Ints, factor: Floats) -> Floats:
    """Return (n,) mm/s: the last F, that which was kept, or a row's own."""
    if not len(word):
        return word
    stated = np.where((code <= 3) & (word > 0), word, np.nan)
    fetching = np.flatnonzero(np.isin(code, _FETCHING))
    if len(fetching):
        kept = {int(slot[i]): i for i in np.flatnonzero(code == Code.SAVE)}
        own = np.flatnonzero(stated > 0)
        for number, row in enumerate(fetching.tolist()):
            saved = kept[int(slot[row])]
            candidates = [own[: np.searchsorted(own, saved)][-1:], fetching[:number]]
            before = np.concatenate([c[c < saved] for c in candidates])
            stated[row] = stated[before.max()] if len(before) else DEFAULT_FEEDRATE
    last = _last(stated > 0)
    modal = np.where(last >= 0, stated[last], DEFAULT_FEEDRATE) * factor
    return np.where(np.isin(code, _OWN_FEED) & (word > 0), word, modal)


def _known(code: Ints, words: Floats, relative: Bools) -> tuple[Bools, Bools]:
    """Return (n, 4) each whether an axis has been stated since something may have moved it.

    First since anything, then since anything but homing.
    """
    given = np.isfinite(words[:, :4])
    motion = ((code >= 0) & (code <= 3))[:, None] & ~relative[:, [0, 0, 0, 1]]
    stated = given & (motion | (code == Code.SET)[:, None])
    homed, barred = given & (code == Code.HOME)[:, None], given & (code == Code.BARRIER)[:, None]
    known, entered = np.zeros((2, len(code), 4), dtype=bool)
    entered[:1] = True
    for axis in range(4):
        last, home, bar = (_last(mark[:, axis]) for mark in (stated, homed, barred))
        known[1:, axis] = (last > np.maximum(home, bar))[:-1]
        entered[1:, axis] = (np.maximum(last, home) >= bar)[:-1]
    return known, entered


@dataclass
class _Stretches:
    """Follows rows from one that divides them to the next."""

    code: Ints  # (n,)
    words: Floats  # (n, 9) mm
    slot: Ints  # (n,)
    relative: Bools  # (n, 4)
    flow: Floats  # (n,)
    offset: Floats  # (n, 4) mm, where homing puts the origin

    def __post_init__(self) -> None:
        n = len(self.code)
        self._position, self._logical = np.zeros((n + 1, 4)), np.zeros((n + 1, 4))
        self._origin = np.zeros((n + 1, 4))
        self._kept = {int(self.slot[i]): i + 1 for i in np.flatnonzero(self.code == Code.SAVE)}

    def follow(self) -> tuple[Floats, Floats]:
        """Return machine coordinates, (n+1, 4), and origins, (n, 4), after each row."""
        n = len(self.code)
        dividing = np.flatnonzero(np.isin(self.code, _DIVIDING)).tolist()
        begin = 0
        for row in [*dividing, n]:
            if row > begin:
                self._stretch(begin, row)
            if row < n:
                self._divide(row)
            begin = row + 1
        for axis in range(4):
            self._position[1:, axis] = _settle(self._position[1:, axis])
        return self._position, self._origin[1:]

    def _stretch(self, begin: int, end: int) -> None:
        rows, after = slice(begin, end), slice(begin + 1, end + 1)
        for axis in range(4):
            state = [a[begin, axis] for a in (self._position, self._logical, self._origin)]
            flow = self.flow[rows] if axis == E else None
            if axis == E and begin and self.flow[begin - 1] != 1.0:
                state[2] = state[0] - state[1]
            found = _follow(
                self.words[rows, axis],
                self.code[rows],
                self.relative[rows, axis],
                self.offset[rows, axis],
                state,
                flow,
            )
            for target, values in zip(
                (self._position, self._logical, self._origin), found, strict=True
            ):
                target[after, axis] = values

    def _divide(self, row: int) -> None:
        """Apply one row that fetches or shifts (Klipper, gcode_move.py)."""
        code, words = self.code[row], np.nan_to_num(self.words[row, :4])
        position, base = self._position[row].copy(), self._origin[row].copy()
        scale = np.array([1.0, 1.0, 1.0, self.flow[row]])
        base[E] = position[E] - scale[E] * self._logical[row, E]
        if code in (Code.RESTORE, Code.RETURN):
            position, base = self._fetched(row, position)
        elif code == Code.RECALL:
            goes = np.isfinite(self.words[row, :4])
            there = self._position[self._kept[int(self.slot[row])]] + words
            position[goes] = there[goes]
        else:
            base += words
            position += words if code == Code.SHIFT else 0.0
        self._position[row + 1], self._origin[row + 1] = position, base
        self._logical[row + 1] = (position - base) / scale

    def _fetched(self, row: int, position: Floats) -> tuple[Floats, Floats]:
        kept = self._kept[int(self.slot[row])]
        there, base = self._position[kept], self._origin[kept].copy()
        base[E] = there[E] - self.flow[kept - 1] * self._logical[kept, E]
        base[E] += position[E] - there[E]
        if self.code[row] == Code.RETURN:
            position[:E] = there[:E]
        return position, base


def _follow(
    value: Floats,
    code: Ints,
    relative: Bools,
    offset: Floats,
    state: Sequence[float],
    flow: Floats | None,
) -> tuple[Floats, Floats, Floats]:
    """Return machine and logical coordinate and origin of one axis after each row of a stretch.

    Parameters
    ----------
    value : (n,) float
        The axis' words, mm.
    code, relative, offset, flow : (n,)
        What each row is, how its word is meant, where homing puts the origin, how much
        filament is fed for a commanded mm (``None`` for axes that are no extruder).
    state
        The three before the stretch, mm.
    """
    given = np.isfinite(value)
    moves = given & (code <= 3)
    is_set, is_home = given & (code == Code.SET), given & (code == Code.HOME)
    steps = np.cumsum(np.where(moves & relative, value, 0.0))
    last = _last((moves & ~relative) | is_set | is_home)
    logical = np.where(last >= 0, value[last] + (steps - steps[last]), state[1] + steps)
    before = np.concatenate([[state[1]], logical[:-1]])
    pushed = np.cumsum(np.where(given & (code == Code.FILAMENT), value, 0.0))
    if flow is not None and np.any(flow != 1.0):
        fed = np.cumsum(np.where(is_set, 0.0, (logical - before) * flow))
        position = state[0] + fed + pushed
        return position, logical, position - flow * logical
    renamed = np.cumsum(np.where(is_set, before - logical, 0.0)) + pushed
    home = _last(is_home)
    origin = np.where(home >= 0, offset[home] + renamed - renamed[home], state[2] + renamed)
    return origin + logical, logical, origin


def _settle(position: Floats) -> Floats:
    """Remove the rounding noise of G92 from rows that do not move."""
    step = np.diff(position, prepend=0.0)
    moved = np.abs(step) > STILL
    return _held(position, moved)


def _held(values: Floats, valid: Bools) -> Floats:
    last = _last(valid)
    return np.where(last >= 0, values[last], 0.0) if len(values) else values


def motion_before(barrier: Bools, motion: Bools) -> Bools:
    """Return (n,) which rows are the last motion before a barrier that more motion follows."""
    passed = np.cumsum(barrier)
    rows = np.flatnonzero(motion)
    result = np.zeros(len(motion), dtype=bool)
    result[rows[:-1]] = passed[rows[1:]] > passed[rows[:-1]]
    return result
