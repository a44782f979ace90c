"""``python -m trajerr.evaluate``: judge checkpoints on a split of prepared data."""

from typing import Any, cast

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from trajerr.entry import command
from trajerr.evaluation.assess import evaluate


@command("evaluate")
def main(cfg: DictConfig) -> None:
    """Evaluate the configured checkpoints and write their figures."""
    settings = instantiate(cfg.settings, _convert_="all")
    config = OmegaConf.to_container(cfg, resolve=True)
    evaluate(settings, cast(dict[str, Any], config), Console())


if __name__ == "__main__":
    main()
