"""Absolute and relative, for the axes and for the extruder, by the rule of the firmware.

Knows which firmware lets G90 and G91 speak for the extruder, and follows a file's mode
commands through what it saves and restores.

References
----------
Klipper, ``klippy/extras/gcode_move.py``: E is relative where M83 or G91 is in force.
Marlin 2, ``gcode.h``, ``set_relative_mode`` and ``axis_is_relative``: G90 and G91 set all four
axes and forget M82 and M83, which hold from then on. Marlin 1, ``axis_relative_modes``: as Klipper.
RepRapFirmware, "GCode dictionary", M82: G90 and G91 do not touch E.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trajerr.gcode.firmware import is_klipper
from trajerr.gcode.timeline import Timeline

TOGETHER, EITHER, APART = "together", "either", "apart"
_RULES = {"klipper": EITHER, "marlin": EITHER, "reprapfirmware": APART, "rrf": APART}
# Slicers' settings that say how they write E, and the texts by which they say "relative".
_SETTINGS = {
    "use_relative_e_distances": ("1", "true"),
    "relative_extrusion": ("True", "true", "1"),
    "relativeEdistances": ("1",),
}


def extruder_rule(flavor: str, firmware: str | None) -> str:
    """Return what G90 and G91 do to E.

    Parameters
    ----------
    flavor
        What firmware the file says that it is for, "" where it does not.
    firmware
        That of the printer (``printer.limits.firmware``), where it is known: a file sliced
        for Marlin is printed by Klipper's rule on a printer that runs Klipper.
    """
    if firmware is None or (firmware.startswith("marlin") and flavor != "klipper"):
        return _RULES.get(flavor, TOGETHER)
    return EITHER if is_klipper(firmware) else TOGETHER


def stated_by_slicer(slicer: Mapping[str, str]) -> tuple[str, bool] | None:
    """Return which of a slicer's settings says how it writes E, and whether relative."""
    for key, relative in _SETTINGS.items():
        if key in slicer:
            return key, slicer[key].strip().strip('"') in relative
    return None


@dataclass(frozen=True)
class ModeChange:
    """One command that changes a mode, or keeps or fetches all of them."""

    line: int
    what: str  # "axes", "extruder", "save", "restore"
    relative: bool = False
    slot: int = -1  # of save and restore


@dataclass(frozen=True)
class Modes:
    """What is relative."""

    axes: bool = False
    extruder: bool = False  # by its own word


def first_statement(changes: Sequence[ModeChange], n_lines: int) -> int:
    """Return the line of the first M82 or M83; ``n_lines`` where there is none."""
    return next((c.line for c in changes if c.what == "extruder"), n_lines)


def follow_modes(
    changes: Sequence[ModeChange], rule: str, relative_extruder: bool = False
) -> Timeline[tuple[bool, bool]]:
    """Return from each line on whether the axes are relative, and whether the extruder is.

    Parameters
    ----------
    changes
        In file order.
    rule
        Of :func:`extruder_rule`.
    relative_extruder
        How E is read at the beginning: firmware starts absolute, a start macro may have said
        otherwise.
    """
    now = Modes(extruder=relative_extruder)
    kept: dict[int, Modes] = {}
    timeline = Timeline(_in_force(now, rule))
    for change in changes:
        if change.what == "save":
            kept[change.slot] = now
        elif change.what == "restore":
            now = kept[change.slot]
        else:
            now = _changed(now, change, rule)
        timeline.change(change.line, _in_force(now, rule))
    return timeline


def _changed(now: Modes, change: ModeChange, rule: str) -> Modes:
    if change.what == "extruder":
        return Modes(now.axes, change.relative)
    extruder = change.relative if rule == TOGETHER else now.extruder
    return Modes(change.relative, extruder)


def _in_force(now: Modes, rule: str) -> tuple[bool, bool]:
    return now.axes, now.extruder or (rule == EITHER and now.axes)
