"""``python -m trajerr.calibrate``: measurements of a machine → its printer config."""

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from trajerr.building import build
from trajerr.entry import command


@command("calibrate")
def main(cfg: DictConfig) -> None:
    """Calibrate a printer from the configured files."""
    config = OmegaConf.to_container(cfg.calibration, resolve=True)
    build(config, "calibration").run(Console())


if __name__ == "__main__":
    main()
