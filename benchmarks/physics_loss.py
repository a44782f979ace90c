"""What the physics loss is worth: the same training at several weights and seeds.

    python benchmarks/physics_loss.py ROOT [--weights 0,0.1,1] [--seeds 0,1,2] [--processes 1]
                                      [--out results/physics_loss] [override of trajerr.train …]

Each training is judged by ``trajerr.evaluate`` on the test layers of the same prepared folder, as
deployed. The table tells what each weight changes of the RMSE that the first one has with the same
seed. It goes to stdout and to ``<out>/physics_loss.md``; what is there is not trained again.
"""

import argparse
import json
import os
import platform
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from measuring.arguments import count
from measuring.commands import run


@dataclass(frozen=True)
class Case:
    """One training."""

    weight: str  # loss.lambda_physics, as it was written
    seed: str
    folder: Path

    def measured(self, root: Path, overrides: Sequence[str]) -> dict[str, float]:
        """Train and evaluate, unless that is done, and return the errors of whole layers."""
        metrics = self.folder / "evaluation" / "metrics.json"
        if not metrics.exists():
            run(
                "train",
                *overrides,
                f"data.root={root}",
                f"loss.lambda_physics={self.weight}",
                f"seed={self.seed}",
                f"hydra.run.dir={self.folder / 'train'}",
            )
            run(
                "evaluate",
                f"checkpoint={self.folder / 'train' / 'checkpoints' / 'best.ckpt'}",
                f"data.root={root}",
                f"output_dir={self.folder / 'evaluation'}",
                "visualize=false",
                "save_predictions=false",
                "generate_report=false",
                f"hydra.run.dir={self.folder / 'evaluate'}",
            )
        overall: dict[str, float] = json.loads(metrics.read_text())["trajectory"]["overall"]
        return overall


def table(weights: Sequence[str], seeds: Sequence[str], found: Sequence[dict[str, float]]) -> str:
    """Return the lines of all cases, weights outermost; the first weight is what others change."""
    lines = [
        f"| `loss.lambda_physics` | RMSE µm, seeds {', '.join(seeds)} | MAE µm | change |",
        "|---|---|---|---|",
    ]
    rows = [found[at : at + len(seeds)] for at in range(0, len(found), len(seeds))]
    for weight, row in zip(weights, rows, strict=True):
        errors = [" ".join(f"{1e3 * one[key]:.2f}" for one in row) for key in ("rmse_mm", "mae_mm")]
        changes = [
            100.0 * (one["rmse_mm"] / plain["rmse_mm"] - 1.0)
            for one, plain in zip(row, rows[0], strict=True)
        ]
        each = ", ".join(f"{change:+.0f}" for change in changes)
        change = "" if row is rows[0] else f"{mean(changes):+.1f} % ({each})"
        lines.append(f"| {weight} | {errors[0]} | {errors[1]} | {change} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train, judge, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="a prepared folder, with test layers")
    parser.add_argument("--weights", default="0,0.1,1", help="of the physics loss")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--processes", type=count, default=1, help="trainings at once")
    parser.add_argument("--out", type=Path, default=Path("results/physics_loss"))
    parser.add_argument("overrides", nargs="*", help="overrides for trajerr.train")
    arguments = parser.parse_intermixed_args()
    weights, seeds = arguments.weights.split(","), arguments.seeds.split(",")
    cases = [
        Case(weight, seed, arguments.out.absolute() / f"lambda_{weight}_seed_{seed}")
        for weight in weights
        for seed in seeds
    ]
    root = arguments.root.absolute()
    with ThreadPoolExecutor(arguments.processes) as pool:
        found = list(pool.map(lambda case: case.measured(root, arguments.overrides), cases))
    text = table(weights, seeds, found)
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    told = f"{root.name}, {machine}\n\n{text}"
    (arguments.out / "physics_loss.md").write_text(told, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
