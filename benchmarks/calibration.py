"""Machines calibrated from a recorded print: how far off, and whether intervals hold.

    python benchmarks/calibration.py [--machines 12] [--seconds 60] [--printers NAME ...]

Each machine is a shipped printer with other numbers (frequency, damping, friction, delays; every
second one with a second mode), recorded as an ADXL345 would: noise, digits, a turned and wrongly
scaled sensor, gravity, vibration, lost samples, a clock that starts anywhere and runs off. The
calibration starts from the shipped printer.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.calibration.recorded import record_case

from trajerr.calibration.recorded_print import RecordedPrint, fit_print
from trajerr.calibration.uncertainty import Estimate
from trajerr.dynamics.axis import AxisParameters
from trajerr.dynamics.printer import Printer
from trajerr.dynamics.second_mode import SecondMode
from trajerr.errors import DataError
from trajerr.recordings.alignment import Sensors

DELAY = "delay_difference_s"
BARS = {
    "natural_freq_hz": "1 %",
    "damping_ratio": "15 %",
    "friction_mm_s2": "15 %",
    DELAY: "0.1 ms",
}
Row = tuple[str, float, Estimate]  # what, truth, found


def truths(axis: AxisParameters) -> dict[str, float]:
    """Return what a fit of an axis should find."""
    found = {
        "natural_freq_hz": axis.natural_freq_hz,
        "damping_ratio": axis.damping_ratio,
        "friction_mm_s2": 1000.0 * axis.coulomb_n / axis.mass_kg,
        "viscous_per_s": axis.viscous_n_s_per_m / axis.mass_kg,
    }
    if axis.second_mode is not None:
        values = {f.name: getattr(axis.second_mode, f.name) for f in fields(SecondMode)}
        found |= {f"second_{key}": value for key, value in values.items()}
    return found


def rows(true: Printer, found: RecordedPrint) -> Iterator[Row]:
    """Yield what was found beside what is."""
    for name, fit in found.axes.items():
        for key, value in truths(getattr(true, name)).items():
            if key in fit.estimates:
                yield key, value, fit.estimates[key]
    x, y = found.delays["x"], found.delays["y"]
    apart = true.y.delay_s - true.x.delay_s
    low, high = y.low - x.high, y.high - x.low
    yield DELAY, apart, Estimate(y.value - x.value, low, high)


def off_by(key: str, truth: float, found: Estimate) -> float:
    """Return how far off a value is: in s for a delay, else as a share of it."""
    off = found.value - truth
    return off if key == DELAY else off / truth


def said(key: str, off: float) -> str:
    """Return that for a person."""
    return f"{1e3 * off:+.4f} ms" if key == DELAY else f"{100.0 * off:+.3f} %"


def measure(name: str, seed: int, seconds: float, *, second_mode: bool) -> list[Row]:
    """Calibrate one machine, print a line, and return what was found."""
    case = record_case(name, seed, seconds, second_mode=second_mode)
    begin = time.perf_counter()
    wanted = {"viscous": True, "second_mode": True}
    found = fit_print(Sensors(case.recording), case.trajectory, case.base, name, **wanted)
    spent = time.perf_counter() - begin
    told = list(rows(case.true, found))
    right = [fit.second_mode == second_mode for fit in found.axes.values()]
    held = sum(estimate.low <= truth <= estimate.high for _, truth, estimate in told)
    line = ", ".join(f"{key} {said(key, off_by(key, truth, e))}" for key, truth, e in told)
    modes = "two modes" if second_mode else "one mode"
    print(
        f"{name} {seed} ({modes}, right: {right}, {spent:.0f} s, "
        f"{held} of {len(told)} intervals hold): {line}",
        flush=True,
    )
    return told


def show(found: list[Row]) -> None:
    """Print the table."""
    print(f"\n{'value':24} {'worst off':>12} {'bar':>8} {'intervals hold':>16}")
    for key in dict.fromkeys(key for key, _, _ in found):
        own = [(truth, estimate) for name, truth, estimate in found if name == key]
        worst = max((off_by(key, *pair) for pair in own), key=abs)
        held = sum(estimate.low <= truth <= estimate.high for truth, estimate in own)
        bar = BARS.get(key, "")
        print(f"{key:24} {said(key, worst):>12} {bar:>8} {f'{held} of {len(own)}':>16}")


def main() -> None:
    """Print a line a machine, then a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machines", type=int, default=12)
    parser.add_argument("--first", type=int, default=0, help="number of the first machine")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--printers", nargs="+", default=["klipper_fast", "ender3_stock"])
    options = parser.parse_args()
    found: list[Row] = []
    for number in range(options.first, options.first + options.machines):
        name = options.printers[number % len(options.printers)]
        second = number // len(options.printers) % 2 == 1
        try:
            found += measure(name, number, options.seconds, second_mode=second)
        except DataError as error:
            print(f"{name} {number}: refused: {error}", flush=True)
    show(found)


if __name__ == "__main__":
    main()
