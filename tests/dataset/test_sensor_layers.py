"""Layers of an accelerometer's recording begin with the motion before them."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.correction.cases import linear_printer, small_print
from trajerr.dataset.record import stated_printer
from trajerr.dataset.sensor_logs import layers
from trajerr.dynamics.printer import Printer
from trajerr.motion.lead_in import LEAD_IN_S
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample
from trajerr.recordings.signals import EVEN_HZ

RATE_HZ = 200.0


@pytest.fixture(scope="module")
def reading():
    """A print of which everything was measured but its first half second."""
    trajectory = sample(plan(small_print(3), linear_printer().limits), EVEN_HZ)
    count = len(trajectory)
    error = 0.1 * np.column_stack([np.sin(np.arange(count)), np.cos(np.arange(count))])
    fused = SimpleNamespace(
        time_s=trajectory.time,
        error=error,
        measured=np.repeat(trajectory.time[:, None] >= 0.5, 2, axis=1),
        uncertainty=lambda rows: np.array([rows.start, rows.stop], dtype=float),
    )
    known = {"part": "p", "source_sha256": "x", "printer": linear_printer()}
    known["excitation_hz"] = None
    return SimpleNamespace(**known, trajectory=trajectory, fused=fused)


def test_each_layer_begins_with_its_lead_in(reading):
    trajectory = reading.trajectory
    every = round(EVEN_HZ / RATE_HZ)
    found = list(layers(reading, RATE_HZ))
    assert [record.layer for record in found] == [1, 2, 3]
    for record in found:
        rows = np.flatnonzero(trajectory.layer == record.layer)
        own = record.without_context()
        kept = [row for row in rows.tolist() if (trajectory.first + row) % every == 0]
        np.testing.assert_array_equal(own.commanded, trajectory.position[kept])
        assert record.context == 0 if record.layer == 1 else record.context >= LEAD_IN_S * RATE_HZ
        # What is said of a layer's uncertainty is said of its own rows.
        assert record.params["uncertainty_x_mm"] == rows[0]
        assert record.params["uncertainty_y_mm"] == rows[-1] + 1
        np.testing.assert_allclose(np.diff(record.time), 1 / RATE_HZ)
        assert Printer.from_dict(stated_printer(record.params)) == linear_printer()


def test_what_was_not_measured_is_no_number(reading):
    first = next(iter(layers(reading, RATE_HZ)))
    assert np.isnan(first.actual[first.time < 0.49]).all()
    assert np.isfinite(first.actual[first.time > 0.51]).all()
