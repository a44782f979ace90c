"""Printers: as shipped, as plain containers, and refused where a number is wrong."""

import hashlib
import json
import re

import numpy as np
import pytest
from omegaconf import OmegaConf

from tests.dynamics.commanded import PRINTERS, load_printer
from trajerr.dynamics.printer import EFFECTS, Printer
from trajerr.errors import ConfigError
from trajerr.motion.limits import MARLIN

NAMES = sorted(path.stem for path in PRINTERS.glob("*.yaml"))


def test_the_shipped_printers():
    assert {"ender3_v2", "ender3_stock", "corexy", "klipper_fast"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_named_as_its_file_and_survives_json(name):
    printer = load_printer(name)
    assert printer.name == name
    assert Printer.from_dict(json.loads(json.dumps(printer.to_dict()))) == printer


@pytest.mark.parametrize("name", NAMES)
def test_each_number_has_a_unit_or_source(name):
    for line in (PRINTERS / f"{name}.yaml").read_text(encoding="utf-8").splitlines():
        key, _, rest = line.partition(":")
        if any(c.isdigit() for c in rest) and key.strip() not in ("", "name") and "#" not in key:
            assert "#" in rest, line


@pytest.mark.parametrize("name", NAMES)
def test_a_file_can_be_read_without_hydra(name):
    plain = OmegaConf.to_container(OmegaConf.load(PRINTERS / f"{name}.yaml"), resolve=True)
    assert Printer.from_dict(plain) == load_printer(name)


def test_frequencies_are_those_of_their_sources():
    stock, fast = load_printer("ender3_stock"), load_printer("klipper_fast")
    assert stock.x.natural_freq_hz == pytest.approx(46.0, abs=0.05)
    assert stock.y.natural_freq_hz == pytest.approx(42.5, abs=0.05)
    assert stock.x.damping_ratio == pytest.approx(0.05, abs=1e-3)
    assert 55.0 < fast.x.natural_freq_hz < 57.1
    assert fast.limits.print_acceleration_mm_s2 >= 3000.0


@pytest.mark.parametrize("name", ["ender3_v2", "ender3_stock"])
def test_enders_run_a_firmware_that_exists(name):
    limits = load_printer(name).limits
    assert limits.firmware in MARLIN
    assert limits.max_velocity_mm_s[3] == 25.0
    assert limits.max_acceleration_mm_s2 == (500.0, 500.0, 100.0, 1000.0)
    assert limits.lookahead_blocks == {"ender3_v2": 16, "ender3_stock": 8}[name]
    assert limits.jerk_cap_mm_s == {"ender3_v2": None, "ender3_stock": 5.0}[name]


@pytest.mark.parametrize("name", ["klipper_fast", "corexy"])
def test_klippers_steps_are_a_micrometre_off_at_speed(name):
    """8 µs RMS, as its compression of step times leaves them, at 100 mm/s."""
    for axis in (load_printer(name).x, load_printer(name).y):
        rate = 100.0 / axis.microstep_mm
        late = axis.jitter_s * np.sqrt(rate * axis.jitter_memory_s / 2.0)
        assert late == pytest.approx(8e-6, rel=0.05)


def test_stiffness_scales_and_frequency_follows():
    soft = load_printer().with_stiffness_scale(0.81)
    assert soft.x.natural_freq_hz == pytest.approx(0.9 * load_printer().x.natural_freq_hz)
    assert soft.y.damping_n_s_per_m == load_printer().y.damping_n_s_per_m


def test_effects_are_switched_by_name():
    printer = load_printer()
    assert printer.effects == EFFECTS
    assert printer.without("friction", "jitter").effects == ("belt", "ripple", "quantisation")
    assert printer.only().effects == ()
    assert printer.only("jitter", "belt").effects == ("belt", "jitter")
    with pytest.raises(ConfigError, match=r"printer\.effects: got backlash, expected one of "):
        printer.without("backlash")
    with pytest.raises(ConfigError, match="backlash"):
        Printer.from_dict({**printer.to_dict(), "effects": ["backlash"]})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kinematics": "delta"}, "kinematics"),
        ({"bed_mm": [220.0, 220.0]}, "bed_mm"),
        ({"bed_mm": [220.0, 0.0, 250.0]}, "bed_mm"),
        ({"bed_mm": 220.0}, "bed_mm"),
        ({"bed_mm": ["wide", 220.0, 250.0]}, "bed_mm"),
        ({"bed_origin_mm": [-110.0]}, "bed_origin_mm"),
        ({"bed_origin_mm": -110.0}, "bed_origin_mm"),
        ({"bed_origin_mm": "middle"}, "bed_origin_mm"),
        ({"bed_origin_mm": ["left", 0.0]}, "bed_origin_mm"),
        ({"bed_origin_mm": [float("nan"), 0.0]}, "bed_origin_mm"),
        ({"belt_imbalance": 0.9}, "belt_imbalance"),
        ({"colour": "black"}, r"^printer\.colour: got black, expected one of the keys name, "),
        ({"x": {"mass_kg": 0.3}}, "stiffness_n_per_m"),
        ({"limits": {"max_velocity": [1, 2]}}, r"^printer\.limits\.max_velocity: got \[1, 2\], "),
    ],
)
def test_a_wrong_key_is_named(change, named):
    with pytest.raises(ConfigError, match=named):
        Printer.from_dict({**load_printer().to_dict(), **change})


def test_where_the_bed_begins_is_left_to_the_file_unless_it_is_said():
    plain = load_printer().to_dict()
    assert plain["bed_origin_mm"] is None
    assert Printer.from_dict({**plain, "bed_origin_mm": [-110, -110]}).bed_origin_mm == (-110, -110)
    del plain["bed_origin_mm"]  # of a bundle that was made before there was the key
    assert Printer.from_dict(plain) == load_printer()
    assert isinstance(hash(load_printer()), int)


MZV = {"type": "mzv", "frequency_hz": 24.1, "damping_ratio": 0.1}


def test_an_identity_is_of_what_makes_the_motion():
    printer = load_printer()
    plain = printer.to_dict()
    same = [
        {"name": "mine", "source": "a test"},
        {"limits": load_printer("klipper_fast").to_dict()["limits"]},
        {"bed_mm": [100, 100, 100], "bed_origin_mm": [-50, -50]},
        {"thermal": {**plain["thermal"], "room_c": 35.0}},
        {"x": {**plain["x"], "stiffness_n_per_m": 8000}, "belt_imbalance": 0},
        {"effects": list(reversed(EFFECTS)), "shaper": {"x": None}},
    ]
    for change in same:
        assert Printer.from_dict({**plain, **change}).identity == printer.identity, change
    other = [
        {"x": {**plain["x"], "stiffness_n_per_m": 8001.0}},
        {"y": {**plain["y"], "jitter_s": 0.0}},
        {"x": plain["y"], "y": plain["x"]},
        {"effects": list(EFFECTS[1:])},
        {"belt_imbalance": 0.01},
        {"shaper": {"x": MZV}},
        {"shaper": {"y": MZV}},
        {"recordings": ["0" * 64]},
        {"recordings": ["1" * 64]},
        {"kinematics": "corexy"},
    ]
    identities = {Printer.from_dict({**plain, **change}).identity for change in other}
    assert len(identities - {printer.identity}) == len(other)
    assert all(re.fullmatch("[0-9a-f]{12}", identity) for identity in identities)


def test_an_identity_is_the_digest_of_what_is_stated_and_outlives_new_neutral_keys():
    """Written down by hand: bundles keep it, so it may not change with the version."""
    axis = {
        "mass_kg": 0.5,
        "stiffness_n_per_m": 9000.0,
        "damping_n_s_per_m": 12.0,
        "friction_velocity_mm_s": 0.0001,
        "belt_start_mm": -60.0,
        "belt_end_mm": 280.0,
        "microstep_mm": 0.0125,
        "jitter_memory_s": 0.05,
    }
    plain = {**load_printer().to_dict(), "x": axis, "y": axis, "effects": ["friction"]}
    for key in ("shaper", "recordings", "bed_origin_mm"):
        del plain[key]  # as in bundles of earlier versions
    stated = {"kinematics": "cartesian", "effects": ["friction"], "x": axis, "y": axis}
    text = json.dumps(stated, sort_keys=True, separators=(",", ":"))
    wanted = hashlib.sha256(text.encode()).hexdigest()[:12]
    assert Printer.from_dict(plain).identity == wanted


def test_recordings_are_told_by_their_digests():
    plain = load_printer().to_dict()
    first, second = "0" * 64, "a" * 64
    printer = Printer.from_dict({**plain, "recordings": [second, first, second]})
    assert printer.recordings == (first, second)
    for wrong in ("run.csv", [first[1:]], ["A" * 64], [7], 7, None):
        with pytest.raises(ConfigError, match=r"^printer\.recordings: got .*, expected a list of"):
            Printer.from_dict({**plain, "recordings": wrong})


def test_both_axes_of_a_corexy_hang_on_the_same_belts():
    plain = load_printer("corexy").to_dict()
    plain["y"]["stiffness_n_per_m"] *= 2.0
    with pytest.raises(ConfigError, match=r"y.stiffness_n_per_m"):
        Printer.from_dict(plain)
