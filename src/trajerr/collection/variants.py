"""Variants of a layer: how fast it is printed, and how its command is changed beforehand.

A correction drives the printer along commands that no slicer writes: slightly off the nominal
path, so that the actual one is on it. A model that shall judge such commands must have seen
some, so a share of a collection is perturbed or pre-compensated.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from scipy.fft import next_fast_len

from trajerr.arrays import Floats
from trajerr.checks import is_number, require
from trajerr.dynamics.plant import ActualMotion, decimate, simulate
from trajerr.dynamics.printer import Printer
from trajerr.inversion.least_squares import Freedom, LowPass
from trajerr.inversion.response import measure
from trajerr.inversion.search import Search
from trajerr.motion.trajectory import Trajectory

Kind = Literal["nominal", "perturbed", "precompensated"]
KINDS: tuple[str, ...] = get_args(Kind)

DEVIATION_MM = (0.05, 0.2)  # RMS per axis of a perturbation, the range that errors have
DEVIATION_BAND_HZ = 45.0  # about twice the soft study's natural frequencies
DEVIATION_CORNER_HZ = 6.0  # from here on a perturbation falls with 1/f, as a correction does
ITERATIONS = (1, 16)  # from the first to nearly converged
LEARNING_RATE_HZ = 200.0  # of the grid on which it is learned: three times its band
BAND_HZ, GAIN = 60.0, 0.7  # as conf/correct.yaml has them
CHANGE_GRID_HZ = 1000.0  # more than ten times what a change holds
FADE_S = 0.25  # a change of the command grows from zero within this time


@dataclass(frozen=True)
class Variant:
    """One way of printing a layer.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    acceleration_scale: float = 1.0  # multiplies all accelerations
    speed_scale: float = 1.0  # multiplies all feedrates
    kind: Kind = "nominal"
    placed: bool = False  # turned and elsewhere on the bed
    every: int = 1  # only every so many of the chosen layers ...
    start: int = 0  # ... beginning with this one, from 0

    def __post_init__(self) -> None:
        for key in ("acceleration_scale", "speed_scale"):
            value = getattr(self, key)
            _require(key, value, is_number(value) and 0.0 < value <= 100.0, "above 0, up to 100")
        _require("kind", self.kind, self.kind in KINDS, " or ".join(KINDS))
        _require("every", self.every, isinstance(self.every, int) and self.every >= 1, "1 or more")
        _require("placed", self.placed, isinstance(self.placed, bool), "true or false")
        inside = isinstance(self.start, int) and 0 <= self.start < self.every
        _require("start", self.start, inside, f"0 to {self.every} - 1")

    @property
    def name(self) -> str:
        """Short text that tells the variant apart, fit for a file's name."""
        scales = f"a{self.acceleration_scale:g}_v{self.speed_scale:g}"
        words = [scales, self.kind if self.kind != "nominal" else "", "placed" * self.placed]
        return "_".join(word for word in words if word)

    @property
    def scales(self) -> tuple[float, float]:
        """Acceleration and speed scale: what a plan depends on."""
        return self.acceleration_scale, self.speed_scale

    def takes(self, index: int) -> bool:
        """Whether the chosen layer at this place (from 0) is printed in this variant."""
        return index % self.every == self.start


def parse_variants(values: Sequence[Mapping[str, Any]]) -> tuple[Variant, ...]:
    """Build variants from plain mappings.

    Raises
    ------
    ConfigError
        If there is none, two are alike, a key is unknown or a value is out of range.
    """
    known = [f.name for f in fields(Variant)]
    for value in values:
        unknown = [key for key in value if key not in known] if _is_mapping(value) else [value]
        _require("key", unknown[0] if unknown else None, not unknown, ", ".join(known))
    variants = tuple(Variant(**value) for value in values)
    _require("list", list(values), len(variants) > 0, "at least one variant")
    names = [variant.name for variant in variants]
    twice = [name for name in names if names.count(name) > 1]
    _require("list", twice, not twice, "variants that differ")
    return variants


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _require(key: str, value: object, holds: bool, expected: str) -> None:
    require(f"variants {key}", value, holds, expected)


Params = dict[str, str | float]
Change = Callable[[Printer, Trajectory, int], tuple[Floats, Params]]
Pieces = Callable[[], Iterable[Trajectory]]


def command(
    variant: Variant, printer: Printer, pieces: Pieces, seed: int
) -> tuple[Iterable[Trajectory], Params]:
    """Return what is commanded in a variant, and the parameters that describe the change.

    Parameters
    ----------
    variant
        Its kind decides.
    printer
        The plant, on which a pre-compensation learns.
    pieces
        Returns the planned trajectory, sampled finely, in pieces that follow one on the other;
        it is called twice, so that a long trajectory need not be held in memory.
    seed
        Of the perturbation, or of how far the pre-compensation got.
    """
    if variant.kind == "nominal":
        return pieces(), {}
    coarse = Trajectory.joined([_thinned(piece) for piece in pieces()])
    change, params = _CHANGES[variant.kind](printer, coarse, seed)
    return _shifted(pieces(), coarse, change), params


def _perturb(printer: Printer, coarse: Trajectory, seed: int) -> tuple[Floats, Params]:
    random = np.random.default_rng(seed)
    level = float(np.exp(random.uniform(*np.log(DEVIATION_MM))))
    drift = level * smooth_noise(random, len(coarse), coarse.sample_rate)
    return drift * fade_in(coarse)[:, None], {"deviation_rms_mm": level}


def _precompensate(printer: Printer, nominal: Trajectory, seed: int) -> tuple[Floats, Params]:
    """Change the command as a correction does, by iterative learning on the plant for a while.

    The same search that corrects (:mod:`trajerr.inversion`), begun anew and left off between
    its first iteration and where it has nearly converged.
    """
    random = np.random.default_rng(seed)
    low, high = np.log(ITERATIONS[0]), np.log(ITERATIONS[1] + 1)
    iterations = int(np.exp(random.uniform(low, high)))
    every = max(1, round(nominal.sample_rate / LEARNING_RATE_HZ))
    rate = nominal.sample_rate / every
    wanted = nominal.position[::every]
    free = np.ones(len(wanted), dtype=np.bool_)
    freedom = Freedom(fade_in(nominal)[::every], free, np.full(len(wanted), -1))
    plant = printer.without("jitter")  # which no learning makes up for

    def predict(commands: Sequence[Floats]) -> list[Floats]:
        fine = (_between(command[:, :2], every, len(nominal)) for command in commands)
        return [simulate(plant, nominal.with_xy(xy), seed=seed).xy[::every] for xy in fine]

    (response,) = measure(predict, [wanted], rate, BAND_HZ, seed)
    search = Search(response, freedom, LowPass(BAND_HZ, rate, len(wanted)), GAIN)
    change = np.zeros((len(wanted), 2))
    for _ in range(iterations):
        (actual,) = predict([wanted[:, :2] + change])
        error = actual - wanted[:, :2]
        search.note(change, error, float(np.sqrt(np.mean(error**2))))
        change = search.next()
    return _between(change, every, len(nominal)), {"iterations": float(iterations)}


def _between(values: Floats, every: int, count: int) -> Floats:
    """Return (count, 2) values on a grid that is finer by a whole number, straight in between."""
    fine, coarse = np.arange(count), np.arange(len(values)) * every
    return np.column_stack([np.interp(fine, coarse, column) for column in values.T])


def _shifted(
    pieces: Iterable[Trajectory], coarse: Trajectory, change: Floats
) -> Iterator[Trajectory]:
    """Yield pieces moved by a change (M, 2) mm that is known on a coarser grid."""
    for piece in pieces:
        fine = [np.interp(piece.time, coarse.time, column) for column in change.T]
        yield piece.with_xy(piece.position[:, :2] + np.column_stack(fine))


def _thinned(trajectory: Trajectory) -> Trajectory:
    """Return every few samples: changes of a command are slow against the plant's grid."""
    every = max(1, int(trajectory.sample_rate / CHANGE_GRID_HZ))
    rest = ActualMotion(trajectory.position[:, :2], None)
    return decimate(trajectory, rest, trajectory.sample_rate / every)[0]


_CHANGES: dict[str, Change] = {
    "perturbed": _perturb,
    "precompensated": _precompensate,
}


def smooth_noise(random: np.random.Generator, count: int, sample_rate: float) -> Floats:
    """Return (count, 2) band-limited noise with unit RMS; its spectrum falls like a correction's.

    Parameters
    ----------
    random
        Where the numbers come from.
    count
        Samples.
    sample_rate
        Hz.
    """
    # At least a second, so that there are bins to shape; no large prime, so that it is fast.
    length = next_fast_len(max(count, int(sample_rate)), real=True)
    frequency = np.fft.rfftfreq(length, 1.0 / sample_rate)
    used = (frequency > 0.0) & (frequency <= DEVIATION_BAND_HZ)
    weight = 1.0 / np.hypot(1.0, frequency[used] / DEVIATION_CORNER_HZ)
    spectrum = np.zeros((len(frequency), 2), dtype=np.complex128)
    phases = random.standard_normal((2, int(used.sum()), 2))
    spectrum[used] = (phases[0] + 1j * phases[1]) * weight[:, None]
    noise: Floats = np.fft.irfft(spectrum, length, axis=0)[:count]
    scale = np.sqrt(np.sum(np.abs(spectrum) ** 2, axis=0) * 2.0) / length
    noise /= scale
    return noise


def fade_in(trajectory: Trajectory) -> Floats:
    """Return (N,) a weight that grows smoothly from 0 to 1 at the trajectory's beginning."""
    time = np.arange(len(trajectory)) / trajectory.sample_rate
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.minimum(time / FADE_S, 1.0)))
