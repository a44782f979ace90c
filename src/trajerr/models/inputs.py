"""What a network sees of the raw features, and how its output becomes millimetres.

Knows the columns of the feature vector and their statistics; the rest of a network sees
dimensionless numbers only.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from trajerr.checks import require_one_of

N_FEATURES = 15
MOTION = ((0, 3, 7, 11), (1, 4, 8, 12))  # columns of position, velocity, acceleration, jerk
_OF_X_AND_Y = {column for columns in MOTION for column in columns[1:]}  # velocity and its slopes

LINEAR_RANGE = 4.0  # standard deviations up to which an input passes unbent
POSITION_RANGE = 3.0  # standard deviations beyond which position is taken as at the border
REVERSAL_SPEED = 1.0  # mm/s; the scale on which the direction of travel changes sign


class Scaling(nn.Module):
    """Statistics of the training data, in buffers so that they travel with the weights."""

    feature_mean: Tensor
    feature_std: Tensor
    target_mean: Tensor
    target_std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("feature_mean", torch.zeros(N_FEATURES))
        self.register_buffer("feature_std", torch.ones(N_FEATURES))
        self.register_buffer("target_mean", torch.zeros(2))
        self.register_buffer("target_std", torch.ones(2))

    def set_statistics(self, stats: Mapping[str, Sequence[float]]) -> None:
        """Take over means and standard deviations; a constant quantity gets the deviation 1.

        Parameters
        ----------
        stats
            ``feature_mean``, ``feature_std``: 15 values in raw units; ``target_mean``,
            ``target_std``: 2 values in mm.
        """
        for name in ("feature_mean", "feature_std", "target_mean", "target_std"):
            values = torch.tensor([float(value) for value in stats[name]])
            if name.endswith("_std"):
                values = torch.where(values > 0.0, values, torch.ones_like(values))
            getattr(self, name).copy_(values)

    def normalize(self, features: Tensor) -> Tensor:
        """Return features [..., 15] in standard deviations from their mean."""
        return (features - self.feature_mean) / self.feature_std

    def to_mm(self, output: Tensor) -> Tensor:
        """Return a normalised prediction [..., 2] in mm."""
        return output * self.target_std + self.target_mean


class JointInputs(nn.Module):
    """All features of one sample as one vector, both axes together.

    Parameters
    ----------
    ripple_periods_mm
        Travel per period of the motors' position ripple, mm. Its phase is a function of
        the commanded position that no smooth function of the normalised position can give.
    coupled
        Whether the motors move x + y and x - y, as on a CoreXY.
    """

    streams: Final[int]
    coupled: Final[bool]
    periods: Tensor
    odd: Tensor  # (size,) 1 for inputs that turn round with the motion in x and y, 0 for others

    def __init__(self, ripple_periods_mm: Sequence[float], coupled: bool) -> None:
        super().__init__()
        self.streams = 1
        self.coupled = coupled
        phases = 4 * len(ripple_periods_mm)
        self.size = N_FEATURES + 2 + phases
        turning = [float(k in _OF_X_AND_Y) for k in range(N_FEATURES)] + [1.0] * (2 + phases)
        self.register_buffer("periods", _periods(ripple_periods_mm), persistent=False)
        self.register_buffer("odd", torch.tensor(turning), persistent=False)

    def forward(self, features: Tensor, normalized: Tensor) -> Tensor:
        """Return the inputs [B, T, size] of raw and normalised features [B, T, 15]."""
        position, velocity, _, _ = motion(features)
        where, how = torch.split(normalized, [3, 12], dim=-1)
        motors = motor_positions(position) if self.coupled else position
        phases = ripple_phases(motors, self.periods).flatten(-2)
        return torch.cat([clip(where), bend(how), direction(velocity), phases], dim=-1)


class AxisInputs(nn.Module):
    """Each axis as a sequence of its own, so that one set of weights serves both.

    The axes of a Cartesian printer obey one equation with different parameters and do not
    disturb each other; the last two inputs say which axis it is. Where motors are coupled,
    each axis sees the other's motion and both motors' phases, too.

    Parameters
    ----------
    ripple_periods_mm, coupled
        As for :class:`JointInputs`.
    """

    streams: Final[int]
    coupled: Final[bool]
    periods: Tensor
    identity: Tensor
    columns: Tensor
    odd: Tensor  # (size,) 1 for inputs that turn round with the motion, 0 for others

    def __init__(self, ripple_periods_mm: Sequence[float], coupled: bool) -> None:
        super().__init__()
        self.streams = 2
        self.coupled = coupled
        phases = 2 * len(ripple_periods_mm)
        others = 4 + phases if coupled else 0
        self.size = 7 + phases + others
        turning = [0.0] + [1.0] * (4 + phases) + [0.0] * 2 + [1.0] * others
        self.register_buffer("periods", _periods(ripple_periods_mm), persistent=False)
        self.register_buffer("identity", torch.eye(2), persistent=False)
        self.register_buffer("columns", torch.tensor(MOTION).flatten(), persistent=False)
        self.register_buffer("odd", torch.tensor(turning), persistent=False)

    def forward(self, features: Tensor, normalized: Tensor) -> Tensor:
        """Return the inputs [2B, T, size] of raw and normalised features [B, T, 15]."""
        position, velocity, _ = torch.split(self._by_axis(features), [1, 1, 2], dim=-1)
        where, how = torch.split(self._by_axis(normalized), [1, 3], dim=-1)
        bent, towards = bend(how), direction(velocity)
        place = position.squeeze(-1)
        phases = ripple_phases(motor_positions(place) if self.coupled else place, self.periods)
        which = self.identity.expand(where.shape[0], where.shape[1], 2, 2)
        parts = [clip(where), bent, towards, phases, which]
        if self.coupled:
            parts += [bent.flip(-2), towards.flip(-2), phases.flip(-2)]
        return torch.cat(parts, dim=-1).transpose(1, 2).flatten(0, 1)

    def _by_axis(self, features: Tensor) -> Tensor:
        """Return [B, T, 2, 4]: of x and y, what :data:`MOTION` names.

        One selection in place of eight slices: an exported step's time goes into the number
        of its operators.
        """
        return torch.unflatten(features.index_select(-1, self.columns), -1, [2, 4])


def motion(features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return position, velocity, acceleration and jerk in x and y, each [..., 2].

    The features are, in this order, ``x y z vx vy vz v_mag ax ay az a_mag jx jy jz curvature``.
    """
    r, v, _, a, _, j, _ = torch.split(features, [3, 3, 1, 3, 1, 3, 1], dim=-1)
    return r[..., :2], v[..., :2], a[..., :2], j[..., :2]


def make_inputs(
    axes: str, kinematics: str | None, ripple_periods_mm: Sequence[float]
) -> JointInputs | AxisInputs:
    """Return the inputs for ``axes`` ``shared`` or ``joint`` on a ``cartesian`` or ``corexy``.

    No kinematics is taken as ``cartesian``.

    Raises
    ------
    ConfigError
        A word is neither.
    """
    if kinematics is not None:
        require_one_of("model.kinematics", kinematics, ("cartesian", "corexy"))
    require_one_of("model.axes", axes, ("shared", "joint"))
    kind = AxisInputs if axes == "shared" else JointInputs
    return kind(ripple_periods_mm, kinematics == "corexy")


def bend(normalized: Tensor, limit: float = LINEAR_RANGE) -> Tensor:
    """Return values unchanged up to ``limit`` deviations, logarithmic beyond.

    Keeps motion faster than all training data from driving a network where it never was.
    """
    beyond = torch.log(normalized.abs().clamp(min=limit) / limit)  # 0 up to the limit
    return normalized.clamp(-limit, limit) * (1.0 + beyond)


def clip(normalized: Tensor, limit: float = POSITION_RANGE) -> Tensor:
    """Return positions as at the border of the training data where they are beyond."""
    return normalized.clamp(-limit, limit)


def direction(velocity: Tensor, scale: float = REVERSAL_SPEED) -> Tensor:
    """Return the sign of velocities in mm/s, smooth around rest."""
    return torch.tanh(velocity / scale)


def motor_positions(position: Tensor) -> Tensor:
    """Return x + y and x - y of positions [..., 2] mm: what the motors of a CoreXY move."""
    x, y = position[..., 0], position[..., 1]
    return torch.stack([x + y, x - y], dim=-1)


def ripple_phases(position: Tensor, periods: Tensor) -> Tensor:
    """Return sine and cosine of the phase of positions [..., 2] mm: [..., 2, 2 * periods]."""
    cycles = position.unsqueeze(-1) / periods
    angle = 2.0 * math.pi * (cycles - torch.floor(cycles))
    return torch.cat([torch.sin(angle), torch.cos(angle)], dim=-1)


def draw_turns(inputs: Tensor) -> Tensor:
    """Return 1 or -1 by chance for each sequence of inputs [R, T, size], [R, 1, 1]."""
    drawn = torch.randint(0, 2, (inputs.shape[0], 1, 1), device=inputs.device)
    return (2 * drawn - 1).to(inputs.dtype)


def unfold_streams(output: Tensor, streams: int) -> Tensor:
    """Return the outputs [streams * B, T, 2 / streams] of a network as [B, T, 2]."""
    if streams == 1:
        return output
    return torch.unflatten(output.squeeze(-1), 0, [-1, 2]).transpose(1, 2)


def _periods(periods_mm: Sequence[float]) -> Tensor:
    return torch.tensor([float(period) for period in periods_mm])
