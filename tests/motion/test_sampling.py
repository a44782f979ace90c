import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.machines import simple_limits
from trajerr.errors import ConfigError
from trajerr.motion import sampling
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample, sample_around, sample_layers, sample_pieces
from trajerr.motion.summary import summarise
from trajerr.motion.trajectory import Trajectory

LIMITS = simple_limits((500, 500, 12, 50), (1000, 1000, 200, 5000), firmware="klipper")


@pytest.fixture(scope="module")
def planned(build):
    rng = np.random.default_rng(3)
    points = np.cumsum(rng.normal(0, 3, (60, 4)) * [1, 1, 0, 0], axis=0)
    points[:, 3] = np.cumsum(rng.choice([0.0, 0.1], 60))
    points[30:, 2] = 0.2
    layer = np.repeat([1, 2], [29, 30])
    program = build(points, 40.0, layer=layer, nozzle=200.0 + np.arange(59))
    return plan(program, LIMITS)


@given(rate=st.floats(3.0, 3000.0), span=st.tuples(st.floats(0, 1), st.floats(0, 1)))
@settings(deadline=None)
def test_samples_lie_on_the_grid_of_the_print(planned, rate, span):
    start, stop = sorted(part * planned.print_time for part in span)
    if np.floor(stop * rate) <= np.ceil(start * rate):
        return
    trajectory = sample(planned, rate, start, stop)
    k = np.arange(trajectory.first, trajectory.first + len(trajectory))
    assert np.all(trajectory.time == k / rate)
    assert (k[0] - 1) / rate < start <= trajectory.time[0]
    assert trajectory.time[-1] <= stop < (k[-1] + 1) / rate
    assert np.array_equal(trajectory.position, planned.position(trajectory.time)[:, :3])


def test_spans_may_be_numpy_numbers(planned):
    own, numpy_s = sample(planned, 100.0, 0.1, 0.5), sample(planned, 100.0, *np.array([0.1, 0.5]))
    assert np.array_equal(own.time, numpy_s.time)


def test_blocks_do_not_show(planned, monkeypatch):
    whole = sample(planned, 1000.0)
    monkeypatch.setattr(sampling, "BLOCK", 17)
    pieces = sample(planned, 1000.0)
    assert np.array_equal(whole.position, pieces.position)
    assert np.array_equal(whole.move, pieces.move)


def test_layers_move_as_they_do_in_the_print(planned):
    whole = sample(planned, 500.0)
    for layer, part in sample_layers(planned, 500.0):
        rows = slice(part.first, part.first + len(part))
        assert np.array_equal(part.position, whole.position[rows])
        assert np.all(part.layer[1:-1] == layer)
    assert part.first + len(part) == len(whole)
    # The second layer does not begin at rest.
    assert np.linalg.norm(part.position[1] - part.position[0]) * 500.0 > 1.0


def test_columns_follow_the_move(planned):
    trajectory = sample(planned, 250.0)
    assert np.array_equal(trajectory.nozzle, 200.0 + trajectory.move)
    assert np.all(np.diff(trajectory.move) >= 0)
    assert np.all(np.diff(trajectory.extrusion) >= 0.0)


def test_bad_rates_are_named_and_empty_spans_are_empty(planned):
    with pytest.raises(ConfigError, match="sample_rate_hz"):
        sample(planned, 0.0)
    assert len(sample(planned, 10.0, 0.01, 0.02)) == 0


def test_summary_adds_up(planned):
    totals = summarise(planned)
    assert totals["print_time_s"] == pytest.approx(sum(totals["time_by_kind_s"].values()))
    assert totals["layers"] == 2
    assert totals["moves"] == 59
    change = np.diff(
        np.vstack([planned.program.moves.start, planned.program.moves.end[-1:]]), axis=0
    )
    total = totals["print_distance_mm"] + totals["travel_distance_mm"]
    assert total == pytest.approx(np.linalg.norm(change[:, :3], axis=1).sum())
    assert totals["extruded_mm"] == pytest.approx(change[:, 3].sum())
    assert sum(totals["time_by_feature_s"].values()) == pytest.approx(
        totals["time_by_kind_s"]["print"]
    )


@pytest.mark.parametrize("margin", [0.0, 0.05, 100.0])
def test_pieces_are_the_whole(planned, monkeypatch, margin):
    span = (0.3, planned.print_time - 0.2)
    whole = sample(planned, 500.0, *span)
    monkeypatch.setattr(sampling, "PIECE", 101)
    parts = list(sample_around(planned, 500.0, *span, margin))
    assert len(parts) > 5
    joined = Trajectory.joined([wide.rows(own) for wide, own in parts])
    assert joined.first == whole.first
    assert np.array_equal(joined.position, whole.position)
    assert np.array_equal(joined.move, whole.move)
    middle, own = parts[2]
    beyond = min(round(margin * 500.0), 202)
    assert own == slice(beyond, beyond + 101)
    assert middle.first + own.start == whole.first + 202


def test_a_span_without_samples_is_one_piece_without_samples(planned):
    (piece,) = sample_pieces(planned, 10.0, 0.01, 0.02)
    assert len(piece) == 0


def test_filament_is_what_the_file_asks_for_whatever_steps_make_of_it(build):
    """A block of 10 mm lays 0.1 mm, 9.3 steps of E, which Marlin makes nine of, then ten."""
    points = [[10.0 * i, 0.0, 0.0, 0.1 * i] for i in range(9)]
    limits = simple_limits((500, 500, 12, 50), (1000, 1000, 200, 5000), firmware="marlin_2_1_2")
    planned = plan(build(points, 40.0), limits)
    trajectory = sample(planned, 1000.0)
    ran = planned.position(trajectory.time)[:, 3]
    along = 0.01 * trajectory.position[:, 0]
    np.testing.assert_allclose(trajectory.extrusion, along, atol=1e-9)
    assert 0.2 / 93.0 < np.abs(ran - along).max() <= 0.5 / 93.0
