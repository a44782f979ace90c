"""Temperatures at the nozzle and between layers, and how well layers bond.

Knows lumped energy balances. Does not know motion beyond height, flow and time. Every formula
and constant is derived or cited in ``docs/physics.md``.
"""

import math
from dataclasses import dataclass, fields

import numpy as np

from trajerr.arrays import Floats
from trajerr.checks import require, require_positive
from trajerr.dynamics import kernel
from trajerr.dynamics.normal import probability
from trajerr.gcode.program import MoveKind
from trajerr.motion.trajectory import Trajectory

WLF_C1, WLF_C2 = 17.44, 51.6  # universal constants of Williams, Landel and Ferry; 1, K
CHAIN_EXPONENT = 4.0  # relaxation of PLLA goes with M^4: Cooper-White and Mackay (1999)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


@dataclass(frozen=True)
class ThermalParameters:
    """Heat around the part, in the nozzle and in the material, which by default is PLA.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    room_c: float
    bed_air_share: float  # of the bed's excess over the room in the air around the part
    convection_still_w_m2_k: float  # fan off
    convection_fan_w_m2_k: float  # fan at full speed
    nozzle_time_s: float  # time constant of heater block and controller
    nozzle_resistance_k_w: float  # from sensor to melt
    radiation_w_m2_k: float = 10.0  # linearised, 4 ε σ T³ at 365 K, ε = 0.9
    layer_height_mm: float = 0.2
    filament_diameter_mm: float = 1.75
    density_kg_m3: float = 1240.0  # PLA, as the next three; data sheets of common grades
    heat_capacity_j_kg_k: float = 1200.0
    conductivity_w_m_k: float = 0.13
    glass_transition_c: float = 60.0
    polydispersity: float = 1.8  # M_w / M_n of extruded PLA
    weld_reference_c: float = 130.0
    weld_time_s: float = 0.03  # of a median chain at the reference; the one fitted constant

    def __post_init__(self) -> None:
        for f in fields(self):
            require_positive(f"printer.thermal.{f.name}", getattr(self, f.name))
        share, spread = self.bed_air_share, self.polydispersity
        glass, weld = self.glass_transition_c, self.weld_reference_c
        require("printer.thermal.bed_air_share", share, share <= 1.0, "at most 1")
        require("printer.thermal.polydispersity", spread, spread >= 1.0, "at least 1")
        require("printer.thermal.weld_reference_c", weld, weld >= glass, f"at least {glass:g}")

    @property
    def volumetric_heat(self) -> float:
        """ρ c_p, J/(m³ K)."""
        return self.density_kg_m3 * self.heat_capacity_j_kg_k


def temperatures(
    thermal: ThermalParameters,
    trajectory: Trajectory,
    layer_time: float | Floats,
    left_out: float = 0.0,
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
    left_out
        s of rest within a layer that the trajectory leaves out, after the heater has settled.

    Returns
    -------
    Floats : (N, 3)
        °C: nozzle (the melt that leaves it), interface (what a bead laid now finds
        beneath it), surface (of the layer being printed, averaged over a layer's time).
    Floats : (N,)
        Adhesion ratio 0..1: strength of the weld made now over the solid's.
    """
    between = np.maximum(np.asarray(layer_time, dtype=np.float64), 0.1)
    nozzle = nozzle_temperature(thermal, trajectory, left_out)
    loss = _surface_loss(thermal, trajectory.fan)
    interface = _found(thermal, trajectory, nozzle, between, loss, left_out)
    thickness = thermal.layer_height_mm * 1e-3
    # A fresh bead loses heat to the air above and, through its own height, to the layer below.
    cooling = loss + thermal.conductivity_w_m_k / thickness
    decay = thermal.volumetric_heat * thickness / cooling
    share = decay / between * -np.expm1(-between / decay)
    surface = interface + (nozzle - interface) * share
    adhesion = _healed(thermal, 0.5 * (nozzle + interface), interface, decay, between)
    return np.column_stack([nozzle, interface, surface]), adhesion


def nozzle_temperature(
    thermal: ThermalParameters, trajectory: Trajectory, left_out: float = 0.0
) -> Floats:
    """Return (N,) °C of the melt: the set-point, late by the heater, less what flow draws.

    Heating a flow Q takes ``ρ c_p Q (T − T_room)``; it drops across the resistance from
    sensor to melt.
    """
    flow = _flow(thermal, trajectory)
    excess = trajectory.nozzle - thermal.room_c
    power = thermal.volumetric_heat * 1e-9 * flow * excess
    keep = math.exp(-1.0 / (thermal.nozzle_time_s * trajectory.sample_rate))
    settled = trajectory.nozzle - thermal.nozzle_resistance_k_w * power
    # It starts as if the layer's mean flow had gone on before.
    mean = float(np.mean(power)) * _sampled_share(trajectory, left_out)
    start = trajectory.nozzle[0] - thermal.nozzle_resistance_k_w * mean
    return np.asarray(kernel.decay((1.0 - keep) * settled, keep, start))


def _sampled_share(trajectory: Trajectory, left_out: float) -> float:
    """Return which share of a layer's time its samples stand for, 0..1."""
    sampled = len(trajectory) / trajectory.sample_rate
    return sampled / (sampled + left_out)


def _flow(thermal: ThermalParameters, trajectory: Trajectory) -> Floats:
    """Return (N,) mm³/s laid down; what retracting and priming move does not count."""
    area = 0.25 * np.pi * thermal.filament_diameter_mm**2
    fed = np.diff(trajectory.extrusion, prepend=trajectory.extrusion[:1])
    laid = np.where(trajectory.kind == MoveKind.PRINT, np.maximum(fed, 0.0), 0.0)
    return np.asarray(laid * trajectory.sample_rate * area)


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
    left_out: float,
) -> Floats:
    """Return (N,) °C of the top of the stack when the next bead arrives.

    The balance over one layer's time: fresh material brings ``ρ c_p d / t`` from the nozzle,
    the air takes ``loss`` from the top and from the warm sides below it, the bed gives or
    takes ``k / z`` through what is printed.
    """
    air = thermal.room_c + thermal.bed_air_share * (trajectory.bed - thermal.room_c)
    height, flow = _per_layer(thermal, trajectory)
    flow *= _sampled_share(trajectory, left_out)
    fresh = thermal.volumetric_heat * thermal.layer_height_mm * 1e-3 / between
    bed = thermal.conductivity_w_m_k / height
    # A layer as wide as a square of its area; its sides count as deep as heat reaches, the
    # length √(k w / 4h) of a fin, but no deeper than the part is high.
    width = np.sqrt(np.maximum(flow * between / thermal.layer_height_mm, 1.0)) * 1e-3
    depth = np.minimum(np.sqrt(thermal.conductivity_w_m_k * width / (4.0 * loss)), height)
    lost = loss * (1.0 + 4.0 * depth / width)
    total = fresh * nozzle + lost * air + bed * trajectory.bed
    return np.asarray(total / (fresh + lost + bed))


def _per_layer(thermal: ThermalParameters, trajectory: Trajectory) -> tuple[Floats, Floats]:
    """Return (N,) height above the bed in m and (N,) mean flow in mm³/s of each one's layer."""
    z, printing = trajectory.position[:, 2], trajectory.kind == MoveKind.PRINT
    laid = _flow(thermal, trajectory)
    height, flow = np.empty(len(z)), np.empty(len(z))
    for layer in np.unique(trajectory.layer):
        own = trajectory.layer == layer
        height[own] = np.median(z[own & printing]) if np.any(own & printing) else np.min(z[own])
        flow[own] = np.mean(laid[own])
    return np.maximum(height, thermal.layer_height_mm) * 1e-3, flow


def _healed(
    thermal: ThermalParameters, contact: Floats, final: Floats, decay: Floats, between: Floats
) -> Floats:
    """Return (N,) share of full strength that a weld reaches above glass transition.

    The interface cools from the contact temperature to the stack's with time constant
    ``decay``. A chain whose weld time is t_w reaches ``(∫ dt / t_w(T))^¼``, at most 1 (Wool and
    O'Connor, J. Appl. Phys. 52:5953, 1981).
    """
    excess = np.maximum(contact - final, 1e-9)
    # Cooling u = exp(−t/decay) runs from 1 to where the weld is glassy or covered by a bead.
    glassy = (thermal.glass_transition_c - final) / excess
    last = np.clip(np.maximum(np.exp(-between / decay), glassy), 1e-300, 1.0)
    rest = _weld_rate(thermal, final)
    total = -np.log(last) * rest
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        u = 1.0 - 0.5 * (1.0 - last) * (1.0 + node)
        rate = _weld_rate(thermal, final + excess * u)
        total += 0.5 * weight * (1.0 - last) * (rate - rest) / u
    return _strength(total * decay, thermal.polydispersity)


def _weld_rate(thermal: ThermalParameters, celsius: Floats) -> Floats:
    """Return (N,) 1/t_w, 1/s: Williams, Landel and Ferry's law with its universal constants.

    J. Am. Chem. Soc. 77:3701 (1955); it holds from glass transition to about 100 K above.
    """
    above = np.maximum(celsius - thermal.glass_transition_c, 0.0)
    reference = thermal.weld_reference_c - thermal.glass_transition_c
    decades = WLF_C1 * (above / (WLF_C2 + above) - reference / (WLF_C2 + reference))
    return np.asarray(10.0**decades / thermal.weld_time_s)


def _strength(healed: Floats, polydispersity: float) -> Floats:
    """Return (N,) the mean of min(1, (h/τ)^¼) over chains.

    Weld times go with a power of a chain's length, and lengths are log-normal with variance
    ln(M_w/M_n) of their logarithm, so ln τ is normal about 0 and the mean has a closed form.
    """
    log = np.log(np.maximum(healed, 1e-300))
    spread = CHAIN_EXPONENT * math.sqrt(math.log(polydispersity))
    if spread < 1e-6:
        return np.asarray(np.minimum(np.exp(0.25 * log), 1.0))
    short = probability(log / spread)  # chains that have healed
    long = np.exp(0.25 * log + spread**2 / 32.0) * probability(-log / spread - 0.25 * spread)
    return np.asarray(short + long)
