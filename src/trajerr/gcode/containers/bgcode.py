"""Binary G-code (``.bgcode``) of Prusa's slicers: its text out, and another text in its place.

All blocks but those of G-code (metadata and thumbnails) stay byte for byte. Format: Prusa,
*libbgcode*, ``doc/specifications.md`` (2024), version 1.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import ClassVar

from trajerr.errors import GcodeError
from trajerr.gcode.containers import meatpack
from trajerr.gcode.containers.text import MOST_BYTES

MAGIC = b"GCDE"
_FILE = struct.Struct("<4sIH")  # magic, version, kind of checksum
_BLOCK = struct.Struct("<HHI")  # type, compression, size of the data
_SIZE = struct.Struct("<I")
_ENCODING = struct.Struct("<H")
_VERSION = 1
_NO_CHECKSUM, _CRC32 = 0, 1
_FILE_METADATA, _GCODE, _THUMBNAIL = 0, 1, 5
_METADATA = (0, 2, 3, 4)  # of the file, slicer, printer, print
_NONE, _DEFLATE = 0, 1
_WINDOWS = {2: 11, 3: 12}  # compression → heatshrink's window; it looks ahead by 4
_LOOKAHEAD = 4
_PLAIN, _MEATPACK, _MEATPACK_COMMENTS = 0, 1, 2  # encodings of G-code
_CHUNK = 1 << 16  # bytes of text in a block, as libbgcode writes them
_FIRST = b"; binary G-code\n"
_LINES = re.compile(rb"[^\n]*\n|[^\n]+")


@dataclass(frozen=True)
class _Block:
    """One block, whole, and what its header says."""

    raw: bytes  # with header, parameters and checksum
    kind: int
    compression: int
    size: int  # of the data, uncompressed
    parameters: bytes
    data: bytes  # as stored

    def content(self, where: str) -> bytes:
        """Return the data, uncompressed."""
        try:
            found = _uncompressed(self.data, self.compression, self.size)
        except (zlib.error, RuntimeError, ValueError) as error:
            raise GcodeError(f"{where}: a damaged block: {error}") from error
        if len(found) != self.size:
            raise GcodeError(
                f"{where}: a block of {len(found)} bytes, expected {self.size} as it says"
            )
        return found


@dataclass(frozen=True)
class BinaryGcode:
    """A binary G-code file without its G-code.

    Its text, as :func:`unpack` gives it, begins with a line that names the slicer and comments
    with the metadata; these lines are not written back.
    """

    ending: ClassVar[str] = ".bgcode"
    name: ClassVar[str] = "binary G-code"

    before: bytes  # all up to the first block of G-code
    after: bytes  # all behind the last
    checksum: int
    compression: int  # of the blocks of G-code
    encoding: int
    first: bytes  # line of the text
    settings: bytes  # the lines behind it

    def pack(self, text: bytes) -> bytes:
        """Return the file with another text, in which lines may stand behind the first.

        Raises
        ------
        GcodeError
            If the text does not begin as the one that was unpacked.
        """
        blocks = b"".join(self._block(chunk) for chunk in _chunks(self._gcode(text)))
        return self.before + blocks + self.after

    def as_read(self, text: bytes) -> bytes:
        """Return what :func:`unpack` makes of a packed text: lines behind the first come later."""
        return self.first + self.settings + self._gcode(text)

    def _gcode(self, text: bytes) -> bytes:
        at = text.find(self.settings, len(self.first))
        if not text.startswith(self.first) or at < 0:
            raise GcodeError("binary G-code: its metadata are changed, expected them as they were")
        return text[len(self.first) : at] + text[at + len(self.settings) :]

    def _block(self, text: bytes) -> bytes:
        encoding, data = self.encoding, text
        if encoding != _PLAIN:
            data = meatpack.encode(text)
            if meatpack.decode(data) != text:  # a character or an empty line that it cannot hold
                encoding, data = _PLAIN, text
        stored = _compressed(data, self.compression)
        header = _BLOCK.pack(_GCODE, self.compression, len(data))
        if self.compression != _NONE:
            header += _SIZE.pack(len(stored))
        block = header + _ENCODING.pack(encoding) + stored
        return block + _SIZE.pack(zlib.crc32(block)) if self.checksum == _CRC32 else block


def unpack(content: bytes, where: str) -> tuple[BinaryGcode, bytes]:
    """Return a file's container and its text: slicer and settings as comments, then the G-code.

    Parameters
    ----------
    content
        The file.
    where
        Its name, for messages.

    Raises
    ------
    GcodeError
        If it is damaged, or of another version.
    """
    checksum = _checksum_kind(content, where)
    blocks = list(_blocks(content, checksum, where))
    places = [index for index, block in enumerate(blocks) if block.kind == _GCODE]
    if not places:
        raise GcodeError(f"{where}: no block of G-code, expected one at least")
    first, last = places[0], places[-1]
    if len(places) != last - first + 1:
        raise GcodeError(f"{where}: other blocks among those of G-code, expected them before")
    gcode = blocks[first : last + 1]
    if sum(block.size for block in gcode) > MOST_BYTES:
        raise GcodeError(f"{where}: says that it holds more than 2 GiB of G-code")
    head, settings = _comments(blocks, where)
    container = BinaryGcode(
        content[: _FILE.size] + b"".join(block.raw for block in blocks[:first]),
        b"".join(block.raw for block in blocks[last + 1 :]),
        checksum,
        gcode[0].compression,
        _ENCODING.unpack(gcode[0].parameters)[0],
        head,
        settings,
    )
    return container, head + settings + b"".join(_text(block, where) for block in gcode)


def _checksum_kind(content: bytes, where: str) -> int:
    if len(content) < _FILE.size:
        raise GcodeError(f"{where}: the file breaks off in its header")
    magic, version, checksum = _FILE.unpack_from(content)
    if magic != MAGIC or version != _VERSION:
        raise GcodeError(f"{where}: binary G-code of version {version}, expected {_VERSION}")
    if checksum not in (_NO_CHECKSUM, _CRC32):
        raise GcodeError(f"{where}: got checksum {checksum}, expected 0 (none) or 1 (CRC32)")
    return int(checksum)


def _blocks(content: bytes, checksum: int, where: str) -> Iterator[_Block]:
    at = _FILE.size
    while at < len(content):
        block = _read_block(content, at, checksum, where)
        at += len(block.raw)
        yield block


def _read_block(content: bytes, begin: int, checksum: int, where: str) -> _Block:
    try:
        kind, compression, size = _BLOCK.unpack_from(content, begin)
        at, stored = begin + _BLOCK.size, size
        if compression != _NONE:
            (stored,) = _SIZE.unpack_from(content, at)
            at += _SIZE.size
        width = 6 if kind == _THUMBNAIL else _ENCODING.size
        data = at + width
        end = data + stored
        if checksum == _CRC32:
            (stated,) = _SIZE.unpack_from(content, end)
            if zlib.crc32(content[begin:end]) != stated:
                raise GcodeError(f"{where}: a damaged block at byte {begin}: its CRC32 differs")
            end += _SIZE.size
    except struct.error:
        raise GcodeError(f"{where}: the file breaks off in the block at byte {begin}") from None
    if end > len(content):
        raise GcodeError(f"{where}: the file breaks off in the block at byte {begin}")
    if kind not in (_GCODE, _THUMBNAIL, *_METADATA):
        raise GcodeError(f"{where}: got a block of type {kind} at byte {begin}, expected 0 to 5")
    if compression not in (_NONE, _DEFLATE, *_WINDOWS):
        raise GcodeError(f"{where}: got compression {compression} at byte {begin}, expected 0 to 3")
    return _Block(
        content[begin:end], kind, compression, size, content[at:data], content[data : data + stored]
    )


def _uncompressed(data: bytes, compression: int, size: int) -> bytes:
    if compression == _NONE:
        return data
    if compression == _DEFLATE:
        return zlib.decompressobj().decompress(data, size + 1)
    window = _WINDOWS[compression]
    return bytes(_heatshrink().decompress(data, window_sz2=window, lookahead_sz2=_LOOKAHEAD))


def _compressed(data: bytes, compression: int) -> bytes:
    if compression == _NONE:
        return data
    if compression == _DEFLATE:
        return zlib.compress(data)
    window = _WINDOWS[compression]
    return bytes(_heatshrink().compress(data, window_sz2=window, lookahead_sz2=_LOOKAHEAD))


def _heatshrink() -> ModuleType:
    """Return the library of that compression, which the runtime of a bundle does without."""
    try:
        return import_module("heatshrink2")
    except ImportError:
        raise GcodeError(
            "binary G-code: heatshrink2 is not installed, expected it: pip install trajerr[correct]"
        ) from None


def _text(block: _Block, where: str) -> bytes:
    (encoding,) = _ENCODING.unpack(block.parameters)
    if encoding not in (_PLAIN, _MEATPACK, _MEATPACK_COMMENTS):
        raise GcodeError(f"{where}: got G-code of encoding {encoding}, expected 0 to 2")
    content = block.content(where)
    return content if encoding == _PLAIN else meatpack.decode(content)


def _comments(blocks: list[_Block], where: str) -> tuple[bytes, bytes]:
    """Return the line that names the slicer, and all other metadata as lines."""
    first, lines = _FIRST, list[bytes]()
    for block in blocks:
        if block.kind not in _METADATA:
            continue
        for line in block.content(where).splitlines():
            key, _, value = line.partition(b"=")
            if block.kind == _FILE_METADATA and key == b"Producer":
                first = b"; generated by " + value + b"\n"
            elif key:
                lines.append(b"; " + key + b" = " + value + b"\n")
    return first, b"".join(lines)


def _chunks(text: bytes) -> Iterator[bytes]:
    """Yield parts of whole lines, none longer than a block holds but for longer lines."""
    begin = end = 0
    for line in _LINES.finditer(text):
        if line.end() - begin > _CHUNK and end > begin:
            yield text[begin:end]
            begin = end
        end = line.end()
    if end > begin:
        yield text[begin:end]
