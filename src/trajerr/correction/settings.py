"""What to correct, how, and within which bounds."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Self

from trajerr.checks import (
    require,
    require_count,
    require_from_zero,
    require_one_of,
    require_positive,
)
from trajerr.correction.boards import check_board
from trajerr.correction.pieces import EmissionSettings
from trajerr.gcode.program import WALLS, FeatureType
from trajerr.shipped import fields_of, shipped

PROBED = 1.5  # of the band
METHODS = ("inverse", "subtract", "twin")


@dataclass(frozen=True)
class Band:
    """What frequencies a correction has to do with."""

    hz: float  # above which it fades out
    probed_hz: float  # up to which the model is asked how the nozzle answers


@dataclass(frozen=True)
class LearningSettings:
    """How to iterate.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    gain: float  # share of the learning filter's change that the first iteration takes
    planned_gain: float  # and the first on the moves, whose plans answer less smoothly
    band_hz: float | None  # above which a correction fades out; None: as far as the model knows
    probe_hz: float | None  # up to which the model is asked how the nozzle answers; None: 1.5 times
    iterations: int  # at most, on the trajectory
    planned_iterations: int  # at most, on the moves that will be written, planner in the loop
    patience: int  # iterations without progress after which a window is done
    soft_weight: float  # of a printer whose natural frequency is lower by `spread`
    stiff_weight: float  # of one whose natural frequency is higher; the modelled has 1
    spread: float  # relative change of natural frequency
    lead_out_s: float  # motion after it that the iteration looks ahead into
    batch: int  # layers predicted at a time, fewer if they are long
    threads: int  # at work on them

    def __post_init__(self) -> None:
        for key in ("gain", "planned_gain"):
            value = getattr(self, key)
            require(f"learning.{key}", value, 0.0 < value <= 1.0, "above 0, up to 1")
        for key in ("band_hz", "probe_hz"):
            require_positive(f"learning.{key}", getattr(self, key), or_null=True)
        for key in ("iterations", "patience", "batch"):
            require_count(f"learning.{key}", getattr(self, key))
        require_count("threads", self.threads)
        require_count("learning.planned_iterations", self.planned_iterations, at_least=0)
        require("learning.spread", self.spread, 0.0 < self.spread < 0.5, "above 0, below 0.5")
        for key in ("lead_out_s", "soft_weight", "stiff_weight"):
            require_from_zero(f"learning.{key}", getattr(self, key))

    @classmethod
    def shipped(cls, **changes: float) -> Self:
        """Return what ``conf/correct.yaml`` says, with changes."""
        plain = shipped("correct")
        return cls(**{**fields_of(cls, {**plain, **plain["learning"]}), **changes})

    def within(self, known_hz: float) -> Band:
        """Return the band of a correction by a model whose answers are known up to a frequency."""
        band = self.band_hz or known_hz
        return Band(band, self.probe_hz or PROBED * band)

    @property
    def family(self) -> tuple[tuple[float, float], ...]:
        """(Factor on stiffness, weight) of the printers that are aimed at beside the modelled."""
        pairs = (
            ((1.0 - self.spread) ** 2, self.soft_weight),
            ((1.0 + self.spread) ** 2, self.stiff_weight),
        )
        return tuple(pair for pair in pairs if pair[1] > 0.0)


@dataclass(frozen=True)
class CorrectionSettings:
    """What to correct, how, and within which bounds.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    method: str  # twin is inverse by a simulated printer instead of a network
    feature_types: Collection[int]
    layers: Collection[int] | None  # None: all
    max_correction_mm: float
    fade_s: float  # how long a correction fades in travels beside walls
    least_improvement: float  # of the predicted contour error; below, nothing is written
    board: str | None  # of BOARDS: what it takes bounds the correction; None: nothing does
    learning: LearningSettings
    emission: EmissionSettings

    def __post_init__(self) -> None:
        check_method(self.method)
        check_board(self.board)
        for key, low in (("max_correction_mm", 0.0), ("fade_s", 0.025)):
            require_positive(key, getattr(self, key))
            require(key, getattr(self, key), getattr(self, key) > low, f"above {low:g}")

    def emission_for(self, known_hz: float) -> EmissionSettings:
        """Return how to write what a model whose answers are known up to a frequency corrects."""
        return self.emission.for_band(self.learning.within(known_hz).hz)

    @classmethod
    def shipped(cls, **changes: Any) -> Self:  # noqa: ANN401 - of any field
        """Return what ``conf/correct.yaml`` says, all layers, with changes."""
        plain = shipped("correct")
        values = fields_of(cls, plain) | {
            "feature_types": feature_numbers(plain["feature_types"]),
            "layers": None,
            "learning": LearningSettings.shipped(),
            "emission": EmissionSettings.shipped(),
        }
        return cls(**{**values, **changes})


def check_method(method: str) -> None:
    """Refuse what is none of :data:`METHODS`.

    Raises
    ------
    ConfigError
        Naming the key.
    """
    require_one_of("method", method, METHODS)


def feature_numbers(names: str | Sequence[str]) -> frozenset[int]:
    """Return the numbers of ``walls``, or of one or several names of :class:`FeatureType`.

    Raises
    ------
    ConfigError
        There is no feature of a name.
    """
    if names == "walls":
        return frozenset(int(f) for f in WALLS)
    wanted = [names] if isinstance(names, str) else list(names)
    known = {f.name.lower(): int(f) for f in FeatureType}
    for name in wanted:
        if name not in known:
            require("feature_types", name, False, f"some of {', '.join(['walls', *known])}")
    return frozenset(known[name] for name in wanted)
