"""What a foreign machine is made of, drawn at random around an Ender-3-class printer.

Per axis, along the chain from command to nozzle:

- a drive that lags: ``u̇ = (r − u) / τ``;
- a motor that ripples with a phase of its own: ``p = u + Σ A_i sin(2π u / λ_i + φ_i)``;
- backlash: the belt's spring feels ``p − q₁`` only beyond half the gap, its damper always;
- the carriage on the belt (mass m₁), and on the carriage, by a mount, what prints (mass m₂);
- friction of the carriage on its guide by bristles (Canudas de Wit, Olsson, Åström and
  Lischinsky, IEEE TAC 40:419, 1995) with Stribeck's curve.

The guides of both axes stand on one frame, which sways in one direction; what it does not share
between nozzle and bed is part of the error.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trajerr.arrays import Floats

MN_PER_N = 1000.0
Range = tuple[float, float]

# Uniform between these, each axis for itself.
FIRST_HZ: Range = (30.0, 55.0)  # first mode with the frame held
SECOND_HZ: Range = (60.0, 120.0)  # second mode, at least SECOND_ABOVE times the first
SECOND_ABOVE = 1.7
FIRST_DAMPING: Range = (0.04, 0.09)
SECOND_DAMPING: Range = (0.02, 0.06)
MASS_KG: tuple[Range, Range] = ((0.30, 0.42), (0.40, 0.60))  # carriage and tool: x, y
TOOL_SHARE: Range = (0.10, 0.28)  # the tool's mass over the carriage's
COULOMB_N: Range = (0.4, 1.0)
STATIC_OVER_COULOMB: Range = (1.05, 1.35)
STRIBECK_MM_S: Range = (2.0, 12.0)
BREAKAWAY_MM: Range = (0.003, 0.015)  # by which bristles bend before they slip
BRISTLE_DAMPING: Range = (0.2, 0.5)  # ratio, of the carriage on its bristles
VISCOUS_N_S_PER_M: Range = (0.3, 2.0)
BACKLASH_MM: Range = (0.0, 0.020)
LAG_S: Range = (0.0005, 0.002)
RIPPLE_MM: tuple[Range, Range] = ((0.002, 0.008), (0.001, 0.004))
RIPPLE_PERIOD_MM = (0.2, 0.8)  # a full step, an electrical cycle
PHASE_RAD: Range = (0.0, 2.0 * np.pi)
FRAME_KG: Range = (4.0, 8.0)
FRAME_HZ: Range = (12.0, 28.0)
FRAME_DAMPING: Range = (0.03, 0.08)
FRAME_DIRECTION_RAD: Range = (0.25, 1.3)  # from x towards y: it shakes both
FRAME_SWAY: Range = (0.1, 0.5)  # share of its motion that stands between nozzle and bed


@dataclass(frozen=True)
class Axis:
    """One axis. Stiffnesses in N/m are mN/mm, dampings in N·s/m are mN·s/mm."""

    carriage_kg: float
    tool_kg: float
    belt_n_per_m: float
    belt_n_s_per_m: float
    mount_n_per_m: float
    mount_n_s_per_m: float
    coulomb_n: float
    static_n: float
    stribeck_mm_s: float
    bristle_n_per_m: float
    bristle_n_s_per_m: float
    viscous_n_s_per_m: float
    backlash_mm: float  # the whole gap
    lag_s: float
    ripple_mm: tuple[float, float]
    ripple_phase_rad: tuple[float, float]

    def mode_matrix(self) -> Floats:
        """Return M⁻¹K of the chain with motor and frame held; (2, 2) 1/s²."""
        belt, mount = self.belt_n_per_m, self.mount_n_per_m
        stiffness = np.array([[belt + mount, -mount], [-mount, mount]])
        mass = np.array([[self.carriage_kg], [self.tool_kg]])
        return np.asarray(stiffness / mass, np.float64)

    @property
    def modes_hz(self) -> Floats:
        """(2,) natural frequencies with the frame held, without friction, Hz."""
        squares = np.linalg.eigvals(self.mode_matrix()).real
        return np.sort(np.sqrt(squares)) / (2.0 * np.pi)


@dataclass(frozen=True)
class Frame:
    """The frame's one mode."""

    mass_kg: float
    stiffness_n_per_m: float
    damping_n_s_per_m: float
    direction: tuple[float, float]  # unit vector in which it sways
    sway: float  # share of its motion by which the nozzle moves against the bed


@dataclass(frozen=True)
class Machine:
    """A machine."""

    name: str
    x: Axis
    y: Axis
    frame: Frame

    @property
    def number(self) -> int:
        """Among those of its seed."""
        return int(self.name.rsplit("_", 1)[1])

    def to_dict(self) -> dict[str, Any]:
        """Return plain containers for JSON, modes beside."""
        modes = {axis: getattr(self, axis).modes_hz.tolist() for axis in "xy"}
        return {**asdict(self), "modes_hz": modes}


def draw(seed: int, number: int) -> Machine:
    """Return one of the machines of a seed, the same at each call.

    Parameters
    ----------
    seed
        Of them all.
    number
        From 0.
    """
    random = np.random.default_rng([seed, number])
    x, y = (_draw_axis(random, mass) for mass in MASS_KG)
    return Machine(f"stranger_{seed}_{number}", x, y, _draw_frame(random))


def _draw_axis(random: np.random.Generator, masses: Range) -> Axis:
    while True:
        first = random.uniform(*FIRST_HZ)
        second = random.uniform(max(SECOND_HZ[0], SECOND_ABOVE * first), SECOND_HZ[1])
        total, share = random.uniform(*masses), random.uniform(*TOOL_SHARE)
        mass = np.array([total / (1.0 + share), total * share / (1.0 + share)])
        ratios = random.uniform(*FIRST_DAMPING), random.uniform(*SECOND_DAMPING)
        stiffness = chain_stiffness(mass, first, second)
        damping = chain_damping(mass, stiffness, np.array(ratios))
        if np.all(damping > 0.0):  # else no two dampers give both modes these ratios
            break
    coulomb = random.uniform(*COULOMB_N)
    static = coulomb * random.uniform(*STATIC_OVER_COULOMB)
    bristle = MN_PER_N * static / random.uniform(*BREAKAWAY_MM)
    return Axis(
        carriage_kg=float(mass[0]),
        tool_kg=float(mass[1]),
        belt_n_per_m=float(stiffness[0]),
        belt_n_s_per_m=float(damping[0]),
        mount_n_per_m=float(stiffness[1]),
        mount_n_s_per_m=float(damping[1]),
        coulomb_n=coulomb,
        static_n=static,
        stribeck_mm_s=random.uniform(*STRIBECK_MM_S),
        bristle_n_per_m=bristle,
        bristle_n_s_per_m=2.0
        * random.uniform(*BRISTLE_DAMPING)
        * float(np.sqrt(bristle * mass[0])),
        viscous_n_s_per_m=random.uniform(*VISCOUS_N_S_PER_M),
        backlash_mm=random.uniform(*BACKLASH_MM),
        lag_s=random.uniform(*LAG_S),
        ripple_mm=(random.uniform(*RIPPLE_MM[0]), random.uniform(*RIPPLE_MM[1])),
        ripple_phase_rad=(random.uniform(*PHASE_RAD), random.uniform(*PHASE_RAD)),
    )


def chain_stiffness(mass: Floats, first_hz: float, second_hz: float) -> Floats:
    """Return the stiffnesses with which two masses in a row have two natural frequencies.

    With K₁ to the ground and K₂ between the masses, ω₁²ω₂² = K₁K₂/(m₁m₂) and
    ω₁² + ω₂² = (K₁ + K₂)/m₁ + K₂/m₂: a quadratic equation for K₂, whose larger root is the
    stiffer mount.

    Parameters
    ----------
    mass : (2,)
        kg, of carriage and tool.
    first_hz, second_hz
        Hz.

    Returns
    -------
    Floats : (2,)
        N/m, of belt and mount.

    Raises
    ------
    ValueError
        If the frequencies are too close together for these masses.
    """
    squares = np.square(2.0 * np.pi * np.array([first_hz, second_hz]))
    total, product = float(np.sum(squares)), float(np.prod(squares))
    inverse = float(np.sum(1.0 / mass))
    discriminant = total**2 - 4.0 * product * float(mass[1]) * inverse
    if discriminant < 0.0:
        raise ValueError(f"second mode: got {second_hz:g} Hz, expected more above {first_hz:g} Hz")
    mount = (total + np.sqrt(discriminant)) / (2.0 * inverse)
    return np.array([product * float(np.prod(mass)) / mount, mount])


def chain_damping(mass: Floats, stiffness: Floats, ratio: Floats) -> Floats:
    """Return dampers beside both springs that give the modes their damping ratios.

    To first order in the ratios: ``φᵢᵀ C φᵢ = 2 ζᵢ ωᵢ`` for mass-normalised modes φᵢ.

    Parameters
    ----------
    mass, stiffness : (2,)
        kg and N/m, of carriage and tool, of belt and mount.
    ratio : (2,)
        Damping ratios of the first and the second mode.

    Returns
    -------
    Floats : (2,)
        N·s/m; negative where no such damper exists.
    """
    belt, mount = stiffness
    root = np.sqrt(mass)
    matrix = np.array([[belt + mount, -mount], [-mount, mount]]) / np.outer(root, root)
    squares, vectors = np.linalg.eigh(matrix)
    shapes = vectors / root[:, None]  # columns φ
    share = np.column_stack([shapes[0] ** 2, (shapes[0] - shapes[1]) ** 2])
    return np.asarray(np.linalg.solve(share, 2.0 * ratio * np.sqrt(squares)), np.float64)


def _draw_frame(random: np.random.Generator) -> Frame:
    mass, omega = random.uniform(*FRAME_KG), 2.0 * np.pi * random.uniform(*FRAME_HZ)
    ratio, angle = random.uniform(*FRAME_DAMPING), random.uniform(*FRAME_DIRECTION_RAD)
    return Frame(
        mass_kg=mass,
        stiffness_n_per_m=mass * omega**2,
        damping_n_s_per_m=2.0 * ratio * mass * omega,
        direction=(float(np.cos(angle)), float(np.sin(angle))),
        sway=random.uniform(*FRAME_SWAY),
    )
