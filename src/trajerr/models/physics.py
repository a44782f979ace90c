"""The axis equation alone, with learnable parameters: ``physics``.

Between samples the commanded velocity is taken as linear, and each step is solved exactly
for a carriage that slides all the while; one that stops within a step is held there.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.jit import is_scripting  # type: ignore[attr-defined]

from trajerr.arrays import Floats
from trajerr.dynamics.axis_steps import adjoint, solve
from trajerr.models.inputs import Scaling, direction, motion

LEAST_STEPS_HZ = 400.0  # what the default networks were measured with, at 200 and at 400 Hz
SEEN = 3  # what a network sees of an axis' solution: error, nozzle velocity, its direction


class AxisEquation(nn.Module):
    """``ë + 2ζω ė + ω² e = -a - f sign(ẋ)`` for x and y, sample after sample.

    Parameters
    ----------
    sample_rate_hz
        Of the features.
    substeps
        Steps a sample; None: as many as make :data:`LEAST_STEPS_HZ`.
    natural_freq_hz, damping_ratio, friction_mm_s2, delay_s
        Where learning starts, for x and y; friction is F_c / m.
    """

    substeps: Final[int]
    step_s: Final[float]

    def __init__(
        self,
        sample_rate_hz: float,
        substeps: int | None,
        natural_freq_hz: Sequence[float],
        damping_ratio: Sequence[float],
        friction_mm_s2: Sequence[float],
        delay_s: Sequence[float],
    ) -> None:
        super().__init__()
        if substeps is None:
            substeps = max(1, math.ceil(LEAST_STEPS_HZ / sample_rate_hz - 1e-6))
        self.substeps = substeps
        self.step_s = 1.0 / (sample_rate_hz * substeps)
        self.log_frequency = nn.Parameter(_logs(f * 2.0 * math.pi for f in natural_freq_hz))
        self.log_damping = nn.Parameter(_logs(damping_ratio))
        self.log_friction = nn.Parameter(_logs(friction_mm_s2))
        self.delay_ms = nn.Parameter(1e3 * torch.tensor([float(delay) for delay in delay_s]))
        self.computed: Any = None  # for which parameters, and what

    def forward(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Solve over a sequence.

        Parameters
        ----------
        features
            [B, T, 15], raw.
        state
            [2, B, 2]: error (mm) and nozzle velocity (mm/s) of both axes.

        Returns
        -------
        tuple[Tensor, Tensor]
            Error and velocity after each sample [T, 2, B, 2], before any delay, and the last.
        """
        _, velocity, acceleration, _ = motion(features.transpose(0, 1))
        if not is_scripting():  # TorchScript skips a bare condition only
            if torch.compiler.is_exporting():
                return self._scan(velocity, acceleration, state, self.coefficients())
            solved: tuple[Tensor, Tensor] = self._at_once(velocity, acceleration, state)
            return solved
        coefficients = self.coefficients()
        states: list[Tensor] = []
        for k in range(velocity.shape[0]):
            state = self.advance(velocity[k], acceleration[k], state, coefficients)
            states.append(state)
        return torch.stack(states), state

    def advance(
        self, velocity: Tensor, acceleration: Tensor, state: Tensor, coefficients: Tensor
    ) -> Tensor:
        """Return the state [2, B, 2] one sample later; velocity and acceleration are [B, 2]."""
        error, nozzle = state[0], state[1]
        p00, p01, p10, p11, brake, ratio = coefficients.unbind(0)
        for index in range(self.substeps):
            offset = (index + 0.5 - 0.5 * self.substeps) * self.step_s
            commanded = velocity + acceleration * offset
            lag = nozzle - commanded
            free = p10 * error + p11 * lag + commanded
            slides = free.abs() > brake
            impulse = torch.where(slides, torch.sign(free) * brake, free)
            travelled = error - commanded * self.step_s + nozzle * (0.5 * self.step_s)
            error = torch.where(slides, p00 * error + p01 * lag - ratio * impulse, travelled)
            nozzle = free - impulse
        return torch.stack([error, nozzle])

    @torch.jit.export
    def late(self, states: Tensor) -> Tensor:
        """Return states [T, 2, B, 2] whose error has the delay: ``e - d ẋ``, to first order."""
        velocity = states[:, 1]
        return torch.stack([states[:, 0] - 1e-3 * self.delay_ms * velocity, velocity], dim=1)

    def coefficients(self) -> Tensor:
        """Return what a step needs, [6, 2]: the transition, and friction's share of it.

        For ``ζ < 1``, with ``ρ = exp(-ζωh)`` and ``ω_d = ω √(1 - ζ²)``, the transition of
        (e, ė) is ``ρ [[c + ζω s, s], [-ω² s, c - ζω s]]``, ``c = cos ω_d h``,
        ``s = sin(ω_d h) / ω_d``; a constant acceleration ``f`` adds ``p01 f`` to ė, at most
        all of it, and ``(1 - p00) / ω² f`` to e.
        """
        frequency = torch.exp(self.log_frequency)
        damping = torch.exp(self.log_damping).clamp(max=0.99)
        friction = torch.exp(self.log_friction)
        decay = damping * frequency
        ringing = frequency * torch.sqrt(1.0 - damping**2)
        shrink = torch.exp(-decay * self.step_s)
        cosine = shrink * torch.cos(ringing * self.step_s)
        sine = shrink * torch.sin(ringing * self.step_s) / ringing
        p00, p01 = cosine + decay * sine, sine
        p10, p11 = -(frequency**2) * sine, cosine - decay * sine
        ratio = (1.0 - p00) / (frequency**2 * p01)
        return torch.stack([p00, p01, p10, p11, p01 * friction, ratio])

    @torch.jit.unused
    def _known(self) -> Tensor:
        """Return the coefficients, computed anew only where a parameter has changed."""
        trained = (self.log_frequency, self.log_damping, self.log_friction)
        of = [(p.dtype, p.tolist()) for p in trained]
        if self.computed is None or self.computed[0] != of:
            self.computed = (of, self.coefficients())
        found: Tensor = self.computed[1]
        return found

    def parameters_by_name(self) -> dict[str, list[float]]:
        """Return the learnt parameters in the units of the arguments."""
        return {
            "natural_freq_hz": (torch.exp(self.log_frequency) / (2.0 * math.pi)).tolist(),
            "damping_ratio": torch.exp(self.log_damping).tolist(),
            "friction_mm_s2": torch.exp(self.log_friction).tolist(),
            "delay_s": (1e-3 * self.delay_ms).tolist(),
        }

    @torch.jit.unused
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _at_once(
        self, velocity: Tensor, acceleration: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Solve in machine code, on the processor."""
        coefficients = self.coefficients() if torch.is_grad_enabled() else self._known()
        shape = velocity.shape[:2]
        flat: Tensor = _Solution.apply(  # type: ignore[no-untyped-call]
            velocity.flatten(1),
            acceleration.flatten(1),
            state.flatten(1),
            coefficients,
            self.substeps,
            self.step_s,
        )
        states = torch.unflatten(flat, 2, (shape[1], 2))
        return states, states[-1]

    @torch.jit.unused
    def _scan(
        self, velocity: Tensor, acceleration: Tensor, state: Tensor, coefficients: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Solve as a scan, which keeps the time axis of an exported graph dynamic."""
        from torch._higher_order_ops.scan import scan

        def advance(
            carry: tuple[Tensor, Tensor], sample: Tensor
        ) -> tuple[tuple[Tensor, Tensor], Tensor]:
            after = self.advance(sample[0], sample[1], carry[0], carry[1])
            return (after, carry[1].clone()), after.clone()

        # The coefficients ride along: an ONNX scan sees nothing from outside its body.
        start = (state, coefficients.detach())
        (last, _), states = scan(advance, start, torch.stack([velocity, acceleration], dim=1))
        return states, last


class _Solution(torch.autograd.Function):
    """The states [T, 2, R] after each sample: :func:`trajerr.dynamics.axis_steps.solve`."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's
        velocity: Tensor,
        acceleration: Tensor,
        start: Tensor,
        coefficients: Tensor,
        substeps: int,
        step_s: float,
    ) -> Tensor:
        given = [_numbers(value) for value in (velocity, acceleration, start, coefficients)]
        states = solve(given[0], given[1], given[2], given[3], substeps, step_s)
        ctx.found = (given[0], given[1], states, given[3], step_s)
        return _like(states[substeps::substeps], velocity)

    @staticmethod
    def backward(ctx: Any, wanted: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        velocity, acceleration, states, coefficients, step_s = ctx.found
        found = adjoint(velocity, acceleration, states, _numbers(wanted), coefficients, step_s)
        return *(_like(values, wanted) for values in found), None, None


def _numbers(values: Tensor) -> Floats:
    return np.ascontiguousarray(values.detach().cpu().double().numpy())


def _like(values: Floats, tensor: Tensor) -> Tensor:
    return torch.tensor(values, dtype=tensor.dtype, device=tensor.device)


def with_solution(
    inputs: Tensor, states: Tensor, target_std: Tensor, feature_std: Tensor, streams: int
) -> tuple[Tensor, Tensor]:
    """Return a network's inputs with an axis equation's solution, and what it says itself.

    Parameters
    ----------
    inputs
        [streams * B, T, size].
    states
        [T, 2, B, 2], as :meth:`AxisEquation.late` gives them.
    target_std, feature_std
        [2] mm and [15], deviations of the error and of the features.
    streams
        2 where each axis is a sequence of its own, else 1.

    Returns
    -------
    tuple[Tensor, Tensor]
        Inputs [streams * B, T, size + 2 * SEEN / streams], and the equation's error [B, T, 2] mm.
    """
    error, nozzle = states[:, 0].transpose(0, 1), states[:, 1].transpose(0, 1)
    parts = [error / target_std, nozzle / motion(feature_std)[1], direction(nozzle)]
    seen = torch.stack(parts, dim=-1)  # [B, T, 2, SEEN]
    seen = seen.transpose(1, 2).flatten(0, 1) if streams == 2 else seen.flatten(-2)
    return torch.cat([inputs, seen], dim=-1), error


class PhysicsNetwork(nn.Module):
    """The axis equation as a model.

    Parameters
    ----------
    context_length
        Samples after which a window's unknown beginning no longer matters.
    sample_rate_hz, substeps, natural_freq_hz, damping_ratio, friction_mm_s2, delay_s
        As for :class:`AxisEquation`.
    """

    context_length: Final[int]

    def __init__(
        self,
        sample_rate_hz: float,
        substeps: int | None,
        natural_freq_hz: Sequence[float],
        damping_ratio: Sequence[float],
        friction_mm_s2: Sequence[float],
        delay_s: Sequence[float],
        context_length: int,
    ) -> None:
        super().__init__()
        self.context_length = context_length
        self.scaling = Scaling()
        self.equation = AxisEquation(
            sample_rate_hz, substeps, natural_freq_hz, damping_ratio, friction_mm_s2, delay_s
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return the error [B, T, 2] mm of raw features [B, T, 15], from rest."""
        error, _ = self.stream(features, self.initial_state(features.shape[0]))
        return error

    @torch.jit.export
    def stream(self, features: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the error [B, T, 2] mm of the samples that follow a state, and the next state."""
        states, last = self.equation(features, state[0])
        return self.equation.late(states)[:, 0].transpose(0, 1), [last]

    @torch.jit.export
    def step(self, state: list[Tensor], sample: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the error [B, 2] mm of one sample [B, 15] of raw features, and the next state."""
        error, state = self.stream(sample.unsqueeze(1), state)
        return error.squeeze(1), state

    @torch.jit.export
    def initial_state(self, batch: int) -> list[Tensor]:
        """Return the state at rest of ``batch`` streams."""
        return [self.scaling.target_mean.new_zeros([2, batch, 2])]


def _logs(values: Iterable[float]) -> Tensor:
    return torch.log(torch.tensor([float(value) for value in values]))
