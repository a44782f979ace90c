"""``python -m trajerr.evaluate``: judge checkpoints on a split of prepared data."""

from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from trajerr.building import build
from trajerr.entry import command
from trajerr.evaluation.assess import evaluate


@command("evaluate")
def main(cfg: DictConfig) -> None:
    """Evaluate the configured checkpoints and write their figures."""
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    evaluate(build(config["settings"], "settings"), config, Console())


if __name__ == "__main__":
    main()
