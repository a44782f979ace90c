"""Commanded trajectories for the tests, and printers as shipped."""

from dataclasses import fields, replace

import numpy as np
from hydra.utils import instantiate
from omegaconf import OmegaConf

from tests.paths import CONF
from trajerr.dynamics.printer import Printer
from trajerr.gcode.program import MoveKind
from trajerr.motion.trajectory import Trajectory

PRINTERS = CONF / "printer"


def load_printer(name: str = "ender3_v2") -> Printer:
    return instantiate(OmegaConf.load(PRINTERS / f"{name}.yaml"))


def trajectory(xy, sample_rate, first=0, **columns) -> Trajectory:
    """Command (N, 2) mm in layer 10 at a height of 2 mm, printing PLA at 210 °C."""
    count = len(xy)
    given = {
        "z": 2.0,
        "layer": 10,
        "nozzle": 210.0,
        "bed": 60.0,
        "fan": 1.0,
        "feed": 0.03,
        **columns,
    }
    full = {key: np.broadcast_to(np.asarray(value), count) for key, value in given.items()}
    distance = np.hypot(*np.diff(xy, axis=0, prepend=xy[:1]).T)
    return Trajectory(
        sample_rate=sample_rate,
        first=first,
        position=np.column_stack([xy, full["z"]]),
        extrusion=np.cumsum(distance * full["feed"]),
        move=np.zeros(count, dtype=np.int64),
        layer=full["layer"].astype(np.int32),
        feature=np.ones(count, dtype=np.uint8),
        kind=np.full(count, MoveKind.PRINT, dtype=np.uint8),
        nozzle=full["nozzle"].astype(np.float64),
        bed=full["bed"].astype(np.float64),
        fan=full["fan"].astype(np.float64),
    )


def piece(whole: Trajectory, start: int, stop: int | None) -> Trajectory:
    """Cut samples out of a trajectory."""
    arrays = {
        f.name: getattr(whole, f.name)[start:stop]
        for f in fields(whole)
        if f.name not in ("sample_rate", "first")
    }
    return replace(whole, first=whole.first + start, **arrays)


def wandering(sample_rate, seconds=3.0, *, seed=0, jump=8.0, pause=0.11):
    """(N, 2) mm: straight stretches of velocity with jumps between them, exact at any rate.

    Reverses, rests and starts again as a print does.
    """
    random = np.random.default_rng(seed)
    knots = np.arange(0.0, seconds + 2 * pause, pause)
    knots[1:] += random.uniform(-0.01, 0.01, len(knots) - 1)
    velocity = np.clip(random.normal(0.0, 60.0, (len(knots), 2)), -140.0, 140.0)
    velocity[random.random(len(knots)) < 0.3] = 0.0
    leaving = velocity + random.normal(0.0, jump, velocity.shape)
    time = np.arange(round(seconds * sample_rate) + 1) / sample_rate
    index = np.clip(np.searchsorted(knots, time, side="right") - 1, 0, len(knots) - 2)
    length = np.diff(knots)[:, None]
    way = 0.5 * (leaving[:-1] + velocity[1:]) * length
    begin = np.vstack([np.zeros((1, 2)), np.cumsum(way, axis=0)])
    since = (time - knots[index])[:, None]
    slope = (velocity[1:] - leaving[:-1]) / length
    return 110.0 + begin[index] + leaving[index] * since + 0.5 * slope[index] * since**2
