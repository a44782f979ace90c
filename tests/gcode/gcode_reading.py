"""What a text of G-code prints, as tests compare it."""

from trajerr.gcode.program import FeatureType, Program
from trajerr.gcode.reader import parse_program


def read(text: str) -> Program:
    return parse_program(text.encode(), "test.gcode")


def printed(program: Program) -> list[tuple[int, str]]:
    """Return layer and feature of each extruding move."""
    moves = program.moves.select(program.moves.is_extruding)
    names = [FeatureType(f).name for f in moves.feature]
    return list(zip(moves.layer.tolist(), names, strict=True))
