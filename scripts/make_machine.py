"""From recordings of a print to a bundle of the machine that printed it, and a page about it.

    python scripts/make_machine.py NAME=mine GCODE=part.gcode X=hotend.csv [Y=bed.csv] \
        [REFERENCE=frame.csv] [PRINTER=ender3_v2] [PRETRAINED=best.ckpt] \
        [SIMULATED="layers=sampled:10"] [BESIDE=0.3] [UNTIL=calibrate] [key=value ...]

Calibrates, simulates the calibrated printer on the embedded parts, transfers a network to that
and then to the recordings, evaluates and exports; all under machines/NAME. SIMULATED are
overrides of collect, BESIDE is the share of simulated layers beside the recorded ones, UNTIL the
last stage to do: calibrate, collect, train or export. Further overrides go to both trainings.
What is done is not done again as long as files and options are the same; what was interrupted
goes on.
"""

import hashlib
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trajerr.commands.machine_recipe import (
    MORE_MOTION,
    RecordedMachine,
    collected,
    export,
    judge,
)
from trajerr.commands.quoting import stated

KEYS = (
    *("NAME", "GCODE", "X", "Y", "REFERENCE", "PRINTER", "PRETRAINED"),
    *("SIMULATED", "BESIDE", "UNTIL"),
)
FILES = ("GCODE", "X", "Y", "REFERENCE", "PRETRAINED")
LIKE = "ender3_v2"  # the shipped printer that gives what is not measured, where none is named
UNTIL = ("calibrate", "collect", "train", "export")
PRINTERS = Path("conf") / "printer"
FOUND = {  # values of a calibration: name and factor on the page
    "natural_freq_hz": ("natural frequency / Hz", 1.0),
    "damping_ratio": ("damping ratio", 1.0),
    "friction_mm_s2": ("friction over mass / mm s⁻²", 1.0),
    "viscous_per_s": ("viscous friction over mass / s⁻¹", 1.0),
    "delay_s": ("later than the other axis / ms", 1e3),
    "second_frequency_hz": ("second mode: frequency / Hz", 1.0),
    "second_damping_ratio": ("second mode: damping ratio", 1.0),
    "second_mass_share": ("second mode: share of the mass", 1.0),
}
BASELINES = {"zero": "no error", "fir": "least squares", "physics": "the calibrated printer"}
INTERRUPTED = 130  # exit code
DONE, BEGUN = "done.json", "begun.json"  # of a stage: what it was made from


@dataclass(frozen=True)
class Stage:
    """One command, and what is left of it when it was done."""

    name: str
    command: str
    folder: str  # of its log and its marks, below the machine's
    arguments: list[str]
    # In place of the arguments, where last.ckpt says how far it came.
    resumed: list[str] = field(default_factory=list)


def main() -> None:
    """Run the stages in order; stop at the first that fails, with its exit code."""
    given, overrides = options(sys.argv[1:])
    run = Path("machines") / given["NAME"]
    planned = chosen(list(stages(run, given, overrides)), given["UNTIL"])
    made_from = ""
    for number, stage in enumerate(planned, start=1):
        print(f"\n=== {number} of {len(planned)}: {stage.name} ===", flush=True)
        made_from = stamp(stage, given, made_from)
        perform(run, stage, made_from)
    page = run / "machine.md"
    page.write_text(summary(run, given), encoding="utf-8")
    print(f"\n{page.read_text(encoding='utf-8')}\nThis page is {page}")


def options(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return what was named, empty where it was not, and the overrides."""
    pairs = [word.partition("=") for word in words]
    given = dict.fromkeys(KEYS, "") | {key: value for key, _, value in pairs if key in KEYS}
    for key in ("NAME", "GCODE", "X"):
        if not given[key]:
            sys.exit(f"{key}: not given, expected {key}=VALUE; {__doc__}")
    if not given["NAME"].replace("_", "").replace("-", "").isalnum():
        sys.exit(f"NAME: got {given['NAME']}, expected letters, digits, _ and -")
    for key in FILES:
        if given[key] and not Path(given[key]).is_file():
            sys.exit(f"{key}: got {given[key]}, expected a file")
    if given["X"] == given["Y"]:
        sys.exit(f"Y: got {given['Y']} as X, expected another file, or none for one sensor")
    given["PRINTER"] = given["PRINTER"] or LIKE
    given["SIMULATED"] = given["SIMULATED"] or MORE_MOTION
    given["UNTIL"] = given["UNTIL"] or UNTIL[-1]
    if given["UNTIL"] not in UNTIL:
        sys.exit(f"UNTIL: got {given['UNTIL']}, expected one of {', '.join(UNTIL)}")
    refuse_other_printer(given)
    return given, [word for word in words if word.partition("=")[0] not in KEYS]


def refuse_other_printer(given: dict[str, str]) -> None:
    """Refuse a name whose config is not one that an earlier run of this name has written."""
    name, own = given["NAME"], PRINTERS / f"{given['NAME']}.yaml"
    if name == given["PRINTER"]:
        sys.exit(f"NAME: got {name}, which is PRINTER, expected a name for the calibrated printer")
    if own.is_file() and not (Path("machines") / name / "calibrate" / BEGUN).is_file():
        sys.exit(f"NAME: got {name}, but {own} is another printer's, expected a new name")


def chosen(planned: list[Stage], until: str) -> list[Stage]:
    """Return the stages up to the last one of a command."""
    last = max(index for index, stage in enumerate(planned) if stage.command == until)
    return planned[: last + 1]


def stages(run: Path, given: dict[str, str], overrides: list[str]) -> Iterator[Stage]:
    """Yield each stage; every path but the printer's config lies under ``run``."""
    sensors = {key.lower(): given[key] for key in ("X", "Y", "REFERENCE") if given[key]}
    machine = RecordedMachine(given["NAME"], given["PRINTER"], given["GCODE"], sensors)
    simulated, layers = f"{run / 'simulated'}", f"{run / 'simulated_layers'}"
    recorded, learnt = f"{run / 'recorded_layers'}", str(best(run, "recorded"))
    yield Stage(
        "what the recordings say of the machine",
        "calibrate",
        "calibrate",
        [*machine.calibrate(f"{run / 'calibration'}"), "overwrite=true"],
    )
    yield Stage(
        "the calibrated printer, simulated",
        "collect",
        "collect",
        machine.collect(simulated, shlex.split(given["SIMULATED"])),
    )
    made = [collected(simulated), stated("output_dir", layers)]
    yield Stage("its layers", "prepare", "prepare_simulated", made)
    yield Stage("the recorded layers", "prepare", "prepare_recorded", machine.prepare(recorded))
    yield training(run, "simulated", given["PRETRAINED"], overrides)
    beside = [stated("data.beside", layers), f"data.beside_share={given['BESIDE']}"]
    more = [*beside, *overrides] if given["BESIDE"] else overrides
    yield training(run, "recorded", str(best(run, "simulated")), more)
    yield Stage(
        "judged on layers that it was not trained on",
        "evaluate",
        "evaluate",
        judge(learnt, recorded, f"{run / 'evaluation'}"),
    )
    yield Stage("the bundle", "export", "export", export(learnt, f"{run / 'bundle'}"))


def training(run: Path, kind: str, pretrained: str, overrides: list[str]) -> Stage:
    """Return a transfer to one kind of layers, or a training from nothing."""
    common = [stated("data.root", f"{run / f'{kind}_layers'}"), *overrides]
    transfer = ["experiment=transfer"] if pretrained else []
    begun = [*transfer, stated("pretrained", pretrained)] if pretrained else []
    last = best(run, kind).with_name("last.ckpt")
    return Stage(
        f"a network of the {kind} machine",
        "train",
        f"train_{kind}",
        [*begun, *common],
        [*transfer, stated("resume", str(last)), *common],
    )


def best(run: Path, kind: str) -> Path:
    """Return the checkpoint of a training that is done."""
    return run / f"train_{kind}" / "checkpoints" / "best.ckpt"


def stamp(stage: Stage, given: dict[str, str], before: str) -> str:
    """Return what a stage is made from: its command, the files that it names, what came before."""
    files = [Path(given[key]) for key in FILES if given[key] and named_in(stage, given[key])]
    if f"printer={given['PRINTER']}" in stage.arguments:
        files += filter(Path.is_file, [PRINTERS / f"{given['PRINTER']}.yaml"])
    contents = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    earlier = hashlib.sha256(before.encode()).hexdigest()
    return json.dumps([stage.command, stage.arguments, contents, earlier])


def named_in(stage: Stage, file: str) -> bool:
    """Whether a stage's arguments name a file."""
    return any(word == stated(word.partition("=")[0], file) for word in stage.arguments)


def perform(run: Path, stage: Stage, made_from: str) -> None:
    """Run a stage that is not done, from where it was interrupted."""
    folder = run / stage.folder
    mark, begun = folder / DONE, folder / BEGUN
    if mark.is_file() and mark.read_text() == made_from:
        print(f"done before; remove {mark} to do it again", flush=True)
        return
    folder.mkdir(parents=True, exist_ok=True)
    is_same = begun.is_file() and begun.read_text() == made_from
    last = folder / "checkpoints" / "last.ckpt"
    arguments = stage.resumed if is_same and stage.resumed and last.is_file() else stage.arguments
    mark.unlink(missing_ok=True)
    begun.write_text(made_from)
    started = time.monotonic()
    command = [sys.executable, "-m", f"trajerr.{stage.command}", *arguments]
    code = ran([*command, f"hydra.run.dir={folder}"])
    if code:
        said = "was interrupted" if code == INTERRUPTED else f"ended with exit code {code}"
        print(f"make_machine: {stage.command} {said}; the same line goes on", file=sys.stderr)
        sys.exit(code)
    mark.write_text(made_from)
    print(f"{stage.name}: {time.monotonic() - started:.0f} s", flush=True)


def ran(command: list[str]) -> int:
    """Return the exit code of a command; Ctrl-C is for it to heed, and it is waited for."""
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the terminal has told the command, too
            continue


def summary(run: Path, given: dict[str, str]) -> str:
    """Return the page: what was found, with intervals, and what it is worth, as far as is done."""
    lines = [
        f"# {given['NAME']}",
        "",
        f"Like {given['PRINTER']}, but for what the recordings of {Path(given['GCODE']).name} say.",
        "",
        *found_lines(json.loads((run / "calibration" / "calibration.json").read_text("utf-8"))),
    ]
    if given["UNTIL"] == UNTIL[-1]:
        recording = json.loads((run / "recorded_layers" / "recording.json").read_text("utf-8"))
        metrics = json.loads((run / "evaluation" / "metrics.json").read_text("utf-8"))
        lines += [*told_lines(recording), *worth_lines(metrics), *proof_lines(run)]
    return "\n".join(lines)


def found_lines(found: dict[str, Any]) -> list[str]:
    """Return what the calibration has found."""
    return [
        "## What was found",
        "",
        "| axis | value | found | 95 % interval |",
        "|---|---|---|---|",
        *(row for axis, values in found["axes"].items() for row in rows(axis, values)),
        "",
    ]


def told_lines(recording: dict[str, Any]) -> list[str]:
    """Return how large the recorded errors are, and how sure."""
    fused = recording["fusion"]
    return [
        "## What the recordings tell",
        "",
        "| axis | error RMS / µm | its uncertainty / µm | sensor above, printer below / Hz |",
        "|---|---|---|---|",
        *(
            f"| {axis} | {fused[axis]['error_rms_um']:.1f} | {fused[axis]['uncertainty_um']:.1f} "
            f"| {fused[axis]['crossover_hz']:g} |"
            for axis in "xy"
        ),
        "",
        "The error counts what both axes are late by, which the clock hides and no contour shows.",
        "",
    ]


def worth_lines(metrics: dict[str, Any]) -> list[str]:
    """Return how near the network comes to the recorded errors."""
    return [
        "## What it is worth",
        "",
        "On recorded layers that were left out of training, and chose its best epoch:",
        "",
        "| | R² | MAE / µm | RMSE / µm |",
        "|---|---|---|---|",
        worth("network", metrics["trajectory"]["overall"]),
        *(
            worth(BASELINES.get(name, name), value["trajectory"]["overall"])
            for name, value in metrics.get("baselines", {}).items()
            if "trajectory" in value
        ),
        "",
    ]


def proof_lines(run: Path) -> list[str]:
    """Return what to do with the bundle."""
    return [
        f"The bundle is in `{run / 'bundle'}`. Before you trust it, print a proof and look at it:",
        "",
        "    python -m trajerr.calibrate proof_print=proof.gcode gcode=PART "
        f"bundle={run / 'bundle'}",
        "",
        "Then correct a part:",
        "",
        f"    python -m trajerr.correct gcode=PART bundle={run / 'bundle'}",
        "",
    ]


def rows(axis: str, values: dict[str, Any]) -> Iterator[str]:
    """Yield a line of the table for each value of the machine that was found."""
    for key, (name, factor) in FOUND.items():
        if isinstance(values.get(key), dict):
            value, low, high = (factor * values[key][part] for part in ("value", "low", "high"))
            yield f"| {axis} | {name} | {value:.4g} | {low:.4g} to {high:.4g} |"


def worth(name: str, metrics: dict[str, float]) -> str:
    """Return a line of the table of metrics."""
    mae, rmse = 1e3 * metrics["mae_mm"], 1e3 * metrics["rmse_mm"]
    return f"| {name} | {metrics['r2']:.3f} | {mae:.1f} | {rmse:.1f} |"


if __name__ == "__main__":
    main()
