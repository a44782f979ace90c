"""Predict with a bundle: NumPy and ONNX Runtime, no torch.

Knows the bundle's graphs and their units; nothing of training or of correction.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime
from numpy.typing import ArrayLike, NDArray

from trajerr.data.features import FEATURES, FeatureStream, compute_features
from trajerr.deploy.bundle import ONNX, ONNX_INT8, ONNX_STEP, Bundle, open_bundle
from trajerr.errors import BundleError, DataError
from trajerr.gcode.reader import read_program
from trajerr.motion.limits import MachineLimits
from trajerr.motion.planner import Plan, plan
from trajerr.motion.sampling import sample

Floats32 = NDArray[np.float32]

LEAD_IN_S = 1.0  # motion before a layer that lets the model's memory settle


@dataclass(frozen=True)
class LayerPrediction:
    """The predicted error along one layer; N rows."""

    layer: int  # 1 is the first layer
    time: NDArray[np.float64]  # (N,) s since the print's first move
    commanded: NDArray[np.float64]  # (N, 3) mm
    error_x: NDArray[np.float64]  # (N,) mm, actual − commanded
    error_y: NDArray[np.float64]  # (N,) mm


class Predictor:
    """A loaded bundle; safe to call from several threads at once.

    Parameters
    ----------
    bundle
        A verified bundle.
    threads
        Threads within one prediction; 1 is fastest for single windows.
    providers
        ONNX Runtime's execution providers, in order of preference.
    quantized
        Use the int8 graph, where the bundle has one.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int = 1,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        quantized: bool = False,
    ) -> None:
        if bundle.feature_names != FEATURES:
            raise BundleError(
                f"{bundle.folder}: its features are {', '.join(bundle.feature_names)}; "
                f"this trajerr computes {', '.join(FEATURES)}"
            )
        self.bundle = bundle
        self._threads = threads
        self._providers = list(providers)
        name = ONNX_INT8 if quantized else ONNX
        self._session = _open_session(bundle.path(name), threads, self._providers)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        threads: int = 1,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        quantized: bool = False,
    ) -> Self:
        """Open, verify and load a bundle.

        Raises
        ------
        BundleError
            The folder is no usable bundle, or its graph does not load.
        """
        return cls(open_bundle(folder), threads=threads, providers=providers, quantized=quantized)

    @property
    def sample_rate_hz(self) -> float:
        """Samples per second that features have to have."""
        return self.bundle.sample_rate_hz

    def predict(
        self, features: ArrayLike, sample_rate_hz: float | None = None
    ) -> dict[str, Floats32]:
        """Predict the error of one or many windows.

        Parameters
        ----------
        features
            (T, 15) or (B, T, 15) raw features, in the order and units of ``FEATURES``.
        sample_rate_hz
            Their rate, checked against the model's when given.

        Returns
        -------
        dict[str, NDArray[np.float32]]
            ``error_x`` and ``error_y``, (T,) or (B, T) mm.

        Raises
        ------
        DataError
            Another shape, another sample rate, or values that are not finite.
        """
        windows = self._checked(features, sample_rate_hz)
        single = windows.ndim == 2
        batch = windows[None] if single else windows
        error_x, error_y = self._session.run(["error_x", "error_y"], {"input_features": batch})
        if single:
            error_x, error_y = error_x[0], error_y[0]
        return {"error_x": error_x, "error_y": error_y}

    def predict_gcode(
        self, path: str | Path, layers: Iterable[int] | None = None
    ) -> Iterator[LayerPrediction]:
        """Plan a G-code file with the bundle's printer and predict it layer by layer.

        Raises
        ------
        GcodeError
            The file cannot be used.
        DataError
            It has no such layer.
        """
        planned = plan(read_program(Path(path)), self._limits())
        have = [int(layer) for layer in planned.layers]
        for layer in have if layers is None else layers:
            if layer not in have:
                raise DataError(f"{path}: no layer {layer}, it has {have[0]} to {have[-1]}")
            yield self.predict_layer(planned, layer)

    def predict_layer(self, planned: Plan, layer: int) -> LayerPrediction:
        """Predict one layer of a plan, entered as the print enters it."""
        rate = self.sample_rate_hz
        start, stop = planned.layer_span(layer)
        lead_in = sample(planned, rate, max(0.0, start - LEAD_IN_S), stop)
        skip = int(np.searchsorted(lead_in.time, start - 1e-9))
        error = self.predict(compute_features(lead_in.position, rate))
        return LayerPrediction(
            layer=layer,
            time=lead_in.time[skip:],
            commanded=lead_in.position[skip:],
            error_x=error["error_x"][skip:].astype(np.float64),
            error_y=error["error_y"][skip:].astype(np.float64),
        )

    def stream(self) -> "StreamingPredictor":
        """Return a predictor that takes one sample at a time.

        Raises
        ------
        BundleError
            The bundle has no step graph: its model cannot carry state.
        """
        graph = self.bundle.path(ONNX_STEP)
        session = _open_session(graph, self._threads, self._providers)
        return StreamingPredictor(session, self.sample_rate_hz)

    def _limits(self) -> MachineLimits:
        limits = dict(self.bundle.manifest["printer"]["limits"])
        return MachineLimits(
            **{key: tuple(v) if isinstance(v, list) else v for key, v in limits.items()}
        )

    def _checked(self, features: ArrayLike, sample_rate_hz: float | None) -> Floats32:
        windows = np.ascontiguousarray(features, dtype=np.float32)
        if windows.ndim not in (2, 3) or windows.shape[-1] != len(FEATURES):
            raise DataError(
                f"features have shape {windows.shape}, expected (T, {len(FEATURES)}) "
                f"or (B, T, {len(FEATURES)})"
            )
        if sample_rate_hz is not None and sample_rate_hz != self.sample_rate_hz:
            raise DataError(
                f"features are sampled at {sample_rate_hz} Hz, the model at "
                f"{self.sample_rate_hz} Hz; resample the trajectory first"
            )
        if not np.isfinite(windows).all():
            raise DataError("features hold NaN or infinite values")
        return windows


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
        """Take the next commanded position, (3,) mm; return its error x, y in mm."""
        return self.update_features(self._features.update(xyz))

    def update_features(self, features: ArrayLike) -> tuple[float, float]:
        """Take the next sample's (15,) features; return its error x, y in mm."""
        sample = np.asarray(features, dtype=np.float32).reshape(1, len(FEATURES))
        error_x, error_y, *state = self._session.run(
            self._outputs, {"sample": sample, **self._state}
        )
        self._state = dict(zip(self._state, state, strict=True))
        return float(error_x[0]), float(error_y[0])


def features_from_gcode(
    path: str | Path, limits: MachineLimits, sample_rate_hz: float
) -> NDArray[np.float64]:
    """Return the (N, 15) features of a whole G-code file, planned under ``limits``."""
    trajectory = sample(plan(read_program(Path(path)), limits), sample_rate_hz)
    return compute_features(trajectory.position, sample_rate_hz)


def _open_session(
    path: Path, threads: int, providers: Sequence[str]
) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=list(providers))
    except Exception as error:
        raise BundleError(f"{path}: ONNX Runtime cannot load it: {error}") from error


def _zeros(node: Any) -> NDArray[Any]:  # noqa: ANN401 - onnxruntime ships no types
    dtype = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}
    shape = [size if isinstance(size, int) else 1 for size in node.shape]
    return np.zeros(shape, dtype[node.type])
