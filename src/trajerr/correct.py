"""``python -m trajerr.correct``: G-code and bundle in, compensated G-code and proof out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from trajerr.commands.building import build
from trajerr.commands.entry import command
from trajerr.correction.run import CorrectionRun, Prepared
from trajerr.refining.settings import RefineSettings, Round
from trajerr.reports.correction_report import (
    comparison_table,
    refinement_table,
    show_correction,
    write_report,
)

REFINED = "refined.ckpt"


@command("correct")
def main(cfg: DictConfig) -> None:
    """Correct the file and show, on the simulated printer, what that brings."""
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    run: CorrectionRun = build(config["run"], "run")
    console = Console()
    prepared = run.prepare(build(config["printer"], "printer") if config.get("printer") else None)
    for note in prepared.notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
    rounds: Sequence[Round] = ()
    if run.rounds > 0:
        kept = run.report_folder / REFINED
        prepared, rounds = _refine(prepared, build(config["refine"], "refine"), kept, console)
    with console.status(f"Correcting {prepared.program.name}"):
        done = prepared.correct()
    show_correction(run.target, done, run.settings.least_improvement, console)
    if not run.report or done.text is None:
        return
    with console.status("Replaying through planner and simulated printer"):
        replay = prepared.replay(done)
        report = write_report(run.report_folder, replay, run.method, done, rounds, config)
    console.print(comparison_table(report, run.method))
    console.print(f"✓ {run.report_folder}")


def _refine(
    prepared: Prepared, settings: RefineSettings, path: Path, console: Console
) -> tuple[Prepared, Sequence[Round]]:
    from trajerr.refining.refine import refined  # brings torch

    with console.status("Refining on own corrections") as status:
        better, rounds = refined(
            prepared,
            settings,
            path,
            lambda r: status.update(
                f"Round {r.number}: predicted {r.predicted_um:.1f}, "
                f"simulated {r.simulated_um:.1f} µm"
            ),
        )
    console.print(refinement_table(rounds))
    console.print(f"✓ {path}: export it for a bundle that corrects like this")
    return better, rounds


if __name__ == "__main__":
    main()
