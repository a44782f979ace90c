"""Predict sample by sample, as a controller would; NumPy and ONNX Runtime, no torch."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import ArrayLike, NDArray

from trajerr.arrays import Floats32
from trajerr.bundle.sessions import CPU
from trajerr.errors import DataError
from trajerr.motion.features import FEATURES, FeatureStream


class StreamingPredictor:
    """The error at each new commanded position, with the model's state carried on.

    One instance follows one machine; it is not shared between threads.
    """

    def __init__(self, session: onnxruntime.InferenceSession, sample_rate_hz: float) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._session = session
        self._features = FeatureStream(sample_rate_hz)
        self._sample, *state = _zeros(session.get_inputs())
        self._error_x, self._error_y, *after = _zeros(session.get_outputs())
        self._states = (state, after)  # read in turns: what one step writes the next one reads
        # Bound once, memory on the processor saves a tenth of a step; elsewhere ONNX Runtime
        # copies an input when it is bound, so it has to be given anew each time.
        on_cpu = tuple(session.get_providers()) == CPU
        self._bindings = [self._bind(turn) for turn in (0, 1)] if on_cpu else None
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next sample starts from rest."""
        self._features.reset()
        self._turn = 0
        for tensor in self._states[0]:
            tensor.fill(0.0)

    def update(self, xyz: ArrayLike) -> tuple[float, float]:
        """Take the next commanded position, (3,) mm; return its error x, y in mm.

        Raises
        ------
        DataError
            The position is not three finite numbers; the state stays as it was.
        """
        position = np.asarray(xyz, dtype=np.float64)
        if position.shape != (3,) or not all(map(math.isfinite, position.tolist())):
            raise DataError(f"position is {position.tolist()}, expected three finite numbers in mm")
        return self._advance(self._features.update(position))

    def update_features(self, features: ArrayLike) -> tuple[float, float]:
        """Take the next sample's (15,) features; return its error x, y in mm.

        Raises
        ------
        DataError
            Not 15 finite numbers; the state stays as it was.
        """
        row = np.asarray(features, dtype=np.float32)
        if row.shape != (len(FEATURES),) or not all(map(math.isfinite, row.tolist())):
            raise DataError(f"a sample has shape {row.shape}, expected 15 finite numbers")
        return self._advance(row)

    def _advance(self, row: NDArray[np.floating]) -> tuple[float, float]:
        self._sample[0] = row
        if self._bindings is None:
            self._feed()
        else:
            self._session.run_with_iobinding(self._bindings[self._turn])
        self._turn = 1 - self._turn
        return self._error_x.item(), self._error_y.item()

    def _tensors(self, turn: int) -> tuple[list[Floats32], list[Floats32]]:
        """Return what a step reads and what it writes, in the graph's order."""
        before, after = self._states[turn], self._states[1 - turn]
        return [self._sample, *before], [self._error_x, self._error_y, *after]

    def _bind(self, turn: int) -> Any:  # noqa: ANN401 - onnxruntime ships no types
        """Tie the graph's inputs and outputs to our memory for every other step."""
        binding, (read, written) = self._session.io_binding(), self._tensors(turn)
        for node, tensor in zip(self._session.get_inputs(), read, strict=True):
            binding.bind_input(node.name, *_where(tensor))
        for node, tensor in zip(self._session.get_outputs(), written, strict=True):
            binding.bind_output(node.name, *_where(tensor))
        return binding

    def _feed(self) -> None:
        """Run one step on copies."""
        read, written = self._tensors(self._turn)
        names = (node.name for node in self._session.get_inputs())
        results = self._session.run(None, dict(zip(names, read, strict=True)))
        for tensor, result in zip(written, results, strict=True):
            tensor[...] = result


def _zeros(nodes: Sequence[Any]) -> list[Floats32]:
    return [np.zeros(node.shape, np.float32) for node in nodes]


def _where(tensor: Floats32) -> tuple[str, int, type, tuple[int, ...], int]:
    """Return a tensor's place as ONNX Runtime wants it told."""
    return "cpu", 0, np.float32, tensor.shape, tensor.ctypes.data
