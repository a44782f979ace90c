"""An axis from the acceleration of a print: least squares of spectra, and how sure they are.

The simulated acceleration is compared with the felt one in segments of a few seconds, over the
band where the sensor follows the command, each bin weighed by what the fit leaves there. The
search starts from the linear response that the spectra show. Where that band ends below the
resonance, natural frequency and damping are those of the peak that was felt. Intervals are from
leaving out one block of segments after the other (jackknife of the linearised fit).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.optimize import OptimizeResult, least_squares

from trajerr.arrays import Floats
from trajerr.calibration.print_model import (
    FINER,
    FIRST,
    HIGHEST,
    LOGARITHMIC,
    LOWEST,
    SCALES,
    SECOND,
    SENSOR,
    AxisModel,
    Values,
    axis_of,
    values_of,
)
from trajerr.calibration.print_peak import Peak, find_peak
from trajerr.calibration.print_spectra import Spectra, coherence, coherent_band
from trajerr.calibration.uncertainty import Estimate, quantile
from trajerr.dynamics.axis import frequency_response
from trajerr.errors import DataError

START_HZ = np.geomspace(12.0, 110.0, 14)
START_DAMPING = (0.05, 0.15)
SECOND_STARTS = (1.3, 1.7, 2.2, 3.0)  # times the first mode's frequency
SMOOTHED_BINS = 9  # over which noise is averaged
ROUNDS = 2  # of weighing, each with a search
BRIEFLY, AT_LENGTH = 3, 8  # evaluations
TOLERANCE = 1e-4
BLOCKS = 12  # of segments, left out one after the other
LEAST_EXPLAINED = 0.3  # share of the felt power within the band
LARGEST_SPREAD = 0.1  # of the natural frequency
CLEARLY = 4.0  # standard errors by which a second mode has to lower what is left
LEAST_LINEAR = 0.03  # share of what is left that a filter must explain to look for a second mode
NOTABLY = 0.01  # and by which share
BEYOND = 1.1  # times a peak's frequency, up to which a band has to reach to tell the resonance


@dataclass(frozen=True)
class FittedAxis:
    """One axis as a recorded print shows it; B bins."""

    values: Values  # at their best
    estimates: Mapping[str, Estimate]
    replicates: Mapping[str, Floats]  # of each value, one for each block left out
    frequency: Floats  # (B,) Hz, of the fitted band
    measured: Floats  # (B,) (mm/s²)²/Hz
    modelled: Floats  # (B,) the same
    left: Floats  # (B,) the same, of the difference
    coherence: Floats  # (B,) of felt and modelled
    from_peak: bool  # natural frequency and damping are those of the peak that was felt

    @property
    def explained(self) -> float:
        """Share of the felt power that the model explains."""
        return 1.0 - float(self.left.sum() / self.measured.sum())

    @property
    def second_mode(self) -> bool:
        """Whether the spectrum shows a second mode."""
        return SECOND[0] in self.values


def fit_axis(
    model: AxisModel,
    felt: Spectra,
    where: str,
    *,
    viscous: bool,
    second_mode: bool,
    before: FittedAxis | None = None,
) -> FittedAxis:
    """Fit one axis.

    Parameters
    ----------
    model
        The axis under the command.
    felt : (S, B)
        What the sensor showed, mm/s².
    where
        For messages.
    viscous, second_mode
        Whether these are looked for.
    before
        A fit to start from, whose second mode is kept, or its lack.

    Raises
    ------
    DataError
        The model does not describe the axis, or the frequency stays unknown.
    """
    names = [n for n in FIRST if viscous or n != "drag_share"]
    problem = _Problem(model, felt)
    start = problem.start() if before is None else before.values
    near, frequency = start["natural_freq_hz"], model.segments.frequency
    problem = problem.within(start, where)
    peak = find_peak(frequency, felt, near) if problem.ends_below(near) else None
    if peak is not None and not problem.ends_below(peak.natural_freq_hz):
        peak = None
    if peak is not None:
        best = problem.with_peak(start, peak)
    elif before is not None:
        own = [*names, *(SECOND if before.second_mode else ()), *SENSOR]
        best = problem.refine(start, own)
    else:
        best = problem.refine(start, [*names, *SENSOR])
        if second_mode and problem.shows_more(best[0]):
            best = problem.with_second(start, best, names) or best
    result = problem.result(*best, peak)
    if result.explained < LEAST_EXPLAINED:
        raise DataError(
            f"{where}: the axis model explains {100.0 * result.explained:.0f} % of what the sensor"
            f" felt, expected {100.0 * LEAST_EXPLAINED:.0f} % or more; is this its axis?"
        )
    natural = result.estimates["natural_freq_hz"]
    if natural.spread > LARGEST_SPREAD:
        raise DataError(
            f"{where}: the print does not tell the natural frequency: {natural.low:.3g} to "
            f"{natural.high:.3g} Hz; it needs more corners, or faster ones"
        )
    return result


Fit = tuple[Values, Sequence[str]]


@dataclass(frozen=True)
class _Problem:
    model: AxisModel
    felt: Spectra  # (S, B)

    def start(self) -> Values:
        """Return the best of the base's values and the linear response's, briefly fitted."""
        base = values_of(self.model.own, friction=self.model.base.has("friction"))
        sensor = {"time_s": 0.0, "gain": 1.0, "leak": 0.0}
        linear = self._linear()
        rubbing = base["friction_mm_s2"]
        candidates = [
            base | sensor,
            linear | {"friction_mm_s2": 0.3 * rubbing},
            linear | {"friction_mm_s2": rubbing},
        ]
        names = [*FIRST, *SENSOR]
        tried = [self._search(v, names, self._flat(), BRIEFLY) for v in candidates]
        return min(tried, key=lambda pair: float(pair[1].cost))[0]

    def refine(self, values: Values, names: Sequence[str]) -> Fit:
        """Search and weigh in turn."""
        values = values | ({} if "drag_share" in names else {"drag_share": 0.0})
        for _ in range(ROUNDS):
            noise = self._noise(self.felt - self.model.predict(values))
            values, _ = self._search(values, names, noise, AT_LENGTH)
        return values, names

    def within(self, values: Values, where: str) -> "_Problem":
        """Return the problem over the band where the sensor follows what values predict."""
        segments = self.model.segments
        shares = coherence(self.model.predict(values), self.felt)
        low, high = coherent_band(segments.frequency, shares, where)
        inside = (segments.frequency >= low) & (segments.frequency <= high)
        other = self.model.other[:, inside]
        narrow = replace(self.model, segments=segments.within(low, high), other=other)
        return _Problem(narrow, self.felt[:, inside])

    def ends_below(self, natural_freq_hz: float) -> bool:
        """Whether the band ends too low to tell a resonance."""
        return float(self.model.segments.frequency[-1]) < BEYOND * natural_freq_hz

    def with_peak(self, start: Values, peak: Peak) -> Fit:
        """Return the fit of friction and sensor to a resonance that is the peak's.

        Below a resonance, viscous friction against the ground cannot be told from a delay.
        """
        told = {"natural_freq_hz": peak.natural_freq_hz, "damping_ratio": peak.damping_ratio}
        first = {name: value for name, value in start.items() if name not in SECOND}
        return self.refine(first | told, ["friction_mm_s2", *SENSOR])

    def shows_more(self, values: Values) -> bool:
        """Whether a linear filter behind the model would explain much of what it leaves.

        As a second mode would. By chance a filter explains one part in as many as it is averaged
        over.
        """
        predicted = self.model.predict(values)
        left = self.felt - predicted
        power = uniform_filter1d(np.sum(np.abs(predicted) ** 2, axis=0), SMOOTHED_BINS)
        cross = np.sum(np.conj(predicted) * left, axis=0)
        mean = uniform_filter1d(cross.real, SMOOTHED_BINS) + 1j * uniform_filter1d(
            cross.imag, SMOOTHED_BINS
        )
        filtered = left - mean / power * predicted
        noise = self._noise(left)
        share = 1.0 - float(
            np.sum(np.abs(filtered) ** 2 / noise) / np.sum(np.abs(left) ** 2 / noise)
        )
        return share > LEAST_LINEAR + 2.0 / (len(left) * SMOOTHED_BINS)

    def with_second(self, start: Values, before: Fit, names: Sequence[str]) -> Fit | None:
        """Return a fit with a second mode, where it leaves clearly less than one without.

        It is sought from the start's values: without a second mode a search may have gone far
        off to make up for it.
        """
        wanted = [*names, *SECOND, *SENSOR]
        tried = []
        for values, times in product((start, before[0]), SECOND_STARTS):
            frequency = min(times * values["natural_freq_hz"], 0.9 * HIGHEST[SECOND[0]])
            second = dict(zip(SECOND, (frequency, 0.05, 0.1), strict=True))
            first = values | second | {"time_s": 0.0, "gain": 1.0}
            tried.append(self._search(first, wanted, self._flat(), BRIEFLY))
        fit = self.refine(min(tried, key=lambda pair: float(pair[1].cost))[0], wanted)
        left = self.felt - self.model.predict(fit[0])
        noise = self._noise(left)
        without = self.felt - self.model.predict(before[0])
        costs = [np.sum(np.abs(each) ** 2 / noise, axis=1) for each in (without, left)]
        gained = costs[0] - costs[1]
        error = float(np.std(gained)) * math.sqrt(2.0 / len(gained))  # segments overlap by half
        clear = float(gained.mean()) > CLEARLY * error
        return fit if clear and gained.mean() > NOTABLY * costs[0].mean() else None

    def result(self, values: Values, names: Sequence[str], peak: Peak | None) -> FittedAxis:
        predicted = self.model.predict(values)
        left = self.felt - predicted
        replicates = self._replicates(values, names, left)
        replicates |= {} if peak is None else peak.replicates
        density = self.model.segments.density_scale
        powers = (density * np.mean(np.abs(s) ** 2, axis=0) for s in (self.felt, predicted, left))
        measured, modelled, remaining = powers
        return FittedAxis(
            values,
            _estimates(values, replicates),
            replicates,
            self.model.segments.frequency,
            measured,
            modelled,
            remaining,
            coherence(predicted, self.felt),
            peak is not None,
        )

    def _flat(self) -> Floats:
        """Return (B,) weights to begin with: a tenth of the felt power."""
        return 0.1 * self._noise(self.felt)

    def _noise(self, left: Spectra) -> Floats:
        """Return the (B,) power of what is left, averaged over segments and near bins."""
        power = np.mean(np.abs(left) ** 2, axis=0)
        smooth: Floats = uniform_filter1d(power, SMOOTHED_BINS)
        return np.maximum(smooth, 1e-12 * float(np.mean(np.abs(self.felt) ** 2)))

    def _search(
        self, values: Values, names: Sequence[str], noise: Floats, evaluations: int
    ) -> tuple[Values, OptimizeResult]:
        weight = 1.0 / np.sqrt(noise)

        def residual(q: Floats) -> Floats:
            now = values | unpacked(q, names)
            return _real((self.model.predict(now) - self.felt) * weight)

        def jacobian(q: Floats) -> Floats:
            now = values | unpacked(q, names)
            slopes = self.model.derivatives(now, names)
            return np.column_stack([_real(slope * weight) for slope in slopes])

        low = packed(LOWEST, names)
        high = packed(HIGHEST, names)
        start = np.clip(packed(values, names), low + 1e-6, high - 1e-6)
        scale = np.array([SCALES[name] for name in names])
        found = least_squares(
            residual,
            start,
            jac=jacobian,
            bounds=(low, high),
            x_scale=scale,
            ftol=TOLERANCE,
            xtol=TOLERANCE,
            max_nfev=evaluations,
        )
        return values | unpacked(found.x, names), found

    def _replicates(self, values: Values, names: Sequence[str], left: Spectra) -> dict[str, Floats]:
        """Return each value as it would be without one block of segments, linearised."""
        weight = 1.0 / np.sqrt(self._noise(left))
        scale = np.array([SCALES[name] for name in names])
        slopes = [s * weight for s in self.model.derivatives(values, names)]
        table = np.stack(slopes, axis=-1) * scale
        wanted = left * weight
        gram = np.einsum("sbp,sbq->spq", np.conj(table), table).real
        score = np.einsum("sbp,sb->sp", np.conj(table), wanted).real
        blocks = np.array_split(np.arange(len(gram)), min(BLOCKS, len(gram) // 2))
        whole, pull = gram.sum(axis=0), score.sum(axis=0)
        moved = [
            np.linalg.solve(whole - gram[b].sum(axis=0), pull - score[b].sum(axis=0))
            for b in blocks
        ]
        centre = packed(values, names)
        each = centre + scale * (np.array(moved) - np.linalg.solve(whole, pull))
        return {name: each[:, i] for i, name in enumerate(names)}

    def _linear(self) -> Values:
        """Return the linear axis whose response is nearest to the one the spectra show."""
        told = self.model.segments.of_position(self.model.command[::FINER])
        frequency = self.model.segments.frequency
        power = np.sum(np.abs(told) ** 2, axis=0)
        shown = np.sum(np.conj(told) * self.felt, axis=0) / power
        spread = np.sqrt(np.mean(np.abs(self.felt - shown * told) ** 2, axis=0) / power)
        fixed = {"drag_share": 0.0, "friction_mm_s2": 0.0, "leak": 0.0}
        names = ["natural_freq_hz", "damping_ratio", "time_s", "gain"]

        def residual(q: Floats) -> Floats:
            now = fixed | unpacked(q, names)
            response = frequency_response(axis_of(now, self.model.own), frequency)
            late = np.exp(-2j * np.pi * frequency * now["time_s"])
            return _real((now["gain"] * response * late - shown) / spread)

        starts = [[math.log(f), math.log(z), 0.0, 1.0] for f in START_HZ for z in START_DAMPING]
        found = [_bounded(residual, np.array(start), names) for start in starts]
        return fixed | unpacked(min(found, key=lambda search: float(search.cost)).x, names)


def jackknifed(value: float, each: Floats) -> Estimate:
    """Return a 95 % interval from values with one block left out each (Tukey, 1958)."""
    count = len(each)
    deviation = math.sqrt((count - 1) / count * float(np.sum((each - each.mean()) ** 2)))
    reach = quantile(count - 1.0) * deviation
    return Estimate(value, value - reach, value + reach)


def packed(values: Mapping[str, float], names: Sequence[str]) -> Floats:
    """Return (P,) what a search moves: logarithms of frequencies and damping."""
    return np.array([math.log(values[n]) if n in LOGARITHMIC else values[n] for n in names])


def unpacked(q: Floats, names: Sequence[str]) -> Values:
    """Return the values of a search's vector."""
    pairs = zip(names, q, strict=True)
    return {name: math.exp(v) if name in LOGARITHMIC else float(v) for name, v in pairs}


def _bounded(
    residual: Callable[[Floats], Floats], start: Floats, names: Sequence[str]
) -> OptimizeResult:
    """Search from a start within the values' bounds, without a plant."""
    low, high = packed(LOWEST, names), packed(HIGHEST, names)
    scale = np.array([SCALES[name] for name in names])
    inside = np.clip(start, low + 1e-6, high - 1e-6)
    return least_squares(residual, inside, bounds=(low, high), x_scale=scale, max_nfev=60)


def _real(spectra: Spectra) -> Floats:
    flat = spectra.ravel()
    return np.concatenate([flat.real, flat.imag])


def _estimates(values: Values, replicates: Mapping[str, Floats]) -> dict[str, Estimate]:
    """Return each value's interval, and that of viscous friction over mass, 1/s."""
    found = {}
    for name, each in replicates.items():
        if name in LOGARITHMIC:
            told = jackknifed(math.log(values[name]), each)
            found[name] = Estimate(*(math.exp(v) for v in (told.value, told.low, told.high)))
        else:
            told = jackknifed(values[name], each)
            low, high = LOWEST[name], HIGHEST[name]
            found[name] = Estimate(told.value, max(told.low, low), min(told.high, high))
    if "drag_share" in replicates:
        decay = [np.exp(replicates[n]) for n in ("natural_freq_hz", "damping_ratio")]
        each = replicates["drag_share"] * 4.0 * math.pi * decay[0] * decay[1]
        told = jackknifed(_viscous(values), each)
        found["viscous_per_s"] = Estimate(told.value, max(told.low, 0.0), told.high)
    return found


def _viscous(values: Values) -> float:
    """Return viscous friction over mass, d/m = share · 2ζω, 1/s."""
    decay = 4.0 * math.pi * values["natural_freq_hz"] * values["damping_ratio"]
    return values["drag_share"] * decay
