"""A print of small layers, quick to simulate, and the default printer."""

from typing import cast

from hydra.utils import instantiate
from omegaconf import OmegaConf

from trajerr.dynamics.printer import Printer
from trajerr.gcode.program import Program
from trajerr.gcode.reader import parse_program
from trajerr.shipped import conf_dir


def printer() -> Printer:
    """Return the default printer."""
    config = OmegaConf.load(conf_dir() / "printer" / "ender3_v2.yaml")
    return cast("Printer", instantiate(config))


def small_gcode(layers: int = 4) -> str:
    """Return G-code of nested squares and zigzags, a few seconds a layer."""
    lines = ["G90", "M83", "M104 S210", "M140 S60", "G28", "G1 Z0.2 F600"]
    for layer in range(1, layers + 1):
        lines += [";LAYER_CHANGE", f";Z:{0.2 * layer:.1f}", f"G1 Z{0.2 * layer:.1f} F600"]
        lines.append("M106 S255")
        for ring in range(3):
            side = 14 - 2 * ring - 0.5 * layer
            lines.append(";TYPE:External perimeter" if ring == 0 else ";TYPE:Perimeter")
            lines.append(f"G1 X{100 - side} Y{100 - side} F9000")
            corners = [(1, -1), (1, 1), (-1, 1), (-1, -1)]
            lines += [f"G1 X{100 + side * i} Y{100 + side * j} E1 F3000" for i, j in corners]
        lines.append(";TYPE:Solid infill")
        lines += [f"G1 X{95 + 2 * k} Y{95 + 10 * (k % 2)} E0.5 F3600" for k in range(8)]
    return "\n".join([*lines, "G1 X0 Y200 F9000", "M104 S0"]) + "\n"


def small_program(layers: int = 4) -> Program:
    """Return the small print, read."""
    return parse_program(small_gcode(layers).encode(), "small.gcode")
