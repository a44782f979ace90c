"""From a recorded print to a printer: what is found, how sure, what is refused, what is written."""

import gzip
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import t as student

from tests.calibration.recorded import (
    DIGIT,
    FINE_HZ,
    draw_printer,
    record,
    record_case,
    wandering_lines,
)
from tests.calibration.shipped import ABSENT, UNKNOWNS
from tests.dynamics.commanded import load_printer, wandering
from tests.shipped import as_shipped
from trajerr.calibration.print_fit import jackknifed
from trajerr.calibration.print_model import FINER, AxisModel, told, values_of
from trajerr.calibration.print_spectra import coherence, coherent_band, cut
from trajerr.calibration.printer_file import Measured, calibrated, render
from trajerr.calibration.recorded_print import fit_print
from trajerr.calibration.run import CalibrationRun
from trajerr.calibration.uncertainty import Estimate
from trajerr.dynamics.plant import simulate
from trajerr.dynamics.printer import Printer
from trajerr.errors import ConfigError, DataError
from trajerr.gcode.reader import read_program
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample
from trajerr.recordings.alignment import Sensors
from trajerr.reports.calibration_report import write_calibration

RATE = 1000.0


def segments_of(count, where="x"):
    everywhere = np.ones(count, dtype=np.bool_)
    return cut(everywhere, everywhere, RATE, where)


def test_an_acceleration_spectrum_of_positions_is_that_of_the_acceleration():
    """Of a tone of 90 Hz, where second differences alone are 2.6 % off."""
    time = np.arange(40000) / RATE
    omega = 2.0 * np.pi * 90.0
    segments = segments_of(len(time))
    found = segments.of_position(0.01 * np.sin(omega * time))
    wanted = segments.spectra(-0.01 * omega**2 * np.sin(omega * time))
    near = np.abs(segments.frequency - 90.0) < 0.6
    np.testing.assert_allclose(found[1:-1, near], wanted[1:-1, near], rtol=5e-3)


def test_coherence_is_one_of_a_filter_and_low_of_noise():
    random = np.random.default_rng(0)
    told_, noise = random.standard_normal((2, 60000))
    segments = segments_of(60000)
    first = segments.spectra(told_)
    assert np.min(coherence(first, 2.0 * first)) == pytest.approx(1.0)
    assert np.mean(coherence(first, segments.spectra(noise))) < 0.1
    half = coherence(first, segments.spectra(told_ + noise))
    assert np.mean(half) == pytest.approx(0.5, abs=0.1)


def test_a_band_is_the_widest_coherent_one():
    frequency = np.arange(2.0, 150.0, 0.25)
    inside = (frequency > 5.0) & (frequency < 80.0)
    low, high = coherent_band(frequency, np.where(inside, 0.9, 0.01), "x")
    assert low == pytest.approx(5.0, abs=1.0)
    assert high == pytest.approx(80.0, abs=1.0)
    with pytest.raises(DataError, match=r"^x: the sensor follows the command in no band .*0\.01"):
        coherent_band(frequency, np.full_like(frequency, 0.01), "x")


def test_a_short_recording_is_refused():
    with pytest.raises(
        DataError, match=r"^x: moves and is recorded for 8 s, expected 25 s or more"
    ):
        segments_of(10500)


def test_the_jackknife_of_a_mean_is_students_interval():
    values = np.random.default_rng(1).standard_normal(12)
    each = (values.sum() - values) / 11.0
    found = jackknifed(float(values.mean()), each)
    low, high = student.interval(0.95, 11, values.mean(), values.std(ddof=1) / np.sqrt(12.0))
    assert (found.low, found.high) == pytest.approx((low, high))


def test_derivatives_are_those_of_the_prediction():
    base = load_printer("klipper_fast").only("friction")
    command = told(base, wandering(RATE, 30.0), RATE)
    segments = segments_of(30001).within(5.0, 60.0)
    other = segments.of_position(command[::FINER, 1])
    model = AxisModel(base, "x", command[:, 0].copy(), FINER * RATE, segments, other)
    sensor = {"time_s": 1e-3, "gain": 0.9, "leak": 0.02}
    second = {
        "second_frequency_hz": 90.0,
        "second_damping_ratio": 0.04,
        "second_mass_share": 0.2,
    }
    values = values_of(base.x, friction=True) | second | sensor
    sizes = {"time_s": 1e-6, "gain": 1e-6, "leak": 1e-6, "second_mass_share": 1e-3}
    slopes = dict(zip(sizes, model.derivatives(values, list(sizes)), strict=True))
    for name, size in sizes.items():
        ahead, behind = (model.predict(values | {name: values[name] + s}) for s in (size, -size))
        wanted = (ahead - behind) / (2.0 * size)
        assert np.linalg.norm(slopes[name] - wanted) < 0.02 * np.linalg.norm(wanted), name


def test_what_was_measured_becomes_a_printer_that_says_so():
    def told_(value):
        return Estimate(value, 0.9 * value, 1.1 * value)

    second = {"frequency_hz": 80.0, "damping_ratio": 0.04, "mass_share": 0.2}
    measured = Measured(
        told_(40.0),
        told_(0.08),
        told_(2000.0),
        told_(5.0),
        told_(1e-3),
        {key: told_(value) for key, value in second.items()},
    )
    base = load_printer("ender3_v2")
    printer = calibrated(base, "mine", {"x": measured}, "a test")
    axis = printer.x
    assert axis.natural_freq_hz == pytest.approx(40.0, rel=1e-5)
    assert axis.damping_ratio == pytest.approx(0.08, rel=1e-5)
    assert axis.viscous_n_s_per_m == pytest.approx(5.0 * base.x.mass_kg)
    assert axis.delay_s == 1e-3
    assert vars(axis.second_mode) == second
    assert printer.y == base.y
    text = render(printer, base, {"x": measured}, "0")
    assert "second_mode: {frequency_hz: 80.0, damping_ratio: 0.04, mass_share: 0.2} # meas" in text
    none = replace(measured, second_mode={})
    assert calibrated(printer, "mine", {"x": none}, "a test").x.second_mode is None
    kept = replace(measured, second_mode=None)
    assert calibrated(printer, "mine", {"x": kept}, "a test").x.second_mode == axis.second_mode


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gcode": "a.gcode"}, "log_file: got null, expected a file here or accelerometer"),
        ({"gcode": "a.gcode", "y": "y.csv"}, "accelerometer.x: got null, expected a file, of the"),
        ({"x": "x.csv", "reference": "r.csv"}, "reference: got r.csv, expected null without gcode"),
    ],
)
def test_contradictions_are_refused(tmp_path, changes, message):
    files = {key: value for key, value in changes.items() if key != "gcode"}
    with pytest.raises(ConfigError, match=message):
        settings(tmp_path, accelerometer=replace(ABSENT, **files), gcode=changes.get("gcode"))


def test_a_drive_with_an_integral_needs_a_log(tmp_path):
    given = {"accelerometer": replace(ABSENT, x="x.csv"), "fit": replace(UNKNOWNS, integral=True)}
    with pytest.raises(ConfigError, match=r"fit.integral: got true, expected false without log_f"):
        settings(tmp_path, **given)


def settings(folder, **changes):
    values = {
        "name": "mine",
        "base": load_printer("klipper_fast"),
        "out": str(folder / "mine.yaml"),
        "output_dir": str(folder / "results"),
    }
    return as_shipped(CalibrationRun, "calibrate", **{**values, **changes})


def wandering_gcode(seconds, seed=0):
    """A print of straight moves in all directions, some slow, about as long as asked."""
    moves = wandering_lines(np.random.default_rng(seed), seconds, np.array([100.0, 100.0]))
    return "\n".join(["G28", "G90", "M83", "G1 Z0.2 F600", *moves, ""])


def close(found, truth, share):
    return abs(found.value - truth) <= share * truth


def require_found(fits, true, delays):
    for name, fit in fits.items():
        axis, told_ = getattr(true, name), fit.estimates
        assert close(told_["natural_freq_hz"], axis.natural_freq_hz, 0.01)
        assert close(told_["damping_ratio"], axis.damping_ratio, 0.15)
        assert close(told_["friction_mm_s2"], 1000.0 * axis.coulomb_n / axis.mass_kg, 0.15)
        assert fit.second_mode == (axis.second_mode is not None)
    apart = delays["y"].value - delays["x"].value
    assert apart == pytest.approx(true.y.delay_s - true.x.delay_s, abs=1e-4)


def test_files_of_a_print_become_a_printer(tmp_path):
    """The whole way: G-code and a packed CSV in, a config, a report and a page out."""
    base = load_printer("klipper_fast")
    true = draw_printer(base, 11, second_mode=False)
    path = tmp_path / "print.gcode"
    path.write_text(wandering_gcode(32.0), encoding="utf-8")
    program = read_program(path, base.limits.firmware)
    fine = sample(plan(base.placed(program), base.limits), FINE_HZ)
    sensor = record(simulate(true, fine, seed=1).xy, 0.0, 11)
    rows = np.column_stack([sensor.time_s, sensor.acceleration_mm_s2])
    text = "\n".join(",".join(f"{value:.6f}" for value in row) for row in rows)
    file = tmp_path / "raw.csv.gz"
    file.write_bytes(gzip.compress(f"#time,accel_x,accel_y,accel_z\n{text}\n".encode(), 1))

    run = settings(tmp_path, gcode=str(path), accelerometer=replace(ABSENT, x=str(file)))
    found, output = run.calibrate(), io.StringIO()
    write_calibration(run, found, Console(file=output, width=200))
    fits = {axis: told_.recorded for axis, told_ in found.axes.items()}
    require_found(fits, true, {axis: told_.delay_s for axis, told_ in found.axes.items()})
    report = json.loads((tmp_path / "results" / "calibration.json").read_text(encoding="utf-8"))
    printer = Printer.from_dict(report["printer"])
    assert printer.x.natural_freq_hz == pytest.approx(true.x.natural_freq_hz, rel=0.01)
    assert report["axes"]["x"]["band_hz"][0] < 10.0 < 80.0 < report["axes"]["x"]["band_hz"][1]
    assert report["alignment"]["clocks"]["x"]["rate"]["value"] == pytest.approx(1.0, abs=0.0101)
    assert len(printer.recordings) == 2
    assert (tmp_path / "results" / "calibration.png").stat().st_size > 10_000
    assert "what both are late by cannot be told from the clock" in output.getvalue()
    assert "the spectrum shows no second mode" in output.getvalue()
    assert np.ptp(sensor.acceleration_mm_s2) > 100 * DIGIT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seed", "second_mode"),
    [("klipper_fast", 3, True), ("ender3_stock", 4, False), ("ender3_v2", 6, True)],
)
def test_bars_hold_on_other_machines(name, seed, second_mode):
    case = record_case(name, seed, 60.0, second_mode=second_mode)
    sensors, wanted = Sensors(case.recording), {"viscous": True, "second_mode": True}
    found = fit_print(sensors, case.trajectory, case.base, name, **wanted)
    require_found(found.axes, case.true, found.delays)
