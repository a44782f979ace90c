"""``python -m trajerr.calibrate``: measurements of a machine → its printer config."""

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from trajerr.calibration.run import CalibrationRun
from trajerr.commands.building import build
from trajerr.commands.entry import command
from trajerr.reports.calibration_report import write_calibration


@command("calibrate")
def main(cfg: DictConfig) -> None:
    """Calibrate a printer from the configured files."""
    config = OmegaConf.to_container(cfg.calibration, resolve=True)
    run: CalibrationRun = build(config, "calibration")
    write_calibration(run, run.calibrate(), Console())


if __name__ == "__main__":
    main()
