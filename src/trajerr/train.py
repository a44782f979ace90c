"""``python -m trajerr.train``: prepared splits → checkpoints and a TensorBoard log."""

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig

from trajerr.checks import as_names
from trajerr.commands.building import build
from trajerr.commands.entry import Config, command
from trajerr.errors import ConfigError
from trajerr.evaluation.timing import step_latency_us, window_latency_ms
from trajerr.training.checkpoint import load_checkpoint
from trajerr.training.datamodule import PrinterDataModule
from trajerr.training.run import Outcome, train
from trajerr.training.settings import TrainSettings

LATENCIES = {"window_ms": window_latency_ms, "step_us": step_latency_us}


@command("train")
def main(config: Config) -> float | list[float]:
    """Train a model; return what a search minimises."""
    hydra, data = HydraConfig.get(), build(config["data"], "data")
    settings = TrainSettings.from_dict(config)
    outcome = train(settings, data, Path(hydra.runtime.output_dir), _judge(hydra.sweeper))
    values = [_objective(name, outcome, settings, data) for name in as_names(settings.objective)]
    return values[0] if len(values) == 1 else values


def _judge(sweeper: DictConfig) -> Any:  # noqa: ANN401 - imported where a search runs only
    """Return what ends hopeless trials of a search; None where there is no search."""
    if sweeper.get("trial_id") is None or sweeper.get("pruner") is None:
        return None
    from trajerr.sweeping.pruning import pruning_judge

    return pruning_judge(sweeper, instantiate(sweeper.pruner))


def _objective(
    name: str, outcome: Outcome, settings: TrainSettings, data: PrinterDataModule
) -> float:
    """Return a metric of a finished training, or measure it."""
    parameters, seconds = float(outcome.parameters), outcome.seconds
    known = {**outcome.metrics, "parameters": parameters, "seconds": seconds}
    if name in known:
        return known[name]
    if name not in LATENCIES or outcome.best is None:
        expected = ", ".join([*known, *LATENCIES])
        raise ConfigError(f"objective: got {name}, expected one of {expected}")
    sample = data.open_split("val").sequences[0].features[: data.sequence_length]
    network: Any = load_checkpoint(outcome.best, settings.allowed).network
    return LATENCIES[name](network, sample)


if __name__ == "__main__":
    main()
