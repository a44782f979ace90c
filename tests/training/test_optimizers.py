from dataclasses import replace

import pytest
import torch
from torch import nn

from trajerr.errors import ConfigError
from trajerr.training.optimizers import MuonAdamW, make_optimizer
from trajerr.training.schedules import make_schedule
from trajerr.training.settings import OptimizerSettings, ScheduleSettings

MUON = OptimizerSettings("muon", lr=0.01, weight_decay=0.0)


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))


def advance(net: nn.Sequential, optimizer: torch.optim.Optimizer, steps: int) -> None:
    generator = torch.Generator().manual_seed(5)
    inputs = torch.randn(32, 6, generator=generator)
    for _ in range(steps):
        optimizer.zero_grad()
        (net(inputs) - inputs.sum(1, keepdim=True)).square().mean().backward()
        optimizer.step()


def weights(net: nn.Sequential) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_a_matrix_takes_an_orthogonal_step_and_a_vector_one_of_adamw() -> None:
    net, twin = network(), network()
    optimizer = make_optimizer(net.parameters(), MUON, 0.01)
    advance(net, optimizer, 1)
    advance(twin, torch.optim.AdamW(twin.parameters(), lr=0.01, weight_decay=0.0), 1)
    start = network()
    step = (net[0].weight - start[0].weight).detach()
    # Newton-Schulz takes singular values near 1, between 0.5 and 1.5; scaled to AdamW's size.
    sizes = torch.linalg.svdvals(step) / (0.01 * 0.2 * 8**0.5)
    assert sizes.min() > 0.5
    assert sizes.max() < 1.5
    for mine, other in ((net[0].bias, twin[0].bias), (net[2].weight, twin[2].weight)):
        torch.testing.assert_close(mine, other)


def test_a_schedule_changes_the_rate_of_all() -> None:
    net = network()
    optimizer = make_optimizer(net.parameters(), MUON, 0.01)
    schedule = make_schedule(optimizer, ScheduleSettings("constant", warm_up=0.5), 10)["scheduler"]
    before = weights(net)
    advance(net, optimizer, 1)
    first = weights(net) - before
    fresh = network()
    full = make_optimizer(fresh.parameters(), MUON, 0.01)
    advance(fresh, full, 1)
    torch.testing.assert_close(first * 5.0, weights(fresh) - before, rtol=1e-3, atol=1e-7)
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.004, 0.004]


@pytest.mark.parametrize("name", ["plateau", "cosine", "one_cycle", "constant"])
def test_every_schedule_drives_it(name: str) -> None:
    net = network()
    optimizer = make_optimizer(net.parameters(), MUON, 0.01)
    settings = ScheduleSettings(name, warm_up=0.5, factor=0.5, patience=0)
    schedule = make_schedule(optimizer, settings, 6)["scheduler"]
    rates = []
    for _ in range(6):
        advance(net, optimizer, 1)
        schedule.step(*([1.0] if name == "plateau" else []))
        rates.append(optimizer.param_groups[0]["lr"])
    assert len(set(rates)) > 1
    assert {group["lr"] for group in optimizer.param_groups} == {rates[-1]}


def test_a_resumed_state_goes_on_as_if_uninterrupted() -> None:
    whole, parted = network(), network()
    advance(whole, make_optimizer(whole.parameters(), MUON, 0.01), 6)
    first = make_optimizer(parted.parameters(), MUON, 0.01)
    advance(parted, first, 3)
    second = make_optimizer(parted.parameters(), MUON, 0.5)
    second.load_state_dict(first.state_dict())
    advance(parted, second, 3)
    torch.testing.assert_close(weights(parted), weights(whole), rtol=0.0, atol=0.0)


def test_what_cannot_be_optimised_is_refused() -> None:
    vector = [nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(1, 4))]
    with pytest.raises(
        ConfigError, match="got muon, expected adamw: this model has no weight matrices"
    ):
        MuonAdamW(vector, 0.1, 0.0)
    with pytest.raises(
        ConfigError, match=r"optimizer\.name: got lion, expected one of muon, adamw"
    ):
        make_optimizer(vector, replace(MUON, name="lion"), 0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (ScheduleSettings("steps", 0.5), "got steps, expected one of plateau, cosine"),
        (ScheduleSettings("plateau", 0.5), "patience: got null, expected a number for plateau"),
        (ScheduleSettings("cosine"), r"warm_up: got null, expected a number for cosine"),
    ],
)
def test_a_schedule_without_what_it_needs_is_refused(
    settings: ScheduleSettings, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_schedule(make_optimizer(network().parameters(), MUON, 0.01), settings, 6)
