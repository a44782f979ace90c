"""The values that reading a G-code file yields: its text, its moves, its settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from trajerr.arrays import Bools, Floats, Ints
from trajerr.gcode.containers.kinds import PLAIN, Container


class FeatureType(IntEnum):
    """What a move prints, in the union of the slicers' vocabularies."""

    UNKNOWN = 0
    OUTER_WALL = 1
    INNER_WALL = 2
    OVERHANG_WALL = 3
    INFILL = 4
    SOLID_INFILL = 5
    TOP_SURFACE = 6
    BRIDGE = 7
    GAP_FILL = 8
    SKIRT = 9
    SUPPORT = 10
    SUPPORT_INTERFACE = 11
    PRIME_TOWER = 12
    IRONING = 13
    CUSTOM = 14


WALLS = frozenset({FeatureType.OUTER_WALL, FeatureType.INNER_WALL, FeatureType.OVERHANG_WALL})


class MoveKind(IntEnum):
    """What a move does with the filament."""

    PRINT = 0  # moves in the plane and extrudes
    TRAVEL = 1  # moves without extruding (wipes, z-hops included)
    EXTRUDER = 2  # moves the extruder only: retract, unretract
    PAUSE = 3  # plans no motion: dwell, waiting, homing (which ends elsewhere than it starts)


@dataclass(frozen=True)
class LimitSettings:
    """Limits that a file sets; ``None`` where the file is silent.

    Four-tuples are (x, y, z, e) and may hold ``None`` for single axes.
    Units: mm/s, mm/s², mm.
    """

    max_velocity: tuple[float | None, ...] = (None,) * 4
    max_acceleration: tuple[float | None, ...] = (None,) * 4
    jerk: tuple[float | None, ...] = (None,) * 4
    print_acceleration: float | None = None
    travel_acceleration: float | None = None
    retract_acceleration: float | None = None
    min_print_velocity: float | None = None
    min_travel_velocity: float | None = None
    junction_deviation: float | None = None
    square_corner_velocity: float | None = None
    minimum_cruise_ratio: float | None = None
    accel_to_decel: float | None = None  # Klipper's ACCEL_TO_DECEL, as builds to 2024-03 take it
    cruise_ratio_from: tuple[float, float | None] | None = None  # as later builds do: it and the
    #   acceleration in force then, None the machine's; None where a ratio was set after it
    velocity_limit: float | None = None  # Klipper's max_velocity, along the path
    acceleration_limit: float | None = None  # Klipper's max_accel, as it reads the file


@dataclass(frozen=True)
class Moves:
    """All moves of a program as parallel arrays of length M.

    Positions are machine coordinates in mm, continuous over the whole file: G92 shifts
    ``origin``, never ``start`` and ``end``. The E axis is cumulative filament, in mm.
    """

    start: Floats  # (M, 4) x y z e
    end: Floats  # (M, 4)
    center: Floats  # (M, 2) arc centre x y; NaN where straight. Start and end are equally far
    #   from it but for arcs that nearly close and those read for Klipper, which takes centres
    #   as stated: there let the radius run from one to the other.
    offset: Floats  # (M, 2) from the start to the arc's centre as the file gives it; NaN where
    #   straight. Firmware turns around that one, and leaps at the end to where the arc ends.
    sweep: Floats  # (M,) signed arc angle, rad, counter-clockwise positive; 0 where straight
    feedrate: Floats  # (M,) mm/s, as commanded, with the speed factor (M220) in force
    kind: NDArray[np.uint8]  # (M,) MoveKind
    feature: NDArray[np.uint8]  # (M,) FeatureType
    layer: NDArray[np.int32]  # (M,) 1 is the first layer; 0 comes before it
    line: Ints  # (M,) index of the source line, from 0
    settings: NDArray[np.int32]  # (M,) index into Program.settings: the limits in force
    pause: Floats  # (M,) s, of PAUSE moves that name a time
    stop: Bools  # (M,) motion comes to rest before this move (homing, dwell, waiting, M400)
    origin: Floats  # (M, 4) machine coordinate of the logical zero in force
    absolute: Bools  # (M, 2) absolute positioning of xyz, of e
    unit: Floats  # (M,) mm per unit of the file at this line: 1 or 25.4
    flow: Floats  # (M,) mm of filament fed per mm that the file asks for (M221)
    whole: Bools  # (M,) the line must stay as it is: it says more, or stands beside what may
    #   have moved the nozzle in a way that is not known
    nozzle: Floats  # (M,) °C set-point in force
    bed: Floats  # (M,) °C
    fan: Floats  # (M,) 0..1

    def __len__(self) -> int:
        return len(self.kind)

    def select(self, index: NDArray[np.bool_] | NDArray[np.integer] | slice) -> Self:
        """Return the chosen moves, every array indexed alike."""
        return replace(self, **{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @property
    def is_extruding(self) -> Bools:
        """(M,) whether the move lays material down while moving in the plane."""
        return np.equal(self.kind, MoveKind.PRINT)

    @property
    def is_wall(self) -> Bools:
        """(M,) whether the move prints a part of the shape that a person sees."""
        return self.is_extruding & np.isin(self.feature, list(WALLS))


@dataclass(frozen=True)
class Program:
    """One G-code file: its bytes, and what they mean."""

    name: str  # file name without folder
    text: bytes  # the whole file, unchanged, out of its container
    line_starts: Ints  # (L+1,) byte offset of each line, and of the end
    moves: Moves
    settings: tuple[LimitSettings, ...]  # every state of the limits in the file, in order
    slicer: Mapping[str, str]  # the slicer's own settings where the file holds them
    generator: str  # "PrusaSlicer 2.9.2", "Simplify3D 4.0.0", … or ""
    layer_z: Floats  # (layers+1,) mm, by layer number; index 0 is NaN
    sha256: str
    noted: bool = False  # features are told by notes behind the code, so these have to stay
    firmware: str | None = None  # of the printer by whose rules it was read, where one was named
    unknown_commands: Mapping[str, int] = field(default_factory=dict)  # barriers, counted
    unwritable: tuple[tuple[int, str], ...] = ()  # lines, and what they hold that no corrected
    #   line can stand beside
    remarks: tuple[str, ...] = ()  # what a person should know of how it was read
    container: Container = PLAIN  # what the text came packed in

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of how the file was read, a line each."""
        return tuple(f"{self.name}: {remark}" for remark in self.remarks)

    @property
    def n_lines(self) -> int:
        """How many lines the file has."""
        return len(self.line_starts) - 1

    @property
    def n_layers(self) -> int:
        """The number of the last layer."""
        return len(self.layer_z) - 1

    def line(self, index: int) -> bytes:
        """Return one line with its line ending, byte for byte."""
        return self.text[self.line_starts[index] : self.line_starts[index + 1]]
