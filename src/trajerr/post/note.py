"""A comment at the head of a file that was left as it was: why."""

import re
from pathlib import Path

from trajerr.files import write_atomically
from trajerr.gcode.containers.kinds import packed
from trajerr.gcode.files import find_lines, read_bytes, unpacked
from trajerr.gcode.writer import line_ending

_NOTE = b"; trajerr left this file as it was: "
_EARLIER = re.compile(rb"^" + re.escape(_NOTE) + rb"[^\n]*\n", re.MULTILINE)


def write_note(path: Path, reason: str) -> None:
    """Write why a file was not corrected as a comment behind its first line.

    Raises
    ------
    GcodeError, OSError
        If it cannot be read or written; it stays as it was then.
    """
    container, text = unpacked(read_bytes(path), path.name)
    text = _EARLIER.sub(b"", text)
    first = int(find_lines(text)[1])
    ending = line_ending(text[:first]) or b"\n"
    comment = _NOTE + " ".join(reason.split()).encode("utf-8", "backslashreplace") + ending
    head = text[:first] if line_ending(text[:first]) else text[:first] + ending
    noted = head + comment + text[first:]
    write_atomically(path, packed(container, noted, path.name), keep_mode=True)
