import numpy as np
import pytest
from scipy.signal import welch

from tests.collection.small_print import printer, small_program
from trajerr.collection import variants
from trajerr.collection.variants import (
    DEVIATION_BAND_HZ,
    DEVIATION_MM,
    Kind,
    Variant,
    command,
    parse_variants,
    smooth_noise,
)
from trajerr.dynamics.plant import simulate
from trajerr.errors import ConfigError
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample
from trajerr.motion.trajectory import Trajectory


@pytest.fixture(scope="module")
def planned() -> Trajectory:
    motion = plan(small_program(), printer().limits)
    return sample(motion, 5000.0, 0.0, motion.layer_span(1)[1])


def test_names_tell_variants_apart() -> None:
    assert Variant().name == "a1_v1"
    assert Variant(4.0, 1.5, "perturbed").name == "a4_v1.5_perturbed"
    assert Variant(placed=True).name == "a1_v1_placed"
    assert Variant(kind="perturbed", placed=True).name == "a1_v1_perturbed_placed"


def test_a_variant_takes_its_share_of_the_layers() -> None:
    odd, even = Variant(every=2, start=1), Variant(every=2)
    assert [odd.takes(i) for i in range(4)] == [False, True, False, True]
    assert all(odd.takes(i) != even.takes(i) for i in range(10))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "at least one"),
        ([{"acceleration_scale": 0}], "acceleration_scale: got 0"),
        ([{"speed_scale": float("nan")}], "speed_scale"),
        ([{"speed_scale": "fast"}], "speed_scale: got fast"),
        ([{"kind": "wild"}], "nominal or perturbed or precompensated"),
        ([{"every": 2, "start": 2}], "start: got 2, expected 0 to"),
        ([{"placed": 45}], "placed: got 45, expected true or false"),
        ([{"scale": 1}], "got scale, expected acceleration_scale"),
        ([1.5], "got 1.5"),
        ([{}, {"acceleration_scale": 1.0}], "variants that differ"),
    ],
)
def test_bad_variants_name_the_key(values: list, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_variants(values)


def test_noise_has_unit_rms_and_keeps_to_its_band() -> None:
    noise = smooth_noise(np.random.default_rng(0), 400_000, 1000.0)
    np.testing.assert_allclose(np.sqrt(np.mean(noise**2, axis=0)), 1.0, rtol=0.02)
    assert abs(np.corrcoef(noise.T)[0, 1]) < 0.1
    frequency, density = welch(noise[:, 0], 1000.0, nperseg=8192)
    outside = frequency > 1.05 * DEVIATION_BAND_HZ
    assert density[outside].sum() < 1e-4 * density.sum()


def commanded(
    kind: Kind, planned: Trajectory, seed: int
) -> tuple[Trajectory, dict[str, str | float]]:
    pieces, params = command(Variant(kind=kind), printer(), lambda: [planned], seed)
    (changed,) = pieces
    return changed, params


def test_perturbed_command_stays_near_and_starts_on_the_path(planned: Trajectory) -> None:
    changed, params = commanded("perturbed", planned, 7)
    deviation = changed.position - planned.position
    assert np.all(deviation[0] == 0.0)
    assert np.all(deviation[:, 2] == 0.0)
    level = params["deviation_rms_mm"]
    assert DEVIATION_MM[0] <= level <= DEVIATION_MM[1]
    assert 0.4 * level < np.std(deviation[:, 0]) < 1.6 * level
    again, _ = commanded("perturbed", planned, 7)
    np.testing.assert_array_equal(changed.position, again.position)
    other, _ = commanded("perturbed", planned, 8)
    assert np.std(other.position - changed.position) > 0.01


def test_the_longer_it_learns_the_nearer_the_nozzle_comes(
    planned: Trajectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = printer().without("jitter", "ripple")
    nominal, found = planned.position[:, :2], []
    for iterations in (1, 3, 12):
        monkeypatch.setattr(variants, "ITERATIONS", (iterations, iterations))
        (changed,), params = command(
            Variant(kind="precompensated"), quiet, lambda: [planned], seed=5
        )
        assert params == {"iterations": iterations}
        found.append(np.std((simulate(quiet, changed, seed=0).xy - nominal)[2500:]))
    before = np.std((simulate(quiet, planned, seed=0).xy - nominal)[2500:])
    assert found[2] < found[1] < found[0] < before
    assert found[2] < 0.2 * before


def test_precompensated_command_says_how_far_it_got(planned: Trajectory) -> None:
    changed, params = commanded("precompensated", planned, 3)
    assert len(changed) == len(planned)
    assert 1 <= params["iterations"] <= 16
    nominal = planned.position[:, :2]
    before = simulate(printer(), planned, seed=3).xy - nominal
    after = simulate(printer(), changed, seed=3).xy - nominal
    assert np.std(after[2500:]) < 0.9 * np.std(before[2500:])
