"""How fast reading, planning and sampling are, against pyGCodeDecode in the same run.

    python benchmarks/planning.py [FILE.gcode] [--reference /path/to/other/env/bin/python]

Without a file it takes an embedded part, unpacking included. The reference interpreter is one
of its own environment with pyGCodeDecode 1.5.1 installed (`python -m venv …; … -m pip install
pyGCodeDecode==1.5.1`). Without it, or without a file, the ratio is left out.
"""

import argparse
import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from trajerr.gcode.parts import PARTS
from trajerr.gcode.program import Program
from trajerr.gcode.reader import parse_program
from trajerr.gcode.sources import Source
from trajerr.motion.limits import MachineLimits
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample, sample_layers

# A Prusa MK3S, as pyGCodeDecode's own example writes one; the file overrides ours.
LIMITS = MachineLimits(
    max_velocity_mm_s=(200, 200, 12, 120),
    max_acceleration_mm_s2=(1000, 1000, 200, 5000),
    jerk_mm_s=(8, 8, 0.4, 4.5),
    print_acceleration_mm_s2=1000,
    travel_acceleration_mm_s2=1000,
    retract_acceleration_mm_s2=1250,
    firmware="marlin",
)
REFERENCE = """
import sys, tempfile, time, pathlib
from pyGCodeDecode import __version__
from pyGCodeDecode.gcode_interpreter import setup, simulation
preset = pathlib.Path(tempfile.mkdtemp()) / "printer.yaml"
preset.write_text(
    "mk3s: {nozzle_diam: 0.4, filament_diam: 1.75, p_vel: 35, p_acc: 1000, jerk: 8, "
    "vX: 200, vY: 200, vZ: 12, vE: 120, firmware: prusa}"
)
machine = setup(presets_file=preset, printer="mk3s", verbosity_level=0)
machine.set_initial_position({"X": 0.0, "Y": 0.0, "Z": 0.0, "E": 0.0})
begin = time.perf_counter()
found = simulation(pathlib.Path(sys.argv[1]), initial_machine_setup=machine, verbosity_level=0)
took = time.perf_counter() - begin
last = found.blocklist[-1].get_segments()[-1].t_end
print("\\n@", __version__, took, float(last), "@")
"""
STATED = ("estimated printing time (normal mode)", "Build time", "TIME")
RATE = 1000.0  # Hz


def timed(work: Callable[[], object], repeats: int = 3) -> tuple[float, object]:
    """Return the shortest of a few times, s, and the result."""
    best, result = float("inf"), None
    for _ in range(repeats):
        begin = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - begin)
    return best, result


def reference_time(interpreter: Path, gcode: Path) -> tuple[str, float, float]:
    """Return the reference's version, its time and its print time, s."""
    done = subprocess.run(
        [interpreter, "-c", REFERENCE, gcode], capture_output=True, text=True, check=True
    )
    version, took, print_time = done.stdout.split("@")[-2].split()
    return version, float(took), float(print_time)


def stated_time(program: Program) -> str:
    """Return what the slicer says in the file about its printing time."""
    said = (program.slicer.get(key) for key in STATED)
    return next((text for text in said if text), "not stated")


def report_memory(program_text: bytes, copies: int) -> None:
    """Read and plan a file repeated until it is long; print time and peak memory."""
    begin = time.perf_counter()
    planned = plan(parse_program(program_text * copies, "long.gcode"), LIMITS)
    took = time.perf_counter() - begin
    planned_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    begin = time.perf_counter()
    samples = sum(len(part) for _, part in sample_layers(planned, RATE))
    sampled = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{planned.program.n_lines:,} lines: read + plan {took:.2f} s, "
        f"peak {planned_peak:.0f} MiB; {samples:,} samples layer by layer {sampled:.2f} s, "
        f"peak {peak:.0f} MiB"
    )


def main() -> None:
    """Measure what the command line asks for and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gcode", type=Path, nargs="?", help="an embedded part by default")
    parser.add_argument("--reference", type=Path, help="interpreter that has pyGCodeDecode 1.5.1")
    parser.add_argument("--copies", type=int, default=0, help="also repeat the file N times")
    chosen = parser.parse_args()

    gcode = chosen.gcode
    source = Source(PARTS[0]) if gcode is None else Source(gcode.stem, gcode)
    reading, program = timed(source.read)
    # Once: a second plan knows what takes the first one time.
    planning, planned = timed(lambda: plan(program, LIMITS), repeats=1)
    sampling, trajectory = timed(lambda: sample(planned, RATE), repeats=1)
    whole = reading + planning
    print(f"{program.name}: {program.n_lines:,} lines, {len(program.moves):,} moves")
    print(f"print time {planned.print_time:.1f} s, by its slicer {stated_time(program)}")
    print(f"read {reading:.3f} s + plan {planning:.3f} s = {whole:.3f} s")
    print(
        f"sample at {RATE:g} Hz: {len(trajectory):,} samples in {sampling:.2f} s, "
        f"1/{planned.print_time / sampling:.0f} of the print time"
    )
    if chosen.reference is None or gcode is None:
        print("pyGCodeDecode: not measured, give a file, and its interpreter by --reference")
    else:
        version, took, print_time = reference_time(chosen.reference, gcode)
        print(
            f"pyGCodeDecode {version}: {took:.2f} s, print time {print_time:.1f} s; "
            f"ours is 1/{took / whole:.0f} of it"
        )
    if chosen.copies:
        report_memory(program.text, chosen.copies)


if __name__ == "__main__":
    main()
