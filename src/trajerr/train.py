"""``python -m trajerr.train``: prepared splits → checkpoints and a TensorBoard log."""

from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig

from trajerr.commands.building import build
from trajerr.commands.entry import Config, command
from trajerr.commands.repeating import command_of_this_run, folder_of_this_run


@command("train")
def main(config: Config) -> float | list[float] | None:
    """Train a model; return what a search minimises."""
    from trajerr.evaluation.objectives import objectives  # takes seconds; not for --help
    from trajerr.training.processes import started_by
    from trajerr.training.run import train
    from trajerr.training.settings import TrainSettings

    hydra, data = HydraConfig.get(), build(config["data"], "data")
    settings = TrainSettings.from_dict(config)
    with started_by(partial(command_of_this_run, "trajerr.train"), folder_of_this_run()):
        outcome = train(settings, data, Path(hydra.runtime.output_dir), _judge(hydra.sweeper))
    if outcome.objective is None and hydra.sweeper.get("trial_id") is None:
        return None  # without validation, and in no search
    values = objectives(settings, outcome, data)
    return values[0] if len(values) == 1 else values


def _judge(sweeper: DictConfig) -> Any:  # noqa: ANN401 - imported where a search runs only
    """Return what ends hopeless trials of a search; None where there is no search."""
    if sweeper.get("trial_id") is None or sweeper.get("pruner") is None:
        return None
    from trajerr.sweeping.pruning import pruning_judge

    return pruning_judge(sweeper, instantiate(sweeper.pruner))


if __name__ == "__main__":
    main()
