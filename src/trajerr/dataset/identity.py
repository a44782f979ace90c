"""What tells prepared folders apart: hashes of what was asked for, and of which data is where."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from trajerr.dataset.inputs import Input
from trajerr.dataset.staging import Staged

FORMAT = 2  # of what is stored; raise it when the same input gives other tensors


def request_hash(settings: Mapping[str, Any], inputs: Iterable[Input]) -> str:
    """Return the sha256 of what is asked for: settings and contents, not where they lie."""
    files = sorted((i.sha256, i.path.name, i.path.resolve().parent.name) for i in inputs)
    return _hash({**settings, "data_dirs": None, "files": files, "format": FORMAT})


def split_hash(
    used: Iterable[Staged],
    assigned: Mapping[str, str],
    sample_rate_hz: float,
    faults: Mapping[str, Any],
) -> str:
    """Return the sha256 of which data is in which split, however it is laid out or cut."""
    rows = sorted([assigned[r.key], r.file_sha256, r.part, r.layer, r.variant] for r in used)
    return _hash(
        {"format": FORMAT, "sample_rate_hz": sample_rate_hz, "faults": faults, "rows": rows}
    )


def _hash(what: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
