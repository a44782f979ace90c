"""Where a printer's error comes from: its RMS, effect by effect.

Effects interact, friction above all, so shares depend on the order in which effects are
switched on. The order here is that of :data:`~trajerr.dynamics.printer.EFFECTS`, after the
linear part: each effect's share is what it adds to those before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajerr.dynamics.plant import simulate
from trajerr.dynamics.printer import Printer
from trajerr.motion.trajectory import Trajectory

LINEAR = "linear"
UM_PER_MM = 1000.0


@dataclass(frozen=True)
class ErrorSources:
    """RMS of the error vector by source, mm; squares and ``cross`` add up to the total's."""

    added: dict[str, float]  # RMS of what a source adds to those before it
    without: dict[str, float]  # RMS of the whole error with the source switched off
    total: float
    cross: float  # mm², twice the mean products of different shares

    @property
    def quadrature(self) -> float:
        """RMS that the sources would have if they were independent, mm."""
        return float(np.sqrt(sum(value**2 for value in self.added.values())))


def average(each: Sequence[ErrorSources]) -> ErrorSources:
    """Return the mean over several prints, in squares; they add up as each one's do."""
    return ErrorSources(
        added=_mean_by_name([one.added for one in each]),
        without=_mean_by_name([one.without for one in each]),
        total=_quadratic_mean([one.total for one in each]),
        cross=float(np.mean([one.cross for one in each])),
    )


def _mean_by_name(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: _quadratic_mean([row[name] for row in rows]) for name in rows[0]}


def _quadratic_mean(values: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def as_report(sources: ErrorSources) -> dict[str, Any]:
    """Return the split in µm, JSON-ready."""
    return {
        "added_rms_um": {name: UM_PER_MM * value for name, value in sources.added.items()},
        "without_rms_um": {name: UM_PER_MM * value for name, value in sources.without.items()},
        "quadrature_rms_um": UM_PER_MM * sources.quadrature,
        "cross_term_um2": UM_PER_MM**2 * sources.cross,
        "total_rms_um": UM_PER_MM * sources.total,
    }


def from_report(report: Mapping[str, Any]) -> ErrorSources:
    """Return the split that :func:`as_report` wrote."""
    return ErrorSources(
        added={name: value / UM_PER_MM for name, value in report["added_rms_um"].items()},
        without={name: value / UM_PER_MM for name, value in report["without_rms_um"].items()},
        total=report["total_rms_um"] / UM_PER_MM,
        cross=report["cross_term_um2"] / UM_PER_MM**2,
    )


def split_error(printer: Printer, trajectory: Trajectory, *, seed: int = 0) -> ErrorSources:
    """Split the tracking error of a trajectory by switching effects on one by one.

    Parameters
    ----------
    printer
        Its enabled effects are split.
    trajectory
        Sampled finely.
    seed
        Of the timing jitter.
    """
    nominal = trajectory.position[:, :2]
    before = np.zeros_like(nominal)
    added = {}
    for count, name in enumerate((LINEAR, *printer.effects)):
        partial = printer.only(*printer.effects[:count])
        error = simulate(partial, trajectory, seed=seed).xy - nominal
        added[name] = _rms(error - before)
        before = error
    without = {
        name: _rms(simulate(printer.without(name), trajectory, seed=seed).xy - nominal)
        for name in printer.effects
    }
    total = _rms(before)
    cross = total**2 - sum(value**2 for value in added.values())
    return ErrorSources(added, without, total, cross)


def _rms(error: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.sum(error**2, axis=1))))
