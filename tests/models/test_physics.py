import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline

from tests.models.networks import SAMPLE_RATE_HZ, build
from trajerr.models.fir import FirNetwork
from trajerr.models.inputs import motion
from trajerr.models.physics import AxisEquation
from trajerr.motion.features import compute_features

FREQUENCY_HZ, DAMPING, FRICTION = 24.0, 0.14, 2000.0


def smooth_sweep(rate: float) -> np.ndarray:
    """(N, 3) mm: a path at rest at its ends, with reversals in between."""
    time = np.arange(int(1.2 * rate)) / rate
    x = 20.0 * np.sin(2.0 * np.pi * 1.7 * time) * np.sin(np.pi * time / 1.2) ** 2
    return np.column_stack([x, 0.5 * x, 0.0 * x])


def solved_densely(path_rate: float, friction: float) -> np.ndarray:
    """(N, 2) mm by an independent adaptive solver, friction smoothed over 0.2 mm/s."""
    omega = 2.0 * np.pi * FREQUENCY_HZ
    time = np.arange(int(1.2 * path_rate)) / path_rate
    errors = []
    for scale in (1.0, 0.5):

        def command(t: float, scale: float = scale) -> tuple[float, float]:
            h = 1e-5
            r = [
                scale * 20.0 * np.sin(2 * np.pi * 1.7 * u) * np.sin(np.pi * u / 1.2) ** 2
                for u in (t - h, t, t + h)
            ]
            return (r[2] - r[0]) / (2 * h), (r[2] - 2 * r[1] + r[0]) / h**2

        def rhs(t: float, state: np.ndarray, command: object = command) -> list[float]:
            velocity, acceleration = command(t)
            slip = np.tanh((velocity + state[1]) / 0.2)
            force = -2 * DAMPING * omega * state[1] - omega**2 * state[0] - friction * slip
            return [state[1], force - acceleration]

        solution = solve_ivp(rhs, (0.0, time[-1]), [0.0, 0.0], "Radau", time, rtol=1e-7, atol=1e-9)
        errors.append(solution.y[0])
    return np.column_stack(errors)


def equation(substeps: int, friction: float, delay_s: float = 0.0) -> AxisEquation:
    parameters = (FREQUENCY_HZ, DAMPING, friction, delay_s)
    return AxisEquation(SAMPLE_RATE_HZ, substeps, *([value] * 2 for value in parameters)).double()


def test_steps_are_as_many_a_second_at_any_sample_rate() -> None:
    pairs = [[20.0, 30.0], [0.1, 0.1], [500.0, 500.0], [0.0, 0.0]]
    found = {rate: AxisEquation(rate, None, *pairs) for rate in (100.0, 150.0, 200.0, 400.0, 1e3)}
    assert [equation.substeps for equation in found.values()] == [4, 3, 2, 1, 1]
    assert all(equation.step_s * 400.0 <= 1.0 + 1e-12 for equation in found.values())


def solve(substeps: int, friction: float) -> np.ndarray:
    features = torch.from_numpy(compute_features(smooth_sweep(SAMPLE_RATE_HZ), SAMPLE_RATE_HZ))
    with torch.no_grad():
        states, _ = equation(substeps, friction)(features[None], torch.zeros(2, 1, 2).double())
    return states[:, 0, 0].numpy()


def test_linear_axis_is_solved_to_the_command_s_interpolation() -> None:
    expected = solved_densely(SAMPLE_RATE_HZ, 0.0)
    worst = [np.abs(solve(substeps, 1e-9) - expected).max() for substeps in (1, 3)]
    # Within a step the command is a chord of a parabola: low by up to a h² / 12 on average.
    chord = 1.1 * (2.0 * np.pi * 1.7) ** 2 * 20.0 / (12.0 * SAMPLE_RATE_HZ**2)
    assert worst[0] < chord
    assert worst[1] < chord / 5.0


def test_friction_is_solved_ever_better_by_smaller_steps() -> None:
    expected = solved_densely(SAMPLE_RATE_HZ, FRICTION)
    worst = [np.sqrt(np.mean((solve(n, FRICTION) - expected) ** 2)) for n in (1, 2, 8)]
    assert worst[0] > worst[1] > worst[2]
    assert worst[2] < 0.03 * np.sqrt(np.mean(expected**2))


def test_a_stuck_carriage_stays_where_it_is() -> None:
    features = torch.zeros(1, 400, 15, dtype=torch.float64)
    offset = 0.9 * FRICTION / (2.0 * np.pi * FREQUENCY_HZ) ** 2  # friction can hold this much
    start = torch.tensor([[[offset, -offset]], [[0.0, 0.0]]], dtype=torch.float64)
    with torch.no_grad():
        states, _ = equation(2, FRICTION)(features, start)
    torch.testing.assert_close(states[-1], start)


def test_a_delay_is_the_same_motion_later() -> None:
    path, delay = smooth_sweep(SAMPLE_RATE_HZ), 0.001
    features = torch.from_numpy(compute_features(path, SAMPLE_RATE_HZ))
    solver = equation(2, FRICTION, delay)
    with torch.no_grad():
        states, _ = solver(features[None], torch.zeros(2, 1, 2).double())
        errors = solver.late(states)[:, 0, 0].numpy()
    time = np.arange(len(path)) / SAMPLE_RATE_HZ
    nozzle = CubicSpline(time, path[:, :2] + states[:, 0, 0].numpy())
    expected = nozzle(time - delay) - path[:, :2]
    off = np.abs(errors - expected)[1:]  # the first is before the motion
    assert off.max() < 0.05 * np.abs(expected).max()
    assert off.mean() < 0.005 * np.abs(expected).max()


def test_learning_finds_the_parameters() -> None:
    features = torch.from_numpy(compute_features(smooth_sweep(SAMPLE_RATE_HZ), SAMPLE_RATE_HZ))
    target = torch.from_numpy(solve(2, FRICTION))
    network = build("physics", natural_freq_hz=[30.0, 19.0], friction_mm_s2=[1000.0, 3000.0])
    network = network.double()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.08)
    for step in range(70):
        for group in optimizer.param_groups:
            group["lr"] = 0.08 * (1.0 - step / 70)
        loss = (network(features[None])[0] - target).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = network.equation.parameters_by_name()
    np.testing.assert_allclose(found["natural_freq_hz"], FREQUENCY_HZ, rtol=0.03)
    np.testing.assert_allclose(found["friction_mm_s2"], FRICTION, rtol=0.06)


def test_fir_recovers_a_linear_filter() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = FirNetwork(taps=5)
    with torch.no_grad():
        truth.weight.normal_(generator=generator)
        truth.bias.fill_(0.3)
    sequences = [torch.randn(400, 15, generator=generator) for _ in range(3)]
    pairs = [(features, truth(features[None])[0].detach()) for features in sequences]
    fitted = FirNetwork(taps=5)
    ridge = fitted.fit(pairs[:2], pairs[2:])
    assert ridge == 1e-8  # noise-free data needs no penalty
    torch.testing.assert_close(fitted.weight, truth.weight, rtol=0.0, atol=1e-4)


def step_by_step(
    solver: AxisEquation, features: torch.Tensor, state: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    _, velocity, acceleration, _ = motion(features.transpose(0, 1))
    states = []
    for v, a in zip(velocity, acceleration, strict=True):
        state = solver.advance(v, a, state, solver.coefficients())
        states.append(state)
    return torch.stack(states), state


def test_machine_code_is_the_loop_over_time() -> None:
    """Values and gradients, at any length and from any state."""
    features = torch.randn(3, 90, 15, generator=torch.Generator().manual_seed(1)) * 40.0
    features[..., 7:9] *= 20.0
    start = torch.tensor([0.1, 30.0])[:, None, None].repeat(1, 3, 2)
    found = []
    for through in ("code", "loop"):
        solver = equation(3, FRICTION).float()
        given = [features.clone().requires_grad_(), start.clone().requires_grad_()]
        states, last = solver(*given) if through == "code" else step_by_step(solver, *given)
        (torch.sin(5.0 * solver.late(states)).sum() + (last * last).sum()).backward()
        by = [value.grad for value in (*given, *solver.parameters())]
        found.append([states.detach(), last.detach(), *by])
    stuck = found[0][0][:, 1] == 0.0
    assert 0.02 < stuck.float().mean() < 0.9  # it slides and sticks
    for code, loop in zip(*found, strict=True):
        torch.testing.assert_close(code, loop, rtol=2e-3, atol=1e-3 * float(loop.abs().max()))


def test_its_gradient_is_that_of_small_differences() -> None:
    solver = equation(2, FRICTION)
    features = torch.from_numpy(compute_features(smooth_sweep(SAMPLE_RATE_HZ), SAMPLE_RATE_HZ))
    weights = torch.randn(len(features), 2, 1, 2, generator=torch.Generator().manual_seed(0))
    start = torch.zeros(2, 1, 2).double()

    def value() -> torch.Tensor:
        return (solver.late(solver(features[None], start)[0]) * weights).sum()

    value().backward()
    for parameter in solver.parameters():
        found, step = parameter.grad[0].item(), 1e-6
        ends = []
        for way in (1.0, -1.0):
            with torch.no_grad():
                parameter[0] += way * step
                ends.append(value().item())
                parameter[0] -= way * step
        assert found == pytest.approx((ends[0] - ends[1]) / (2.0 * step), rel=1e-4)


def test_what_was_computed_is_kept_until_a_parameter_changes() -> None:
    solver, features = equation(2, FRICTION).float(), torch.randn(1, 20, 15) * 50.0
    start = torch.zeros(2, 1, 2)
    with torch.no_grad():
        before, _ = solver(features, start)
        torch.testing.assert_close(solver(features, start)[0], before)
        solver.log_friction += 0.5
        after, _ = solver(features, start)
    assert (after - before).abs().max() > 1e-3
    torch.testing.assert_close(solver(features, start)[0].detach(), after)  # as with gradients
    fresh = equation(2, FRICTION).float()
    solver.load_state_dict(fresh.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(solver(features, start)[0], before)
