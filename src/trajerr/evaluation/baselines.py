"""What a network has to beat, and what it cannot: least squares, the bare equation, noise."""

import json
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from trajerr.data.features import FEATURES
from trajerr.data.stats import Stats
from trajerr.data.store import Split
from trajerr.dynamics.axis import AxisParameters, recurrence
from trajerr.dynamics.plant import SIMULATION_RATE_HZ, noise_floor
from trajerr.dynamics.printer import Printer
from trajerr.evaluation.predict import Layers, Network, Prediction, Windows, predict
from trajerr.models.fir import FirNetwork
from trajerr.motion.trajectory import Trajectory

Singles = NDArray[np.float32]

TAPS = 40  # 0.2 s at 200 Hz, one settling time of a soft printer
RIDGES = (1e-8, 1e-6, 1e-4, 1e-2)
NOISE_SECONDS = 30.0  # of motion, to measure a floor of a few µm to a few per cent


def predict_zero(layers: Layers, windows: Windows) -> Prediction:
    """Predict no error: what a user has without a model."""
    nothing = np.zeros_like(layers.target)
    return Prediction(windows.cut(nothing), nothing)


def fit_fir(train: Split, val: Split) -> FirNetwork:
    """Fit least squares on 40 taps of v, a and sign(v) per axis; the ridge is val's choice."""
    network = FirNetwork(TAPS)
    stats = train.stats
    network.scaling.set_statistics(
        {
            name: getattr(stats, name)
            for name in ("feature_mean", "feature_std", "target_mean", "target_std")
        }
    )
    training, validation = ([(s.features, s.targets) for s in x.sequences] for x in (train, val))
    network.fit(training, validation, RIDGES)
    return network.eval()


def predict_fir(train: Split, val: Split, split: Split, windows: Windows) -> Prediction:
    """Fit :func:`fit_fir` and predict a split as any network does."""
    return predict(cast(Network, fit_fir(train, val)), split, windows)


def predict_physics(printer: Printer, split: Split, windows: Windows) -> Prediction:
    """Predict with the axis equation's linear part and the printer's own parameters.

    Exact sampling of the second-order axis (:func:`trajerr.dynamics.axis.recurrence`), from
    rest; what it leaves is friction, belt, ripple and noise.
    """
    columns = [FEATURES.index(name) for name in ("ax", "ay")]
    rate = split.stats.sample_rate_hz
    drives = [s.features[:, columns].numpy().astype(np.float64) for s in split.sequences]
    whole = [_linear_response(printer, drive, rate) for drive in drives]
    cuts = windows.cut(np.concatenate(drives).astype(np.float32))
    return Prediction(_linear_response(printer, cuts, rate), np.concatenate(whole))


def _linear_response(printer: Printer, drive: NDArray[Any], rate: float) -> Singles:
    """Return the error of (..., N, 2) accelerations mm/s² of the command, from rest, mm."""
    axes = (printer.x, printer.y)
    errors = [_axis_response(axis, drive[..., i], rate) for i, axis in enumerate(axes)]
    return np.stack(errors, axis=-1).astype(np.float32)


def _axis_response(axis: AxisParameters, drive: NDArray[Any], rate: float) -> NDArray[Any]:
    term = recurrence(axis, rate)
    response: NDArray[Any] = lfilter([term.b / rate**2], [1.0, term.a1, term.a2], drive, axis=-1)
    return response


def read_printer(stats: Stats) -> Printer | None:
    """Return the printer that the data was simulated with, if all of it names one."""
    text = stats.params.get("printer")
    if not isinstance(text, str) or not text.startswith("{"):
        return None
    plain: Mapping[str, Any] = json.loads(text)
    return Printer.from_dict(plain)


def measure_noise_floor(printer: Printer | None, layers: Layers) -> float | None:
    """Return the RMS over both axes, mm, of what only the printer's jitter adds to a split.

    Simulates the head of its layers with and without jitter. ``None`` for measured data.
    """
    if printer is None:
        return None
    if not printer.has("jitter"):
        return 0.0
    squares: list[float] = []
    seconds = 0.0
    for span in layers.spans:
        keep = slice(span.start, min(span.stop, span.start + _samples_left(layers, seconds)))
        duration = (keep.stop - keep.start) / layers.sample_rate
        if duration > 0.1:
            floor = noise_floor(printer, _finer(layers, keep), seed=len(squares))
            squares.append(duration * floor**2)
            seconds += duration
    return float(np.sqrt(sum(squares) / seconds)) if seconds else None


def _samples_left(layers: Layers, seconds: float) -> int:
    share = NOISE_SECONDS / min(len(layers.spans), 10)
    return max(0, int(layers.sample_rate * min(share, NOISE_SECONDS - seconds)))


def _finer(layers: Layers, span: slice) -> Trajectory:
    """Return a commanded stretch at the simulation's rate, straight between the samples."""
    position = layers.position[span].astype(np.float64)
    known = np.arange(len(position)) / layers.sample_rate
    time = np.arange(int(known[-1] * SIMULATION_RATE_HZ) + 1) / SIMULATION_RATE_HZ
    count = len(time)
    xy = np.column_stack([np.interp(time, known, column) for column in position.T])
    return Trajectory(
        sample_rate=SIMULATION_RATE_HZ,
        first=0,
        position=np.column_stack([xy, np.zeros(count)]),
        extrusion=np.zeros(count),
        move=np.zeros(count, np.int64),
        layer=np.ones(count, np.int32),
        feature=np.zeros(count, np.uint8),
        kind=np.zeros(count, np.uint8),
        nozzle=np.zeros(count),
        bed=np.zeros(count),
        fan=np.zeros(count),
    )
