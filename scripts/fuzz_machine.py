"""Break what owners bring of their machines, until a reader gives: settings and recordings.

    OMP_NUM_THREADS=1 python -m scripts.fuzz_machine motan --minutes 8 --keep failures
    python -m scripts.fuzz_machine printer_cfg --only 137     # one trial again, with its traceback

Readers: printer_cfg (with what it includes), m503, accelerometer (a print's, and a resonance
test's), motan (a log of Klipper's data logger). Each trial mutates a sound sample of
``tests/``, or of ``--samples FOLDER``, whose endings tell the reader (.cfg, .txt, .csv).

A trial ends well when the sample is read or is refused by a TrajerrError of one line. It fails
by anything else: another error, a warning, more than 20 s of a processor, more than 2 GB. It runs
in a process of its own (Linux). What failed is left in ``--keep``: make it a case in
``tests/machine_files``, ``tests/recordings`` or ``tests/calibration``.
"""

import argparse
import gzip
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from scripts.mutations import Files, mutated
from tests.calibration.sweeps import record, write_raw
from tests.machine_files.test_klipper import MACRO, MOTORS, SAVED_BLOCK, SLINGER
from tests.machine_files.test_marlin import CLASSIC, NEW, OLD
from tests.recordings.motan_writer import write_log
from tests.recordings.recorded import Sensor, linear, moved, strokes, write_klipper

from trajerr.calibration.made_printer import MachineFile
from trajerr.calibration.recommendation import recommend
from trajerr.calibration.recordings import read_spectrum
from trajerr.calibration.resonance import Sweep, fit_resonance
from trajerr.commands.configs import load_printer
from trajerr.dataset.sensor_logs import AccelerometerLog, MotanLog
from trajerr.errors import TrajerrError
from trajerr.gcode.reader import parse_program
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample
from trajerr.recordings.accelerometer import KLIPPER
from trajerr.recordings.motan import read_motan
from trajerr.recordings.signals import EVEN_HZ

SECONDS, BYTES = 20, 2 << 30  # that a trial may take
SLOWEST = 15  # times slower than its seconds of a processor
LONGEST_LINE = 1000  # characters that a refusal may have
KLIPPER_FILES = Path(__file__).resolve().parents[1] / "tests" / "firmware" / "klipper"
PRINTERS = tuple(load_printer(name) for name in ("ender3_v2", "klipper_fast", "corexy"))


@dataclass(frozen=True)
class Reader:
    """One reader under test."""

    samples: Callable[[], list[Files]]  # sound; the first file is the one that names the others
    read: Callable[[Path, str, random.Random], None]  # a folder, the first file's name


def settings(key: str) -> Callable[[Path, str, random.Random], None]:
    """Return what makes a printer of a machine's own file, as ``calibrate`` does."""

    def read(folder: Path, name: str, rng: random.Random) -> None:
        given: dict[str, Any] = {"printer_cfg": None, "m503": None, key: str(folder / name)}
        base, out = rng.choice(PRINTERS), str(folder / "out.yaml")
        file = MachineFile("mine", base, out, "results", overwrite=False, firmware=None, **given)
        made = file.make()
        json.dumps(made.report, allow_nan=False)
        if any("\n" in line for line in made.lines):
            raise ValueError("a line of the console has a line break")
        yaml.safe_load(made.printer)

    return read


def read_accelerometer(folder: Path, name: str, rng: random.Random) -> None:
    """Read a resonance test, or a print's recording into layers."""
    if name.startswith("test") or rng.random() < 0.5:
        found = read_spectrum(folder / name)
        fit_resonance(found, rng.choice([0, 0, 0, 1, 2]), Sweep(5.0, 135.0), name)
        recommend(found)
    else:
        gcode, sensor = str(folder / "print.gcode"), str(folder / name)
        log = AccelerometerLog(gcode, sensor, None, None, KLIPPER, 200.0, linear())
        require_records(log.records())


def read_motan_log(folder: Path, name: str, rng: random.Random) -> None:
    """Read a log of the data logger into layers."""
    if rng.random() < 0.2:
        read_motan(folder / name).positions("angle:x")
    log = MotanLog(str(folder / name), "adxl345:adxl345", None, None, 200.0, linear())
    require_records(log.records())


def require_records(records: list[Any]) -> None:
    """Raise where there is no layer."""
    if not records:
        raise ValueError("read without an error, and no layer came of it")


def cfg_samples() -> list[Files]:
    """Return configs, with what they include."""
    own = {
        "printer.cfg": (SLINGER + SAVED_BLOCK).encode(),
        "motors/y.cfg": MOTORS.encode(),
        "macros.cfg": MACRO.encode(),
    }
    found = sorted(KLIPPER_FILES.rglob("printer.cfg"))
    return [own, own, *({"printer.cfg": path.read_bytes()} for path in found)]


def m503_samples() -> list[Files]:
    """Return answers of three Marlins."""
    return [{"answer.txt": text.encode()} for text in (NEW, CLASSIC, OLD)]


def printed() -> bytes:
    """Return a print of some 15 s."""
    lines = ["G28", "G1 Z0.2 F600"]
    for number, (x, y) in enumerate(strokes(200.0, 3)[::1000], start=1):
        lines.append(f"G1 X{x:.3f} Y{y:.3f} E{0.5 * number:.2f} F{2400 + 300 * (number % 5)}")
    return "\n".join(lines[:60]).encode()


def accelerometer_samples() -> list[Files]:
    """Return recordings of a print, plain and packed, and of a resonance test."""
    gcode = printed()
    machine = linear()
    planned = plan(machine.placed(parse_program(gcode, "print.gcode")), machine.limits)
    trajectory = sample(planned, EVEN_HZ)
    truth = moved(machine=machine, command=trajectory.position[:, :2])
    with tempfile.TemporaryDirectory() as folder:
        rows = Sensor().rows(truth)
        plain = write_klipper(rows, Path(folder) / "x.csv").read_bytes()
        stock = load_printer("ender3_stock").without("friction")
        write_raw(Path(folder) / "raw.csv", record(stock, 0, hz_per_s=4.0))
        raw = (Path(folder) / "raw.csv").read_bytes()
    beside = {"print.gcode": gcode}
    density = [1e4 / (1.0 + ((0.5 * k - 40.0) / 3.0) ** 2) + 0.05 for k in range(400)]
    spectrum = "freq,psd_x,psd_y,psd_z,psd_xyz\n" + "\n".join(
        f"{0.5 * k:.1f},{d:.3f},{d:.3f},{d:.3f},{3.0 * d:.3f}" for k, d in enumerate(density)
    )
    return [
        {"x.csv": plain} | beside,
        {"x.csv.gz": gzip.compress(plain, 1)} | beside,
        {"test.csv": raw},
        {"test.csv": spectrum.encode()},
    ]


def motan_samples() -> list[Files]:
    """Return a log with moves, an accelerometer and an angle sensor."""
    truth = moved(20.0)
    rows = Sensor(origin_s=50.0, rate=1.0, lost=0.0).rows(truth)
    at = truth.trajectory.position
    step = at[1:] - at[:-1]
    moves = [
        [50.0 + k / EVEN_HZ, 1.0 / EVEN_HZ, v, 0.0, p, [x / v for x in d]]
        for k, (p, d) in enumerate(zip(at.tolist(), (step * EVEN_HZ).tolist(), strict=False))
        if (v := sum(x * x for x in d) ** 0.5) > 0.0
    ]
    dumps = {
        "trapq:toolhead": moves,
        "trapq:extruder": [[50.0, 10.0, 2.0, 0.0, [0.0] * 3, [1.0, 0.0, 0.0]]],
        "adxl345:adxl345": rows.tolist(),
        "angle:x": [[50.0 + 0.001 * k, 40.0 * k] for k in range(2000)],
    }
    config = {"angle x": {"stepper": "stepper_x"}, "stepper_x": {"rotation_distance": 40.0}}
    with tempfile.TemporaryDirectory() as folder:
        stem = Path(folder) / "log"
        write_log(stem, dumps, config)
        names = ("log.json.gz", "log.index.gz")
        return [{name: (Path(folder) / name).read_bytes() for name in names}]


READERS = {
    "printer_cfg": Reader(cfg_samples, settings("printer_cfg")),
    "m503": Reader(m503_samples, settings("m503")),
    "accelerometer": Reader(accelerometer_samples, read_accelerometer),
    "motan": Reader(motan_samples, read_motan_log),
}
ENDINGS = {"printer_cfg": ".cfg", "m503": ".txt", "accelerometer": ".csv"}


def trial(reader: Reader, files: Files, number: int) -> str:
    """Read one sample in this process; return "read" or "refused: …"."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "inner"  # "../*" stays within the trial
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        try:
            reader.read(folder, next(iter(files)), random.Random(number))  # noqa: S311 - no secret
        except TrajerrError as error:
            if not 0 < len(str(error)) < LONGEST_LINE or "\n" in str(error):
                raise ValueError(f"not one line: {in_short(repr(error))}") from error
            return f"refused: {str(error).replace(str(folder), '')}"
    return "read"


def apart(reader: Reader, files: Files, number: int) -> str:
    """Run a trial in a process of its own; return its outcome, or "failed: …"."""
    inlet, outlet = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(inlet)
        began = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (began + BYTES, began + BYTES))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of a processor, however many share it
        signal.alarm(SLOWEST * SECONDS)
        try:
            outcome = trial(reader, files, number)
        except BaseException:  # noqa: BLE001 - what is looked for
            outcome = f"failed: {traceback.format_exc()}"
        os.write(outlet, in_short(outcome).encode("utf-8", "replace"))
        os._exit(0)
    os.close(outlet)
    with os.fdopen(inlet, "rb") as pipe:
        outcome = pipe.read().decode("utf-8", "replace")
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        killed = os.WTERMSIG(status)
        outcome = f"failed: {signal.Signals(killed).name}"
    return outcome or "failed: without a word"


def in_short(text: str) -> str:
    """Return a text's begin and end."""
    return text if len(text) < 1500 else f"{text[:500]} … {text[-1000:]}"


def main() -> None:
    """Fuzz one of the readers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--minutes", type=float, default=8.0, help="how long")
    parser.add_argument("--seed", type=int, default=0, help="number of the first trial")
    parser.add_argument("--only", type=int, help="one trial, in this process")
    parser.add_argument("--samples", type=Path, help="a folder of further samples")
    parser.add_argument("--keep", type=Path, help="a folder for what failed")
    given = parser.parse_args()
    warnings.simplefilter("error")
    kind, reader = given.reader, READERS[given.reader]
    samples = reader.samples()
    for place, files in enumerate(samples):
        print(f"sample {place}: {trial(reader, files, 0)[:200]}", flush=True)
    if given.samples and kind in ENDINGS:
        found = sorted(given.samples.rglob(f"*{ENDINGS[kind]}"))
        samples += [{next(iter(samples[0])): path.read_bytes()} for path in found]

    def files_of(number: int) -> Files:
        rng = random.Random(number)  # noqa: S311 - no secret
        return mutated(rng.choice(samples), kind, rng)

    if given.only is not None:
        print(trial(reader, files_of(given.only), given.only))
        return
    ends, number, counts = time.monotonic() + 60.0 * given.minutes, given.seed, Counter[str]()
    while time.monotonic() < ends:
        files = files_of(number)
        outcome = apart(reader, files, number)
        counts[outcome.partition(":")[0]] += 1
        if outcome.startswith("failed"):
            print(f"trial {number} {outcome}", file=sys.stderr, flush=True)
            for name, data in files.items() if given.keep else ():
                path = given.keep / f"{kind}-{number}" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        number += 1
    print(f"{counts.total()} trials from {given.seed}: {dict(counts)}")
    sys.exit(bool(counts["failed"]))


if __name__ == "__main__":
    main()
