"""The rows that a reading notes, in file order, before anybody knows where they lead."""

from dataclasses import dataclass
from enum import IntEnum

Words = dict[str, float | None]


class Code(IntEnum):
    """What a row is, beside 0 to 3 for G0 to G3."""

    INHERIT = -1  # bare words: the motion command in force
    SET = 10  # axes are renamed (G92)
    HOME = 11  # axes stand at zero
    PAUSE = 12  # nothing moves for a while
    BARRIER = 13  # what becomes of the named axes is not known
    SAVE = 14  # the state is kept
    RESTORE = 15  # and fetched: what positions are called, the feedrate
    RETURN = 16  # and fetched, and the nozzle goes back to where it was then
    POP = 17  # the feedrate is fetched, nothing else
    RECALL = 18  # the nozzle goes to a kept position, or beside it
    OFFSET = 19  # all later coordinates shift
    SHIFT = 20  # they shift, and the nozzle with them
    FILAMENT = 21  # the firmware itself moves filament


@dataclass
class Row:
    """One entry for the resolution of positions."""

    line: int
    code: int
    words: tuple[float, ...]  # in the order of plain.COLUMNS, NaN where absent
    seconds: float = 0.0
    slot: int = -1  # which SAVE it is, or fetches


@dataclass(frozen=True)
class Saved:
    """What a slot keeps beside position, feedrate and modes."""

    slot: int
    speed_factor: float = 1.0
    flow: float = 1.0
    offset: tuple[float, ...] = (0.0,) * 4
