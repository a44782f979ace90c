"""Run a network over a split: windows as it was trained, whole layers as it is deployed.

A window starts anywhere in a layer and knows nothing of what came before; a whole layer is
streamed from its lead-in on, as a print enters it, with the network's memory carried along.
Knows tensors and networks, not error measures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from trajerr.arrays import Bools, Floats, Ints
from trajerr.dataset.store import Sequence as LayerSequence
from trajerr.dataset.store import Split
from trajerr.dataset.windows import window_starts
from trajerr.errors import DataError
from trajerr.metrics.errors import moving_axes
from trajerr.models.devices import CPU
from trajerr.motion.features import FEATURES

Singles = NDArray[np.float32]

BATCH = 256  # windows at once
CHUNK = 1024  # samples that a stream takes at once, its state carried to the next
STREAMS = 32  # sequences at once


class Network(Protocol):
    """What evaluation asks of a network; those with a memory also have the last three."""

    context_length: int  # samples that a prediction can depend on

    def __call__(self, features: Tensor) -> Tensor:
        """Return the error [B, T, 2] mm of raw features [B, T, 15], from rest."""

    def initial_state(self, batch: int) -> Any:  # noqa: ANN401 - each network has its own
        """Return the memory at rest."""

    def step(self, state: Any, sample: Tensor) -> tuple[Tensor, Any]:  # noqa: ANN401
        """Return the error [B, 2] mm of one more sample [B, 15], and the memory after it."""

    def stream(self, features: Tensor, state: Any) -> tuple[Tensor, Any]:  # noqa: ANN401
        """Return the error [B, T, 2] mm of the next T samples, and the memory after them."""


@dataclass(frozen=True)
class Layers:
    """The sequences of a split laid end to end without their lead-ins: P samples of S sequences."""

    sequence: Ints  # (P,) which sequence
    time: Floats  # (P,) s
    position: Singles  # (P, 2) commanded, mm
    velocity: Singles  # (P, 2) commanded, mm/s
    feature: NDArray[np.uint8]  # (P,) FeatureType
    extruding: Bools  # (P,)
    travel: Bools  # (P,)
    target: Singles  # (P, 2) true tracking error, mm
    part: NDArray[np.str_]  # (S,)
    layer: Ints  # (S,)
    variant: NDArray[np.str_]  # (S,)
    kind: NDArray[np.str_]  # (S,)
    source: NDArray[np.str_]  # (S,) file that each sequence came from
    context: Ints  # (S,) samples of each one's lead-in, which are none of the P
    sample_rate: float  # Hz

    def __len__(self) -> int:
        return len(self.sequence)

    @property
    def axes(self) -> list[int]:
        """Columns of ``target`` that hold an error: overall metrics are of these."""
        return moving_axes(self.target)

    @property
    def spans(self) -> list[slice]:
        """S slices, one a sequence."""
        edges = np.searchsorted(self.sequence, np.arange(len(self.part) + 1))
        return [slice(int(a), int(b)) for a, b in pairwise(edges)]

    @property
    def cluster(self) -> Ints:
        """(P,) number of each sample's (part, layer): all variants of a layer are one."""
        pairs = np.array([f"{p}\0{n}" for p, n in zip(self.part, self.layer, strict=True)])
        return np.asarray(np.unique(pairs, return_inverse=True)[1][self.sequence], dtype=np.int64)

    @property
    def drawn(self) -> Bools:
        """(P,) which samples a picture of the path shows: the printed ones, if any are."""
        return self.extruding if np.any(self.extruding) else np.ones_like(self.extruding)

    def label(self, index: int) -> str:
        """Return what a person calls one sequence."""
        return f"{self.part[index]}, layer {self.layer[index]}, {self.variant[index]}"


@dataclass(frozen=True)
class Windows:
    """Where W windows of ``length`` samples begin in the sequences laid end to end."""

    sequence: Ints  # (W,)
    start: Ints  # (W,) first sample within the sequence
    row: Ints  # (W,) first sample within all of them
    length: int

    def cut(self, samples: NDArray[np.float32]) -> Singles:
        """Return the (W, length, C) windows of (P, C) samples."""
        windows: Singles = samples[self.row[:, np.newaxis] + np.arange(self.length)]
        return windows


@dataclass(frozen=True)
class Prediction:
    """What one network says about a split, mm."""

    windows: Singles  # (W, T, 2)
    layers: Singles  # (P, 2)


def lay_out(split: Split) -> Layers:
    """Lay the sequences of a split end to end, without their lead-ins."""
    sequences = [s.trimmed() for s in split.sequences]

    def joined(name: str) -> NDArray[np.generic]:
        return np.concatenate([getattr(s, name).numpy() for s in sequences])

    def named(key: str) -> NDArray[np.str_]:
        return np.array([str(s.metadata.get(key, "")) for s in sequences])

    features = joined("features")
    return Layers(
        sequence=np.repeat(np.arange(len(sequences)), [len(s) for s in sequences]),
        time=joined("time").astype(np.float64),
        position=features[:, _columns("x", "y")].astype(np.float32),
        velocity=features[:, _columns("vx", "vy")].astype(np.float32),
        feature=joined("feature").astype(np.uint8),
        extruding=joined("extruding").astype(np.bool_),
        travel=joined("travel").astype(np.bool_),
        target=joined("targets").astype(np.float32),
        part=named("part"),
        layer=np.array([int(s.metadata.get("layer", 0)) for s in sequences]),
        variant=named("variant"),
        kind=named("kind"),
        source=named("source"),
        context=np.array([s.context for s in split.sequences]),
        sample_rate=split.stats.sample_rate_hz,
    )


def cut_windows(split: Split, stride: int | None = None, burn_in: int = 0) -> Windows:
    """Find the windows of a split, at its own length and ``stride`` (the split's by default).

    Parameters
    ----------
    split
        Of a prepared folder.
    stride
        Samples between windows.
    burn_in
        Samples at a window's head that are to be left out. Where they would be more than half
        of it, windows are twice as long as that, as far as there are sequences so long.

    Raises
    ------
    DataError
        No sequence is long enough for a window.
    """
    lengths = [len(s) - s.context for s in split.sequences]
    own = split.stats.sequence_length
    length, mend = max(own, 2 * burn_in), "prepare with a smaller sequence_length"
    if burn_in >= own:
        mend = f"give burn_in below {own} (the training's is {burn_in})"
    elif max(lengths) < length:
        length = own
    found = window_starts(lengths, length, stride or split.stats.stride).numpy()
    if not len(found):
        raise DataError(
            f"split {split.name}: no sequence has the {length} samples of a window "
            f"(the longest has {max(lengths)}); {mend}"
        )
    first = np.cumsum(lengths) - lengths
    return Windows(found[:, 0], found[:, 1], first[found[:, 0]] + found[:, 1], length)


def predict(
    network: Network, split: Split, windows: Windows, device: torch.device = CPU
) -> Prediction:
    """Predict a split both ways: all windows, and all layers streamed.

    Parameters
    ----------
    network
        In eval mode, on ``device``.
    split, windows
        What to predict.
    device
        Where it is computed; what is returned is in the processor's memory.

    Raises
    ------
    DataError
        The network's output is not finite.
    """
    found = Prediction(
        windows=predict_windows(network, split.sequences, windows, device=device),
        layers=np.concatenate(predict_sequences(network, split, device)),
    )
    if not (np.isfinite(found.windows).all() and np.isfinite(found.layers).all()):
        raise DataError(
            "the network predicts NaN or infinity, expected mm; its training diverged: "
            "train again with a smaller model.optimizer.lr"
        )
    return found


@torch.inference_mode()
def predict_windows(
    network: Network,
    sequences: Sequence[LayerSequence],
    windows: Windows,
    batch_size: int = BATCH,
    device: torch.device = CPU,
) -> Singles:
    """Predict each window from nothing but itself; none begins in a lead-in.

    Returns
    -------
    numpy.ndarray : (W, T, 2)
        mm.
    """
    features = torch.cat([s.trimmed().features for s in sequences])
    rows = torch.from_numpy(windows.row)
    offsets = torch.arange(windows.length)
    batches = [
        network(features[b[:, None] + offsets].to(device)).cpu()
        for b in torch.split(rows, batch_size)
    ]
    return np.asarray(torch.cat(batches).numpy(), dtype=np.float32)


@torch.inference_mode()
def predict_sequences(network: Network, split: Split, device: torch.device = CPU) -> list[Singles]:
    """Predict each sequence as deployed: from its lead-in to its end, memory carried along.

    Returns
    -------
    list of numpy.ndarray
        (N_i, 2) mm, of what comes after the lead-in.
    """
    sequences = split.sequences
    by_length = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    found: dict[int, Singles] = {}
    for at in range(0, len(by_length), STREAMS):
        together = by_length[at : at + STREAMS]
        # Networks are causal: what stands behind a sequence's end does not change it.
        padded = pad_sequence([sequences[i].features for i in together], batch_first=True)
        predicted = predict_streams(network, padded.to(device)).cpu().numpy()
        found |= {
            i: predicted[k, sequences[i].context : len(sequences[i])]
            for k, i in enumerate(together)
        }
    return [found[i] for i in range(len(sequences))]


def predict_streams(network: Network, features: Tensor, chunk: int = CHUNK) -> Tensor:
    """Predict B sequences at once, as a deployed network does.

    A network with a memory takes ``chunk`` samples at a time and carries its state on; one
    without sees the ``context_length`` samples that its prediction can depend on.

    Parameters
    ----------
    network
        In eval mode.
    features : (B, N, 15)
        Raw, on the network's device.
    chunk
        Samples.

    Returns
    -------
    torch.Tensor : (B, N, 2)
        mm.
    """
    pieces = []
    if hasattr(network, "stream"):
        state = network.initial_state(len(features))
        for piece in torch.split(features, chunk, dim=1):
            error, state = network.stream(piece, state)
            pieces.append(error)
    else:
        history = network.context_length - 1
        for start in range(0, features.shape[1], chunk):
            seen = features[:, max(0, start - history) : start + chunk]
            pieces.append(network(seen)[:, min(start, history) :])
    return torch.cat(pieces, dim=1)


def _columns(*names: str) -> list[int]:
    return [FEATURES.index(name) for name in names]
