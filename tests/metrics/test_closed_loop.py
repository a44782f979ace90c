"""The replay: errors against closed forms, walls matched by filament, shapers on the command."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import yaml

from tests.paths import CONF
from trajerr.dynamics.designed_shapers import designed_shaper
from trajerr.dynamics.plant import SIMULATION_RATE_HZ, ActualMotion
from trajerr.dynamics.printer import Printer
from trajerr.errors import DataError
from trajerr.gcode.reader import parse_program
from trajerr.metrics import closed_loop
from trajerr.metrics.closed_loop import SHAPERS, STIFFNESS, Replay, WallErrors, WallMotion
from trajerr.motion import sampling
from trajerr.motion.rests import LONGEST_REST_S
from trajerr.reports.correction_plots import comparison, corner, error_maps, spectra

HEAD = "G90\nM83\nM204 P1000 T1000\nM205 X8 Y8\n;LAYER_CHANGE\n;Z:0.2\nG1 Z0.2 F600\n"


def square(side=20.0, feed=3600, dx=0.0, walls=1, steps=1) -> str:
    lines = [HEAD]
    for wall in range(walls):
        inset = 0.4 * wall
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) * (side - 2 * inset)
        corners += np.array([50 + dx + inset, 50 + inset])
        lines.append("G1 X{:.4f} Y{:.4f} F6000\n;TYPE:External perimeter\n".format(*corners[0]))
        for a, b in pairwise(corners):
            for k in range(steps):
                x, y = a + (b - a) * (k + 1) / steps
                e = 0.033 * (side - 2 * inset) / steps
                lines.append(f"G1 X{x:.4f} Y{y:.4f} E{e:.6f} F{feed}\n")
    return "".join(lines) + "G1 X5 Y5 F6000\n"


@pytest.fixture(scope="module")
def printer() -> Printer:
    conf = CONF / "printer" / "ender3_v2.yaml"
    return Printer.from_dict(yaml.safe_load(conf.read_text()))


def program(text: str):
    return parse_program(text.encode(), "square.gcode")


def test_the_same_file_as_its_own_correction_has_the_same_error(printer):
    nominal = program(square(walls=2))
    replay = Replay(nominal, {"same": nominal}, printer, [1])
    assert replay.errors("same") == replay.errors("uncorrected")


def test_cutting_moves_into_pieces_changes_nothing_but_rounding(printer):
    # Of exact trapezoids; Marlin's step interrupt has another clock in each piece.
    limits = replace(printer.limits, firmware="marlin_estimated")
    exact = replace(printer, limits=limits)
    replay = Replay(program(square()), {"cut": program(square(steps=4))}, exact, [1])
    before, after = replay.errors("uncorrected"), replay.errors("cut")
    assert after.wall_contour_rms_um == pytest.approx(before.wall_contour_rms_um, abs=0.5)
    assert after.wall_tracking_rms_um == pytest.approx(before.wall_tracking_rms_um, abs=0.5)


def test_a_shifted_file_is_off_by_the_shift(printer):
    ideal = printer.only()
    slow, shifted = square(feed=300), square(feed=300, dx=0.1)
    replay = Replay(program(slow), {"shifted": program(shifted)}, ideal, [1])
    motion = replay.walls("shifted", 1)
    error = motion.actual - motion.nominal
    np.testing.assert_allclose(np.median(error[:, 0]), 0.1, atol=2e-3)
    # Half of the walls run along the shift, where it is no contour error.
    rms = replay.errors("shifted").wall_contour_rms_um
    assert rms == pytest.approx(100.0 / np.sqrt(2.0), rel=0.05)
    assert replay.errors("shifted").wall_tracking_rms_um == pytest.approx(100.0, rel=0.03)


def test_another_machine_moves_the_nozzle_as_it_likes(printer):
    told = []

    def beside(pieces, stiffness):
        for piece in pieces:
            told.append((len(piece), stiffness))
            yield piece, ActualMotion(piece.position[:, :2] + [0.03, 0.0], None)

    replay = Replay(program(square()), {}, printer, [1], machine=beside)
    errors = replay.errors("uncorrected", 1.21)
    assert errors.wall_tracking_rms_um == pytest.approx(30.0, abs=0.5)
    assert {stiffness for _, stiffness in told} == {1.21}
    assert sum(length for length, _ in told) > 1.0 * SIMULATION_RATE_HZ


def test_tracking_of_the_uncorrected_is_actual_minus_commanded(printer):
    from trajerr.dynamics.plant import simulate
    from trajerr.motion.lead_in import lead_in
    from trajerr.motion.planner import plan
    from trajerr.motion.sampling import sample

    nominal = program(square())
    replay = Replay(nominal, {}, printer, [1])
    motion = replay.walls("uncorrected", 1)
    planned = plan(nominal, printer.limits)
    start, stop = planned.layer_span(1)
    commanded = sample(planned, SIMULATION_RATE_HZ, lead_in(planned, start), stop)
    actual = simulate(printer, commanded, seed=1).xy
    wall = nominal.moves.is_wall[commanded.move]
    np.testing.assert_allclose(motion.actual, actual[wall])
    np.testing.assert_allclose(motion.nominal, commanded.position[wall, :2], atol=1e-6)


def test_shapers_reduce_the_ringing_of_a_linear_printer(printer):
    replay = Replay(program(square()), {}, printer.only(), [1])
    assert replay.errors("zv").wall_contour_rms_um < 0.5 * (
        replay.errors("uncorrected").wall_contour_rms_um
    )


def test_designed_shapers_take_the_place_of_the_printers_own(printer):
    own = replace(printer, shaper=designed_shaper(printer, "ei"))
    before, after = (Replay(program(square()), {}, one, [1]) for one in (printer, own))
    for name in SHAPERS:
        assert after.errors(name) == before.errors(name)
    wanted = before.errors("ei").wall_contour_rms_um
    assert after.errors("uncorrected").wall_contour_rms_um == pytest.approx(wanted, rel=1e-3)
    assert abs(wanted / before.errors("uncorrected").wall_contour_rms_um - 1.0) > 0.1


def test_inversion_follows_a_linear_printer_best_that_it_knows(printer):
    linear = replace(printer, shaper=None).only()
    replay = Replay(program(square()), {}, linear, [1])
    before = replay.errors("uncorrected").wall_contour_rms_um
    known = replay.errors("inversion").wall_contour_rms_um
    assert known < 0.25 * before
    assert replay.errors("inversion", 0.81).wall_contour_rms_um > known


def test_feet_are_the_nearest_points_of_the_path(printer):
    motion = Replay(program(square()), {}, printer, [1]).walls("uncorrected", 1)
    away = np.linalg.norm(motion.actual - motion.foot, axis=1)
    np.testing.assert_allclose(away, np.abs(motion.contour), atol=1e-12)


def test_a_softer_printer_errs_more(printer):
    cases = Replay(program(square()), {}, printer, [1]).cases()
    values = {case: cases[case]["uncorrected"]["wall_contour_rms_um"] for case in STIFFNESS}
    assert values["stiff"] < values["nominal"] < values["soft"]
    assert set(cases["nominal"]) == {"uncorrected", "zv", "mzv", "ei", "inversion"}


def test_costs_are_pairs(printer):
    cut = program(square(steps=4))
    costs = Replay(program(square()), {"cut": cut}, printer, [1]).costs("cut")
    assert costs["moves"]["after"] - costs["moves"]["before"] == 12
    extruded = costs["extrusion_mm"]
    assert extruded["after"] == pytest.approx(extruded["before"], abs=1e-4)
    assert costs["print_time_s"]["after"] == pytest.approx(
        costs["print_time_s"]["before"], rel=1e-3
    )


def test_other_walls_cannot_be_compared(printer):
    replay = Replay(program(square()), {"two": program(square(walls=2))}, printer, [1])
    with pytest.raises(DataError, match="walls"):
        replay.walls("two", 1)


def test_errors_of_a_known_motion():
    time = np.arange(4) * 1e-3
    nominal = np.zeros((4, 2))
    actual = np.array([[0.003, 0.004]] * 4)
    motion = WallMotion(time, actual, nominal, np.array([0.002, -0.002, 0.002, -0.01]), nominal)
    errors = WallErrors.of([motion])
    assert errors.wall_tracking_rms_um == pytest.approx(5.0)
    assert errors.wall_contour_max_um == pytest.approx(10.0)
    assert errors.wall_contour_rms_um == pytest.approx(np.sqrt((3 * 4 + 100) / 4))


@pytest.mark.parametrize("method", ["uncorrected", "zv", "ei", "inversion"])
def test_a_layer_in_pieces_has_the_same_walls(printer, method, monkeypatch):
    replay = Replay(program(square(walls=2)), {}, printer, [1])
    whole = replay.walls(method, 1)
    monkeypatch.setattr(sampling, "PIECE", 3001)
    again = replay.walls(method, 1)
    np.testing.assert_array_equal(again.time, whole.time)
    np.testing.assert_allclose(again.actual, whole.actual, rtol=0, atol=1e-9)
    np.testing.assert_allclose(again.contour, whole.contour, rtol=0, atol=1e-9)


def test_long_layers_are_judged_on_fewer_samples(printer, monkeypatch):
    replay, thin = (Replay(program(square(walls=3)), {}, printer, [1]) for _ in range(2))
    whole = replay.walls("uncorrected", 1)
    monkeypatch.setattr(closed_loop, "MOST_KEPT", 20_000)
    kept = thin.walls("uncorrected", 1)
    assert thin.sample_rate_hz < replay.sample_rate_hz == SIMULATION_RATE_HZ
    np.testing.assert_allclose(np.diff(kept.time)[1:50], 1.0 / thin.sample_rate_hz)
    assert np.all(np.isin(kept.actual, whole.actual))
    before, after = WallErrors.of([whole]), WallErrors.of([kept])
    assert after.wall_contour_rms_um == pytest.approx(before.wall_contour_rms_um, rel=5e-3)


@pytest.mark.parametrize("seconds", [20, 36000])
def test_a_pause_in_a_wall_is_not_replayed(printer, seconds):
    lines = square(walls=2, steps=4).splitlines()
    paused = "\n".join([*lines[:12], f"G4 S{seconds}", *lines[12:], ""])
    replay = Replay(program(paused), {}, printer, [1])
    driven = sum(len(piece) for piece in replay._driven("zv", 1))
    assert driven < SIMULATION_RATE_HZ * (LONGEST_REST_S + 10.0)
    assert replay.costs("uncorrected")["print_time_s"]["before"] > seconds


def test_figures_are_drawn(printer):
    nominal = program(square())
    replay = Replay(nominal, {"inverse": nominal}, printer, [1])
    before, after = replay.walls("uncorrected", 1), replay.walls("inverse", 1)
    figures = [
        corner(before, after, name="inverse", title="layer 1"),
        error_maps({"uncorrected": before, "inverse": after}, title="layer 1"),
        spectra({"uncorrected": [before]}, 5000.0, (24.0, 21.0)),
        comparison(replay.cases()),
    ]
    for figure in figures:
        figure.canvas.draw()
        assert len(figure.axes) >= 1
