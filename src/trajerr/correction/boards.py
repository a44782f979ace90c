"""What boards take: presets by name, the look-ahead that they plan with, and their bounds.

Knows :mod:`.board_load` and planning; not how a correction is made lighter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from trajerr.correction.board_load import LONG_S, SHORT_S, CommandStream, peak
from trajerr.dynamics.printer import Printer
from trajerr.errors import ConfigError
from trajerr.gcode.firmware import is_klipper
from trajerr.gcode.program import Program
from trajerr.motion.limits import MachineLimits
from trajerr.motion.planner import Plan, plan

BURST = 0.75  # share of a full planner's blocks that may run before the next ones come


@dataclass(frozen=True)
class Board:
    """How a board gets its commands, and how many of them it takes.

    Parameters
    ----------
    klipper
        Whether Klipper's host plans for it.
    commands_per_s
        The most that it takes for long.
    bytes_per_s
        Of the line on which they come.
    extra_bytes
        That a command costs on that line beside its own.
    blocks
        That its planner knows ahead; ``None``: enough.
    """

    klipper: bool
    commands_per_s: float
    bytes_per_s: float = np.inf
    extra_bytes: int = 0
    blocks: int | None = None


# Marlin: corrected files of 110 to 130 commands a second on average, 172 at their peak, were run
# through 2.1.2.1 with a time that each command costs. Up to 5 to 6 ms nothing is lost, nor by
# stalls of 30 ms, in which a dense stretch runs twelve blocks; 8 ms cost 13 points of the
# correction. 5 ms are 200 commands a second. The planner holds BLOCK_BUFFER_SIZE 16
# (Marlin/Configuration_adv.h).
#
# Serial: 115,200 baud with a start and a stop bit for eight (8N1) are 11,520 bytes a second. Hosts
# wait for "ok" before they send the next line (OctoPrint on an Ender-3 V2,
# https://chen.do/mitigating-print-quality-issues-with-bufferbuddy/), so what goes either way adds
# up: "N123456 " (8) and "*123" (4) around each command, "ok" and its line's end (3)
# (https://reprap.org/wiki/G-code), and the line's turn, for which USB takes a frame of 1 ms (12).
#
# Klipper: at most 221 moves a second took 0.5 % of a CPU's core and stalled nowhere. 1000 are 2.3 %
# of that core, or a quarter of one that is a tenth as fast. Its host plans ahead by time, not by
# blocks.
BOARDS: Mapping[str, Board] = MappingProxyType(
    {
        "klipper": Board(klipper=True, commands_per_s=1000.0),
        "marlin_sd": Board(klipper=False, commands_per_s=200.0, blocks=16),
        "marlin_serial": Board(
            klipper=False, commands_per_s=200.0, bytes_per_s=11_520.0, extra_bytes=27, blocks=16
        ),
    }
)


@dataclass(frozen=True)
class Demand:
    """The peak of what a print asks of a board."""

    unit: str
    asked: float
    allowed: float

    @property
    def share(self) -> float:
        """How much of what is allowed is asked for."""
        return self.asked / self.allowed

    def __str__(self) -> str:
        return f"{self.asked:.0f} {self.unit}, expected at most {self.allowed:.0f}"


def check_board(name: str | None, firmware: str | None = None) -> None:
    """Refuse what is no board, or none for a printer's firmware.

    Raises
    ------
    ConfigError
        Naming the key.
    """
    if name is None:
        return
    fitting = [
        known
        for known, board in BOARDS.items()
        if firmware is None or board.klipper == is_klipper(firmware)
    ]
    if name not in fitting:
        what = "" if firmware is None else f" with firmware {firmware}"
        raise ConfigError(f"board: got {name}{what}, expected null or one of {', '.join(fitting)}")


def on_board(printer: Printer, name: str | None) -> Printer:
    """Return a printer that looks ahead as its board does, where it does not say how far."""
    blocks = BOARDS[name].blocks if name else None
    if blocks is None or printer.limits.lookahead_blocks is not None:
        return printer
    return replace(printer, limits=replace(printer.limits, lookahead_blocks=blocks))


def planned_on(program: Program, printer: Printer, name: str | None) -> Plan:
    """Return a program's motion as a board plans it."""
    machine = on_board(printer, name)
    return plan(machine.placed(program), machine.limits)


def demands(planned: Plan, board: Board) -> list[Demand]:
    """Return what a print asks of a board at its peaks.

    Parameters
    ----------
    planned
        The print.
    board
        Where it is to run.
    """
    stream = CommandStream.of(planned)
    once, most = np.ones(len(stream.time)), board.commands_per_s
    found = [Demand("commands/s over 1 s", peak(stream.time, once, LONG_S), most)]
    if board.blocks is not None:
        burst = most + BURST * _blocks(planned.limits, board.blocks) / SHORT_S
        short = peak(stream.time, once, SHORT_S)
        found.append(Demand("commands/s over 50 ms", short, burst))
    if np.isfinite(board.bytes_per_s):
        sent = peak(stream.time, stream.size + board.extra_bytes, LONG_S)
        found.append(Demand("bytes/s on its line over 1 s", sent, board.bytes_per_s))
    return found


def heaviest(planned: Plan, original: Plan, board: Board) -> Demand:
    """Return in what a corrected print asks most of a board.

    Where the original asks for more than the board takes, so may the corrected print.

    Parameters
    ----------
    planned, original
        Both as the board plans them.
    board
        Where they are to run.
    """
    pairs = zip(demands(planned, board), demands(original, board), strict=True)
    bounds = [replace(own, allowed=max(own.allowed, was.asked)) for own, was in pairs]
    return max(bounds, key=lambda demand: demand.share)


def _blocks(limits: MachineLimits, usual: int) -> int:
    """Return how many blocks a printer's planner holds."""
    return usual if limits.lookahead_blocks is None else limits.lookahead_blocks
