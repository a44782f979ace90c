"""What is not corrected moves as it did, whatever limits the file sets and whichever build runs."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.correction.cases import limits, linear_printer
from trajerr.correction.compensate import correct_program
from trajerr.correction.error_models import TwinModel
from trajerr.correction.settings import CorrectionSettings, LearningSettings
from trajerr.gcode.program import Program
from trajerr.gcode.reader import parse_program
from trajerr.motion.planner import plan

KLIPPERS = ("klipper", "klipper_0_13", "klipper_0_12")
CORRECTED = (2, 4)
QUICK = CorrectionSettings.shipped(
    layers=CORRECTED,
    least_improvement=-1.0,
    learning=LearningSettings.shipped(iterations=1, planned_iterations=1),
)

klipper_lines = st.sampled_from(
    [
        "M204 S12000",
        "M204 S800",
        "SET_VELOCITY_LIMIT ACCEL=7000 ACCEL_TO_DECEL=2500",
        "SET_VELOCITY_LIMIT ACCEL_TO_DECEL=900",
        "SET_VELOCITY_LIMIT ACCEL=3000 SQUARE_CORNER_VELOCITY=9",
        "SET_VELOCITY_LIMIT MINIMUM_CRUISE_RATIO=0.2",
        "SET_VELOCITY_LIMIT VELOCITY=150",
    ]
)
marlin_lines = st.sampled_from(
    ["M204 P700 T900", "M204 P6000", "M205 X4 Y5", "M205 X20 Y20", "M201 X900 Y800", "M203 X90"]
)


def layer(number: int, lines: list[str]) -> list[str]:
    """Arcs and straight walls, infill, a wall of short moves; limits between them."""
    angle = np.linspace(0.0, 2.0 * np.pi, 30)
    ring = [f"G1 X{60 + 5 * np.cos(a):.3f} Y{40 + 5 * np.sin(a):.3f} E.035" for a in angle]
    first, second, third = (*lines, "", "", "")[:3]
    return [
        f";LAYER_CHANGE\n;Z:{0.2 * number:g}\nG1 Z{0.2 * number:g} F600\nG1 X30 Y30 F7200",
        f";TYPE:External perimeter\n{first}\nG1 X50 Y30 E.66 F3600\nG3 X50 Y50 I0 J10 E1.04",
        "G1 X30 Y50 E.66\nG1 X30 Y30 E.66\nG1 E-.8 F2100\nG1 X65 Y40 F7200\nG1 E.8 F2100",
        f";TYPE:Perimeter\n{second}\nG1 F2400",
        *ring,
        "G1 E-.8 F2100\nG1 X32 Y32 F7200\nG1 E.8 F2100\n;TYPE:Internal infill",
        f"{third}\nG1 X48 Y48 E.75 F4800\nG1 X47 Y48 E.03\nG1 X32 Y33 E.7",
    ]


def tower(changes: list[list[str]], firmware: str) -> Program:
    lines = ["G90\nM83\nG21\nG28\nG1 X5 Y5 Z5 F6000"]
    for number, own in enumerate(changes, 1):
        lines += layer(number, own)
    text = "\n".join([*lines, "G1 X5 Y200 F7200", "M84", ""])
    return parse_program(text.encode(), "tower.gcode", firmware)


def printed(program: Program, firmware: str, number: int) -> np.ndarray:
    """How a layer's prints are planned: time, speeds, acceleration, without first and last."""
    planned = plan(program, limits(firmware))
    moves = program.moves
    rows = np.flatnonzero((planned.layer == number) & moves.is_extruding[planned.move])
    table = (planned.duration, planned.entry, planned.cruise, planned.exit, planned.acceleration)
    return np.column_stack(table)[rows][1:-1]


def check(changes: list[list[str]], firmware: str, builds: tuple[str, ...]) -> None:
    program, printer = tower(changes, firmware), linear_printer(firmware)
    printer = replace(printer, limits=limits(firmware))
    done = correct_program(program, TwinModel(printer), printer, QUICK)
    assert done.text is not None
    again = parse_program(done.text, "corrected.gcode", firmware)
    for build in builds:
        for number in set(range(1, len(changes) + 1)) - set(CORRECTED):
            was, now = (printed(p, build, number) for p in (program, again))
            np.testing.assert_allclose(now, was, rtol=1e-5, atol=1e-5)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(klipper_lines, max_size=3), min_size=5, max_size=5))
def test_klippers_limits_return_on_old_and_new_builds(changes):
    check(changes, "klipper", KLIPPERS)


@pytest.mark.parametrize("firmware", ["marlin_estimated"])
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(marlin_lines, max_size=3), min_size=5, max_size=5))
def test_marlins_limits_return(firmware, changes):
    check(changes, firmware, (firmware,))


@pytest.mark.parametrize("build", KLIPPERS[1:])
def test_corrected_layers_run_on_old_builds_as_on_new_ones(build):
    """Raised limits are raised in the words of either, so that no build smooths peaks away."""
    program, printer = tower([["M204 S7000"]] * 5, "klipper"), linear_printer("klipper")
    done = correct_program(program, TwinModel(printer), printer, QUICK)
    again = parse_program(done.text, "corrected.gcode", "klipper")
    chosen = again.moves.is_wall & np.isin(again.moves.layer, CORRECTED)
    plans = [plan(again, limits(firmware)) for firmware in ("klipper", build)]
    now, old = (p.duration[chosen[p.move]] for p in plans)
    assert old.sum() == pytest.approx(now.sum(), rel=1e-3)
