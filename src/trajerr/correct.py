"""``python -m trajerr.correct``: G-code and bundle in, compensated G-code and proof out."""

from rich.console import Console

from trajerr.commands.building import allowed_classes, build, pick
from trajerr.commands.entry import Config, command
from trajerr.correction.pieces import EmissionSettings
from trajerr.correction.run import CorrectionRun, Prepared
from trajerr.correction.settings import CorrectionSettings, feature_numbers
from trajerr.refining.settings import Round
from trajerr.reports import correction_report


@command("correct")
def main(config: Config) -> None:
    """Correct the file and show, on the simulated printer, what that brings."""
    run, console, rounds = _run(config), Console(), list[Round]()
    prepared = run.prepare(build(config["printer"], "printer") if config.get("printer") else None)
    correction_report.show_notes(prepared.notes, console)
    if run.rounds > 0:
        prepared, rounds = _refine(prepared, config, console)
    with console.status(f"Correcting {prepared.program.name}"):
        done = prepared.correct()
    correction_report.show_correction(run.target, done, run.settings.least_improvement, console)
    correction_report.show_board_load(done, run.settings.emission.rate_hz, console)
    if run.report and done.text is not None:
        correction_report.show_replay(prepared, done, rounds, config, console)


def _run(config: Config) -> CorrectionRun:
    settings = pick(
        CorrectionSettings,
        config,
        feature_types=feature_numbers(config["feature_types"]),
        layers=None,
        learning=build(config["learning"], "learning", threads=config["threads"]),
        emission=pick(EmissionSettings, config),
    )
    return pick(CorrectionRun, config, rounds=config["refine"]["rounds"], settings=settings)


def _refine(prepared: Prepared, config: Config, console: Console) -> tuple[Prepared, list[Round]]:
    from trajerr.refining.refine import refined  # brings torch

    path = prepared.run.report_folder / "refined.ckpt"
    settings = build(config["refine"], "refine")
    with correction_report.refinement_status(console) as tell:
        better, rounds = refined(prepared, settings, path, tell, allowed_classes(config))
    correction_report.show_refinement(rounds, path, console)
    return better, rounds


if __name__ == "__main__":
    main()
