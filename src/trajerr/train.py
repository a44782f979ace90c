"""``python -m trajerr.train``: prepared splits → checkpoints and a TensorBoard log."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig

from trajerr.checks import as_names, require_one_of
from trajerr.commands.building import build
from trajerr.commands.entry import Config, command

if TYPE_CHECKING:
    from trajerr.training.datamodule import PrinterDataModule
    from trajerr.training.run import Outcome


@command("train")
def main(config: Config) -> float | list[float]:
    """Train a model; return what a search minimises."""
    from trajerr.training.run import train  # takes seconds, which --help does without
    from trajerr.training.settings import TrainSettings

    hydra, data = HydraConfig.get(), build(config["data"], "data")
    settings = TrainSettings.from_dict(config)
    outcome = train(settings, data, Path(hydra.runtime.output_dir), _judge(hydra.sweeper))
    values = [_objective(name, outcome, data) for name in as_names(settings.objective)]
    return values[0] if len(values) == 1 else values


def _judge(sweeper: DictConfig) -> Any:  # noqa: ANN401 - imported where a search runs only
    """Return what ends hopeless trials of a search; None where there is no search."""
    if sweeper.get("trial_id") is None or sweeper.get("pruner") is None:
        return None
    from trajerr.sweeping.pruning import pruning_judge

    return pruning_judge(sweeper, instantiate(sweeper.pruner))


def _objective(name: str, outcome: "Outcome", data: "PrinterDataModule") -> float:
    """Return a metric of a finished training, or measure it."""
    from trajerr.evaluation.timing import step_latency_us, window_latency_ms
    from trajerr.training.checkpoint import load_checkpoint

    latencies = {"window_ms": window_latency_ms, "step_us": step_latency_us}
    known = {**outcome.metrics, "parameters": outcome.parameters, "seconds": outcome.seconds}
    if name in known:
        return float(known[name])
    require_one_of("objective", name, [*known, *latencies])
    sample = data.open_split("val").sequences[0].features[: data.sequence_length]
    network: Any = load_checkpoint(outcome.best).network
    return latencies[name](network, sample)


if __name__ == "__main__":
    main()
