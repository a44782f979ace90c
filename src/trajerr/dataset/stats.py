"""What ``stats.json`` of a prepared folder holds: scales, splits, sources, identity.

Knows numbers and names, not tensors. Means and deviations come from the training split
alone; everything else describes all splits.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from trajerr.errors import DataError
from trajerr.files import write_atomically
from trajerr.motion.features import (
    FEATURE_UNITS,
    FEATURES,
    TARGET_UNITS,
    TARGETS,
    TEMPERATURE_UNITS,
    TEMPERATURES,
)

FILE = "stats.json"
SCHEMA_VERSION = 1
SPLITS = ("train", "val", "test")
SCALES = (
    "feature_mean",
    "feature_std",
    "target_mean",
    "target_std",
    "temperature_mean",
    "temperature_std",
)


@dataclass(frozen=True)
class SplitSummary:
    """What one split holds."""

    layers: int  # distinct (part, layer)
    sequences: int
    points: int
    windows: int  # of sequence_length at stride
    error_rms_mm: float  # of the error's magnitude
    context: int  # points of lead-in, which no other number counts
    cold: int  # sequences without a lead-in


@dataclass(frozen=True)
class Source:
    """One input file and where it went."""

    file: str
    sha256: str
    split: str
    part: str
    layer: int
    variant: str
    kind: str
    sequences: int
    points: int
    faults: Mapping[str, int] = field(default_factory=dict)  # what was found in it, counted


@dataclass(frozen=True)
class Stats:
    """Everything that ``stats.json`` says about a prepared folder."""

    sample_rate_hz: float
    sequence_length: int
    stride: int
    layout: str
    feature_mean: tuple[float, ...]  # 15, in the units of FEATURE_UNITS
    feature_std: tuple[float, ...]  # 1 where a feature never changes, so that it can divide
    target_mean: tuple[float, ...]  # 2, mm
    target_std: tuple[float, ...]
    temperature_mean: tuple[float, ...] | None  # 3, °C; None where a source has none
    temperature_std: tuple[float, ...] | None
    splits: Mapping[str, SplitSummary]
    sources: tuple[Source, ...]
    faults: Mapping[str, int]  # what was found in the sources, counted
    params: Mapping[str, str | float]  # what all sources agree on: printer, versions
    settings: Mapping[str, Any]  # what prepare was asked to do
    identity: str  # sha256 of which source is in which split, and of how it was read

    @property
    def has_temperatures(self) -> bool:
        """Whether every source has thermal targets."""
        return self.temperature_mean is not None

    @property
    def cold(self) -> str:
        """What is to be said of sequences without a lead-in, a line of its own; else nothing."""
        cold = sum(split.cold for split in self.splits.values())
        whole = sum(split.sequences for split in self.splits.values())
        said = f"\n{cold} of {whole} sequences hold no motion before their layer, to lead into it"
        return said if cold else ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain containers, as JSON and checkpoints hold them."""
        return {
            "schema_version": SCHEMA_VERSION,
            "names": {
                "features": list(FEATURES),
                "targets": list(TARGETS),
                "temperatures": list(TEMPERATURES),
            },
            "units": {
                "features": list(FEATURE_UNITS),
                "targets": list(TARGET_UNITS),
                "temperatures": list(TEMPERATURE_UNITS),
            },
            **json.loads(json.dumps(asdict(self))),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Stats":
        """Build from :meth:`to_dict`'s result.

        Raises
        ------
        DataError
            A key is missing, or the file is of another version or other features.
        """
        if plain.get("schema_version") != SCHEMA_VERSION:
            raise DataError(
                f"schema_version is {plain.get('schema_version')!r}, expected {SCHEMA_VERSION}; "
                "prepare the data again"
            )
        if plain.get("names", {}).get("features") != list(FEATURES):
            raise DataError("the features differ from this version's; prepare the data again")
        try:
            values = {f.name: plain[f.name] for f in fields(cls)}
            for name in SCALES:
                values[name] = None if plain[name] is None else tuple(plain[name])
            values["splits"] = {k: _summary(v) for k, v in plain["splits"].items()}
            values["sources"] = tuple(Source(**source) for source in plain["sources"])
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"key missing or malformed: {error}") from error
        return cls(**values)

    def require_sample_rate(self, sample_rate: float) -> None:
        """Refuse data of another sample rate than ``sample_rate`` Hz.

        Raises
        ------
        DataError
            The rates differ.
        """
        if abs(self.sample_rate_hz - sample_rate) > 1e-6 * sample_rate:
            raise DataError(
                f"the prepared data has {self.sample_rate_hz:g} Hz, expected {sample_rate:g} Hz; "
                f"prepare again with sample_rate_hz={sample_rate:g}"
            )


def _summary(plain: Mapping[str, Any]) -> SplitSummary:
    """Build from plain values; those from before there were lead-ins tell of none."""
    return SplitSummary(**{"context": 0, "cold": plain["sequences"], **plain})


def write_stats(root: Path, stats: Stats) -> None:
    """Write ``stats.json``, which makes the folder valid."""
    text = json.dumps(stats.to_dict(), indent=2, ensure_ascii=False) + "\n"
    write_atomically(root / FILE, text.encode())


def read_stats(root: Path) -> Stats:
    """Read ``stats.json`` of a prepared folder.

    Raises
    ------
    DataError
        The folder was not prepared to the end, or the file is foreign or damaged.
    """
    path = root / FILE
    if not path.is_file():
        raise DataError(
            f"{root}: no {FILE}, so this is not a prepared folder; "
            "run python -m trajerr.prepare first"
        )
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(plain, dict):
            raise DataError("not an object")
        return Stats.from_dict(plain)
    except (ValueError, OSError, DataError) as error:
        raise DataError(f"{path}: cannot be used: {error}") from error
