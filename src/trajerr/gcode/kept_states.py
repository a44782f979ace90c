"""States that a file keeps and fetches: Klipper's by name, Marlin's places, RepRapFirmware's stack.

Knows which rows and changes of modes a command notes; what is kept of position and feedrate,
:mod:`trajerr.gcode.modal` finds.
"""

from dataclasses import dataclass, field
from typing import Protocol

from trajerr.errors import GcodeError
from trajerr.gcode import effects
from trajerr.gcode import words as text
from trajerr.gcode.modes import ModeChange
from trajerr.gcode.rows import Code, Saved, Words
from trajerr.gcode.timeline import Timeline


@dataclass
class KeptStates:
    """What a reading has kept so far."""

    slots: dict[str, Saved] = field(default_factory=dict)
    stack: list[Saved] = field(default_factory=list)
    count: int = 0


class Reading(Protocol):
    """What the commands of this module need of an interpreter."""

    flavor: str
    line: int
    doubted: str
    kept: KeptStates
    modes: list[ModeChange]
    unit: Timeline[float]
    speed_factor: Timeline[float]
    flow: Timeline[float]
    home_offset: Timeline[tuple[float, ...]]

    def add(self, code: int, words: Words, seconds: float = 0.0, slot: int = -1) -> None:
        """Note a row."""
        ...

    def barrier(self, name: str, axes: str = "XYZE") -> None:
        """Forget where the axes are."""
        ...

    def distrust(self, name: str, maker: str) -> None:
        """Hold a command for a barrier where another firmware than its maker's reads it."""
        ...


def _state_name(body: str) -> str:
    """Return the key of a G-code state's slot."""
    return f"state {text.parameters(body).get('NAME', 'default')}"


def _keep(reading: Reading) -> Saved:
    """Keep the state; return what holds it."""
    slot = reading.kept.count
    reading.kept.count += 1
    reading.add(Code.SAVE, {}, slot=slot)
    reading.modes.append(ModeChange(reading.line, "save", slot=slot))
    return Saved(
        slot, reading.speed_factor.current, reading.flow.current, reading.home_offset.current
    )


def _fetch(reading: Reading, saved: Saved) -> None:
    reading.modes.append(ModeChange(reading.line, "restore", slot=saved.slot))
    reading.speed_factor.change(reading.line, saved.speed_factor)
    reading.flow.change(reading.line, saved.flow)
    reading.home_offset.change(reading.line, saved.offset)


def save_state(reading: Reading, body: str) -> None:
    """Apply Klipper's SAVE_GCODE_STATE."""
    reading.kept.slots[_state_name(body)] = _keep(reading)
    reading.distrust("SAVE_GCODE_STATE", "klipper")


def restore_state(reading: Reading, body: str) -> None:
    """Apply Klipper's RESTORE_GCODE_STATE (gcode_move.py, cmd_RESTORE_GCODE_STATE)."""
    name, named = _state_name(body), text.parameters(body)
    if name not in reading.kept.slots:
        raise GcodeError(
            f"RESTORE_GCODE_STATE fetches {name[6:]!r}, which no SAVE_GCODE_STATE of the file "
            "has kept; what is relative after it is not known"
        )
    saved = reading.kept.slots[name]
    moves = (text.number(named.get("MOVE")) or 0.0) != 0.0
    speed = text.number(named.get("MOVE_SPEED")) if moves else None
    _fetch(reading, saved)
    words = {} if speed is None else {"F": speed * 60.0 / reading.unit.current}
    reading.add(Code.RETURN if moves else Code.RESTORE, dict(words), slot=saved.slot)
    reading.distrust("RESTORE_GCODE_STATE", "klipper")


def save_position(reading: Reading, body: str) -> None:
    """Apply Marlin's G60."""
    words = text.loose_words(body)
    if set(words) & {"D", "Q"}:  # newer builds: forget a slot, or go there
        reading.barrier("G60")
        return
    reading.kept.slots[f"point {int(words.get('S') or 0)}"] = _keep(reading)
    reading.distrust("G60", "marlin")


def recall_position(reading: Reading, body: str) -> None:
    """Apply Marlin's G61: named axes go to the kept position plus their value.

    F is this move's own. Without axes X, Y and Z go there; E only renames.
    """
    words = text.loose_words(body)
    saved = reading.kept.slots.get(f"point {int(words.get('S') or 0)}")
    if saved is None:
        return  # Marlin does nothing then; on a machine tool it is a mode of cornering
    named = {axis: words[axis] or 0.0 for axis in "XYZ" if axis in words}
    goes: Words = dict(named) or dict.fromkeys("XYZ", 0.0)
    if words.get("F"):
        goes["F"] = words["F"]
    if "E" in words:
        reading.barrier("G61 E", "E")
    if not named:
        reading.doubted = "G61"  # some versions of Marlin go nowhere then
    reading.add(Code.RECALL, goes, slot=saved.slot)
    reading.distrust("G61", "marlin")


def push(reading: Reading, name: str) -> None:
    """Keep the modes, on firmware that does so; on Marlin this switches endstops."""
    if reading.flavor in effects.STACK_FLAVORS:
        reading.kept.stack.append(_keep(reading))
    reading.barrier(name)


def pop(reading: Reading, name: str) -> None:
    """Fetch the modes kept last, on firmware that does so."""
    if reading.flavor in effects.STACK_FLAVORS and reading.kept.stack:
        saved = reading.kept.stack.pop()
        reading.modes.append(ModeChange(reading.line, "restore", slot=saved.slot))
        reading.add(Code.POP, {}, slot=saved.slot)
    reading.barrier(name)
