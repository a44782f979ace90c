"""Temperatures at the nozzle and between layers, and how well layers bond.

Knows lumped energy balances. Does not know motion beyond height, flow and time. Every formula
and constant is derived or cited in ``docs/physics.md``.
"""

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from trajerr.errors import ConfigError
from trajerr.gcode.program import MoveKind
from trajerr.motion.trajectory import Trajectory

Floats = NDArray[np.float64]

GAS_CONSTANT = 8.314462618  # J/(mol K)
KELVIN = 273.15
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


@dataclass(frozen=True)
class ThermalParameters:
    """Heat in the nozzle, in the part, and at the weld; PLA on an open printer by default.

    Raises
    ------
    ConfigError
        If a value is not positive; the message names the key.
    """

    room_c: float = 25.0
    filament_diameter_mm: float = 1.75
    layer_height_mm: float = 0.2
    density_kg_m3: float = 1240.0
    heat_capacity_j_kg_k: float = 1200.0
    conductivity_w_m_k: float = 0.13
    convection_still_w_m2_k: float = 10.0
    convection_fan_w_m2_k: float = 44.0  # fan at full speed
    radiation_w_m2_k: float = 10.0
    bed_plume_share: float = 0.35  # of the bed's excess temperature in the air around the part
    nozzle_time_s: float = 8.0  # heater block and controller
    nozzle_resistance_k_w: float = 1.5  # from sensor to melt
    glass_transition_c: float = 60.0
    weld_reference_c: float = 130.0
    weld_time_s: float = 0.8  # to full strength at the reference; fitted
    weld_activation_j_mol: float = 40000.0

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if not 0.0 < value < math.inf:
                raise ConfigError(f"printer thermal {f.name}: got {value}, expected above 0")

    @property
    def volumetric_heat(self) -> float:
        """ρ c_p, J/(m³ K)."""
        return self.density_kg_m3 * self.heat_capacity_j_kg_k


def temperatures(
    thermal: ThermalParameters, trajectory: Trajectory, layer_time: float | Floats
) -> tuple[Floats, Floats]:
    """Return temperatures and bonding at each sample.

    Parameters
    ----------
    thermal
        ``printer.thermal``.
    trajectory
        One layer or more, at any sample rate; 100–500 Hz is plenty.
    layer_time
        s, since the spot beneath was printed: how long the layer takes; one number, or (N,).

    Returns
    -------
    Floats
        (N, 3) °C: nozzle (the melt that leaves it), interface (what a bead laid now finds
        beneath it), surface (of the layer being printed, averaged over a layer's time).
    Floats
        (N,) adhesion ratio 0..1: strength of the weld made now over the solid's.
    """
    nozzle = nozzle_temperature(thermal, trajectory)
    between = np.maximum(np.asarray(layer_time, dtype=np.float64), 0.1)
    loss = _surface_loss(thermal, trajectory.fan)
    interface = _found(thermal, trajectory, nozzle, between, loss)
    thickness = thermal.layer_height_mm * 1e-3
    # A bead loses heat upwards to the air and downwards through half its own height.
    cooling = loss + 2.0 * thermal.conductivity_w_m_k / thickness
    decay = thermal.volumetric_heat * thickness / cooling
    share = decay / between * -np.expm1(-between / decay)
    surface = interface + (nozzle - interface) * share
    adhesion = _healed(thermal, 0.5 * (nozzle + interface), interface, decay, between)
    return np.column_stack([nozzle, interface, surface]), adhesion


def nozzle_temperature(thermal: ThermalParameters, trajectory: Trajectory) -> Floats:
    """Return (N,) °C of the melt: the set-point, late by the heater, less what flow draws.

    Heating a flow Q takes ``ρ c_p Q (T − T_room)``; it drops across the resistance from
    sensor to melt.
    """
    area = 0.25 * np.pi * thermal.filament_diameter_mm**2
    fed = np.diff(trajectory.extrusion, prepend=trajectory.extrusion[:1])
    printing = trajectory.kind == MoveKind.PRINT
    flow = np.where(printing, np.maximum(fed, 0.0), 0.0) * trajectory.sample_rate * area  # mm³/s
    excess = trajectory.nozzle - thermal.room_c
    power = thermal.volumetric_heat * 1e-9 * flow * excess
    keep = math.exp(-1.0 / (thermal.nozzle_time_s * trajectory.sample_rate))
    settled = trajectory.nozzle - thermal.nozzle_resistance_k_w * power
    # It starts as if the layer's mean flow had gone on before.
    start = trajectory.nozzle[0] - thermal.nozzle_resistance_k_w * float(np.mean(power))
    melt, _ = lfilter([1.0 - keep], [1.0, -keep], settled, zi=[keep * start])
    return np.asarray(melt)


def _surface_loss(thermal: ThermalParameters, fan: Floats) -> Floats:
    """Return (N,) W/(m² K) to the air, convection and radiation."""
    still, blown = thermal.convection_still_w_m2_k, thermal.convection_fan_w_m2_k
    return still + (blown - still) * fan + thermal.radiation_w_m2_k


def _found(
    thermal: ThermalParameters,
    trajectory: Trajectory,
    nozzle: Floats,
    between: Floats,
    loss: Floats,
) -> Floats:
    """Return (N,) °C of the top of the stack when the next bead arrives.

    The balance over one layer's time: fresh material brings heat ``ρ c_p d / t`` from the
    nozzle, the air takes ``loss``, the bed gives or takes ``k / z`` through what is printed.
    """
    air = thermal.room_c + thermal.bed_plume_share * (trajectory.bed - thermal.room_c)
    height = np.maximum(_layer_height(trajectory), thermal.layer_height_mm) * 1e-3
    fresh = thermal.volumetric_heat * thermal.layer_height_mm * 1e-3 / between
    bed = thermal.conductivity_w_m_k / height
    total = fresh * nozzle + loss * air + bed * trajectory.bed
    return np.asarray(total / (fresh + loss + bed))


def _layer_height(trajectory: Trajectory) -> Floats:
    """Return (N,) mm, where each sample's layer is printed: hops and travels do not count."""
    z = trajectory.position[:, 2]
    printing = trajectory.kind == MoveKind.PRINT
    height = z.copy()
    for layer in np.unique(trajectory.layer):
        own = trajectory.layer == layer
        height[own] = np.median(z[own & printing]) if np.any(own & printing) else np.min(z[own])
    return height


def _healed(
    thermal: ThermalParameters, contact: Floats, final: Floats, decay: Floats, between: Floats
) -> Floats:
    """Return (N,) degree of healing ``(∫ dt / t_w(T))^¼`` above glass transition, at most 1.

    The interface cools from the contact temperature towards the stack's with time constant
    ``decay``; t_w follows Arrhenius (Wool and O'Connor, J. Appl. Phys. 52:5953, 1981).
    """
    # Gauss-Legendre in u = exp(−t/decay), the cooling itself: dt = −decay du/u.
    excess = np.maximum(contact - final, 1e-9)
    lowest = np.exp(-between / decay)
    glassy = (thermal.glass_transition_c - final) / excess
    lowest = np.clip(np.maximum(lowest, glassy), 1e-12, 1.0)
    span = -np.log(lowest)
    reference = thermal.weld_reference_c + KELVIN
    scale = thermal.weld_activation_j_mol / GAS_CONSTANT
    total = np.zeros_like(final)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        u = np.exp(-span * 0.5 * (1.0 + node))
        kelvin = final + excess * u + KELVIN
        rate = np.exp(scale * (1.0 / reference - 1.0 / kelvin)) / thermal.weld_time_s
        total += 0.5 * weight * rate
    return np.asarray(np.minimum((total * span * decay) ** 0.25, 1.0))
