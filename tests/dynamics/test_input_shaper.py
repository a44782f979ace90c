"""A printer's own input shaper: between command and motors, in pieces as in one, checked."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.correction.cases import linear_printer, small_print
from tests.dynamics.commanded import load_printer, piece, trajectory, wandering
from trajerr.dynamics.designed_shapers import designed_shaper, shape_trajectory
from trajerr.dynamics.input_shaper import AxisShaper, InputShaper
from trajerr.dynamics.layer import lookahead, simulate_layer
from trajerr.dynamics.plant import SIMULATION_RATE_HZ, decimate, simulate, simulate_pieces
from trajerr.dynamics.printer import Printer
from trajerr.errors import ConfigError
from trajerr.motion.lead_in import LayerMotion
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample

MZV = {"type": "mzv", "frequency_hz": 24.1, "damping_ratio": 0.1}
RATE = 5000.0


def shaped(printer: Printer, name: str = "mzv") -> Printer:
    return replace(printer, shaper=designed_shaper(printer, name))


@pytest.mark.parametrize("name", ["ender3_v2", "corexy"])
def test_motors_are_told_the_shaped_command_and_errors_count_from_the_unshaped(name):
    printer = load_printer(name)
    path = trajectory(wandering(RATE), RATE)
    found = simulate(shaped(printer), path, seed=3)
    told = simulate(printer, shape_trajectory(path, printer, "mzv"), seed=3)
    np.testing.assert_array_equal(found.xy, told.xy)
    ((commanded, motion),) = simulate_pieces(shaped(printer), [path], seed=3)
    assert commanded is path
    np.testing.assert_array_equal(motion.xy, told.xy)


def test_the_command_is_the_weighted_sum_of_delayed_ones():
    """Klipper's MZV in closed form, on a smooth command; without its mean delay."""
    damping, frequency = 0.1, 24.1
    stretch = np.sqrt(1.0 - damping**2)
    k = np.exp(-0.75 * damping * np.pi / stretch)
    side = 1.0 - 1.0 / np.sqrt(2.0)
    weights = np.array([side, (np.sqrt(2.0) - 1.0) * k, side * k**2])
    weights /= weights.sum()
    delays = np.array([0.0, 0.375, 0.75]) / (frequency * stretch)
    delays -= weights @ delays
    time = np.arange(4000) / RATE

    def command(at):
        return 50.0 + 3.0 * np.sin(2.0 * np.pi * 4.0 * at)

    both = np.column_stack([command(time), command(time)])
    found = InputShaper.read({"x": MZV}).shape(both, RATE)
    wanted = sum(w * command(time - t) for w, t in zip(weights, delays, strict=True))
    np.testing.assert_allclose(found[200:-200, 0], wanted[200:-200], atol=2e-5)
    np.testing.assert_array_equal(found[:, 1], both[:, 1])


@pytest.mark.parametrize("name", ["ender3_v2", "corexy"])
@pytest.mark.parametrize("overlap", [0, 1])
@pytest.mark.parametrize("cuts", [(0, 1001, 1003, 1003, 1010, 9000), (0, 0, 1, 14000)])
def test_a_print_in_pieces_is_the_print(name, overlap, cuts):
    """Pieces shorter than the shaper's reach, empty ones, and such as repeat a sample."""
    printer = shaped(load_printer(name))
    whole = trajectory(wandering(RATE), RATE, first=1234)
    expected = simulate(printer, whole, seed=3).xy
    pieces = [
        piece(whole, a - overlap if a and b != a else a, b) for a, b in pairwise((*cuts, None))
    ]
    found = list(simulate_pieces(printer, iter(pieces), seed=3))
    assert [commanded for commanded, _ in found] == pieces
    for commanded, motion in found:
        own = slice(commanded.first - whole.first, commanded.first - whole.first + len(commanded))
        np.testing.assert_allclose(motion.xy, expected[own], atol=1e-9)


def test_no_more_is_held_back_than_the_shaper_looks_ahead():
    printer, taken = shaped(load_printer()), []
    whole = trajectory(wandering(RATE), RATE)

    def pieces():
        for begin in range(0, 15000, 250):  # 50 ms, longer than it reaches
            taken.append(begin)
            yield piece(whole, begin, begin + 250)

    behind = [
        taken[-1] - commanded.first for commanded, _ in simulate_pieces(printer, pieces(), seed=3)
    ]
    assert max(behind) == 250


def test_a_gap_between_pieces_is_refused():
    whole = trajectory(wandering(RATE), RATE)
    pieces = [piece(whole, 0, 100), piece(whole, 150, None)]
    with pytest.raises(ValueError, match="begins at sample 150, expected 100 or 99"):
        list(simulate_pieces(shaped(load_printer()), pieces, seed=0))


def test_one_piece_alone_does_not_go_on_from_a_state():
    path = trajectory(wandering(RATE), RATE)
    state = simulate(load_printer(), piece(path, 0, 100), seed=0).state
    with pytest.raises(ValueError, match="expected None for a printer with an input shaper"):
        simulate(shaped(load_printer()), piece(path, 100, None), seed=0, state=state)


def test_a_layer_ends_as_it_does_in_the_print():
    """Firmware knows what comes after it."""
    printer = shaped(linear_printer())
    planned = plan(small_print(2), printer.limits)
    motion = LayerMotion.of(planned, 1)
    whole = sample(planned, SIMULATION_RATE_HZ)
    expected, actual = decimate(whole, simulate(printer, whole, seed=0), 200.0)
    found = simulate_layer(printer, motion, 200.0, seed=0)
    plain = simulate_layer(linear_printer(), motion, 200.0, seed=0)
    coarse, xy = found.commanded, found.actual
    np.testing.assert_array_equal(coarse.position, plain.commanded.position)
    assert found.context == plain.context == 0  # nothing moves before the first layer
    own = slice(coarse.first - expected.first, coarse.first - expected.first + len(coarse))
    np.testing.assert_allclose(xy[-40:], actual.xy[own][-40:], atol=1e-6)
    assert lookahead(printer) > 0.01
    assert lookahead(linear_printer()) == 0.0


def test_a_jump_in_speed_does_not_ring():
    printer = load_printer().only()
    time = np.arange(8000) / 10000.0
    xy = np.repeat(100.0 + 30.0 * np.maximum(time - 0.2, 0.0)[:, None], 2, axis=1)
    raw, damped = (
        simulate(one, trajectory(xy, 10000.0), seed=0).xy - xy for one in (printer, shaped(printer))
    )
    assert np.max(np.abs(damped[4000:6500])) < 2e-3 * np.max(np.abs(raw[4000:6500]))


def test_on_a_corexy_the_tool_head_is_shaped_and_not_the_motors():
    printer = load_printer("corexy").only()
    path = trajectory(wandering(RATE), RATE)
    mzv = AxisShaper(type="mzv", frequency_hz=60.0, damping_ratio=0.06)
    plain = simulate(printer, path, seed=0).xy
    found = simulate(replace(printer, shaper=InputShaper(x=mzv)), path, seed=0).xy
    assert np.max(np.abs(found - plain)[:, 0]) > 1e-3
    np.testing.assert_allclose(found[:, 1], plain[:, 1], atol=1e-9)


def test_no_shaper_on_either_axis_is_none():
    printer = load_printer()
    for nothing in (None, {}, {"x": None}, {"x": None, "y": None}, InputShaper()):
        assert replace(printer, shaper=nothing) == printer
    assert InputShaper.read({"y": MZV}) == InputShaper(y=AxisShaper(**MZV))


def test_it_survives_json_and_earlier_printers_lack_it():
    plain = load_printer().to_dict()
    both = {"x": MZV, "y": {**MZV, "type": "2hump_ei"}}
    printer = Printer.from_dict({**plain, "shaper": both})
    assert printer.to_dict()["shaper"] == both
    assert Printer.from_dict(printer.to_dict()) == printer
    assert isinstance(hash(printer), int)
    del plain["shaper"]
    assert Printer.from_dict(plain) == load_printer()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("mzv", r"printer\.shaper: got mzv, expected null or the keys x, y"),
        ({"z": MZV}, r"printer\.shaper\.z: got .*, expected none but the keys x, y"),
        ({"x": "mzv"}, r"printer\.shaper\.x: got mzv, expected null or the keys type, freq"),
        ({"x": {"type": "zv"}}, r"printer\.shaper\.x: got \[type\], expected the keys type, freq"),
        ({"x": {**MZV, "freq": 3}}, r"printer\.shaper\.x\.freq: got 3, expected none but the key"),
        ({"y": {**MZV, "type": "smooth"}}, r"printer\.shaper\.y\.type: got smooth, expected one"),
        ({"y": {**MZV, "type": 3}}, r"printer\.shaper\.y\.type: got 3, expected one of zv, mzv"),
        ({"y": {**MZV, "frequency_hz": 0}}, r"printer\.shaper\.y\.frequency_hz: got 0, expected"),
        ({"y": {**MZV, "frequency_hz": "24"}}, r"printer\.shaper\.y\.frequency_hz: got '24', exp"),
        ({"x": {**MZV, "damping_ratio": 1.0}}, r"printer\.shaper\.x\.damping_ratio: got 1\.0, ex"),
        ({"x": {**MZV, "damping_ratio": None}}, r"printer\.shaper\.x\.damping_ratio: got null, e"),
    ],
)
def test_a_wrong_key_is_named(given, says):
    with pytest.raises(ConfigError, match=f"^{says}"):
        replace(load_printer(), shaper=given)
