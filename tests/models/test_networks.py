import pytest
import torch

from tests.models.networks import build, network_config, random_features, stir
from trajerr.errors import ConfigError
from trajerr.models import inputs
from trajerr.models.registry import NETWORKS, build_network, count_parameters
from trajerr.motion.features import FEATURES

RECURRENT = ("base", "small", "large", "lstm", "physics", "hybrid")
EXPORTED = ("base", "small", "large", "lstm", "hybrid")
SMALL_LARGE = {
    "d_model": 32,
    "decoder_size": 32,
    "feedforward": 64,
    "attention_context": 8,
    "num_layers": 2,
}


def shrunk(name: str) -> torch.nn.Module:
    return build(name, **(SMALL_LARGE if name == "large" else {}))


def test_columns_are_those_of_the_features() -> None:
    columns = torch.arange(15.0)
    names = [FEATURES[int(c)] for part in inputs.motion(columns) for c in part]
    assert names == ["x", "y", "vx", "vy", "ax", "ay", "jx", "jy"]
    by_axis = [[FEATURES[column] for column in columns] for columns in inputs.MOTION]
    assert by_axis == [["x", "vx", "ax", "jx"], ["y", "vy", "ay", "jy"]]
    assert len(FEATURES) == inputs.N_FEATURES


def test_large_values_are_bent_without_a_jump_and_small_ones_left_alone() -> None:
    values = torch.linspace(-40.0, 40.0, 81, dtype=torch.float64, requires_grad=True)
    bent = inputs.bend(values)
    inside = values.abs() <= inputs.LINEAR_RANGE
    torch.testing.assert_close(bent[inside], values[inside], rtol=0.0, atol=0.0)
    far = torch.tensor([8.0, -40.0], dtype=torch.float64)
    expected = torch.sign(far) * (4.0 + 4.0 * torch.log(far.abs() / 4.0))
    torch.testing.assert_close(inputs.bend(far), expected)
    (slope,) = torch.autograd.grad(bent.sum(), values)
    exact = torch.where(inside, 1.0, inputs.LINEAR_RANGE / values.abs())
    off = values.abs() != inputs.LINEAR_RANGE  # at the bend itself either slope is right
    torch.testing.assert_close(slope[off], exact[off].detach())


@pytest.mark.parametrize("name", NETWORKS)
def test_any_length_gives_one_error_per_axis_and_sample(name: str) -> None:
    network = shrunk(name)
    for steps in (1, 2, 15, 16, 17, 130):
        error = network(random_features(3, steps))
        assert error.shape == (3, steps, 2)
        assert torch.isfinite(error).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_future_does_not_change_the_past(name: str) -> None:
    network = shrunk(name)
    features = random_features(2, 90)
    changed = features.clone()
    changed[:, 60:] = random_features(2, 30, seed=9) * 3.0
    before, after = network(features), network(changed)
    torch.testing.assert_close(before[:, :60], after[:, :60], rtol=0.0, atol=1e-6)
    assert (before[:, 60:] - after[:, 60:]).abs().max() > 1e-4


@pytest.mark.parametrize("name", NETWORKS)
def test_items_of_a_batch_do_not_mix(name: str) -> None:
    network = shrunk(name)
    features = random_features(5, 40)
    together = network(features)
    for index in range(5):
        alone = network(features[index : index + 1])[0]
        torch.testing.assert_close(together[index], alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("cuts", [(1,), (16,), (7, 8, 50), (40, 99)])
def test_streamed_pieces_equal_the_whole(name: str, cuts: tuple[int, ...]) -> None:
    network = shrunk(name)
    features = random_features(2, 100)
    state, pieces = network.initial_state(2), []
    for piece in torch.tensor_split(features, cuts, dim=1):
        error, state = network.stream(piece, state)
        pieces.append(error)
    torch.testing.assert_close(torch.cat(pieces, 1), network(features), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", RECURRENT)
def test_single_steps_equal_the_whole(name: str) -> None:
    network = shrunk(name)
    features = random_features(2, 50)
    state, errors = network.initial_state(2), []
    for sample in features.unbind(1):
        error, state = network.step(state, sample)
        errors.append(error)
    torch.testing.assert_close(torch.stack(errors, 1), network(features), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["base", "large"])
def test_attention_sees_its_context_and_nothing_before(name: str) -> None:
    network = build(
        name, d_model=16, decoder_size=16, num_heads=2, attention_context=8, num_layers=1
    )
    layer = network.encoder[0]
    vectors = torch.randn(1, 40, 16, requires_grad=True)
    out, _ = layer(vectors, torch.zeros(1, 8, 32))
    out[0, 30].sum().backward()
    seen = torch.nonzero(vectors.grad[0].abs().sum(-1)).flatten().tolist()
    assert seen == list(range(23, 31))


@pytest.mark.parametrize("name", EXPORTED)
@pytest.mark.filterwarnings("ignore:`torch.jit.*:DeprecationWarning")
def test_torchscript_says_the_same(name: str) -> None:
    network = shrunk(name)
    scripted = torch.jit.script(network)
    for batch, steps in ((1, 128), (5, 33), (33, 7)):
        features = random_features(batch, steps)
        torch.testing.assert_close(scripted(features), network(features), rtol=1e-4, atol=1e-6)
    state = network.initial_state(2)
    sample = random_features(2, 1)[:, 0]
    torch.testing.assert_close(scripted.step(state, sample)[0], network.step(state, sample)[0])


def test_sizes_are_as_promised() -> None:
    assert count_parameters(build("small")) < 50_000
    assert 5.0e6 < count_parameters(build("large")) < 6.5e6


def test_normalisation_is_inside() -> None:
    network = build("base", equation=None)  # whose solution is in mm
    outputs = network(random_features(8, 200))
    assert outputs.abs().max() < 1.0  # mm; normalised values would be of order one and more
    scale = torch.tensor([2.0, 3.0])
    before = network(random_features(1, 20))
    network.scaling.target_std *= scale
    network.scaling.target_mean *= scale
    torch.testing.assert_close(network(random_features(1, 20)), before * scale)


@pytest.mark.parametrize("name", ["base", "small", "hybrid"])
def test_with_an_equation_a_network_begins_with_its_solution(name: str) -> None:
    network = build(name)
    features = random_features(3, 80)
    states, _ = network.equation(features, torch.zeros(2, 3, 2))
    torch.testing.assert_close(network(features), states[:, 0].transpose(0, 1))


@pytest.mark.parametrize("name", ["base", "small", "hybrid"])
def test_a_solution_from_elsewhere_is_taken_for_its_own(name: str) -> None:
    network = build(name)
    stir(network)
    features = random_features(2, 70)
    states, _ = network.equation(features, torch.zeros(2, 2, 2))
    torch.testing.assert_close(network.guided(features, states), network(features))
    assert (network.guided(features, states + 0.1) - network(features)).abs().max() > 0.01


@pytest.mark.parametrize("name", NETWORKS)
def test_motion_beyond_all_training_stays_bounded(name: str) -> None:
    if name in ("fir", "physics"):
        pytest.skip("linear in its inputs by design")
    features = random_features(2, 200)
    features[..., 3:14] *= 20.0
    assert shrunk(name)(features).abs().max() < 3.0


def test_shared_axes_treat_x_and_y_alike_but_for_which_they_are() -> None:
    network = build("base")
    stats = {
        "feature_mean": [0.0] * 15,
        "feature_std": [1.0] * 15,
        "target_mean": [0.0, 0.0],
        "target_std": [1.0, 1.0],
    }
    network.scaling.set_statistics(stats)
    network.inputs.identity.zero_()  # hides which axis it is
    features = torch.randn(2, 60, 15)
    swapped = features[..., [1, 0, 2, 4, 3, 5, 6, 8, 7, 9, 10, 12, 11, 13, 14]]
    torch.testing.assert_close(network(swapped), network(features).flip(-1))


@pytest.mark.parametrize("name", ["base", "large", "lstm", "hybrid"])
def test_coupled_motors_feel_the_other_axis(name: str) -> None:
    """On a CoreXY, y alone turns both motors; on a Cartesian printer with shared axes, one."""
    shape = SMALL_LARGE if name == "large" else {}
    features = random_features(1, 60)
    moved = features.clone()
    for column in (1, 4, 8, 12):  # y and its derivatives
        moved[..., column] = random_features(1, 60, seed=5)[..., column]
    coupled = stir(build(name, kinematics="corexy", **shape))
    assert (coupled(features) - coupled(moved))[..., 0].abs().max() > 1e-4
    if coupled.inputs.streams == 2:
        apart = stir(build(name, kinematics="cartesian"))
        torch.testing.assert_close(apart(features)[..., 0], apart(moved)[..., 0])


def test_ripple_phases_repeat_with_the_period_and_the_motors() -> None:
    position = torch.tensor([[100.05, 50.0], [100.25, 50.0], [100.05, 50.1]])
    phases = inputs.ripple_phases(position, torch.tensor([0.2]))
    torch.testing.assert_close(phases[0], phases[1], rtol=0.0, atol=2e-3)
    torch.testing.assert_close(phases[0, 0], torch.tensor([1.0, 0.0]), rtol=0.0, atol=2e-3)
    motors = inputs.motor_positions(position)
    torch.testing.assert_close(motors[0], torch.tensor([150.05, 50.05]))


def test_unknown_names_and_arguments_are_named() -> None:
    with pytest.raises(ConfigError, match=r"resnet.*base"):
        build_network({"name": "resnet"})
    with pytest.raises(ConfigError, match="width"):
        build_network({**network_config("base"), "width": 3})
    with pytest.raises(ConfigError, match="dropout"):
        config = network_config("base")
        del config["dropout"]
        build_network(config)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": "resnet"}, "architecture: got resnet, expected one of transformer, lstm"),
        ({"axes": "both"}, "axes: got both, expected one of shared, joint"),
        ({"kinematics": "delta"}, "kinematics: got delta, expected one of cartesian, corexy"),
        ({"positions": "learned"}, "positions: got learned, expected one of "),
        ({"d_model": 20, "num_heads": 4}, r"d_model: got 20, expected a multiple of 2 \* model"),
        ({"decoder_attention": True, "decoder_size": 4, "d_model": 8}, "decoder_size: got 4, ex"),
    ],
)
def test_values_that_do_not_fit_are_named(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=rf"^model\.{said}"):
        build_network({**network_config("base"), **changes})


@pytest.mark.parametrize("name", ["base", "lstm", "fir", "physics", "hybrid"])
def test_sizes_below_one_are_named(name: str) -> None:
    config = network_config(name)
    sizes = [k for k, v in config.items() if isinstance(v, int) and not isinstance(v, bool)]
    for key in sizes:
        with pytest.raises(ConfigError, match=rf"model.*{key}|num_layers"):
            build_network({**config, key: -1})


@pytest.mark.parametrize("axes", ["shared", "joint"])
@pytest.mark.parametrize("kinematics", ["cartesian", "corexy"])
def test_inputs_that_turn_with_the_motion_are_those_named_odd(axes: str, kinematics: str) -> None:
    made = inputs.make_inputs(axes, kinematics, [0.2, 0.8])
    features = random_features(2, 30)
    back = features.clone()
    of_x_and_y = [k for k, name in enumerate(FEATURES) if name[0] in "vaj" and name[1:] in "xy"]
    back[..., of_x_and_y] *= -1.0
    there, again = (made(raw, raw) for raw in (features, back))
    turned = torch.isclose(again, -there).all(dim=0).all(dim=0)
    same = torch.isclose(again, there).all(dim=0).all(dim=0)
    assert bool((turned | same).all())
    phases = same & (made.odd > 0.0)  # a drive of its own, which positions tell
    assert int(phases.sum()) == (8 if axes == "joint" or kinematics == "corexy" else 4)
    assert bool(((made.odd > 0.0) == (turned | phases)).all())


@pytest.mark.parametrize("name", ["base", "large"])
def test_what_is_odd_already_is_trained_the_same_turned_round(name: str) -> None:
    network = stir(build(name, **(SMALL_LARGE if name == "large" else {}), mirrored=True))
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    features = random_features(6, 40)
    network.train()
    torch.manual_seed(0)
    assert not torch.allclose(network(features), network.eval()(features), atol=1e-5)
    with torch.no_grad():  # only a straight line from odd inputs to the error is left
        for parameter in network.head[-1].parameters():
            parameter.zero_()
        network.shortcut.bias.zero_()
        network.shortcut.weight *= network.odd
    torch.testing.assert_close(network.train()(features), network.eval()(features))
