"""``python -m trajerr.calibrate``: measurements of a machine → its printer config."""

from rich.console import Console

from trajerr.commands.building import build, pick
from trajerr.commands.entry import Config, command


@command("calibrate")
def main(config: Config) -> None:
    """Calibrate a printer from the configured files."""
    from trajerr.calibration.run import CalibrationRun  # takes seconds, which --help does without
    from trajerr.reports.calibration_report import write_calibration

    run = pick(CalibrationRun, config, base=build(config["printer"], "printer"))
    write_calibration(run, run.calibrate(), Console())


if __name__ == "__main__":
    main()
