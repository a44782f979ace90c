"""``python -m trajerr.correct``: G-code and bundle in, compensated G-code and proof out."""

from typing import Any, cast

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from trajerr.entry import command


@command("correct")
def main(cfg: DictConfig) -> None:
    """Correct the file and show, on the simulated printer, what that brings."""
    run = instantiate(cfg.run, _convert_="all")
    printer = instantiate(cfg.printer, _convert_="all") if cfg.get("printer") else None
    config = OmegaConf.to_container(cfg, resolve=True)
    run.run(printer, cast(dict[str, Any], config), Console())


if __name__ == "__main__":
    main()
