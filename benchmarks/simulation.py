"""How fast whole prints are simulated, against the print itself and against SciPy.

    python benchmarks/simulation.py [PART …] [--printer ender3_v2] [--workers 2]

Plans a part, samples and simulates all its layers on several processes, and prints how many
times faster than printing that is. SciPy's LSODA on the same equation and command, in the same
run, is the baseline.
"""

import argparse
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.integrate import solve_ivp

from trajerr.commands.configs import load_printer
from trajerr.dynamics.axis import AxisParameters
from trajerr.dynamics.plant import SIMULATION_RATE_HZ, simulate
from trajerr.dynamics.printer import Printer
from trajerr.gcode.parts import PARTS, load_part
from trajerr.motion.planner import Plan, plan
from trajerr.motion.sampling import sample
from trajerr.motion.trajectory import Trajectory


def simulate_layers(motion: Plan, printer: Printer, layers: list[int]) -> tuple[int, float]:
    """Return samples and the sum of squared errors of some layers."""
    count, square = 0, 0.0
    for layer in layers:
        path = sample(motion, SIMULATION_RATE_HZ, *motion.layer_span(layer))
        error = simulate(printer, path, seed=0).xy - path.position[:, :2]
        count, square = count + len(path), square + float(np.sum(error**2))
    return count, square


def time_print(part: str, printer: Printer, workers: int) -> dict[str, float]:
    """Return seconds by stage, how many times faster than printing, and the error's RMS."""
    begin = time.perf_counter()
    program = load_part(part)
    read = time.perf_counter()
    motion = plan(program, printer.limits)
    planned = time.perf_counter()
    layers = [int(layer) for layer in motion.layers]
    shares = [layers[i :: 4 * workers] for i in range(4 * workers)]
    idle = _worker_seconds()
    with ProcessPoolExecutor(workers) as pool:
        done = list(pool.map(partial(simulate_layers, motion, printer), shares))
    end = time.perf_counter()
    return {
        "print": motion.print_time,
        "read": read - begin,
        "plan": planned - read,
        "simulate": end - planned,
        "cpu": _worker_seconds() - idle,
        "ratio": motion.print_time / (end - begin),
        "rms_um": 1000.0 * np.sqrt(sum(d[1] for d in done) / sum(d[0] for d in done)),
    }


def _worker_seconds() -> float:
    """Return processor time of finished workers: what is left when a machine is shared."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _derivative(
    axis: AxisParameters,
    time_grid: np.ndarray,
    command: np.ndarray,
    slope: np.ndarray,
    t: float,
    state: np.ndarray,
) -> list[float]:
    r, v_r = float(np.interp(t, time_grid, command)), float(np.interp(t, time_grid, slope))
    x, v = state
    for a, p in zip(axis.ripple_amplitudes_mm, axis.ripple_periods_mm, strict=True):
        r += a * np.sin(2.0 * np.pi * r / p)
    start, end = axis.belt_start_mm, axis.belt_end_mm
    spans = (end - start) / 4.0 * (1.0 / (x - start) + 1.0 / (end - x))
    stiffness = axis.stiffness_n_per_m * (1.0 + axis.belt_strength * (spans - 1.0))
    force = stiffness * (r - x) + axis.damping_n_s_per_m * (v_r - v)
    force -= 1000.0 * axis.coulomb_n * np.tanh(v / axis.friction_velocity_mm_s)
    return [v, force / axis.mass_kg]


def time_scipy(printer: Printer, path: Trajectory) -> float:
    """Return seconds that LSODA takes for both axes, with friction, ripple and belt."""
    time_grid = np.arange(len(path)) / path.sample_rate
    begin = time.perf_counter()
    for column, axis in enumerate((printer.x, printer.y)):
        command = path.position[:, column]
        slope = np.gradient(command, time_grid)

        motion = partial(_derivative, axis, time_grid, command, slope)
        start = [command[0], 0.0]
        solve_ivp(motion, (0.0, time_grid[-1]), start, "LSODA", max_step=1e-3, rtol=1e-6, atol=1e-6)
    return time.perf_counter() - begin


def main() -> None:
    """Print the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--printer", default="ender3_v2")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    parts = arguments.parts or ["tugboat"]
    printer = load_printer(arguments.printer)
    motion = plan(load_part(parts[0]), printer.limits)
    start = motion.layer_span(int(motion.layers[2]))[0]
    short = sample(motion, SIMULATION_RATE_HZ, start, start + 1.0)
    begin = time.perf_counter()
    simulate(printer, short, seed=0)
    console = Console()
    console.print(
        f"first call, with compilation unless cached: {time.perf_counter() - begin:.2f} s"
    )
    table = Table(
        "part",
        "print / s",
        "read / s",
        "plan / s",
        "sample, simulate / s",
        "of workers' CPU / s",
        "× faster",
        "RMS / µm",
    )
    for part in parts:
        found = time_print(part, printer, arguments.workers)
        keys = ("print", "read", "plan", "simulate", "cpu", "ratio", "rms_um")
        table.add_row(part, *(f"{found[key]:.4g}" for key in keys))
    console.print(table)
    ours = min(_timed(printer, short) for _ in range(5))
    theirs = time_scipy(printer, short)
    console.print(
        f"1 s of print: {1e3 * ours:.1f} ms, SciPy's LSODA {theirs:.2f} s, "
        f"{theirs / ours:.0f} × as long"
    )


def _timed(printer: Printer, path: Trajectory) -> float:
    begin = time.perf_counter()
    simulate(printer, path, seed=0)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
