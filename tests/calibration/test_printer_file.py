"""Calibrated printers: what changes, and files that load back."""

from dataclasses import replace

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from tests.calibration.sweeps import load_printer
from trajerr.calibration.printer_file import Measured, calibrated, render
from trajerr.calibration.uncertainty import Estimate

X = Measured(Estimate(46.0123456789, 45.9, 46.1), Estimate(0.05, 0.045, 0.055))
Y = Measured(
    Estimate(38.0, 37.5, 38.5), Estimate(0.08, 0.07, 0.09), Estimate(2000.0, 1900.0, 2100.0)
)


def loaded(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return instantiate(OmegaConf.load(path))


def test_a_cartesian_printer_keeps_its_masses():
    base = load_printer("ender3_v2")
    found = calibrated(base, "mine", {"x": X, "y": Y}, "a test")
    assert found.x.natural_freq_hz == pytest.approx(46.0123, rel=1e-5)
    assert found.x.damping_ratio == pytest.approx(0.05, rel=1e-5)
    assert (found.x.mass_kg, found.x.coulomb_n) == (base.x.mass_kg, base.x.coulomb_n)
    assert found.y.coulomb_n == pytest.approx(0.45 * 2000.0 / 1000.0)
    same = replace(found, x=base.x, y=base.y, name=base.name, source=base.source)
    assert same == base.without("ripple")


def test_ripple_of_unknown_phase_is_left_out_and_said():
    base = load_printer("ender3_v2")
    found = calibrated(base, "mine", {"x": X}, "")
    line = next(row for row in render(found, base, {"x": X}, "0").splitlines() if "effects:" in row)
    assert "ripple" not in line.partition("#")[0]
    assert "but for ripple: no calibration tells its phase" in line
    again = calibrated(found, "again", {"x": X}, "")
    assert again.effects == found.effects
    assert "but for" not in render(again, found, {"x": X}, "0")


def test_an_axis_that_was_not_measured_stays():
    base = load_printer("ender3_stock")
    assert calibrated(base, "mine", {"y": Y}, "").x == base.x


@pytest.mark.parametrize("axes", [{"x": X}, {"x": X, "y": Y}])
def test_a_corexy_keeps_its_belts_and_changes_masses(axes):
    base = load_printer("corexy")
    found = calibrated(base, "mine", axes, "")
    assert found.x.stiffness_n_per_m == found.y.stiffness_n_per_m == base.x.stiffness_n_per_m
    assert found.x.damping_n_s_per_m == found.y.damping_n_s_per_m
    for name, measured in axes.items():
        natural = getattr(found, name).natural_freq_hz
        assert natural == pytest.approx(measured.natural_freq_hz.value, rel=1e-5)
    mean = np.mean([getattr(found, name).damping_ratio for name in axes])
    wanted = np.mean([measured.damping_ratio.value for measured in axes.values()])
    assert mean == pytest.approx(wanted, rel=0.1)  # one damping in N·s/m serves both


@pytest.mark.parametrize("name", ["ender3_v2", "ender3_stock", "klipper_fast", "corexy"])
@pytest.mark.parametrize(
    "source", ["raw data.csv", 'run "1": #2 ${oc.env:HOME} \\ ü\nx.csv, sha256 00', "{a: [b]}"]
)
def test_a_file_loads_back(tmp_path, name, source):
    base = load_printer(name)
    found = calibrated(base, "mine", {"x": X, "y": Y}, source)
    text = render(found, base, {"x": X, "y": Y}, "0.1.0")
    assert loaded(tmp_path, text) == replace(found, source=source.replace("${", "$ {"))


def test_recordings_and_the_base_s_shaper_stay(tmp_path):
    mzv = {"type": "mzv", "frequency_hz": 40.0, "damping_ratio": 0.1}
    base = replace(load_printer("klipper_fast"), shaper={"x": mzv}, recordings=["0" * 64])
    found = calibrated(base, "mine", {"x": X}, "a test", ["b" * 64, "a" * 64])
    assert found.recordings == ("a" * 64, "b" * 64)
    assert found.shaper == base.shaper
    again = loaded(tmp_path, render(found, base, {"x": X}, "0.1.0"))
    assert again == found
    assert again.identity == found.identity


def test_small_numbers_stay_numbers(tmp_path):
    base = load_printer("ender3_v2")
    odd = replace(base, x=replace(base.x, jitter_s=5e-6, ripple_amplitudes_mm=(1e-5, 2e-16)))
    text = render(odd, base, {}, "0.1.0")
    assert loaded(tmp_path, text).x == odd.x


def test_each_number_says_where_it_comes_from_and_the_bytes_repeat():
    base = load_printer("klipper_fast")
    printer = calibrated(base, "mine", {"y": Y}, "run.csv")
    text = render(printer, base, {"y": Y}, "0.1.0")
    assert text == render(printer, base, {"y": Y}, "0.1.0")
    for line in text.splitlines():
        key, _, rest = line.partition(":")
        if key.strip() not in ("name", "source") and any(c.isdigit() for c in rest):
            assert "# " in line, line
    assert "measured: 38 Hz (95 %: 37.5 to 38.5)" in text
    assert "damping ratio 0.08 (95 %: 0.07 to 0.09)" in text
    assert "measured: 2000 mm/s² (95 %: 1900 to 2100) times the mass" in text
    assert text.count("measured: ") == 3
