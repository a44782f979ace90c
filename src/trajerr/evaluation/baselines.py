"""What a network has to beat, and what it cannot: least squares, the bare equation, noise."""

from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from trajerr.dataset.record import stated_printer
from trajerr.dataset.stats import Stats
from trajerr.dataset.store import Split
from trajerr.dynamics.plant import SIMULATION_RATE_HZ, noise_floor, simulate
from trajerr.dynamics.printer import Printer
from trajerr.evaluation.prediction import Layers, Network, Prediction, Windows, lay_out, predict
from trajerr.models.fir import FirNetwork
from trajerr.models.physics import PhysicsNetwork
from trajerr.motion.trajectory import Trajectory

Singles = NDArray[np.float32]

MEMORY_S, FEWEST_TAPS = 0.2, 40  # one settling time of a soft printer, at any sample rate
SUBSTEPS = 2  # steps of the axis equation a sample; 8 change its RMSE by 0.1 µm
NO_FRICTION = 1e-6  # mm/s²: the network keeps its logarithm
RIDGES = (1e-8, 1e-6, 1e-4, 1e-2)
NOISE_SECONDS = 2000.0  # of motion that the floor is measured on: some 20 s of simulation


def predict_zero(layers: Layers, windows: Windows) -> Prediction:
    """Predict no error: what a user has without a model."""
    nothing = np.zeros_like(layers.target)
    return Prediction(windows.cut(nothing), nothing)


def fit_fir(train: Split, val: Split) -> FirNetwork:
    """Fit least squares on 0.2 s of v, a and sign(v) per axis; the ridge is val's choice."""
    stats = train.stats
    network = FirNetwork(max(FEWEST_TAPS, round(MEMORY_S * stats.sample_rate_hz)))
    network.scaling.set_statistics(
        {
            name: getattr(stats, name)
            for name in ("feature_mean", "feature_std", "target_mean", "target_std")
        }
    )
    training, validation = ([s.pair for s in x.sequences] for x in (train, val))
    network.fit(training, validation, RIDGES)
    return network.eval()


def predict_fir(train: Split, val: Split, split: Split, windows: Windows) -> Prediction:
    """Fit :func:`fit_fir` and predict a split as any network does."""
    return predict(cast(Network, fit_fir(train, val)), split, windows)


def predict_physics(printer: Printer, split: Split, windows: Windows) -> Prediction:
    """Predict with the axis equation alone and the printer's own parameters.

    Natural frequency, damping and Coulomb friction as the data was simulated with; what it
    leaves is the belt's varying stiffness, ripple, noise, and the sampling of the command. The
    equation of a printer with a delay, viscous friction or a second mode is the plant's.
    """
    if not (printer.x.plain and printer.y.plain):
        return _predict_plant(printer, lay_out(split), windows)
    axes = (printer.x, printer.y)
    force = [1000 * axis.coulomb_n / axis.mass_kg * printer.has("friction") for axis in axes]
    network = PhysicsNetwork(
        sample_rate_hz=split.stats.sample_rate_hz,
        substeps=SUBSTEPS,
        natural_freq_hz=[axis.natural_freq_hz for axis in axes],
        damping_ratio=[axis.damping_ratio for axis in axes],
        friction_mm_s2=[max(f, NO_FRICTION) for f in force],
        delay_s=[0.0, 0.0],
        context_length=windows.length,
    )
    return predict(cast(Network, network.eval()), split, windows)


def _predict_plant(printer: Printer, layers: Layers, windows: Windows) -> Prediction:
    """Predict with the plant's linear part and friction, on the command as it was sampled."""
    alone = replace(printer.only(*(["friction"] if printer.has("friction") else [])), shaper=None)
    found = np.zeros_like(layers.target)
    for span in layers.spans:
        command = _finer(layers, span)
        error = simulate(alone, command, seed=0).xy - command.position[:, :2]
        fine = np.arange(len(error)) / SIMULATION_RATE_HZ
        coarse = np.arange(span.stop - span.start) / layers.sample_rate
        found[span] = np.column_stack([np.interp(coarse, fine, column) for column in error.T])
    return Prediction(windows.cut(found), found)


def read_printer(stats: Stats) -> Printer | None:
    """Return the printer that the data was simulated with, if all of it names one."""
    stated = stated_printer(stats.params)
    return None if stated is None else Printer.from_dict(stated)


def measure_noise_floor(printer: Printer | None, layers: Layers) -> float | None:
    """Return the RMS over both axes, mm, of what only the printer's jitter adds to a split.

    Simulates whole layers with and without jitter: all, or so many as chance picks where all
    would take long. Every n-th would not do, since the variants of layers follow each other in
    order. ``None`` for measured data.
    """
    if printer is None:
        return None
    if not printer.has("jitter"):
        return 0.0
    chosen = _picked(layers)
    seconds = [(s.stop - s.start) / layers.sample_rate for s in chosen]
    floors = [noise_floor(printer, _finer(layers, s), seed=i) for i, s in enumerate(chosen)]
    return float(np.sqrt(np.average(np.square(floors), weights=seconds)))


def _picked(layers: Layers) -> list[slice]:
    """Return sequences in random order, the same each time, up to :data:`NOISE_SECONDS`."""
    ordered = layers.spans
    spans = [ordered[i] for i in np.random.default_rng(0).permutation(len(ordered))]
    seconds = np.cumsum([(span.stop - span.start) / layers.sample_rate for span in spans])
    return spans[: 1 + int(np.searchsorted(seconds, NOISE_SECONDS))]


def _finer(layers: Layers, span: slice) -> Trajectory:
    """Return a commanded stretch at the simulation's rate, straight between the samples."""
    position = layers.position[span].astype(np.float64)
    known = np.arange(len(position)) / layers.sample_rate
    time = np.arange(int(known[-1] * SIMULATION_RATE_HZ) + 1) / SIMULATION_RATE_HZ
    xy = np.column_stack([np.interp(time, known, column) for column in position.T])
    return Trajectory.of_positions(xy, SIMULATION_RATE_HZ)
