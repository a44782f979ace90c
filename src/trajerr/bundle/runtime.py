"""Predict with a bundle: NumPy and ONNX Runtime, no torch.

Knows the bundle's graphs and their units; nothing of training or of correction.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from trajerr.arrays import Floats, Floats32
from trajerr.bundle.given import check_features, check_path, check_sample_rate, interpolate
from trajerr.bundle.guidance import Equation, GuidedSession, Solve
from trajerr.bundle.manifest import (
    ONNX,
    ONNX_GUIDED,
    ONNX_INT8,
    ONNX_STEP,
    Bundle,
    open_bundle,
)
from trajerr.bundle.sessions import CPU, check_session, open_session
from trajerr.bundle.streaming import StreamingPredictor
from trajerr.errors import BundleError
from trajerr.gcode.program import Program
from trajerr.gcode.reader import parse_program, read_program
from trajerr.motion.bed import Bed, from_corner
from trajerr.motion.features import (
    FEATURE_UNITS,
    FEATURES,
    TARGET_UNITS,
    TARGETS,
    compute_features,
)
from trajerr.motion.lead_in import lead_in
from trajerr.motion.limits import MachineLimits
from trajerr.motion.planner import Plan, plan
from trajerr.motion.rests import busy_span, on_the_clock, without_long_rests
from trajerr.motion.sampling import grid, sample

Errors = Callable[[Floats32], Sequence[Floats32]]

TOGETHER = 1 << 16  # samples of a long layer that are predicted at a time
ROUNDING_S = 1e-9  # s, by which a layer's first sample may seem to come too early


@dataclass(frozen=True)
class LayerPrediction:
    """The predicted error along one layer; N rows."""

    layer: int  # 1 is the first layer
    time: Floats  # (N,) s since the print's first move; uniform but for long rests
    commanded: Floats  # (N, 3) mm, from the front left corner of the printer's bed
    error_x: Floats  # (N,) mm, actual − commanded
    error_y: Floats  # (N,) mm


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
    solve
        What solves the network's axis equation, where it has one, much faster than the graph
        does: :func:`trajerr.dynamics.axis_steps.solve`, which needs Numba. None: the graph.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int = 1,
        providers: Sequence[str] = CPU,
        quantized: bool = False,
        solve: Solve | None = None,
    ) -> None:
        _check_meaning(bundle)
        check_session(threads, providers)
        self.bundle = bundle
        self._threads = threads
        self._providers = list(providers)
        guided = None if quantized or solve is None else self._guided_by(solve)
        self._errors = guided or self._graph(ONNX_INT8 if quantized else ONNX)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        threads: int = 1,
        providers: Sequence[str] = CPU,
        quantized: bool = False,
        solve: Solve | None = None,
    ) -> Self:
        """Open, verify and load a bundle.

        Raises
        ------
        BundleError
            The folder is no usable bundle, or its graph does not load.
        ConfigError
            This machine has no such provider, or ``threads`` is below 1.
        """
        return cls(
            open_bundle(folder),
            threads=threads,
            providers=providers,
            quantized=quantized,
            solve=solve,
        )

    def _graph(self, name: str) -> Errors:
        """Return what predicts (B, T) errors of both axes, mm, of (B, T, 15) features."""
        session = open_session(self.bundle.path(name), self._threads, self._providers)
        return lambda batch: session.run(list(TARGETS), {"input_features": batch})

    def _guided_by(self, solve: Solve) -> Errors | None:
        """Return the same of the graph that a solution guides, where the bundle has one."""
        said = self.bundle.manifest.get("equation")
        if said is None or ONNX_GUIDED not in self.bundle.manifest["files"]:
            return None
        path, equation = self.bundle.path(ONNX_GUIDED), Equation.from_dict(said)
        return GuidedSession(path, equation, solve, self._threads, self._providers).errors

    @property
    def sample_rate_hz(self) -> float:
        """Samples per second that features have to have."""
        return self.bundle.sample_rate_hz

    @property
    def context_length(self) -> int:
        """Samples after which a prediction has settled, whatever was before."""
        return int(self.bundle.manifest["context_length"])

    @property
    def limits(self) -> MachineLimits:
        """Limits of the printer whose motion the model has learnt.

        Raises
        ------
        BundleError
            The bundle names no printer: its model was trained on measured motion.
        """
        printer = self.bundle.manifest["printer"]
        if printer is None:
            raise BundleError(
                f"{self.bundle.folder}: names no printer, its model was trained on measured "
                "motion; give limits to plan G-code with"
            )
        try:
            return MachineLimits(**printer["limits"])
        except (TypeError, KeyError) as error:
            raise BundleError(
                f"{self.bundle.folder}: this trajerr cannot read its printer's limits: {error}"
            ) from error

    def _placed(self, program: Program) -> Program:
        """Return a program in the coordinates that the model has learnt.

        Simulated motion counts from the bed's front left corner; measured motion counts as the
        machine that it was measured on.
        """
        printer = self.bundle.manifest["printer"]
        if printer is None:
            return program
        try:
            size, origin = printer["bed_mm"], printer.get("bed_origin_mm")
        except (AttributeError, KeyError) as error:
            raise BundleError(
                f"{self.bundle.folder}: this trajerr cannot read its printer's bed: {error}"
            ) from error
        return from_corner(program, Bed.of(program.slicer, size, origin))

    def predict(
        self, features: ArrayLike, sample_rate_hz: float | None = None
    ) -> dict[str, Floats32]:
        """Predict the error of one or many windows, each from rest.

        Parameters
        ----------
        features : (T, 15) or (B, T, 15)
            Raw features, in the order and units of ``FEATURES``.
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
        if sample_rate_hz is not None:
            check_sample_rate(sample_rate_hz, self.sample_rate_hz)
        windows = check_features(features)
        batch = windows[None] if windows.ndim == 2 else windows
        errors = self._errors(batch)
        return {
            name: error[0] if windows.ndim == 2 else error
            for name, error in zip(TARGETS, errors, strict=True)
        }

    def predict_path(
        self, position: ArrayLike, sample_rate_hz: float, *, resample: bool = False
    ) -> dict[str, Floats]:
        """Predict the error along commanded positions, from rest.

        Parameters
        ----------
        position : (N, 3)
            mm on a uniform grid of time.
        sample_rate_hz
            Its rate.
        resample
            Accept another rate than the model's: positions are interpolated to the model's
            rate, errors back to the given samples.

        Returns
        -------
        dict[str, NDArray[np.float64]]
            ``error_x`` and ``error_y``, (N,) mm.

        Raises
        ------
        DataError
            Another shape, values that are not finite, or another rate without ``resample``.
        """
        path = check_path(position)
        if not resample:
            check_sample_rate(sample_rate_hz, self.sample_rate_hz)
            errors = self.predict(compute_features(path, self.sample_rate_hz))
            return {name: error.astype(np.float64) for name, error in errors.items()}
        given = np.arange(len(path)) / sample_rate_hz
        count = math.floor(given[-1] * self.sample_rate_hz) + 2  # reaches past the last one
        wanted = np.arange(count) / self.sample_rate_hz
        features = compute_features(interpolate(path, wanted * sample_rate_hz), self.sample_rate_hz)
        errors = self.predict(features)
        return {name: np.interp(given, wanted, error) for name, error in errors.items()}

    def predict_gcode(
        self,
        path: str | Path,
        layers: Iterable[int] | None = None,
        *,
        limits: MachineLimits | None = None,
    ) -> Iterator[LayerPrediction]:
        """Plan a G-code file and predict it layer by layer.

        Parameters
        ----------
        path
            The file.
        layers
            Numbers of layers, 1 is the first; all by default.
        limits
            To plan with; the printer's of the bundle by default.

        Raises
        ------
        GcodeError
            The file cannot be used, or has no such layer.
        BundleError
            No limits are given and the bundle names no printer.
        """
        limits = limits or self.limits
        planned = plan(self._placed(read_program(Path(path), limits.firmware)), limits)
        chosen = [int(layer) for layer in (planned.layers if layers is None else layers)]
        for layer in chosen:
            planned.layer_span(layer)  # all are there before the first is predicted
        return (self.predict_layer(planned, layer) for layer in chosen)

    def predict_layer(self, planned: Plan, layer: int) -> LayerPrediction:
        """Predict one layer of a plan, entered as the print enters it.

        Of a long rest only the beginning is predicted: there ``time`` has a gap.

        Raises
        ------
        GcodeError
            The plan has no such layer.
        """
        rate = self.sample_rate_hz
        moving = without_long_rests(planned)
        start, stop = busy_span(moving, layer)
        first, last = grid(start - ROUNDING_S, stop, rate)
        pieces = [
            self._predict_rows(moving, begin, min(begin + TOGETHER, last + 1))
            for begin in range(first, last + 1, TOGETHER)
        ]
        time, commanded, error = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
        return LayerPrediction(
            layer=layer,
            time=on_the_clock(planned, moving, time),
            commanded=commanded,
            error_x=error[:, 0],
            error_y=error[:, 1],
        )

    def _predict_rows(self, planned: Plan, begin: int, end: int) -> tuple[Floats, Floats, Floats]:
        """Return time, position and error, (N,) (N, 3) (N, 2), at some samples of a plan."""
        rate = self.sample_rate_hz
        settled = grid(lead_in(planned, begin / rate), planned.print_time, rate)[0]
        first = max(0, min(settled, begin - self.context_length))
        trajectory = sample(planned, rate, first / rate, (end - 1) / rate)
        own = slice(begin - first, None)
        error = self.predict(compute_features(trajectory.position, rate))
        both = np.column_stack([error[name][own] for name in TARGETS]).astype(np.float64)
        return trajectory.time[own], trajectory.position[own], both

    def read_features(self, path: str | Path, limits: MachineLimits | None = None) -> Floats:
        """Return the (N, 15) features of a G-code file, planned as by :meth:`predict_gcode`."""
        limits = limits or self.limits
        program = self._placed(read_program(Path(path), limits.firmware))
        return gcode_features(program, limits, self.sample_rate_hz)

    def parse_features(self, gcode: str, limits: MachineLimits | None = None) -> Floats:
        """Return the (N, 15) features of one or more lines of G-code; the first begins at rest."""
        limits = limits or self.limits
        program = self._placed(parse_program(gcode.encode(), "G-code", limits.firmware))
        return gcode_features(program, limits, self.sample_rate_hz)

    def stream(self) -> StreamingPredictor:
        """Return a predictor that takes one sample at a time; one for each machine.

        Raises
        ------
        BundleError
            The bundle has no step graph: its model cannot carry state.
        """
        graph = self.bundle.path(ONNX_STEP)
        session = open_session(graph, self._threads, self._providers, "sample")
        return StreamingPredictor(session, self.sample_rate_hz)


def gcode_features(program: Program, limits: MachineLimits, sample_rate_hz: float) -> Floats:
    """Return the (N, 15) features of a whole program, planned under ``limits``.

    Rests that last for long are cut to their beginning.
    """
    trajectory = sample(without_long_rests(plan(program, limits)), sample_rate_hz)
    return compute_features(trajectory.position, sample_rate_hz)


def _check_meaning(bundle: Bundle) -> None:
    """Refuse a bundle whose inputs or outputs mean something else than ours."""
    ours = {
        "feature_names": FEATURES,
        "feature_units": FEATURE_UNITS,
        "target_names": TARGETS,
        "target_units": TARGET_UNITS,
    }
    for key, expected in ours.items():
        found = tuple(bundle.manifest[key])
        if found != expected:
            raise BundleError(
                f"{bundle.folder}: its {key} are {', '.join(map(str, found))}; "
                f"this trajerr has {', '.join(expected)}"
            )
