"""Rows to moves: which of them move, what kind of move they are, and all that is modal."""

from collections.abc import Mapping

import numpy as np

from trajerr.arrays import Bools, Floats, Ints
from trajerr.errors import GcodeError
from trajerr.gcode import arcs
from trajerr.gcode.commands import Interpreter
from trajerr.gcode.dialects import CommentReader
from trajerr.gcode.heat import HOTTEST
from trajerr.gcode.layers import number_layers
from trajerr.gcode.modal import STILL, Rows, motion_before
from trajerr.gcode.program import MoveKind, Moves
from trajerr.gcode.rows import Code
from trajerr.gcode.words import number

# mm; no printer is a kilometre long, and 100 km of filament weigh 300 kg
_FARTHEST = np.array([1e6, 1e6, 1e6, 1e8])
FAR = 1.0  # mm, along an axis
_XY_WORDS = [0, 1, 5, 6, 7]  # X Y I J R
_MOVING = (0, 1, 2, 3, Code.RETURN, Code.RECALL, Code.SHIFT, Code.FILAMENT)
_FETCHED = (Code.RETURN, Code.RECALL, Code.SHIFT)
_OF_STATE = (Code.SAVE, Code.RESTORE, Code.POP, Code.OFFSET, *_FETCHED)


def build_moves(
    rows: Rows,
    interpreter: Interpreter,
    comments: CommentReader,
    slicer: Mapping[str, str],
    where: str,
) -> Moves:
    """Return the moves of a file.

    Raises
    ------
    GcodeError
        For coordinates that no machine has, and for arcs that no circle describes.
    """
    _check_rows(rows, where)
    is_arc = np.isin(rows.code, (2, 3)) & np.isfinite(rows.words[:, _XY_WORDS]).any(axis=1)
    center, offset, sweep = _arcs(rows, interpreter, is_arc, where)
    start, end = rows.position[:-1], rows.position[1:]
    kind, kept = _kinds(rows, is_arc)
    line = rows.line[kept]
    prints = kind[kept] == MoveKind.PRINT
    return Moves(
        start=start[kept],
        end=end[kept],
        center=center[kept],
        offset=offset[kept],
        sweep=sweep[kept],
        feedrate=rows.feedrate[kept],
        kind=kind[kept],
        feature=comments.feature.at(line).astype(np.uint8),
        layer=number_layers(
            line, prints, start[kept], end[kept], sweep[kept], comments.layer_marks
        ),
        line=line,
        settings=_settings(interpreter, line),
        pause=rows.seconds[kept],
        stop=_stops(interpreter.stops, line, kind[kept]),
        origin=rows.origin[kept],
        absolute=~rows.relative[kept],
        unit=rows.unit[kept],
        flow=rows.flow[kept],
        whole=_whole(rows, interpreter)[kept],
        nozzle=_temperature(interpreter.heat.nozzle.at(line), slicer, _NOZZLE_KEYS),
        bed=_temperature(interpreter.heat.bed.at(line), slicer, _BED_KEYS),
        fan=np.asarray(interpreter.heat.fan.at(line), dtype=np.float64),
    )


def _check_rows(rows: Rows, where: str) -> None:
    lost = (rows.code == -1) & np.isfinite(rows.words[:, [0, 1, 2, 3]]).any(axis=1)
    if lost.any():
        line = rows.line[int(np.argmax(lost))] + 1
        raise GcodeError(f"{where}:{line}: coordinates without a command, expected G0 to G3 before")
    far = ~(np.abs(rows.position[1:]) <= _FARTHEST)
    if far.any():
        row, axis = (int(i[0]) for i in np.nonzero(far))
        raise GcodeError(
            f"{where}:{rows.line[row] + 1}: {'XYZE'[axis]} reaches "
            f"{rows.position[row + 1, axis]:g} mm, expected at most {_FARTHEST[axis]:g} mm"
        )


def _arcs(
    rows: Rows, interpreter: Interpreter, is_arc: Bools, where: str
) -> tuple[Floats, Floats, Floats]:
    """Return (n, 2) centre and (n, 2) offset to the centre that the file gives, and (n,) sweep."""
    center, sweep = np.full((len(rows.line), 2), np.nan), np.zeros(len(rows.line))
    offset = center.copy()
    chosen = np.flatnonzero(is_arc)
    if not len(chosen):
        return center, offset, sweep
    start, end = rows.position[chosen, :2], rows.position[chosen + 1, :2]
    words, line = rows.words[chosen][:, 5:9], rows.line[chosen]
    absolute = np.asarray(interpreter.centre_absolute.at(line), dtype=bool)
    center[chosen], given, sweep[chosen] = arcs.resolve_arcs(
        start,
        end,
        words,
        rows.code[chosen] == 2,
        absolute,
        rows.origin[chosen, :2],
        as_stated=interpreter.on_klipper,
    )
    offset[chosen] = given - start
    fault = arcs.first_fault(start, end, words, center[chosen], sweep[chosen])
    if fault:
        raise GcodeError(f"{where}:{line[fault[0]] + 1}: {fault[1]}")
    return center, offset, sweep


def _kinds(rows: Rows, is_arc: Bools) -> tuple[np.ndarray, Ints]:
    """Return the kind of each row, and which rows are moves at all."""
    step = np.abs(np.diff(rows.position, axis=0)) > STILL
    pushes = np.diff(rows.position[:, 3]) > STILL
    in_plane = step[:, 0] | step[:, 1] | is_arc
    kind = np.full(len(rows.line), MoveKind.EXTRUDER, dtype=np.uint8)
    kind[in_plane | step[:, 2]] = MoveKind.TRAVEL
    kind[in_plane & pushes] = MoveKind.PRINT
    pauses = (rows.code == Code.PAUSE) | (rows.code == Code.HOME)
    kind[pauses] = MoveKind.PAUSE
    motion = np.isin(rows.code, _MOVING)
    return kind, np.flatnonzero(pauses | (motion & (in_plane | step.any(axis=1))))


def _whole(rows: Rows, interpreter: Interpreter) -> Bools:
    """Return (n,) which rows' lines a correction must leave as they are.

    Those are lines that say more than one of G0 to G3 with its own words; that begin where the
    file does not say where the nozzle (or an absolute extruder) stands; the last motion before
    something whose effect on the position is not known, or that keeps or fetches a state; and
    homing.
    """
    step = np.abs(np.diff(rows.position, axis=0)) > STILL
    unsure = ~(rows.known[:, :3].all(axis=1) | _enters(rows, step))
    unsure |= ~rows.known[:, 3] & ~rows.relative[:, 1] & step[:, 3]
    odd = np.isin(rows.line, interpreter.whole)
    odd |= (rows.code <= 1) & np.isfinite(rows.words[:, 5:9]).any(axis=1)
    barrier = rows.code == Code.BARRIER
    moves = rows.is_motion & step.any(axis=1)
    renames = (rows.code == Code.SET) & np.isfinite(rows.words[:, :2]).any(axis=1)
    ends = barrier | (odd & ~moves) | renames | np.isin(rows.code, _OF_STATE)
    beside = motion_before(ends, rows.is_motion)
    parks = (rows.code == Code.PAUSE) & np.append(barrier[1:], False)
    return np.asarray(
        (rows.is_motion & unsure)
        | odd
        | beside
        | parks
        | (rows.code == Code.HOME)
        | np.isin(rows.code, _FETCHED)
    )


def _enters(rows: Rows, step: Bools) -> Bools:
    """Return (n,) which rows are level travels to a stated place, from home or the beginning.

    Where they begin does not matter: nothing is printed yet, or the way home crossed it all. They
    lead far along both axes, so that what is written in their place states both.
    """
    far = (np.abs(np.diff(rows.position[:, :2], axis=0)) > FAR).all(axis=1)
    stated = np.isfinite(rows.words[:, :2]).all(axis=1) & ~rows.relative[:, 0]
    level = rows.known[:, 2] & ~step[:, 2] & ~step[:, 3]
    return np.asarray(rows.is_motion & stated & level & far & rows.entered[:, :2].all(axis=1))


def _settings(interpreter: Interpreter, line: Ints) -> np.ndarray:
    log = interpreter.limits
    index = np.searchsorted(np.array(log.lines, dtype=np.int64), line, side="right")
    return np.array([0, *log.index], dtype=np.int32)[index]


def _stops(stops: list[int], line: Ints, kind: np.ndarray) -> Bools:
    stop = kind == MoveKind.PAUSE
    following = np.searchsorted(line, np.array(stops, dtype=np.int64))
    stop[following[following < len(line)]] = True
    return np.asarray(stop)


_NOZZLE_KEYS = (
    "nozzle_temperature", "temperature", "material_print_temperature",
    "EXTRUDER_TRAIN.0.INITIAL_TEMPERATURE", "Print Temperature",
)  # fmt: skip
_BED_KEYS = (
    "bed_temperature", "hot_plate_temp", "material_bed_temperature",
    "BUILD_PLATE.INITIAL_TEMPERATURE", "Bed Temperature",
)  # fmt: skip


def _temperature(
    set_points: np.ndarray, slicer: Mapping[str, str], keys: tuple[str, ...]
) -> Floats:
    """Take the slicer's set-point where macros heat and the file itself is silent."""
    values = np.asarray(set_points, dtype=np.float64)
    if values.any():
        return values
    for key in keys:
        first = number(slicer.get(key, "").split(",")[0].split(";")[0])
        if first is not None and 0.0 <= first <= HOTTEST:
            return np.full(len(values), first)
    return values
