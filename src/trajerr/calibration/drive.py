"""An axis in the loop of a drive that closes it itself, with an integral in the velocity loop.

    u = k_p (r_d − x) + (1 − q) ṙ_d − ẋ,    ẍ = k_v (u + k_i ∫ u dt) − (F_c / m) sign(ẋ)

Without integral it is the mass on a spring of :mod:`trajerr.calibration.servo`, with
``ω_n² = k_v k_p``, ``2 ζ ω_n = k_v`` and q the share of drag. The integral takes up friction, which
the mass on a spring shows as a constant error. Cascade of a position loop around a PI velocity
loop: Groß, Hamann, Wiegärtner, Electrical Feed Drives in Automation, 2001.
"""

import math

import numpy as np

from trajerr.arrays import Floats
from trajerr.dynamics.compiled import compiled


def drive_positions(
    command: Floats,
    sample_rate: float,
    loop: tuple[float, float, float, float, float],
    start: Floats,
) -> Floats:
    """Return where a drive takes the axis.

    Parameters
    ----------
    command : (N,)
        mm, already late; evenly sampled, fast against the loop.
    sample_rate
        Hz.
    loop
        Natural frequency (Hz) and damping ratio without integral, k_i (1/s), q, and Coulomb
        friction over mass (mm/s²).
    start : (2,)
        Position (mm) and speed (mm/s) at the first sample; the integral is empty.

    Returns
    -------
    Floats : (N,)
        mm.
    """
    natural_freq_hz, damping_ratio, integral_gain, drag_share, friction = loop
    omega = 2.0 * math.pi * natural_freq_hz
    gains = (2.0 * damping_ratio * omega, omega / (2.0 * damping_ratio), integral_gain)
    speed = (1.0 - drag_share) * np.gradient(command, 1.0 / sample_rate)
    found: Floats = _close_loop(command, speed, gains, friction, 1.0 / sample_rate, start)
    return found


@compiled
def _close_loop(
    command: Floats,
    speed: Floats,
    gains: tuple[float, float, float],
    friction: float,
    step: float,
    start: Floats,
) -> Floats:
    """Integrate with semi-implicit Euler steps; friction holds what it can within a step."""
    velocity_gain, position_gain, integral_gain = gains
    position, velocity, held = start[0], start[1], 0.0
    actual = np.empty(len(command))
    for i in range(len(command)):
        actual[i] = position
        wanted = position_gain * (command[i] - position) + speed[i] - velocity
        held += velocity_gain * integral_gain * wanted * step
        free = velocity + (velocity_gain * wanted + held) * step
        velocity = np.sign(free) * max(abs(free) - friction * step, 0.0)
        position += velocity * step
    return actual
