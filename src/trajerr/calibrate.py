"""``python -m trajerr.calibrate``: measurements of a machine → its printer config."""

from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console

from trajerr.entry import command


@command("calibrate")
def main(cfg: DictConfig) -> None:
    """Calibrate a printer from the configured files."""
    instantiate(cfg.calibration, _convert_="all").run(Console())


if __name__ == "__main__":
    main()
