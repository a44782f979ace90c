"""What a search minimises: metrics of a finished training, or what is measured on it."""

from typing import Any

from trajerr.checks import as_names
from trajerr.errors import ConfigError
from trajerr.evaluation.timing import step_latency_us, window_latency_ms
from trajerr.training.checkpoint import load_checkpoint
from trajerr.training.datamodule import PrinterDataModule
from trajerr.training.run import Outcome
from trajerr.training.settings import TrainSettings

LATENCIES = {"window_ms": window_latency_ms, "step_us": step_latency_us}


def objectives(settings: TrainSettings, outcome: Outcome, data: PrinterDataModule) -> list[float]:
    """Return the values that ``objective`` names.

    Raises
    ------
    ConfigError
        A name is unknown, or the training has no such metric.
    """
    return [_objective(name, settings, outcome, data) for name in as_names(settings.objective)]


def _objective(
    name: str, settings: TrainSettings, outcome: Outcome, data: PrinterDataModule
) -> float:
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
