"""How a sensor sits on a machine: its direction and scale along each axis, and gravity.

Where an axis lies in a sensor is found by least squares of the sensor's values on the expected
accelerations, in a band where every machine follows its command: the plan has no noise that could
shrink it. An axis' weights turn the values into the acceleration along that axis alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajerr.arrays import Floats
from trajerr.errors import DataError
from trajerr.recordings.estimates import Estimate, quantile
from trajerr.recordings.signals import EVEN_HZ, filtered

MOUNTING_BAND_HZ = (2.0, 9.0)
MOVES_WITH = 0.3  # of its scale along one axis, from which on a sensor moves with the other, too
BLOCKS = 10  # of the recording, each left out once for the intervals
LEAST_EXPLAINED = 0.3  # of an axis' motion in the band
SCALES = (0.5, 2.0)  # sensors are off by up to 15 %; beyond these it is a wrong unit
STANDARD_GRAVITY = 9806.65  # mm/s²


@dataclass(frozen=True)
class Mount:
    """One printer axis as a sensor feels it."""

    sensor: str  # the recording's name
    weights: tuple[Estimate, Estimate, Estimate]  # acceleration = Σ weight · value
    scale: Estimate  # what the sensor says over what is
    turned_deg: Estimate  # between the printer's axis and the nearest of the sensor's
    nearest: str  # that one: "x", "-z", …
    explained: float  # share of the axis' expected motion, 2 to 9 Hz, that the sensor shows
    gravity_mm_s2: Estimate  # as the sensor reads it, divided by its scale along this axis
    upright_deg: float  # between this axis and gravity: 90 for a level printer

    @property
    def direction(self) -> Floats:
        """(3,) the weights as numbers."""
        return np.array([weight.value for weight in self.weights])

    def to_dict(self) -> dict[str, Any]:
        """Return what a report says."""
        return {
            "sensor": self.sensor,
            "weights": [weight.to_dict() for weight in self.weights],
            "scale": self.scale.to_dict(),
            "turned_deg": self.turned_deg.to_dict(),
            "nearest": self.nearest,
            "explained": self.explained,
            "gravity_mm_s2": self.gravity_mm_s2.to_dict(),
            "upright_deg": self.upright_deg,
        }


def find_mount(
    felt: Floats,
    expected: Floats,
    measured: NDArray[np.bool_],
    axis: int,
    mean: Floats,
    name: str,
) -> Mount:
    """Find one axis' weights.

    Parameters
    ----------
    felt : (M, 3)
        mm/s², of the sensor, without gravity, on the plan's grid at EVEN_HZ.
    expected : (M, 2)
        mm/s², of both axes.
    measured : (M,)
        Where the sensor has samples.
    axis
        0 for x, 1 for y.
    mean : (3,)
        mm/s², of the sensor: gravity.
    name
        For messages.

    Raises
    ------
    DataError
        The sensor does not move with this axis, or its unit is off.
    """
    signal = filtered(felt, EVEN_HZ, *MOUNTING_BAND_HZ)
    plan = filtered(expected, EVEN_HZ, *MOUNTING_BAND_HZ)
    rows = np.flatnonzero(measured)
    signal, plan = signal[rows], plan[rows]
    lies = _directions(signal, plan)
    shares = [_share(signal, plan, each) for each in range(2)]
    _require_moving(shares, axis, name)
    blocks = np.array_split(np.arange(len(rows)), BLOCKS)
    without = [
        _directions(np.delete(signal, block, axis=0), np.delete(plan, block, axis=0))
        for block in blocks
    ]

    def interval(of: Callable[[Floats], float]) -> Estimate:
        return _jackknife(of(lies), np.array([of(left_out) for left_out in without]))

    def scale_of(directions: Floats) -> float:
        return float(np.linalg.norm(directions[axis]))

    scale = interval(scale_of)
    if not SCALES[0] <= scale.value <= SCALES[1]:
        raise DataError(
            f"{name}: along {'xy'[axis]} it reads {scale.value:.3g} times what the plan lets "
            f"expect, expected {SCALES[0]:g} to {SCALES[1]:g}; is the unit of acceleration right?"
        )
    own = lies[axis]
    largest = int(np.argmax(np.abs(own)))
    return Mount(
        sensor=name,
        weights=tuple(interval(lambda d, i=i: float(_weights(d, axis)[i])) for i in range(3)),  # type: ignore[arg-type, misc]
        scale=scale,
        turned_deg=interval(lambda d: _turned(d[axis])),
        nearest=("-" if own[largest] < 0.0 else "") + "xyz"[largest],
        explained=shares[axis],
        gravity_mm_s2=interval(lambda d: float(np.linalg.norm(mean)) / scale_of(d)),
        upright_deg=_angle(own, mean),
    )


def _directions(signal: Floats, plan: Floats) -> Floats:
    """Return (2, 3) what a sensor reads for unit acceleration along x and along y."""
    return np.asarray(np.linalg.lstsq(plan, signal, rcond=None)[0])


def _weights(directions: Floats, axis: int) -> Floats:
    """Return (3,) weights that give an axis' acceleration, free of the other's if it moves there.

    What little a sensor on one axis feels of the other is sway, whose direction says nothing.
    """
    own, other = directions[axis], directions[1 - axis]
    if np.linalg.norm(other) < MOVES_WITH * np.linalg.norm(own):
        return np.asarray(own / (own @ own))
    return np.asarray(np.linalg.pinv(directions)[:, axis])


def _share(signal: Floats, plan: Floats, axis: int) -> float:
    """Return the share of an axis' expected motion that the sensor's values explain."""
    total = float(np.sum(plan[:, axis] ** 2))
    if total == 0.0:
        return 0.0
    weights = np.linalg.lstsq(signal, plan[:, axis], rcond=None)[0]
    return 1.0 - float(np.sum((plan[:, axis] - signal @ weights) ** 2)) / total


def _require_moving(shares: list[float], axis: int, name: str) -> None:
    if shares[axis] < LEAST_EXPLAINED:
        wanted, other = "xy"[axis], "yx"[axis]
        raise DataError(
            f"{name}: it shows {100.0 * shares[axis]:.0f} % of the motion along {wanted} and "
            f"{100.0 * shares[1 - axis]:.0f} % of that along {other}, expected at least "
            f"{100.0 * LEAST_EXPLAINED:.0f} % along {wanted}; is it the recording of {wanted}?"
        )


def _jackknife(value: float, left_out: Floats) -> Estimate:
    """Return a 95 % interval from values with one block left out each (Tukey, 1958)."""
    count = len(left_out)
    spread = np.sqrt((count - 1) / count * np.sum((left_out - left_out.mean()) ** 2))
    reach = quantile(count - 1) * float(spread)
    return Estimate(value, value - reach, value + reach)


def _turned(own: Floats) -> float:
    """Return the angle to the nearest sensor axis, degrees."""
    nearest = np.eye(3)[int(np.argmax(np.abs(own)))]
    angle = _angle(own, nearest)
    return min(angle, 180.0 - angle)


def _angle(first: Floats, second: Floats) -> float:
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    if lengths == 0.0:
        return float("nan")
    return float(np.degrees(np.arccos(np.clip(first @ second / lengths, -1.0, 1.0))))
