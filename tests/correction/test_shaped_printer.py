"""Corrections through a printer's own input shaper."""

from dataclasses import replace

from tests.correction.cases import small_print
from trajerr.commands.configs import load_printer
from trajerr.correction.compensate import correct_program
from trajerr.correction.error_models import TwinModel
from trajerr.correction.settings import CorrectionSettings
from trajerr.dynamics.designed_shapers import designed_shaper
from trajerr.dynamics.printer import Printer
from trajerr.gcode.reader import parse_program
from trajerr.metrics.closed_loop import UNCORRECTED, Replay

QUICK = CorrectionSettings.shipped(layers=(1,), method="twin")


def replayed(printer: Printer, model: Printer) -> tuple[float, float]:
    """Return contour errors on walls in µm before and after a correction by a model."""
    program = small_print()
    done = correct_program(program, TwinModel(model), printer, QUICK)
    replay = Replay(program, {"twin": parse_program(done.text, "c")}, printer, [1])
    return (
        replay.errors(UNCORRECTED).wall_contour_rms_um,
        replay.errors("twin").wall_contour_rms_um,
    )


def test_it_brings_as_much_as_without_shaper_within_five_points():
    """Klipper's rules, whose shaper it is, and a printer with all its effects."""
    known = load_printer("ender3_v2")
    bare = replace(known, limits=replace(known.limits, firmware="klipper"))
    shaped = replace(bare, shaper=designed_shaper(bare, "mzv"))
    shares = {}
    for name, printer in (("bare", bare), ("shaped", shaped)):
        before, after = replayed(printer, printer)
        shares[name] = 1.0 - after / before
    assert shares["bare"] > 0.85
    assert shares["shaped"] > shares["bare"] - 0.05


def test_one_learned_without_it_does_not_fit():
    known = load_printer("ender3_v2")
    shaped = replace(known, shaper=designed_shaper(known, "mzv"))
    before, after = replayed(shaped, known)
    _, right = replayed(shaped, shaped)
    assert after > 2.0 * right
    assert right < 0.35 * before
