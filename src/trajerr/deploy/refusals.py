"""What is not corrected, found before any work, and why."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from trajerr.deploy.emission import is_marked
from trajerr.errors import ConfigError, GcodeError
from trajerr.gcode.program import FeatureType, Program


def check_other_file(gcode: Path, out: Path) -> None:
    """Refuse to write over the file that is corrected.

    Raises
    ------
    ConfigError
        If ``out`` is the file itself.
    """
    if out.exists() and gcode.exists() and out.samefile(gcode):
        raise ConfigError(f"out: got {out}, the file to correct itself; expected another")


def check_original(program: Program) -> None:
    """Refuse a file that was corrected before.

    Raises
    ------
    GcodeError
        If its header says so.
    """
    if is_marked(program):
        raise GcodeError(
            f"{program.name}: it is corrected already (see its header); "
            "correct the original, or set force=true"
        )


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
