"""Which group of layers goes to which split: never one geometry to two.

Knows names and numbers, not samples. A group is one layer of one source with all its
variants; or, where whole parts are held out, all layers of one source.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from trajerr.checks import as_names, require, require_count, require_from_zero, require_one_of
from trajerr.dataset.stats import SPLITS
from trajerr.errors import DataError
from trajerr.shipped import fields_of, shipped

BY = ("layer", "part", "section")
RATIO_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class SplitSettings:
    """How to split.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    by: str  # layer | part | section (as a log's config says)
    train_ratio: float
    val_ratio: float
    test_ratio: float
    val_parts: tuple[str, ...]  # by=part: these parts, else as many as the ratio says
    test_parts: tuple[str, ...]
    seed: int

    def __post_init__(self) -> None:
        require_one_of("split.by", self.by, BY)
        object.__setattr__(self, "val_parts", as_names(self.val_parts))
        object.__setattr__(self, "test_parts", as_names(self.test_parts))
        require_count("seed", self.seed, at_least=0)
        for split, ratio in self.ratios.items():
            require_from_zero(f"{split}_ratio", ratio)
        ratios = (self.train_ratio, self.val_ratio, self.test_ratio)
        holds = abs(sum(ratios) - 1.0) <= RATIO_SUM_TOLERANCE
        require("train_ratio, val_ratio, test_ratio", ratios, holds, "a sum of 1")
        named = bool(self.val_parts or self.test_parts)
        wanted = "part, as split.val_parts or split.test_parts are given"
        require("split.by", self.by, self.by == "part" or not named, wanted)
        apart = set(self.val_parts).isdisjoint(self.test_parts)
        wanted = f"none of split.val_parts, {', '.join(self.val_parts)}"
        require("split.test_parts", self.test_parts, apart, wanted)

    @classmethod
    def shipped(cls, **changes: Any) -> Self:  # noqa: ANN401 - of any field
        """Return what ``conf/prepare.yaml`` says, with changes."""
        plain = shipped("prepare")
        return cls(**{**fields_of(cls, {**plain, **plain["split"]}), **changes})

    @property
    def ratios(self) -> dict[str, float]:
        """The share of each split."""
        return dict(zip(SPLITS, (self.train_ratio, self.val_ratio, self.test_ratio), strict=True))

    @property
    def wanted(self) -> tuple[str, ...]:
        """The splits that must not be empty."""
        named = {"val": self.val_parts, "test": self.test_parts}
        return tuple(s for s, ratio in self.ratios.items() if ratio > 0.0 or named.get(s))


@dataclass(frozen=True, order=True)
class Group:
    """What must stay together: one layer of one source."""

    source: str
    layer: int


def canonical_sources(names: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Map each part's name to one name for all parts that share a source file.

    Parameters
    ----------
    names
        Pairs of part and sha256 of its source; "" where that is unknown.

    Returns
    -------
    dict
        By part, the alphabetically first part of those connected by equal sources.
    """
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        parents.setdefault(name, name)
        while parents[name] != name:
            name = parents[name]
        return name

    pairs = sorted(set(names))
    for part, sha256 in pairs:
        first, second = root(f"part:{part}"), root(f"file:{sha256}" if sha256 else f"part:{part}")
        parents[max(first, second)] = min(first, second)
    members: dict[str, list[str]] = {}
    for part, _ in pairs:
        members.setdefault(root(f"part:{part}"), []).append(part)
    return {part: min(found) for found in members.values() for part in found}


def assign_splits(groups: Collection[Group], settings: SplitSettings) -> dict[Group, str]:
    """Assign each group to a split, depending on the seed and on no order.

    By layer, the ratios count layers, and each split draws from the sources in turn, so
    that a small split still sees as many sources as it can.

    Raises
    ------
    DataError
        There are too few groups to fill the splits, or a named part does not exist.
    """
    unique = sorted(set(groups))
    if settings.by == "part":
        chosen = _assign_parts(sorted({g.source for g in unique}), settings)
        assigned = {group: chosen[group.source] for group in unique}
    else:
        order = _in_turn(unique, settings.seed)
        assigned = dict(zip(order, _fill(len(order), settings.ratios, "layers"), strict=True))
    return assigned


def require_filled(counts: Mapping[str, int], settings: SplitSettings) -> None:
    """Refuse splits that would be empty.

    Raises
    ------
    DataError
        A wanted split has no window, or training, by which all are scaled, has none.
    """
    if not counts.get("train") and "train" not in settings.wanted:
        raise DataError(
            "split train would hold no window, and all of them are scaled by it; "
            "give it some layers by train_ratio"
        )
    empty = [split for split in settings.wanted if not counts.get(split)]
    if empty:
        raise DataError(
            f"split {' and '.join(empty)} would hold no window; "
            "add layers, lower sequence_length, or set its ratio to 0"
        )


def _assign_parts(parts: list[str], settings: SplitSettings) -> dict[str, str]:
    """Named parts go where they are named; the ratios draw from the others."""
    named = dict.fromkeys(settings.val_parts, "val") | dict.fromkeys(settings.test_parts, "test")
    unknown = sorted(named.keys() - set(parts))
    if unknown:
        raise DataError(f"split names parts {unknown}, but the data has {parts}")
    free = sorted(set(parts) - named.keys(), key=lambda part: _rank(settings.seed, part))
    ratios = {s: 0.0 if s in named.values() else r for s, r in settings.ratios.items()}
    return named | dict(zip(free, _fill(len(free), ratios, "parts"), strict=True))


def _in_turn(groups: list[Group], seed: int) -> list[Group]:
    """Order groups at random, one of each source before the second of any.

    Within a source the order depends on the layers' numbers and not on the source's name:
    the same files in a folder of another name are split alike.
    """
    by_source: dict[str, list[Group]] = {}
    for group in sorted(groups, key=lambda g: _rank(seed, f"layer {g.layer}")):
        by_source.setdefault(group.source, []).append(group)
    turn = {g: i for found in by_source.values() for i, g in enumerate(found)}
    return sorted(groups, key=lambda g: (turn[g], _rank(seed, f"turn {turn[g]} {g.source}")))


def _fill(count: int, ratios: Mapping[str, float], what: str) -> list[str]:
    """Return ``count`` splits: test first, then val, then train; the last takes the rest."""
    wanted = [split for split in reversed(SPLITS) if ratios[split] > 0.0]
    if count < len(wanted):
        raise DataError(
            f"{count} {what} cannot fill {len(wanted)} splits ({', '.join(reversed(wanted))}); "
            "add data or set a ratio to 0"
        )
    filled: list[str] = []
    for others, split in zip(range(len(wanted) - 1, -1, -1), wanted, strict=True):
        left = count - len(filled)
        share = max(1, round(ratios[split] * count)) if others else left
        filled += [split] * min(share, left - others)
    return filled


def _rank(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
