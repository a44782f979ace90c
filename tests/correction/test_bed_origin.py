"""A print is corrected alike wherever G-code has its zero."""

from dataclasses import replace

import numpy as np
import pytest
import yaml

from tests.correction.cases import E_PER_MM, Dialect, Writer
from tests.paths import PROJECT
from trajerr.correction.compensate import apply_correction, correct_program
from trajerr.correction.error_models import TwinModel
from trajerr.correction.polish import bounded
from trajerr.correction.settings import CorrectionSettings, LearningSettings
from trajerr.dynamics.printer import Printer
from trajerr.errors import GcodeError
from trajerr.gcode.program import Program
from trajerr.gcode.reader import parse_program
from trajerr.metrics.closed_loop import Replay
from trajerr.motion.bed import Bed

CASE = PROJECT / "tests" / "cases" / "c04_centre_origin" / "centre.gcode"
QUICK = CorrectionSettings.shipped(
    layers=(1,), learning=LearningSettings.shipped(iterations=4, planned_iterations=1)
)
MIDDLE = (-110.0, -110.0)


@pytest.fixture(scope="module")
def printer() -> Printer:
    """The default printer: belts, which know where the carriage is, and all else."""
    plain = yaml.safe_load((PROJECT / "conf" / "printer" / "ender3_v2.yaml").read_text())
    return Printer.from_dict(plain)


def print_at(x: float, y: float, dialect: Dialect | None = None, statement: str = "") -> Program:
    """A square near the bed's left front corner, on a bed whose middle is at x, y.

    From X0 Y0 to its first point is as far whether x, y are 0, 0 or 110, 110, so that times,
    and with them the samples, are the same.
    """
    w = Writer(dialect or Dialect())
    w.say(statement)
    w.move(x - 110, y, feed=100.0)
    w.say("G4 S2")
    w.say(";LAYER_CHANGE")
    w.move(z=0.2, feed=10.0)
    corners = [(-85, -80), (-65, -80), (-65, -60), (-85, -60), (-85, -80)]
    w.path([(x + i, y + j) for i, j in corners], 80.0, "External perimeter")
    w.path([(x - 83, y - 78), (x - 67, y - 62)], 80.0, "Internal infill")
    w.move(x, y, feed=100.0)
    return w.program()


def motion(text: bytes | None) -> tuple[np.ndarray, np.ndarray]:
    moves = parse_program(text or b"", "corrected").moves
    return moves.end[1:], moves.feedrate[1:]


def farthest(ends: np.ndarray, line: np.ndarray) -> float:
    """How far, mm of x, y, z and filament, some of (N, 4) ends lie from the way through others."""
    begin, way = line[:-1, None], np.diff(line, axis=0)[:, None]
    square = np.maximum(np.sum(way**2, axis=-1), 1e-12)
    share = np.clip(np.sum((ends - begin) * way, axis=-1) / square, 0.0, 1.0)
    distance = np.linalg.norm(begin + share[..., None] * way - ends, axis=-1)
    return float(distance.min(axis=0).max())


def without_steps(printer: Printer) -> Printer:
    """Where motion goes by whole steps, rounding decides what an iteration does next."""
    return replace(printer, limits=replace(printer.limits, firmware="marlin_estimated"))


@pytest.mark.parametrize("method", ["twin", "subtract"])
@pytest.mark.parametrize("relative", [False, True])
def test_a_centred_print_is_corrected_as_the_same_print_on_a_cornered_bed(
    printer, method, relative
):
    dialect = Dialect(relative_xyz=relative)
    settings = replace(QUICK, method=method, least_improvement=-10.0)
    printer = without_steps(printer)
    model = TwinModel(printer.without("friction", "quantisation"))
    corner = correct_program(print_at(110, 110, dialect), model, printer, settings)
    delta = replace(printer, bed_origin_mm=MIDDLE)
    centred = correct_program(print_at(0, 0, dialect), model, delta, settings)
    # A tenth of what is written is rounded to.
    np.testing.assert_allclose(centred.predicted_after_mm, corner.predicted_after_mm, atol=5e-5)
    (here, speed), (there, known) = motion(centred.text), motion(corner.text)
    there = there - [110.0, 110.0, 0.0, 0.0]
    # Where along its way a straight run is cut in two, rounding may decide.
    assert max(farthest(here, there), farthest(there, here)) < 2e-3
    np.testing.assert_allclose(speed, known, rtol=0.02)


def test_a_file_that_states_its_bed_needs_no_config(printer):
    printer = without_steps(printer)
    statement = "; printable_area = -110x-110,110x-110,110x110,-110x110"
    program, model = print_at(0, 0, statement=statement), TwinModel(printer)
    stated = correct_program(program, model, printer, QUICK)
    told = correct_program(print_at(0, 0), model, replace(printer, bed_origin_mm=MIDDLE), QUICK)
    np.testing.assert_allclose(motion(stated.text)[0], motion(told.text)[0], atol=1e-9)
    again = parse_program(stated.text or b"", "corrected")
    replay = Replay(program, {"twin": again}, printer, [1])
    after, before = replay.errors("twin"), replay.errors("uncorrected")
    assert after.wall_contour_rms_um < 0.4 * before.wall_contour_rms_um


def test_the_case_of_a_delta_is_corrected_when_its_middle_is_told(printer, tmp_path):
    out = tmp_path / "out.gcode"
    with pytest.raises(GcodeError, match=r"centre\.gcode:23: .*printer\.bed_origin_mm"):
        apply_correction(CASE, out, TwinModel(printer), printer, replace(QUICK, layers=None))
    assert not out.exists()
    delta = replace(printer, bed_origin_mm=MIDDLE)
    done = apply_correction(CASE, out, TwinModel(printer), delta, QUICK)
    assert done.improvement > 0.5
    before, after = (parse_program(p.read_bytes(), "t").moves for p in (CASE, out))
    laid = [np.sum((m.end - m.start)[m.is_wall, 3]) for m in (before, after)]
    assert laid[1] == pytest.approx(laid[0], abs=0.01)
    assert np.abs(after.end[after.is_wall, :2]).max() < 12.5  # the tower's radius is 11.5 mm


def test_walls_beside_the_bed_are_refused_only_in_layers_to_correct(printer):
    text = print_at(110, 110).text.decode()
    more = ";LAYER_CHANGE\n;Z:0.4\nG1 Z0.4\n;TYPE:Perimeter\nG1 X240 Y30\nG1 X250 Y30 E.3\n"
    program = parse_program((text + more).encode(), "wide.gcode")
    line = text.count("\n") + 6
    with pytest.raises(GcodeError, match=rf"wide\.gcode:{line}: the wall leaves .*X240 mm"):
        correct_program(program, TwinModel(printer), printer, replace(QUICK, layers=None))
    assert correct_program(program, TwinModel(printer), printer, QUICK).text is not None


def test_purging_beside_the_plate_stays_byte_for_byte(printer):
    w = Writer(Dialect())
    w.move(110, 110, feed=100.0)
    w.say(";LAYER_CHANGE")
    w.move(z=0.2, feed=10.0)
    w.path([(30, 30), (50, 30), (50, 50), (30, 50), (30, 30)], 80.0, "External perimeter")
    w.path([(-13.5, 100), (-13.5, 130)], 40.0, "Custom")
    w.path([(100, 265), (120, 265)], 40.0, "Prime tower")
    w.path([(60, 60), (80, 60), (80, 80)], 80.0, "External perimeter")
    done = correct_program(w.program(), TwinModel(printer), printer, QUICK)
    assert done.text is not None
    for words, length in (("X-13.50000 Y130.00000", 30.0), ("X120.00000 Y265.00000", 20.0)):
        assert f"G1 {words} E{E_PER_MM * length:.6f}".encode() in done.text


def test_a_correction_leads_no_wall_further_off_the_bed():
    base = np.array([[-2.0, 10.0], [0.1, 219.95], [100.0, 100.0]])
    offset = np.array([[-0.2, 0.1], [-0.3, 0.2], [0.6, 0.8]])
    held = bounded(offset, base, 0.5, Bed((220.0, 220.0, 250.0)))
    np.testing.assert_allclose(held, [[0.0, 0.1], [-0.1, 0.05], [0.3, 0.4]], atol=1e-12)
    centred = Bed((220.0, 220.0, 250.0), MIDDLE)
    np.testing.assert_allclose(bounded(offset, base - 110.0, 0.5, centred), held, atol=1e-9)
