import hashlib
import json
import re
import socket
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.collection.small_print import printer, small_gcode, small_program
from trajerr.collection import campaign as collecting
from trajerr.collection.campaign import (
    Collection,
    record_layer,
    seed_of,
    survey,
)
from trajerr.collection.process_pool import ProcessPool, count_workers
from trajerr.collection.variants import Variant
from trajerr.dataset.matlab import read_layer, write_layer
from trajerr.dataset.quality import LayerMetrics, load_metrics
from trajerr.dynamics.designed_shapers import designed_shaper
from trajerr.dynamics.error_sources import average, split_error
from trajerr.dynamics.plant import SIMULATION_RATE_HZ, simulate
from trajerr.dynamics.thermal import temperatures
from trajerr.errors import ConfigError, DataError, GcodeError
from trajerr.gcode.parts import load_part
from trajerr.gcode.program import MoveKind
from trajerr.gcode.reader import parse_program
from trajerr.gcode.sources import Source
from trajerr.motion import sampling
from trajerr.motion.lead_in import lead_in
from trajerr.motion.planner import plan
from trajerr.motion.sampling import sample

VARIANTS = (
    Variant(),
    Variant(4.0, 1.5, placed=True),
    Variant(kind="perturbed"),
    Variant(kind="precompensated"),
)


def collection(out: Path, **changes: object) -> Collection:
    settings = Collection(printer(), VARIANTS, "all", 200.0, 3, out)
    return replace(settings, **changes)


def collect(
    settings: Collection,
    sources: list[Source],
    workers: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[LayerMetrics]:
    with ProcessPool(workers) as pool:
        return collecting.collect(settings, sources, pool, on_progress)


def source(folder: Path, layers: int = 2) -> Source:
    path = folder / "small.gcode"
    path.write_text(small_gcode(layers))
    return Source("small", path)


def contents(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def test_a_collection_is_layers_times_variants(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    settings = collection(tmp_path / "raw")
    metrics = collect(settings, [source(tmp_path)], 1, lambda *done: told.append(done))
    assert len(metrics) == 8
    assert told[0] == (0, 8)
    assert told[-1] == (8, 8)
    folder = tmp_path / "raw" / "data_simulation_small"
    names = sorted(path.name for path in folder.glob("*.mat"))
    assert names[0] == "layer0001_a1_v1.mat"
    assert "layer0002_a4_v1.5_placed.mat" in names
    assert {row.variant for row in load_metrics(folder)} == {v.name for v in VARIANTS}


def test_a_file_holds_the_layer_as_planned_and_says_how_it_was_made(tmp_path: Path) -> None:
    collect(collection(tmp_path, variants=(Variant(),)), [source(tmp_path)], 1)
    found = read_layer(tmp_path / "data_simulation_small" / "layer0002_a1_v1.mat")
    motion = plan(small_program(2), printer().limits)
    begin, end = motion.layer_span(2)
    ahead = sample(motion, 200.0, lead_in(motion, begin), end)
    assert 200 <= found.context == len(ahead) - len(found.without_context().time)
    np.testing.assert_allclose(found.commanded, ahead.position, rtol=0, atol=5e-7)
    record = found.without_context()
    planned = sample(motion, 200.0, begin, end)
    np.testing.assert_array_equal(record.time, planned.time)
    np.testing.assert_allclose(record.commanded, planned.position, rtol=0, atol=5e-7)
    np.testing.assert_array_equal(record.extruding, planned.kind == MoveKind.PRINT)
    np.testing.assert_array_equal(record.feature, planned.feature)
    assert np.all(np.isfinite(record.temperatures))
    assert 0.03 < np.sqrt(np.mean(np.sum(record.error**2, axis=1))) < 0.3
    assert record.params["kind"] == "nominal"
    assert record.params["source_sha256"] == small_program(2).sha256
    assert json.loads(str(record.params["printer"])) == printer().to_dict()


def test_same_bytes_whatever_the_order_and_the_number_of_processes(tmp_path: Path) -> None:
    print_ = source(tmp_path, 3)
    collect(collection(tmp_path / "one"), [print_], 1)
    collect(collection(tmp_path / "two"), [print_], 2)
    collect(collection(tmp_path / "parts", layers=[3]), [print_], 1)
    collect(collection(tmp_path / "parts", layers=[1, 2]), [print_], 1)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "parts")


def test_another_seed_gives_other_bytes(tmp_path: Path) -> None:
    small = {"variants": (Variant(),), "layers": 1}
    for seed in (0, 1):
        collect(collection(tmp_path / str(seed), seed=seed, **small), [source(tmp_path)], 1)
    first, second = (contents(tmp_path / str(seed)) for seed in (0, 1))
    assert first.keys() == second.keys()
    assert all(first[name] != second[name] for name in first)


def test_a_finished_layer_is_kept_and_a_missing_one_made_again(tmp_path: Path) -> None:
    print_ = source(tmp_path)
    settings = collection(tmp_path / "raw")
    whole = collect(settings, [print_], 1)
    before = contents(tmp_path / "raw")
    folder = tmp_path / "raw" / "data_simulation_small"
    lost = folder / "layer0001_a4_v1.5_placed.mat"
    lost.unlink()
    ended = subprocess.Popen(["true"])  # whose number no process has any more
    ended.wait()
    half = f".{lost.name}.{socket.gethostname()}-{ended.pid}.tmp"
    (folder / half).write_bytes(b"half")
    kept = folder / "layer0002_a1_v1.mat"
    stamp = kept.stat().st_mtime_ns
    again = collect(settings, [print_], 1)
    assert kept.stat().st_mtime_ns == stamp
    assert contents(tmp_path / "raw") == before
    assert sorted(again, key=repr) == sorted(whole, key=repr)


def test_resuming_a_complete_collection_plans_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    print_, settings = source(tmp_path), collection(tmp_path / "raw")
    whole = collect(settings, [print_], 1)
    before = contents(tmp_path / "raw")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("planned or simulated what is there")

    collecting._planned.cache_clear()
    for name in ("plan", "simulate_layer"):
        monkeypatch.setattr(collecting, name, refuse)
    assert sorted(collect(settings, [print_], 1), key=repr) == sorted(whole, key=repr)
    assert contents(tmp_path / "raw") == before
    (tmp_path / "raw" / "data_simulation_small" / "layer0001_a1_v1.mat").unlink()
    with pytest.raises(AssertionError, match="planned or simulated"):
        collect(settings, [print_], 1)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"seed": 4}, "seed"),
        ({"printer": printer().with_stiffness_scale(1.1)}, "printer"),
    ],
)
def test_layers_of_other_settings_are_never_mixed(
    tmp_path: Path, changes: dict[str, object], key: str
) -> None:
    small = {"variants": (Variant(),), "layers": 1}
    print_ = source(tmp_path)
    collect(collection(tmp_path / "raw", **small), [print_], 1)
    with pytest.raises(DataError, match=rf"was collected with {key} .*clear .*_small"):
        collect(collection(tmp_path / "raw", **small, **changes), [print_], 1)


def test_other_sample_rate_and_source_are_told_apart(tmp_path: Path) -> None:
    small = {"variants": (Variant(),), "layers": 1}
    collect(collection(tmp_path / "raw", **small), [source(tmp_path)], 1)
    with pytest.raises(DataError, match="was collected with sample_rate_hz 200"):
        collect(collection(tmp_path / "raw", **small, sample_rate_hz=250.0), [source(tmp_path)], 1)
    with pytest.raises(DataError, match="was collected with source_sha256"):
        collect(collection(tmp_path / "raw", **small), [source(tmp_path, 4)], 1)


def test_metrics_are_of_the_layer_without_its_lead_in(tmp_path: Path) -> None:
    settings = collection(tmp_path, variants=(Variant(),), layers=[2])
    (metrics,) = collect(settings, [source(tmp_path)], 1)
    record = read_layer(settings.folder("small") / "layer0002_a1_v1.mat")
    square = np.sum(record.error**2, axis=1)[record.context :]
    assert metrics.points == len(square) < len(record.time)
    assert metrics.square_error == pytest.approx(square.sum())
    assert metrics.max_error == pytest.approx(np.sqrt(square.max()))


def test_layers_collected_without_a_lead_in_are_not_mixed_with_others(tmp_path: Path) -> None:
    settings = collection(tmp_path, variants=(Variant(),), layers=[2])
    collect(settings, [source(tmp_path)], 1)
    path = settings.folder("small") / "layer0002_a1_v1.mat"
    old = read_layer(path).without_context()
    params = {key: value for key, value in old.params.items() if key != "lead_in_s"}
    write_layer(path, replace(old, params=params))
    with pytest.raises(DataError, match="was collected with lead_in_s None, now it is 1"):
        collect(settings, [source(tmp_path)], 1)


@pytest.mark.parametrize("rate", [100.0, 150.0, 500.0, 1000.0])
def test_any_sample_rate(tmp_path: Path, rate: float) -> None:
    settings = collection(tmp_path, variants=(Variant(),), layers=1, sample_rate_hz=rate)
    assert settings.simulation_rate >= SIMULATION_RATE_HZ
    (metrics,) = collect(settings, [source(tmp_path)], 1)
    motion = plan(small_program(2), printer().limits)
    begin, end = motion.layer_span(1)
    assert metrics.points == pytest.approx((end - begin) * rate, abs=2)


def test_unusable_settings_name_their_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sample_rate_hz: got 0"):
        collection(tmp_path, sample_rate_hz=0.0)
    with pytest.raises(ConfigError, match="seed: got -1"):
        collection(tmp_path, seed=-1)
    with pytest.raises(ConfigError, match="workers: got 0"):
        count_workers(0)
    assert count_workers(3) == 3
    assert count_workers(None) >= 1


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_of_workers_come_through(tmp_path: Path, workers: int) -> None:
    path = tmp_path / "far.gcode"
    path.write_text(small_gcode().replace("X113.5 ", "X413.5 "))  # a corner of the first wall
    with pytest.raises(GcodeError, match=r"far\.gcode:\d+: the wall leaves the bed at X413\.5"):
        collect(collection(tmp_path), [Source("far", path)], workers)
    with pytest.raises(ConfigError, match=r"layers: got \[9\], expected .*, 1 to 2$"):
        collect(collection(tmp_path, layers=[9]), [source(tmp_path)], workers)


@pytest.mark.parametrize("layer", [2, 6, 41])
def test_a_layer_starts_in_the_state_of_the_whole_print(layer: int, tmp_path: Path) -> None:
    """Against one simulation without a break from the print's first motion on."""
    quiet = printer().without("jitter")
    motion = plan(load_part("tugboat"), quiet.limits)
    begin, _ = motion.layer_span(layer)
    start, stop = max(0.0, begin - 90.0), begin + 1.0
    whole = sample(motion, SIMULATION_RATE_HZ, start, stop)
    actual = simulate(quiet, whole, seed=0).xy
    settings = collection(tmp_path, printer=quiet)
    params: dict[str, str | float] = {"source_sha256": "x"}
    record = record_layer(settings, motion, "tugboat", layer, Variant(), params)
    record = record.without_context()
    late = record.time <= stop
    rows = np.searchsorted(whole.time, record.time[late] - 1e-9)
    np.testing.assert_allclose(record.actual[late], actual[rows], rtol=0, atol=5e-5)


PAUSED = {
    "within": ("G1 X95 Y95 E0.5 F3600", "G4 S{}\nG1 X95 Y95 E0.5 F3600"),
    "before": (";Z:0.4", ";Z:0.4\nG4 S{}"),
}


@pytest.mark.parametrize("place", sorted(PAUSED))
@pytest.mark.parametrize("seconds", [300, 3600])
def test_an_hour_of_rest_cools_but_is_not_sampled(place: str, seconds: int, tmp_path: Path) -> None:
    """Against temperatures of every sample of the layer, the pause's too."""
    old, new = PAUSED[place]
    text = small_gcode(3).replace(old, new.format(seconds), 2).encode()
    quiet = printer()
    motion = plan(parse_program(text, "paused.gcode"), quiet.limits)
    begin, end = motion.layer_span(2)
    assert end - begin > seconds
    params: dict[str, str | float] = {"source_sha256": "x"}
    found = record_layer(collection(tmp_path), motion, "small", 2, Variant(), params)
    assert found.context < 200.0 * 61.0
    record = found.without_context()
    assert len(record.time) < 200.0 * (64.0 + 10.0)
    whole = sample(motion, 200.0, begin, end)
    heat, bond = temperatures(quiet.thermal, whole, end - begin)
    printing = whole.kind == MoveKind.PRINT
    assert abs(int(np.sum(record.extruding)) - int(np.sum(printing))) <= 3
    assert record.temperatures is not None
    assert record.adhesion is not None
    pairs = ((record.temperatures, heat), (record.adhesion, bond))
    for found, expected in pairs:
        low, middle, high = (
            np.percentile(found[record.extruding], q, axis=0) for q in (0, 50, 100)
        )
        np.testing.assert_allclose(low, np.min(expected[printing], axis=0), rtol=2e-3)
        np.testing.assert_allclose(middle, np.median(expected[printing], axis=0), rtol=2e-3)
        np.testing.assert_allclose(high, np.max(expected[printing], axis=0), rtol=2e-3)
    assert record.params["rest_left_out_s"] == pytest.approx(seconds - 64.0, abs=5.0)


def test_a_layer_in_pieces_is_the_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    motion = plan(small_program(), printer().limits)
    params: dict[str, str | float] = {"source_sha256": "x"}
    for variant in (Variant(), Variant(kind="perturbed"), Variant(kind="precompensated")):
        whole = record_layer(collection(tmp_path), motion, "small", 2, variant, params)
        with monkeypatch.context() as patched:
            patched.setattr(sampling, "PIECE", 7777)
            again = record_layer(collection(tmp_path), motion, "small", 2, variant, params)
        np.testing.assert_array_equal(again.actual, whole.actual)
        np.testing.assert_array_equal(again.time, whole.time)
        np.testing.assert_array_equal(again.commanded, whole.commanded)


def test_a_printer_with_input_shaper_errs_against_what_was_commanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    motion = plan(small_program(), printer().limits)
    params: dict[str, str | float] = {"source_sha256": "x"}
    shaped = replace(printer(), shaper=designed_shaper(printer(), "mzv"))
    settings = collection(tmp_path, printer=shaped)
    for variant in (Variant(), Variant(kind="perturbed"), Variant(kind="precompensated")):
        whole = record_layer(settings, motion, "small", 2, variant, params)
        with monkeypatch.context() as patched:
            patched.setattr(sampling, "PIECE", 777)
            again = record_layer(settings, motion, "small", 2, variant, params)
        np.testing.assert_array_equal(again.time, whole.time)
        np.testing.assert_allclose(again.actual, whole.actual, atol=1e-6)
    plain = record_layer(collection(tmp_path), motion, "small", 2, Variant(), params)
    record = record_layer(settings, motion, "small", 2, Variant(), params)
    np.testing.assert_array_equal(record.commanded, plain.commanded)
    np.testing.assert_array_equal(record.time, plain.time)
    assert np.max(np.abs(record.actual - plain.actual)) > 0.02


def test_lead_in_waits_until_both_axes_have_moved() -> None:
    motion = plan(small_program(), printer().limits)
    for layer in (2, 3, 4):
        begin, _ = motion.layer_span(layer)
        start = lead_in(motion, begin)
        time = np.arange(start, begin, 1e-3)
        moving = np.abs(motion.velocity(time)[:, :2]) > 0.0
        assert np.all(moving.sum(axis=0) * 1e-3 >= 0.99)
    assert lead_in(motion, 0.0) == 0.0


def test_seeds_depend_on_every_name() -> None:
    seeds = {
        seed_of(seed, part, layer, variant)
        for seed in range(3)
        for part in ("a", "b")
        for layer in range(10)
        for variant in ("v", "w")
    }
    assert len(seeds) == 120
    # printf '1|a|2' | sha256sum: the same in every process, whatever its hashes.
    assert seed_of(1, "a", 2) == 0xA744BC1A


def test_survey_counts_the_files(tmp_path: Path) -> None:
    shared = (Variant(), Variant(2.0, every=2), Variant(4.0, every=2, start=1))
    task = survey(collection(tmp_path, variants=shared), source(tmp_path, 3))
    assert task.files == 3 + 2 + 1


def test_sources_of_error_add_up(tmp_path: Path) -> None:
    motion = plan(small_program(), printer().limits)
    path = sample(motion, SIMULATION_RATE_HZ, *motion.layer_span(2))
    found = split_error(printer(), path)
    assert set(found.added) == {"linear", *printer().effects}
    assert found.quadrature**2 + found.cross == pytest.approx(found.total**2, rel=1e-12)
    whole = simulate(printer(), path, seed=0).xy - path.position[:, :2]
    assert found.total == pytest.approx(np.sqrt(np.mean(np.sum(whole**2, axis=1))), rel=1e-12)
    # Friction holds each axis back by 0.1 mm, less where it stands still.
    assert 0.08 < found.added["friction"] < 0.16
    assert found.without["friction"] < found.without["jitter"]
    both = average([found, found])
    assert both.total == pytest.approx(found.total)
    split = collecting.split_errors(
        collection(tmp_path, layers=[1, 2, 3]), [source(tmp_path, 3)], ProcessPool(1)
    )
    assert split["small"][0] == 2


def centred(text: str) -> str:
    """Return the small print as for a bed whose middle is X0 Y0."""

    def moved(found: re.Match[str]) -> str:
        return f"{found[1]}{float(found[2]) - 110.0:g}"

    text = re.sub(r"([XY])([-\d.]+)", moved, text)
    return "; bed_shape = -110x-110,110x-110,110x110,-110x110\n" + text


def test_a_centred_print_is_collected_as_on_a_cornered_bed(tmp_path: Path) -> None:
    """Positions in records count from the bed's corner, and parts are placed on the bed."""
    # As far from the corner as from the middle, so that all times are the same.
    text = small_gcode(2).replace("G28\n", "G28\nG1 X0 Y110 F6000\nG4 S2\n")
    texts = {"corner": text, "centre": centred(text)}
    quiet = printer().without("jitter")  # drawn by the file's sha256
    settings = collection(tmp_path / "raw", printer=quiet, variants=VARIANTS[:1])
    records = []
    for name, text in texts.items():
        path = tmp_path / f"{name}.gcode"
        path.write_text(text)
        collect(settings, [Source(name, path)], 1)
        (found,) = settings.folder(name).glob("layer0001*.mat")
        records.append(read_layer(found).without_context())
    corner, centre = records
    np.testing.assert_allclose(centre.commanded, corner.commanded, atol=1e-5)
    later = slice(200, None)  # friction holds each where it came from until it moves
    np.testing.assert_allclose(centre.actual[later], corner.actual[later], atol=1e-4)
    assert centre.commanded[centre.extruding, :2].min() > 80.0


def test_a_placed_part_stands_on_a_centred_bed(tmp_path: Path) -> None:
    path = tmp_path / "centre.gcode"
    path.write_text(centred(small_gcode(1)))
    settings = collection(tmp_path / "raw", variants=VARIANTS[1:2])
    collect(settings, [Source("centre", path)], 1)
    (found,) = settings.folder("centre").glob("*.mat")
    record = read_layer(found)
    printed = record.commanded[record.extruding, :2]
    assert record.params["turned_deg"] != 0.0 or record.params["shift_x_mm"] != 0.0
    assert printed.min() >= 5.0 - 1e-3
    assert printed.max() <= 215.0 + 1e-3


def test_what_leaves_the_bed_is_told_and_collected(tmp_path: Path) -> None:
    path = tmp_path / "wiping.gcode"
    wipe = ";TYPE:Custom\nG1 X-13.5 Y100 F9000\nG1 X-13.5 Y105 E1 F3000\n;TYPE:Solid infill"
    path.write_text(small_gcode(2).replace(";TYPE:Solid infill", wipe))
    told: list[str] = []
    settings = collection(tmp_path / "raw", variants=VARIANTS[:1])
    with ProcessPool(2) as pool:
        metrics = collecting.collect(settings, [Source("wiping", path)], pool, on_note=told.append)
    assert len(metrics) == 2
    (note,) = told
    assert re.fullmatch(r"wiping\.gcode: 4 moves leave .* 13\.5 mm, to X-13\.5 .*", note)
