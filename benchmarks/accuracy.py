"""How accurate each model is after the same training, on layers it never saw.

    python benchmarks/accuracy.py [--minutes 8 | --epochs 6] [--models base,lstm,…]
                                  [--root data/processed] [--raw data/raw] [--out results/accuracy]

Each model is trained by ``trajerr.train`` for as many epochs as fit the minutes (measured on its
own first epochs; a slow model gets as many windows of one epoch), or for the same epochs. It is
judged by ``trajerr.evaluate``, first on unseen layers, then with a whole part held out. The tables
go to stdout and to ``<out>/accuracy.md``.
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from measuring.commands import run

MODELS = "base,small,lstm,large,hybrid,physics,fir"
CLOSED_FORM = ("fir",)
STRIDE = 64  # samples between the windows that are judged
PROBE_EPOCHS = 2
PROBE_WINDOWS = (80, 240)  # an epoch of the first probes
SLOW = 0.02  # of the budget: a model that takes longer for these does not get to whole epochs


def seconds_an_epoch(out: Path, *overrides: str) -> float:
    """Train for two epochs and return how long the second one took."""
    run("train", *overrides, f"trainer.max_epochs={PROBE_EPOCHS}", f"hydra.run.dir={out}")
    seconds: float = json.loads((out / "train.json").read_text())["epoch_seconds"][-1]
    return seconds


def budget_of(out: Path, seconds: float, *overrides: str) -> list[str]:
    """Return the overrides with which a model trains for so long.

    Whole epochs of the default length where several fit; else one epoch of as many windows,
    by the cost of a window beside the fixed cost of validation.
    """
    few, more = (
        seconds_an_epoch(out / f"{windows}", *overrides, f"data.samples_per_epoch={windows}")
        for windows in PROBE_WINDOWS
    )
    if few < SLOW * seconds:
        epochs = seconds / seconds_an_epoch(out / "whole", *overrides)
        return [f"trainer.max_epochs={max(1, int(epochs))}"]
    if more <= few:
        sys.exit(
            f"{PROBE_WINDOWS[1]} windows took no longer than {PROBE_WINDOWS[0]}: too busy here"
        )
    a_window = (more - few) / (PROBE_WINDOWS[1] - PROBE_WINDOWS[0])
    windows = PROBE_WINDOWS[0] + max(0, int((seconds - few) / a_window))
    return ["trainer.max_epochs=1", f"data.samples_per_epoch={windows}"]


def train(model: str, root: Path, out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train one model for the budget and return what its run says of itself."""
    overrides = [f"model={model}", f"data.root={root}", *arguments.extra]
    if arguments.epochs:
        overrides.append(f"trainer.max_epochs={arguments.epochs}")
    elif model not in CLOSED_FORM:
        overrides += budget_of(out / "probe", arguments.minutes * 60.0, *overrides)
    run("train", *overrides, f"hydra.run.dir={out / 'train'}")
    result: dict[str, Any] = json.loads((out / "train" / "train.json").read_text())
    return result


def evaluate(root: Path, out: Path) -> dict[str, Any]:
    """Evaluate the best checkpoint on the test split."""
    run(
        "evaluate",
        f"checkpoint={out / 'train' / 'checkpoints' / 'best.ckpt'}",
        f"data.root={root}",
        f"output_dir={out / 'evaluation'}",
        f"stride={STRIDE}",
        "visualize=false",
        f"hydra.run.dir={out / 'evaluate_run'}",
    )
    metrics: dict[str, Any] = json.loads((out / "evaluation" / "metrics.json").read_text())
    return metrics


def row(model: str, trained: dict[str, Any], metrics: dict[str, Any]) -> str:
    """Return a line of the table."""
    cells = [model, f"{trained['parameters']:,}", f"{trained['seconds']:.0f}"]
    for part in (metrics["settled"]["overall"], metrics["trajectory"]["overall"]):
        cells += [
            f"{part['mae_mm'] * 1e3:.2f}",
            f"{part['rmse_mm'] * 1e3:.2f}",
            f"{part['r2']:.5f}",
        ]
    return "| " + " | ".join(cells) + " |"


def table(title: str, root: Path, arguments: argparse.Namespace) -> list[str]:
    """Train and judge every model on one prepared folder."""
    lines = [
        f"## {title}",
        "",
        "| model | parameters | s | windows MAE µm | RMSE µm | R² | layers MAE µm | RMSE µm | R² |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    floor = None
    for model in arguments.models.split(","):
        out = Path(arguments.out) / root.name / model
        trained = train(model, root, out, arguments)
        metrics = evaluate(root, out)
        floor = metrics.get("noise_floor_mm")
        lines.append(row(model, trained, metrics))
        print(lines[-1], flush=True)
    known = "" if floor is None else f"; noise floor {floor * 1e3:.2f} µm RMS"
    budget = f"{arguments.epochs} epochs" if arguments.epochs else f"{arguments.minutes:g} min"
    return [*lines, "", f"Budget {budget} a model{known}.", ""]


def main() -> None:
    """Measure on unseen layers and on an unseen part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8.0, help="of training a model")
    parser.add_argument("--epochs", type=int, default=0, help="instead of minutes")
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--root", default="data/processed")
    parser.add_argument("--raw", default="data/raw", help="collection, to hold a part out")
    parser.add_argument("--out", default="results/accuracy")
    parser.add_argument("--skip-part", action="store_true")
    parser.add_argument("extra", nargs="*", help="overrides for trajerr.train")
    arguments = parser.parse_args()
    lines = [f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores", ""]
    lines += table("Unseen layers", Path(arguments.root), arguments)
    if not arguments.skip_part:
        by_part = Path(arguments.out) / "by_part"
        run(
            "prepare",
            f"data_dirs=['{arguments.raw}/data_simulation_*']",
            "split.by=part",
            f"output_dir={by_part}",
        )
        lines += table("A part held out", by_part, arguments)
    text = "\n".join(lines)
    Path(arguments.out).mkdir(parents=True, exist_ok=True)
    (Path(arguments.out) / "accuracy.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
