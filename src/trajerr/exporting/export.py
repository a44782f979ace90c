"""From a checkpoint to a bundle that has been checked against the network it came from.

Knows what belongs into a bundle and how far its graphs may differ; nothing of exporters.
"""

import platform
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import nn

from trajerr.arrays import Floats32
from trajerr.bundle.guidance import Equation, GuidedSession
from trajerr.bundle.machine import LearntMachine
from trajerr.bundle.manifest import (
    CARD,
    ONNX,
    ONNX_GUIDED,
    ONNX_INT8,
    ONNX_STEP,
    PT2,
    TORCHSCRIPT,
    replacing_folder,
    sha256_of,
    write_manifest,
)
from trajerr.bundle.sessions import CPU, open_session
from trajerr.bundle.streaming import StreamingPredictor
from trajerr.checks import require, require_some_of
from trajerr.dataset.store import Split, open_split
from trajerr.dynamics.axis_steps import solve
from trajerr.errors import BundleError, DataError
from trajerr.evaluation.prediction import cut_windows, lay_out
from trajerr.evaluation.timing import measure_calls
from trajerr.exporting.card import model_card
from trajerr.exporting.graphs import (
    Predict,
    state_at_rest,
    write_guided,
    write_onnx,
    write_pt2,
    write_quantized,
    write_step,
    write_torchscript,
)
from trajerr.gcode.parts import PARTS, load_part
from trajerr.metrics.errors import summary
from trajerr.models.registry import count_parameters
from trajerr.motion.features import FEATURE_UNITS, FEATURES, TARGET_UNITS, TARGETS, compute_features
from trajerr.motion.limits import MachineLimits
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample
from trajerr.training.checkpoint import Loaded, load_checkpoint

WRITERS: Mapping[str, tuple[str, Callable[[nn.Module, Path], Predict]]] = {
    "torchscript": (TORCHSCRIPT, write_torchscript),
    "onnx": (ONNX, write_onnx),
    "pt2": (PT2, write_pt2),
}
FORMATS = tuple(WRITERS)
BATCHES = (1, 5, 33)  # a graph with its batch frozen at the example's fails at one of them
LENGTHS = (1, 128, 200)
TOLERANCE_MM = 1e-4
TIMED = 128  # samples of the window whose latency is measured
SPLIT = "test"  # on which int8 is judged

# For models of measured motion, which name no printer: defaults of Marlin's Configuration.h.
MARLIN_LIMITS = MachineLimits(
    (300.0, 300.0, 5.0, 25.0),
    (3000.0, 3000.0, 100.0, 10000.0),
    print_acceleration_mm_s2=500.0,
    travel_acceleration_mm_s2=500.0,
    retract_acceleration_mm_s2=1000.0,
    firmware="marlin_estimated",
)
PACKAGES = ("trajerr", "torch", "onnx", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Exported:
    """What was written, and how far each graph is from the eager network."""

    folder: Path
    parity_mm: Mapping[str, float]  # largest difference of each checked graph
    int8: Mapping[str, Any] | None  # what int8 weights cost on the test split
    latency: Mapping[str, Any] | None  # of the ONNX graphs, on this machine


def export_bundle(
    checkpoint: Path,
    output_dir: Path,
    formats: Sequence[str],
    *,
    quantize: bool = False,
    data_root: Path | None = None,
    allowed: Collection[str] = (),
) -> Exported:
    """Export a checkpoint's network in each format and check each against eager mode.

    Parameters
    ----------
    checkpoint
        What training wrote.
    output_dir
        The bundle's folder; replaced only when every check has passed.
    formats
        Of :data:`FORMATS`. ONNX brings the step graph along where the network carries state.
    quantize
        Also write the ONNX graph with int8 weights, and record what they cost.
    data_root
        The prepared folder on whose test split that cost is measured.
    allowed
        Classes of the user's own that the checkpoint may name.

    Raises
    ------
    ConfigError
        A format is unknown, or ``quantize`` lacks the ONNX graph or the data.
    DataError
        The checkpoint or the data cannot be used.
    BundleError
        A graph cannot be exported or differs from eager mode by more than 0.1 µm.
    """
    _check_request(formats, quantize, data_root)
    loaded = load_checkpoint(checkpoint, allowed)
    split = _open_test_split(loaded, data_root) if quantize and data_root else None
    windows = real_windows(loaded)
    with replacing_folder(output_dir) as folder:
        parity, graphs = {}, {}
        for name in FORMATS:
            if name in formats:
                file, write = WRITERS[name]
                graphs[file] = write(loaded.network, folder / file)
                parity[file] = _parity(loaded.network, graphs[file], windows)
        if "onnx" in formats and hasattr(loaded.network, "step"):
            write_step(loaded.network, folder / ONNX_STEP)
            parity[ONNX_STEP] = _step_parity(loaded.network, folder / ONNX_STEP, windows[0])
        equation = equation_of(loaded.network)
        if "onnx" in formats and equation is not None:
            write_guided(loaded.network, folder / ONNX_GUIDED)
            guided = GuidedSession(folder / ONNX_GUIDED, equation, solve)
            parity[ONNX_GUIDED] = _parity(loaded.network, guided.predict, windows)
        _refuse_differences(parity)
        int8 = None
        if split is not None:
            small = write_quantized(folder / ONNX, folder / ONNX_INT8)
            int8 = _cost_of_int8(graphs[ONNX], small, split)
        latency = _latency(folder, windows[0]) if "onnx" in formats else None
        manifest = _manifest(loaded, equation, parity, int8, latency)
        (folder / CARD).write_text(model_card(manifest), encoding="utf-8")
        write_manifest(folder, manifest)
    return Exported(output_dir, parity, int8, latency)


def real_windows(loaded: Loaded) -> Floats32:
    """Return (33, 200, 15) windows of an embedded part, as the checkpoint's printer plans it."""
    printer, rate = loaded.printer, loaded.sample_rate_hz
    limits = MARLIN_LIMITS if printer is None else MachineLimits(**printer["limits"])
    planned = plan(load_part(PARTS[0], limits.firmware), limits)
    needed = max(BATCHES) * max(LENGTHS)
    layer = int(planned.layers[len(planned.layers) // 2])
    start = max(0.0, min(planned.layer_span(layer)[0], planned.print_time - (needed + 1) / rate))
    trajectory = sample(planned, rate, start, start + (needed + 1) / rate)
    features = compute_features(trajectory.position, rate).astype(np.float32)
    # a very low rate asks for more samples than the print has; then they repeat
    return np.resize(features, (max(BATCHES), max(LENGTHS), len(FEATURES)))


def _check_request(formats: Sequence[str], quantize: bool, data_root: Path | None) -> None:
    require_some_of("format", formats, FORMATS)
    if not quantize:
        return
    smaller = "onnx among them, as quantize=true makes the ONNX graph smaller"
    require("format", formats, "onnx" in formats, smaller)
    measured = "the folder that prepare wrote, as quantize=true measures its cost on the test split"
    require("data_root", data_root, data_root is not None, measured)


def _open_test_split(loaded: Loaded, root: Path) -> Split:
    """Open the data that the checkpoint was tested on, and no other."""
    split = open_split(root, SPLIT, sample_rate=loaded.sample_rate_hz)
    if split.stats.identity != loaded.split_identity:
        raise DataError(
            f"{root}: was prepared otherwise than the checkpoint's data, so its {SPLIT} split "
            "may hold layers that were trained on; expected the folder of that training"
        )
    return split


def _parity(network: nn.Module, predict: Predict, windows: Floats32) -> float:
    """Return the largest difference to eager mode over all batches and lengths, mm."""
    worst = 0.0
    for batch in BATCHES:
        for length in LENGTHS:
            part = np.ascontiguousarray(windows[:batch, :length])
            worst = max(worst, _difference(predict(part), _eager(network, part)))
    return worst


def _step_parity(network: nn.Module, path: Path, window: Floats32) -> float:
    """Return the largest difference of stepping through a window to predicting it whole, mm."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = [node.name for node in session.get_inputs()][1:]
    state = [tensor.numpy() for tensor in state_at_rest(network)]
    stepped = np.empty((len(window), 2), dtype=np.float32)
    for index, row in enumerate(window):
        feed = {"sample": row[None], **dict(zip(inputs, state, strict=True))}
        error_x, error_y, *state = session.run(None, feed)
        stepped[index] = error_x[0], error_y[0]
    return _difference(stepped, _eager(network, window[None])[0])


def equation_of(network: nn.Module) -> Equation | None:
    """Return the axis equation that a network corrects the solution of."""
    equation = getattr(network, "equation", None)
    if equation is None or not hasattr(network, "guided"):
        return None
    coefficients = equation.coefficients().detach().double().numpy()
    return Equation(coefficients, equation.substeps, equation.step_s)


def _eager(network: nn.Module, windows: Floats32) -> Floats32:
    with torch.inference_mode():
        error: Floats32 = network(torch.from_numpy(windows)).numpy()
    return error


def _difference(ours: Floats32, eager: Floats32) -> float:
    """Return the largest difference in mm, infinite where it has no number."""
    if ours.shape != eager.shape:
        return float("inf")
    return float(np.nan_to_num(np.abs(ours - eager), nan=np.inf).max())


def _refuse_differences(parity: Mapping[str, float]) -> None:
    for name, difference in parity.items():
        if difference > TOLERANCE_MM:
            raise BundleError(
                f"{name} differs from the network by {difference:.2e} mm, allowed is "
                f"{TOLERANCE_MM:.0e} mm; no bundle was written"
            )


def _cost_of_int8(full: Predict, small: Predict, split: Split) -> dict[str, Any]:
    """Return the errors of both graphs on the split's windows laid end to end.

    One window at a time, as they come in use: int8 scales depend on all that is in a batch.
    """
    layers = lay_out(split)
    windows = cut_windows(split, stride=split.stats.sequence_length)
    counted = np.concatenate([s.trimmed().features.numpy() for s in split.sequences])
    features = windows.cut(counted)
    target = windows.cut(layers.target)
    found = {
        name: np.concatenate([predict(window[None]) for window in features])
        for name, predict in ((ONNX, full), (ONNX_INT8, small))
    }
    return {
        "split": SPLIT,
        "windows": len(features),
        "float32": summary(found[ONNX], target),
        "int8": summary(found[ONNX_INT8], target),
        "rms_difference_mm": summary(found[ONNX_INT8], found[ONNX])["rmse_mm"],
    }


def _latency(folder: Path, window: Floats32) -> dict[str, Any]:
    """Time one window and, where there is a step graph, one sample, as the runtime runs them."""
    session = open_session(folder / ONNX, 1, CPU)
    feed = {"input_features": window[None, :TIMED]}
    whole = measure_calls(lambda: session.run(None, feed), threads=1, batch=1)
    found = {
        "threads": 1,
        "window_samples": TIMED,
        "window_ms_p50": whole.p50_ms,
        "window_ms_p99": whole.p99_ms,
    }
    if (folder / ONNX_STEP).exists():
        stream = StreamingPredictor(open_session(folder / ONNX_STEP, 1, CPU, "sample"), 1.0)
        rows = cycle(window)
        step = measure_calls(lambda: stream.update_features(next(rows)), threads=1, batch=1)
        found |= {"step_us_p50": 1000 * step.p50_ms, "step_us_p99": 1000 * step.p99_ms}
    return found


def _manifest(
    loaded: Loaded,
    equation: Equation | None,
    parity: Mapping[str, float],
    int8: Mapping[str, Any] | None,
    latency: Mapping[str, Any] | None,
) -> dict[str, Any]:
    network = loaded.network
    return {
        "feature_names": list(FEATURES),
        "feature_units": list(FEATURE_UNITS),
        "target_names": list(TARGETS),
        "target_units": list(TARGET_UNITS),
        "sample_rate_hz": loaded.sample_rate_hz,
        "context_length": int(network.context_length),  # type: ignore[arg-type]
        "interface": _interface(),
        "model": {**loaded.network_config, "parameters": count_parameters(network)},
        "equation": None if equation is None else equation.to_dict(),
        "stats": loaded.stats,
        "printer": loaded.printer,
        "machine": LearntMachine.of(loaded.printer, loaded.stats).to_dict(),
        "training_config": loaded.config,
        "metrics": _plain(loaded.metrics),
        "checkpoint": {"file": loaded.path.name, "sha256": sha256_of(loaded.path)},
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
            "trained_with_trajerr": loaded.version,
        },
        "parity": {
            "tolerance_mm": TOLERANCE_MM,
            "batches": list(BATCHES),
            "lengths": list(LENGTHS),
            "max_difference_mm": dict(parity),
        },
        "int8": None if int8 is None else dict(int8),
        "latency": None if latency is None else dict(latency),
    }


def _interface() -> dict[str, Any]:
    """Return what a reader of the graphs in other languages needs to know."""
    return {
        "input": {"name": "input_features", "shape": ["batch", "time", len(FEATURES)]},
        "outputs": [{"name": name, "shape": ["batch", "time"]} for name in TARGETS],
        "dtype": "float32",
        "normalisation": "inside the graph",
        "step": {
            "input": {"name": "sample", "shape": [1, len(FEATURES)]},
            "state": "state_0, state_1, ...: zeros at rest; next_state_i goes in as state_i",
        },
    }


def _plain(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Return metrics that JSON can hold; what is not finite becomes null."""
    return {key: float(v) if np.isfinite(v) else None for key, v in metrics.items()}
