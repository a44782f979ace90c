"""Set-points of nozzle, bed and fan, from the commands that give them."""

import re
from dataclasses import dataclass, field

from trajerr.errors import GcodeError
from trajerr.gcode import words as text
from trajerr.gcode.timeline import Timeline

COLDEST = 20.0  # °C; a lower number in a start macro names a tool or a choice
HOTTEST = 1000.0  # °C; no hot end nor bed survives it, so more is a slip of the keyboard


@dataclass
class Heat:
    """What heaters and the part's fan are told, in file order."""

    nozzle: Timeline[float] = field(default_factory=lambda: Timeline(0.0))  # °C
    bed: Timeline[float] = field(default_factory=lambda: Timeline(0.0))  # °C
    fan: Timeline[float] = field(default_factory=lambda: Timeline(0.0))  # 0..1
    tool: int = 0
    _of_tool: dict[int, float] = field(default_factory=dict)

    def heat_nozzle(self, line: int, body: str) -> None:
        """Apply M104 or M109."""
        words = text.loose_words(body)
        target = _set_point(words.get("S", words.get("R")))
        tool = words.get("T")
        number = self.tool if tool is None else int(tool)
        if target is not None:
            self._of_tool[number] = target
            if number == self.tool:
                self.nozzle.change(line, target)

    def heat_bed(self, line: int, body: str) -> None:
        """Apply M140 or M190."""
        words = text.loose_words(body)
        target = _set_point(words.get("S", words.get("R")))
        if target is not None:
            self.bed.change(line, target)

    def heat_named(self, line: int, body: str) -> None:
        """Apply Klipper's SET_HEATER_TEMPERATURE."""
        named = text.parameters(body)
        target = _set_point(text.number(named.get("TARGET", "0")))
        heater = named.get("HEATER", "").lower()
        if target is not None and heater == "extruder":
            self.nozzle.change(line, target)
        elif target is not None and heater == "heater_bed":
            self.bed.change(line, target)

    def switch_off(self, line: int) -> None:
        """Apply Klipper's TURN_OFF_HEATERS."""
        self.nozzle.change(line, 0.0)
        self.bed.change(line, 0.0)

    def take_from_macro(self, line: int, body: str) -> None:
        """Take the temperatures that slicers hand to a printer's start macro."""
        for name, value in text.parameters(body).items():
            heater = _heater_of(name)
            target = _set_point(text.number(value)) if heater else None
            if target and target > COLDEST:
                (self.bed if heater == "bed" else self.nozzle).change(line, target)

    def set_fan(self, line: int, body: str, on: bool) -> None:
        """Apply M106 or M107."""
        words = text.loose_words(body)
        if (words.get("P") or 0.0) != 0.0:
            return  # auxiliary fans do not blow at the part
        speed = words.get("S")
        share = 1.0 if speed is None else min(max(speed / 255.0, 0.0), 1.0)
        self.fan.change(line, share if on else 0.0)

    def select(self, line: int, tool: int) -> None:
        """Let another tool's set-point hold."""
        self.tool = tool
        self.nozzle.change(line, self._of_tool.get(tool, self.nozzle.current))


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
