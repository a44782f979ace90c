from collections.abc import Callable, Sequence

import numpy as np
import pytest

from trajerr.gcode.program import LimitSettings, Moves, Program

Build = Callable[..., Program]


def build_program(
    points: Sequence[Sequence[float]],
    feedrate: float | Sequence[float] = 60.0,
    **columns: object,
) -> Program:
    """A program of straight moves through ``points`` (x y z e, mm) at a feedrate in mm/s."""
    path = np.array(points, dtype=float)
    n = len(path) - 1
    change = np.diff(path, axis=0)
    in_plane = np.abs(change[:, :3]).any(axis=1)
    kind = np.where(change[:, 3] != 0, np.where(in_plane, 0, 2), 1).astype(np.uint8)
    arrays = {
        "start": path[:-1],
        "end": path[1:],
        "center": np.full((n, 2), np.nan),
        "sweep": np.zeros(n),
        "feedrate": np.broadcast_to(np.asarray(feedrate, dtype=float), (n,)),
        "kind": kind,
        "feature": np.ones(n, dtype=np.uint8),
        "layer": np.ones(n, dtype=np.int32),
        "line": np.arange(n),
        "settings": np.zeros(n, dtype=np.int32),
        "pause": np.zeros(n),
        "stop": np.zeros(n, dtype=bool),
        "origin": np.zeros((n, 4)),
        "absolute": np.ones((n, 2), dtype=bool),
        "unit": np.ones(n),
        "flow": np.ones(n),
        "whole": np.zeros(n, dtype=bool),
        "nozzle": np.full(n, 210.0),
        "bed": np.full(n, 60.0),
        "fan": np.zeros(n),
    }
    settings = columns.pop("settings_states", (LimitSettings(),))
    arrays |= {name: np.asarray(value) for name, value in columns.items()}
    arrays.setdefault("offset", arrays["center"] - path[:-1, :2])
    moves = Moves(**arrays)
    layers = int(moves.layer.max())
    return Program(
        name="built.gcode",
        text=b"\n" * n,
        line_starts=np.arange(n + 1),
        moves=moves,
        settings=settings,
        slicer={},
        generator="",
        layer_z=np.concatenate([[np.nan], 0.2 * np.arange(1, layers + 1)]),
        sha256="",
    )


@pytest.fixture(scope="session")
def build() -> Build:
    return build_program
