"""Cards and Croissant metadata say what a prepared folder holds, file by file."""

import dataclasses
import hashlib
import json
import re
from pathlib import Path

import pytest

from trajerr.dataset.cards import CARD, data_card, describe
from trajerr.dataset.croissant import CONTEXT, FILE, VERSION
from trajerr.dataset.stats import read_stats
from trajerr.motion.features import FEATURES, TARGETS


@pytest.fixture
def metadata(prepared):
    return json.loads((prepared / FILE).read_text(encoding="utf-8"))


def test_every_file_is_listed_with_its_sha256(prepared, metadata):
    assert (metadata["@type"], metadata["conformsTo"]) == ("sc:Dataset", VERSION)
    listed = {entry["contentUrl"]: entry for entry in metadata["distribution"]}
    there = list(prepared.glob("*/*.pt"))
    assert set(listed) == {path.relative_to(prepared).as_posix() for path in there}
    for path in there:
        entry = listed[path.relative_to(prepared).as_posix()]
        assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert entry["contentSize"] == f"{path.stat().st_size} B"


def test_the_records_are_the_sources(prepared, metadata):
    (table,) = metadata["recordSet"]
    stats = read_stats(prepared)
    rows = {
        (row["sources/file"], row["sources/split"], row["sources/samples"]) for row in table["data"]
    }
    assert rows == {
        ("/".join(Path(source.file).parts[-2:]), source.split, source.points)
        for source in stats.sources
    }
    assert {field["@id"] for field in table["field"]} == set(table["data"][0])


def test_the_variables_have_units(metadata):
    variables = {entry["name"]: entry["unitText"] for entry in metadata["variableMeasured"]}
    assert set(variables) == {*FEATURES, *TARGETS}
    assert variables["error_x"] == "mm"


def test_terms_are_all_in_the_context(metadata):
    """A key that the context does not define would be schema.org's, and mean nothing."""
    schema_org = {
        *("@context", "@type", "@id", "name", "description", "variableMeasured", "unitText"),
        *("distribution", "contentUrl", "encodingFormat", "contentSize", "sha256"),
    }
    used = set(re.findall(r'"(@?\w+)":', json.dumps({**metadata, "@context": None})))
    assert used <= schema_org | set(CONTEXT)


def test_the_card_counts_and_says_where_the_data_come_from(prepared):
    stats, card = read_stats(prepared), (prepared / CARD).read_text(encoding="utf-8")
    assert card == data_card(stats)
    for name, held in stats.splits.items():
        assert f"| {name} | {held.layers} | {held.sequences} | {held.points:,} |" in card
    assert stats.identity in card
    assert ("**Simulated**" in card) == ("simulation_rate_hz" in stats.params)


def test_windows_are_listed_by_split(tmp_path, prepared):
    stats = dataclasses.replace(read_stats(prepared), layout="windows")
    describe(tmp_path, stats)
    listed = json.loads((tmp_path / FILE).read_text(encoding="utf-8"))["distribution"]
    assert [entry["includes"] for entry in listed] == [f"{split}/*.pt" for split in stats.splits]
