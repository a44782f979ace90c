"""``python -m trajerr.correct``: G-code and bundle in, compensated G-code and proof out."""

from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from trajerr.building import build
from trajerr.deploy.run import CorrectionRun, Prepared
from trajerr.entry import command
from trajerr.reports.correction_report import (
    comparison_table,
    refinement_table,
    show_correction,
    write_report,
)


@command("correct")
def main(cfg: DictConfig) -> None:
    """Correct the file and show, on the simulated printer, what that brings."""
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    run: CorrectionRun = build(config["run"], "run")
    console = Console()
    prepared = run.prepare(build(config["printer"], "printer") if config.get("printer") else None)
    for note in prepared.notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
    if run.refinement.rounds > 0:
        prepared = _refine(prepared, console)
    with console.status(f"Correcting {prepared.program.name}"):
        done = prepared.correct()
    show_correction(run.target, done, run.settings.least_improvement, console)
    if not run.report or done.text is None:
        return
    with console.status("Replaying through planner and simulated printer"):
        replay, rounds = prepared.replay(done), prepared.rounds
        figures = write_report(run.report_folder, replay, run.method, done, rounds, config)
    console.print(comparison_table(figures, run.method))
    console.print(f"✓ {run.report_folder}")


def _refine(prepared: Prepared, console: Console) -> Prepared:
    with console.status("Refining on own corrections") as status:
        refined = prepared.refined(
            lambda r: status.update(
                f"Round {r.number}: believed {r.believed_um:.1f}, simulated {r.simulated_um:.1f} µm"
            )
        )
    console.print(refinement_table(refined.rounds))
    console.print(f"✓ {refined.refined_checkpoint}: export it for a bundle that corrects like this")
    return refined


if __name__ == "__main__":
    main()
