"""The print that is corrected, read and planned once; and what is refused before any work."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from trajerr.correction.boards import on_board, planned_on
from trajerr.correction.emission import check_writable, is_marked
from trajerr.dynamics.printer import Printer
from trajerr.errors import ConfigError, GcodeError
from trajerr.gcode.program import FeatureType, Program
from trajerr.gcode.reader import read_program
from trajerr.motion.bed import check_inside
from trajerr.motion.planner import Plan, plan


@dataclass(frozen=True)
class Original:
    """A program as its file has it, and its motion on a printer.

    Parameters
    ----------
    program
        Positions as the file counts them.
    printer
        Its limits plan the program, its bed places it.
    """

    program: Program
    printer: Printer

    @classmethod
    def read(cls, gcode: Path, printer: Printer, *, force: bool = False) -> Self:
        """Read a file that is to be corrected.

        Parameters
        ----------
        gcode
            The file.
        printer
            The rules of its firmware hold.
        force
            Take a file that was corrected before.

        Raises
        ------
        GcodeError
            If it cannot be read, or its header says that it was corrected.
        """
        program = read_program(gcode, printer.limits.firmware)
        if is_marked(program) and not force:
            raise GcodeError(
                f"{program.name}: it is corrected already (see its header); "
                "correct the original, or set force=true"
            )
        return cls(program, printer)

    def check(self, features: Collection[int], layers: Collection[int] | None) -> None:
        """Refuse what nobody can correct, or print.

        Parameters
        ----------
        features
            The feature types to correct.
        layers
            Where; ``None``: in all layers.

        Raises
        ------
        GcodeError
            If lines of the file cannot be written anew, or it prints such features off the bed.
        """
        check_writable(self.program)
        check_inside(self.program, self.printer.bed(self.program), features, layers)

    @cached_property
    def planned(self) -> Plan:
        """Its motion, counted from the bed's corner."""
        return plan(self.printer.placed(self.program), self.printer.limits)

    def planned_on(self, board: str | None) -> Plan:
        """Return its motion as a board of :data:`.boards.BOARDS` plans it; ``None``: as planned."""
        if board is None or on_board(self.printer, board) is self.printer:
            return self.planned
        if board not in self._on_boards:
            self._on_boards[board] = planned_on(self.program, self.printer, board)
        return self._on_boards[board]

    @cached_property
    def _on_boards(self) -> dict[str, Plan]:
        return {}


def check_other_file(gcode: Path, out: Path) -> None:
    """Refuse to write over the file that is corrected.

    Raises
    ------
    ConfigError
        If ``out`` is the file itself.
    """
    if out.exists() and gcode.exists() and out.samefile(gcode):
        raise ConfigError(
            f"out: got {out}, the file to correct itself; expected another, or in_place=true"
        )


def check_replaceable(gcode: Path) -> None:
    """Refuse to replace a file that may not be changed, or in a folder that may not.

    Raises
    ------
    ConfigError
        Naming what may not be written.
    """
    for path, what in ((gcode, "file"), (gcode.parent, "folder")):
        if path.exists() and not os.access(path, os.W_OK):
            raise ConfigError(f"in_place: the {what} {path} is read-only, expected one to write to")


def nothing_to_correct(program: Program, wanted: Collection[int]) -> str:
    """Return why no move of the wanted features can be corrected."""
    names = ", ".join(FeatureType(kind).name.lower() for kind in sorted(wanted))
    message = f"{program.name}: nothing to correct, expected {names} in its layers"
    wanted_moves = program.moves.is_extruding & np.isin(program.moves.feature, list(wanted))
    if np.any(wanted_moves & program.moves.whole):
        causes = ", ".join(list(program.unknown_commands)[:3]) or "homing"
        return (
            f"{message} where the file says in absolute coordinates where the nozzle is: {causes} "
            "may have moved it, and X, Y and Z are not stated after that (docs/gcode.md)"
        )
    if np.any(program.moves.feature[program.moves.is_extruding] != FeatureType.UNKNOWN):
        return message
    return (
        f"{message}; the file does not say what is a wall: slice it with comments on feature "
        "types (Slic3r's verbose G-code), or take all for walls by feature_types=[unknown]"
    )
