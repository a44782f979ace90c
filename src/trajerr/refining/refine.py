"""Refine a network on its own corrections, until it predicts what the plant does.

A correction leads the machine where training never was: that is where the network is wrong,
and the iteration finds it. So some layers are corrected, simulated, learned from together
with what the network was trained on, and corrected again.
"""

import copy
import io
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from trajerr.arrays import Floats
from trajerr.bundle.machine import LearntMachine
from trajerr.correction.compensate import correct
from trajerr.correction.error_models import known_hz
from trajerr.correction.original import Original
from trajerr.correction.run import Prepared
from trajerr.correction.scope import Scope
from trajerr.correction.settings import CorrectionSettings
from trajerr.dataset.store import open_split
from trajerr.dynamics.layer import SimulatedLayer, simulate_layer
from trajerr.errors import ConfigError
from trajerr.files import write_atomically
from trajerr.gcode.reader import parse_program
from trajerr.metrics.closed_loop import UNCORRECTED, Replay
from trajerr.models.losses import trajectory_mae
from trajerr.motion.features import HISTORY, compute_features
from trajerr.motion.lead_in import LayerMotion
from trajerr.motion.planner import Plan
from trajerr.refining.settings import RefineSettings, Round
from trajerr.training.checkpoint import (
    NETWORK_PREFIX,
    Loaded,
    find_best_checkpoint,
    load_checkpoint,
    read_checkpoint,
)

Stretch = tuple[Tensor, Tensor]  # (T, 15) features and (T, 2) errors in mm, float32
UM = 1000.0


@dataclass(frozen=True)
class TorchModel:
    """A network in memory as an error model."""

    network: nn.Module
    sample_rate_hz: float
    band_hz: float

    @classmethod
    def of(cls, network: nn.Module, loaded: Loaded) -> Self:
        """Return a network like a loaded one, which learned from the same data."""
        return cls(network, loaded.sample_rate_hz, known_hz(loaded.stats))

    def errors(self, features: Floats) -> Floats:
        """Return the (B, T, 2) error in mm for (B, T, 15) features of B trajectories."""
        with torch.inference_mode():
            error = self.network(torch.from_numpy(features.astype(np.float32)))
        return np.asarray(error.numpy(), dtype=np.float64)


def refined(
    prepared: Prepared,
    settings: RefineSettings,
    path: Path,
    tell: Callable[[Round], None],
    allowed: Collection[str] = (),
) -> tuple[Prepared, list[Round]]:
    """Refine the network of a prepared correction, and keep it as a checkpoint.

    Parameters
    ----------
    prepared
        What will be corrected.
    settings
        Which checkpoint, and how.
    path
        Where the refined checkpoint goes.
    tell
        Called after each round.
    allowed
        Classes of the user's own that the checkpoint may name.

    Returns
    -------
    tuple
        The same correction by the refined network, and all rounds.

    Raises
    ------
    DataError
        If the checkpoint or its data cannot be used.
    ConfigError
        If the checkpoint has learnt the motion of another machine.
    """
    loaded = load_checkpoint(settings.checkpoint or find_best_checkpoint(settings.outputs), allowed)
    if not prepared.run.other_machine:
        learnt = LearntMachine.of(loaded.printer, loaded.stats)
        learnt.require_that_of(prepared.printer, f"{loaded.path}")
    root = Path(settings.data_root) if settings.data_root else None
    network, rounds = refine(
        prepared.scope.original, loaded, prepared.settings, settings, root, tell
    )
    save_refined(path, loaded, network)
    return prepared.with_network(TorchModel.of(network, loaded)), rounds


def refine(
    original: Original,
    loaded: Loaded,
    correction: CorrectionSettings,
    settings: RefineSettings,
    data_root: Path | None,
    report: Callable[[Round], None],
) -> tuple[nn.Module, list[Round]]:
    """Refine a network on corrections of some layers of a program.

    Parameters
    ----------
    original
        What will be printed; its printer simulates what was corrected.
    loaded
        The network, which is left as it is, and what it was made from.
    correction
        How to correct; of its layers some are taken.
    settings
        Rounds and training.
    data_root
        The prepared folder that the network was trained on; ``None``: nothing is replayed.
    report
        Called after each round.

    Returns
    -------
    tuple
        The network of the round that the plant liked best, and all rounds.
    """
    rate = loaded.sample_rate_hz
    network = copy.deepcopy(loaded.network)
    program, printer, nominal = original.program, original.printer, original.planned
    layers = _spread(correction.layers or nominal.layers.tolist(), settings.layers)
    chosen = replace(correction, layers=layers, least_improvement=-np.inf)
    lead = min(loaded.burn_in, settings.window - 1)  # what the loss leaves out of a window
    known = _trained_on(data_root, rate, lead) if data_root is not None else []

    def printed(planned: Plan, layer: int) -> SimulatedLayer:
        motion, seed = LayerMotion.of(planned, layer), settings.seed + 1000 + layer
        return simulate_layer(printer, motion, rate, seed=seed)

    def simulated_layers(planned: Plan) -> list[Stretch]:
        return [_stretch(printed(planned, layer), lead) for layer in layers]

    fresh = simulated_layers(nominal)
    scope, rounds = Scope.of(original, chosen), list[Round]()
    best = network
    loss: float | None = None
    for number in range(settings.rounds + 1):
        done = correct(scope, TorchModel.of(network, loaded), chosen)
        again = parse_program(done.text or b"", program.name, program.firmware)
        replay = Replay(
            program,
            {"inverse": again},
            printer,
            layers,
            chosen.feature_types,
            planned={UNCORRECTED: nominal},
        )
        predicted = UM * float(np.sqrt(np.mean(np.square(done.predicted_after_mm))))
        simulated = replay.errors("inverse").wall_contour_rms_um
        before = replay.errors(UNCORRECTED).wall_contour_rms_um
        rounds.append(Round(number, predicted, simulated, before, loss))
        report(rounds[-1])
        if simulated <= min(r.simulated_um for r in rounds):
            best = copy.deepcopy(network)
        if number == settings.rounds or abs(simulated - predicted) < settings.agreement_um:
            break
        fresh += simulated_layers(replay.plans["inverse"])
        loss = _train(network, fresh, known, settings, loaded, number)
    return best, rounds


def save_refined(path: Path, loaded: Loaded, network: nn.Module) -> None:
    """Write a checkpoint like the one it came from, with a refined network's weights."""
    content = dict(read_checkpoint(loaded.path))
    weights = {f"{NETWORK_PREFIX}{k}": v for k, v in network.state_dict().items()}
    content["state_dict"] = {**content["state_dict"], **weights}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue())


def _spread(layers: Collection[int], count: int) -> tuple[int, ...]:
    picked = np.linspace(0, len(layers) - 1, min(count, len(layers))).round().astype(int)
    return tuple(int(sorted(layers)[i]) for i in np.unique(picked))


def _stretch(layer: SimulatedLayer, lead: int) -> Stretch:
    """Return what a network learns from, after no more than ``lead`` samples of the lead-in."""
    commanded = layer.commanded
    features = compute_features(commanded.position, commanded.sample_rate)
    kept = slice(max(HISTORY, layer.context - lead), None)
    return (
        torch.from_numpy(features[kept].astype(np.float32)),
        torch.from_numpy(layer.error[kept].astype(np.float32)),
    )


def _trained_on(root: Path, rate: float, lead: int) -> list[Stretch]:
    kept = [s.trimmed(lead) for s in open_split(root, "train", sample_rate=rate).sequences]
    return [(s.features, s.targets) for s in kept]


def _train(
    network: nn.Module,
    fresh: Sequence[Stretch],
    known: Sequence[Stretch],
    settings: RefineSettings,
    loaded: Loaded,
    number: int,
) -> float:
    """Train a network in place on windows of both; return the mean loss of the last tenth."""
    source = np.random.default_rng([settings.seed, number])
    scale = torch.tensor(loaded.stats["target_std"], dtype=torch.float32)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    old = round(settings.replay * settings.batch) if known else 0
    losses = []
    network.train()
    for _ in range(settings.steps):
        picked = _windows(fresh, settings.batch - old, settings.window, source)
        if old:
            picked += _windows(known, old, settings.window, source)
        features, target = (torch.stack(parts) for parts in zip(*picked, strict=True))
        loss = trajectory_mae(network(features), target, scale, loaded.burn_in)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    network.eval()
    return float(np.mean(losses[-max(1, len(losses) // 10) :]))


def _windows(
    stretches: Sequence[Stretch], count: int, length: int, source: np.random.Generator
) -> list[Stretch]:
    """Draw windows anywhere in stretches that are long enough, longer ones more often."""
    room = np.array([max(len(features) - length, 0) for features, _ in stretches], dtype=float)
    if not room.any():
        raise ConfigError(f"refine window: got {length} samples, longer than every layer")
    result = []
    for i in source.choice(len(stretches), size=count, p=room / room.sum()):
        first = int(source.integers(0, int(room[i]) + 1))
        features, errors = stretches[i]
        result.append((features[first : first + length], errors[first : first + length]))
    return result
