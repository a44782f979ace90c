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


def lookahead(printer: Printer) -> float:
    """Return how far, s, beyond an instant a printer's motion at it depends on the command."""
    return 0.0 if printer.shaper is None else printer.shaper.reach


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
        What is commanded in place of the plan, in pieces at :func:`simulation_rate`; beyond the
        layer's end as far as the printer's :func:`lookahead`.

    Returns
    -------
    commanded
        N samples at the data rate.
    actual : (N, 2)
        mm, where the nozzle is.
    """
    if commanded is None:
        commanded = layer.pieces(simulation_rate(sample_rate_hz), lookahead(printer))
    coarse, xy = simulate_decimated(printer, commanded, sample_rate_hz, seed=seed)
    first = int(np.searchsorted(coarse.time, layer.begin))
    own = slice(first, int(np.searchsorted(coarse.time, layer.end, side="right")))
    return coarse.rows(own), xy[own]
