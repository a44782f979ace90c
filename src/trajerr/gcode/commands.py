"""The careful reading: one line after the other, every command that matters to motion.

Knows the meaning of commands, and keeps what is modal. Where the motion leads is not its
business: it only notes rows, which :mod:`trajerr.gcode.modal` resolves all at once.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from trajerr.errors import GcodeError
from trajerr.gcode import effects, kept_states
from trajerr.gcode import words as text
from trajerr.gcode.firmware import is_klipper
from trajerr.gcode.forms import odd_form
from trajerr.gcode.heat import Heat
from trajerr.gcode.kept_states import KeptStates
from trajerr.gcode.klipper_rests import KlipperRests
from trajerr.gcode.limits import LimitLog
from trajerr.gcode.modes import ModeChange
from trajerr.gcode.plain import COLUMNS
from trajerr.gcode.retraction import Retraction
from trajerr.gcode.rows import Code, Row, Words
from trajerr.gcode.timeline import Timeline

MM_PER_INCH = 25.4
_BARE_WORDS = re.compile(r"\s*[XYZEFIJRS]\s*[-+.\d]", re.IGNORECASE)
_MARKERS = set("%O")  # of a machine tool's program: its ends, its number
AXES = "XYZE"


@dataclass
class Interpreter:
    """Reads lines in order; what it learns stays in its public fields."""

    flavor: str  # firmware that the file is for, "" where it does not say
    firmware: str | None  # the printer's, where it is known
    limits: LimitLog
    retraction: Retraction = field(default_factory=Retraction)
    heat: Heat = field(default_factory=Heat)
    rests: KlipperRests = field(default_factory=KlipperRests)
    rows: list[Row] = field(default_factory=list)
    modes: list[ModeChange] = field(default_factory=list)
    unit: Timeline[float] = field(default_factory=lambda: Timeline(1.0))
    filament_area: Timeline[float] = field(default_factory=lambda: Timeline(1.0))
    speed_factor: Timeline[float] = field(default_factory=lambda: Timeline(1.0))
    flow: Timeline[float] = field(default_factory=lambda: Timeline(1.0))
    home_offset: Timeline[tuple[float, ...]] = field(
        default_factory=lambda: Timeline((0.0, 0.0, 0.0, 0.0))
    )
    centre_absolute: Timeline[bool] = field(default_factory=lambda: Timeline(False))
    stops: list[int] = field(default_factory=list)  # lines at which motion comes to rest
    whole: list[int] = field(default_factory=list)  # lines that must stay as they are
    barriers: list[tuple[int, str]] = field(default_factory=list)  # their lines and names
    odd: list[tuple[int, str]] = field(default_factory=list)  # lines that firmware reads otherwise
    untimed: int = 0  # G10 and G11 of which the file does not say how far they go
    line: int = 0
    kept: KeptStates = field(default_factory=KeptStates)
    _percent_kept: float = 1.0  # of M220 B
    doubted: str = ""  # a command that makes its whole line a barrier

    def read(self, line: int, raw: bytes) -> None:
        """Read one line of code, given without its comment."""
        self.line = line
        code = text.verify_checksum(raw).decode("latin-1")
        count = 0
        for command in text.commands(code):
            self._run(command.name, command.body)
            if self.on_klipper and self.rests.after(command.name, command.body, self.firmware):
                self.stops.append(line)
            count += 1
        if count > 1:
            self.whole.append(line)
        if form := odd_form(raw, count):
            self.odd.append((line, form))
        if self.doubted:
            self.barrier(self.doubted)
            self.doubted = ""

    def _run(self, name: str, body: str) -> None:
        if name in ("G0", "G1", "G2", "G3", ""):
            self._motion(int(name[1]) if name else Code.INHERIT, body)
        elif name == "G5" and not body.strip():
            self.barrier(name)  # resets counters on early CR-10s; many files still carry it
        elif name in effects.REFUSED:
            raise GcodeError(f"{name} asks for {effects.REFUSED[name]}, expected plain XY motion")
        elif name in _HANDLERS:
            _HANDLERS[name](self, body)
        elif name in effects.WAITING:
            self._pause()
        elif name in effects.STOPPING_BARRIERS:
            self._pause()
            self.barrier(name)
        elif name[0] == "T" and name[1:].isdigit():
            self._select_tool(name, int(name[1:]))
        elif name not in effects.PASSED:
            self.barrier(name)

    def barrier(self, name: str, axes: str = AXES) -> None:
        """Note that a command may have moved some axes, or changed what their numbers mean."""
        self.barriers.append((self.line, name))
        self.add(Code.BARRIER, dict.fromkeys(axes, 0.0))

    def add(self, code: int, words: Words, seconds: float = 0.0, slot: int = -1) -> None:
        """Note a row."""
        values = tuple(np.nan if words.get(c) is None else words[c] for c in COLUMNS)
        self.rows.append(Row(self.line, code, values, seconds, slot))  # type: ignore[arg-type]

    def _motion(self, code: int, body: str) -> None:
        if code == Code.INHERIT and not _BARE_WORDS.match(body):
            if body.strip()[:1] not in _MARKERS:
                self.barrier(body.split()[0][:20] if body.split() else "")
            return
        words = text.motion_words(body)
        foreign = set(words) - set(COLUMNS)  # S may be a laser's power, or stop at an endstop
        for letter in COLUMNS:
            if letter in words and words[letter] is None:
                raise GcodeError(f"the word {letter} has no number, expected e.g. '{letter}12.5'")
        self.add(code, words)
        if foreign:
            self.whole.append(self.line)
            self.barrier(f"the word {min(foreign)}")

    def _pause(self, seconds: float = 0.0) -> None:
        self.add(Code.PAUSE, {}, seconds)

    @property
    def on_klipper(self) -> bool:
        """Whether Klipper's rules hold."""
        return is_klipper(self.firmware or self.flavor)

    def _dwell(self, body: str) -> None:
        words = text.loose_words(body)
        seconds = (words.get("P") or 0.0) / 1000.0
        if not self.on_klipper:  # whose G4 knows P alone
            seconds += words.get("S") or 0.0
        self._pause(max(0.0, seconds))

    def _home(self, body: str) -> None:
        named = [axis for axis in "XYZ" if axis in text.loose_words(body)]
        self.add(Code.HOME, dict.fromkeys(named or "XYZ", 0.0))

    def _set_position(self, body: str) -> None:
        words = text.words(body)
        if not words and not is_klipper(self.firmware):
            self.barrier("G92")  # all axes at 0 to some firmware, nothing to Marlin
            return
        named = {axis: words[axis] or 0.0 for axis in "XYZE" if axis in words}
        self.add(Code.SET, dict(named) if words else dict.fromkeys("XYZE", 0.0))

    def _mode(self, what: str, relative: bool) -> None:
        self.modes.append(ModeChange(self.line, what, relative))

    def _arc_centre(self, name: str, absolute: bool) -> None:
        self.centre_absolute.change(self.line, absolute)
        self.barrier(name)  # printers do not know it

    def _volumetric(self, body: str) -> None:
        words = text.loose_words(body)
        diameter = words.get("D") or 0.0
        on = diameter > 0 and words.get("S", 1.0) != 0.0
        self.filament_area.change(self.line, np.pi * diameter**2 / 4 if on else 1.0)

    def _percentage(self, body: str) -> Words:
        """Return the words of M220 or M221; Klipper knows S alone, and takes 100 without it."""
        words = text.loose_words(body)
        return {"S": words.get("S", 100.0)} if self.on_klipper else words

    def _speed_percentage(self, body: str) -> None:
        words = self._percentage(body)
        if "B" in words:
            self._percent_kept = self.speed_factor.current
        percent = words.get("S")
        if "R" in words:
            self.speed_factor.change(self.line, self._percent_kept)
        elif percent and percent > 0:
            self.speed_factor.change(self.line, percent / 100.0)

    def _flow_percentage(self, body: str) -> None:
        words = self._percentage(body)
        percent, tool = words.get("S"), words.get("T")
        if percent is not None and percent > 0 and (tool is None or int(tool) == self.heat.tool):
            self.flow.change(self.line, percent / 100.0)

    def _heat_nozzle(self, body: str, wait: bool) -> None:
        self.heat.heat_nozzle(self.line, body)
        if wait:
            self._pause()

    def _heat_bed(self, body: str, wait: bool) -> None:
        self.heat.heat_bed(self.line, body)
        if wait:
            self._pause()

    def _start_print(self, name: str, body: str) -> None:
        self.heat.take_from_macro(self.line, body)
        self._pause()
        self.barrier(name)

    def _select_tool(self, name: str, tool: int) -> None:
        if tool != self.heat.tool:
            self.heat.select(self.line, tool)
            self.stops.append(self.line)
            self.barrier(name)

    def _wait(self, body: str) -> None:
        """Apply M400; Bambu's takes a time to wait as well."""
        words = text.loose_words(body)
        if not self.on_klipper and (words.get("S") or words.get("P")):
            self._dwell(body)
        self.stops.append(self.line)

    def _retract(self, name: str, body: str) -> None:
        words = text.loose_words(body)
        if words and not set(words) <= {"S"}:  # sets a tool's offsets or temperatures
            if set(words) & set("XYZUVWL"):
                self.barrier(name)
            return
        step = self.retraction.step(back=name == "G10")
        if step is None:
            self.untimed += 1
            self._pause()
        elif step[0]:
            length, speed = step
            if self.on_klipper:  # it retracts by G1 (firmware_retraction.py), which factors scale
                length, speed = length * self.flow.current, speed * self.speed_factor.current
            unit = self.unit.current
            self.add(Code.FILAMENT, {"E": length / unit, "F": speed * 60.0 / unit})

    def _set_retraction(self, name: str, body: str) -> None:
        self.retraction.read(name, body, self.unit.current)

    def _set_offset(self, body: str) -> None:
        """Apply Klipper's SET_GCODE_OFFSET (gcode_move.py, cmd_SET_GCODE_OFFSET)."""
        named = text.parameters(body)
        before = self.home_offset.current
        after = list(before)
        for index, axis in enumerate(AXES):
            stated = text.number(named.get(axis))
            change = text.number(named.get(f"{axis}_ADJUST"))
            if stated is not None:
                after[index] = stated
            elif change is not None:
                after[index] += change
        self.home_offset.change(self.line, tuple(after))
        unit = self.unit.current
        words: Words = {
            axis: (new - old) / unit
            for axis, new, old in zip(AXES, after, before, strict=True)
            if new != old
        }
        moves = (text.number(named.get("MOVE")) or 0.0) != 0.0
        speed = text.number(named.get("MOVE_SPEED")) if moves else None
        if speed is not None:
            words["F"] = speed * 60.0 / unit
        self.add(Code.SHIFT if moves else Code.OFFSET, words)
        self.distrust("SET_GCODE_OFFSET", "klipper")

    def _babystep(self, name: str, body: str) -> None:
        words = text.loose_words(body)
        if any(words.get(axis) for axis in "XYE"):
            self.barrier(name)

    def _machine_coordinates(self, name: str) -> None:
        """Apply G53: a firmware without workspaces knows it not, so its move may not happen."""
        self.whole.append(self.line)
        self.doubted = name

    def distrust(self, name: str, maker: str) -> None:
        """Trust a command's effect only on a printer whose firmware has it."""
        if self.firmware is not None and not self.firmware.startswith(maker):
            self.barrier(name)

    def _limit(self, name: str, body: str) -> None:
        if name == "SET_VELOCITY_LIMIT" and self.firmware and not self.on_klipper:
            self.barrier(name)  # no other firmware heeds it
            return
        self.limits.read(self.line, name, body, self.unit.current)


def _limit_handler(name: str) -> Callable[[Interpreter, str], None]:
    return lambda interpreter, body: interpreter._limit(name, body)


_HANDLERS: dict[str, Callable[[Interpreter, str], None]] = {
    "G4": Interpreter._dwell,
    "G10": lambda i, body: i._retract("G10", body),
    "G11": lambda i, body: i._retract("G11", body),
    "G20": lambda i, _: i.unit.change(i.line, MM_PER_INCH),
    "G21": lambda i, _: i.unit.change(i.line, 1.0),
    "G28": Interpreter._home,
    "G53": lambda i, _: i._machine_coordinates("G53"),
    "G60": kept_states.save_position,
    "G61": kept_states.recall_position,
    "G90": lambda i, _: i._mode("axes", relative=False),
    "G91": lambda i, _: i._mode("axes", relative=True),
    "G90.1": lambda i, _: i._arc_centre("G90.1", absolute=True),
    "G91.1": lambda i, _: i._arc_centre("G91.1", absolute=False),
    "G92": Interpreter._set_position,
    "M82": lambda i, _: i._mode("extruder", relative=False),
    "M83": lambda i, _: i._mode("extruder", relative=True),
    "M104": lambda i, body: i._heat_nozzle(body, wait=False),
    "M109": lambda i, body: i._heat_nozzle(body, wait=True),
    "M140": lambda i, body: i._heat_bed(body, wait=False),
    "M190": lambda i, body: i._heat_bed(body, wait=True),
    "M106": lambda i, body: i.heat.set_fan(i.line, body, on=True),
    "M107": lambda i, body: i.heat.set_fan(i.line, body, on=False),
    "M120": lambda i, _: kept_states.push(i, "M120"),
    "M121": lambda i, _: kept_states.pop(i, "M121"),
    "M200": Interpreter._volumetric,
    "M207": lambda i, body: i._set_retraction("M207", body),
    "M208": lambda i, body: i._set_retraction("M208", body),
    "SET_RETRACTION": lambda i, body: i._set_retraction("SET_RETRACTION", body),
    "M220": Interpreter._speed_percentage,
    "M221": Interpreter._flow_percentage,
    "M290": lambda i, body: i._babystep("M290", body),
    "M400": Interpreter._wait,
    "SAVE_GCODE_STATE": kept_states.save_state,
    "RESTORE_GCODE_STATE": kept_states.restore_state,
    "SET_GCODE_OFFSET": Interpreter._set_offset,
    "SET_HEATER_TEMPERATURE": lambda i, body: i.heat.heat_named(i.line, body),
    "TURN_OFF_HEATERS": lambda i, _: i.heat.switch_off(i.line),
    "START_PRINT": lambda i, body: i._start_print("START_PRINT", body),
    "PRINT_START": lambda i, body: i._start_print("PRINT_START", body),
    **{
        name: _limit_handler(name)
        for name in ("M201", "M203", "M204", "M205", "M566", "SET_VELOCITY_LIMIT")
    },
}
# All commands whose effect is followed, for the table of docs/gcode.md.
MODELLED = frozenset(_HANDLERS) | {"G0", "G1", "G2", "G3", "T"}
