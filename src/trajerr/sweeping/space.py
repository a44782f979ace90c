"""The space that a study searches, in Hydra's own words for sweeps.

``interval(a, b)`` is a range of real numbers, ``int(interval(a, b))`` of whole ones,
``tag(log, interval(a, b))`` the same in logarithms, ``range(a, b, step)`` steps below b,
``choice(a, b, …)`` or ``a,b,…`` a choice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from trajerr.checks import require

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Space:
    """What a study varies, and what all its runs have in common."""

    distributions: Mapping[str, BaseDistribution]
    fixed: Sequence[str]  # overrides
    texts: Mapping[str, Mapping[Scalar, str]] = field(default_factory=dict)  # of choices

    def overrides(self, params: Mapping[str, Any]) -> list[str]:
        """Return the overrides that give a run these values."""
        varied = [f"{key}={self._text(key, value)}" for key, value in params.items()]
        return [*self.fixed, *varied]

    def _text(self, key: str, value: Scalar) -> str:
        return self.texts[key][value] if key in self.texts else repr(value)

    @property
    def digest(self) -> str:
        """Eight letters that another space would not have."""
        said = [f"{key}={distribution!r}" for key, distribution in self.distributions.items()]
        return sha256("\n".join(sorted(said)).encode()).hexdigest()[:8]


def parse_space(
    params: Mapping[str, str], arguments: Sequence[str], may_be_empty: bool = False
) -> Space:
    """Read a space from a config's entries and a command line, which has the last word.

    Raises
    ------
    ConfigError
        An entry is not a sweep that can be searched, or none is.
    """
    stated = [f"{key}={value}" for key, value in params.items()]
    parsed = OverridesParser.create().parse_overrides([*stated, *arguments])
    by_key = {override.get_key_element(): override for override in parsed}
    swept = {key: o for key, o in by_key.items() if o.is_sweep_override()}
    expected = "something to search, e.g. model.optimizer.lr='tag(log, interval(1e-5, 1e-3))'"
    require("hydra.sweeper.params", stated, len(swept) > 0 or may_be_empty, expected)
    return Space(
        distributions={key: _distribution(key, override) for key, override in swept.items()},
        fixed=[
            f"{key}={override.get_value_element_as_str()}"
            for key, override in by_key.items()
            if key not in swept
        ],
        texts={
            key: dict(zip(_choices(override), override.sweep_string_iterator(), strict=True))
            for key, override in swept.items()
            if override.is_choice_sweep()
        },
    )


def _distribution(key: str, override: Override) -> BaseDistribution:
    value: Any = override.value()
    if isinstance(value, IntervalSweep):
        return _interval(key, value)
    if isinstance(value, RangeSweep):
        return _range(key, value)
    return CategoricalDistribution(_choices(override))


def _interval(key: str, sweep: IntervalSweep) -> BaseDistribution:
    log = "log" in sweep.tags
    ends = [end for end in (sweep.start, sweep.end) if end is not None]
    holds = len(ends) == 2 and ends[0] < ends[1] and (ends[0] > 0 or not log)
    expected = f"two ends of an interval, the lower first{' and above 0' if log else ''}"
    require(f"hydra.sweeper.params.{key}", [sweep.start, sweep.end], holds, expected)
    low, high = ends
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)


def _range(key: str, sweep: RangeSweep) -> BaseDistribution:
    stated = (sweep.start, sweep.stop, sweep.step)
    numbers = [number for number in stated if number is not None]
    holds = len(numbers) == 3 and numbers[0] < numbers[1] and numbers[2] > 0
    expected = "start, stop and step of a range, the lower end first and the step above 0"
    require(f"hydra.sweeper.params.{key}", stated, holds, expected)
    start, stop, step = numbers
    if all(isinstance(value, int) for value in (start, stop, step)):
        return IntDistribution(int(start), int(stop) - 1, step=int(step))
    return FloatDistribution(start, stop, step=step)


def _choices(override: Override) -> list[Any]:
    return list(override.sweep_iterator(transformer=_plain))


def _plain(value: Any) -> Any:  # noqa: ANN401 - what Hydra's grammar yields
    """Return quoted strings as strings and groups or lists as their text."""
    text = getattr(value, "text", value)
    return text if isinstance(text, str | int | float | bool | None) else str(text)
