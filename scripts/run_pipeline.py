"""Run all six stages on the embedded parts under one run folder and print the main metrics.

    python scripts/run_pipeline.py runs/first [key=value ...]

Overrides go to the training stage, e.g. ``model=large`` or ``trainer.max_epochs=5``. Without a
GPU two processes train, where there are two cores; ``trainer=default`` is one.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from trajerr.gcode.parts import part_text

CORRECTED_PART = "nautilus"
CORRECTED_LAYERS = "[13,27,38]"  # none of them is collected: sampled:5 takes 1, 6, 11, …


def main() -> None:
    """Run the stages in order; stop at the first that fails, with its exit code."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    run, overrides = Path(sys.argv[1]), sys.argv[2:]
    run.mkdir(parents=True, exist_ok=True)
    (run / f"{CORRECTED_PART}.gcode").write_bytes(part_text(CORRECTED_PART))
    started = time.monotonic()
    for name, arguments in stages(run, overrides):
        began = time.monotonic()
        print(f"\n=== {name} ===", flush=True)
        command = [sys.executable, "-m", f"trajerr.{name}", *arguments, hydra_dir(run, name)]
        code = subprocess.run(command, check=False).returncode
        if code:
            print(f"pipeline: {name} failed", file=sys.stderr)
            sys.exit(code)
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    print(summary(run, time.monotonic() - started))


def stages(run: Path, overrides: list[str]) -> list[tuple[str, list[str]]]:
    """Return each stage's name and overrides; every path lies under ``run``."""
    raw, processed, bundle = run / "raw", run / "processed", run / "bundle"
    checkpoint = run / "train" / "checkpoints" / "best.ckpt"
    corrected = run / f"{CORRECTED_PART}_corrected.gcode"
    return [
        ("collect", [f"out={raw}"]),
        ("prepare", [f"data_dirs=['{raw}/data_simulation_*']", f"output_dir={processed}"]),
        ("train", [f"data.root={processed}", *trainer(overrides), *overrides]),
        (
            "evaluate",
            [
                f"checkpoint={checkpoint}",
                f"data.root={processed}",
                f"output_dir={run / 'evaluation'}",
                "visualize=true",
                "save_predictions=true",
                "generate_report=true",
            ],
        ),
        ("export", [f"checkpoint={checkpoint}", f"output_dir={bundle}"]),
        (
            "correct",
            [
                f"gcode={run / CORRECTED_PART}.gcode",
                f"bundle={bundle}",
                f"out={corrected}",
                f"layers={CORRECTED_LAYERS}",
            ],
        ),
    ]


def trainer(overrides: list[str]) -> list[str]:
    """Return the preset that trains fastest here, unless the overrides name one."""
    from torch.cuda import is_available  # takes seconds; not for what is said without a run

    named = any(override.startswith("trainer=") for override in overrides)
    alone = (os.cpu_count() or 1) < 2 or is_available()
    return [] if named or alone else ["trainer=cores"]


def hydra_dir(run: Path, name: str) -> str:
    """Return the override that puts a stage's own log and config under the run folder."""
    return f"hydra.run.dir={run / name}"


def summary(run: Path, seconds: float) -> str:
    """Return the run's main metrics as text."""
    metrics = json.loads((run / "evaluation" / "metrics.json").read_text())
    corrections = sorted(run.glob("*_report/correction.json"))
    nominal = json.loads(corrections[0].read_text())["cases"]["nominal"]
    streamed = metrics["trajectory"]["overall"]
    fir = metrics["baselines"]["fir"]["trajectory"]["overall"]
    rows = [
        ("whole layers never seen", "R²", "MAE mm", "RMSE mm"),
        (metrics["model"]["name"], *metrics_row(streamed)),
        ("FIR least squares", *metrics_row(fir)),
    ]
    lines = ["", "=== pipeline ==="]
    lines += [f"{row[0]:<26}{row[1]:>9}{row[2]:>10}{row[3]:>10}" for row in rows]
    lines += ["", f"{'wall contour RMS':<26}{'µm':>9}"]
    lines += [
        f"{case:<26}{values['wall_contour_rms_um']:>9.1f}" for case, values in nominal.items()
    ]
    lines += ["", f"everything is in {run}   ({seconds / 60:.1f} min)"]
    return "\n".join(lines)


def metrics_row(metrics: dict[str, float]) -> tuple[str, str, str]:
    """Return R², MAE and RMSE as text."""
    return f"{metrics['r2']:.4f}", f"{metrics['mae_mm']:.4f}", f"{metrics['rmse_mm']:.4f}"


if __name__ == "__main__":
    main()
