"""Temperatures and bonding: closed forms, and monotone where physics is."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from tests.dynamics.commanded import load_printer, trajectory
from trajerr.dynamics.thermal import ThermalParameters, nozzle_temperature, temperatures
from trajerr.errors import ConfigError
from trajerr.gcode.parts import PARTS, load_part
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample

THERMAL = load_printer().thermal
RATE = 100.0


def line(seconds=20.0, speed=50.0, **columns):
    """One axis at a constant speed, laying down 0.4 × 0.2 mm."""
    time = np.arange(round(seconds * RATE)) / RATE
    return trajectory(np.column_stack([20.0 + speed * time, 20.0 + 0.0 * time]), RATE, **columns)


layers = {
    "layer_time": st.floats(3.0, 200.0),
    "z": st.floats(0.2, 60.0),
    "fan": st.floats(0.0, 1.0),
    "bed": st.floats(30.0, 70.0),
    "nozzle": st.floats(190.0, 230.0),
}


def typical(layer_time, thermal=THERMAL, **columns):
    heat, adhesion = temperatures(thermal, line(2.0, **columns), layer_time)
    return heat[-1], adhesion[-1]


def test_shapes_and_ranges():
    heat, adhesion = temperatures(THERMAL, line(), 20.0)
    assert heat.shape == (2000, 3)
    assert adhesion.shape == (2000,)
    assert np.all(heat[:, 0] > heat[:, 2])
    assert np.all(heat[:, 2] > heat[:, 1])
    assert np.all((adhesion > 0.0) & (adhesion <= 1.0))


@settings(max_examples=60, deadline=None)
@given(**layers, longer=st.floats(1.05, 3.0))
def test_longer_layers_are_cooler_and_no_better_bonded(layer_time, longer, **columns):
    heat, adhesion = typical(layer_time, **columns)
    later, weaker = typical(layer_time * longer, **columns)
    assert later[1] < heat[1]
    assert later[2] < heat[2]
    # Where the stack stays above glass transition, more time alone also heals.
    assert weaker < adhesion or heat[1] > THERMAL.glass_transition_c


@settings(max_examples=60, deadline=None)
@given(**layers)
def test_without_fan_it_is_hotter_and_bonds_better(layer_time, fan, **columns):
    cooled, weaker = typical(layer_time, fan=max(fan, 0.05), **columns)
    still, stronger = typical(layer_time, fan=0.0, **columns)
    assert still[1] > cooled[1]
    assert still[2] > cooled[2]
    assert stronger > weaker


@settings(max_examples=60, deadline=None)
@given(**layers, rise=st.floats(1.0, 20.0))
def test_a_hotter_nozzle_is_hotter_everywhere_and_bonds_better(layer_time, nozzle, rise, **columns):
    heat, adhesion = typical(layer_time, nozzle=nozzle, **columns)
    hotter, stronger = typical(layer_time, nozzle=nozzle + rise, **columns)
    assert np.all(hotter > heat)
    assert stronger > adhesion


@settings(max_examples=40, deadline=None)
@given(**layers, rise=st.floats(1.0, 20.0))
def test_a_hotter_bed_is_hotter_and_bonds_better(layer_time, bed, rise, **columns):
    heat, adhesion = typical(layer_time, bed=bed, **columns)
    hotter, stronger = typical(layer_time, bed=bed + rise, **columns)
    assert hotter[1] > heat[1]
    assert stronger > adhesion


def test_close_to_the_bed_the_stack_has_the_beds_temperature():
    heat, _ = typical(60.0, z=0.2, bed=60.0)
    assert heat[1] == pytest.approx(60.0, abs=2.0)


def test_the_stack_balances_its_heat():
    """What fresh material brings leaves through air and bed."""
    heat, _ = typical(20.0, z=4.0, bed=60.0, fan=1.0)
    nozzle, found, _ = heat
    thickness = THERMAL.layer_height_mm * 1e-3
    brought = 1240.0 * 1200.0 * thickness / 20.0 * (nozzle - found)
    # 50 mm/s of 0.03 mm filament a millimetre, 20 s in a layer 0.2 mm thick.
    width = np.sqrt(50.0 * 0.03 * np.pi / 4.0 * 1.75**2 * 20.0 / 0.2) * 1e-3
    loss = 54.0
    depth = min(np.sqrt(0.13 * width / (4.0 * loss)), 4e-3)
    air = loss * (1.0 + 4.0 * depth / width) * (found - 42.5)
    bed = 0.13 / 4e-3 * (found - 60.0)
    assert brought == pytest.approx(air + bed, rel=5e-3)


def test_flow_draws_the_melt_down():
    flow = 50.0 * 0.03 * np.pi / 4.0 * 1.75**2
    drop = 1.5 * 1240.0 * 1200.0 * flow * 1e-9 * (210.0 - 25.0)
    melt = nozzle_temperature(THERMAL, line(60.0))
    np.testing.assert_allclose(melt[-1], 210.0 - drop, atol=0.01)
    assert 1.0 < drop < 3.0


def test_a_new_set_point_is_reached_like_a_first_order_lag():
    path = line(40.0, feed=0.0, nozzle=np.where(np.arange(4000) < 1000, 210.0, 200.0))
    melt = nozzle_temperature(THERMAL, path)
    since = (np.arange(1000, 4000) - 999) / RATE
    expected = 200.0 + 10.0 * np.exp(-since / THERMAL.nozzle_time_s)
    np.testing.assert_allclose(melt[1000:], expected, atol=1e-9)


def test_strength_of_a_weld_equals_its_integrals():
    """Quadrature over the cooling, then over the chains: the sum that the closed form is."""
    layer_time, columns = 30.0, {"z": 6.0, "bed": 60.0, "fan": 1.0, "nozzle": 210.0}
    heat, adhesion = typical(layer_time, **columns)
    nozzle, found, _ = heat
    thickness = THERMAL.layer_height_mm * 1e-3
    decay = 1240.0 * 1200.0 * thickness / (54.0 + 0.13 / thickness)

    def rate(time):
        above = found + 0.5 * (nozzle - found) * np.exp(-time / decay) - 60.0
        if above <= 0.0:
            return 0.0
        return (
            10.0 ** (17.44 * (above / (51.6 + above) - 70.0 / (51.6 + 70.0))) / THERMAL.weld_time_s
        )

    healed = quad(rate, 0.0, layer_time, points=[0.5, 1.0, 2.0], limit=200)[0]
    spread = 4.0 * np.sqrt(np.log(THERMAL.polydispersity))

    def chain(u):
        return norm.pdf(u) * min(1.0, (healed * np.exp(-spread * u)) ** 0.25)

    expected = quad(chain, -8.0, 8.0, points=[np.log(healed) / spread], limit=200)[0]
    assert adhesion == pytest.approx(expected, abs=1e-4)


def test_chains_of_one_length_heal_completely():
    thermal = replace(THERMAL, polydispersity=1.0, weld_time_s=1e-4)
    assert typical(20.0, thermal)[1] == 1.0


def test_each_sample_stands_for_itself():
    """A layer's times can come one by one; two layers at once are the two apart."""
    two = line(4.0, layer=np.repeat([4, 5], 200), z=np.repeat([0.8, 1.0], 200))
    times = np.repeat([20.0, 50.0], 200)
    heat, adhesion = temperatures(THERMAL, two, times)
    for layer_time, part in ((20.0, slice(0, 200)), (50.0, slice(200, 400))):
        z = 0.8 if layer_time == 20.0 else 1.0
        alone, bond = temperatures(THERMAL, line(2.0, z=z), layer_time)
        np.testing.assert_allclose(heat[part][50:, 1], alone[50:, 1], atol=0.05)
        np.testing.assert_allclose(adhesion[part][50:], bond[50:], atol=2e-3)


@pytest.mark.parametrize("acceleration_scale", [1.0, 4.0])
@pytest.mark.parametrize("part", PARTS)
def test_embedded_prints_are_as_warm_and_bonded_as_the_original_states(part, acceleration_scale):
    motion = plan(load_part(part), load_printer().limits, acceleration_scale=acceleration_scale)
    for layer in motion.layers[::5]:
        span = motion.layer_span(int(layer))
        heat, adhesion = temperatures(THERMAL, sample(motion, 20.0, *span), span[1] - span[0])
        assert np.all((heat[:, 1] > 45.0) & (heat[:, 1] < 85.0)), (layer, span)
        assert np.all((adhesion > 0.75) & (adhesion < 0.90)), (layer, span)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("room_c", 0.0),
        ("bed_air_share", 1.2),
        ("polydispersity", 0.9),
        ("weld_time_s", float("nan")),
        ("weld_reference_c", 50.0),
    ],
)
def test_values_out_of_range_are_named(key, value):
    with pytest.raises(ConfigError, match=key):
        ThermalParameters(**{**vars(THERMAL), key: value})
