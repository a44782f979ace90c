"""What firmware does with G-code, one line after the other, by its own documents.

A plain state machine: modes, positions, filament, limits, heaters, fans. Knows no files, no
layers, no features and no planning. A position that no line of the file tells is NaN, and so
is all that follows from it, until an absolute coordinate restates it.

Sources: Klipper's ``klippy/extras/gcode_move.py`` and ``firmware_retraction.py`` with
https://www.klipper3d.org/G-Codes.html; Marlin 2.1's ``gcode.h`` (relative modes), ``G92.cpp``,
``G60.cpp``, ``G61.cpp`` and ``M200-M205.cpp`` with https://marlinfw.org/meta/gcode.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from trajerr.errors import GcodeError
from trajerr.gcode.words import Command, loose_words, number, parameters
from trajerr.verification.arcs import outermost, sweep
from trajerr.verification.parsing import Arc, Item, Straight, parse
from trajerr.verification.vocabulary import is_harmless

FIRMWARES = ("klipper", "klipper_0_13", "klipper_0_12", "marlin")
UNKNOWN = math.nan
INCH = 25.4
LIMITS = frozenset({"M201", "M203", "M204", "M205", "M566", "SET_VELOCITY_LIMIT"})

_HEATERS = {"M104": "nozzle", "M109": "nozzle", "M140": "bed", "M190": "bed"}
_FANS = ("M106", "M107")
DEVICES = frozenset({*_HEATERS, *_FANS, "SET_HEATER_TEMPERATURE", "TURN_OFF_HEATERS"})

Point = tuple[float, float, float]


class Move(NamedTuple):
    """What one motion does."""

    start: Point  # mm, of the machine
    end: Point
    filament: float  # mm fed; NaN where it is not known
    length: float  # mm of path; NaN where an end is not known
    between: Sequence[Point] = ()  # the outermost points of an arc


@dataclass(frozen=True)
class _Saved:
    """What SAVE_GCODE_STATE keeps."""

    absolute: bool
    relative_e: bool | None
    base: tuple[float, ...]
    offset: tuple[float, ...]
    is_placed: tuple[bool, ...]
    position: tuple[float, ...]
    e: float
    feed: float
    speed_factor: float
    flow: float


class Machine:
    """What a printer knows after the lines that it was given.

    Parameters
    ----------
    firmware
        "klipper" and its builds: E is relative while M83 or G91 is in force. "marlin": G90 and
        G91 set the mode of E, too, until M82 or M83.
    e_rule
        What G90 and G91 do to E in its place: "either" as Klipper and Marlin 1, "together" as
        Marlin 2, "apart" (nothing) as RepRapFirmware; "" is the firmware's own.

    Raises
    ------
    GcodeError
        If the firmware is another.
    """

    def __init__(self, firmware: str, e_rule: str = "") -> None:
        if firmware not in FIRMWARES:
            expected = " or ".join(FIRMWARES)
            raise GcodeError(f"firmware of the check: got {firmware!r}, expected {expected}")
        self.firmware, self.is_klipper = firmware, firmware != "marlin"
        self.e_rule = e_rule or ("either" if self.is_klipper else "together")
        self.line = 0  # which one is executed; set by the caller
        # Positions count from where the machine stands when the file begins.
        self.position = [0.0, 0.0, 0.0]  # mm, of the machine
        self.base = [0.0, 0.0, 0.0]  # mm, where the file's zero is in the machine
        self.offset = [0.0, 0.0, 0.0]  # mm, what of it SET_GCODE_OFFSET has set
        self.is_placed = [True] * 3  # whether an axis counts from a place on the machine
        self.e = 0.0  # mm, as the file counts
        self.fed = 0.0  # mm of filament since the beginning
        self.unit = 1.0  # mm
        self.absolute = True
        self.e_mode: bool | None = None  # M83: True, M82: False, None: that of G90 and G91
        self.is_e_relative = False  # what follows from both
        self.feed = UNKNOWN  # mm/min, as commanded
        self.speed_factor = self.flow = 1.0
        self.tool, self.plane, self.is_retracted = "T0", "G17", False
        self.limits: dict[str, float] = {}  # by command and letter, mm/s and mm/s²
        self.devices: dict[str, str] = {}  # heaters, fans and the like: the last words
        self.lost_by, self.lost_line = "", -1  # what last made the position unknown
        self._saved: dict[str, _Saved] = {}
        self._slots: dict[float, tuple[float, ...]] = {}

    def run(self, line: bytes) -> list[Move]:
        """Execute one line; return its motions."""
        done = (self.execute(item) for item in parse(line))
        return [move for move in done if move is not None]

    def execute(self, item: Item) -> Move | None:
        """Execute a part of a line; return what moves in it."""
        if type(item) is Straight:
            return self._straight(item)
        if isinstance(item, Arc):
            return self._arc(item)
        return self._command(item) if isinstance(item, Command) else None

    def is_known(self) -> bool:
        """Whether the position in x, y and z is known."""
        x, y, z = self.position
        return x == x and y == y and z == z

    def lose(self, what: str) -> None:
        """Forget the position: something moved the nozzle that only the printer knows.

        How the file counts E stays: a file after whose macro E were another would not print.
        """
        self.position = [UNKNOWN] * 3
        self.lost_by, self.lost_line = what, self.line

    def _straight(self, item: Straight) -> Move:
        x, y, z, e, f = item
        position, unit = self.position, self.unit
        start = (position[0], position[1], position[2])
        if x is not None:
            position[0] = x * unit + (self.base[0] if self.absolute else start[0])
        if y is not None:
            position[1] = y * unit + (self.base[1] if self.absolute else start[1])
        if z is not None:
            position[2] = z * unit + (self.base[2] if self.absolute else start[2])
        if f is not None and f > 0.0:
            self.feed = f * unit
        filament = 0.0 if e is None else self._feed_filament(e)
        end = (position[0], position[1], position[2])
        return Move(start, end, filament, math.dist(start, end))

    def _feed_filament(self, e: float) -> float:
        value = e * self.unit
        if self.is_e_relative:
            filament = value * self.flow
            self.e += value
        else:
            filament = (value - self.e) * self.flow
            self.e = value
        if filament == filament:
            self.fed += filament
        return filament

    def _arc(self, item: Arc) -> Move:
        move = self._straight(item.straight)
        if self.plane != "G17":
            return move
        center, angle = sweep(move.start, move.end, item, self.unit)
        if not self.is_klipper:
            angle += math.copysign(math.tau * int(item.turns), angle)
        radius = math.dist(center, move.start[:2])
        length = math.hypot(radius * angle, move.end[2] - move.start[2])
        return move._replace(length=length, between=outermost(move.start, center, radius, angle))

    def _command(self, command: Command) -> Move | None:
        name, body = command.name, command.body
        if name in LIMITS:
            self._set_limits(name, body)
        elif name in DEVICES or name == "M200":
            self._set_device(name, body)
        elif name in ("G20", "G21"):
            self.unit = INCH if name == "G20" else 1.0
        elif name in ("G90", "G91", "M82", "M83"):
            self._set_mode(name)
        elif name in ("G92", "G28"):
            self._set_origin(name, body)
        elif name in ("M220", "M221"):
            self._set_factor(name, body)
        elif name in ("SAVE_GCODE_STATE", "RESTORE_GCODE_STATE", "SET_GCODE_OFFSET"):
            return self._klipper_state(name, body)
        elif name in ("G60", "G61"):
            return self._slot(name, body)
        else:
            self._rest(name, body)
        return None

    def _rest(self, name: str, body: str) -> None:
        if name in ("G17", "G18", "G19"):
            self.plane = name
        elif name in ("G10", "G11") and not loose_words(body).keys() & {"P", "L", "R"}:
            self.is_retracted = name == "G10"
        elif name[:1] == "T" and name[1:].isdigit():
            if name != self.tool:
                # Where a tool is changed the printer knows; it comes back to the same height.
                self.position[:2] = [UNKNOWN] * 2
                self.lost_by, self.lost_line = name, self.line
            self.tool = name
        elif not name:
            self._bare(body)
        elif not is_harmless(name):
            self.lose(name)

    def _bare(self, body: str) -> None:
        """Words without a command: whether the last motion goes on depends on the firmware."""
        if loose_words(body).keys() & set("XYZEIJR"):
            self.lose(body.strip()[:20])

    def _set_mode(self, name: str) -> None:
        if name in ("M82", "M83"):
            self.e_mode = name == "M83"
        else:
            self.absolute = name == "G90"
            if self.e_rule == "together":
                self.e_mode = None
        self._settle_e_mode()

    def _settle_e_mode(self) -> None:
        if self.e_rule == "apart" or (self.e_rule == "together" and self.e_mode is not None):
            self.is_e_relative = bool(self.e_mode)
        else:
            self.is_e_relative = bool(self.e_mode) or not self.absolute

    def _set_origin(self, name: str, body: str) -> None:
        found = loose_words(body)
        axes = [i for i in range(3) if "XYZ"[i] in found]
        if name == "G28":
            self.lost_by, self.lost_line = name, self.line
            for i in axes or range(3):
                self.position[i], self.base[i] = UNKNOWN, self.offset[i]
                self.is_placed[i] = True
            return
        if not axes and "E" not in found and self.is_klipper:
            found = dict.fromkeys("XYZE", 0.0)
        for i, letter in enumerate("XYZ"):
            value = found.get(letter)
            if value is not None and self.position[i] == self.position[i]:
                self.base[i] = self.position[i] - value * self.unit
            elif value is not None:
                # The file counts from here, wherever on the bed that is.
                self.position[i], self.base[i] = value * self.unit, 0.0
                self.is_placed[i] = False
        value = found.get("E")
        if value is not None:
            self.e = value * self.unit

    def _set_factor(self, name: str, body: str) -> None:
        found = loose_words(body)
        share = found.get("S") or (100.0 if self.is_klipper else None)
        if "T" in found and f"T{found['T'] or 0:g}" != self.tool:
            return
        if name == "M220" and found.keys() & {"B", "R"}:
            self.devices["M220"] = body.strip()
        if share is not None and name == "M220":
            self.speed_factor = share / 100.0
        elif share is not None:
            self.flow = share / 100.0

    def _set_device(self, name: str, body: str) -> None:
        found = loose_words(body)
        if name in _FANS:
            fan = f"fan {found.get('P') or 0:g}"
            self.devices[fan] = f"{found.get('S', 255.0) if name == 'M106' else 0.0}"
        elif name in _HEATERS:
            target = next((found[letter] for letter in "SR" if letter in found), None)
            heater = f"{_HEATERS[name]} {found.get('T') or int(self.tool[1:]):g}"
            self.devices[heater] = f"{target}"
        elif name == "SET_HEATER_TEMPERATURE":
            given = parameters(body)
            self.devices[given.get("HEATER", "").upper()] = given.get("TARGET", "0")
        else:
            self.devices[name] = body.strip()

    def _set_limits(self, name: str, body: str) -> None:
        if name == "SET_VELOCITY_LIMIT":
            given = {key: number(text) for key, text in parameters(body).items()}
            self.limits |= {key: value for key, value in given.items() if value is not None}
            if self.firmware == "klipper_0_13" and given.get("MINIMUM_CRUISE_RATIO") is None:
                self._smooth(given.get("ACCEL_TO_DECEL"))
            return
        unit = self.unit / 60.0 if name == "M566" else self.unit
        found = {k: v * unit for k, v in loose_words(body).items() if v is not None}
        if name != "M204":
            # RepRapFirmware has M205 for M566, too, per second.
            known = "M205" if name == "M566" else name
            self.limits |= {f"{known} {letter}": value for letter, value in found.items()}
        elif self.is_klipper:
            both = [found[letter] for letter in "PT" if letter in found]
            if "S" in found or len(both) == 2:
                self.limits["ACCEL"] = found["S"] if "S" in found else min(both)
        else:
            if "S" in found:
                found |= {"P": found["S"], "T": found["S"]}
            self.limits |= {f"M204 {k}": found[k] for k in "PRT" if k in found}

    def _smooth(self, slowing: float | None) -> None:
        """Set the cruise ratio by ACCEL_TO_DECEL (Klipper, Config_Changes.md, 20240313)."""
        acceleration = self.limits.get("ACCEL", UNKNOWN)
        if slowing is not None and acceleration == acceleration:
            self.limits["MINIMUM_CRUISE_RATIO"] = 1.0 - min(1.0, slowing / acceleration)

    def _klipper_state(self, name: str, body: str) -> Move | None:
        given = parameters(body)
        key = given.get("NAME", "default")
        start = self._point()
        if name == "SAVE_GCODE_STATE":
            self._saved[key] = self._snapshot()
            return None
        is_moving = bool(number(given.get("MOVE")))
        if name == "SET_GCODE_OFFSET":
            self._shift(given, is_moving)
            return self._moved(start) if is_moving else None
        saved = self._saved.get(key)
        if saved is None:
            # Saved by a macro, if at all: even the zero of the file is unknown from here.
            self.lose(f"{name} NAME={key}")
            self.base, self.e = [UNKNOWN] * 3, UNKNOWN
            return None
        self._restore(saved)
        if not is_moving:
            return None
        self.position = list(saved.position)
        return self._moved(start)

    def _snapshot(self) -> _Saved:
        return _Saved(
            self.absolute,
            self.e_mode,
            tuple(self.base),
            tuple(self.offset),
            tuple(self.is_placed),
            tuple(self.position),
            self.e,
            self.feed,
            self.speed_factor,
            self.flow,
        )

    def _restore(self, saved: _Saved) -> None:
        self.absolute, self.e_mode = saved.absolute, saved.relative_e
        self.base, self.offset = list(saved.base), list(saved.offset)
        both = zip(self.is_placed, saved.is_placed, strict=True)
        self.is_placed = [now and then for now, then in both]
        self.e, self.feed = saved.e, saved.feed
        self.speed_factor, self.flow = saved.speed_factor, saved.flow
        self._settle_e_mode()

    def _shift(self, given: dict[str, str], is_moving: bool) -> None:
        """Shift the file's zero, and the nozzle with it where that is asked."""
        for i, axis in enumerate("XYZ"):
            value, more = number(given.get(axis)), number(given.get(f"{axis}_ADJUST"))
            wanted = value if value is not None else self.offset[i] + (more or 0.0)
            delta = wanted - self.offset[i]
            self.base[i] += delta
            self.offset[i] = wanted
            if is_moving:
                self.position[i] += delta
        if given.keys() & {"E", "E_ADJUST"}:
            self.e = UNKNOWN  # no print uses it; G92 E tells it again

    def _slot(self, name: str, body: str) -> Move | None:
        found = loose_words(body)
        slot, start = found.get("S") or 0.0, self._point()
        if name == "G60":
            self._slots[slot] = (*self.position, self.e)
            return None
        saved = self._slots.get(slot)
        if saved is None:
            return None
        is_all = not found.keys() & set("XYZE")
        for i, axis in enumerate("XYZ"):
            if is_all or axis in found:
                self.position[i] = saved[i] + (found.get(axis) or 0.0) * self.unit
        if is_all or "E" in found:
            self.e = saved[3] + (found.get("E") or 0.0) * self.unit
        return self._moved(start)

    def _point(self) -> Point:
        x, y, z = self.position
        return (x, y, z)

    def _moved(self, start: Point) -> Move:
        end = self._point()
        return Move(start, end, 0.0, math.dist(start, end))
