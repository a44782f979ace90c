"""Known axes recovered from logs, simulated and measured."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy.integrate import solve_ivp

from tests.calibration.logs import NOISE_MM, divided, simulated_log
from tests.calibration.shipped import UNKNOWNS
from tests.calibration.sweeps import CONF, load_printer
from trajerr.calibration.identify import identify
from trajerr.calibration.servo import Servo, predict_error
from trajerr.calibration.stretches import AxisLog, Stretch, read_axes
from trajerr.dataset.logs import LogAxis, LogFormat, LogSection
from trajerr.dynamics.designed_shapers import designed_shaper
from trajerr.errors import ConfigError, DataError


def recovered(printer, base, *, axis=0, unknowns=None, **log):
    """Return relative errors of what was fitted, whether intervals hold, and the fit."""
    name = "xy"[axis]
    part = getattr(printer, name)
    found = identify(
        divided(*simulated_log(printer, **log), axis), unknowns or UNKNOWNS, base, name, "log"
    )
    known = {
        "natural_freq_hz": part.natural_freq_hz,
        "damping_ratio": part.damping_ratio,
        "friction_mm_s2": 1000.0 * part.coulomb_n / part.mass_kg,
    }
    errors = {n: found.estimates[n].value / known[n] - 1.0 for n in known}
    held = {n: found.estimates[n].low <= k <= found.estimates[n].high for n, k in known.items()}
    left = [round(1e3 * found.rms(held_out=part)[1], 2) for part in (False, True)]
    print(printer.name, name, {n: f"{e:+.2%}" for n, e in errors.items()}, held, left, "µm")
    return errors, held, found


@pytest.mark.parametrize(
    ("name", "axis", "rate_hz"), [("ender3_v2", 0, 1000.0), ("ender3_stock", 1, 500.0)]
)
def test_a_log_with_friction_gives_all_values(name, axis, rate_hz):
    printer = load_printer(name).only("friction")
    errors, _, found = recovered(printer, printer, axis=axis, rate_hz=rate_hz, seconds=3.0)
    assert abs(errors["natural_freq_hz"]) < 0.01
    assert abs(errors["damping_ratio"]) < 0.05
    assert abs(errors["friction_mm_s2"]) < 0.05
    assert abs(found.servo.delay_s) < 1e-4
    assert found.rms(held_out=False)[1] < 1.2 * NOISE_MM
    assert found.rms(held_out=True)[1] < 2.0 * NOISE_MM


def test_ripple_microsteps_and_jitter_do_not_mislead():
    """The default printer with all its effects, of which the fit knows belt and friction."""
    printer = load_printer("ender3_v2")
    errors, _, _ = recovered(printer, printer, seconds=4.0)
    assert abs(errors["natural_freq_hz"]) < 0.01
    assert abs(errors["damping_ratio"]) < 0.15
    assert abs(errors["friction_mm_s2"]) < 0.1


def test_a_log_of_a_printer_with_an_input_shaper():
    """Its command is the one before the shaper, which the base printer states."""
    bare = load_printer("ender3_v2").only("friction")
    printer = replace(bare, shaper=designed_shaper(bare, "mzv"))
    errors, _, found = recovered(printer, printer, axis=0, seconds=3.0)
    assert abs(errors["natural_freq_hz"]) < 0.01
    assert abs(errors["damping_ratio"]) < 0.05
    assert abs(errors["friction_mm_s2"]) < 0.05
    assert found.rms(held_out=False)[1] < 2.5 * NOISE_MM
    left = (found.measured[-1] - found.predicted[-1])[:-20]  # ms, into what follows the log
    assert np.sqrt(np.mean(left**2)) < 2.0 * NOISE_MM


def test_a_late_log_that_begins_in_motion():
    printer = load_printer("ender3_v2").only("friction")
    errors, _, found = recovered(printer, printer, seconds=3.0, late_s=0.004, skip_s=0.53)
    assert found.servo.delay_s == pytest.approx(0.004, abs=1e-4)
    assert abs(errors["natural_freq_hz"]) < 0.01
    assert abs(errors["friction_mm_s2"]) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("effects", [("friction",), ("belt", "friction", "jitter")])
def test_intervals_hold_over_seeds(effects):
    printer = load_printer("ender3_v2").only(*effects)
    runs = [recovered(printer, printer, seconds=3.0, seed=seed) for seed in range(15)]
    for name in ("natural_freq_hz", "damping_ratio", "friction_mm_s2"):
        share = np.mean([held[name] for _, held, _ in runs])
        greatest = max(abs(errors[name]) for errors, _, _ in runs)
        print(name, "held", share, "greatest error", f"{greatest:.2%}")
        assert share >= 0.75
        assert greatest < 0.1


def test_drag_delay_and_offset_obey_their_equation():
    """Against an integrator that knows nothing of this one's filter; without friction."""
    servo = Servo(15.0, 0.3, delay_s=0.003, drag_share=0.7, offset_mm=0.02)
    omega = 2.0 * np.pi * servo.natural_freq_hz
    both = 2.0 * servo.damping_ratio * omega
    between, ground = (1.0 - servo.drag_share) * both, servo.drag_share * both

    def command(t):
        late = t - servo.delay_s
        return 100.0 + 8.0 * np.sin(9.0 * late), 72.0 * np.cos(9.0 * late)

    def motion(t, state):
        r, speed = command(t)
        pull = omega**2 * (r - state[0]) + between * (speed - state[1])
        return [state[1], pull - ground * state[1]]

    time = np.arange(1500) / 1000.0
    first = [command(0.0)[0], 72.0]
    solved = solve_ivp(motion, (0.0, 1.5), first, t_eval=time, rtol=1e-10, atol=1e-10)
    commanded = 100.0 + 8.0 * np.sin(9.0 * time)
    stretch = Stretch(time, commanded, solved.y[0] + servo.offset_mm)
    base = load_printer("ender3_v2").only()
    found = predict_error(servo, stretch, base, "x", (0.0, 72.0 - stretch.start_speed))
    settled = time > 0.5  # the filter of first order starts from rest
    np.testing.assert_allclose(found[settled], stretch.error[settled], atol=2e-4)


def test_two_axes_and_sections_come_apart(tmp_path):
    printer = load_printer("ender3_v2").only("friction")
    time, commanded, measured = simulated_log(printer, rate_hz=200.0, seconds=4.0)
    path = tmp_path / "run ü 1.csv"
    table = np.column_stack([time, commanded, measured])
    np.savetxt(path, table, delimiter=",", header="t,xc,yc,xm,ym", comments="")
    log = LogFormat(x=LogAxis("xc", "xm"), y=LogAxis("yc", "ym"), time="t")
    axes = read_axes(path, log, 0.25)
    assert [(n, len(a.fitted), len(a.held_out)) for n, a in axes.items()] == [
        ("x", 1, 1),
        ("y", 1, 1),
    ]
    assert len(axes["y"].held_out[0].time) == 200
    np.testing.assert_allclose(
        axes["y"].fitted[0].error, (measured - commanded)[:601, 1], rtol=1e-6
    )
    sections = (
        LogSection(0, 300, "train"),
        LogSection(300, 500, "val"),
        LogSection(500, 800, "test"),
    )
    named = LogFormat(x=LogAxis("xc", "xm"), time="t", sections=sections)
    (only,) = read_axes(path, named, 0.25).values()
    assert [len(s.time) for s in only.fitted + only.held_out] == [500, 300]


def write(path: Path, time, commanded, measured) -> Path:
    table = np.column_stack([time, commanded, measured])
    np.savetxt(path, table, delimiter=",", header="t,c,m", comments="")
    return path


TIME = np.arange(1000) / 500.0
MOVED = 50.0 + 10.0 * np.sin(3.0 * TIME)
WITH_GAP = TIME + (TIME > 1.0)
ONE_NAN = np.where(TIME[40] == TIME, np.nan, MOVED)
BAD_LOGS = {
    "nan": ((TIME, MOVED, ONE_NAN), "row 41 of section 1 holds NaN"),
    "gap": ((WITH_GAP, MOVED, MOVED), "times are not uniform"),
    "slow": ((TIME * 50.0, MOVED, MOVED + 0.1 * TIME), "10 samples a second, expected 50"),
    "short": ((TIME[:50], MOVED[:50], MOVED[:50]), "has 50 samples, expected 200"),
    "still": ((TIME, 0.0 * TIME + 5.0, 5.0 + 0.1 * TIME), "x is never commanded to move"),
    "perfect": ((TIME, MOVED, MOVED), "no error to explain"),
}


@pytest.mark.parametrize("name", BAD_LOGS)
def test_unusable_logs_are_refused(tmp_path, name):
    columns, message = BAD_LOGS[name]
    path = write(tmp_path / "bad.csv", *columns)
    with pytest.raises(DataError, match=message) as refused:
        read_axes(path, LogFormat(x=LogAxis("c", "m"), time="t"), 0.3)
    assert str(refused.value).startswith(f"{path}: ")


def test_sections_that_all_judge_leave_nothing_to_fit(tmp_path):
    path = write(tmp_path / "a.csv", TIME, MOVED, MOVED + 0.1)
    log = LogFormat(x=LogAxis("c", "m"), time="t", sections=(LogSection(0, 900, "test"),))
    with pytest.raises(DataError, match="all sections are of the split test"):
        read_axes(path, log, 0.3)


def test_an_error_that_is_no_axis_is_refused():
    noise = np.random.default_rng(0).normal(size=1000)
    log = AxisLog((Stretch(TIME, MOVED, MOVED + noise),), ())
    base = load_printer("ender3_v2")
    with pytest.raises(DataError, match="does not describe this axis"):
        identify(log, UNKNOWNS, base, "x", "log")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"drag": "some"}, "fit.drag: got some"), ({"friction": "yes"}, "fit.friction: got yes")],
)
def test_impossible_unknowns_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        replace(UNKNOWNS, **options)


@pytest.fixture(scope="module")
def emps(shared) -> AxisLog:
    log = instantiate(OmegaConf.load(CONF / "log" / "emps.yaml"), _convert_="all")
    return read_axes(shared / "data/emps/DATA_EMPS.mat", log, 0.3)["x"]


def test_the_measured_servo_axis_is_explained_by_physics(emps):
    """Fitted on the forward half-lap, judged on the return: four physical values.

    Natural frequency, drag of the velocity loop, Coulomb friction, delay; no constant.
    40 taps of v, a and sign(v) with 120 weights leave 5.1 to 5.2 µm of the same return, as
    ``test_the_fir_baseline_on_the_measured_axis`` shows.
    """
    base = load_printer("ender3_v2").only("friction")
    found = identify(emps, replace(UNKNOWNS, drag="all"), base, "x", "emps")
    error, left = found.rms(held_out=True)
    print(f"EMPS return half-lap: error {1e3 * error:.1f} µm, left {1e3 * left:.2f} µm RMS")
    assert error == pytest.approx(0.579, abs=0.002)
    assert left < 1.2 * 0.00512
    assert found.rms(held_out=False)[1] < 0.0015


def test_the_fir_baseline_on_the_measured_axis(shared, tmp_path):
    """``experiment=emps``: fitted forward, ridge chosen on the forward half's last sixth."""
    from trajerr.dataset.preparation import PrepareSettings, prepare
    from trajerr.dataset.splits import SplitSettings
    from trajerr.dataset.store import open_split
    from trajerr.models.fir import FirNetwork

    log = instantiate(OmegaConf.load(CONF / "log" / "emps.yaml"), _convert_="all")
    file = str(shared / "data/emps/DATA_EMPS.mat")
    prepare(
        PrepareSettings.shipped(
            data_dirs=(file,), log=log, split=SplitSettings.shipped(by="section")
        ),
        tmp_path / "emps",
    )
    train, val, test = (open_split(tmp_path / "emps", s) for s in ("train", "val", "test"))
    network = FirNetwork(40, constant=False)
    names = ("feature_mean", "feature_std", "target_mean", "target_std")
    network.scaling.set_statistics({name: getattr(train.stats, name) for name in names})
    pairs = [[s.pair for s in split.sequences] for split in (train, val, test)]
    network.fit(pairs[0], pairs[1])
    features, targets = pairs[2][0]
    left = (network(features[None])[0, -len(targets) :] - targets)[:, 0].detach().numpy()
    rms_um = 1e3 * float(np.sqrt(np.mean(left**2)))
    print(f"EMPS return half-lap: FIR leaves {rms_um:.2f} µm RMS")
    assert rms_um == pytest.approx(5.12, abs=0.1)
