"""Machines of few parts, for tests that need no shipped one."""

from collections.abc import Sequence
from typing import Any

from trajerr.dynamics.axis import AxisParameters
from trajerr.motion.limits import MachineLimits


def simple_axis(
    mass_kg: float, stiffness_n_per_m: float, damping_n_s_per_m: float, **own: Any
) -> AxisParameters:
    """An axis that is a mass on a spring, unless told more."""
    unused = {
        "friction_velocity_mm_s": 1e-4,
        "belt_start_mm": -60.0,
        "belt_end_mm": 290.0,
        "microstep_mm": 0.0125,
        "jitter_memory_s": 0.02,
    }
    return AxisParameters(mass_kg, stiffness_n_per_m, damping_n_s_per_m, **(unused | own))


def simple_limits(
    max_velocity_mm_s: Sequence[float], max_acceleration_mm_s2: Sequence[float], **own: Any
) -> MachineLimits:
    """The limits of a slow machine with Marlin, unless told more."""
    slow = {
        "print_acceleration_mm_s2": 500.0,
        "travel_acceleration_mm_s2": 500.0,
        "retract_acceleration_mm_s2": 1000.0,
        "firmware": "marlin_estimated",
    }
    return MachineLimits(max_velocity_mm_s, max_acceleration_mm_s2, **(slow | own))
