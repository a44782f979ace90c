"""Sliced plates in an archive: one plate and its MD5 change, nothing else by a byte."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trajerr.errors import GcodeError
from trajerr.gcode.containers import archive, kinds

TEXT = b"; BambuStudio 01.10.01.50\nG1 X10 Y10 E1 F600\n"
PLATE = "Metadata/plate_1.gcode"
OTHERS = {
    "[Content_Types].xml": b"<Types/>" * 20,
    "Metadata/plate_1.png": bytes(range(256)),
    "Metadata/größe.config": "ü".encode() * 50,
    "3D/3dmodel.model": b"",
}


class Pipe(io.BytesIO):
    """A stream without places, as slicers write to: sizes follow the files then."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise OSError("no places")

    def tell(self) -> int:
        raise OSError("no places")


def made(
    plates: dict[str, bytes] | None = None,
    *,
    streamed: bool = False,
    stored: bool = False,
    upper: bool = True,
    comment: bytes = b"",
) -> bytes:
    plates = {PLATE: TEXT} if plates is None else plates
    stream = Pipe() if streamed else io.BytesIO()
    way = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(stream, "w", way) as file:
        for name, content in list(OTHERS.items())[:2]:
            file.writestr(name, content)
        for name, content in plates.items():
            file.writestr(name, content)
            digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
            file.writestr(f"{name}.md5", digest.upper() if upper else digest)
        for name, content in list(OTHERS.items())[2:]:
            file.writestr(name, content)
        file.comment = comment
    return stream.getvalue()


def stretches(content: bytes) -> dict[str, bytes]:
    """Each file's bytes with its local header, up to the next."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        infos = sorted(file.infolist(), key=lambda info: info.header_offset)
        ends = [*(info.header_offset for info in infos[1:]), file.start_dir]
        return {
            info.filename: content[info.header_offset : end]
            for info, end in zip(infos, ends, strict=True)
        }


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("upper", [False, True])
def test_the_plate_and_its_md5_change_and_nothing_else(
    streamed: bool, stored: bool, upper: bool
) -> None:
    before = made(streamed=streamed, stored=stored, upper=upper, comment=b"by a slicer")
    container, text = archive.unpack(before, "part")
    assert text == TEXT
    longer = TEXT * 1000
    after = container.pack(longer)
    with zipfile.ZipFile(io.BytesIO(after)) as file, zipfile.ZipFile(io.BytesIO(before)) as old:
        assert file.testzip() is None
        assert file.comment == b"by a slicer"
        assert file.namelist() == old.namelist()
        assert file.read(PLATE) == longer
        digest = hashlib.md5(longer, usedforsecurity=False).hexdigest()
        assert file.read(f"{PLATE}.md5").decode() == (digest.upper() if upper else digest)
        for info, was in zip(file.infolist(), old.infolist(), strict=True):
            assert (info.date_time, info.external_attr, info.compress_type) == (
                was.date_time,
                was.external_attr,
                was.compress_type,
            )
    own = (PLATE, f"{PLATE}.md5")
    assert {k: v for k, v in stretches(after).items() if k not in own} == {
        k: v for k, v in stretches(before).items() if k not in own
    }
    assert archive.unpack(after, "again")[1] == longer


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (made({}), "without Metadata/plate_1.gcode, expected a sliced plate"),
        (made({PLATE: TEXT, "Metadata/plate_2.gcode": TEXT}), "2 sliced plates, expected one"),
        (made()[:-40], "a damaged zip archive"),
        (b"PK\3\4rest", "a damaged zip archive"),
        (b"PK\3\4" + made(), "a damaged zip archive|zip64 or joined"),
    ],
    ids=[
        "no plate",
        "two plates",
        "cut",
        "no zip",
        "joined",
    ],  # which an archive's time is not part of
)
def test_others_are_refused(content: bytes, says: str) -> None:
    with pytest.raises(GcodeError, match=f"part: .*({says})") as error:
        kinds.unpack(content, "part")
    assert "\n" not in str(error.value)


def test_an_encrypted_plate_is_refused() -> None:
    content = bytearray(made())
    at = content.rindex(PLATE.encode(), 0, content.rindex(f"{PLATE}.md5".encode())) - 46
    assert content[at : at + 4] == b"PK\1\2"
    content[at + 8] |= 1
    with pytest.raises(GcodeError, match=r"plate_1\.gcode is encrypted"):
        archive.unpack(bytes(content), "part")


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_plate_damaged_inside_is_refused(packing: int) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as file:
        file.writestr(PLATE, TEXT * 50)
    content = bytearray(stream.getvalue())
    begin = 30 + len(PLATE) + 12
    content[begin : begin + 8] = b"\xff" * 8
    with pytest.raises(GcodeError, match="part: a damaged zip archive"):
        archive.unpack(bytes(content), "part")


@given(st.integers(0, 5000), st.integers(1, 255))
@settings(max_examples=400, deadline=None)
def test_a_damaged_archive_is_refused_or_changes_nothing_here(place: int, change: int) -> None:
    content = bytearray(made())
    content[4 + place % (len(content) - 4)] ^= change  # what it is stays told
    try:
        container, text = archive.unpack(bytes(content), "part")
    except GcodeError:
        return
    assert text == TEXT
    written = kinds.packed(container, TEXT + TEXT, "part")
    assert archive.unpack(written, "again")[1] == TEXT + TEXT


def test_a_plate_without_md5_gets_none(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr(PLATE, TEXT)
    container, _ = archive.unpack(stream.getvalue(), "part")
    with zipfile.ZipFile(io.BytesIO(container.pack(TEXT * 2))) as file:
        assert file.namelist() == [PLATE]
