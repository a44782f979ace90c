"""The iteration, its bounds, and what the library call promises about files."""

from dataclasses import replace

import numpy as np
import pytest

from tests.correction.cases import Dialect, Writer, linear_printer, noted, small_print
from trajerr.commands.configs import load_printer
from trajerr.correction.compensate import STAGES, apply_correction, correct, correct_program
from trajerr.correction.emission import MARK
from trajerr.correction.error_models import NetworkModel, TwinModel, known_hz
from trajerr.correction.nozzle import Nozzle
from trajerr.correction.original import Original
from trajerr.correction.pieces import EmissionSettings
from trajerr.correction.scope import Scope
from trajerr.correction.settings import CorrectionSettings, LearningSettings
from trajerr.errors import ConfigError, GcodeError
from trajerr.gcode.program import FeatureType
from trajerr.gcode.reader import parse_program, read_program
from trajerr.metrics.closed_loop import Replay
from trajerr.motion.planner import plan

QUICK = CorrectionSettings.shipped(layers=(1,))


class Perfect:
    """A printer that goes where it is told."""

    sample_rate_hz = 200.0
    band_hz = 60.0

    def errors(self, features):
        return np.zeros((*features.shape[:2], 2))


class Stretched:
    """A printer whose nozzle is off by a constant, which no dynamics explains."""

    sample_rate_hz = 200.0
    band_hz = 60.0

    def errors(self, features):
        return np.full((*features.shape[:2], 2), 0.8)


@pytest.fixture(scope="module")
def printer():
    return linear_printer()


@pytest.fixture(scope="module")
def corrected(printer):
    program = small_print()
    return program, correct_program(program, TwinModel(printer), printer, QUICK)


def test_the_plant_confirms_what_was_predicted(corrected, printer):
    program, done = corrected
    replay = Replay(program, {"inverse": parse_program(done.text, "c")}, printer, [1])
    before = replay.errors("uncorrected").wall_contour_rms_um
    after = replay.errors("inverse").wall_contour_rms_um
    assert after < 0.2 * before
    assert after == pytest.approx(1e3 * done.predicted_after_mm[0], abs=1.5)
    assert before == pytest.approx(1e3 * done.predicted_before_mm[0], rel=0.05)


def test_subtracting_is_worse_than_learning(corrected, printer):
    program, done = corrected
    other = correct_program(program, TwinModel(printer), printer, replace(QUICK, method="subtract"))
    assert other.predicted_after_mm[0] > 2.0 * done.predicted_after_mm[0]
    again = parse_program(other.text, "s")
    assert len(again.moves) == len(program.moves)
    np.testing.assert_allclose(again.moves.feedrate, program.moves.feedrate)


@pytest.mark.parametrize("method", ["subtract", "twin"])
@pytest.mark.parametrize("firmware", ["marlin", "marlin_2_1_2", "marlin_junction_deviation"])
def test_walls_that_end_in_a_merged_piece_end_where_they_did(method, firmware):
    """Marlin runs a piece of less than six steps as part of the travel behind it."""
    w = Writer(Dialect())
    w.say(";LAYER_CHANGE\n;Z:0.2")
    w.move(z=0.2, feed=10.0)
    square = [(30, 30), (50, 30), (50, 50), (30, 50), (30, 30.05), (30, 30)]
    w.path(square, 60.0, "External perimeter")
    w.move(35, 35, feed=120.0)
    for point in ((45, 35), (45, 45), (44.97, 45)):
        w.move(*point, e=0.033 * np.hypot(point[0] - w.at[0], point[1] - w.at[1]), feed=60.0)
    w.move(42, 42, feed=120.0)
    w.path(square[::-1], 60.0, "Perimeter")
    w.move(5, 200, feed=120.0)
    program, machine = w.program(), linear_printer(firmware)
    settings = replace(QUICK, method=method, least_improvement=-np.inf)
    done = correct_program(program, TwinModel(machine), machine, settings)
    again = parse_program(done.text, "c", firmware)
    for moves in (program.moves, again.moves):
        laid = moves.end[:, 3] - moves.start[:, 3]
        assert laid[moves.is_wall].sum() == pytest.approx(0.033 * 180.03, abs=1e-3)
    replay = Replay(program, {method: again}, machine, [1])
    assert replay.errors(method).wall_contour_rms_um < 40.0


def test_notes_go_on_telling_features_and_layers(printer):
    program = noted(small_print(layers=3))
    settings = replace(QUICK, layers=(2, 3), method="twin")
    done = correct_program(program, TwinModel(printer), printer, settings)
    again = parse_program(done.text, "c")
    assert b"method twin" in done.text
    np.testing.assert_allclose(again.layer_z, program.layer_z)
    replay = Replay(program, {"twin": again}, printer, [2, 3])
    after, before = (replay.errors(name) for name in ("twin", "uncorrected"))
    assert after.wall_contour_rms_um < 0.2 * before.wall_contour_rms_um
    for feature in (FeatureType.OUTER_WALL, FeatureType.INFILL):
        laid = [
            np.diff(p.moves.select(p.moves.feature == feature).end[:, 3]).sum()
            for p in (program, again)
        ]
        assert laid[0] == pytest.approx(laid[1], abs=1e-4)


def test_print_time_and_filament_stay(corrected, printer):
    program, done = corrected
    again = parse_program(done.text, "c")
    before, after = plan(program, printer.limits), plan(again, printer.limits)
    assert after.print_time == pytest.approx(before.print_time, rel=0.01)
    assert again.moves.end[-1, 3] == pytest.approx(program.moves.end[-1, 3], abs=1e-4)


def test_only_chosen_layers_and_features_change(printer):
    program = small_print(layers=3)
    settings = replace(QUICK, layers=(2,), feature_types=frozenset({FeatureType.OUTER_WALL}))
    again = parse_program(correct_program(program, TwinModel(printer), printer, settings).text, "c")
    for layer in (1, 3):
        before, after = (p.moves.layer == layer for p in (program, again))
        np.testing.assert_allclose(
            again.moves.end[after & again.moves.is_extruding],
            program.moves.end[before & program.moves.is_extruding],
            atol=1e-5,
        )
    inner = again.moves.feature == FeatureType.INNER_WALL
    same = program.moves.feature == FeatureType.INNER_WALL
    assert np.sum(inner & again.moves.is_extruding) == np.sum(same & program.moves.is_extruding)


@pytest.mark.parametrize("method", ["inverse", "subtract"])
def test_the_largest_correction_and_the_bed_bound_what_is_written(printer, method):
    w = Writer(Dialect())
    w.say(";LAYER_CHANGE")
    w.move(z=0.2, feed=10)
    w.path([(0.05, 0.05), (219.9, 0.05), (219.9, 219.95), (0.05, 219.95)], 100.0, "Perimeter")
    w.move(100, 100, feed=100.0)
    program = w.program()
    settings = replace(QUICK, method=method, max_correction_mm=0.3, least_improvement=-10.0)
    done = correct_program(program, Stretched(), printer, settings)
    assert done.largest_mm <= 0.3 + 1e-3
    again = parse_program(done.text, "c")
    assert again.moves.end[:, :2].min() >= 0.0
    assert np.all(again.moves.end[:, :2].max(axis=0) <= np.array(printer.bed_mm[:2]) + 1e-9)


def test_a_family_of_equals_aims_where_the_modelled_printer_is(printer):
    three = Nozzle(TwinModel(printer), printer, family=((1.0, 0.5), (1.0, 0.25)))
    rng = np.random.default_rng(0)
    commanded = [np.cumsum(rng.normal(size=(400, 3)), axis=0) * 0.05]
    positions = three.positions(commanded)
    np.testing.assert_allclose(three.aimed(commanded, positions)[0], positions[0], atol=1e-9)


def test_a_softer_family_errs_more_a_stiffer_one_less(printer):
    time = np.arange(0.0, 2.0, 1 / 200)
    commanded = [np.column_stack([5 * np.sin(2 * np.pi * 6 * time), 0 * time, 0 * time])]
    alone = Nozzle(TwinModel(printer), printer)
    positions = alone.positions(commanded)
    error = np.std((positions[0] - commanded[0][:, :2])[100:, 0])
    for factor, larger in ((0.81, True), (1.21, False)):
        family = Nozzle(TwinModel(printer), printer, family=((factor, 1.0),))
        (aimed,) = family.aimed(commanded, positions)
        assert (np.std((aimed - commanded[0][:, :2])[100:, 0]) > error) == larger
    assert alone.aimed(commanded, positions) is positions


def test_trajectories_of_different_length_are_predicted_as_alone(printer):
    nozzle = Nozzle(TwinModel(printer), printer)
    rng = np.random.default_rng(1)
    parts = [np.cumsum(rng.normal(size=(n, 3)), axis=0) * 0.05 for n in (150, 300, 90)]
    for together, alone in zip(nozzle.positions(parts), parts, strict=True):
        np.testing.assert_allclose(together, nozzle.positions([alone])[0], atol=1e-12)


def test_a_network_is_asked_for_its_two_errors():
    class Predictor:
        sample_rate_hz = 200.0
        context_length = 8

        def predict(self, features):
            return {"error_x": features[..., 0], "error_y": features[..., 1]}

    features = np.random.default_rng(0).normal(size=(2, 7, 15)).astype(np.float32)
    model = NetworkModel(Predictor())
    assert model.sample_rate_hz == 200.0
    np.testing.assert_allclose(model.errors(features), features[..., :2])


def test_a_network_is_trusted_as_far_as_its_data_excited_the_machine():
    assert known_hz({}) == known_hz({"params": {"kind": "measured"}}) == 60.0
    for rate, excitation, known in ((400.0, 110.0, 99.0), (400.0, 40.0, 60.0), (400.0, 1e6, 100.0)):
        stats = {"params": {"excitation_hz": excitation}, "sample_rate_hz": rate}
        assert known_hz(stats) == pytest.approx(known)
    assert known_hz({"params": {"excitation_hz": 110.0}, "sample_rate_hz": 200.0}) == 60.0
    settings = CorrectionSettings.shipped()
    bands = [settings.learning.within(hz) for hz in (60.0, 99.0)]
    assert [(band.hz, band.probed_hz) for band in bands] == [(60.0, 90.0), (99.0, 148.5)]
    assert [settings.emission_for(hz).rate for hz in (60.0, 99.0)] == pytest.approx([200.0, 330.0])
    given = replace(
        settings,
        learning=replace(settings.learning, band_hz=50.0),
        emission=replace(settings.emission, rate_hz=150.0),
    )
    assert (given.learning.within(99.0).hz, given.emission_for(99.0).rate) == (50.0, 150.0)


@pytest.mark.parametrize("length", [900, 1016, 1017, 2600, 20000])
def test_a_long_window_is_predicted_in_parts_as_the_whole_is(length):
    class Predictor:  # the mean of the last eight samples, from rest
        sample_rate_hz = 200.0
        context_length = 8
        longest = 0

        def predict(self, features):
            self.longest = max(self.longest, features.shape[0] * features.shape[1])
            total = np.cumsum(features[..., :2], axis=1)
            total[:, 8:] -= total[:, :-8].copy()
            return {"error_x": total[..., 0] / 8.0, "error_y": total[..., 1] / 8.0}

    features = np.random.default_rng(0).normal(size=(2, length, 15))
    predictor = Predictor()
    whole = predictor.predict(features)
    predictor.longest = 0
    found = NetworkModel(predictor).errors(features)
    np.testing.assert_allclose(found[..., 0], whole["error_x"], atol=1e-9)
    np.testing.assert_allclose(found[..., 1], whole["error_y"], atol=1e-9)
    assert predictor.longest <= 1 << 15  # what is held at once does not grow with the window


@pytest.fixture
def gcode(tmp_path):
    path = tmp_path / "part.gcode"
    path.write_bytes(small_print(layers=1).text)
    return path


def test_apply_writes_beside_and_marks(gcode, tmp_path, printer):
    original = gcode.read_bytes()
    out = tmp_path / "new" / "out.gcode"
    done = apply_correction(gcode, out, TwinModel(printer), printer, QUICK)
    assert gcode.read_bytes() == original
    assert out.read_bytes() == done.text
    assert MARK in done.text.splitlines()[1]
    assert [p.name for p in out.parent.iterdir()] == ["out.gcode"]
    with pytest.raises(GcodeError, match="corrected already"):
        apply_correction(out, tmp_path / "twice.gcode", TwinModel(printer), printer, QUICK)
    assert not (tmp_path / "twice.gcode").exists()
    twice = apply_correction(
        out, tmp_path / "twice.gcode", TwinModel(printer), printer, QUICK, force=True
    )
    assert twice.layers == (1,)


def test_the_original_is_never_overwritten(gcode, printer):
    with pytest.raises(ConfigError, match="itself"):
        apply_correction(gcode, gcode, TwinModel(printer), printer, QUICK)


def test_a_file_that_needs_nothing_is_left_alone(gcode, tmp_path, printer):
    out = tmp_path / "out.gcode"
    done = apply_correction(gcode, out, Perfect(), printer, QUICK)
    assert done.text is None
    assert done.improvement < 0.05
    assert not out.exists()


def test_files_without_walls_and_absent_layers_are_named(tmp_path, printer):
    w = Writer(Dialect())
    w.say(";LAYER_CHANGE")
    w.path([(10, 10), (20, 20)], 50.0, "Internal infill")
    with pytest.raises(GcodeError, match=r"nothing to correct, expected .*outer_wall.* layers$"):
        correct_program(w.program(), Perfect(), printer, QUICK)
    with pytest.raises(GcodeError, match="layer 99"):
        correct_program(small_print(), Perfect(), printer, replace(QUICK, layers=(99,)))


def test_a_file_without_comments_says_what_to_do(printer):
    plain = "\n".join(line for line in small_print().text.decode().splitlines() if line[:1] != ";")
    program = parse_program(plain.encode(), "plain.gcode")
    with pytest.raises(GcodeError, match=r"does not say what is a wall.*feature_types=\[unknown\]"):
        correct_program(program, Perfect(), printer, QUICK)


@pytest.mark.parametrize(
    ("build", "key"),
    [
        (lambda: CorrectionSettings.shipped(method="magic"), "method"),
        (lambda: CorrectionSettings.shipped(max_correction_mm=0.0), "max_correction_mm"),
        (lambda: CorrectionSettings.shipped(fade_s=0.001), "fade_s"),
        (lambda: LearningSettings.shipped(gain=2.0), "gain"),
        (lambda: LearningSettings.shipped(iterations=0), "iterations"),
        (lambda: LearningSettings.shipped(spread=0.7), "spread"),
        (lambda: LearningSettings.shipped(soft_weight=-1.0), "soft_weight"),
        (lambda: EmissionSettings.shipped(rate_hz=0.0), "rate_hz"),
        (lambda: EmissionSettings.shipped(across_mm=-1.0), "across_mm"),
        (lambda: EmissionSettings.shipped(most_growth=0.0), "most_growth"),
        (lambda: EmissionSettings.shipped(small_kb=-1.0), "small_kb"),
    ],
)
def test_values_out_of_range_name_their_key(build, key):
    with pytest.raises(ConfigError, match=key):
        build()


def test_the_forecast_is_that_of_the_pieces_together_as_firmware_will_run_them(shared):
    """Creality's own firmware raises no jerk: at 140 mm/s it brakes between pieces.

    Each piece at its best would bring something; all of them together make the walls worse.
    """
    machine = load_printer("ender3_stock")
    path = shared / "data" / "gcode" / "prusaslicer_mini_helix.gcode"
    program = read_program(path, machine.limits.firmware)
    settings = CorrectionSettings.shipped(
        method="twin", layers=(100, 101, 102), least_improvement=-np.inf
    )
    done = correct_program(program, TwinModel(machine), machine, settings)
    written = parse_program(done.text, "corrected.gcode", machine.limits.firmware)
    replay = Replay(program, {"twin": written}, machine, [100, 101, 102])
    before, after = (replay.errors(name).wall_contour_rms_um for name in ("uncorrected", "twin"))
    told = 1e3 * np.sqrt(np.mean(np.square([done.predicted_before_mm, done.predicted_after_mm]), 1))
    assert told == pytest.approx([before, after], rel=0.15)


def test_a_correction_tells_of_each_stage_how_many_layers_are_done(printer):
    program = small_print()
    settings = CorrectionSettings.shipped()
    told: list[tuple[str, int, int]] = []
    scope = Scope.of(Original(program, printer), settings)
    correct(scope, TwinModel(printer), settings, lambda *each: told.append(each))
    by_stage = {stage: [done for s, done, _ in told if s == stage] for stage in STAGES}
    assert {total for _, _, total in told} == {program.n_layers}
    for done in by_stage.values():
        assert done == sorted(done)
        assert done[-1] == program.n_layers
