"""One layer on the simulated machine, in the state that the print so far leaves behind."""

from collections.abc import Iterable

import numpy as np

from trajerr.arrays import Floats
from trajerr.dynamics.plant import SIMULATION_RATE_HZ, simulate_decimated
from trajerr.dynamics.printer import Printer
from trajerr.motion.lead_in import LayerMotion
from trajerr.motion.trajectory import Trajectory


def simulation_rate(sample_rate_hz: float) -> float:
    """Return the least multiple of a sample rate, Hz, that the plant may be simulated at."""
    return float(np.ceil(SIMULATION_RATE_HZ / sample_rate_hz) * sample_rate_hz)


def simulate_layer(
    printer: Printer,
    layer: LayerMotion,
    sample_rate_hz: float,
    *,
    seed: int,
    commanded: Iterable[Trajectory] | None = None,
) -> tuple[Trajectory, Floats]:
    """Simulate a layer after its lead-in, which is left out of what comes back.

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
        What motors are told in place of the plan, in pieces at :func:`simulation_rate`.

    Returns
    -------
    commanded
        N samples at the data rate.
    actual : (N, 2)
        mm, where the nozzle is.
    """
    pieces = layer.pieces(simulation_rate(sample_rate_hz)) if commanded is None else commanded
    coarse, xy = simulate_decimated(printer, pieces, sample_rate_hz, seed=seed)
    own = slice(int(np.searchsorted(coarse.time, layer.begin)), None)
    return coarse.rows(own), xy[own]
