import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

from trajerr.dataset import cards, preparation
from trajerr.dataset.matlab import read_layer, write_layer
from trajerr.dataset.preparation import PrepareSettings, prepare
from trajerr.dataset.splits import SplitSettings
from trajerr.dataset.stats import SPLITS, read_stats
from trajerr.dataset.store import open_split
from trajerr.errors import ConfigError, DataError


def asked(*patterns: Path | str, **options) -> PrepareSettings:
    options = {"sequence_length": 32, "split": SplitSettings.shipped(seed=1), **options}
    return PrepareSettings.shipped(data_dirs=tuple(map(str, patterns)), **options)


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def layers_of(root: Path, split: str) -> set[tuple[str, int]]:
    sequences = open_split(root, split).sequences
    return {(str(s.metadata["part"]), int(s.metadata["layer"])) for s in sequences}


def test_every_sequence_is_its_layers_record(tmp_path, make_collection):
    paths = make_collection()
    prepare(asked(tmp_path / "raw"), tmp_path / "out")
    records = {(r.part, r.layer, r.variant): r for r in map(read_layer, paths)}
    found = [s for split in SPLITS for s in open_split(tmp_path / "out", split).sequences]
    assert len(found) == len(records)
    for sequence in found:
        record = records[tuple(sequence.metadata[k] for k in ("part", "layer", "variant"))]
        np.testing.assert_allclose(sequence.targets.numpy(), record.error[3:], atol=1e-7)
        np.testing.assert_allclose(
            sequence.features[:, :3].numpy(), record.commanded[3:], rtol=1e-6
        )
        assert sequence.metadata["sample_rate_hz"] == 200.0
        assert sequence.metadata["kind"] == "nominal"


@pytest.mark.parametrize("by", ["layer", "part"])
def test_no_layer_is_in_two_splits(tmp_path, make_collection, by):
    make_collection(parts=("a", "b", "c"), layers=3, variants=("v1", "v2"), samples=60)
    outcomes = set()
    for seed in range(8):
        split = SplitSettings.shipped(by=by, seed=seed)
        prepare(asked(tmp_path / "raw", split=split), tmp_path / "out")
        held = [layers_of(tmp_path / "out", split) for split in SPLITS]
        assert sum(map(len, held)) == len(set.union(*held)) == 9
        parts = [{part for part, _ in layers} for layers in held]
        assert by == "layer" or sum(map(len, parts)) == 3
        outcomes.add(str([sorted(layers) for layers in held]))
    assert len(outcomes) > 1


def test_the_same_gcode_under_two_names_stays_together(tmp_path, make_collection):
    make_collection(parts=("cube", "cube_refined"), source_sha256="abc")
    make_collection(parts=("cone",), source_sha256="def")
    prepare(asked(tmp_path / "raw"), tmp_path / "out")
    for split in SPLITS:
        layers = layers_of(tmp_path / "out", split)
        cubes = [
            {layer for part, layer in layers if part == name} for name in ("cube", "cube_refined")
        ]
        assert cubes[0] == cubes[1]


def test_statistics_come_from_training_data_alone(tmp_path, make_collection):
    make_collection()
    stats = prepare(asked(tmp_path / "raw"), tmp_path / "out")
    train = open_split(tmp_path / "out", "train").sequences
    for name, mean, std in (
        ("features", stats.feature_mean, stats.feature_std),
        ("targets", stats.target_mean, stats.target_std),
        ("temperatures", stats.temperature_mean, stats.temperature_std),
    ):
        values = np.concatenate([getattr(s, name).numpy() for s in train]).astype(np.float64)
        np.testing.assert_allclose(mean, values.mean(axis=0), rtol=1e-9, atol=1e-9)
        varies = values.std(axis=0) > 0.0
        np.testing.assert_allclose(std, np.where(varies, values.std(axis=0), 1.0), rtol=1e-9)
    other = prepare(
        asked(tmp_path / "raw", split=SplitSettings.shipped(seed=2)), tmp_path / "other"
    )
    assert other.feature_mean != stats.feature_mean


def test_a_constant_channel_gets_deviation_one(tmp_path, make_record):
    for layer in (1, 2, 3):
        record = make_record(layer=layer)
        flat = record.commanded.copy()
        flat[:, 2] = 7.3
        write_layer(tmp_path / "raw" / f"layer{layer:04d}.mat", replace(record, commanded=flat))
    stats = prepare(asked(tmp_path / "raw"), tmp_path / "out")
    assert stats.feature_std[2] == stats.feature_std[5] == 1.0
    assert stats.feature_mean[2] == pytest.approx(7.3)


def test_the_split_table_counts_what_is_there(tmp_path, make_collection):
    paths = make_collection()
    stats = prepare(asked(tmp_path / "raw"), tmp_path / "out")
    total = {"sequences": 0, "points": 0, "layers": 0}
    for split in SPLITS:
        sequences = open_split(tmp_path / "out", split).sequences
        summary = stats.splits[split]
        assert summary.sequences == len(sequences)
        assert summary.points == sum(map(len, sequences))
        assert summary.windows == sum((len(s) - 32) // 4 + 1 for s in sequences)
        assert summary.layers == len(layers_of(tmp_path / "out", split))
        error = torch.cat([s.targets for s in sequences]).double()
        assert summary.error_rms_mm == pytest.approx(float((error**2).sum(1).mean() ** 0.5))
        total = {name: total[name] + getattr(summary, name) for name in total}
    assert total == {"sequences": 24, "points": 24 * 197, "layers": 12}
    assert sorted(s.file for s in stats.sources) == sorted(map(str, paths))
    assert {s.split for s in stats.sources} == set(SPLITS)
    assert stats.params["printer"] == '{"name": "soft"}'
    assert "variant" not in stats.params


def test_no_order_of_files_matters(tmp_path, make_collection, monkeypatch):
    paths = make_collection()
    first = prepare(asked(*paths), tmp_path / "first")
    shuffled = [paths[i] for i in np.random.default_rng(3).permutation(len(paths))]
    found = preparation.find_inputs
    monkeypatch.setattr(preparation, "find_inputs", lambda p: list(reversed(found(p))))
    second = prepare(asked(*shuffled), tmp_path / "second")
    assert first.identity == second.identity
    assert first.feature_mean == second.feature_mean
    assert first.feature_std == second.feature_std
    one, other = contents(tmp_path / "first"), contents(tmp_path / "second")
    assert {n: c for n, c in one.items() if n != "stats.json"} == {
        n: c for n, c in other.items() if n != "stats.json"
    }


def test_copies_of_a_file_count_once(tmp_path, make_collection):
    paths = make_collection()
    shutil.copytree(tmp_path / "raw", tmp_path / "again")
    stats = prepare(asked(tmp_path / "raw", tmp_path / "again", *paths), tmp_path / "out")
    assert sum(s.sequences for s in stats.splits.values()) == 24


def interrupt_at(stage: str, step: int):
    def progress(now: str, done: int, total: int) -> None:
        if (now, done) == (stage, step):
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("layout", ["sequences", "windows"])
@pytest.mark.parametrize(("stage", "step"), [("read", 10), ("read", 24), ("write", 9)])
def test_an_interrupted_run_is_resumed_and_gives_the_same(
    tmp_path, make_collection, monkeypatch, layout, stage, step
):
    make_collection()
    what = asked(tmp_path / "raw", layout=layout, stride=16)
    whole = prepare(what, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        prepare(what, tmp_path / "out", interrupt_at(stage, step))
    assert not (tmp_path / "out").exists()
    reads = []
    read = preparation.stage_input.__globals__["read_input"]
    monkeypatch.setitem(
        preparation.stage_input.__globals__,
        "read_input",
        lambda source, log: reads.append(source) or read(source, log),
    )
    resumed = prepare(what, tmp_path / "out")
    assert len(reads) == (24 - step if stage == "read" else 0)
    assert resumed == whole
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert {p.name for p in tmp_path.iterdir()} == {"raw", "whole", "out"}


def test_a_folder_that_holds_what_is_asked_for_is_left_alone(tmp_path, make_collection):
    make_collection()
    prepare(asked(tmp_path / "raw"), tmp_path / "out")
    before = (tmp_path / "out" / "stats.json").stat().st_mtime_ns
    stages = []
    prepare(asked(tmp_path / "raw"), tmp_path / "out", lambda *step: stages.append(step))
    assert (tmp_path / "out" / "stats.json").stat().st_mtime_ns == before
    assert not stages


def test_a_new_request_replaces_the_folder(tmp_path, make_collection):
    make_collection()
    prepare(asked(tmp_path / "raw", layout="windows"), tmp_path / "out")
    prepare(asked(tmp_path / "raw", stride=9), tmp_path / "out")
    assert read_stats(tmp_path / "out").stride == 9
    assert not list((tmp_path / "out").rglob("sample_*.pt"))


def test_a_changed_input_is_noticed(tmp_path, make_collection, make_record):
    paths = make_collection()
    before = prepare(asked(tmp_path / "raw"), tmp_path / "out")
    write_layer(paths[0], make_record("cube", 1, "a1.0_v1.0", samples=150))
    after = prepare(asked(tmp_path / "raw"), tmp_path / "out")
    assert before.identity != after.identity
    assert sum(s.points for s in after.splits.values()) == 23 * 197 + 147


def test_failure_leaves_the_old_folder_as_it_was(tmp_path, make_collection, monkeypatch):
    make_collection()
    prepare(asked(tmp_path / "raw"), tmp_path / "out")
    before = contents(tmp_path / "out")

    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cards, "write_stats", full)
    with pytest.raises(OSError, match="No space left"):
        prepare(asked(tmp_path / "raw", stride=9), tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_an_end_between_the_two_renames_is_mended(tmp_path, make_collection):
    make_collection()
    prepare(asked(tmp_path / "raw"), tmp_path / "out")
    before = contents(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / ".out.old")
    prepare(asked(tmp_path / "raw"), tmp_path / "out")
    assert contents(tmp_path / "out") == before
    assert not (tmp_path / ".out.old").exists()


@pytest.mark.parametrize("name", ["notes.txt", "train"])
def test_folders_of_other_things_are_never_replaced(tmp_path, make_collection, name):
    make_collection()
    (tmp_path / "out" / name).mkdir(parents=True)
    with pytest.raises(DataError, match="is not prepared data and is not replaced"):
        prepare(asked(tmp_path / "raw"), tmp_path / "out")
    assert (tmp_path / "out" / name).exists()
    (tmp_path / "file").write_text("precious")
    with pytest.raises(DataError, match="is not a folder"):
        prepare(asked(tmp_path / "raw"), tmp_path / "file")


def test_sample_rates_must_agree_or_be_asked_for(tmp_path, make_collection):
    make_collection(parts=("cube",), layers=3)
    make_collection(parts=("cone",), layers=3, rate=500.0, samples=500)
    with pytest.raises(DataError, match=r"sample rates differ: .* has 200 Hz, .* has 500 Hz; sam"):
        prepare(asked(tmp_path / "raw"), tmp_path / "out")
    stats = prepare(asked(tmp_path / "raw", sample_rate_hz=100.0), tmp_path / "out")
    assert stats.sample_rate_hz == 100.0
    assert {s.points for s in stats.sources} == {97}
    for sequence in open_split(tmp_path / "out", "train").sequences:
        np.testing.assert_allclose(sequence.time.diff().numpy(), 0.01, atol=1e-12)


def test_data_without_temperatures_beside_data_with_them_has_none(tmp_path, make_collection):
    make_collection(parts=("cube",))
    make_collection(parts=("cone",), thermal=False)
    stats = prepare(asked(tmp_path / "raw"), tmp_path / "out")
    assert stats.temperature_mean is None
    assert not open_split(tmp_path / "out", "train").has_temperatures


def test_layers_too_short_for_a_window_are_counted(tmp_path, make_collection, make_record):
    make_collection()
    short = make_record("cube", 50, "a1.0_v1.0", samples=20)
    write_layer(tmp_path / "raw" / "data_simulation_cube" / "layer0050_a.mat", short)
    stats = prepare(asked(tmp_path / "raw"), tmp_path / "out")
    assert stats.faults == {"short": 1}
    (source,) = (s for s in stats.sources if s.layer == 50)
    assert (source.split, source.sequences, source.points) == ("", 0, 0)
    assert source.faults == {"short": 1}


def test_too_little_data_is_refused(tmp_path, make_collection):
    make_collection(parts=("cube",), layers=2)
    with pytest.raises(DataError, match="2 layers cannot fill 3 splits"):
        prepare(asked(tmp_path / "raw"), tmp_path / "out")
    with pytest.raises(DataError, match="no layer is long enough: 4 pieces are shorter than"):
        prepare(asked(tmp_path / "raw", sequence_length=400), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_patterns_that_find_nothing_are_named(tmp_path):
    with pytest.raises(DataError, match=r"data_dirs: .*absent\* finds no \.mat file"):
        prepare(asked(tmp_path / "absent*"), tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty finds no \.mat file"):
        prepare(asked(tmp_path / "empty"), tmp_path / "out")
    with pytest.raises(ConfigError, match=r"data_dirs: got \[\], expected at least one folder"):
        prepare(asked(), tmp_path / "out")
    (tmp_path / "a.csv").write_text("t,x\n")
    with pytest.raises(DataError, match=r"a\.csv: not a \.mat file; a measured log needs log=NAME"):
        prepare(asked(tmp_path / "a.csv"), tmp_path / "out")


def test_sections_need_a_split_each(tmp_path, make_collection):
    make_collection(layers=1)
    with pytest.raises(DataError, match=r"split\.by=section needs a split for every section"):
        prepare(
            asked(tmp_path / "raw", split=SplitSettings.shipped(by="section")), tmp_path / "out"
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "lmdb"}, "layout: got lmdb, expected one of sequences, windows"),
        ({"stride": 0}, "stride: got 0, expected a whole number from 1 on"),
        ({"sequence_length": 0}, "sequence_length: got 0"),
        ({"stride": "often"}, "stride: got often, expected a whole number"),
        ({"sample_rate_hz": -5.0}, "sample_rate_hz: got -5.0, expected a number above 0"),
    ],
)
def test_settings_out_of_range_name_their_key(options, message):
    with pytest.raises(ConfigError, match=message):
        asked("x", **options)


def test_sequences_take_a_twentieth_of_the_disk_of_windows(tmp_path, make_collection):
    make_collection(parts=("cube",), layers=3, variants=("a",), samples=1500)
    for layout in ("sequences", "windows"):
        what = asked(tmp_path / "raw", layout=layout, sequence_length=128)
        prepare(what, tmp_path / layout)
    size = {
        layout: sum(len(c) for c in contents(tmp_path / layout).values())
        for layout in ("sequences", "windows")
    }
    print(f"disk: windows / sequences = {size['windows'] / size['sequences']:.1f}")
    assert size["sequences"] * 20 <= size["windows"]


def test_real_files_of_both_versions_give_identical_tensors(shared, tmp_path):
    for version in ("v7", "v73"):
        pattern = shared / "data/matlab" / version / "layer*_ender3v2.mat"
        stats = prepare(asked(pattern, sequence_length=128), tmp_path / version)
        assert stats.faults == {"jumps": 6, "short": 2, "stated_speed": 162}
        assert stats.has_temperatures
    for split in SPLITS:
        old, new = (open_split(tmp_path / v, split).sequences for v in ("v7", "v73"))
        assert len(old) == len(new) > 0
        for one, other in zip(old, new, strict=True):
            for name in ("features", "targets", "temperatures", "time", "extruding", "travel"):
                assert torch.equal(getattr(one, name), getattr(other, name)), name


def test_the_real_schema_without_temperatures_prepares(shared, tmp_path):
    path = shared / "data/matlab/v7/layer25_headschema_single.mat"
    split = SplitSettings.shipped(train_ratio=1.0, val_ratio=0.0, test_ratio=0.0)
    stats = prepare(asked(path, split=split, sequence_length=128), tmp_path / "out")
    assert stats.temperature_mean is None
    assert json.loads((tmp_path / "out" / "stats.json").read_text())["temperature_std"] is None
    raw = scipy.io.loadmat(path)["simulation_data"][0, 0]
    step = np.hypot(np.diff(raw["x_ref"].ravel()), np.diff(raw["y_ref"].ravel()))
    jumps = np.flatnonzero(step * 100.0 > 1.5 * raw["v_mag_ref"].max()) + 1
    pieces = np.diff([0, *jumps, len(raw["time"])])
    assert stats.faults["jumps"] == len(jumps) == 3
    assert stats.splits["train"].points == sum(n - 3 for n in pieces if n >= 128 + 3)


def test_a_real_trajectory_without_errors_is_refused(shared, tmp_path):
    path = shared / "data/matlab/v7/trajectory_layer25_single.mat"
    with pytest.raises(
        DataError, match=r"single\.mat: targets are missing: field x_act or error_x"
    ):
        prepare(asked(path), tmp_path / "out")
    assert not (tmp_path / "out").exists()
