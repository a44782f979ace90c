"""Networks as files that others run: TorchScript, a ``torch.export`` program, ONNX, int8 ONNX.

Knows torch's exporters and what they say about themselves; nothing of checkpoints or bundles.
Each writer returns what reads its file back and predicts with it.
"""

import copy
import io
import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from trajerr.arrays import Floats32
from trajerr.errors import BundleError, in_one_line
from trajerr.motion.features import FEATURES

EXAMPLE_BATCH = 3  # that exporters see; 1 they would freeze
EXAMPLE_TIME = 96  # at least
OPSET = 20

Predict = Callable[[Floats32], Floats32]  # (B, T, 15) raw features to (B, T, 2) mm

# What the exporters say that nobody can act on: logger and beginning of the message.
_SILENCED_LOGS = {
    "torch.onnx._internal.exporter._registration": "torchvision is not installed",
    "torch._export.serde.serialize": "Unsure how to serialize the given empty list",
    "onnxscript.optimizer._constant_folding": "Skipping constant folding",
    "root": "Please consider to run pre-processing before quantization",
}
_SILENCED_WARNINGS = (
    # TorchScript is deprecated upstream, yet the format that older hosts load.
    (r"`torch\.jit\.\w+` is deprecated", DeprecationWarning),
    # torch copies its own tree specifications in a way that it deprecates.
    (r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning),
)


class _Pair(nn.Module):
    """The network with its two errors apart, as ONNX returns them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_features: Tensor) -> tuple[Tensor, Tensor]:
        error = self.network(input_features)
        return error[..., 0], error[..., 1]


class _Guided(nn.Module):
    """The network, its equation solved beforehand, with its two errors apart."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_features: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        guided: Callable[..., Tensor] = self.network.guided  # type: ignore[assignment]
        error = guided(input_features, states)
        return error[..., 0], error[..., 1]


class _Named(nn.Module):
    """The network with its two errors by name, as Python callers like them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_features: Tensor) -> dict[str, Tensor]:
        error = self.network(input_features)
        return {"error_x": error[..., 0], "error_y": error[..., 1]}


class _Step(nn.Module):
    """One sample and the state in, error and state out; batch 1, as one machine needs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, sample: Tensor, state: list[Tensor]) -> tuple[Tensor, ...]:
        step: Callable[..., tuple[Tensor, list[Tensor]]] = self.network.step  # type: ignore[assignment]
        error, state = step(state, sample)
        return error[..., 0], error[..., 1], *state


def write_torchscript(network: nn.Module, path: Path) -> Predict:
    """Script the network; its dict of errors has the keys ``error_x`` and ``error_y``."""
    with _exporting(path):
        memory = io.BytesIO()  # torch's own writer ends the process where the disk is full
        torch.jit.save(torch.jit.script(_frozen(_Named(network))), memory)
        path.write_bytes(memory.getvalue())
        return _torch_predict(torch.jit.load(path))  # type: ignore[no-untyped-call]


def write_pt2(network: nn.Module, path: Path) -> Predict:
    """Write a ``torch.export`` program with dynamic batch and time."""
    with _exporting(path):
        program = torch.export.export(
            _frozen(_Named(network)), (_example(network),), dynamic_shapes=_dynamic()
        )
        memory = io.BytesIO()
        torch.export.save(program, memory)
        path.write_bytes(memory.getvalue())
        return _torch_predict(torch.export.load(path).module())


def write_onnx(network: nn.Module, path: Path) -> Predict:
    """Write the ONNX graph with dynamic batch and time."""
    with _exporting(path):
        _write_graph(
            path,
            _frozen(_Pair(network)),
            (_example(network),),
            input_names=["input_features"],
            output_names=["error_x", "error_y"],
            dynamic_shapes=_dynamic(),
        )
    return onnx_predict(path)


def write_guided(network: nn.Module, path: Path) -> None:
    """Write the ONNX graph of features and the states [T, 2, B, 2] of the equation solved."""
    example = _example(network)
    states = torch.zeros(example.shape[1], 2, example.shape[0], 2)
    follows = torch.export.Dim.AUTO  # what the features say
    with _exporting(path):
        _write_graph(
            path,
            _frozen(_Guided(network)),
            (example, states),
            input_names=["input_features", "states"],
            output_names=["error_x", "error_y"],
            dynamic_shapes={**_dynamic(), "states": {0: follows, 2: follows}},
        )


def write_step(network: nn.Module, path: Path) -> None:
    """Write the ONNX graph of one sample with explicit state, which starts at zero.

    Raises
    ------
    BundleError
        The network's state at rest is not zero, or it cannot be exported.
    """
    state = [tensor.clone() for tensor in state_at_rest(network)]  # apart, or they become one
    if any(bool(tensor.any()) for tensor in state):
        raise BundleError(f"{path.name}: the network's state at rest is not zero, as it must be")
    names = [f"state_{index}" for index in range(len(state))]
    with _exporting(path):
        _write_graph(
            path,
            _frozen(_Step(network)),
            (torch.zeros(1, len(FEATURES)), state),
            input_names=["sample", *names],
            output_names=["error_x", "error_y", *(f"next_{name}" for name in names)],
        )


def state_at_rest(network: nn.Module) -> list[Tensor]:
    """Return the state of one stream before its first sample."""
    initial: Callable[[int], list[Tensor]] = network.initial_state  # type: ignore[assignment]
    return initial(1)


def write_quantized(source: Path, path: Path) -> Predict:
    """Write an ONNX graph with int8 weights; activations are quantised as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _exporting(path):
        quantize_dynamic(source, path, weight_type=QuantType.QInt8)
    return onnx_predict(path)


def onnx_predict(path: Path) -> Predict:
    """Return what predicts with an ONNX graph."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def predict(windows: Floats32) -> Floats32:
        return np.stack(session.run(["error_x", "error_y"], {"input_features": windows}), axis=-1)

    return predict


def _torch_predict(module: Callable[[Tensor], dict[str, Tensor]]) -> Predict:
    def predict(windows: Floats32) -> Floats32:
        with torch.inference_mode():
            errors = module(torch.from_numpy(windows))
        return np.stack([errors["error_x"].numpy(), errors["error_y"].numpy()], axis=-1)

    return predict


def _frozen(module: nn.Module) -> nn.Module:
    """Return a copy for inference only; exporters mind gradients."""
    return copy.deepcopy(module).eval().requires_grad_(False)


def _example(network: nn.Module) -> Tensor:
    """Return features whose time is whole blocks of attention, three at least.

    From any other length the exporters infer conditions that not every length fulfils.
    """
    block = int(getattr(network, "attention_context", 1))
    time = block * max(3, math.ceil(EXAMPLE_TIME / block))
    return torch.zeros(EXAMPLE_BATCH, time, len(FEATURES))


def _dynamic() -> dict[str, dict[int, Any]]:
    return {"input_features": {0: torch.export.Dim("batch"), 1: torch.export.Dim("time")}}


def _write_graph(
    path: Path,
    module: nn.Module,
    example: tuple[Any, ...],
    **named: Any,  # noqa: ANN401 - of torch's exporter: names and dynamic shapes
) -> None:
    """Export a module to ONNX and save the graph."""
    program = torch.onnx.export(
        module, example, dynamo=True, opset_version=OPSET, verbose=False, **named
    )
    _save(program, path)


def _save(program: "torch.onnx.ONNXProgram | None", path: Path) -> None:
    """Save a graph, constants folded whatever their size, without paths of this machine."""
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass
    from onnxscript import optimizer

    if program is None:
        raise BundleError(f"{path.name}: the exporter returned no graph")
    whole = 1 << 30
    optimizer.optimize(program.model, input_size_limit=whole, output_size_limit=whole)
    ClearMetadataAndDocStringPass()(program.model)
    program.save(str(path), external_data=False)


@contextmanager
def _exporting(path: Path) -> Iterator[None]:
    """Silence what is known to be idle talk; turn an exporter's failure into one line.

    Raises
    ------
    BundleError
        The block failed.
    """
    filters = [
        (logging.getLogger(None if name == "root" else name), _Silence(begin))
        for name, begin in _SILENCED_LOGS.items()
    ]
    disabled = logging.root.manager.disable
    logging.disable(max(disabled, logging.INFO))  # Hydra lets every library report at INFO
    for logger, silence in filters:
        logger.addFilter(silence)
    try:
        with warnings.catch_warnings():
            for message, category in _SILENCED_WARNINGS:
                warnings.filterwarnings("ignore", message, category)
            yield
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        reason = in_one_line(error)[:300]
        raise BundleError(f"{path.name}: cannot be exported: {reason}") from error
    finally:
        logging.disable(disabled)
        for logger, silence in filters:
            logger.removeFilter(silence)


class _Silence(logging.Filter):
    """Drops the messages that begin with one text."""

    def __init__(self, begin: str) -> None:
        super().__init__()
        self.begin = begin

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(self.begin)
