"""Natural frequency, damping, friction and delay of an axis from a log, by least squares.

The error is simulated (:mod:`trajerr.calibration.servo`) and compared with the measured one.
The search starts where the linear recurrence of the sampled axis, with friction, delay and
drag as further regressors, explains most on a grid of frequencies and dampings.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import OptimizeResult, least_squares
from scipy.signal import lfilter

from trajerr.arrays import Floats
from trajerr.calibration.servo import Servo, predict_error
from trajerr.calibration.stretches import AxisLog, Stretch
from trajerr.calibration.uncertainty import Estimate, deviations, quantile
from trajerr.checks import require, require_one_of
from trajerr.dynamics.axis import AxisParameters, recurrence
from trajerr.dynamics.printer import Printer
from trajerr.errors import DataError

DRAGS = ("none", "all", "fit")
GRID_HZ = np.geomspace(4.0, 200.0, 28)
GRID_DAMPING = (0.04, 0.1, 0.25, 0.6)
STARTS = 2  # best points of the grid that searches start from
HIGHEST = 0.25  # of the sample rate, that a natural frequency may have
LARGEST_SPREAD = 0.2  # of the natural frequency, beyond which a log says nothing
LEAST_EXPLAINED = 0.3  # share of the error's mean square
BRIEFLY, AT_LENGTH = 4, 60  # evaluations, of each start and of the best of them
TOLERANCE = 1e-6  # relative, of cost and values
CORRELATED = 8.0  # decay times 1/(ζω_n) over which residuals are taken as correlated
AT_BOUND = 2e-3  # of a parameter's scale: nearer to a bound it is taken as fixed
LEAST_INTEGRAL = 1e-3  # of that scale, nearly none
INTEGRAL_PER_S = 20.0  # that searches start from: a loop that forgets friction in some 50 ms
STEP = 1e-3  # of a parameter's scale, for differences: friction makes smaller ones rough


@dataclass(frozen=True)
class Unknowns:
    """Which of a servo's values are fitted beside natural frequency and damping.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    friction: bool
    delay: bool
    drag: str  # "none": damping between motor and carriage; "all": to the ground; "fit"
    offset: bool
    integral: bool  # of a log: a drive whose velocity loop has an integral
    viscous: bool  # of a recorded print; a log's is its drag
    second_mode: bool  # of a recorded print

    def __post_init__(self) -> None:
        require_one_of("fit.drag", self.drag, DRAGS)
        for key in ("friction", "delay", "offset", "integral", "viscous", "second_mode"):
            value = getattr(self, key)
            require(f"fit.{key}", value, isinstance(value, bool), "true or false")

    @property
    def names(self) -> tuple[str, ...]:
        """The fitted values' names, as :class:`Servo` has them."""
        optional = {
            "friction_mm_s2": self.friction,
            "delay_s": self.delay,
            "drag_share": self.drag == "fit",
            "offset_mm": self.offset,
            "integral_per_s": self.integral,
        }
        return ("natural_freq_hz", "damping_ratio", *(n for n, on in optional.items() if on))


@dataclass(frozen=True)
class Identified:
    """One axis as a log shows it."""

    servo: Servo
    estimates: dict[str, Estimate]  # of the fitted values
    measured: tuple[Floats, ...]  # mm, the error of each fitted stretch, then of each held out
    predicted: tuple[Floats, ...]  # mm, the same by the simulation
    times: tuple[Floats, ...]  # s
    fitted: int  # how many of them were fitted

    def rms(self, *, held_out: bool) -> tuple[float, float]:
        """Return the RMS in mm of the measured error, and of what the simulation leaves."""
        chosen = slice(self.fitted, None) if held_out else slice(self.fitted)
        error = np.concatenate(self.measured[chosen])
        left = error - np.concatenate(self.predicted[chosen])
        return float(np.sqrt(np.mean(error**2))), float(np.sqrt(np.mean(left**2)))


def identify(log: AxisLog, unknowns: Unknowns, base: Printer, axis: str, where: str) -> Identified:
    """Fit one axis.

    Parameters
    ----------
    log
        Its stretches.
    unknowns
        What to fit.
    base
        Printer of like kind: mass, belt.
    axis
        "x" or "y".
    where
        For messages.

    Raises
    ------
    DataError
        The log does not determine the natural frequency, or the model does not describe it.
    """
    problem = _Problem(log.fitted, unknowns, base, axis)
    tried = [problem.solve(problem.pack(start), BRIEFLY) for start in problem.starts()]
    found = problem.solve(min(tried, key=lambda search: search.cost).x, AT_LENGTH)
    servo, starts = problem.unpack(found.x)
    pairs = list(zip(log.fitted, starts, strict=True))
    predicted = [predict_error(servo, fitted, base, axis, start) for fitted, start in pairs]
    for held_out in log.held_out:
        # One that follows a fitted stretch is predicted on from there: its own beginning, in
        # the midst of motion, is known to the noise of measurement only.
        before = next((pair for pair in pairs if held_out.follows(pair[0])), None)
        whole = before[0].with_next(held_out) if before else held_out
        start = before[1] if before else (0.0, 0.0)
        tail = predict_error(servo, whole, base, axis, start)[-len(held_out.time) :]
        predicted.append(tail)
    stretches = (*log.fitted, *log.held_out)
    result = Identified(
        servo,
        problem.estimates(found),
        tuple(stretch.error for stretch in stretches),
        tuple(predicted),
        tuple(stretch.time for stretch in stretches),
        len(log.fitted),
    )
    _require_told(result, where)
    return result


def _require_told(result: Identified, where: str) -> None:
    error, left = result.rms(held_out=False)
    if left**2 > (1.0 - LEAST_EXPLAINED) * error**2:
        raise DataError(
            f"{where}: the axis model leaves {1e3 * left:.3g} of {1e3 * error:.3g} µm RMS, so it "
            "does not describe this axis; are commanded and measured the right columns?"
        )
    natural = result.estimates["natural_freq_hz"]
    if natural.spread > LARGEST_SPREAD:
        raise DataError(
            f"{where}: the log does not determine the natural frequency: {natural.low:.3g} to "
            f"{natural.high:.3g} Hz; it needs faster changes of speed, or a higher sample rate"
        )


@dataclass(frozen=True)
class _Problem:
    """Least squares in shifted, scaled values, so that differences have sensible steps.

    The vector holds ln f_n, ln ζ, the other fitted values, and for each stretch corrections
    of its first position and speed, each over its scale and plus 1.
    """

    stretches: Sequence[Stretch]
    unknowns: Unknowns
    base: Printer
    axis: str

    @functools.cached_property
    def scales(self) -> dict[str, float]:
        speed = max(float(np.max(np.abs(np.gradient(s.commanded, s.time)))) for s in self.stretches)
        error = max(float(np.ptp(s.error)) for s in self.stretches)
        return {
            "natural_freq_hz": 1.0,
            "damping_ratio": 1.0,
            "friction_mm_s2": 1000.0,
            "delay_s": error / speed,
            "drag_share": 1.0,
            "offset_mm": error,
            "integral_per_s": INTEGRAL_PER_S,
            "position": error,
            "speed": speed,
        }

    def pack(self, servo: Servo) -> Floats:
        values = [math.log(servo.natural_freq_hz), math.log(servo.damping_ratio)]
        names = self.unknowns.names[2:]
        values += [getattr(servo, name) / self.scales[name] for name in names]
        return 1.0 + np.array(values + [0.0, 0.0] * len(self.stretches))

    def unpack(self, q: Floats) -> tuple[Servo, list[tuple[float, float]]]:
        names, scales = self.unknowns.names, self.scales
        values = {n: (v - 1.0) * scales[n] for n, v in zip(names, q[: len(names)], strict=True)}
        for name in names[:2]:
            values[name] = math.exp(values[name])
        pairs = (q[len(names) :] - 1.0).reshape(-1, 2)
        pairs = pairs * [scales["position"], scales["speed"]]
        servo = Servo(**{"drag_share": float(self.unknowns.drag == "all"), **values})
        return servo, [(float(a), float(b)) for a, b in pairs]

    def residual(self, q: Floats) -> Floats:
        """Return what the simulation leaves of the error, µm."""
        servo, starts = self.unpack(q)
        return 1e3 * np.concatenate(
            [
                predict_error(servo, stretch, self.base, self.axis, start) - stretch.error
                for stretch, start in zip(self.stretches, starts, strict=True)
            ]
        )

    def solve(self, start: Floats, evaluations: int) -> OptimizeResult:
        return least_squares(
            self.residual,
            np.clip(start, self._bounds[0] + 1e-9, self._bounds[1] - 1e-9),
            bounds=self._bounds,
            diff_step=np.full(len(start), STEP),
            ftol=TOLERANCE,
            xtol=TOLERANCE,
            max_nfev=evaluations,
        )

    @functools.cached_property
    def _bounds(self) -> tuple[Floats, Floats]:
        rate, scales = self.stretches[0].sample_rate, self.scales
        low = {"natural_freq_hz": 0.0, "damping_ratio": math.log(1e-3), "friction_mm_s2": 0.0}
        high = {"natural_freq_hz": math.log(HIGHEST * rate), "damping_ratio": math.log(0.99)}
        low |= {"delay_s": -0.02 / scales["delay_s"], "drag_share": 0.0}
        low["integral_per_s"] = LEAST_INTEGRAL
        high |= {"delay_s": 0.1 / scales["delay_s"], "drag_share": 1.0}
        names = self.unknowns.names
        free = [np.inf] * (2 * len(self.stretches))
        lows = [low.get(name, -np.inf) for name in names] + [-np.inf] * len(free)
        highs = [high.get(name, np.inf) for name in names] + free
        return 1.0 + np.array(lows), 1.0 + np.array(highs)

    def estimates(self, found: OptimizeResult) -> dict[str, Estimate]:
        names, scales = self.unknowns.names, self.scales
        servo, _ = self.unpack(found.x)
        decay = 2.0 * math.pi * servo.natural_freq_hz * servo.damping_ratio
        lag = round(min(CORRELATED / decay * self.stretches[0].sample_rate, len(found.fun) / 10))
        near = np.minimum(found.x - self._bounds[0], self._bounds[1] - found.x) < AT_BOUND
        deviation = np.zeros(len(found.x))
        deviation[~near] = deviations(np.asarray(found.jac)[:, ~near], found.fun, lag)
        freedom = len(found.fun) / (lag + 1.0) - len(found.x)
        result = {}
        for i, name in enumerate(names):
            value, reach = float(found.x[i]) - 1.0, quantile(freedom) * float(deviation[i])
            ends = [scales[name] * v for v in (value, value - reach, value + reach)]
            if i < 2:
                ends = [math.exp(v) for v in ends]
            result[name] = Estimate(*ends)
        return result

    def starts(self) -> list[Servo]:
        """Return the best points of the grid, apart in frequency."""
        ranked = sorted(
            (self._guess(f, z) for f in GRID_HZ for z in GRID_DAMPING if self._fits(f)),
            key=lambda pair: pair[0],
        )
        chosen: list[Servo] = []
        for _, servo in ranked:
            if all(abs(math.log(servo.natural_freq_hz / s.natural_freq_hz)) > 0.15 for s in chosen):
                chosen.append(servo)
            if len(chosen) == STARTS:
                break
        return chosen

    def _fits(self, natural_freq_hz: float) -> bool:
        return natural_freq_hz < 0.9 * HIGHEST * self.stretches[0].sample_rate

    def _guess(self, natural_freq_hz: float, damping_ratio: float) -> tuple[float, Servo]:
        """Return what a point of the grid leaves of the error, and the servo it suggests."""
        servo = Servo(natural_freq_hz, damping_ratio)
        axis = replace(servo.axis(getattr(self.base, self.axis)), second_mode=None)
        parts = [_regressors(stretch, axis) for stretch in self.stretches]
        table = np.concatenate([columns for columns, _ in parts])
        wanted = np.concatenate([target for _, target in parts])
        used = [self.unknowns.friction, self.unknowns.delay or self.unknowns.drag != "none"]
        table = table[:, [*used, self.unknowns.offset]]
        weights = np.zeros(3)
        if table.shape[1]:
            solved = np.linalg.lstsq(table, wanted, rcond=None)[0]
            weights[np.flatnonzero([*used, self.unknowns.offset])] = solved
            wanted = wanted - table @ solved
        delay = min(max(-float(weights[1]), 0.0), 0.05) * (self.unknowns.drag == "none")
        rubbing = max(-float(weights[0]), 1.0)
        guess = replace(
            servo,
            friction_mm_s2=rubbing if self.unknowns.friction else 0.0,
            delay_s=delay if self.unknowns.delay else 0.0,
            drag_share={"none": 0.0, "all": 1.0, "fit": 0.5}[self.unknowns.drag],
            integral_per_s=INTEGRAL_PER_S if self.unknowns.integral else 0.0,
        )
        return float(np.mean(wanted**2)), guess


def _regressors(stretch: Stretch, axis: AxisParameters) -> tuple[Floats, Floats]:
    """Return (N, 3) responses to friction of 1 mm/s², to delay, to an offset; (N,) the rest.

    The rest is what the linear axis, from rest, leaves of the error.
    """
    known = recurrence(axis, stretch.sample_rate)
    past = [1.0, known.a1, known.a2]
    begins = stretch.commanded - stretch.commanded[0]
    linear = lfilter([known.b, -2.0 * known.b, known.b], past, begins)
    speed = np.gradient(stretch.commanded, stretch.time)
    gain = sum(past) / axis.natural_frequency**2
    rubbing = lfilter([0.0, gain], past, np.sign(speed))
    return np.column_stack([rubbing, speed, np.ones_like(speed)]), stretch.error - linear
