"""Machines calibrated from a recorded print: how far off, and whether intervals hold.

    python benchmarks/calibration.py [--machines 10] [--seconds 90] [--printers NAME ...] [--seed 0]

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

BARS = {  # shares of the value
    "natural_freq_hz": 0.01,
    "damping_ratio": 0.15,
    "friction_mm_s2": 0.15,
}
DELAY_BAR_S = 1e-4
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
    yield "delay_difference_s", apart, Estimate(y.value - x.value, low, high)


def main() -> None:
    """Print a line a machine, then a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machines", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--printers", nargs="+", default=["klipper_fast", "ender3_stock"])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    table: dict[str, list[tuple[float, bool]]] = {}
    modes = 0
    for number in range(options.machines):
        name = options.printers[number % len(options.printers)]
        second = number // len(options.printers) % 2 == 1
        case = record_case(name, options.seed + number, options.seconds, second_mode=second)
        begin = time.perf_counter()
        try:
            sensors = Sensors(case.recording)
            wanted = {"viscous": True, "second_mode": True}
            found = fit_print(sensors, case.trajectory, case.base, name, **wanted)
        except DataError as error:
            print(f"{name} {number}: refused: {error}", flush=True)
            continue
        seconds = time.perf_counter() - begin
        right = [fit.second_mode == second for fit in found.axes.values()]
        modes += sum(right)
        said = [f"{name} {number} ({'two modes' if second else 'one mode'}, {seconds:.0f} s):"]
        for key, truth, told in rows(case.true, found):
            off = (
                told.value - truth
                if key.endswith("_s") and "per" not in key
                else told.value / truth - 1.0
            )
            holds = told.low <= truth <= told.high
            table.setdefault(key, []).append((off, holds))
            said.append(
                f"{key} {1e3 * off:+.3f} ms"
                if "difference" in key
                else f"{key} {100.0 * off:+.2f} %"
            )
        print(*said, "modes right:", right, flush=True)
    print(f"\n{'value':24} {'worst off':>12} {'bar':>8} {'intervals hold':>16}")
    for key, entries in table.items():
        worst = max(abs(off) for off, _ in entries)
        held = f"{sum(h for _, h in entries)} of {len(entries)}"
        if "difference" in key:
            print(f"{key:24} {1e3 * worst:9.4f} ms {1e3 * DELAY_BAR_S:5.1f} ms {held:>16}")
        else:
            bar = f"{100.0 * BARS[key]:.0f} %" if key in BARS else ""
            print(f"{key:24} {100.0 * worst:10.3f} % {bar:>8} {held:>16}")
    print(f"number of modes right: {modes} of {2 * options.machines} axes")


if __name__ == "__main__":
    main()
