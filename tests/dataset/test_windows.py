from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trajerr.dataset.store import Sequence
from trajerr.dataset.windows import WindowTable, count_windows, window_starts
from trajerr.errors import ConfigError

lengths_lists = st.lists(st.integers(1, 40), min_size=1, max_size=6)


def sequence(number: int, length: int, thermal: bool = True) -> Sequence:
    """Every value tells its sequence and row."""
    rows = 1000.0 * number + torch.arange(length, dtype=torch.float32)
    return Sequence(
        features=rows[:, None].repeat(1, 15),
        targets=rows[:, None].repeat(1, 2),
        temperatures=rows[:, None].repeat(1, 3) if thermal else None,
        time=rows.double(),
        feature=torch.zeros(length, dtype=torch.uint8),
        extruding=torch.ones(length, dtype=torch.bool),
        travel=torch.zeros(length, dtype=torch.bool),
        metadata={"layer": number},
    )


@given(st.integers(0, 300), st.integers(1, 50), st.integers(1, 20))
def test_windows_are_counted_as_they_fit(length, size, stride):
    fitting = [s for s in range(0, length, stride) if s + size <= length]
    assert count_windows(length, size, stride) == len(fitting)
    assert window_starts([length], size, stride)[:, 1].tolist() == fitting


@given(lengths_lists, st.integers(1, 20), st.integers(1, 7))
def test_gathered_windows_equal_slices(lengths, size, stride):
    sequences = [sequence(i, n) for i, n in enumerate(lengths)]
    slices = [
        (s.features[a : a + size], s.temperatures[a : a + size])
        for s in sequences
        for a in range(0, len(s) - size + 1, stride)
    ]
    if not slices:
        said = f"^sequence_length: got {size}, expected at most {max(lengths, default=0)}, "
        with pytest.raises(ConfigError, match=said):
            WindowTable.of(sequences, size)
        return
    table = WindowTable.of(sequences, size)
    batch = table.gather(table.strided(stride))
    assert torch.equal(batch["input_features"], torch.stack([f for f, _ in slices]))
    assert torch.equal(batch["thermal_targets"], torch.stack([t for _, t in slices]))
    assert batch["trajectory_targets"].shape == (len(slices), size, 2)


@given(lengths_lists.filter(lambda n: max(n) >= 8), st.integers(1, 60), st.integers(0, 9))
def test_random_windows_lie_inside_one_sequence(lengths, count, seed):
    table = WindowTable.of([sequence(i, n) for i, n in enumerate(lengths)], 8)
    rows = table.random(count, torch.Generator().manual_seed(seed))
    features = table.gather(rows)["input_features"][:, :, 0]
    assert (features.diff(dim=1) == 1.0).all()
    assert ((features // 1000)[:, 0] == (features // 1000)[:, -1]).all()


def test_random_windows_reach_every_offset_evenly():
    table = WindowTable.of([sequence(0, 20), sequence(1, 13), sequence(2, 8)], 8)
    every = set(table.strided(1).tolist())
    rows = torch.cat([table.random(100, torch.Generator().manual_seed(i)) for i in range(60)])
    values, counts = np.unique(rows.numpy(), return_counts=True)
    assert set(values.tolist()) == every
    expected = 6000 / len(every)
    assert np.abs(counts - expected).max() < 5.0 * np.sqrt(expected)


def test_as_many_draws_as_offsets_are_each_near_their_own():
    table = WindowTable.of([sequence(0, 107)], 8)
    rows = table.random(100, torch.Generator().manual_seed(0)).sort().values
    assert (rows == torch.arange(100)).all()


def test_windows_are_views_of_the_table_until_gathered():
    table = WindowTable.of([sequence(0, 30)], 8)
    before = table.features.data_ptr()
    batch = table.gather(torch.tensor([0, 1]))
    batch["input_features"].zero_()
    assert table.features[5, 0] == 5.0
    assert table.features.data_ptr() == before


def test_windows_of_recorded_layers_tell_by_what_they_are_uncertain():
    told = {"uncertainty_x_mm": 0.004, "uncertainty_y_mm": 0.006}
    simulated, recorded = sequence(0, 5), replace(sequence(1, 7), metadata=told)
    table = WindowTable.of([simulated, recorded], 4)
    batch = table.gather(table.strided(1))
    expected = 2 * [[0.0, 0.0]] + 4 * [[0.004, 0.006]]
    assert torch.equal(batch["target_uncertainty"], torch.tensor(expected))
    odd = replace(simulated, metadata={"uncertainty_x_mm": "much", "uncertainty_y_mm": True})
    assert torch.equal(odd.uncertainty, torch.zeros(2))
    alone = WindowTable.of([simulated], 4)
    assert "target_uncertainty" not in alone.gather(alone.strided(1))


def test_thermal_targets_need_every_sequence():
    table = WindowTable.of([sequence(0, 30), sequence(1, 30, thermal=False)], 8)
    assert table.temperatures is None
    assert "thermal_targets" not in table.gather(torch.tensor([0]))
    skipped = WindowTable.of([sequence(0, 30), sequence(1, 5, thermal=False)], 8)
    assert skipped.temperatures is not None
