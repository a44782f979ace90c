"""Files of tensors: what torch wrote is read, any other bytes are refused by one line."""

import io
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trajerr.dataset.tensor_files import read_dict
from trajerr.errors import DataError

CONTENT = {
    "weights": torch.arange(6.0).reshape(2, 3),
    "epoch": 3,
    "names": ["x", "y"],
    "none": None,
}
FUZZED = settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def written(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def with_stream(stream: bytes) -> bytes:
    """What torch writes, with another stream of opcodes in it and checksums that fit."""
    new = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(written(CONTENT))) as old, zipfile.ZipFile(new, "w") as out:
        for name in old.namelist():
            out.writestr(name, stream if name.endswith("/data.pkl") else old.read(name))
    return new.getvalue()


def own_stream() -> bytes:
    with zipfile.ZipFile(io.BytesIO(written(CONTENT))) as old:
        (name,) = (name for name in old.namelist() if name.endswith("/data.pkl"))
        return old.read(name)


def refusal(path: Path, mapped: bool) -> str:
    """Return what a file is refused with; "" where it is read."""
    try:
        read_dict(path, "a checkpoint", mapped=mapped)
    except DataError as error:
        return str(error)
    return ""


def read_or_refuse(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for mapped in (False, True):
        told = refusal(path, mapped)
        assert "\n" not in told
        assert not told or told.startswith(f"{path}: ")


@pytest.mark.parametrize("mapped", [False, True])
def test_what_torch_writes_is_read(tmp_path, mapped):
    path = tmp_path / "own.pt"
    path.write_bytes(with_stream(own_stream()))
    found = read_dict(path, "a checkpoint", mapped=mapped)
    assert torch.equal(found.pop("weights"), CONTENT["weights"])
    assert found == {name: value for name, value in CONTENT.items() if name != "weights"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"junk",
        b"a text file of some lines\n",
        b"PK\x03\x04junk",
        pickle.dumps({"weights": 1}),
        pickle.dumps(struct.Struct),
        written([1, 2]),
        written(CONTENT)[:-40],
    ],
)
def test_other_bytes_are_refused(tmp_path, content):
    path = tmp_path / "other.ckpt"
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=r"other\.ckpt: (not|holds a list, expected a dict, as) a checkpoint"
    ):
        read_dict(path, "a checkpoint")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="not a checkpoint"):
        read_dict(tmp_path / "none.ckpt", "a checkpoint")


@FUZZED
@given(st.binary(max_size=60))
def test_any_stream_is_read_or_refused(tmp_path, stream):
    read_or_refuse(tmp_path / "any.ckpt", with_stream(b"\x80\x02" + stream + b"."))


@FUZZED
@given(st.data())
def test_a_changed_stream_is_read_or_refused(tmp_path, data):
    stream = bytearray(own_stream())
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    read_or_refuse(tmp_path / "changed.ckpt", with_stream(bytes(stream)))


@FUZZED
@given(st.data())
def test_a_changed_file_is_read_or_refused(tmp_path, data):
    content = bytearray(written(CONTENT))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    read_or_refuse(tmp_path / "changed.pt", bytes(content))
