"""``python -m trajerr.correct``: G-code and bundle in, compensated G-code and proof out."""

from typing import TYPE_CHECKING

from rich.console import Console

from trajerr.commands.building import allowed_classes, build, build_printer
from trajerr.commands.entry import Config, command

if TYPE_CHECKING:
    from trajerr.correction.run import Prepared
    from trajerr.refining.settings import Round


@command("correct")
def main(config: Config) -> None:
    """Correct the file and show, on the simulated printer, what that brings."""
    from trajerr.commands.correcting import correction_run  # takes seconds; not for --help
    from trajerr.reports import correction_report

    run, console = correction_run(config, config["refine"]["rounds"]), Console()
    rounds: list[Round] = []
    prepared = run.prepare(build_printer(config["printer"]) if config.get("printer") else None)
    correction_report.show_notes(prepared.notes, console)
    if run.rounds > 0:
        prepared, rounds = _refine(prepared, config, console)
    comments = correction_report.header_comments(run)
    with correction_report.correction_progress(prepared.program.name, console) as tell:
        done = prepared.correct(comments, tell)
    correction_report.show_correction(run.target, done, run.settings.least_improvement, console)
    correction_report.show_board_load(done, prepared.rate_hz, console)
    if run.report and done.text is not None:
        correction_report.show_replay(prepared, done, rounds, config, console)


def _refine(
    prepared: "Prepared", config: Config, console: Console
) -> tuple["Prepared", list["Round"]]:
    from trajerr.refining.refine import refined  # brings torch
    from trajerr.reports import correction_report

    path = prepared.run.report_folder / "refined.ckpt"
    settings = build(config["refine"], "refine")
    with correction_report.refinement_status(console) as tell:
        better, rounds = refined(prepared, settings, path, tell, allowed_classes(config))
    correction_report.show_refinement(rounds, path, console)
    return better, rounds


if __name__ == "__main__":
    main()
