import json
from dataclasses import replace

import numpy as np
import pytest
from hydra.utils import instantiate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from tests.collection.small_print import small_gcode
from trajerr.collection.campaign import Collection, collect
from trajerr.collection.process_pool import ProcessPool
from trajerr.collection.variants import Variant
from trajerr.dataset.matlab import read_layer
from trajerr.dataset.record import stated_printer
from trajerr.dataset.repair import FaultSettings, plausible_speed, repair
from trajerr.errors import ConfigError, DataError
from trajerr.gcode.sources import Source
from trajerr.shipped import conf_dir

CUT = FaultSettings.shipped()


def damaged(record, **columns):
    """The record with cells of its columns changed: ``x={row: value}``."""
    arrays = {"time": record.time.copy(), "commanded": record.commanded.copy()}
    for row, value in columns.get("time", {}).items():
        arrays["time"][row] = value
    for row, value in columns.get("x", {}).items():
        arrays["commanded"][row:, 0] += value
    for row in columns.get("nan", ()):
        arrays["commanded"][row, 0] = np.nan
    return replace(record, **arrays)


def lengths(repaired) -> list[int]:
    return [len(piece.time) for piece in repaired.pieces]


def test_a_sound_record_passes_untouched(make_record):
    record = make_record()
    repaired = repair(record, CUT)
    assert lengths(repaired) == [200]
    assert not repaired.faults
    np.testing.assert_array_equal(repaired.pieces[0].actual, record.actual)


@pytest.mark.parametrize("column", ["commanded", "actual", "temperatures"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_cut_out_and_counted(make_record, column, value):
    record = make_record()
    values = getattr(record, column).copy()
    values[50:53, 0] = value
    repaired = repair(replace(record, **{column: values}), CUT)
    assert lengths(repaired) == [50, 147]
    assert repaired.faults == {"not_finite": 3, "gaps": 1}


def test_a_jump_splits_the_record_between_its_two_rows(make_record):
    record = damaged(make_record(), x={80: 6.0})  # 6 mm in 5 ms
    repaired = repair(record, CUT)
    assert lengths(repaired) == [80, 120]
    assert repaired.faults == {"jumps": 1}
    np.testing.assert_array_equal(repaired.pieces[1].commanded, record.commanded[80:])


def test_jumps_beyond_the_files_own_speed_are_counted_and_cut_on_request(make_record):
    record = damaged(make_record(), x={80: 1.0})  # 200 mm/s where the file says 60
    stated = np.where(np.arange(200) < 20, 300.0, 60.0)  # 300 elsewhere: no jump for itself
    record = replace(record, stated_speed=stated)
    assert repair(record, CUT).faults == {"stated_speed": 1}
    assert lengths(repair(record, CUT)) == [200]
    assert lengths(repair(record, FaultSettings.shipped(stated_speed="cut"))) == [80, 120]


FAST = {"max_velocity_mm_s": [600.0, 800.0, 15.0, 100.0], "path_velocity_mm_s": None}


@pytest.mark.parametrize("text", ["Ender-3 V2", "{", "7", "[1]", "[" * 100_000, 2.0, None])
def test_what_others_call_a_printer_is_none_of_ours(text):
    params = {} if text is None else {"printer": text}
    assert stated_printer(params) is None


@pytest.mark.parametrize(
    ("printer", "stated", "limit"),
    [
        ({"limits": FAST}, None, 1.5 * np.hypot(np.hypot(600.0, 800.0), 15.0)),
        ({"limits": FAST | {"path_velocity_mm_s": 300.0}}, 60.0, 450.0),
        ({"name": "unknown"}, 60.0, 90.0),
        ({"name": "unknown"}, 5000.0, 1000.0),
        ({"name": "unknown"}, 0.0, 1000.0),
        ({"limits": [1, 2]}, None, 1000.0),
        ({"limits": {"max_velocity_mm_s": ["fast"]}}, None, 1000.0),
        ("no JSON", np.nan, 1000.0),
    ],
)
def test_what_counts_as_a_jump_depends_on_the_machine(make_record, printer, stated, limit):
    text = printer if isinstance(printer, str) else json.dumps(printer)
    speeds = None if stated is None else np.full(200, stated)
    record = replace(make_record(printer=text), stated_speed=speeds)
    assert plausible_speed(record) == pytest.approx(limit)
    own_step = 0.05 * limit / 200.0  # mm, well above what the path itself moves in a sample
    for step, jumps in ((limit / 200.0 - 0.5, 0), (limit / 200.0 + 0.5 + own_step, 1)):
        faults = repair(damaged(record, x={80: step}), CUT).faults
        assert faults["jumps"] == jumps
    named = FaultSettings.shipped(max_speed_mm_s=100.0)
    assert repair(damaged(record, x={80: 1.0}), named).faults["jumps"] == 1


def test_the_known_jumps_of_real_files_are_found(shared):
    for version in ("v7", "v73"):
        found = {
            path.name.split("_")[0]: repair(read_layer(path), CUT).faults["jumps"]
            for path in (shared / "data/matlab" / version).glob("layer*_ender3v2.mat")
        }
        assert found == {"layer25": 3, "layer100": 3, "layer200": 0}


RAISED = "SET_VELOCITY_LIMIT VELOCITY=800 ACCEL=20000\n"


@pytest.mark.parametrize("raised_by_file", [False, True])
def test_nothing_is_cut_from_what_a_fast_machine_prints(tmp_path, raised_by_file):
    """A machine of 800 mm/s, planned, simulated, written and read again."""
    config = OmegaConf.load(conf_dir() / "printer" / "klipper_fast.yaml")
    if not raised_by_file:
        config.limits.path_velocity_mm_s = 800.0
        config.limits.max_velocity_mm_s[:2] = [800.0, 800.0]
    fast = instantiate(config)
    text = small_gcode(2).replace("F9000", "F60000").replace("G1 X0 Y200", "G1 X5 Y200")
    text = text.replace("G1 X95 Y95 ", "G1 X210 Y20 F60000\nG1 X95 Y95 ")
    (tmp_path / "small.gcode").write_text(RAISED + text if raised_by_file else text)
    variants = (Variant(10.0, 1.5), Variant(10.0, 1.5, kind="precompensated"))
    settings = Collection(fast, variants, "all", 200.0, 0, tmp_path)
    with ProcessPool(1) as pool:
        collect(settings, [Source("small", tmp_path / "small.gcode")], pool)
    files = sorted(tmp_path.rglob("layer*.mat"))
    assert len(files) == 4
    records = [read_layer(path) for path in files]
    fastest = max(
        np.linalg.norm(np.diff(r.commanded, axis=0), axis=1).max() * 200.0 for r in records
    )
    assert fastest > 500.0
    for record in records:
        assert not repair(record, CUT).faults
        assert (record.params.get("planned_speed_mm_s", 0.0) > 500.0) == raised_by_file


def test_a_repeated_time_loses_its_second_row(make_record):
    record = make_record()
    rows = np.insert(np.arange(200), 90, 89)
    repaired = repair(record.select(rows), CUT)
    assert lengths(repaired) == [200]
    assert repaired.faults == {"duplicate_times": 1}
    np.testing.assert_array_equal(repaired.pieces[0].commanded, record.commanded)


@pytest.mark.parametrize("apart", [1e-300, 1e-12, -1e-12])
def test_times_that_hardly_differ_are_the_same(make_record, apart):
    record = make_record()
    rows = np.insert(np.arange(200), 90, 89)
    time = record.time[rows]
    time[90] = np.nextafter(time[89], np.inf) if apart == 1e-300 else time[89] + apart
    repaired = repair(
        replace(record.select(rows), time=time), FaultSettings.shipped(), sample_rate=100.0
    )
    assert repaired.faults == {"duplicate_times": 1}
    assert np.isfinite(repaired.pieces[0].commanded).all()


def test_time_that_goes_back_starts_a_new_piece(make_record):
    record = make_record()
    time = np.concatenate([record.time[:120], record.time[:80]])
    repaired = repair(replace(record, time=time), CUT)
    assert lengths(repaired) == [120, 80]
    assert repaired.faults["time_reversals"] == 1


def test_a_gap_splits_or_is_interpolated(make_record):
    record = make_record().select(np.r_[0:100, 110:200])
    assert lengths(repair(record, CUT)) == [100, 90]
    kept = repair(record, FaultSettings.shipped(gaps="keep"))
    assert lengths(kept) == [200]
    assert kept.faults == {"gaps": 1, "non_uniform": 1}


def test_uneven_times_are_resampled_to_the_records_own_rate(make_record):
    record = make_record()
    late = np.random.default_rng(0).uniform(-0.2, 0.2, 200) / 200.0
    late[[0, -1]] = 0.0
    time = record.time + late
    x = 100.0 + 20.0 * np.sin(2.0 * time)
    commanded = np.column_stack([x, x, 0 * x])
    repaired = repair(replace(record, time=time, commanded=commanded), CUT)
    (piece,) = repaired.pieces
    assert repaired.faults == {"non_uniform": 1}
    np.testing.assert_allclose(np.diff(piece.time), 1 / 200.0, rtol=1e-9)
    exact = 100.0 + 20.0 * np.sin(2.0 * piece.time)
    np.testing.assert_allclose(piece.commanded[:, 0], exact, atol=2e-3)


def test_short_pieces_are_dropped_and_counted(make_record):
    repaired = repair(damaged(make_record(), nan=[20]), CUT, min_samples=64)
    assert lengths(repaired) == [179]
    assert repaired.faults == {"not_finite": 1, "gaps": 1, "short": 1}


def test_a_record_of_nothing_but_nan_has_no_pieces(make_record):
    record = make_record()
    repaired = repair(replace(record, actual=np.full((200, 2), np.nan)), CUT)
    assert not repaired.pieces
    assert repaired.faults == {"not_finite": 200, "short": 1}


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ({"nan": [5]}, "not_finite"),
        ({"time": {6: 5 / 200.0}}, "duplicate_times"),
        ({"time": {6: 4.5 / 200.0}}, "time_reversals"),
        ({"x": {9: 50.0}}, "jumps"),
    ],
)
def test_each_fault_can_be_refused_naming_file_fault_and_row(make_record, columns, name):
    record = damaged(make_record(), **columns)
    with pytest.raises(DataError, match=rf"a\.mat: 1 faults of kind {name}, the first .* row \d"):
        repair(record, FaultSettings.shipped(**{name: "refuse"}), where="a.mat")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"jumps": "ignore"}, "faults.jumps: got ignore, expected one of cut, refuse, keep"),
        ({"not_finite": "keep"}, "faults.not_finite: got keep, expected one of cut, refuse"),
        ({"max_speed_mm_s": 0.0}, "faults.max_speed_mm_s: got 0.0, expected a number above 0"),
    ],
)
def test_settings_out_of_range_name_their_key(settings, message):
    with pytest.raises(ConfigError, match=message):
        FaultSettings.shipped(**settings)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    nan=st.lists(st.integers(0, 199), max_size=5),
    jumps=st.dictionaries(st.integers(1, 199), st.floats(6.0, 90.0), max_size=4),
    repeats=st.lists(st.integers(0, 199), max_size=4),
)
def test_no_piece_reaches_across_a_fault(make_record, nan, jumps, repeats):
    record = damaged(make_record(), nan=nan, x=jumps)
    record = record.select(np.sort(np.concatenate([np.arange(200), repeats]).astype(int)))
    for piece in repair(record, CUT).pieces:
        assert np.isfinite(piece.commanded).all()
        np.testing.assert_allclose(np.diff(piece.time), 1 / 200.0, rtol=1e-6)
        speed = np.linalg.norm(np.diff(piece.commanded, axis=0), axis=1) * 200.0
        assert not len(speed) or speed.max() <= 1000.0 * (1 + 1e-9)
        assert np.isin(piece.time, record.time).all()
