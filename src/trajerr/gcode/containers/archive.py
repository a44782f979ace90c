"""Sliced plates in a zip archive (``.gcode.3mf``), as Bambu Studio and OrcaSlicer export them.

The plate's G-code and its MD5 beside it are renewed, every other file of the archive stays byte
for byte, with its own headers. Zip: PKWARE, *APPNOTE* 6.3.10, 4.3.7 and 4.3.12. The MD5 is a check
against damage on the way to the printer, of as many hexadecimal digits and the case it had.
"""

import hashlib
import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from trajerr.errors import GcodeError
from trajerr.gcode.containers.text import MOST_BYTES, Verbatim

MAGIC = b"PK\x03\x04"
_PLATE = re.compile(r"Metadata/plate_\d+\.gcode")
_LOCAL = struct.Struct("<4s5H3I2H")  # signature … name's and extra field's lengths
_RECORD = struct.Struct("<4s6H3I5H2I")  # signature … offset of the local header
_RECORD_MAGIC = b"PK\x01\x02"
_END = struct.Struct("<4s4H2IH")  # … length and offset of the directory, comment's length
_END_MAGIC = b"PK\x05\x06"
_ENCRYPTED = 0x1  # bits of the flags
_NAME_FLAG = 0x800  # the name is UTF-8
_DAMAGED = (
    EOFError,
    NotImplementedError,
    OSError,
    ValueError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class Plate(Verbatim):
    """An archive of one sliced plate."""

    ending: ClassVar[str] = ".gcode.3mf"
    name: ClassVar[str] = "a sliced plate (.gcode.3mf)"

    content: bytes
    plate: str  # name in the archive
    digest: str | None  # the MD5 beside it, as it stands there

    def pack(self, text: bytes) -> bytes:
        """Return the archive with another text of the plate, and its MD5."""
        renewed = {self.plate: text}
        if self.digest is not None:
            new = hashlib.md5(text, usedforsecurity=False).hexdigest()
            new = new if self.digest == self.digest.lower() else new.upper()
            end = self.digest[len(self.digest.rstrip()) :]
            renewed[_digest_name(self.plate)] = (new + end).encode()
        with zipfile.ZipFile(io.BytesIO(self.content)) as archive:
            return _rewritten(self.content, archive, renewed)


def unpack(content: bytes, where: str) -> tuple[Plate, bytes]:
    """Return an archive of one plate, and the plate's text.

    Parameters
    ----------
    content
        The file.
    where
        Its name, for messages.

    Raises
    ------
    GcodeError
        If it is damaged, or holds no plate or several.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_layout(content, archive, where)
            plates = [name for name in archive.namelist() if _PLATE.fullmatch(name)]
            if len(plates) != 1:
                raise GcodeError(f"{where}: {_wrong(plates)}")
            (plate,) = plates
            text, digest = _read(archive, plate, where), _digest_name(plate)
            has_digest = digest in archive.namelist()
            old = _read(archive, digest, where).decode("ascii", "replace") if has_digest else None
            return Plate(content, plate, old), text
    except _DAMAGED as error:
        raise GcodeError(f"{where}: a damaged zip archive: {error}") from error


def _digest_name(plate: str) -> str:
    return f"{plate}.md5"


def _check_layout(content: bytes, archive: zipfile.ZipFile, where: str) -> None:
    """Refuse layouts that :func:`_rewritten` does not write: large ones, and none of slicers'."""
    directory, offsets = content[archive.start_dir :], set[int]()
    at = 0
    while directory.startswith(_RECORD_MAGIC, at):
        fields = _RECORD.unpack_from(directory, at)
        at += _RECORD.size + sum(fields[10:13])
        offsets.add(fields[16])
    own = {info.header_offset for info in archive.infolist()}
    if offsets != own or not directory.startswith(_END_MAGIC, at):
        raise GcodeError(f"{where}: a zip64 or joined archive, expected a plain zip archive")


def _wrong(plates: list[str]) -> str:
    if not plates:
        return (
            "a zip archive without Metadata/plate_1.gcode, expected a sliced plate: export the "
            "plate's sliced file (.gcode.3mf), or unzip the G-code text inside it"
        )
    return f"{len(plates)} sliced plates, expected one: export each plate's sliced file"


def _read(archive: zipfile.ZipFile, name: str, where: str) -> bytes:
    info = archive.getinfo(name)
    if info.flag_bits & _ENCRYPTED:
        raise GcodeError(f"{where}: {name} is encrypted, expected it open")
    if info.file_size > MOST_BYTES:
        raise GcodeError(f"{where}: {name} says that it holds more than 2 GiB")
    return archive.read(name)


def _rewritten(content: bytes, archive: zipfile.ZipFile, renewed: Mapping[str, bytes]) -> bytes:
    """Return an archive in which some files are renewed and the others as they were."""
    entries = sorted(archive.infolist(), key=lambda info: info.header_offset)
    directory = content[archive.start_dir :]
    begins = [info.header_offset for info in entries]
    parts, size, headers = [content[: begins[0]]], begins[0], dict[int, tuple[int, bytes]]()
    for info, end in zip(entries, [*begins[1:], archive.start_dir], strict=True):
        part = content[info.header_offset : end]
        new = renewed.get(info.filename)
        part = part if new is None else _local(part, new)
        headers[info.header_offset] = (size, b"" if new is None else part)
        parts.append(part)
        size += len(part)
    records, end_record = _records(directory, headers)
    fields = list(_END.unpack_from(end_record))
    fields[5], fields[6] = len(records), size
    return b"".join([*parts, records, _END.pack(*fields), end_record[_END.size :]])


def _local(old: bytes, text: bytes) -> bytes:
    """Return a file with its local header, name and time as before."""
    fields = list(_LOCAL.unpack_from(old))
    name = old[_LOCAL.size : _LOCAL.size + fields[9]]
    is_stored = fields[3] == zipfile.ZIP_STORED
    data = text if is_stored else _deflated(text)
    fields[2] &= _NAME_FLAG
    fields[3] = zipfile.ZIP_STORED if is_stored else zipfile.ZIP_DEFLATED
    fields[6:9] = zlib.crc32(text), len(data), len(text)
    fields[10] = 0
    return _LOCAL.pack(*fields) + name + data


def _deflated(text: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(text) + packer.flush()


def _records(directory: bytes, headers: Mapping[int, tuple[int, bytes]]) -> tuple[bytes, bytes]:
    """Return the directory's records of moved and of renewed files, and what ends it.

    Parameters
    ----------
    directory
        From its first record to the end of the file.
    headers
        By offset of a file: its new offset, and its local header where it is renewed.
    """
    records, at = list[bytes](), 0
    while directory.startswith(_RECORD_MAGIC, at):
        fields = list(_RECORD.unpack_from(directory, at))
        begin, name_end = at + _RECORD.size, at + _RECORD.size + fields[10]
        extra_end = name_end + fields[11]
        at = extra_end + fields[12]
        extra = directory[name_end:extra_end]
        fields[16], header = headers[fields[16]]
        if header:
            local = _LOCAL.unpack_from(header)
            fields[3:5], fields[7:10] = local[2:4], local[6:9]
            fields[11], extra = 0, b""
        name, comment = directory[begin:name_end], directory[extra_end:at]
        records.append(_RECORD.pack(*fields) + name + extra + comment)
    return b"".join(records), directory[at:]
