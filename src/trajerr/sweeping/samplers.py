"""Samplers as a study of many workers needs them: seeded, and told about the space.

A study makes a sampler for each trial. What a sampler has to keep is in the study's database.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, GridSampler, QMCSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from trajerr.errors import ConfigError


class WholeGrid(GridSampler):
    """Every combination once; the study counts its trials itself, and ends by that."""

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Leave the end to the study."""


@dataclass(frozen=True)
class Sampling:
    """How trials are drawn."""

    make: Callable[..., BaseSampler]  # takes ``seed`` where it takes one
    seed: int | None  # of the whole study; None: a new one each time
    by_trial: bool  # whether each trial has a seed of its own
    at_most: int | None  # trials that there are to draw; None: any number


def sampling(sampler: object, seed: int | None, space: Mapping[str, BaseDistribution]) -> Sampling:
    """Return how trials of a space are drawn.

    Parameters
    ----------
    sampler
        What a config describes: a class with its arguments, to be called (``_partial_``), or a
        sampler that has been made.
    seed
        Of the study, unless the sampler states its own.
    space
        Distributions by parameter.

    Raises
    ------
    ConfigError
        It is no sampler, or a grid of what has no steps.
    """
    if isinstance(sampler, BaseSampler):
        return Sampling(lambda **_: sampler, None, by_trial=False, at_most=None)
    if not callable(sampler):
        raise ConfigError(f"hydra.sweeper.sampler: got {sampler}, expected one of Optuna's")
    kind: Any = sampler
    given = dict[str, Any]()
    if isinstance(sampler, partial):
        kind, given = sampler.func, dict(sampler.keywords)
    own = given.pop("seed", None)
    seed = seed if own is None else own
    if not (inspect.isclass(kind) and issubclass(kind, BaseSampler)):
        return Sampling(sampler, seed, by_trial=True, at_most=None)
    if issubclass(kind, GridSampler):
        grid = {key: _points(key, among) for key, among in space.items()}
        size = 1
        for points in grid.values():
            size *= len(points)
        made = partial(WholeGrid, search_space=grid, **given)
        return Sampling(made, seed or 0, by_trial=False, at_most=size)
    # a sequence that is even has one seed
    return Sampling(partial(kind, **given), seed, not issubclass(kind, QMCSampler), None)


def _points(key: str, among: BaseDistribution) -> list[Any]:
    if isinstance(among, CategoricalDistribution):
        return list(among.choices)
    if isinstance(among, IntDistribution):
        return list(range(among.low, among.high + 1, among.step))
    if isinstance(among, FloatDistribution) and among.step is not None:
        count = round((among.high - among.low) / among.step) + 1
        return [among.low + among.step * index for index in range(count)]
    raise ConfigError(
        f"hydra.sweeper.params.{key}: got an interval, expected choices or steps for a grid"
    )
