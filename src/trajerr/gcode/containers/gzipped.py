"""Gzip (``.gcode.gz``), as people and some hosts keep G-code."""

import gzip
import struct
import zlib
from dataclasses import dataclass
from typing import ClassVar

from trajerr.errors import GcodeError
from trajerr.gcode.containers.text import MOST_BYTES, Verbatim

MAGIC = b"\x1f\x8b"
_PART = 1 << 24
_TIME = struct.Struct("<I")


@dataclass(frozen=True)
class Gzipped(Verbatim):
    """A gzip archive without its text."""

    ending: ClassVar[str] = ".gcode.gz"
    name: ClassVar[str] = "gzip"

    time: int = 0  # s since 1970 that its header states; 0: none

    def pack(self, text: bytes) -> bytes:
        """Return a text as an archive of one member."""
        return gzip.compress(text, mtime=self.time)


def unpack(content: bytes, where: str) -> tuple[Gzipped, bytes]:
    """Return an archive and its text, that of all members.

    Parameters
    ----------
    content
        The file.
    where
        Its name, for messages.

    Raises
    ------
    GcodeError
        If it is damaged.
    """
    parts, rest, size = list[bytes](), content, 0
    try:
        while rest.strip(b"\0"):
            member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
            while not member.eof:
                part = member.decompress(rest, _PART)
                rest = member.unconsumed_tail
                size += len(part)
                parts.append(part)
                if not (part or member.eof):
                    raise GcodeError(f"{where}: the gzip archive breaks off")
                if size > MOST_BYTES:
                    raise GcodeError(f"{where}: a gzip archive of more than 2 GiB of G-code")
            rest = member.unused_data
        (time,) = _TIME.unpack_from(content, 4)
    except (zlib.error, struct.error) as error:
        raise GcodeError(f"{where}: a damaged gzip archive: {error}") from error
    return Gzipped(time), b"".join(parts)
