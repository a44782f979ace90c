"""What a text of G-code prints, as tests compare it."""

from trajerr.gcode.program import FeatureType, Program
from trajerr.gcode.reader import parse_program


def read(text: str) -> Program:
    """Read a text behind which an end is appended, as slicers' files have it."""
    return parse_program(f"{text}\n; end of print\n".encode(), "test.gcode")


def printed(program: Program) -> list[tuple[int, str]]:
    """Return layer and feature of each extruding move."""
    moves = program.moves.select(program.moves.is_extruding)
    names = [FeatureType(f).name for f in moves.feature]
    return list(zip(moves.layer.tolist(), names, strict=True))
