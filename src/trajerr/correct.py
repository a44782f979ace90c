"""``python -m trajerr.correct``: G-code and bundle in, compensated G-code and proof out."""

from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from trajerr.building import build
from trajerr.entry import command


@command("correct")
def main(cfg: DictConfig) -> None:
    """Correct the file and show, on the simulated printer, what that brings."""
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    run = build(config["run"], "run")
    printer = build(config["printer"], "printer") if config.get("printer") else None
    run.run(printer, config, Console())


if __name__ == "__main__":
    main()
