"""``python -m trajerr.calibrate``: measurements of a machine → its printer config.

And what has to be run on a machine to measure it.
"""

from pathlib import Path

from rich.console import Console

from trajerr.commands.building import build_printer, pick
from trajerr.commands.calibrating import RUN, asked_for
from trajerr.commands.entry import Config, command


@command("calibrate")
def main(config: Config) -> None:
    """Calibrate a printer from the configured files, or write what is needed for that."""
    asked, console = asked_for(config), Console()
    if asked in ("printer_cfg", "m503", "ringing"):
        _make_printer(asked, config, console)
    elif asked in RUN:
        _write_gcode(asked, config, console)
    elif asked == "proof_print":
        _write_proof(config, console)
    else:
        from trajerr.calibration.run import CalibrationRun  # takes seconds, not for --help
        from trajerr.reports.calibration_report import write_calibration

        run = pick(CalibrationRun, config, base=build_printer(config["printer"]))
        write_calibration(run, run.calibrate(), console)


def _make_printer(asked: str, config: Config, console: Console) -> None:
    from trajerr.calibration.made_printer import MachineFile, RingingTest
    from trajerr.reports.made_files import write_printer

    base = build_printer(config["printer"])
    kind: type[MachineFile | RingingTest] = RingingTest if asked == "ringing" else MachineFile
    run = pick(kind, config, base=base)
    write_printer(run, run.make(), console)


def _write_gcode(asked: str, config: Config, console: Console) -> None:
    from trajerr.commands.calibrating import gcode_to_run
    from trajerr.reports.made_files import write_gcode

    write_gcode(Path(config[asked]), gcode_to_run(asked, config), console)


def _write_proof(config: Config, console: Console) -> None:
    from trajerr.commands.calibrating import proof_run
    from trajerr.reports.made_files import show_proof
    from trajerr.test_prints.proof import write_proof

    show_proof(write_proof(proof_run(config)), console)


if __name__ == "__main__":
    main()
