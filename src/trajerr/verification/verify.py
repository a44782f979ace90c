"""Compare a corrected file with its original, line by line, as a printer would execute both.

Knows which lines were replaced and by what, and believes nothing of it: the corrected text must
be the original's lines with these in their place, each line that was kept must mean what it
meant, and what was replaced must lay down what the original did, where it did.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from trajerr.errors import GcodeError
from trajerr.gcode.words import Command, loose_words
from trajerr.verification.interpreter import DEVICES, LIMITS, Machine, Move
from trajerr.verification.parsing import Arc, Item, Straight, parse
from trajerr.verification.stretch import (
    POSITION_MM,
    Extent,
    VerifySettings,
    compare,
    filament_slack,
)
from trajerr.verification.vocabulary import is_harmless

DRIFT_MM = 2e-3  # what relative coordinates may add up to by rounding
KEPT_FILAMENT_MM = 1e-4
SAME = 1e-4  # relative, of limits and feedrates that are written with a few decimals
_ENDINGS = b"\r\n"


@dataclass(frozen=True)
class Verified:
    """What a check has seen."""

    replaced: int  # lines of the original
    stretches: int  # between lines that were kept and move
    filament_mm: tuple[float, float]  # of the original, of the corrected file


def verify(
    original: bytes,
    corrected: bytes,
    replaced: Mapping[int, Sequence[bytes]],
    settings: VerifySettings | None = None,
    *,
    layers: Sequence[int] = (),
    name: str = "corrected file",
) -> Verified:
    """Check that a corrected file prints what its original prints, but for the correction.

    Parameters
    ----------
    original, corrected
        The text of both files.
    replaced
        By line index of the original from 0: the lines that stand in its place.
    settings
        What is allowed; ``None`` is the default.
    layers
        Line indices of the original at which layers begin, rising.
    name
        Of the file, for messages.

    Raises
    ------
    GcodeError
        At the first difference, with its line of the corrected and of the original file.
    """
    check = _Check(settings or VerifySettings(), name, layers)
    lines = _split(corrected)
    for index, line in enumerate(_split(original)):
        check.begin(index)
        given = replaced.get(index)
        if given is None:
            check.expect(lines, line)
            check.keep(line)
        else:
            check.expect_replaced(lines, given)
            check.replace(line, given)
    return check.finish(lines, len(replaced))


class _Check:
    """Two machines, one for each file, and the stretch that is being replaced."""

    def __init__(self, settings: VerifySettings, name: str, layers: Sequence[int]) -> None:
        self.settings, self.name = settings, name
        self.before, self.after = (Machine(settings.firmware, settings.e_rule) for _ in range(2))
        for line in settings.begin:
            self.before.run(line)
            self.after.run(line)
        self.index = 0  # line of the original
        self.at = 0  # line of the corrected file
        self.stretches = 0
        self._layers = [*reversed(layers)]
        self._layer_fed = (0.0, 0.0)
        self._open: tuple[Extent, Extent] | None = None
        self._from_nowhere = -1  # line of the original that begins at an unknown place

    def begin(self, index: int) -> None:
        """Turn to a line of the original."""
        self.index = self.before.line = self.after.line = index
        while self._layers and self._layers[-1] <= index:
            self._layers.pop()
            self._end_layer()

    def expect(self, lines: Sequence[bytes], line: bytes) -> None:
        """Check that the next line of the corrected file is a line of the original."""
        if self.at >= len(lines) or lines[self.at] != line:
            self.refuse("lack a line that is to stay, or have it changed")

    def expect_replaced(self, lines: Sequence[bytes], given: Sequence[bytes]) -> None:
        """Check that the next lines of the corrected file are those given."""
        for offset, wanted in enumerate(given):
            at = self.at + offset
            got = lines[at] if at < len(lines) else b""
            is_ended = got.endswith((b"\n", b"\r")) or at + 1 == len(lines)
            if not is_ended or got.rstrip(_ENDINGS) != wanted.rstrip(_ENDINGS):
                self.refuse("differ from what was to be written", at)

    def keep(self, line: bytes) -> None:
        """Execute a line that both files have."""
        for item in self._parse(line):
            if isinstance(item, Command):
                self._keep_command(item)
            else:
                self._keep_move(item)
        self.at += 1

    def _parse(self, line: bytes) -> list[Item]:
        try:
            return parse(line)
        except GcodeError as error:
            where = f"{self.name}:{self.at + 1}"
            raise GcodeError(f"{where}: the check cannot read {_shown(line)}: {error}") from error

    def _keep_move(self, item: Straight | Arc) -> None:
        before, after = self.before, self.after
        straight = item.straight if isinstance(item, Arc) else item
        was, now = before.execute(item), after.execute(item)
        if was is None or now is None or (_stays(was) and _stays(now)):
            return
        self._close()
        if was.start != now.start:
            self._same_start(item, straight, was, now)
        if was.filament != now.filament and _differ(was.filament, now.filament, KEPT_FILAMENT_MM):
            self.refuse(f"feed {now.filament:.5g} mm of filament in place of {was.filament:.5g}")
        if before.feed != after.feed and _is_other(before.feed, after.feed):
            self.refuse(f"have F{after.feed:.6g} mm/min in force in place of F{before.feed:.6g}")
        self._same_limits()

    def _same_start(self, item: Item, straight: Straight, was: Move, now: Move) -> None:
        is_bound = isinstance(item, Arc) or was.filament > 0.0
        slack = POSITION_MM if self.before.absolute else DRIFT_MM
        for i, axis in enumerate("XYZ"):
            restated = self.before.absolute and straight[i] is not None
            for a, b, counts in (
                (was.start[i], now.start[i], is_bound or not restated),
                (was.end[i], now.end[i], True),
            ):
                if counts and _differ(a, b, slack):
                    self.refuse(f"be at {axis}{b:.4f} in place of {axis}{a:.4f}")

    def _same_limits(self) -> None:
        was, now = self.before.limits, self.after.limits
        if was == now:
            return
        for key in sorted(was.keys() | now.keys()):
            if key not in was or key not in now or _is_other(was[key], now[key]):
                got, wanted = (f"{s[key]:.6g}" if key in s else "none" for s in (now, was))
                self.refuse(f"have the limit {key} {got} in force in place of {wanted}")

    def _keep_command(self, item: Command) -> None:
        if is_harmless(item.name):
            return
        places = [*zip("XYZ", self.before.position, self.after.position, strict=True)]
        was, now = self.before.execute(item), self.after.execute(item)
        is_lost = self.before.lost_line == self.index
        if was is not None and now is not None:
            self._moved_alike(was, now)
        if is_lost or was is not None:
            self._close()
        # A macro may build on the place; homing and a change of the tool do not.
        if item.name == "G92" or (is_lost and item.name not in ("G28", self.before.tool)):
            axes = loose_words(item.body) if item.name == "G92" else "XYZ"
            for axis, a, b in places:
                if axis in axes and _differ(a, b, DRIFT_MM):
                    self.refuse(f"be at {axis}{b:.4f} in place of {a:.4f} at {item.name}")
        self._same_modes()

    def _moved_alike(self, was: Move, now: Move) -> None:
        """Compare where a command leads that goes to a place that was kept before."""
        slack = self.settings.max_correction_mm + POSITION_MM
        for i, axis in enumerate("XYZ"):
            if _differ(was.end[i], now.end[i], slack if i < 2 else POSITION_MM):
                self.refuse(f"go to {axis}{now.end[i]:.4f} in place of {was.end[i]:.4f}")

    def _same_modes(self) -> None:
        was, now = _modes(self.before), _modes(self.after)
        for key, value in was.items():
            if now[key] != value:
                self.refuse(f"have {key} {now[key]} in force in place of {value}")
        for a, b in zip(self.before.base, self.after.base, strict=True):
            if _differ(a, b, DRIFT_MM):
                self.refuse(f"count from {b:.4f} mm in place of {a:.4f}")

    def replace(self, line: bytes, given: Sequence[bytes]) -> None:
        """Execute a line of the original, and what stands in its place."""
        stripped = line.rstrip(_ENDINGS)
        items = self._parse(line)
        same = [text.rstrip(_ENDINGS) == stripped for text in given]
        # A straight move may stand among pieces unchanged; anything else means what it meant.
        stays = sum(same) == 1 and not all(isinstance(item, Straight) for item in items)
        others = [] if stays else self._replaced_items(items)
        written: list[Command] = []
        for text, is_same in zip(given, same, strict=True):
            if stays and is_same:
                self.keep(line)
                continue
            written += self._written_items(text, others)
            self.at += 1
        if written != others:
            changed = next((x for x in others if x not in written), (others or written)[-1])
            self.refuse(f"lose or repeat {changed.name}{changed.body}".rstrip())

    def _replaced_items(self, items: Sequence[Item]) -> list[Command]:
        """Execute a replaced line's parts in the original; return what has to survive."""
        others = []
        for item in items:
            if isinstance(item, Command) and item.name not in LIMITS:
                if not is_harmless(item.name) and item.name not in DEVICES:
                    self.refuse(f"replace a line that holds {item.name}{item.body}".rstrip())
                others.append(item)
            self._replaced_move(self.before, item, 0, self.index)
        return others

    def _written_items(self, text: bytes, others: Sequence[Command]) -> list[Command]:
        """Execute a line that was written; return what survives in it."""
        found = []
        for item in self._parse(text):
            is_other = isinstance(item, Arc) or (isinstance(item, Command) and not _is_own(item))
            if is_other and item not in others:
                self.refuse(f"hold {_shown(text)}, which a correction does not write")
            if isinstance(item, Straight) and item.f is not None and not item.f > 0.0:
                self.refuse(f"ask for a feedrate of {item.f:g}")
            if is_other and isinstance(item, Command):
                found.append(item)
            self._replaced_move(self.after, item, 1, self.at)
        return found

    def _replaced_move(self, machine: Machine, item: Item, side: int, line: int) -> None:
        move = machine.execute(item)
        if move is None or _is_still(item):
            return
        self._known(machine, move)
        if side == 0 and not move.length >= 0.0:
            self._from_nowhere = self.index
        # Which way a travel takes from a place that only the printer knows, nobody can tell.
        is_free = side == 1 and self._from_nowhere == self.index and move.filament == 0.0
        speed = machine.feed / 60.0 * machine.speed_factor
        self._stretch()[side].add(move, line, speed, is_free)

    def _known(self, machine: Machine, move: Move) -> None:
        """Refuse to correct where the position is not known."""
        is_laying = move.filament != 0.0
        if machine.is_known() and not (is_laying and math.isnan(move.length + move.filament)):
            return
        cause, line = machine.lost_by or "the beginning of the file", machine.lost_line + 1
        where = f" (line {line} of the original)" if line else ""
        self.refuse(f"be corrected although the position after {cause!r}{where} is not known")

    def _stretch(self) -> tuple[Extent, Extent]:
        if self._open is None:
            self._open = (Extent(self.before.is_placed), Extent(self.after.is_placed))
            self.stretches += 1
        return self._open

    def _close(self) -> None:
        """Compare the stretch that ends here with the original's."""
        if self._open is None:
            return
        was, now = self._open
        self._open = None
        fault = compare(was, now, self.settings)
        if fault is not None:
            self.refuse(*fault)
        if _differ(was.fed, now.fed, filament_slack(was.gross)):
            self.refuse(f"feed {now.fed:.5f} mm of filament up to here in place of {was.fed:.5f}")

    def _end_layer(self) -> None:
        fed = (self.before.fed, self.after.fed)
        was, now = (a - b for a, b in zip(fed, self._layer_fed, strict=True))
        # A piece across the boundary stands whole on one side of it.
        straddling = sum(extent.largest for extent in self._open or ())
        if _differ(was, now, filament_slack(abs(was)) + straddling):
            self.refuse(f"feed {now:.5f} mm of filament in a layer in place of {was:.5f}")
        self._layer_fed = fed

    def finish(self, lines: Sequence[bytes], replaced: int) -> Verified:
        """Compare the ends of both files."""
        if self.at < len(lines):
            self.refuse("go on where the original ends")
        self._close()
        self._end_layer()
        self._same_modes()
        self._same_limits()
        for i, axis in enumerate("XYZ"):
            a, b = self.before.position[i], self.after.position[i]
            if _differ(a, b, DRIFT_MM):
                self.refuse(f"end at {axis}{b:.4f} in place of {axis}{a:.4f}")
        fed = (self.before.fed, self.after.fed)
        if _differ(*fed, filament_slack(abs(fed[0]))):
            self.refuse(f"feed {fed[1]:.4f} mm of filament in place of {fed[0]:.4f}")
        return Verified(replaced, self.stretches, fed)

    def refuse(self, what: str, line: int | None = None) -> NoReturn:
        """Raise what the corrected file would do in a line of it, from 0; here by default."""
        at = self.at if line is None else line
        raise GcodeError(
            f"{self.name}:{at + 1}: the corrected file would {what} "
            f"(at line {self.index + 1} of the original)"
        )


def _is_own(item: Command) -> bool:
    """Return whether a correction writes such a command: of limits, the flow, E's count."""
    if item.name in ("M221", "G92"):
        return loose_words(item.body).keys() == {"S" if item.name == "M221" else "E"}
    return item.name in LIMITS


def _is_still(item: Item) -> bool:
    """Return whether a motion command only sets the feedrate."""
    return isinstance(item, Straight) and item[:4] == (None,) * 4


def _stays(move: Move) -> bool:
    """Return whether a motion command moves nothing."""
    return move.start == move.end and move.filament == 0.0


def _modes(machine: Machine) -> dict[str, object]:
    return {
        "the unit": machine.unit,
        "absolute coordinates": machine.absolute,
        "relative E": machine.is_e_relative,
        "the E mode": machine.e_mode,
        "the tool": machine.tool,
        "the plane": machine.plane,
        "firmware retraction": machine.is_retracted,
        "the speed factor": machine.speed_factor,
        "the flow": machine.flow,
        "the devices": machine.devices,
    }


def _differ(a: float, b: float, slack: float) -> bool:
    """Return whether two values differ; two unknown ones do not."""
    return not (abs(a - b) <= slack or (a != a and b != b))


def _is_other(a: float, b: float) -> bool:
    """Return whether two written values differ by more than their decimals."""
    return _differ(a, b, SAME * abs(a) + 1e-3)


def _shown(text: bytes) -> str:
    return repr(text.rstrip(_ENDINGS).decode("latin-1")[:60])


def _split(text: bytes) -> list[bytes]:
    """Return the lines of a text with their ends: a lone CR ends them where no LF stands at all."""
    ending = b"\n" if b"\n" in text else b"\r"
    return [line for line in re.split(b"(?<=" + ending + b")", text) if line]
