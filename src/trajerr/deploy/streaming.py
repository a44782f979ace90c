"""Predict sample by sample, as a controller would; NumPy and ONNX Runtime, no torch."""

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import ArrayLike, NDArray

from trajerr.data.features import FEATURES, FeatureStream
from trajerr.errors import DataError


class StreamingPredictor:
    """The error at each new commanded position, with the model's state carried on.

    One instance follows one machine; it is not shared between threads.
    """

    def __init__(self, session: onnxruntime.InferenceSession, sample_rate_hz: float) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._session = session
        self._inputs = [node for node in session.get_inputs() if node.name != "sample"]
        self._outputs = [node.name for node in session.get_outputs()]
        self._features = FeatureStream(sample_rate_hz)
        self.reset()

    def reset(self) -> None:
        """Forget the past: the next sample starts from rest."""
        self._features.reset()
        self._state = {node.name: _zeros(node) for node in self._inputs}

    def update(self, xyz: ArrayLike) -> tuple[float, float]:
        """Take the next commanded position, (3,) mm; return its error x, y in mm.

        Raises
        ------
        DataError
            The position is not three finite numbers; the state stays as it was.
        """
        position = np.asarray(xyz, dtype=np.float64)
        if position.shape != (3,) or not np.isfinite(position).all():
            raise DataError(f"position is {position.tolist()}, expected three finite numbers in mm")
        return self._advance(self._features.update(position).astype(np.float32))

    def update_features(self, features: ArrayLike) -> tuple[float, float]:
        """Take the next sample's (15,) features; return its error x, y in mm.

        Raises
        ------
        DataError
            Not 15 finite numbers; the state stays as it was.
        """
        row = np.asarray(features, dtype=np.float32)
        if row.shape != (len(FEATURES),) or not np.isfinite(row).all():
            raise DataError(f"a sample has shape {row.shape}, expected 15 finite numbers")
        return self._advance(row)

    def _advance(self, row: NDArray[np.float32]) -> tuple[float, float]:
        error_x, error_y, *state = self._session.run(
            self._outputs, {"sample": row[None], **self._state}
        )
        self._state = dict(zip(self._state, state, strict=True))
        return error_x.item(), error_y.item()


def _zeros(node: Any) -> NDArray[Any]:  # noqa: ANN401 - onnxruntime ships no types
    return np.zeros(node.shape, np.float32)
