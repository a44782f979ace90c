from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trajerr.dataset.stats import Source
from trajerr.evaluation.leakage import shared_layers


def source(part: str, layer: int, split: str = "train", sha256: str = "", **rest) -> Source:
    values = {"file": f"{part}{layer}.mat", "variant": "a1_v1", "kind": "nominal"}
    values |= {"sequences": 1, "points": 9, **rest}
    return Source(part=part, layer=layer, split=split, sha256=sha256 or f"{part}{layer}", **values)


TRAINED = {"sources": [asdict(source("boat", 3)), asdict(source("boat", 4, split="val"))]}


@pytest.mark.parametrize(
    ("judged", "shared"),
    [
        (source("boat", 3), True),
        (source("boat", 3, variant="a4_v1.5", sha256="other"), True),  # another variant
        (source("renamed", 3, sha256="boat3"), True),  # the same file under another name
        (source("boat", 5, sha256="boat3"), False),  # another section of the same log
        (source("boat", 4), False),  # was validated on, not trained on
        (source("tug", 3), False),
    ],
)
def test_what_counts_as_seen(judged, shared):
    assert bool(shared_layers(TRAINED, [judged])) is shared


layers = st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 5)), max_size=8)


@given(layers, layers)
def test_equal_to_the_intersection_of_geometries(trained, judged):
    seen = {"sources": [asdict(source(*key)) for key in trained]}
    found = shared_layers(seen, [replace(source(*key), sha256="new") for key in judged])
    assert found == [f"{p} {n}" for p, n in sorted(set(trained) & set(judged))]
