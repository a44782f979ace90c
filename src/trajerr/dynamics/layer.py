"""One layer on the simulated machine, in the state that the print so far leaves behind."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from trajerr.arrays import Floats
from trajerr.dynamics.plant import SIMULATION_RATE_HZ, simulate_decimated
from trajerr.dynamics.printer import Printer
from trajerr.motion.lead_in import LayerMotion
from trajerr.motion.trajectory import Trajectory


def simulation_rate(sample_rate_hz: float) -> float:
    """Return the least multiple of a sample rate, Hz, that the plant may be simulated at."""
    return float(np.ceil(SIMULATION_RATE_HZ / sample_rate_hz) * sample_rate_hz)


def lookahead(printer: Printer) -> float:
    """Return how far, s, beyond an instant a printer's motion at it depends on the command."""
    return 0.0 if printer.shaper is None else printer.shaper.reach


@dataclass(frozen=True)
class SimulatedLayer:
    """A layer with the lead-in before it, at the data rate; N samples."""

    commanded: Trajectory
    actual: Floats  # (N, 2) mm, where the nozzle is
    context: int  # samples of the lead-in, which come first

    @property
    def error(self) -> Floats:
        """(N, 2) mm, actual − commanded at equal times."""
        return self.actual - self.commanded.position[:, :2]


def simulate_layer(
    printer: Printer,
    layer: LayerMotion,
    sample_rate_hz: float,
    *,
    seed: int,
    commanded: Iterable[Trajectory] | None = None,
) -> SimulatedLayer:
    """Simulate a layer and the lead-in before it, which begins at rest.

    Parameters
    ----------
    printer
        The plant.
    layer
        A layer of a plan.
    sample_rate_hz
        Of what comes back.
    seed
        Of timing jitter.
    commanded
        What is commanded in place of the plan, in pieces at :func:`simulation_rate`; beyond the
        layer's end as far as the printer's :func:`lookahead`.
    """
    if commanded is None:
        commanded = layer.pieces(simulation_rate(sample_rate_hz), lookahead(printer))
    coarse, xy = simulate_decimated(printer, commanded, sample_rate_hz, seed=seed)
    first = int(np.searchsorted(coarse.time, layer.begin))
    own = slice(0, int(np.searchsorted(coarse.time, layer.end, side="right")))
    return SimulatedLayer(coarse.rows(own), xy[own], first)
