from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.machines import simple_axis
from trajerr.dynamics.axis import AxisParameters
from trajerr.errors import ConfigError
from trajerr.models.losses import (
    PhysicsResidual,
    physics_loss,
    settling_samples,
    trajectory_loss,
    trajectory_mae,
    trust_in,
)
from trajerr.motion.features import compute_features

RATE_HZ = 200.0
SOFT_X = simple_axis(mass_kg=0.35, stiffness_n_per_m=8000.0, damping_n_s_per_m=15.0)
SOFT_Y = simple_axis(mass_kg=0.45, stiffness_n_per_m=8000.0, damping_n_s_per_m=15.0)
STUDY = (SOFT_X, SOFT_Y)
SCALE = torch.tensor([0.1, 0.2])


def analytic_response(axis: AxisParameters, hz: float, time: np.ndarray) -> np.ndarray:
    """Steady error of ``m ë + c ė + k e = -m a`` under r = sin(2π hz t) mm, from its phasor."""
    omega = 2.0 * np.pi * hz
    stiffness = axis.stiffness_n_per_m - axis.mass_kg * omega**2
    gain = axis.mass_kg * omega**2 / (stiffness + 1j * axis.damping_n_s_per_m * omega)
    return np.imag(gain * np.exp(1j * omega * time))


def sine_case(rate: float, hz: float = 5.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (1, N, 15) and the exact error (1, N, 2) of a sine in both axes."""
    time = np.arange(int(2 * rate)) / rate
    path = np.sin(2.0 * np.pi * hz * time)
    features = compute_features(np.column_stack([path, path, 0.0 * path]), rate)[3:]
    error = np.column_stack([analytic_response(axis, hz, time) for axis in STUDY])[3:]
    return torch.from_numpy(features)[None], torch.from_numpy(error)[None]


def test_residual_vanishes_on_the_analytic_solution_with_the_sample_interval() -> None:
    sizes = []
    for rate in (200.0, 400.0, 800.0):
        features, error = sine_case(rate)
        residual = PhysicsResidual(STUDY, rate).double()(error, features)
        sizes.append(float(residual.abs().max() / error.abs().max()))
    assert sizes[0] < 2e-3
    orders = np.log2(np.array(sizes[:-1]) / np.array(sizes[1:]))
    assert np.all(orders > 3.5)  # of a step of length h, from an interpolation of order 2


def test_residual_sees_a_wrong_frequency() -> None:
    features, error = sine_case(RATE_HZ)
    right = PhysicsResidual(STUDY, RATE_HZ).double()(error, features).abs().mean()
    wrong = PhysicsResidual([a.scaled(1.2) for a in STUDY], RATE_HZ).double()(error, features)
    assert wrong.abs().mean() > 30.0 * right


def test_residual_has_the_right_gradient() -> None:
    features, error = sine_case(RATE_HZ)
    residual = PhysicsResidual(STUDY, RATE_HZ).double()
    noisy = (error + 0.1 * torch.randn_like(error))[:, :30].requires_grad_()
    features = features[:, :30]
    assert torch.autograd.gradcheck(lambda e: residual(e, features), (noisy,))
    scale = SCALE.double()
    assert torch.autograd.gradcheck(
        lambda e: physics_loss(residual, e, features, scale, burn_in=5), (noisy,)
    )


def test_friction_explains_no_more_than_its_force() -> None:
    """A constant force F holds the carriage back by F / k: just inside the bound, as a residual."""
    for share, explained in ((0.99, True), (1.05, False)):
        axes = [
            simple_axis(
                mass_kg=a.mass_kg, stiffness_n_per_m=8000.0, damping_n_s_per_m=15.0, coulomb_n=0.8
            )
            for a in STUDY
        ]
        residual = PhysicsResidual(axes, RATE_HZ)
        offset = 0.8 / 8000.0 * 1000.0 * share
        error = torch.full((1, 50, 2), offset)
        features = torch.zeros(1, 50, 15)
        excess = residual.excess(residual(error, features))
        assert bool((excess == 0.0).all()) is explained


def sliding_case(rate: float, **axis: float) -> tuple[torch.Tensor, torch.Tensor, AxisParameters]:
    """Features (1, N, 15) and the exact error (1, N, 2) of a carriage that speeds up and slides.

    From a long run at 50 mm/s it gains 400 mm/s²: after the axis has settled, all forces are
    constant but the viscous one, and ``k e = -m a - F_c - d ṙ + (c + d) d a / k``.
    """
    moved = simple_axis(mass_kg=0.35, stiffness_n_per_m=8000.0, damping_n_s_per_m=15.0, **axis)
    time = np.arange(int(rate)) / rate
    faster = 400.0
    path = 50.0 * time + 0.5 * faster * time**2
    features = compute_features(np.column_stack([path, path, 0.0 * path]), rate)[3:]
    late = time - moved.delay_s
    speed = 50.0 + faster * late
    drag, both = moved.viscous_n_s_per_m, moved.damping_n_s_per_m + moved.viscous_n_s_per_m
    force = moved.mass_kg * faster + 1e3 * moved.coulomb_n + drag * speed
    own = -(force - both * drag * faster / moved.stiffness_n_per_m) / moved.stiffness_n_per_m
    error = own + 50.0 * late + 0.5 * faster * late**2 - path
    both_axes = torch.from_numpy(np.column_stack([error, error])[3:])[None]
    return torch.from_numpy(features)[None], both_axes, moved


@pytest.mark.parametrize(
    "further",
    [
        {},
        {"viscous_n_s_per_m": 4.0},
        {"delay_s": 0.0015},
        {"viscous_n_s_per_m": 2.0, "delay_s": 0.003},
    ],
)
def test_nothing_is_left_of_a_carriage_that_slides(further: dict[str, float]) -> None:
    features, error, axis = sliding_case(400.0, coulomb_n=0.8, **further)
    physics = PhysicsResidual((axis, axis), 400.0).double()
    left = physics.unexplained(error, features)
    assert float(left.max()) < 1e-6  # mm
    assert left.shape[1] == error.shape[1] - (4 if "delay_s" in further else 2)


def test_friction_has_no_dead_zone_where_the_carriage_slides() -> None:
    features, error, axis = sliding_case(400.0, coulomb_n=0.8)
    physics = PhysicsResidual((axis, axis), 400.0).double()
    off = 0.03  # mm, as if friction pulled less
    hidden = physics.excess(physics(error + off, features))
    assert float(hidden.max()) == 0.0  # friction could explain it, if its direction were free
    assert float(physics.unexplained(error + off, features).min()) > 1e-3


def test_a_second_mode_is_refused() -> None:
    mode = {"frequency_hz": 80.0, "damping_ratio": 0.04, "mass_share": 0.2}
    axis = replace(SOFT_X, second_mode=mode)
    with pytest.raises(ConfigError, match="second_mode: got one, expected none"):
        PhysicsResidual((axis, axis), RATE_HZ)


@settings(max_examples=30, deadline=None)
@given(
    frequency=st.floats(10.0, 60.0),
    damping=st.floats(0.02, 0.5),
    coulomb=st.floats(0.0, 2.0),
)
def test_any_axis_is_consistent_with_rest(frequency: float, damping: float, coulomb: float) -> None:
    omega = 2.0 * np.pi * frequency
    axis = simple_axis(0.4, 0.4 * omega**2, 2.0 * damping * 0.4 * omega, coulomb_n=coulomb)
    residual = PhysicsResidual((axis, axis), RATE_HZ)
    assert float(residual(torch.zeros(2, 9, 2), torch.zeros(2, 9, 15)).abs().max()) == 0.0


def test_trajectory_loss_is_the_sum_of_normalised_axis_errors_after_the_burn_in() -> None:
    target = torch.zeros(3, 10, 2)
    predicted = torch.zeros(3, 10, 2)
    predicted[:, :4] = 7.0
    predicted[:, 4:, 0], predicted[:, 4:, 1] = 0.05, -0.4
    loss = trajectory_mae(predicted, target, SCALE, burn_in=4)
    assert float(loss) == pytest.approx(0.05 / 0.1 + 0.4 / 0.2)


def test_squares_count_beside_the_sizes() -> None:
    predicted, target = torch.zeros(1, 6, 2), torch.zeros(1, 6, 2)
    predicted[:, 4:] = SCALE * torch.tensor([2.0, 3.0])  # in deviations
    predicted[:, :4] = 99.0  # left out
    sizes = trajectory_mae(predicted, target, SCALE, burn_in=4)
    assert float(sizes) == pytest.approx(5.0)
    for weight in (0.0, 0.5):
        loss = trajectory_loss(predicted, target, SCALE, 4, weight)
        assert float(loss) == pytest.approx(5.0 + weight * (4.0 + 9.0))


def test_what_is_uncertain_counts_less() -> None:
    predicted, target = SCALE * torch.ones(2, 6, 2), torch.zeros(2, 6, 2)
    trust = trust_in(torch.tensor([[0.0, 0.005], [0.01, 0.0]]), 0.005)
    assert trust.flatten().tolist() == pytest.approx([1.0, 0.5, 0.2, 1.0])
    loss = trajectory_loss(predicted, target, SCALE, 2, 1.0, trust)
    assert float(loss) == pytest.approx(2.0 * (0.6 + 0.75))  # both terms, means of each axis


def test_short_windows_still_count() -> None:
    loss = trajectory_mae(torch.ones(1, 5, 2), torch.zeros(1, 5, 2), SCALE, burn_in=48)
    assert float(loss) == pytest.approx(15.0)
    residual = PhysicsResidual(STUDY, RATE_HZ)
    short = torch.ones(1, 2, 2)
    assert float(physics_loss(residual, short, torch.zeros(1, 2, 15), SCALE, 0)) == 0.0


def test_settling_time_of_the_soft_study() -> None:
    # 4 / (ζω) = 8 m / c: 0.187 s and 0.24 s
    assert settling_samples(STUDY, RATE_HZ) == 48
    assert settling_samples((SOFT_X,), RATE_HZ) == 38


def test_an_undamped_axis_is_refused() -> None:
    axis = simple_axis(0.35, 8000.0, 0.0)
    with pytest.raises(
        ConfigError, match=r"damping_ratio: got \[0\.0, 0\.0\], expected numbers above 0"
    ):
        PhysicsResidual((axis, axis), RATE_HZ)
