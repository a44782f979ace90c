"""``python -m trajerr.evaluate``: judge checkpoints on a split of prepared data."""

from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from trajerr.commands.building import build
from trajerr.commands.entry import command
from trajerr.evaluation.assess import EvaluateSettings, assess
from trajerr.reports.evaluation_report import write_evaluation


@command("evaluate")
def main(cfg: DictConfig) -> None:
    """Evaluate the configured checkpoints and write their metrics."""
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    settings: EvaluateSettings = build(config["settings"], "settings")
    write_evaluation(settings, *assess(settings, config), Console())


if __name__ == "__main__":
    main()
