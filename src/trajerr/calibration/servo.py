"""An axis with what a log shows beside the printer's plant: delay, drag, an offset.

    m ẍ = k (r_d − x) + c (ṙ_d − ẋ) − d ẋ − F_c tanh(ẋ / v_s),   measured = x + offset

with r_d the command, late by a delay. Drag d acts on the absolute velocity: viscous friction
in guides, or the velocity loop of a servo without feed-forward. The plant is given none:
with ``C = c + d`` the right side is ``k (r' − x) + C (ṙ' − ẋ) − F_c …`` for a command
``r' = (c s + k) / (C s + k) r_d``, a filter of first order. A drive whose velocity loop has an
integral is :mod:`trajerr.calibration.drive`'s.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import lfilter

from trajerr.arrays import Floats
from trajerr.calibration.drive import drive_positions
from trajerr.calibration.stretches import Stretch
from trajerr.dynamics.axis import AxisParameters
from trajerr.dynamics.input_shaper import AxisShaper
from trajerr.dynamics.plant import SIMULATION_RATE_HZ, PlantState, simulate
from trajerr.dynamics.printer import Printer
from trajerr.motion.trajectory import Trajectory


@dataclass(frozen=True)
class Servo:
    """What describes one axis in a log."""

    natural_freq_hz: float
    damping_ratio: float  # of c and d together
    friction_mm_s2: float = 0.0  # F_c / m
    delay_s: float = 0.0  # from command to motion, of the log's clock too
    drag_share: float = 0.0  # d / (c + d)
    offset_mm: float = 0.0  # of the measurement, or a constant force over the stiffness
    integral_per_s: float = 0.0  # of the drive's velocity loop, over its gain; 0: it has none

    def axis(self, base: AxisParameters) -> AxisParameters:
        """Return the axis as the plant knows it, of the base's mass; without drag or delay."""
        omega = 2.0 * math.pi * self.natural_freq_hz
        return replace(
            base,
            stiffness_n_per_m=base.mass_kg * omega**2,
            damping_n_s_per_m=2.0 * self.damping_ratio * omega * base.mass_kg,
            coulomb_n=base.mass_kg * self.friction_mm_s2 / 1000.0,
            viscous_n_s_per_m=0.0,
            delay_s=0.0,
        )


def predict_error(
    servo: Servo,
    stretch: Stretch,
    base: Printer,
    axis: str,
    start: tuple[float, float] = (0.0, 0.0),
) -> Floats:
    """Return the error that the axis makes on a stretch, by the simulated plant.

    Parameters
    ----------
    servo
        The axis.
    stretch
        Its command; the simulation starts from its first measured position and speed.
    base
        Gives mass, belt and input shaper, through which the log's command goes; of its effects
        belt and friction act, where it has them.
    axis
        "x" or "y".
    start
        Corrections of that first position (mm) and speed (mm/s).

    Returns
    -------
    Floats : (N,)
        mm, at the stretch's samples.
    """
    times_finer = max(1, math.ceil(SIMULATION_RATE_HZ / stretch.sample_rate))
    rate = times_finer * stretch.sample_rate
    count = (len(stretch.time) - 1) * times_finer + 1
    time = stretch.time[0] + np.arange(count) / rate
    shaper = None if base.shaper is None else getattr(base.shaper, axis)
    late = _shaped(shaper, stretch, time - servo.delay_s)
    position = float(stretch.measured[0]) - servo.offset_mm + start[0]
    moving = np.array([position, stretch.start_speed + start[1]])
    if servo.integral_per_s > 0.0:
        actual = drive_positions(late, rate, _loop(servo), moving)[::times_finer]
        return np.asarray(actual + servo.offset_mm - stretch.commanded)
    command = _dragged(servo, late, rate)
    state = PlantState(0, np.full(2, command[0]), np.full(2, command[0]), *_start(moving))
    plant = _plant(servo, base, axis)
    both = Trajectory.of_positions(np.column_stack([command, command]), rate)
    actual = simulate(plant, both, seed=0, state=state).xy[::times_finer, 0]
    return np.asarray(actual + servo.offset_mm - stretch.commanded)


def _loop(servo: Servo) -> tuple[float, float, float, float, float]:
    damped, rubs = servo.damping_ratio, float(servo.friction_mm_s2)
    return servo.natural_freq_hz, damped, servo.integral_per_s, float(servo.drag_share), rubs


def _start(moving: Floats) -> tuple[Floats, Floats, int]:
    return np.array([moving, moving]), np.zeros(2), 0


def _plant(servo: Servo, base: Printer, axis: str) -> Printer:
    """Return a printer whose axes both are this one."""
    effects = [e for e in ("belt", "friction") if base.has(e) and base.kinematics == "cartesian"]
    effects = sorted({*effects, "friction"})
    same = servo.axis(getattr(base, axis))
    return replace(
        base,
        x=same,
        y=same,
        kinematics="cartesian",
        belt_imbalance=0.0,
        effects=tuple(effects),
        shaper=None,
    )


def _shaped(shaper: AxisShaper | None, stretch: Stretch, time: Floats) -> Floats:
    """Return what motors are told at some times (M,) s.

    A shaper looks beyond the stretch; there the axis is taken to move on as it did at its end.
    """
    if shaper is None:
        return stretch.command_at(time)
    impulses, end = shaper.impulses(), float(stretch.time[-1])
    wanted = time - impulses.times[:, None]
    slope = np.diff(stretch.commanded[-2:])[0] / np.diff(stretch.time[-2:])[0]
    told = stretch.command_at(np.minimum(wanted, end)) + slope * np.maximum(wanted - end, 0.0)
    return np.asarray(impulses.amplitudes @ told)


def _dragged(servo: Servo, command: Floats, rate: float) -> Floats:
    """Return r' of the module's docstring, exact for a command straight between samples."""
    if servo.drag_share == 0.0:
        return command
    lag = servo.damping_ratio / (math.pi * servo.natural_freq_hz)  # C / k, s
    keep = math.exp(-1.0 / (rate * lag))
    late = rate * lag * (1.0 - keep)
    origin = command[0]
    slow = lfilter([1.0 - late, late - keep], [1.0, -keep], command - origin) + origin
    dragged: Floats = command + servo.drag_share * (slow - command)
    return dragged
