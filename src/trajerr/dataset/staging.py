"""Input files as tensors beside the folder to be: what an interrupted run can go on from.

Knows one input file at a time. A staged file is found again by the hash of its content
and of everything that decides what is read from it.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trajerr.dataset.inputs import Input, Log, read_input
from trajerr.dataset.record import LayerRecord
from trajerr.dataset.repair import FaultSettings, repair
from trajerr.dataset.store import make_sequence, save_sequence
from trajerr.errors import DataError
from trajerr.files import write_atomically

FORMAT = 2  # of staged files
INDEX = "index.json"
LONGEST_NOTE = 80  # characters; longer params (a whole printer) are kept once, in stats.json


@dataclass(frozen=True)
class Staged:
    """One record as tensors on disk, and what is known of it without opening them."""

    key: str  # sorts records alike, whatever the order of files
    file: str
    file_sha256: str
    part: str
    layer: int
    variant: str
    kind: str
    source_sha256: str  # of the G-code that was printed; "" where unknown
    section_split: str  # the split that a log's config names; "" without
    sample_rate: float  # Hz
    has_temperatures: bool
    pieces: tuple[Path, ...]
    points: tuple[int, ...]  # samples of each piece that count
    context: tuple[int, ...]  # samples of each piece's lead-in
    faults: Mapping[str, int]
    params: Mapping[str, str | float]


def stage_input(
    source: Input,
    folder: Path,
    *,
    log: Log | None,
    faults: FaultSettings,
    sample_rate: float | None,
    min_samples: int,
) -> list[Staged]:
    """Read one file, repair its records and store their pieces, unless that is done.

    Raises
    ------
    DataError
        The file cannot be used, or has a fault that is to be refused.
    """
    asked = {
        "format": FORMAT,
        "file": [source.sha256, source.path.name, source.path.resolve().parent.name],
        "log": asdict(log) if log else None,
        "faults": asdict(faults),
        "sample_rate": sample_rate,
        "min_samples": min_samples,
    }
    home = folder / hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:20]
    if not (home / INDEX).is_file():
        entries = [
            _stage_record(record, source, home, faults, sample_rate, min_samples)
            for record in read_input(source, log)
        ]
        write_atomically(home / INDEX, json.dumps(entries).encode())
    return [_from_entry(entry, home) for entry in json.loads((home / INDEX).read_bytes())]


def _stage_record(
    record: LayerRecord,
    source: Input,
    home: Path,
    faults: FaultSettings,
    sample_rate: float | None,
    min_samples: int,
) -> dict[str, Any]:
    where = str(source.path)
    repaired = repair(record, faults, min_samples=min_samples, sample_rate=sample_rate, where=where)
    pieces = {}
    for number, piece in enumerate(repaired.pieces):
        name = _file_name(record, number, source)
        metadata = _metadata(piece, number, source)
        sequence = make_sequence(piece, metadata)
        save_sequence(home / name, sequence)
        pieces[name] = len(sequence) - sequence.context, sequence.context
    return {
        "key": f"{record.part}/{record.layer:06d}/{record.variant}/{source.sha256}",
        "file": where,
        "file_sha256": source.sha256,
        "part": record.part,
        "layer": record.layer,
        "variant": record.variant,
        "kind": str(record.params.get("kind", "nominal")),
        "source_sha256": str(record.params.get("source_sha256", "")),
        "section_split": str(record.params.get("split", "")),
        "sample_rate": sample_rate or record.sample_rate,
        "has_temperatures": record.temperatures is not None,
        "pieces": pieces,
        "faults": dict(repaired.faults),
        "params": dict(record.params),
    }


def _from_entry(entry: Mapping[str, Any], home: Path) -> Staged:
    pieces: Mapping[str, tuple[int, int]] = entry["pieces"]
    files = tuple(home / name for name in pieces)
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise DataError(f"{missing[0]}: is gone; delete {home.parent.parent} and prepare again")
    points, context = (tuple(pair[i] for pair in pieces.values()) for i in range(2))
    return Staged(**{**entry, "pieces": files, "points": points, "context": context})


def _metadata(record: LayerRecord, piece: int, source: Input) -> dict[str, str | int | float]:
    notes = {
        name: value
        for name, value in record.params.items()
        if not isinstance(value, str) or len(value) <= LONGEST_NOTE
    }
    return {
        "kind": "nominal",
        **notes,
        "part": record.part,
        "layer": record.layer,
        "variant": record.variant,
        "piece": piece,
        "file": source.path.name,
        "file_sha256": source.sha256,
        "sample_rate_hz": record.sample_rate,
    }


def _file_name(record: LayerRecord, piece: int, source: Input) -> str:
    name = f"{record.part}_layer{record.layer:04d}_{record.variant}"
    return f"{re.sub(r'[^A-Za-z0-9.+_-]', '-', name)}_{source.sha256[:8]}_{piece:02d}.pt"
