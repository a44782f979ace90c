"""Logs of Klipper's data logger: what was commanded and what was measured, on one clock.

``scripts/motan/data_logger.py`` writes two files, ``NAME.json.gz`` and ``NAME.index.gz``: JSON
messages, each ended by the byte 3. The index's first message holds the config; in the log itself
those with ``q`` hold what was subscribed to: ``trapq:toolhead`` (moves of constant acceleration),
``adxl345:NAME`` (samples in mm/s²) and ``angle:NAME`` (a motor's magnet, 65536 a turn).
"""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajerr.arrays import Floats
from trajerr.errors import DataError
from trajerr.gcode.program import MoveKind
from trajerr.motion.trajectory import Trajectory
from trajerr.recordings.accelerometer import Recording

LOG, INDEX = ".json.gz", ".index.gz"
END = b"\x03"
TURN = 65536.0  # of an angle sensor
MOVES, EXTRUSION = "trapq:toolhead", "trapq:extruder"
SENSORS = ("adxl345", "lis2dw", "mpu9250", "icm20948")
CHUNK = 1 << 20  # bytes read or unpacked at a time
LONGEST_MESSAGE = 16 << 20  # bytes; the logger's have some 10 kB, its first holds a whole config
LONGEST_S = 3e5  # of moves; prints last hours
NOT_NUMBERS = (TypeError, ValueError, OverflowError, LookupError)  # that an array is made of
LAYER_MM = 0.01  # to which heights are one layer
LEAST_OF_LAYER = 1e-3  # share of all motion in the plane that makes a height a layer


@dataclass(frozen=True)
class Moves:
    """Moves of constant acceleration, one after the other; N of them."""

    start_s: Floats  # (N,) print time
    duration_s: Floats  # (N,)
    speed: Floats  # (N,) mm/s at the start
    acceleration: Floats  # (N,) mm/s²
    position: Floats  # (N, 3) mm at the start
    direction: Floats  # (N, 3) of unit length

    def at(self, time: Floats) -> tuple[Floats, Floats]:
        """Return (M, 3) positions in mm and (M, 3) speeds in mm/s at print times."""
        index = np.clip(np.searchsorted(self.start_s, time, side="right") - 1, 0, None)
        since = np.clip(time - self.start_s[index], 0.0, self.duration_s[index])
        inside = (time >= self.start_s[index]) & (since < self.duration_s[index])
        way = (self.speed[index] + 0.5 * self.acceleration[index] * since) * since
        speed = np.where(inside, self.speed[index] + self.acceleration[index] * since, 0.0)
        position = self.position[index] + self.direction[index] * way[:, None]
        return position, self.direction[index] * speed[:, None]


@dataclass(frozen=True)
class MotanLog:
    """A whole log."""

    name: str
    messages: Mapping[str, Sequence[Mapping[str, Any]]]  # parameters by subscription
    settings: Mapping[str, Any]  # Klipper's config

    def moves(self, of: str = MOVES) -> Moves:
        """Return what was commanded.

        Raises
        ------
        DataError
            The log holds no moves, or they run backwards.
        """
        rows = self._rows(of, "moves")
        try:
            flat = np.array([[*row[:4], *row[4], *row[5]] for row in rows], np.float64)
        except NOT_NUMBERS:
            raise DataError(f"{self.name}: {of} holds other than moves, as Klipper's") from None
        if flat.shape[1:] != (10,) or not np.isfinite(flat).all():
            raise DataError(f"{self.name}: {of} holds rows that are no moves, as Klipper's")
        back = np.flatnonzero(np.diff(flat[:, 0]) < 0.0)
        if len(back):
            raise DataError(
                f"{self.name}: {of} goes from {flat[back[0], 0]:.6f} to "
                f"{flat[back[0] + 1, 0]:.6f} s, expected it to increase"
            )
        start, duration, speed, acceleration = flat[:, :4].T
        return Moves(start, duration, speed, acceleration, flat[:, 4:7], flat[:, 7:])

    def recording(self, sensor: str) -> Recording:
        """Return what an accelerometer measured, on the clock of the moves.

        Parameters
        ----------
        sensor
            Such as ``adxl345:adxl345``.

        Raises
        ------
        DataError
            The log has no such sensor, or as :class:`.accelerometer.Recording`.
        """
        table = self._table(sensor, 4)
        return Recording(table[:, 0], table[:, 1:], f"{self.name}, {sensor}")

    def positions(self, sensor: str) -> tuple[Floats, Floats]:
        """Return (N,) print times and (N,) mm that an angle sensor measured on its motor.

        Raises
        ------
        DataError
            The log has no such sensor, or does not say how far its motor moves in a turn.
        """
        millimetres = self._turn_mm(sensor.partition(":")[2]) / TURN
        parts, offset = [], 0.0
        self._rows(sensor, "angles")
        try:
            for message in self.messages[sensor]:
                offset = float(message.get("position_offset") or offset)
                rows = np.array(message.get("data", ()), np.float64).reshape(-1, 2)
                parts.append(np.column_stack([rows[:, 0], rows[:, 1] * millimetres + offset]))
        except NOT_NUMBERS:
            raise DataError(
                f"{self.name}: {sensor} holds other than angles, as Klipper's"
            ) from None
        table = np.concatenate(parts)
        if not np.isfinite(table).all():
            raise DataError(f"{self.name}: {sensor} holds rows that are no angles, as Klipper's")
        return table[:, 0], table[:, 1]

    def trajectory(self, sample_rate: float) -> Trajectory:
        """Return what was commanded on the grid k / sample_rate of the print's clock.

        Layers are heights at which a share of the motion takes place; what the extruder's moves
        say is printed is a print, else all that moves is a travel.

        Raises
        ------
        DataError
            The log holds no moves.
        """
        moves = self.moves()
        end_s = moves.start_s[-1] + moves.duration_s[-1]
        if not end_s - moves.start_s[0] < LONGEST_S:
            raise DataError(
                f"{self.name}: its moves go from {moves.start_s[0]:.6g} to {end_s:.6g} s, "
                f"expected a print, of less than {LONGEST_S:g} s"
            )
        first = int(np.ceil(moves.start_s[0] * sample_rate))
        last = int(np.floor(end_s * sample_rate))
        if last <= first:
            raise DataError(f"{self.name}: its moves last less than a sample, expected a print")
        time = np.arange(first, last + 1) / sample_rate
        position, speed = moves.at(time)
        plain = Trajectory.of_positions(position, sample_rate)
        printing = np.zeros(len(time), np.bool_)
        if self.messages.get(EXTRUSION):
            printing = self.moves(EXTRUSION).at(time)[1][:, 0] > 0.0
        kind = np.where(printing, MoveKind.PRINT, MoveKind.TRAVEL).astype(np.uint8)
        layer = _layers(position[:, 2], np.linalg.norm(speed[:, :2], axis=1))
        return replace(plain, first=first, layer=layer, kind=kind)

    def _rows(self, of: str, what: str) -> list[Any]:
        dumps = [message.get("data", ()) for message in self.messages.get(of, ())]
        rows = [row for dump in dumps if isinstance(dump, Sequence) for row in dump]
        if not rows:
            held = ", ".join(sorted(self.messages)) or "nothing"
            raise DataError(
                f"{self.name}: no {what} of {of}, expected some of what it holds: {held}"
            )
        return rows

    def _table(self, of: str, columns: int) -> Floats:
        try:
            table = np.array(self._rows(of, "samples"), np.float64)
        except NOT_NUMBERS:
            raise DataError(f"{self.name}: {of} holds other than samples, as Klipper's") from None
        if table.shape[1:] != (columns,) or not np.isfinite(table).all():
            raise DataError(f"{self.name}: {of} holds rows that are no samples, as Klipper's")
        return table

    def _turn_mm(self, name: str) -> float:
        """Return how far the motor of an angle sensor moves its axis in a turn, mm."""
        stepper = str(_section(self.settings, f"angle {name}").get("stepper"))
        section = _section(self.settings, stepper)
        try:
            distance = float(section["rotation_distance"])
            for driving, driven in section.get("gear_ratio") or ():
                distance *= float(driven) / float(driving)
        except (*NOT_NUMBERS, ZeroDivisionError):
            raise DataError(
                f"{self.name}: [angle {name}] names stepper {stepper[:60]}, expected one that has "
                "a rotation_distance in the log's config"
            ) from None
        return distance


def read_motan(path: Path) -> MotanLog:
    """Read both files of a log.

    Parameters
    ----------
    path
        ``NAME.json.gz``, or ``NAME`` alone.

    Raises
    ------
    DataError
        A file is missing, or not what the data logger writes.
    """
    stem = str(path).removesuffix(LOG).removesuffix(INDEX)
    index = next(_messages(Path(stem + INDEX)), None)
    if index is None or not isinstance(index.get("status"), dict):
        raise DataError(
            f"{stem}{INDEX}: holds no status, expected what Klipper's data logger writes"
        )
    messages: dict[str, list[Mapping[str, Any]]] = {}
    for message in _messages(Path(stem + LOG)):
        if "q" in message and isinstance(message.get("params"), dict):
            messages.setdefault(str(message["q"]), []).append(message["params"])
    settings = _section(_section(index["status"], "configfile"), "settings")
    return MotanLog(stem + LOG, messages, settings)


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a part of a config, nothing where it has none."""
    section = config.get(name)
    return section if isinstance(section, dict) else {}


def _messages(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the messages of one file; the last may be cut off, where the logger was stopped."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; a log is two files, *{LOG} and *{INDEX}")
    rest = b""
    for piece in _unpacked(path):
        *whole, rest = (rest + piece).split(END)
        yield from (_parsed(text, path) for text in whole)
        if len(rest) > LONGEST_MESSAGE:
            raise DataError(
                f"{path}: a message of more than {LONGEST_MESSAGE} bytes, expected what Klipper's "
                "data logger writes"
            )


def _unpacked(path: Path) -> Iterator[bytes]:
    """Yield what an archive holds in pieces of a bounded size, as far as it goes."""
    unpacked = zlib.decompressobj(31)
    try:
        with path.open("rb") as file:
            while chunk := unpacked.unconsumed_tail or file.read(CHUNK):
                yield unpacked.decompress(chunk, CHUNK)
            yield unpacked.flush()
    except zlib.error as error:
        raise DataError(f"{path}: the gzip archive is damaged: {error}") from None


def _parsed(text: bytes, path: Path) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise DataError(
            f"{path}: got {text[:40]!r}, expected JSON, as Klipper's data logger writes it"
        ) from None
    if not isinstance(message, dict):
        raise DataError(f"{path}: got {text[:40]!r}, expected a JSON object")
    return message


def _layers(height: Floats, speed: Floats) -> NDArray[np.int32]:
    """Return (N,) layers, from 1 on, of heights in mm and speeds in the plane in mm/s.

    A hop belongs to the layer before it.
    """
    level = np.round(height / LAYER_MM).astype(np.int64)
    levels, inverse = np.unique(level, return_inverse=True)
    moved = np.bincount(inverse, speed)
    number = np.zeros(len(levels), np.int64)
    printed = moved >= LEAST_OF_LAYER * moved.sum()
    number[printed] = np.arange(1, np.count_nonzero(printed) + 1)
    layer = number[inverse]
    latest = np.maximum.accumulate(np.where(layer > 0, np.arange(len(layer)), 0))
    return np.maximum(layer[latest], 1).astype(np.int32)
