"""Shapers designed for a printer's own modes, as its owner would set them in firmware."""

from trajerr.dynamics.input_shaper import InputShaper
from trajerr.dynamics.printer import Printer
from trajerr.motion.trajectory import Trajectory


def designed_shaper(printer: Printer, name: str) -> InputShaper:
    """Return shapers of one of ``SHAPERS``, tuned to a printer's natural frequencies.

    Raises
    ------
    ConfigError
        If there is no such shaper.
    """
    modes = [(axis.natural_freq_hz, axis.damping_ratio) for axis in (printer.x, printer.y)]
    return InputShaper.tuned(name, modes)


def shape_trajectory(trajectory: Trajectory, printer: Printer, name: str) -> Trajectory:
    """Return the trajectory shaped for the printer's natural frequencies; "none" shapes nothing.

    Parameters
    ----------
    trajectory
        Finely sampled.
    printer
        The printer that firmware believes to drive; its own shaper does not act here.
    name
        One of ``SHAPERS`` or "none".
    """
    if name.lower() == "none":
        return trajectory
    shaper = designed_shaper(printer, name)
    return trajectory.with_xy(shaper.shape(trajectory.position[:, :2], trajectory.sample_rate))
