"""Which container a file is, and which one a name asks for."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.correction.cases import small_print
from tests.gcode.containers.test_archive import made
from tests.paths import CONTAINERS
from trajerr.errors import ConfigError, GcodeError
from trajerr.gcode.containers import kinds
from trajerr.gcode.reader import read_program
from trajerr.gcode.sources import find_sources


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("part.gcode", ("part", ".gcode")),
        ("part.v2.G", ("part.v2", ".gcode")),
        ("part", ("part", ".gcode")),
        ("part.gcode.pp", ("part.gcode", ".gcode")),
        ("part.bgcode", ("part", ".bgcode")),
        ("part.gcode.gz", ("part", ".gcode.gz")),
        ("part.gz", ("part", ".gz")),
        ("a b.gcode.3mf", ("a b", ".gcode.3mf")),
        ("PART.3MF", ("PART", ".3MF")),
    ],
)
def test_names(name: str, parts: tuple[str, str]) -> None:
    assert kinds.split_name(Path("folder") / name) == parts


def test_what_a_name_asks_for() -> None:
    plate, _ = kinds.unpack(made(), "part")
    binary, _ = kinds.unpack((CONTAINERS / "cube_3_2.bgcode").read_bytes(), "part")
    packed, _ = kinds.unpack(gzip.compress(b"G1 X1\n", mtime=7), "part")
    for source in (plate, binary, packed, kinds.PLAIN):
        assert kinds.container_for(Path(f"out{source.ending}"), source) is source
        assert kinds.container_for(Path("out.gcode"), source) is kinds.PLAIN
        assert kinds.container_for(Path("out.GZ"), source).ending == ".gcode.gz"
    for name, source in (("o.bgcode", plate), ("o.3mf", kinds.PLAIN), ("o.bgcode", packed)):
        with pytest.raises(ConfigError, match=rf"out: got {name} .*, expected \*\{source.ending}"):
            kinds.container_for(Path(name), source)


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1))
def test_gzip_keeps_text_and_time(text: bytes, time: int) -> None:
    container, found = kinds.unpack(gzip.compress(text, mtime=time), "part")
    assert found == text
    assert kinds.unpack(container.pack(text + b"x"), "again") == (container, text + b"x")


def test_gzip_of_several_members_is_one_text() -> None:
    content = gzip.compress(b"G1 X1\n") + gzip.compress(b"G1 X2\n") + b"\0" * 9
    assert kinds.unpack(content, "part")[1] == b"G1 X1\nG1 X2\n" == gzip.decompress(content)


@pytest.mark.parametrize("length", [3, 9, 20, -1, -8, -9])
def test_a_gzip_that_breaks_off_is_refused(length: int) -> None:
    content = gzip.compress(small_print().text)
    with pytest.raises(GcodeError, match=r"part: (the|a damaged) gzip archive"):
        kinds.unpack(content[:length], "part")


def test_a_damaged_gzip_is_refused() -> None:
    content = bytearray(gzip.compress(small_print().text))
    content[-6] ^= 1
    with pytest.raises(GcodeError, match="a damaged gzip archive"):
        kinds.unpack(bytes(content), "part")


def test_what_reads_differently_is_not_written() -> None:
    class Losing(kinds.Plain):
        def pack(self, text: bytes) -> bytes:
            return text[:-1]

    with pytest.raises(GcodeError, match="the text reads differently; nothing was written"):
        kinds.packed(Losing(), b"G1 X1\n", "part")


def test_a_program_reads_the_same_out_of_any_container(tmp_path: Path) -> None:
    text = small_print().text
    (tmp_path / "plain.gcode").write_bytes(text)
    (tmp_path / "packed.gcode.gz").write_bytes(gzip.compress(text))
    (tmp_path / "plate.gcode.3mf").write_bytes(made({"Metadata/plate_7.gcode": text}))
    plain = read_program(tmp_path / "plain.gcode")
    for name in ("packed.gcode.gz", "plate.gcode.3mf"):
        program = read_program(tmp_path / name)
        assert program.text == text
        assert program.sha256 == plain.sha256
        assert program.container.pack(text)[:2] == (tmp_path / name).read_bytes()[:2]
    names = [source.name for source in find_sources([], str(tmp_path / "p*"))]
    assert names == ["packed", "plain", "plate"]


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input_and_pipes_are_read_once(tmp_path: Path, packed: bool) -> None:
    text = small_print().text
    code = (
        "from trajerr.gcode.sources import find_sources\n"
        "(source,) = find_sources([], '-')\n"
        "print(source.name, len(source.read().moves), len(source.read().moves))"
    )
    content = gzip.compress(text) if packed else text
    done = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True)
    count = len(small_print().moves)
    assert done.stdout.decode().split() == ["standard_input", str(count), str(count)], done.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_a_source(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.gcode"
    os.mkfifo(pipe)
    writer = subprocess.Popen(
        [sys.executable, "-c", f"open({str(pipe)!r}, 'wb').write(b'G90\\nG1 X1 Y1 F600\\n')"]
    )
    (source,) = find_sources([], str(pipe))
    assert writer.wait(timeout=60) == 0
    assert len(source.read().moves) == len(source.read().moves) == 1
