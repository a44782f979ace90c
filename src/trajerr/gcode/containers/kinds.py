"""The containers there are: which one a file is, and which one a file is written as."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Protocol

from trajerr.errors import ConfigError, GcodeError
from trajerr.gcode.containers import archive, bgcode, gzipped
from trajerr.gcode.containers.text import Verbatim

_UNPACK: dict[bytes, Callable[[bytes, str], tuple["Container", bytes]]] = {
    bgcode.MAGIC: bgcode.unpack,
    archive.MAGIC: archive.unpack,
    gzipped.MAGIC: gzipped.unpack,
}
_ENDINGS = {  # of a file's name, and the containers they stand for
    ".bgcode": bgcode.BinaryGcode,
    ".bgc": bgcode.BinaryGcode,
    ".3mf": archive.Plate,
    ".gz": gzipped.Gzipped,
}
_SECOND = (".gcode", ".gco", ".g", ".nc", ".ngc", ".tap")  # endings before .gz and .3mf


class Container(Protocol):
    """What a text came packed in."""

    @property
    def ending(self) -> str:
        """Of the name of a file like it."""

    @property
    def name(self) -> str:
        """For messages."""

    def pack(self, text: bytes) -> bytes:
        """Return the content of a file like the one that was unpacked, with another text."""

    def as_read(self, text: bytes) -> bytes:
        """Return what unpacking makes of a packed text."""


class Plain(Verbatim):
    """No container: the file is the text."""

    ending: ClassVar[str] = ".gcode"
    name: ClassVar[str] = "text"

    def pack(self, text: bytes) -> bytes:
        """Return the text."""
        return text


PLAIN = Plain()


def unpack(content: bytes, where: str) -> tuple[Container, bytes]:
    """Return what a file is packed in and its text; what it is, its content says.

    Parameters
    ----------
    content
        The file.
    where
        Its name, for messages.

    Raises
    ------
    GcodeError
        If it is a container that is damaged, or holds no G-code.
    """
    for magic, opened in _UNPACK.items():
        if content.startswith(magic):
            return opened(content, where)
    return PLAIN, content


def split_name(path: Path) -> tuple[str, str]:
    """Return a file's name without its endings, and the ending of a file like it.

    ``part.gcode.3mf`` is ``part`` and ``.gcode.3mf``, ``part.v2.g`` is ``part.v2`` and ``.gcode``.
    """
    if path.suffix.lower() not in _ENDINGS:
        return path.stem, PLAIN.ending
    inner = Path(path.stem)
    has_two = inner.suffix.lower() in _SECOND
    return (inner.stem, inner.suffix + path.suffix) if has_two else (path.stem, path.suffix)


def container_for(out: Path, source: Container) -> Container:
    """Return what to pack a text in for a file of this name.

    Parameters
    ----------
    out
        The file to write.
    source
        What the text came packed in.

    Raises
    ------
    ConfigError
        If its name asks for a container whose other content nobody has.
    """
    wanted = _ENDINGS.get(out.suffix.lower())
    if wanted is None:
        return PLAIN
    if isinstance(source, wanted):
        return source
    if wanted is gzipped.Gzipped:
        return gzipped.Gzipped()
    raise ConfigError(
        f"out: got {out.name} for a file that is {source.name}, expected *{source.ending}"
    )


def packed(container: Container, text: bytes, where: str) -> bytes:
    """Return a file's content, after it was read again and found to hold this text.

    Raises
    ------
    GcodeError
        If it does not.
    """
    content = container.pack(text)
    if unpack(content, where)[1] != container.as_read(text):
        raise GcodeError(
            f"{where}: packed as {container.name}, the text reads differently; nothing was "
            "written; please report this file"
        )
    return content
