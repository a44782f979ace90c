"""The careful reading: one line after the other, every command that matters to motion.

Knows the meaning of commands, and keeps what is modal. Where the motion leads is not its
business: it only notes rows, which :mod:`trajerr.gcode.modal` resolves all at once.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from trajerr.errors import GcodeError
from trajerr.gcode import words as text
from trajerr.gcode.limits import LimitLog
from trajerr.gcode.plain import COLUMNS
from trajerr.gcode.timeline import Timeline

Words = dict[str, float | None]

# Codes of rows beside 0..3 for G0..G3.
INHERIT, SET, HOME, PAUSE = -1, 10, 11, 12
MM_PER_INCH = 25.4
COLDEST = 20.0  # °C; a lower number in a start macro names a tool or a choice
HOTTEST = 1000.0  # °C; no hot end nor bed survives it, so more is a slip of the keyboard
_UNSUPPORTED = {
    "G5": "a spline",
    "G6": "a direct stepper move",
    "G16": "polar coordinates",
    "G18": "the ZX plane",
    "G19": "the YZ plane",
    "G41": "cutter compensation",
    "G42": "cutter compensation",
    "G51": "scaled coordinates",
    "G68": "rotated coordinates",
    "G70": "units of older controls (G20 is inch)",
    "G71": "units of older controls (G21 is mm)",
    "G93": "inverse-time feed",
    "G95": "feed per revolution",
}
# The firmware lets motion come to rest: it probes, parks, waits for a person or a tool.
_STOPPING = frozenset(
    {"G12", "G27", "G29", "G30", "G31", "G32", "G33", "G34", "G76", "G80", "G81"}
    | {"M0", "M1", "M25", "M226", "M600", "M601", "M701", "M702"}
    | {"PAUSE", "TEMPERATURE_WAIT", "START_PRINT", "PRINT_START"}
)


@dataclass
class Row:
    """One entry for the resolution of positions."""

    line: int
    code: int
    words: tuple[float, ...]  # in the order of COLUMNS, NaN where absent
    seconds: float = 0.0


@dataclass
class Interpreter:
    """Reads lines in order; what it learns stays in its public fields."""

    e_rule: str  # what G90 and G91 do to E: "together" | "either" | "apart"
    limits: LimitLog
    rows: list[Row] = field(default_factory=list)
    relative: Timeline[tuple[bool, bool]] = field(default_factory=lambda: Timeline((False, False)))
    unit: Timeline[float] = field(default_factory=lambda: Timeline(1.0))
    filament_area: Timeline[float] = field(default_factory=lambda: Timeline(1.0))
    speed_factor: Timeline[float] = field(default_factory=lambda: Timeline(1.0))
    centre_absolute: Timeline[bool] = field(default_factory=lambda: Timeline(False))
    nozzle: Timeline[float] = field(default_factory=lambda: Timeline(0.0))
    bed: Timeline[float] = field(default_factory=lambda: Timeline(0.0))
    fan: Timeline[float] = field(default_factory=lambda: Timeline(0.0))
    stops: list[int] = field(default_factory=list)  # lines at which motion comes to rest
    unknown: Counter[str] = field(default_factory=Counter)
    _line: int = 0
    _e_own: bool = False  # M83 is the last word on E
    _tool: int = 0
    _tool_targets: dict[int, float] = field(default_factory=dict)

    def read(self, line: int, raw: bytes) -> None:
        """Read one line of code, given without its comment."""
        self._line = line
        code = text.verify_checksum(raw).decode("latin-1")
        for command in text.commands(code):
            self._run(command.name, command.body)

    def _run(self, name: str, body: str) -> None:
        if name in ("G0", "G1", "G2", "G3", ""):
            self._motion(int(name[1]) if name else INHERIT, body)
        elif name in _UNSUPPORTED and (name != "G5" or body.strip()):
            # A bare G5 resets counters on early CR-10s, whose start code many files still carry.
            raise GcodeError(f"{name} asks for {_UNSUPPORTED[name]}, expected plain XY motion")
        elif name in _HANDLERS:
            _HANDLERS[name](self, body)
        elif name in _STOPPING:
            self._pause()
        elif name[0] == "T" and name[1:].isdigit():
            self._select_tool(int(name[1:]))
        else:
            self.unknown[name] += 1

    def _add(self, code: int, words: Words, seconds: float = 0.0) -> None:
        values = tuple(np.nan if words.get(c) is None else words[c] for c in COLUMNS)
        self.rows.append(Row(self._line, code, values, seconds))  # type: ignore[arg-type]

    def _motion(self, code: int, body: str) -> None:
        if code == INHERIT and body.strip()[:1].upper() not in set("XYZEFIJRS"):
            self.unknown[body.split()[0][:20] if body.split() else ""] += 1
            return
        words = text.words(body)
        for letter in COLUMNS:
            if letter in words and words[letter] is None:
                raise GcodeError(f"the word {letter} has no number, expected e.g. '{letter}12.5'")
        self._add(code, words)

    def _pause(self, seconds: float = 0.0) -> None:
        self._add(PAUSE, {}, seconds)

    def _dwell(self, body: str) -> None:
        words = text.loose_words(body)
        seconds = (words.get("S") or 0.0) + (words.get("P") or 0.0) / 1000.0
        self._pause(max(0.0, seconds))

    def _home(self, body: str) -> None:
        named = [axis for axis in "XYZ" if axis in text.loose_words(body)]
        self._add(HOME, dict.fromkeys(named or "XYZ", 0.0))

    def _set_position(self, body: str) -> None:
        words = text.words(body)
        named = {axis: words[axis] or 0.0 for axis in "XYZE" if axis in words}
        self._add(SET, dict(named) if words else dict.fromkeys("XYZE", 0.0))

    def _set_unit(self, millimetres: float) -> None:
        self.unit.change(self._line, millimetres)

    def _position_mode(self, relative: bool) -> None:
        e = self.relative.current[1]
        if self.e_rule == "together":
            e = relative
        elif self.e_rule == "either":
            e = relative or self._e_own
        self.relative.change(self._line, (relative, e))

    def _extruder_mode(self, relative: bool) -> None:
        self._e_own = relative
        xyz = self.relative.current[0]
        e = relative or (xyz and self.e_rule == "either")
        self.relative.change(self._line, (xyz, e))

    def _volumetric(self, body: str) -> None:
        words = text.loose_words(body)
        diameter = words.get("D") or 0.0
        on = diameter > 0 and words.get("S", 1.0) != 0.0
        self.filament_area.change(self._line, np.pi * diameter**2 / 4 if on else 1.0)

    def _speed_percentage(self, body: str) -> None:
        percent = text.loose_words(body).get("S")
        if percent and percent > 0:
            self.speed_factor.change(self._line, percent / 100.0)

    def _heat_nozzle(self, body: str, wait: bool) -> None:
        words = text.loose_words(body)
        target = _set_point(words.get("S", words.get("R")))
        tool = words.get("T")
        number = self._tool if tool is None else int(tool)
        if target is not None:
            self._tool_targets[number] = target
            if number == self._tool:
                self.nozzle.change(self._line, target)
        if wait:
            self._pause()

    def _heat_bed(self, body: str, wait: bool) -> None:
        words = text.loose_words(body)
        target = _set_point(words.get("S", words.get("R")))
        if target is not None:
            self.bed.change(self._line, target)
        if wait:
            self._pause()

    def _heat_named(self, body: str) -> None:
        named = text.parameters(body)
        target = _set_point(text.number(named.get("TARGET", "0")))
        heater = named.get("HEATER", "").lower()
        if target is not None and heater == "extruder":
            self.nozzle.change(self._line, target)
        elif target is not None and heater == "heater_bed":
            self.bed.change(self._line, target)

    def _start_print(self, body: str) -> None:
        """Take the temperatures that slicers hand to a printer's start macro."""
        for name, value in text.parameters(body).items():
            heater = _heater_of(name)
            target = _set_point(text.number(value)) if heater else None
            if target and target > COLDEST:
                (self.bed if heater == "bed" else self.nozzle).change(self._line, target)
        self._pause()

    def _set_fan(self, body: str, on: bool) -> None:
        words = text.loose_words(body)
        if (words.get("P") or 0.0) != 0.0:
            return  # auxiliary fans do not blow at the part
        speed = words.get("S")
        share = 1.0 if speed is None else min(max(speed / 255.0, 0.0), 1.0)
        self.fan.change(self._line, share if on else 0.0)

    def _select_tool(self, tool: int) -> None:
        if tool != self._tool:
            self._tool = tool
            self.nozzle.change(self._line, self._tool_targets.get(tool, self.nozzle.current))
            self.stops.append(self._line)

    def _wait(self, body: str) -> None:
        """Apply M400; Bambu's takes a time to wait as well."""
        words = text.loose_words(body)
        if words.get("S") or words.get("P"):
            self._dwell(body)
        self.stops.append(self._line)

    def _arc_centre(self, absolute: bool) -> None:
        self.centre_absolute.change(self._line, absolute)

    def _firmware_retract(self, body: str) -> None:
        if not text.loose_words(body):  # with words G10 sets tool offsets
            self._pause()

    def _limit(self, name: str, body: str) -> None:
        self.limits.read(self._line, name, body, self.unit.current)


def _heater_of(parameter: str) -> str:
    """Return which heater a start macro's parameter is for, "" for none."""
    name = re.sub("_|TEMPERATURE|TEMP", "", parameter)
    if name in {"BED", "BEDINITIAL", "FIRSTLAYERBED", "HEATERBED"}:
        return "bed"
    nozzles = {"EXTRUDER", "HOTEND", "NOZZLE", "TOOL", "PRINT", "FIRSTLAYER", "EXTRUDERINITIAL"}
    return "nozzle" if name in nozzles else ""


def _set_point(target: float | None) -> float | None:
    """Return a heater's set-point in °C; below zero means off, as firmware takes it."""
    if target is not None and target > HOTTEST:
        raise GcodeError(f"a heater is set to {target:g} °C, expected at most {HOTTEST:g} °C")
    return None if target is None else max(target, 0.0)


def _limit_handler(name: str) -> Callable[[Interpreter, str], None]:
    return lambda interpreter, body: interpreter._limit(name, body)


_HANDLERS: dict[str, Callable[[Interpreter, str], None]] = {
    "G4": Interpreter._dwell,
    "G10": Interpreter._firmware_retract,
    "G11": Interpreter._firmware_retract,
    "G17": lambda _, __: None,
    "G20": lambda i, _: i._set_unit(MM_PER_INCH),
    "G21": lambda i, _: i._set_unit(1.0),
    "G28": Interpreter._home,
    "G90": lambda i, _: i._position_mode(relative=False),
    "G91": lambda i, _: i._position_mode(relative=True),
    "G90.1": lambda i, _: i._arc_centre(absolute=True),
    "G91.1": lambda i, _: i._arc_centre(absolute=False),
    "G92": Interpreter._set_position,
    "M82": lambda i, _: i._extruder_mode(relative=False),
    "M83": lambda i, _: i._extruder_mode(relative=True),
    "M104": lambda i, body: i._heat_nozzle(body, wait=False),
    "M109": lambda i, body: i._heat_nozzle(body, wait=True),
    "M140": lambda i, body: i._heat_bed(body, wait=False),
    "M190": lambda i, body: i._heat_bed(body, wait=True),
    "M106": lambda i, body: i._set_fan(body, on=True),
    "M107": lambda i, body: i._set_fan(body, on=False),
    "M200": Interpreter._volumetric,
    "M220": Interpreter._speed_percentage,
    "M400": Interpreter._wait,
    "SET_HEATER_TEMPERATURE": Interpreter._heat_named,
    "START_PRINT": Interpreter._start_print,
    "PRINT_START": Interpreter._start_print,
    **{
        name: _limit_handler(name)
        for name in ("M201", "M203", "M204", "M205", "M566", "SET_VELOCITY_LIMIT")
    },
}
