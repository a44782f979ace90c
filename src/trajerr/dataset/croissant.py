"""Croissant metadata of a folder of data, as JSON-LD.

Knows the format and no data. Source: MLCommons, *Croissant Format Specification* 1.0 (2024),
https://docs.mlcommons.org/croissant/docs/croissant-spec.html.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trajerr.files import write_atomically

FILE = "croissant.json"
VERSION = "http://mlcommons.org/croissant/1.0"
ENCODINGS = {  # of files, by their ending
    ".json": "application/json",
    ".mat": "application/x-matlab-data",
    ".pt": "application/octet-stream",
}
Row = Mapping[str, str | int | float]

_TYPES = {str: "sc:Text", int: "sc:Integer", float: "sc:Float"}
_TERMS = (
    "citeAs column equivalentProperty extract field fileObject fileProperty fileSet format "
    "includes isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated "
    "replace samplingRate separator source subField transform"
)
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    **{term: f"cr:{term}" for term in _TERMS.split()},
}


@dataclass(frozen=True)
class Variable:
    """What one column of the data is."""

    name: str
    unit: str
    description: str


@dataclass(frozen=True)
class Table:
    """Rows that say what the files are; every row has the same keys."""

    name: str
    description: str
    rows: Sequence[Row]


def describe(
    name: str,
    description: str,
    files: Iterable[Mapping[str, Any]],
    variables: Sequence[Variable],
    table: Table,
) -> dict[str, Any]:
    """Return the metadata of a data set.

    Parameters
    ----------
    name
        Of the data set.
    description
        In a sentence or two.
    files
        Of :func:`file_object`.
    variables
        Of the files' content.
    table
        What the files are.
    """
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": description,
        "conformsTo": VERSION,
        "variableMeasured": [
            {
                "@type": "sc:PropertyValue",
                "name": variable.name,
                "unitText": variable.unit,
                "description": variable.description,
            }
            for variable in variables
        ],
        "distribution": list(files),
        "recordSet": [_record_set(table)],
    }


def file_object(folder: Path, path: Path) -> dict[str, Any]:
    """Return the entry of one file, named as it lies in the folder."""
    place = path.relative_to(folder).as_posix()
    return {
        "@type": "cr:FileObject",
        "@id": place,
        "name": path.name,
        "contentUrl": place,
        "encodingFormat": ENCODINGS[path.suffix],
        "contentSize": f"{path.stat().st_size} B",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def file_set(name: str, includes: str) -> dict[str, Any]:
    """Return the entry of many files alike, named by a pattern."""
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "encodingFormat": ENCODINGS[f".{includes.rpartition('.')[2]}"],
        "includes": includes,
    }


def write(folder: Path, metadata: Mapping[str, Any]) -> None:
    """Write the metadata beside the data."""
    text = json.dumps(metadata, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(folder / FILE, text.encode())


def _record_set(table: Table) -> dict[str, Any]:
    first = table.rows[0] if table.rows else {}
    return {
        "@type": "cr:RecordSet",
        "@id": table.name,
        "name": table.name,
        "description": table.description,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{table.name}/{key}",
                "name": key,
                "dataType": _TYPES[type(value)],
            }
            for key, value in first.items()
        ],
        "data": [{f"{table.name}/{key}": v for key, v in row.items()} for row in table.rows],
    }
