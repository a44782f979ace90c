"""The input shaper of a printer: which one each axis has, and what it makes of a command.

Firmware shapes x and y of the tool head, whatever the kinematics: on a CoreXY, too, before the
motors' shares are computed. Knows no printer; a printer has one.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from trajerr.arrays import Floats
from trajerr.checks import is_number, require, require_one_of, require_positive
from trajerr.dynamics.shapers import SHAPERS, Shaper, apply, shaper
from trajerr.motion.trajectory import Trajectory

AXES = ("x", "y")


@dataclass(frozen=True)
class AxisShaper:
    """What one axis is shaped by; plain values as in firmware's own config."""

    type: str  # of SHAPERS
    frequency_hz: float
    damping_ratio: float

    def impulses(self) -> Shaper:
        """Return the shaper that this describes."""
        return shaper(self.type, self.frequency_hz, self.damping_ratio)


@dataclass(frozen=True)
class InputShaper:
    """The shapers of both axes; None leaves an axis as commanded.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    x: AxisShaper | None = None
    y: AxisShaper | None = None

    def __post_init__(self) -> None:
        for axis in AXES:
            _check(f"printer.shaper.{axis}", getattr(self, axis))

    @classmethod
    def read(cls, values: object) -> "InputShaper | None":
        """Return what a config says; None where no axis is shaped.

        Parameters
        ----------
        values
            None, an input shaper, or plain containers: a mapping of ``type``, ``frequency_hz``
            and ``damping_ratio`` by axis.

        Raises
        ------
        ConfigError
            If a key is unknown or missing, or a value is out of range.
        """
        if isinstance(values, cls):
            found = values
        else:
            plain = _mapping("printer.shaper", {} if values is None else values, AXES)
            found = cls(**{axis: _axis(f"printer.shaper.{axis}", plain.get(axis)) for axis in AXES})
        return found if found.x or found.y else None

    @classmethod
    def tuned(cls, name: str, modes: Iterable[tuple[float, float]]) -> Self:
        """Return shapers of one type for the modes of x and y: frequency in Hz, damping ratio."""
        return cls(*(AxisShaper(shaper(name, *mode).name, *mode) for mode in modes))

    @property
    def reach(self) -> float:
        """How far it looks before and behind an instant, s."""
        return max((one.reach for one in self._impulses if one is not None), default=0.0)

    def shape(self, command: Floats, sample_rate: float) -> Floats:
        """Return the shaped command; before and after it the command rests.

        Parameters
        ----------
        command : (N, 2)
            mm.
        sample_rate
            Hz.

        Returns
        -------
        Floats : (N, 2)
            mm.
        """
        if not len(command):
            return command
        columns = [
            column if one is None else apply(one, column, sample_rate)
            for one, column in zip(self._impulses, command.T, strict=True)
        ]
        return np.column_stack(columns)

    def shape_pieces(self, pieces: Iterable[Trajectory]) -> Iterator[tuple[Trajectory, Trajectory]]:
        """Shape a trajectory that comes in pieces, as if it came as a whole.

        Parameters
        ----------
        pieces
            One follows on the other; the first sample of one may repeat the last before it.

        Yields
        ------
        tuple
            Each piece, and the same shaped. A piece is held back until as much of what follows
            is known as the shaper looks ahead.

        Raises
        ------
        ValueError
            If a piece does not follow on the one before.
        """
        known, waiting = _Known(), deque[Trajectory]()
        for piece in pieces:
            known.add(piece)
            waiting.append(piece)
            margin = self._margin(piece.sample_rate)
            while waiting and _end(waiting[0]) + margin <= known.end:
                yield self._shaped(waiting.popleft(), known)
        while waiting:
            yield self._shaped(waiting.popleft(), known)

    def _shaped(self, piece: Trajectory, known: "_Known") -> tuple[Trajectory, Trajectory]:
        margin = self._margin(piece.sample_rate)
        around, own = known.around(piece, margin)
        shaped = piece.with_xy(self.shape(around, piece.sample_rate)[own])
        known.forget(_end(piece) - 1 - margin)
        return piece, shaped

    def _margin(self, sample_rate: float) -> int:
        """Return how many samples it looks ahead, and one more to draw the line to."""
        return int(np.ceil(self.reach * sample_rate)) + 1

    @property
    def _impulses(self) -> tuple[Shaper | None, Shaper | None]:
        return (
            None if self.x is None else self.x.impulses(),
            None if self.y is None else self.y.impulses(),
        )


class _Known:
    """The command that is in memory: samples from ``begin`` to before ``end``."""

    def __init__(self) -> None:
        self.begin, self._xy = 0, np.empty((0, 2))

    @property
    def end(self) -> int:
        return self.begin + len(self._xy)

    def add(self, piece: Trajectory) -> None:
        """Take in a piece."""
        xy = piece.position[:, :2]
        if not len(self._xy):
            self.begin, self._xy = piece.first, xy
            return
        repeated = self.end - piece.first
        if len(piece) and repeated not in (0, 1):
            raise ValueError(
                f"pieces: got one that begins at sample {piece.first}, expected {self.end} or "
                f"{self.end - 1}"
            )
        self._xy = np.concatenate([self._xy, xy[repeated:]])

    def around(self, piece: Trajectory, margin: int) -> tuple[Floats, slice]:
        """Return a piece's command with up to ``margin`` samples on both sides, and its rows."""
        low = max(piece.first - margin, self.begin)
        high = min(_end(piece) + margin, self.end)
        rows = slice(piece.first - low, _end(piece) - low)
        return self._xy[low - self.begin : high - self.begin], rows

    def forget(self, before: int) -> None:
        """Let go of the samples before an index; the last one stays."""
        begin = min(max(before, self.begin), max(self.end - 1, self.begin))
        self.begin, self._xy = begin, self._xy[begin - self.begin :]


def _end(piece: Trajectory) -> int:
    return piece.first + len(piece)


def _check(where: str, given: AxisShaper | None) -> None:
    if given is None:
        return
    require_one_of(f"{where}.type", given.type, SHAPERS)
    require_positive(f"{where}.frequency_hz", given.frequency_hz)
    damping = given.damping_ratio
    holds = is_number(damping) and 0.0 <= damping < 1.0
    require(f"{where}.damping_ratio", damping, holds, "from 0 to below 1")


def _axis(where: str, values: object) -> AxisShaper | None:
    if values is None or isinstance(values, AxisShaper):
        return values
    keys = tuple(f.name for f in fields(AxisShaper))
    plain = _mapping(where, values, keys)
    for key in keys:
        require(where, sorted(plain), key in plain, f"the keys {', '.join(keys)}")
    return AxisShaper(**plain)


def _mapping(where: str, values: object, keys: tuple[str, ...]) -> Mapping[str, Any]:
    expected = f"null or the keys {', '.join(keys)}"
    if not isinstance(values, Mapping):
        require(where, values, False, expected)
        return {}
    for key in values:
        require(f"{where}.{key}", values[key], key in keys, f"none but the keys {', '.join(keys)}")
    return values
