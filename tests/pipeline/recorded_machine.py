"""What an owner has of a machine: the print's G-code, and what a sensor at the nozzle recorded."""

from pathlib import Path

import numpy as np

from tests.calibration.recorded import FINE_HZ, draw_printer, record, wandering_lines
from tests.recordings.recorded import write_klipper
from trajerr.dynamics.plant import simulate
from trajerr.dynamics.printer import Printer
from trajerr.gcode.reader import parse_program
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample

LAYERS = 5


def layered_gcode(layer_s: float, seed: int = 0) -> str:
    """Straight moves in all directions, some slow, layer by layer."""
    random = np.random.default_rng(seed)
    lines, at = ["G28", "G90", "M83"], np.array([100.0, 100.0])
    for layer in range(LAYERS):
        lines += [f";LAYER:{layer}", f"G1 Z{0.2 * (layer + 1):.1f} F600"]
        lines += wandering_lines(random, layer_s, at)
    return "\n".join([*lines, ""])


def write_recorded_print(folder: Path, base: Printer, layer_s: float = 9.0) -> Printer:
    """Write print.gcode and nozzle.csv of a machine like a printer, and return what it is."""
    true, text = draw_printer(base, 11, second_mode=False), layered_gcode(layer_s)
    (folder / "print.gcode").write_text(text)
    program = parse_program(text.encode(), "a", base.limits.firmware)
    moved = simulate(true, sample(plan(base.placed(program), base.limits), FINE_HZ), seed=1).xy
    recording = record(moved, 0.0, 11)
    rows = np.column_stack([recording.time_s, recording.acceleration_mm_s2])
    write_klipper(rows, folder / "nozzle.csv")
    return true
