"""Small prints to correct, written in any dialect, and a linear machine to correct them for."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml

from trajerr.dynamics.axis import AxisParameters
from trajerr.dynamics.printer import Printer
from trajerr.gcode.program import Program
from trajerr.gcode.reader import parse_program
from trajerr.motion.limits import MachineLimits

INCH = 25.4
E_PER_MM = 0.033


@dataclass(frozen=True)
class Dialect:
    absolute_e: bool = False
    relative_xyz: bool = False
    inches: bool = False
    newline: str = "\n"
    klipper: bool = False


class Writer:
    """Writes motion as text in a dialect, as a slicer would."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect, self.lines = dialect, []
        self.at, self.e = np.zeros(3), 0.0
        self.unit = INCH if dialect.inches else 1.0
        self.lines += ["; a small print", "G20" if dialect.inches else "G21"]
        self.lines += ["G91" if dialect.relative_xyz else "G90"]
        self.lines += ["M82" if dialect.absolute_e else "M83", *self._limits()]

    def _limits(self) -> list[str]:
        if self.dialect.klipper:
            return ["SET_VELOCITY_LIMIT ACCEL=1000 SQUARE_CORNER_VELOCITY=5"]
        return ["M204 P1000 T1500", "M205 X8 Y8"]

    def say(self, text: str) -> None:
        self.lines.append(text)

    def move(self, x=None, y=None, z=None, e=0.0, feed=None) -> None:
        target = self.at.copy()
        words = ["G1"]
        for i, value in enumerate((x, y, z)):
            if value is not None:
                target[i] = value
                shown = target[i] - self.at[i] if self.dialect.relative_xyz else target[i]
                words.append(f"{'XYZ'[i]}{shown / self.unit:.5f}")
        if e:
            self.e += e
            words.append(f"E{(self.e if self.dialect.absolute_e else e) / self.unit:.6f}")
        if feed is not None:
            words.append(f"F{feed * 60 / self.unit:.3f}")
        self.at = target
        self.lines.append(" ".join(words))

    def path(self, points, feed, kind) -> None:
        """Travel to the first point, extrude along the others as a type of feature."""
        self.move(e=-0.8, feed=35.0)
        self.move(*points[0], feed=120.0)
        self.move(e=0.8, feed=35.0)
        self.say(f";TYPE:{kind}")
        before = np.array(points[0], float)
        for i, point in enumerate(points[1:]):
            length = float(np.hypot(*(np.array(point) - before)))
            self.move(*point, e=E_PER_MM * length, feed=feed if i == 0 else None)
            before = np.array(point, float)

    def program(self) -> Program:
        text = self.dialect.newline.join([*self.lines, "M84", ""])
        return parse_program(text.encode(), "small.gcode")


def small_print(layers: int = 2, dialect: Dialect | None = None, feed: float = 60.0) -> Program:
    """A square and a circle as walls, an infill line between and beside them."""
    w = Writer(dialect or Dialect())
    angle = np.linspace(0.0, 2 * np.pi, 40)
    circle = np.column_stack([60 + 6 * np.cos(angle), 40 + 6 * np.sin(angle)])
    for layer in range(layers):
        w.say(";LAYER_CHANGE")
        w.say(f";Z:{0.2 * (layer + 1):g}")
        w.move(z=0.2 * (layer + 1), feed=10.0)
        w.path([(30, 30), (50, 30), (50, 50), (30, 50), (30, 30)], feed, "External perimeter")
        w.say("M106 S128")
        w.path(circle.tolist(), feed, "Perimeter")
        w.path([(32, 32), (48, 48), (47, 48), (32, 33)], 80.0, "Internal infill")
        w.path([(55, 30), (65, 30.5), (65, 33)], feed, "Perimeter")
    w.move(5, 200, feed=120.0)
    return w.program()


def limits(firmware: str = "marlin") -> MachineLimits:
    return MachineLimits(
        max_velocity_mm_s=(300, 300, 10, 80),
        max_acceleration_mm_s2=(3000, 3000, 100, 5000),
        print_acceleration_mm_s2=1000.0,
        travel_acceleration_mm_s2=1500.0,
        firmware=firmware,
    )


def linear_printer(firmware: str = "marlin") -> Printer:
    """A soft machine without friction or anything else that is not linear."""
    conf = Path(__file__).resolve().parents[2] / "conf" / "printer" / "ender3_v2.yaml"
    known = Printer.from_dict(yaml.safe_load(conf.read_text()))
    return replace(
        known,
        name="linear",
        x=AxisParameters(mass_kg=0.35, stiffness_n_per_m=8000.0, damping_n_s_per_m=15.0),
        y=AxisParameters(mass_kg=0.45, stiffness_n_per_m=8000.0, damping_n_s_per_m=15.0),
        limits=limits(firmware),
        bed_mm=(220.0, 220.0, 250.0),
    ).only()
