"""Write pieces of corrected motion as G-code, everything else byte for byte.

Knows G-code text: coordinates, feedrates, extrusion, limits and how firmware is told them.
Which pieces there are is :mod:`trajerr.correction.pieces`' business, at which feedrates
:mod:`trajerr.correction.feedrates`'.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from trajerr.arrays import Bools, Floats
from trajerr.correction.feedrates import (
    INCH_F_DIGITS,
    MORE_F_DIGITS,
    TimedProgram,
    rounded_feedrates,
)
from trajerr.correction.flow import WrittenFlow
from trajerr.correction.pieces import Segmentation, decimals
from trajerr.errors import GcodeError
from trajerr.gcode.firmware import is_klipper
from trajerr.gcode.program import LimitSettings, Program
from trajerr.gcode.writer import number
from trajerr.motion.limits import MachineLimits

MARK = b"; trajerr corrected"
MARK_LINES = 200  # the mark stands within the first lines, or before the first move
COARSE_E = 0.003  # mm of filament; a piece with that much may round it to a digit less
OWN_F_DIGITS = 4  # decimals of a feedrate that the file itself gave
TIMED_F_DIGITS = INCH_F_DIGITS + MORE_F_DIGITS  # and of one that was found, at most
NOTHING = 1e-9  # mm of filament
OWN_DIGITS = 5  # decimals of a coordinate that the file itself gave
EXACT = 1e-7  # units

Frame = tuple[float, list[float], list[bool]]

_PLANAR_WORD = re.compile(rb"[XYIJRxyijr]\s*[-+.\d]")
_PLANAR_WORDS = re.compile(rb"[XY]\s*[-+.\d]+\s*", re.I)
_MOVES = re.compile(rb"\s*G0*[01](?!\d)\s*", re.I)
_SETS_LIMITS = re.compile(rb"(?:^|\r)\s*(?:M20[1345]|M566|SET_VELOCITY_LIMIT)(?!\d)", re.M | re.I)
_KEEPS_FEED = re.compile(rb"(?:^|\r)\s*(?:SAVE_GCODE_STATE|M120|G60)(?!\d)", re.M | re.I)
_RETRACTS = re.compile(rb"\s*G1[01](?!\d)", re.I)
_FEED_WORD = re.compile(rb"[Ff]\s*[-+.\d]")


def is_marked(program: Program) -> bool:
    """Whether a program was corrected before."""
    first_move = int(program.moves.line[0]) if len(program.moves) else 0
    lines = min(max(MARK_LINES, first_move), program.n_lines)
    return MARK in program.text[: program.line_starts[lines]]


def check_writable(program: Program) -> None:
    """Refuse programs whose lines would mean something else beside corrected ones.

    Raises
    ------
    GcodeError
        If the file scales feedrates or extrusion by commands, numbers its lines, or holds lines
        that a machine tool and a printer read differently.
    """
    for line, what in program.unwritable[:1]:
        raise GcodeError(
            f"{program.name}:{line + 1}: {what} cannot be kept beside corrected moves, "
            "expected a file without"
        )


def limit_lines(limits: MachineLimits, unit: float = 1.0) -> list[bytes]:
    """Return the lines that put limits into force, in the words of their firmware.

    Parameters
    ----------
    limits
        The limits wanted; those along the path, in the plane and at corners are written.
    unit
        mm per unit of the file.
    """

    def n(value: float, digits: int = 3) -> bytes:
        return number(value / unit, digits if unit == 1.0 else 6)

    printing, travel = limits.print_acceleration_mm_s2, limits.travel_acceleration_mm_s2
    if is_klipper(limits.firmware):
        # Builds to 2025-08 have the one in place of the other, and pass over what they know not.
        named = {
            b"ACCEL": number(printing, 3),
            b"ACCEL_TO_DECEL": number(limits.accel_to_decel, 3),
            b"SQUARE_CORNER_VELOCITY": number(limits.square_corner_velocity_mm_s, 3),
            b"MINIMUM_CRUISE_RATIO": number(limits.minimum_cruise_ratio, 6),
        }
        words = [b"%b=%b" % pair for pair in named.items()]
        return [b" ".join([b"SET_VELOCITY_LIMIT", *words])]
    x, y = limits.max_acceleration_mm_s2[:2]
    lines = [b"M201 X%b Y%b" % (n(x), n(y)), b"M204 P%b T%b" % (n(printing), n(travel))]
    if limits.firmware == "marlin_junction_deviation":
        return [*lines, b"M205 J%b" % n(limits.junction_deviation_mm, 6)]
    return [*lines, b"M205 X%b Y%b" % (n(limits.jerk_mm_s[0]), n(limits.jerk_mm_s[1]))]


def _smoothing_lines(state: LimitSettings, limits: MachineLimits) -> list[bytes]:
    """Return the lines that state a file's ACCEL_TO_DECEL again, as it did.

    Builds from 2024-03 to 2025-08 make a ratio of it, by the acceleration in force then; newer
    ones pass over it, so that the lines hold whichever build runs them.
    """
    if state.cruise_ratio_from is None:
        return []
    slowing, acceleration = state.cruise_ratio_from
    now = limits.overridden(state).print_acceleration_mm_s2
    then = acceleration or limits.print_acceleration_mm_s2
    words = (number(then, 3), number(slowing, 3))
    lines = [b"SET_VELOCITY_LIMIT ACCEL=%b ACCEL_TO_DECEL=%b" % words]
    return lines if then == now else [*lines, b"SET_VELOCITY_LIMIT ACCEL=" + number(now, 3)]


def write_lines(
    nominal: Program, timed: TimedProgram, segmentation: Segmentation, limits: MachineLimits
) -> dict[int, list[bytes]]:
    """Return what each affected line of a program becomes, without line endings.

    Parameters
    ----------
    nominal
        The program as the file has it.
    timed
        Its moves with pieces in their place.
    segmentation
        Which moves pieces stand for.
    limits
        The machine's.

    Raises
    ------
    GcodeError
        If a line holds several moves of which one is corrected.
    """
    keeps_feed = _KEEPS_FEED.search(nominal.text) is not None
    is_timed = timed.is_timed
    written = rounded_feedrates(timed, limits).program
    flow = WrittenFlow(nominal.moves, not is_klipper(limits.firmware))
    writer = _Writer(nominal, written, is_timed, limits, segmentation.replaced, keeps_feed, flow)
    rows = np.flatnonzero((timed.piece >= 0) | (segmentation.stretch[timed.nominal] >= 0))
    replaced = np.flatnonzero(segmentation.replaced)
    _check_lines(nominal, np.union1d(replaced, timed.nominal[rows]))
    for move in replaced.tolist():
        writer.lines[int(nominal.moves.line[move])] = []
    is_piece = (timed.piece >= 0).tolist()
    lifted = (timed.program.moves.settings >= len(nominal.settings)).tolist()
    for position, row in enumerate(rows.tolist()):
        move = int(timed.nominal[row])
        last = position + 1 == len(rows) or rows[position + 1] != row + 1
        writer.follow(move, row)
        if is_piece[row]:
            writer.limit(move, lifted[row])
            writer.piece(move, row, bool(is_timed[row]))
        else:
            writer.stay(move, row)
        if last:
            writer.limit(move, lifted=False)
            writer.restore_flow()
            writer.restore_feed(move)
    return writer.lines


def _check_lines(program: Program, moves: NDArray[np.int64]) -> None:
    count = np.bincount(program.moves.line, minlength=program.n_lines)
    crowded = moves[count[program.moves.line[moves]] > 1]
    if len(crowded):
        raise GcodeError(
            f"{program.name}:{int(program.moves.line[crowded[0]]) + 1}: "
            "several moves on one line cannot be corrected, expected one"
        )


def _digits(value: float, digits: int) -> int:
    """Return how many decimals a coordinate needs: more than usual only where the file has."""
    exact = abs(round(value, digits) - value) < EXACT
    return digits if exact else max(digits, OWN_DIGITS)


@dataclass
class _Writer:
    """Puts rows into words, and remembers what the firmware knows by then."""

    nominal: Program
    program: Program
    pieces: Bools  # (N,) which rows are timed pieces
    limits: MachineLimits
    replaced: Bools  # (M,) which of the file's moves pieces stand for
    keeps_feed: bool  # whether the file keeps the feedrate in force, to fetch it later
    flow: WrittenFlow
    lines: dict[int, list[bytes]] = field(default_factory=dict)
    _at: list[float] = field(default_factory=lambda: [np.nan] * 4)  # machine x y z e as written
    _feed: float = np.nan  # units/min as written; NaN where unknown
    _lifted: bool = False  # whether any raised limit may be in force
    _raised: LimitSettings | None = None  # the raised state in force; None: not all of it
    _line: int = -2
    _noted: int = -2
    _row: int = -2
    _drift: list[float] = field(default_factory=lambda: [0.0] * 4)  # written − meant
    _framed: tuple[int, Frame] = (-1, (1.0, [], []))  # a move and how its line counts

    def follow(self, move: int, row: int) -> None:
        """Take note of what the file itself did since the last row."""
        line = int(self.nominal.moves.line[move])
        if row != self._row + 1:
            start = self.program.moves.start[row]
            relative = ~np.repeat(self.nominal.moves.absolute[move], (3, 1))
            self._drift = [d if r else 0.0 for d, r in zip(self._drift, relative, strict=True)]
            self._at = [float(p) + d for p, d in zip(start, self._drift, strict=True)]
            self._feed = np.nan
        elif line > self._line + 1:
            self._feed = np.nan
            between = {i: self.nominal.line(i) for i in range(self._line + 1, line)}
            if any(raw.partition(b";")[0].strip() for raw in between.values()):
                self.restore_flow()
            if _SETS_LIMITS.search(b"".join(between.values())):
                self._raised = None
            self._stand(between)
        if line != self._line:
            self.lines.setdefault(line, [])
        self._line, self._row = line, row

    def _stand(self, lines: dict[int, bytes]) -> None:
        """Take the planar words from lines that go where the nominal nozzle already is."""
        for line, raw in lines.items():
            code, mark, comment = raw.rstrip(b"\r\n").partition(b";")
            if line not in self.lines and _MOVES.match(code) and _PLANAR_WORD.search(code):
                rest = _PLANAR_WORDS.sub(b"", code)
                text = (b"" if _MOVES.fullmatch(rest) else rest) + mark + comment
                self.lines[line] = [text.rstrip()] if text.strip() else []

    def limit(self, move: int, lifted: bool) -> None:
        """See to it that the right limits are in force."""
        moves = self.nominal.moves
        if lifted:
            state = self.program.settings[len(self.nominal.settings) + int(moves.settings[move])]
        elif self._lifted:
            state = self.nominal.settings[int(moves.settings[move])]
        else:
            return
        if lifted and self._raised == state:
            return
        unit = float(moves.unit[move])
        self._add(*limit_lines(self.limits.overridden(state), unit))
        if not lifted and is_klipper(self.limits.firmware):
            self._add(*_smoothing_lines(state, self.limits))
        self._lifted, self._raised = lifted, state if lifted else None

    def piece(self, move: int, row: int, is_timed: bool) -> None:
        """Write a straight piece of motion."""
        if self._meant[row] != 0.0:
            self._add(*self.flow.take(move, self._at[3]))
        filament = self._at[3]
        words = self._words(move, row, planar=True)
        if words:
            laid = self._at[3] - filament
            feed = self._timed_feed(move, row, laid) if is_timed else self._own_feed(move, row)
            self._add(b" ".join([b"G1", *words, *feed]) + self._note(move))

    def stay(self, move: int, row: int) -> None:
        """Keep a line in which the nozzle stands still, without planar words."""
        self.restore_flow()
        raw = self.nominal.line(int(self.nominal.moves.line[move]))
        code = raw.split(b";")[0]
        has_feed = _FEED_WORD.search(code) is not None
        if _PLANAR_WORD.search(code) and self.nominal.moves.kind[move] != 3:
            words = self._words(move, row, planar=False)
            feed = self._own_feed(move, row)
            if words or (feed and has_feed):
                self._add(b" ".join([b"G1", *words, *feed]) + self._note(move))
            return
        if not has_feed and not _RETRACTS.match(code):
            feed = self._own_feed(move, row)
            if feed:
                self._add(b"G1 " + feed[0])
        else:
            self._feed = np.nan
        self._add(raw.rstrip(b"\r\n"))
        end = self.program.moves.end[row]
        for axis in (2, 3):
            self._at[axis] = float(end[axis]) + self._drift[axis]

    def restore_flow(self) -> None:
        """Put the file's own flow into force again."""
        lines, self._at[3] = self.flow.restore(self._at[3])
        self._add(*lines)

    def restore_feed(self, move: int) -> None:
        """Give the next line of the file the feedrate that it expects."""
        following = move + 1
        moves = self.nominal.moves
        while following < len(moves) and (
            self.replaced[following] or _RETRACTS.match(self._code(following))
        ):
            following += 1  # written with the pieces, or at the firmware's own speed
        if following >= len(moves):
            return
        if _FEED_WORD.search(self._code(following)):
            if not self.keeps_feed:
                return
            following = move
        feed = self._feed_word(float(moves.feedrate[following]), following, OWN_F_DIGITS)
        self._add(*(b"G1 " + word for word in feed))

    def _code(self, move: int) -> bytes:
        return self.nominal.line(int(self.nominal.moves.line[move])).split(b";")[0]

    def _note(self, move: int) -> bytes:
        """Return the note of a move's line at the first move in its place, if it is needed."""
        line = int(self.nominal.moves.line[move])
        if not self.nominal.noted or line == self._noted:
            return b""
        self._noted = line
        _, mark, note = self.nominal.line(line).rstrip().partition(b";")
        return b" " + mark + note if mark else b""

    def _add(self, *lines: bytes) -> None:
        self.lines[self._line] += lines

    def _own_feed(self, move: int, row: int) -> list[bytes]:
        """Return the file's feedrate as a word, none where it is in force."""
        return self._feed_word(float(self.program.moves.feedrate[row]), move, OWN_F_DIGITS)

    def _feed_word(self, speed: float, move: int, digits: int) -> list[bytes]:
        """Return a speed in mm/s as a word, none where it is in force already."""
        feed = round(speed * 60.0 / self._frame(move)[0], digits)
        if feed == self._feed or not feed > 0.0:
            return []
        self._feed = feed
        return [b"F" + number(feed, digits)]

    def _timed_feed(self, move: int, row: int, laid: float) -> list[bytes]:
        """Return a rounded feedrate as a word, none where it is in force.

        Where only filament moves, its rounding to ``laid`` mm would change the time.
        """
        speed, meant = float(self.program.moves.feedrate[row]), float(self._meant[row])
        if self._feeds_alone[row] and laid * meant > 0.0:
            speed *= laid / meant
        return self._feed_word(speed, move, TIMED_F_DIGITS)

    @cached_property
    def _meant(self) -> Floats:
        """(N,) mm of filament of each row."""
        moves = self.program.moves
        return np.asarray(moves.end[:, 3] - moves.start[:, 3])

    @cached_property
    def _feeds_alone(self) -> Bools:
        """(N,) whether only filament moves."""
        moves = self.program.moves
        return np.asarray(np.all(moves.start[:, :3] == moves.end[:, :3], axis=1))

    @cached_property
    def _passes_on(self) -> Bools:
        """(N,) whether what rounding leaves of a row's filament goes to the next of its path."""
        feature, lays = self.program.moves.feature, self._meant > COARSE_E
        on = self.pieces & lays
        return np.append(on[:-1] & on[1:] & (feature[:-1] == feature[1:]), False)

    def _frame(self, move: int) -> Frame:
        """Return mm per unit, the zero in mm and which positions are absolute, of a move's line."""
        if move != self._framed[0]:
            moves = self.nominal.moves
            zero, absolute = moves.origin[move].tolist(), moves.absolute[move].tolist()
            self._framed = (move, (float(moves.unit[move]), zero, absolute))
        return self._framed[1]

    def _words(self, move: int, row: int, planar: bool) -> list[bytes]:
        """Return the words that lead to a row's end, as far as it differs."""
        unit, origin, is_absolute = self._frame(move)
        target, feeds = self.program.moves.end[row].tolist(), abs(self._meant[row]) >= NOTHING
        words = []
        for axis in range(0 if planar else 2, 4):
            wanted, at = target[axis], self._at[axis]
            absolute = is_absolute[1 if axis == 3 else 0]
            zero, scale = self.flow.count(move) if axis == 3 else (origin[axis], unit)
            zero = zero if absolute else at
            digits = _digits((wanted - zero) / scale, decimals(axis, unit))
            if axis == 3 and self._passes_on[row]:
                digits = decimals(axis, unit) - 1
            value = round((wanted - zero) / scale, digits)
            # What rounding left of the filament waits for the next move that extrudes.
            # Of a height it may not wait: a line that states it again would be no rest then.
            seen = max(digits, OWN_DIGITS) if axis == 2 and absolute else digits
            still = round((wanted - at) / scale, seen) == 0.0
            if still or (axis == 3 and not feeds):
                continue
            self._at[axis] = value * scale + zero
            self._drift[axis] = self._at[axis] - wanted
            words.append(b"XYZE"[axis : axis + 1] + number(value, digits))
        return words
