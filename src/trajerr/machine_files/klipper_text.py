"""The text of Klipper's configs: sections of options, other files included, what it has saved.

Follows ``klippy/configfile.py``: ``#`` begins a comment anywhere, ``;`` at a line's begin or
after a blank; a later option replaces an earlier one; ``[include GLOB]`` is read where it stands;
the block below ``SAVE_CONFIG`` holds what the file itself does not.
"""

import configparser
import glob
import io
import re
from dataclasses import dataclass
from pathlib import Path

from trajerr.errors import DataError, in_one_line
from trajerr.machine_files.text import read_text

SAVED = (
    "\n#*# <---------------------- SAVE_CONFIG ---------------------->\n"
    "#*# DO NOT EDIT THIS BLOCK OR BELOW. The contents are auto-generated.\n"
    "#*#\n"
)
SAVED_LINE = "#*#"
MOST_FILES = 500
INCLUDE = "include "
HEADER = re.compile(r"\[(?P<header>.+)\]")
REMARK = re.compile(r"(?:^|(?<=\s))[;#]")  # begins a comment
SHOWN = 300  # characters of a message of the parser

Sections = dict[str, dict[str, str]]


@dataclass(frozen=True)
class KlipperText:
    """A config as Klipper would take it."""

    sections: Sections  # options by name, in lower case, by section
    files: tuple[Path, ...]  # that it was read from


def read_klipper_text(path: Path) -> KlipperText:
    """Read a config with all that it includes.

    Raises
    ------
    DataError
        If a file is absent, no text, or not what Klipper takes.
    """
    reader = _Reader()
    text = _read(path)
    own, saved = _parted(text, path)
    reader.take(own, path)
    if saved:
        block = _parser()
        _append(block, saved, f"{path}, SAVE_CONFIG")
        for section in block.sections():
            for option, value in block.items(section):
                if not reader.parser.has_option(section, option):
                    _set(reader.parser, section, option, value)
    sections = {name: dict(reader.parser.items(name)) for name in reader.parser.sections()}
    if not sections:
        raise DataError(f"{path}: no section, expected Klipper's config, such as [printer]")
    return KlipperText(sections, tuple(reader.files))


class _Reader:
    """Reads files one into another, as they include each other."""

    def __init__(self) -> None:
        self.parser = _parser()
        self.files: list[Path] = []
        self._open: list[Path] = []  # that include what is read now

    def take(self, text: str, path: Path) -> None:
        if path.resolve() in self._open:
            raise DataError(f"{path}: includes itself, expected files that end")
        if len(self.files) >= MOST_FILES:
            raise DataError(f"{path}: more than {MOST_FILES} included files")
        self._open.append(path.resolve())
        self.files.append(path)
        lines: list[str] = []
        for line in text.split("\n"):
            bare = line.partition("#")[0]
            header = HEADER.match(bare)
            if header and header["header"].startswith(INCLUDE):
                _append(self.parser, "\n".join(lines), str(path))
                lines = []
                self._include(header["header"].removeprefix(INCLUDE).strip(), path)
            else:
                lines.append(bare)
        _append(self.parser, "\n".join(lines), str(path))
        self._open.pop()

    def _include(self, named: str, path: Path) -> None:
        wanted = str(path.parent / named)
        found = sorted(glob.glob(wanted))  # noqa: PTH207 - Klipper's own rules of patterns
        if not found and not glob.has_magic(wanted):
            raise DataError(f"{path}: includes {named}, which is not beside it; copy it there")
        for name in found:
            self.take(_read(Path(name)), Path(name))


def _read(path: Path) -> str:
    text = read_text(path, "a config")
    if "\0" in text:
        raise DataError(f"{path}: is not text")
    return text.replace("\r\n", "\n")


def _parted(text: str, path: Path) -> tuple[str, str]:
    """Return what a person wrote, and what Klipper saved below it."""
    own, mark, saved = text.partition(SAVED)
    if f"\n{SAVED_LINE} " in own:
        raise DataError(f"{path}: lines of SAVE_CONFIG (#*#) above its header; Klipper drops them")
    lines = saved.strip().split("\n") if mark else []
    for line in lines:
        if line and not (line == SAVED_LINE or line.startswith(f"{SAVED_LINE} ")):
            raise DataError(
                f"{path}: below SAVE_CONFIG got {line[:40]!r}, expected lines of #*# alone, as "
                "Klipper drops the block otherwise"
            )
    return own, "\n".join(line[len(SAVED_LINE) + 1 :] for line in lines)


def _parser() -> configparser.RawConfigParser:
    return configparser.RawConfigParser(strict=False, inline_comment_prefixes=(";", "#"))


def _append(parser: configparser.RawConfigParser, text: str, where: str) -> None:
    _refuse_odd_lines(text, where)
    try:
        parser.read_file(io.StringIO(text), where)
    except configparser.Error as error:
        said = in_one_line(error)[:SHOWN]
        raise DataError(f"{where}: not a config as Klipper takes it: {said}") from error


def _refuse_odd_lines(text: str, where: str) -> None:
    """Refuse the first line that is neither header nor option nor goes on with a value.

    The parser collects all of them first, in a time that grows with their number squared.
    """
    indent, in_option = 0, False
    for line in text.split("\n"):
        bare = REMARK.split(line, maxsplit=1)[0]
        if not bare.strip():
            continue
        begin = len(bare) - len(bare.lstrip())
        if in_option and begin > indent:
            continue
        indent, in_option = begin, not HEADER.match(bare.strip())
        if in_option and not ("=" in bare or ":" in bare):
            raise DataError(
                f"{where}: not a config as Klipper takes it: got {bare.strip()[:60]!r}, "
                "expected [section] or option: value"
            )


def _set(parser: configparser.RawConfigParser, section: str, option: str, value: str) -> None:
    if not parser.has_section(section):
        parser.add_section(section)
    parser.set(section, option, value)
