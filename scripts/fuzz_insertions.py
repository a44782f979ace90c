"""Put real-world commands at random lines of prints, correct them, and see that all stays sound.

    python scripts/fuzz_insertions.py --minutes 30 --seed 1 --log insertions.log
    python scripts/fuzz_insertions.py --only 137          # one trial again

Each trial takes a print, puts one to four commands at random lines, and corrects it by the
printer itself as model, for a build of Marlin or Klipper. It may end in a corrected file (which
the second reading has then accepted) or in a refusal that names what is not understood. It fails
when the second reading refuses what was written, or by any other error; its number is then kept
in the log.
"""

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from trajerr.commands.configs import load_printer
from trajerr.correction.compensate import apply_correction
from trajerr.correction.error_models import TwinModel
from trajerr.correction.settings import CorrectionSettings
from trajerr.errors import TrajerrError
from trajerr.gcode.reader import parse_program

CASES = Path(__file__).resolve().parents[1] / "tests" / "cases"
PRINTS = (
    "c01_restore_gcode_state/extruder_only_explicit.gcode",  # absolute E
    "c02_g60_g61/explicit.gcode",
    "c11_firmware_retraction/g10.gcode",
    "c14_g92_copies/copies.gcode",
    "c22_relative_xyz/relative.gcode",  # G91
    "c26_pause_in_wall/pause.gcode",
    "c31_relative_e_by_macro/with_m83.gcode",
)
PRINTERS = {  # by shipped printer, its firmwares
    "ender3_v2": ("marlin_estimated", "marlin", "marlin_2_1_2", "marlin_junction_deviation"),
    "klipper_fast": ("klipper", "klipper_0_13", "klipper_0_12"),
}
REPORT = "please report this file"
COMMANDS = tuple(
    line
    for line in """
SAVE_GCODE_STATE NAME=s1|RESTORE_GCODE_STATE NAME=s1
SAVE_GCODE_STATE NAME=s2|G91|G1 Z0.4 F600|RESTORE_GCODE_STATE NAME=s2 MOVE=1 MOVE_SPEED=100
SAVE_GCODE_STATE NAME=s3|M82|G1 X30 Y30 F6000|RESTORE_GCODE_STATE NAME=s3
RESTORE_GCODE_STATE NAME=never
G60 S1|G1 X5 Y5 F7200|G61 S1 X Y F7200
G60|G1 Z10|G61
G61
G27 P0
G12 P1
G28
G28 X Y
G29
G30
M600
M0 wait
M25
M226
PAUSE
CLEAN_NOZZLE
MY_MACRO X=1 E=5
NOZZLE_WIPE
TIMELAPSE_TAKE_FRAME
T0
T1
M84
M18 X
M117 G1 X99 Y99 E99
M118 A1 message
M73 P10 R5
M106 S128
M107
M104 S205
M109 S205
M140 S60
M190 S55
M201 X900 Y900
M203 X200 Y200
M204 P700 T900
M204 S800
M205 X6 Y6
M205 J0.02
SET_VELOCITY_LIMIT ACCEL=900
SET_VELOCITY_LIMIT ACCEL=900 ACCEL_TO_DECEL=450
SET_VELOCITY_LIMIT VELOCITY=100 SQUARE_CORNER_VELOCITY=4
SET_PRESSURE_ADVANCE ADVANCE=0.04
M900 K0.05
M221 S95
M220 S90
M220 B|M220 S80|M220 R
M290 Z0.02
M290 X0.1
SET_GCODE_OFFSET Z_ADJUST=0.05 MOVE=1
SET_GCODE_OFFSET X=0.2
SET_GCODE_OFFSET Z=0.1
G92 E0
G92 X10
G92
G4 P50
G4 S1
M400
G10|G11
M207 S1 F1800|G10|G11
M83
M82
G90
G91
G91|G1 Z0.2|G90
G20|G21
G21
G53
G53 G1 X50 Y50
G54
G55
M120
M121
M200 D1.75
M302 S1
M486 S1
EXCLUDE_OBJECT_START NAME=part
EXCLUDE_OBJECT_END NAME=part
RESPOND MSG="G1 X0 Y0"
M808 L2
M206 X1
M218 T1 X3
M501
M999
G5 X10 Y10 I1 J1 P1 Q1
G18
G1 X50 Y50 S100
G1 X60 H1
G0 F9000
G1 F1200
G1 Z5 F900
G1 E-2 F2400|G1 E2 F2400
G1 X70 Y70 F6000
G2 X72 Y72 I1 J1
M486 AG1 X99
@pause
; a comment
;TYPE:Solid infill
;TYPE:Outer wall
;LAYER_CHANGE
""".strip().splitlines()
)


def main() -> None:
    """Run trials until the time or their number is over."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--minutes", type=float, default=30.0, help="how long")
    arguments.add_argument("--trials", type=int, help="how many, in place of a time")
    arguments.add_argument("--seed", type=int, default=0, help="number of the first trial")
    arguments.add_argument("--step", type=int, default=1, help="to the number of the next trial")
    arguments.add_argument("--only", type=int, help="one trial, its changed print on stdout")
    arguments.add_argument("--log", type=Path, help="a file for the numbers of failed trials")
    given = arguments.parse_args()
    if given.only is not None:
        sys.stdout.buffer.write(changed(given.only)[0])
        sys.exit(not sound(given.only, trial(given.only)))
    ends, number, counts = time.monotonic() + 60.0 * given.minutes, given.seed, Counter[str]()
    while counts.total() < given.trials if given.trials else time.monotonic() < ends:
        outcome = trial(number)
        counts[outcome.partition(":")[0]] += 1
        if not sound(number, outcome) and given.log:
            with given.log.open("a") as file:
                file.write(f"{number}\t{outcome}\n")
        number += given.step
    print(f"{counts.total()} trials from {given.seed}: {dict(counts)}")
    sys.exit(bool(counts["failed"]))


def sound(number: int, outcome: str) -> bool:
    """Say a failure; return whether there is none."""
    if outcome.startswith("failed"):
        print(f"trial {number} {outcome}", file=sys.stderr)
    return not outcome.startswith("failed")


def changed(number: int) -> tuple[bytes, str, str, list[str]]:
    """Return a trial's print, its printer and firmware, and what was put into it."""
    rng = random.Random(number)  # noqa: S311 - no secret
    lines = (CASES / rng.choice(PRINTS)).read_text().splitlines()
    put = [rng.choice(COMMANDS) for _ in range(rng.randint(1, 4))]
    for commands in put:
        at = rng.randint(1, len(lines))
        lines[at:at] = commands.split("|")
    printer = rng.choice(list(PRINTERS))
    return "\n".join([*lines, ""]).encode(), printer, rng.choice(PRINTERS[printer]), put


def trial(number: int) -> str:
    """Correct a trial's print; return "corrected", "refused: …" or "failed: …"."""
    text, name, firmware, put = changed(number)
    printer = load_printer(name)
    printer = replace(printer, limits=replace(printer.limits, firmware=firmware))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"trial{number}.gcode"
        path.write_bytes(text)
        try:
            moves = parse_program(text, path.name, printer.limits.firmware).moves
            layers = np.unique(moves.layer[moves.is_extruding & (moves.layer > 0)])[:2]
            settings = CorrectionSettings.shipped(method="twin", layers=[int(n) for n in layers])
            out = path.with_suffix(".out")
            done = apply_correction(path, out, TwinModel(printer, 200.0), printer, settings)
            return "corrected" if done.text else "left alone"
        except TrajerrError as error:
            kind = "failed" if REPORT in str(error) else "refused"
            return f"{kind}: {put} on {name}, {firmware}: {error}"
        except Exception:  # noqa: BLE001 - what is looked for
            return f"failed: {put} on {name}, {firmware}: {traceback.format_exc()}"


if __name__ == "__main__":
    main()
