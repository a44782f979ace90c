"""Files of machines, changed by chance as ``scripts/fuzz_machine.py`` does for minutes."""

import random

import pytest
from scripts.fuzz_machine import READERS, trial
from scripts.mutations import mutated


@pytest.mark.parametrize("kind", ["printer_cfg", "m503"])
def test_mutated_samples_are_read_or_refused_in_one_line(kind):
    reader = READERS[kind]
    samples = reader.samples()
    assert [trial(reader, files, 0) for files in samples] == ["read"] * len(samples)
    outcomes = set()
    for number in range(40):
        rng = random.Random(number)  # noqa: S311 - no secret
        files = mutated(rng.choice(samples), kind, rng)
        outcomes.add(trial(reader, files, number).partition(":")[0])
    assert outcomes == {"read", "refused"}
