"""A commanded trajectory: where firmware asks the nozzle to be, sampled uniformly."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Trajectory:
    """Commanded motion on the grid ``(first + k) / sample_rate``.

    All arrays have N rows. Derivatives are not stored: features compute them from
    ``position``, the same way for every origin.
    """

    sample_rate: float  # Hz
    first: int  # index of the first sample on the grid of the whole print
    position: NDArray[np.float64]  # (N, 3) mm
    extrusion: NDArray[np.float64]  # (N,) mm of filament as the file wants it, cumulative
    move: NDArray[np.int64]  # (N,) index of the move under way, into Program.moves
    layer: NDArray[np.int32]  # (N,) 1 is the first layer
    feature: NDArray[np.uint8]  # (N,) FeatureType
    kind: NDArray[np.uint8]  # (N,) MoveKind
    nozzle: NDArray[np.float64]  # (N,) °C set-point
    bed: NDArray[np.float64]  # (N,) °C
    fan: NDArray[np.float64]  # (N,) 0..1

    @classmethod
    def of_positions(cls, position: NDArray[np.float64], sample_rate: float) -> Self:
        """Return a trajectory of which no more than positions is known, from time 0 on.

        Parameters
        ----------
        position : (N, 2) or (N, 3)
            mm; without z it runs at z = 0.
        sample_rate
            Hz.
        """
        count = len(position)
        xyz = np.zeros((count, 3))
        xyz[:, : position.shape[1]] = position
        nothing = np.zeros(count)
        return cls(
            sample_rate=sample_rate,
            first=0,
            position=xyz,
            extrusion=nothing,
            move=np.zeros(count, np.int64),
            layer=np.ones(count, np.int32),
            feature=np.zeros(count, np.uint8),
            kind=np.zeros(count, np.uint8),
            nozzle=nothing,
            bed=nothing,
            fan=nothing,
        )

    @classmethod
    def joined(cls, pieces: Sequence[Self]) -> Self:
        """Return pieces that follow one on the other, at least one, as one trajectory."""
        if len(pieces) == 1:
            return pieces[0]
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(piece, name) for piece in pieces]) for name in _COLUMNS
        }
        return replace(pieces[0], **columns)

    def __len__(self) -> int:
        return len(self.move)

    def rows(self, chosen: slice) -> Self:
        """Return samples that follow one on the other; a slice with start and stop, no step."""
        begin, end, _ = chosen.indices(len(self))
        columns: dict[str, Any] = {name: getattr(self, name)[begin:end] for name in _COLUMNS}
        return replace(self, first=self.first + begin, **columns)

    @property
    def time(self) -> NDArray[np.float64]:
        """(N,) s since the print's first move, computed as k / rate."""
        return np.arange(self.first, self.first + len(self)) / self.sample_rate

    def with_xy(self, xy: NDArray[np.float64]) -> Self:
        """Return the same trajectory with other x and y; ``xy`` is (N, 2) mm."""
        return replace(self, position=np.column_stack([xy, self.position[:, 2]]))


_COLUMNS = tuple(f.name for f in fields(Trajectory) if f.name not in ("sample_rate", "first"))
