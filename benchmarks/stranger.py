"""What a correction is worth on machines that trajerr's simulator cannot express.

    python benchmarks/stranger.py [--machines 5] [--seed 0] [--layers 2] [--minutes 4]
                                  [--methods twin,network,machine] [--checkpoint BEST.ckpt]
                                  [--out results/stranger] [--anew] [override …]

Each machine is drawn at random within the ranges of ``foreign/machine.py`` (two masses an axis,
bristle friction, backlash, a drive that lags, ripple of unknown phase, a frame that sways). It
prints four minutes of parts A (layers of tugboat and boat), each layer as sliced and three times as
fast (``--speeds``: accelerations go with the square), logged at 1 kHz with a noise of 1 µm; every
second print but the first holds the small random motion of ``calibrate excitation_print``
(``--plain``: none does).
From that log the printer is calibrated; the network is transferred to that printer, simulated on
layers of the embedded parts, and then to the log. Parts B (other layers of nautilus and bearing,
and of a helix where its file is at hand), which were never recorded, are corrected with the
calibrated printer as model (``twin``), with the transferred network (``network``), and with the
machine itself as model (``machine``), which bounds what any model can bring. The corrected files
are planned anew and printed on the machine at its own natural frequencies, and 10 % below and
above. Beside them: input shapers at the calibrated frequencies.

With ``sensor=accelerometer`` the same machines are known as their owners know them: by what two
accelerometers recorded of four minutes of one print of parts A, an excitation print too, and by
``make machine``, which calibrates the printer from that and makes the network. A first table says
how near the errors come that sensors and calibrated printer tell together, without and with a
reference sensor on the frame; ``make machine`` has none.

What is there already is kept, so that an interrupted benchmark goes on; ``--anew`` corrects and
judges again, with the logs, calibrations and networks that are there. The table goes to stdout
and to ``<out>/stranger.md``, all numbers to ``<out>/stranger.json``. Without ``--checkpoint`` the
newest that ``make pipeline`` or ``trajerr.train`` has left is taken.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from foreign.by_log import PositionLog
from foreign.by_sensor import OwnersFiles
from foreign.machine import draw
from foreign.parts import MOST_LAYERS, PARTS, present
from foreign.table import reconstruction_table, table
from foreign.trial import METHODS, NETWORK, Trial
from foreign.work import ACCELEROMETER, AS_SLICED, LOG, Plan, Stages
from measuring.arguments import count, from_zero, positive

from trajerr.errors import TrajerrError
from trajerr.files import write_atomically
from trajerr.shipped import shipped
from trajerr.test_prints.excitation import Excitation

SENSOR = f"sensor={ACCELEROMETER}"
GCODE = Path(__file__).resolve().parents[2] / "shared" / "data" / "gcode"


def pipeline_checkpoint() -> Path:
    """Return the checkpoint of the newest pipeline, or else of the newest training."""
    from trajerr.training.checkpoint import find_best_checkpoint  # brings torch

    found = Path("runs").glob("*/train/checkpoints/best.ckpt")
    newest = max(found, key=lambda path: path.stat().st_mtime, default=None)
    return find_best_checkpoint() if newest is None else newest


def planned(arguments: argparse.Namespace) -> Plan:
    """Return what is to be done with every machine."""
    methods = _names(arguments.methods, METHODS, "--methods")
    names = _names(arguments.parts, [part.name for part in PARTS], "--parts")
    parts = present(names, arguments.gcode)
    if not parts:
        sys.exit(f"--parts: got {arguments.parts}, expected one at hand in {arguments.gcode}")
    absent = sorted(set(names) - {part.name for part in parts})
    if absent:
        tell(f"left out: {', '.join(absent)}, not in {arguments.gcode}")
    rate, pretrained, model = float(shipped("correct")["sample_rate_hz"]), None, None
    if NETWORK in methods:
        from trajerr.training.checkpoint import load_checkpoint  # brings torch

        pretrained = Path(arguments.checkpoint or pipeline_checkpoint()).resolve()
        loaded = load_checkpoint(pretrained)
        rate, model = loaded.sample_rate_hz, str(loaded.network_config["name"])
    return Plan(
        sensor=ACCELEROMETER if SENSOR in arguments.extra else LOG,
        minutes=arguments.minutes,
        speeds=_speeds(arguments),
        excitation=excitation(arguments),
        parts=parts,
        layers=arguments.layers,
        methods=methods,
        sample_rate_hz=rate,
        pretrained=pretrained,
        model=model,
        training=[given for given in arguments.extra if given != SENSOR],
        threads=arguments.threads,
        gcode=arguments.gcode,
    )


def excitation(arguments: argparse.Namespace) -> Excitation | None:
    """Return what half of the recorded layers hold beside: as shipped, unless ``--plain``."""
    if arguments.plain:
        return None
    given = shipped("calibrate")["excitation"]
    return Excitation(**{key: value for key, value in given.items() if key != "_target_"})


def _speeds(arguments: argparse.Namespace) -> tuple[float, ...]:
    speeds: tuple[float, ...] = arguments.speeds or (1.0, 3.0)
    if SENSOR not in arguments.extra:
        return speeds
    if arguments.speeds:
        sys.exit(f"--speeds: not for {SENSOR}, whose print is as sliced")
    return AS_SLICED


def speeds(text: str) -> tuple[float, ...]:
    """Read numbers between commas."""
    return tuple(positive(word) for word in text.split(","))


def _names(text: str, known: Sequence[str], option: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in known:
            sys.exit(f"{option}: got {name}, expected some of {', '.join(known)}")
    return [name for name in known if name in names]


def tell(text: str) -> None:
    """Tell of progress, beside the table."""
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def options() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machines", type=count, default=5, help="how many (5)")
    parser.add_argument("--seed", type=from_zero, default=0, help="of the machines (0)")
    parser.add_argument("--first", type=from_zero, default=0, help="number of the first (0)")
    parser.add_argument(
        "--layers",
        type=count,
        choices=range(1, MOST_LAYERS + 1),
        default=2,
        help="of each part; of the helix, whose layers are short, eight for each (2)",
    )
    parser.add_argument("--minutes", type=positive, default=4.0, help="of recording (4)")
    parser.add_argument(
        "--speeds", type=speeds, help="times as fast as sliced that a log is recorded at (1,3)"
    )
    parser.add_argument("--plain", action="store_true", help="record prints as sliced alone")
    parser.add_argument("--methods", default=",".join(METHODS), help="all three unless named")
    parser.add_argument(
        "--parts", default=",".join(part.name for part in PARTS), help="parts B (all)"
    )
    parser.add_argument("--checkpoint", help="that the network comes from")
    parser.add_argument("--gcode", type=Path, default=GCODE, help="folder of the helix's file")
    parser.add_argument("--out", type=Path, default=Path("results/stranger"), help="folder")
    parser.add_argument(
        "--anew", action="store_true", help="correct and judge again, by the same networks"
    )
    parser.add_argument("--threads", type=count, default=2, help="of a correction (2)")
    parser.add_argument("extra", nargs="*", help="overrides for the transfer's training")
    return parser


def measure(arguments: argparse.Namespace) -> str:
    """Return the tables of all machines; write them and the numbers whenever one is done."""
    plan, results, out = planned(arguments), [], arguments.out.resolve()
    text = ""
    for number in range(arguments.first, arguments.first + arguments.machines):
        results.append(_result(number, plan, arguments))
        text = table(results, plan.methods)
        tell(text.splitlines()[1 + len(results)])
        if plan.sensor == ACCELEROMETER:
            found = [result["reconstruction"] for result in results]
            text = f"{reconstruction_table(found)}\n\n{text}"
        write_atomically(out / "stranger.md", (text + "\n").encode())
        write_atomically(out / "stranger.json", (json.dumps(results, indent=2) + "\n").encode())
    return text


def _result(number: int, plan: Plan, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what came of one machine."""
    machine = draw(arguments.seed, number)
    stages = Stages(arguments.out.resolve() / machine.name, machine.name, tell)
    if plan.sensor == LOG:
        trial = Trial(machine, plan, stages, PositionLog(machine, plan, stages))
        return _tried(trial, arguments)
    owners = OwnersFiles(machine, plan, stages)
    trial = Trial(machine, plan, stages, owners)
    result = _tried(trial, arguments)
    return {**result, "reconstruction": owners.reconstruction(trial.printer)}


def _tried(trial: Trial, arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.anew:
        trial.forget_corrections()
    return trial.results()


def main() -> None:
    """Measure and print the table."""
    try:
        print(measure(options().parse_intermixed_args()))
    except TrajerrError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
