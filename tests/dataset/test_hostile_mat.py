"""Small ``.mat`` files that claim gigabytes, go round in circles, or hold absurd values."""

import io
import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trajerr.dataset.mat5 import unpacked
from trajerr.dataset.matfile import read_matfile
from trajerr.dataset.matlab import read_layer, write_layer
from trajerr.dataset.repair import FaultSettings, repair
from trajerr.errors import DataError, TrajerrError
from trajerr.motion.features import compute_features

HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
CELL, STRUCT, CHAR, DOUBLE = 1, 2, 4, 6


def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def array(kind: int, shape: tuple[int, ...], content: bytes, name: bytes = b"time") -> bytes:
    head = element(6, struct.pack("<II", kind, 0)) + element(
        5, struct.pack(f"<{len(shape)}i", *shape)
    )
    return element(14, head + element(1, name) + content)


def packed(content: bytes) -> bytes:
    body = zlib.compress(content)
    return HEADER + struct.pack("<II", 15, len(body)) + body


def nested(depth: int) -> bytes:
    inner = array(DOUBLE, (1, 1), element(9, struct.pack("<d", 1.0)))
    for _ in range(depth):
        inner = array(CELL, (1, 1), inner)
    return inner


def bomb() -> bytes:
    squeeze = zlib.compressobj(9)
    begin = squeeze.compress(struct.pack("<II", 14, 0xFFFFFFF0))
    zeros = b"\0" * (1 << 24)
    body = begin + b"".join(squeeze.compress(zeros) for _ in range(33)) + squeeze.flush()
    return HEADER + struct.pack("<II", 15, len(body)) + body


FIELDS = element(5, struct.pack("<i", 1)) + element(1, b"t" * 100_000)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (HEADER + array(CELL, (2_000_000_000, 1), b""), "an array of 2000000000 elements in"),
        (packed(array(CELL, (500_000_000, 1), b"")), "an array of 500000000 elements in"),
        (HEADER + array(STRUCT, (1, 1), FIELDS), "an array of 100000 elements in"),
        (HEADER + array(DOUBLE, (2**31 - 1,) * 2, b""), "an array of 46116860"),
        (HEADER + array(DOUBLE, (-1, 5), b""), "an array of -5 elements"),
        (HEADER + array(CHAR, (10**9, 1), element(16, b"a")), "an array of 1000000000 elements"),
        (HEADER + struct.pack("<II", 14, 2**32 - 16), "an element of 4294967280 bytes where 0"),
        (packed(nested(2000)), "structs and cells more than 32 deep"),
        (HEADER[:-2] + b"??" + nested(0), "the header has no byte order"),
        (HEADER + array(99, (1, 1), b""), "UnboundLocalError"),
        (HEADER + array(CHAR, (1, 3), element(20, b"PLA")), "numbers or text of the type 20"),
        (packed(array(DOUBLE, (1, 1), element(14, b"\0" * 8))), "numbers or text of the type 14"),
        (bomb(), "more than 512 MiB when unpacked"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else f"{len(value)} bytes",
)
def test_claims_without_bytes_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "layer0001_a.mat"
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason) as error:
        read_layer(path)
    assert str(error.value).startswith(f"{path}: not a readable MATLAB file")


@pytest.mark.parametrize("compressed", [False, True])
def test_honest_structs_cells_and_text_pass_unchanged(tmp_path: Path, compressed: bool) -> None:
    held = {
        "s": {"a": np.arange(5.0), "inner": {"text": "PLA", "empty": np.zeros((0, 0))}},
        "cells": np.array([["x", np.ones((3, 4), np.int8)]], dtype=object),
        "flag": np.array([True, False]),
        "many": np.array([(1.0, "b"), (2.0, "c")], dtype=[("n", object), ("t", object)]),
    }
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, held, do_compression=compressed)
    plain = scipy.io.loadmat(io.BytesIO(unpacked(path.read_bytes())))
    again = scipy.io.loadmat(path)
    assert plain.keys() == again.keys()
    assert repr(plain) == repr(again)


def test_real_files_unpack_to_what_scipy_finds(shared: Path) -> None:
    for path in sorted((shared / "data/matlab/v7").glob("*.mat")):
        plain = scipy.io.loadmat(io.BytesIO(unpacked(path.read_bytes())))
        assert repr(plain) == repr(scipy.io.loadmat(path))


def version_4(order: int, name: bytes, size: int) -> bytes:
    """A version 4 file: type (order, 0, double, full), shape, no imaginary part, name."""
    return struct.pack("<5i", order * 1000, size, 1, 0, len(name) + 1) + name + b"\0"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            version_4(4, b"time", 1) + b"\0" * 8,
            "UserWarning: We do not support byte ordering 'Cray'",
        ),
        (version_4(0, b"a\nb\0c", 10**6) + b"\0" * 8, "Not enough bytes to read matrix"),
        (version_4(0, b"time", 2**31 - 1) + b"\0" * 8, "Not enough bytes"),
        (  # complex, of more bytes than an integer counts
            struct.pack("<5i", 0, 1095565312, 1111575636, 1, 5) + b"time\0",
            "RuntimeWarning: overflow",
        ),
    ],
)
def test_damaged_files_of_version_4_are_refused_in_one_line(tmp_path, content, reason):
    (tmp_path / "layer0001_a.mat").write_bytes(content)
    with pytest.raises(DataError, match=reason) as error:
        read_layer(tmp_path / "layer0001_a.mat")
    assert str(error.value).isprintable()


def hdf5(path: Path, fill) -> Path:
    with h5py.File(path, "w") as file:
        fill(file, file.create_group("simulation_data"))
    return path


def claim(file: h5py.File, group: h5py.Group) -> None:
    for name in ("time", "x_ref", "y_ref", "x_act", "y_act"):
        group.create_dataset(name, shape=(1, 5 * 10**8), dtype="f8", chunks=(1, 10**5))


def circles(file: h5py.File, group: h5py.Group) -> None:
    for number in range(60):
        group[f"again{number}"] = group
        group[f"up{number}"] = h5py.SoftLink("/")


def test_hdf5_claims_and_circles(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="more than 512 MiB"):
        read_layer(hdf5(tmp_path / "claim.mat", claim))
    with pytest.raises(DataError, match="field time is missing"):
        read_layer(hdf5(tmp_path / "circles.mat", circles))


def test_numbers_beyond_a_doubles_range_are_infinite(tmp_path: Path) -> None:
    wide = np.full(9, np.finfo(np.longdouble).max, np.longdouble)

    def fill(_: h5py.File, group: h5py.Group) -> None:
        group["time"] = np.arange(9.0).reshape(1, -1)
        for name in ("x_ref", "y_ref", "x_act", "y_act"):
            group[name] = wide.reshape(1, -1)
        group["layer_num"] = np.ones((1, 9))

    record = read_layer(hdf5(tmp_path / "a.mat", fill))
    assert np.isinf(record.actual).all()
    assert repair(record, FaultSettings.shipped()).faults["not_finite"] == 9


def test_hdf5_reads_no_other_file(tmp_path: Path) -> None:
    hdf5(tmp_path / "other.mat", lambda _, group: group.create_dataset("time", data=np.ones(9)))
    (tmp_path / "raw").write_bytes(b"secret  " * 9)

    def lead_out(file: h5py.File, group: h5py.Group) -> None:
        group["time"] = h5py.ExternalLink("other.mat", "/simulation_data/time")
        group.create_dataset("x_ref", (9,), "f8", external=[(str(tmp_path / "raw"), 0, 72)])
        group["y_ref"] = np.ones(9)

    content = read_matfile(hdf5(tmp_path / "a.mat", lead_out))
    assert list(content["simulation_data"]) == ["y_ref"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer_num": np.full(200, 1e300)}, "layer_num is 1e[+]300, expected a whole number"),
        ({"layer_num": np.full(200, 1.5)}, "layer_num is 1.5"),
        ({"layer_num": np.full(200, -5.0)}, "layer_num is -5"),
        ({"time": np.linspace(0.0, 1e300, 200)}, "never increases by steps of 1 µs to 10 s"),
        ({"time": np.arange(200) * 1e-300}, "never increases by steps"),
        ({"params": {"sample_rate_hz": 1e300}}, r"params.sample_rate_hz is 1e\+300, expected 0.1"),
        ({"params": {"sample_rate_hz": np.inf}}, "params.sample_rate_hz is inf"),
    ],
)
def test_absurd_numbers_are_named(tmp_path, make_record, changes, message):
    with pytest.raises(DataError, match=message):
        read_layer(save(tmp_path, make_record(), changes))


def save(folder: Path, record, changes) -> Path:
    columns = {
        "time": record.time,
        "x_ref": record.commanded[:, 0],
        "y_ref": record.commanded[:, 1],
        "x_act": record.actual[:, 0],
        "y_act": record.actual[:, 1],
        "layer_num": np.ones(len(record.time)),
    }
    path = folder / "layer0001_a.mat"
    scipy.io.savemat(path, {"simulation_data": columns | changes})
    return path


@pytest.mark.parametrize("name", ["x_ref", "y_act", "T_nozzle", "adhesion_ratio"])
@pytest.mark.parametrize("value", [1e308, -1e7, np.nan])
def test_absurd_samples_are_cut_out_like_nan(tmp_path, make_record, name, value):
    record = make_record()
    changes = {key: np.full(200, 50.0) for key in ("T_nozzle", "T_interface", "T_surface")}
    changes |= {"adhesion_ratio": np.full(200, 0.8), "x_ref": record.commanded[:, 0].copy()}
    changes |= {"y_act": record.actual[:, 1].copy()}
    changes[name][50] = value
    repaired = repair(read_layer(save(tmp_path, record, changes)), FaultSettings.shipped())
    assert [len(piece.time) for piece in repaired.pieces] == [50, 149]
    assert repaired.faults["not_finite"] == 1


def test_feature_types_that_are_not_ours_are_unknown(tmp_path, make_record):
    types = np.tile([1.0, np.nan, 99.0, -1.0], 50)
    record = read_layer(save(tmp_path, make_record(), {"feature_type": types}))
    assert record.feature.tolist() == [1, 0, 0, 0] * 50


def test_a_clock_that_counts_from_1970_is_no_fault(tmp_path, make_record):
    record = make_record()
    changes = {"time": record.time + 1.7e9, "params": {"sample_rate_hz": 200.0}}
    repaired = repair(read_layer(save(tmp_path, record, changes)), FaultSettings.shipped())
    assert [len(piece.time) for piece in repaired.pieces] == [200]


def test_a_bridged_gap_cannot_fill_the_memory(tmp_path, make_record):
    record = make_record()
    time = np.where(np.arange(200) < 100, record.time, record.time + 1e9)
    layer = read_layer(save(tmp_path, record, {"time": time}))
    assert len(repair(layer, FaultSettings.shipped()).pieces) == 2
    with pytest.raises(DataError, match=r"2e\+11 samples at 200"):
        repair(layer, FaultSettings.shipped(gaps="keep"))


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory, make_record) -> list[bytes]:
    """The same short layer as we write it, as SciPy does without compression, and as HDF5."""
    folder = tmp_path_factory.mktemp("whole")
    write_layer(folder / "ours.mat", make_record(samples=30))
    record = make_record(samples=30, thermal=False)
    files = [(folder / "ours.mat").read_bytes(), save(folder, record, {}).read_bytes()]
    content = scipy.io.loadmat(io.BytesIO(files[1]))["simulation_data"][0, 0]
    path = folder / "hdf5.mat"
    with h5py.File(path, "w") as file:
        for name in content.dtype.names:
            file[f"simulation_data/{name}"] = content[name].reshape(1, -1)
    return [*files, path.read_bytes()]


BYTES = st.sampled_from([b"\0", b"\xff", b"\x7f", b"\x01", b"\xff" * 4, b"\x7f\xef" + b"\xff" * 6])
CHANGES = st.lists(st.tuples(st.integers(0, 1 << 16), BYTES), min_size=1, max_size=5)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(which=st.integers(0, 2), changes=CHANGES, cut=st.integers(0, 1 << 16))
def test_mutated_files_give_finite_pieces_or_are_refused(
    tmp_path, whole_files, which, changes, cut
):
    content = bytearray(whole_files[which])
    for position, value in changes:
        start = position % len(content)
        content[start : start + len(value)] = value
    path = tmp_path / "layer0001_a.mat"
    path.write_bytes(content[: len(content) - (cut if cut % 4 == 0 else 0) % len(content)])
    try:
        record = read_layer(path)
        pieces = repair(record, FaultSettings.shipped(), min_samples=8).pieces
    except TrajerrError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017 - either outcome is fine
        return
    for piece in pieces:
        assert np.isfinite(compute_features(piece.commanded, piece.sample_rate)).all()
        assert np.isfinite(piece.actual).all()
