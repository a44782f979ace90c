import os
import pickle
import shutil
import subprocess
from dataclasses import fields, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from trajerr.dataset.matlab import read_layer, write_layer
from trajerr.errors import DataError

DESIGNED = (
    "time x_ref y_ref z_ref x_act y_act z_act vx_ref vy_ref vz_ref v_mag_ref ax_ref ay_ref az_ref "
    "a_mag_ref jx_ref jy_ref jz_ref jerk_mag error_x error_y error_magnitude error_direction "
    "is_extruding is_travel layer_num curvature feature_type T_nozzle T_interface T_surface "
    "adhesion_ratio params"
)


def arrays_of(record) -> dict[str, np.ndarray]:
    values = {f.name: getattr(record, f.name) for f in fields(record)}
    return {k: v for k, v in values.items() if isinstance(v, np.ndarray) and k != "stated_speed"}


def assert_equal_samples(found, expected):
    assert arrays_of(found).keys() == arrays_of(expected).keys()
    for name, column in arrays_of(expected).items():
        np.testing.assert_array_equal(getattr(found, name), column, err_msg=name)


def foreign(record, **changes) -> dict[str, object]:
    """The struct as another program would write it, with some fields changed or dropped."""
    columns = {
        "x_act": record.actual[:, 0],
        "y_act": record.actual[:, 1],
        "time": record.time,
        "x_ref": record.commanded[:, 0],
        "y_ref": record.commanded[:, 1],
        "z_ref": record.commanded[:, 2],
        "layer_num": np.full(len(record.time), float(record.layer)),
        "is_extruding": record.extruding.astype(np.uint8),
        "material": "PLA",
        "print_type": np.array(["wall", "infill"], dtype=object),
        **changes,
    }
    return {name: column for name, column in columns.items() if column is not None}


def write_hdf5(path: Path, struct: dict[str, object]) -> None:
    """A version 7.3 file, laid out after MATLAB's: columns as rows, text as numbers."""
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group("simulation_data")
        group.attrs["MATLAB_class"] = np.bytes_("struct")
        cells = file.create_group("#refs#")
        for name, value in struct.items():
            if isinstance(value, str):
                data = np.frombuffer(value.encode("utf-16-le"), np.uint16).reshape(-1, 1)
                group.create_dataset(name, data=data).attrs["MATLAB_class"] = np.bytes_("char")
            elif value.dtype == object:
                target = cells.create_dataset(name, data=np.zeros((1, 1), np.uint16))
                references = np.array([[target.ref]], dtype=h5py.ref_dtype)
                stored = group.create_dataset(name, data=references)
                stored.attrs["MATLAB_class"] = np.bytes_("cell")
            else:
                stored = group.create_dataset(name, data=np.atleast_2d(np.squeeze(value).T))
                stored.attrs["MATLAB_class"] = np.bytes_("double")
        empty = group.create_dataset("notes", data=np.zeros(2, np.uint64))
        empty.attrs["MATLAB_class"] = np.bytes_("double")
        empty.attrs["MATLAB_empty"] = np.int32(1)


def test_writing_then_reading_is_the_identity(tmp_path, make_record):
    record = make_record(layer=7, variant="a4.0_v1.2", shaper="mzv", speed_scale=1.25)
    path = tmp_path / "layer0007_a4.0_v1.2.mat"
    write_layer(path, record)
    found = read_layer(path)
    assert_equal_samples(found, record)
    assert (found.part, found.layer, found.variant) == ("cube", 7, "a4.0_v1.2")
    assert found.sample_rate == 200.0
    assert dict(record.params).items() <= dict(found.params).items()


def test_the_struct_has_the_designed_fields_as_columns(tmp_path, make_record):
    write_layer(tmp_path / "a.mat", make_record(samples=50))
    struct = scipy.io.loadmat(tmp_path / "a.mat")["simulation_data"]
    assert " ".join(struct.dtype.names) == DESIGNED
    for name in struct.dtype.names[:-1]:
        column = struct[name][0, 0]
        assert column.shape == (50, 1), name
        assert column.dtype == (np.uint8 if name.startswith("is_") else np.float64), name
    logical = scipy.io.whosmat(tmp_path / "a.mat")
    assert logical == [("simulation_data", (1, 1), "struct")]


def test_magnitude_and_direction_give_the_error_back(tmp_path, make_record):
    record = make_record()
    write_layer(tmp_path / "a.mat", record)
    struct = scipy.io.loadmat(tmp_path / "a.mat", squeeze_me=True)["simulation_data"]
    size, angle = struct["error_magnitude"].item(), struct["error_direction"].item()
    rebuilt = np.column_stack([size * np.cos(angle), size * np.sin(angle)])
    np.testing.assert_allclose(rebuilt, record.error, atol=1e-12)


def test_equal_records_give_equal_bytes_at_any_time(tmp_path, make_record, monkeypatch):
    write_layer(tmp_path / "a.mat", make_record())
    monkeypatch.setattr("time.asctime", lambda *_: "another day")
    write_layer(tmp_path / "b.mat", make_record())
    first = (tmp_path / "a.mat").read_bytes()
    assert first == (tmp_path / "b.mat").read_bytes()
    assert b"another day" not in first
    assert first[:19] == b"MATLAB 5.0 MAT-file"


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, make_record, monkeypatch):
    path = tmp_path / "a.mat"
    write_layer(path, make_record(layer=1))
    before = path.read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_layer(path, make_record(layer=2))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.mat"]


def test_a_folder_or_device_is_never_replaced(tmp_path, make_record):
    os.mkfifo(tmp_path / "pipe")
    for target in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(DataError, match="not a regular file"):
            write_layer(target, make_record())


@pytest.mark.parametrize("shape", [(-1, 1), (1, -1)])
@pytest.mark.parametrize("name", ["simulation_data", "sim_data", "my_layer"])
def test_any_orientation_name_and_field_order_reads_alike(tmp_path, make_record, shape, name):
    record = make_record(thermal=False)
    struct = {
        k: np.reshape(v, shape) if isinstance(v, np.ndarray) and v.dtype != object else v
        for k, v in foreign(record).items()
    }
    path = tmp_path / "data_simulation_vase" / "layer0001_v2.mat"
    path.parent.mkdir()
    scipy.io.savemat(path, {name: struct})
    found = read_layer(path)
    np.testing.assert_array_equal(found.commanded, record.commanded)
    np.testing.assert_array_equal(found.actual, record.actual)
    np.testing.assert_array_equal(found.extruding, record.extruding)
    assert (found.part, found.layer, found.variant) == ("vase", 1, "v2")
    assert found.sample_rate == pytest.approx(200.0, abs=1e-5)
    assert found.temperatures is None
    assert found.adhesion is None


def test_version_7_3_reads_like_version_5(tmp_path, make_record):
    struct = foreign(make_record(thermal=False))
    scipy.io.savemat(tmp_path / "layer0001_old.mat", {"simulation_data": struct}, oned_as="column")
    write_hdf5(tmp_path / "layer0001_new.mat", struct)
    old, new = (
        read_layer(tmp_path / "layer0001_old.mat"),
        read_layer(tmp_path / "layer0001_new.mat"),
    )
    assert_equal_samples(new, old)
    assert new.sample_rate == old.sample_rate


def test_down_cast_integers_and_single_scalars_are_widened(tmp_path, make_record):
    record = make_record(layer=25, samples=100, thermal=False)
    rounded = np.round(record.commanded[:, 0]).astype(np.uint8)
    changes = {
        "x_ref": rounded,
        "x_act": None,
        "error_x": np.zeros(100, np.int8),
        "y_ref": record.commanded[:, 1].astype(np.float32),
        "layer_num": np.array([[25]], np.uint8),
    }
    scipy.io.savemat(
        tmp_path / "a.mat", {"simulation_data": foreign(record, **changes)}, oned_as="column"
    )
    found = read_layer(tmp_path / "a.mat")
    assert found.commanded.dtype == np.float64
    np.testing.assert_array_equal(found.actual[:, 0], rounded.astype(float))
    assert found.layer == 25


def test_targets_may_come_as_errors_alone(tmp_path, make_record):
    record = make_record(thermal=False)
    changes = {"x_act": None, "error_x": record.error[:, 0], "z_ref": None}
    scipy.io.savemat(tmp_path / "a.mat", {"simulation_data": foreign(record, **changes)})
    found = read_layer(tmp_path / "a.mat")
    np.testing.assert_allclose(found.actual, record.actual, atol=1e-12)
    assert not found.commanded[:, 2].any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time": None}, "field time is missing"),
        ({"x_ref": None}, "field x_ref is missing"),
        ({"x_act": None}, "field x_act or error_x; a commanded"),
        ({"x_act": None, "y_act": None}, "x_act or error_x and field y_act or error_y"),
        ({"y_act": np.zeros(150)}, "field y_act has 150 rows but time has 200"),
        ({"x_ref": np.zeros((20, 10))}, r"field x_ref has shape \(20, 10\), expected one column"),
        ({"layer_num": np.arange(200.0)}, "field layer_num holds 200 layers"),
        ({"time": np.zeros(200)}, "field time never increases by steps of 1 µs to 10 s"),
        ({"error_x": np.ones(200)}, "field error_x differs from x_act − x_ref by up to"),
    ],
)
@pytest.mark.parametrize("version", ["5", "7.3"])
def test_unusable_structs_name_file_and_field(tmp_path, make_record, changes, message, version):
    struct = foreign(make_record(thermal=False), **changes)
    path = tmp_path / "layer0001_bad.mat"
    if version == "5":
        scipy.io.savemat(path, {"simulation_data": struct}, oned_as="column")
    else:
        write_hdf5(path, struct)
    with pytest.raises(DataError, match=message) as caught:
        read_layer(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a MATLAB file",
        bytes(300),
        b"\x89HDF\r\n\x1a\n" + bytes(600),
        b"G1 X10 Y10\n" * 50,
    ],
    ids=["empty", "text", "zeros", "broken-hdf5", "gcode"],
)
def test_foreign_files_are_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "layer0001_x.mat"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"layer0001_x\.mat: not a readable MATLAB file"):
        read_layer(path)


def test_a_missing_file_and_a_foreign_struct_are_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_layer(tmp_path / "absent.mat")
    scipy.io.savemat(tmp_path / "a.mat", {"weights": np.eye(3)})
    with pytest.raises(DataError, match=r"no struct simulation_data; the file holds \['weights'\]"):
        read_layer(tmp_path / "a.mat")


def test_a_layer_needs_a_number_in_the_file_or_in_its_name(tmp_path, make_record):
    struct = foreign(make_record(thermal=False), layer_num=None)
    scipy.io.savemat(tmp_path / "layer12_a.mat", {"simulation_data": struct})
    assert read_layer(tmp_path / "layer12_a.mat").layer == 12
    scipy.io.savemat(tmp_path / "a.mat", {"simulation_data": struct})
    with pytest.raises(DataError, match="layer_num is missing and the file's name has no layer"):
        read_layer(tmp_path / "a.mat")


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_damaged_files_end_in_an_error_of_ours(tmp_path, make_record, version):
    """Cut and flipped bytes either read as some layer or are refused; nothing else happens."""
    whole, path = tmp_path / "whole.mat", tmp_path / "layer0001_x.mat"
    if version == "5":
        write_layer(whole, make_record(samples=40))
    else:
        write_hdf5(whole, foreign(make_record(samples=40, thermal=False)))
    content = whole.read_bytes()
    rng = np.random.default_rng(1)
    refused = 0
    for position in rng.integers(0, len(content), 60):
        flipped = bytearray(content)
        flipped[position] ^= int(rng.integers(1, 256))
        for damaged in (bytes(flipped), content[:position]):
            path.write_bytes(damaged)
            try:
                read_layer(path)
            except DataError:
                refused += 1
    assert refused >= 50


def test_a_pickle_in_disguise_runs_no_code(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    (tmp_path / "layer0001_x.mat").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError):
        read_layer(tmp_path / "layer0001_x.mat")
    assert not (tmp_path / "ran").exists()


OCTAVE = """
s = load(argv(){1}).simulation_data;
for name = fieldnames(s)'
  value = s.(name{1});
  if isnumeric(value) || islogical(value)
    printf("%s %s %d %d %.17g %.17g %.17g\\n", name{1}, class(value), size(value), ...
           sum(double(value)), double(value(1)), double(value(end)));
  end
end
printf("params %s %s\\n", s.params.part, s.params.kind);
"""


@pytest.mark.skipif(shutil.which("octave-cli") is None, reason="Octave is not installed")
def test_octave_reads_the_same_numbers(tmp_path, make_record):
    record = make_record(samples=500)
    path = tmp_path / "layer0001_a1.0_v1.0.mat"
    write_layer(path, record)
    (tmp_path / "show.m").write_text(OCTAVE)
    shown = subprocess.run(
        ["octave-cli", "--norc", str(tmp_path / "show.m"), str(path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert shown.returncode == 0, shown.stderr
    *rows, params = [line.split() for line in shown.stdout.splitlines()]
    assert params == ["params", "cube", "nominal"]
    struct = scipy.io.loadmat(path)["simulation_data"][0, 0]
    assert {row[0] for row in rows} == set(DESIGNED.split()) - {"params"}
    for name, kind, n, width, *numbers in rows:
        column = struct[name].astype(float)
        assert (int(n), int(width)) == column.shape == (500, 1)
        assert kind == ("logical" if name.startswith("is_") else "double")
        total, first, last = map(float, numbers)
        assert (first, last) == (column[0, 0], column[-1, 0])
        assert total == pytest.approx(column.sum(), rel=1e-12, abs=1e-9)
    x = next(row for row in rows if row[0] == "x_act")
    assert float(x[5]) == record.actual[0, 0]


def test_records_of_unequal_columns_are_not_written(tmp_path, make_record):
    record = make_record()
    with pytest.raises(DataError, match="extruding has 5 rows but time has 200"):
        write_layer(tmp_path / "a.mat", replace(record, extruding=record.extruding[:5]))
    assert not list(tmp_path.iterdir())


REAL = ("layer25_ender3v2", "layer100_ender3v2", "layer200_ender3v2", "layer25_headschema_single")


@pytest.mark.parametrize("name", REAL)
def test_real_files_read_alike_in_both_versions(shared, name):
    old = read_layer(shared / "data/matlab/v7" / f"{name}.mat")
    new = read_layer(shared / "data/matlab/v73" / f"{name}.mat")
    assert_equal_samples(new, old)
    assert old.sample_rate == new.sample_rate == 100.0
    assert (old.temperatures is None) == ("headschema" in name)
    assert old.layer == int(name[5:].split("_")[0])


def test_a_real_trajectory_without_errors_is_refused(shared):
    path = shared / "data/matlab/v7/trajectory_layer25_single.mat"
    with pytest.raises(DataError, match="targets are missing: field x_act or error_x and"):
        read_layer(path)
