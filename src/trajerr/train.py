"""``python -m trajerr.train``: prepared splits → checkpoints and a TensorBoard log."""

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from trajerr.entry import command
from trajerr.training.run import train


@command("train")
def main(cfg: DictConfig) -> float:
    """Train a model; the least validation loss is what a sweep minimises."""
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    data = instantiate(cfg.data)
    output = Path(HydraConfig.get().runtime.output_dir)
    return train(config, data, output).objective


if __name__ == "__main__":
    main()
