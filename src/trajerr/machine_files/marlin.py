"""Marlin's answer to ``M503`` → what it says about a printer.

The answer is G-code that would set what is set, behind prefixes: ``echo:`` of the firmware, and
whatever the program that logged it puts before (``Recv:``, a time). Words as in
https://marlinfw.org/docs/gcode/M503.html and the pages of each command; Marlin 1.0 means other
things by ``M204 T`` and ``M205 X``.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trajerr.dynamics.input_shaper import AxisShaper, InputShaper
from trajerr.dynamics.printer import Printer
from trajerr.errors import DataError
from trajerr.gcode.firmware import is_klipper
from trajerr.machine_files.stated import Stated, Word
from trajerr.machine_files.text import read_text

AXES = "XYZE"
COMMAND = re.compile(r"(?<![A-Za-z0-9.])([GM]\d+)(?![A-Za-z0-9.:])")
PARAMETER = re.compile(r"([A-Z])\s*([-+]?(?:\d+\.?\d*|\.\d+))?")
HEADING = re.compile(r"^(?:.*echo:)?\s*;")
SAYS_OK = re.compile(r"^(?:.*(?:recv|<<<|>)\s*:?)?\s*ok\s*$", re.IGNORECASE)
EMPTY = re.compile(r"^(?:.*\bRecv:|[\d:.]+ >)$", re.IGNORECASE)  # a prefix, and nothing behind it
INCH = 25.4  # mm
ZV = "zv"  # the shaper of M593
DAMPING = 0.15  # of M593, Marlin's default SHAPING_ZETA_X
BESIDE = (  # understood, without a place in a printer's config
    *("M200", "M301", "M303", "M304", "M309", "M145", "M149", "M206", "M218", "M250", "M255"),
    *("M256", "M412", "M413", "M414", "M420", "M421", "M569", "M603", "M666", "M710", "M851"),
    *("M900", "M906", "M907", "M913", "M914", "M919", "G21", "G29", "M206", "M207", "M208", "M209"),
)


@dataclass(frozen=True)
class _Line:
    """One command of the answer."""

    number: int
    command: str
    words: dict[str, float | None]  # None: a letter alone
    text: str

    @property
    def place(self) -> str:
        return f"line {self.number}"


Setter = Callable[[_Line, Stated], None]


def read_m503(path: Path, base: Printer) -> Stated:
    """Read an answer to ``M503``.

    Parameters
    ----------
    path
        The answer as a terminal has shown or logged it.
    base
        Which rules of classic jerk its firmware has, where the answer tells of classic jerk.

    Raises
    ------
    DataError
        If it is no such answer, or its units are inches.
    """
    stated, known = Stated(), False
    text = read_text(path, "an answer").replace("\0", "\ufffd")
    for line in _lines(text, stated):
        known |= line.command in SETTERS
        if line.command in SETTERS:
            SETTERS[line.command](line, stated)
        elif line.command in BESIDE:
            stated.beside.append(Word(line.place, line.command, line.text))
        elif line.command == "G20":
            raise DataError(f"{path}: {line.place}: G20, inches; send G21, then M503 again")
        else:
            stated.not_understood.append(Word(line.place, line.command, line.text))
    if not known:
        raise DataError(
            f"{path}: no M92, M201, M203, M204 or M205, expected Marlin's answer to M503"
        )
    for key, values in stated.limits.items():
        _check(path, key, values)
    _name_firmware(stated, base)
    return stated


def _lines(text: str, stated: Stated) -> list[_Line]:
    """Return the commands of an answer; other lines are listed, but for headings and "ok"."""
    found = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if (
            not line
            or EMPTY.match(line)
            or HEADING.match(line)
            or SAYS_OK.match(line)
            or _is_asked(line)
        ):
            continue
        bare = line.partition(";")[0]
        match = COMMAND.search(bare)
        if match is None:
            stated.not_understood.append(Word(f"line {number}", "text", line))
            continue
        words = {}
        for letter, value in PARAMETER.findall(bare[match.end() :]):
            words[letter] = float(value) if value else None
        found.append(_Line(number, match[1], words, line))
    return found


def _is_asked(line: str) -> bool:
    """Whether a line is the terminal's own question."""
    return re.search(r"(?:^|[:>\s])(?:N\d+\s+)?M50[13](?:\s+S\d)?\s*(?:\*\d+)?$", line) is not None


def _taken(line: _Line, letters: str) -> dict[str, float]:
    return {letter: value for letter in letters if (value := line.words.get(letter)) is not None}


def _leftover(line: _Line, stated: Stated, letters: str) -> None:
    """List words of a line that nothing takes."""
    rest = [letter for letter in line.words if letter not in letters]
    if rest:
        said = " ".join(f"{x}{'' if line.words[x] is None else f'{line.words[x]:g}'}" for x in rest)
        stated.not_understood.append(Word(line.place, line.command, said))


def _of_axes(key: str) -> Setter:
    """Return what takes a limit of the four axes; of several extruders the first."""

    def take(line: _Line, stated: Stated) -> None:
        if line.words.get("T") or line.words.get("I"):
            stated.not_understood.append(Word(line.place, line.command, line.text))
            return
        own = stated.limits.setdefault(key, {})
        own.update(_taken(line, AXES))
        _tell(stated, key, line)
        _leftover(line, stated, f"{AXES}TI")

    return take


def _accelerations(line: _Line, stated: Stated) -> None:
    words = _taken(line, "PRTS")
    if "S" in words and "P" not in words:  # Marlin 1.0: S of all moves, T of retracts
        words = {"P": words["S"], "T": words["S"], "R": words.get("T", words["S"])}
    keys = {"P": "print", "R": "retract", "T": "travel"}
    for letter, name in keys.items():
        if letter in words:
            stated.limits[f"{name}_acceleration_mm_s2"] = words[letter]
            _tell(stated, f"{name}_acceleration_mm_s2", line)
    _leftover(line, stated, "PRTS")


def _advanced(line: _Line, stated: Stated) -> None:
    words = _taken(line, "BSTJXYZE")
    if "X" in words:
        own = stated.limits.setdefault("jerk_mm_s", {})
        own.update({axis: words[axis] for axis in AXES if axis in words})
        own.setdefault("Y", words["X"])  # Marlin 1.0 knows one for both
        _tell(stated, "jerk_mm_s", line)
    keys = {
        "J": ("junction_deviation_mm", 1.0),
        "S": ("min_print_velocity_mm_s", 1.0),
        "T": ("min_travel_velocity_mm_s", 1.0),
        "B": ("min_segment_time_s", 1e-6),
    }
    for letter, (key, unit) in keys.items():
        if letter in words:
            stated.limits[key] = words[letter] * unit
            _tell(stated, key, line)
    _leftover(line, stated, "BSTJX" if "X" not in words else "BSTJXYZE")


def _shaping(line: _Line, stated: Stated) -> None:
    frequency, damping = line.words.get("F"), line.words.get("D")
    if frequency is None:
        stated.not_understood.append(Word(line.place, line.command, line.text))
        return
    stated.knows_shaper = True
    named = [axis for axis in "xy" if axis.upper() in line.words]
    ratio = DAMPING if damping is None else damping
    one = AxisShaper(ZV, frequency, ratio) if frequency > 0.0 else None
    both = "Z" not in line.words and not named
    shapers = {axis: getattr(stated.shaper, axis, None) for axis in "xy"}
    shapers |= dict.fromkeys("xy" if both else named, one)
    stated.shaper = InputShaper(**shapers)
    stated.sources["shaper"] = "M593 of M503"
    _leftover(line, stated, "FDXY")


def _fixed_time(line: _Line, stated: Stated) -> None:
    stated.not_understood.append(Word(line.place, line.command, line.text))
    if line.words.get("S"):
        stated.notes.append(
            f"{line.place}: M493 S1: fixed-time motion and its shaper are not known to trajerr; "
            "turn it off by M493 S0, or the plan is not what the machine does"
        )


SETTERS: dict[str, Setter] = {
    "M92": _of_axes("steps_per_mm"),
    "M201": _of_axes("max_acceleration_mm_s2"),
    "M203": _of_axes("max_velocity_mm_s"),
    "M204": _accelerations,
    "M205": _advanced,
    "M593": _shaping,
    "M493": _fixed_time,
}


def _tell(stated: Stated, key: str, line: _Line) -> None:
    stated.sources[f"limits.{key}"] = f"{line.command} of M503"


def _check(path: Path, key: str, values: Any) -> None:  # noqa: ANN401 - by axis, or one
    """Refuse axes that are missing, and numbers that no machine has."""
    named = values if isinstance(values, dict) else {"": values}
    for axis, value in named.items():
        if not math.isfinite(value):
            raise DataError(f"{path}: {key} {axis}: got {value}, expected a finite number")
    missing = [axis for axis in AXES if axis not in named]
    if isinstance(values, dict) and missing:
        raise DataError(f"{path}: {key}: got none of {', '.join(missing)}, expected all four axes")


def _name_firmware(stated: Stated, base: Printer) -> None:
    limits = stated.limits
    for key in ("steps_per_mm", "max_acceleration_mm_s2", "max_velocity_mm_s", "jerk_mm_s"):
        if key in limits:
            limits[key] = tuple(limits[key][axis] for axis in AXES)
    if "steps_per_mm" in limits:
        for axis, steps in zip("xy", limits["steps_per_mm"], strict=False):
            if steps > 0.0:
                stated.microstep_mm[axis] = 1.0 / steps
                stated.sources[f"{axis}.microstep_mm"] = "M92 of M503"
    classic = "marlin_2_1_2" if _other(base) else base.limits.firmware
    by_deviation = "junction_deviation_mm" in limits
    limits["firmware"] = "marlin_junction_deviation" if by_deviation else classic
    stated.sources["limits.firmware"] = "M205 " + ("J" if by_deviation else "X, Y")
    if not by_deviation:
        stated.notes.append(
            f"M205 tells of classic jerk; its rules are taken as {classic}'s: see docs/firmware.md"
        )


def _other(base: Printer) -> bool:
    firmware = base.limits.firmware
    return is_klipper(firmware) or firmware == "marlin_junction_deviation"
