"""From recordings of a print to a bundle of the machine that printed it, and a page about it.

    python scripts/make_machine.py NAME=mine GCODE=part.gcode X=hotend.csv [Y=bed.csv] \
        [REFERENCE=frame.csv] [PRINTER=ender3_v2] [PRETRAINED=best.ckpt] [key=value ...]

Calibrates, simulates the calibrated printer on the embedded parts, transfers a network to that
and then to the recordings, evaluates and exports; all under machines/NAME. Further overrides go
to both trainings. What is done is not done again as long as files and options are the same; what
was interrupted goes on.
"""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KEYS = ("NAME", "GCODE", "X", "Y", "REFERENCE", "PRINTER", "PRETRAINED")
FILES = ("GCODE", "X", "Y", "REFERENCE", "PRETRAINED")
LIKE = "ender3_v2"  # the shipped printer that gives what is not measured, where none is named
SIMULATED = "layers=sampled:8"  # more motion than any recording has


@dataclass(frozen=True)
class Stage:
    """One command, and what is left of it when it was done."""

    name: str
    command: str
    arguments: list[str]
    resumed: list[str]  # in place of the arguments, where last.ckpt says how far it came


def main() -> None:
    """Run the stages in order; stop at the first that fails, with its exit code."""
    given, overrides = options(sys.argv[1:])
    run = Path("machines") / given["NAME"]
    planned = list(stages(run, given, overrides))
    contents = digests(given)
    for number, stage in enumerate(planned, start=1):
        print(f"\n=== {number} of {len(planned)}: {stage.name} ===", flush=True)
        perform(run, stage, stamp(stage, contents))
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
    given["PRINTER"] = given["PRINTER"] or LIKE
    return given, [word for word in words if word.partition("=")[0] not in KEYS]


def stages(run: Path, given: dict[str, str], overrides: list[str]) -> Iterator[Stage]:
    """Yield each stage; every path but the printer's config lies under ``run``."""
    name = given["NAME"]
    sensors = {key.lower(): given[key] for key in ("X", "Y", "REFERENCE") if given[key]}
    yield Stage(
        "what the recordings say of the machine",
        "calibrate",
        [
            f"name={name}",
            f"printer={given['PRINTER']}",
            named("gcode", given["GCODE"]),
            *(named(f"accelerometer.{key}", file) for key, file in sensors.items()),
            f"output_dir={run / 'calibration'}",
            "overwrite=true",
        ],
        [],
    )
    yield Stage(
        "the calibrated printer, simulated",
        "collect",
        [f"printer={name}", SIMULATED, f"out={run / 'simulated'}"],
        [],
    )
    yield Stage(
        "its layers",
        "prepare",
        [
            f"data_dirs=['{run / 'simulated'}/data_simulation_*']",
            f"output_dir={run / 'simulated_layers'}",
        ],
        [],
    )
    yield training(run, "simulated", given["PRETRAINED"], overrides)
    yield Stage(
        "the recorded layers",
        "prepare",
        [
            "log=accelerometer",
            f"printer={name}",
            named("log.gcode", given["GCODE"]),
            *(named(f"log.{key}", file) for key, file in sensors.items()),
            f"output_dir={run / 'recorded_layers'}",
        ],
        [],
    )
    yield training(run, "recorded", str(best(run, "simulated")), overrides)
    yield Stage(
        "judged on layers it never saw",
        "evaluate",
        [
            f"checkpoint={best(run, 'recorded')}",
            f"data.root={run / 'recorded_layers'}",
            f"output_dir={run / 'evaluation'}",
        ],
        [],
    )
    yield Stage(
        "the bundle",
        "export",
        [f"checkpoint={best(run, 'recorded')}", f"output_dir={run / 'bundle'}"],
        [],
    )


def training(run: Path, kind: str, pretrained: str, overrides: list[str]) -> Stage:
    """Return a transfer to one kind of layers, or a training from nothing."""
    common = [f"data.root={run / f'{kind}_layers'}", *overrides]
    transfer = ["experiment=transfer"] if pretrained else []
    begun = [*transfer, named("pretrained", pretrained)] if pretrained else []
    last = best(run, kind).with_name("last.ckpt")
    return Stage(
        f"a network of the {kind} machine",
        "train",
        [*begun, *common],
        [*transfer, f"resume={last}", *common],
    )


def best(run: Path, kind: str) -> Path:
    """Return the checkpoint of a training that is done."""
    return run / f"train_{kind}" / "checkpoints" / "best.ckpt"


def named(key: str, file: str) -> str:
    """Return an override whose value is a file's name, whatever letters it has."""
    escaped = file.replace("\\", "\\\\").replace('"', '\\"')
    return f'{key}="{escaped}"' if file else f"{key}=null"


def digests(given: dict[str, str]) -> list[str]:
    """Return the SHA-256 of each file that was named."""
    named_files = [Path(given[key]) for key in FILES if given[key]]
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in named_files]


def stamp(stage: Stage, contents: list[str]) -> str:
    """Return what a stage was made from: its command, and the files' digests."""
    return json.dumps([stage.command, stage.arguments, contents])


def perform(run: Path, stage: Stage, made_from: str) -> None:
    """Run a stage that is not done, from where it was interrupted."""
    folder = run / folder_of(stage)
    mark, begun = folder / "done.json", folder / "begun.json"
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
    code = subprocess.run([*command, f"hydra.run.dir={folder}"], check=False).returncode
    if code:
        print(f"make_machine: {stage.command} failed; the same line goes on", file=sys.stderr)
        sys.exit(code)
    mark.write_text(made_from)
    print(f"{stage.name}: {time.monotonic() - started:.0f} s", flush=True)


def folder_of(stage: Stage) -> str:
    """Return the folder of a stage's own log: by command, and by kind of layers where two are."""
    if stage.command in ("train", "prepare"):
        is_recorded = any("recorded" in word for word in stage.arguments)
        return f"{stage.command}_{'recorded' if is_recorded else 'simulated'}"
    return stage.command


def summary(run: Path, given: dict[str, str]) -> str:
    """Return the page: what was found, with intervals, and what it is worth."""
    found = json.loads((run / "calibration" / "calibration.json").read_text(encoding="utf-8"))
    metrics = json.loads((run / "evaluation" / "metrics.json").read_text(encoding="utf-8"))
    lines = [
        f"# {given['NAME']}",
        "",
        f"Like {given['PRINTER']}, but for what the recordings of {Path(given['GCODE']).name} say.",
        "",
        "## What was found",
        "",
        "| axis | value | found | 95 % interval |",
        "|---|---|---|---|",
        *(row for axis, values in found["axes"].items() for row in rows(axis, values)),
        "",
        "## What it is worth",
        "",
        "On recorded layers that the network never saw:",
        "",
        "| | R² | MAE / µm | RMSE / µm |",
        "|---|---|---|---|",
        worth("network", metrics["trajectory"]["overall"]),
        *(
            worth(name, value["trajectory"]["overall"])
            for name, value in metrics.get("baselines", {}).items()
            if "trajectory" in value
        ),
        "",
        "The bundle is in `bundle`. Before you trust it, print a proof and look at it:",
        "",
        "    python -m trajerr.calibrate proof_print=proof.gcode gcode=PART "
        f"bundle={run / 'bundle'}",
        "",
    ]
    return "\n".join(lines)


def rows(axis: str, values: dict[str, object]) -> Iterator[str]:
    """Yield a line of the table for each value with an interval."""
    for name, value in values.items():
        if isinstance(value, dict) and {"value", "low", "high"} <= value.keys():
            low, high = value["low"], value["high"]
            yield f"| {axis} | {name} | {value['value']:.4g} | {low:.4g} to {high:.4g} |"


def worth(name: str, metrics: dict[str, float]) -> str:
    """Return a line of the table of metrics."""
    mae, rmse = 1e3 * metrics["mae_mm"], 1e3 * metrics["rmse_mm"]
    return f"| {name} | {metrics['r2']:.3f} | {mae:.1f} | {rmse:.1f} |"


if __name__ == "__main__":
    main()
