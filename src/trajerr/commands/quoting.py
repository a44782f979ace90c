"""Overrides that a shell and Hydra take as they were meant: names of files with any letters.

Hydra reads the value of ``key=value`` by a grammar, in which commas, blanks, brackets, quotes
and letters beyond a-z mean something or are errors; a shell reads the line before it.
"""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.types import Override, Quote, QuotedString

from trajerr.errors import ConfigError

FILE_KEY = "gcode"
_LAUNCHERS = {"joblib": "cores", "ray": "ray", "submitit": "cluster"}  # and the extra of each
_NO_LAUNCHER = re.compile(rf"Could not (?:load|find) 'hydra/launcher/({'|'.join(_LAUNCHERS)})")

TAKE_A_FILE = ("collect", "correct")  # commands that take FILE_KEY, so as slicers call
STANDARD_INPUT = "-"
PLACES = ("/", "./", "../")  # how a path begins; no key does
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")  # values that Hydra takes as texts without quotes
NO_TEXT = ("null", "true", "false", "nan", "inf")


def literal(key: str, value: str) -> str:
    r"""Return an override whose value is this text and nothing else.

    ``it's, ${part}`` becomes ``key="it's, \${part}"``.
    """
    return _quoted(key, re.sub(r"(\\*)\$\{", r"\1\1\\${", value))


def listed(key: str, value: str) -> str:
    """Return an override whose value is a list of one text."""
    name, _, quoted = stated(key, value).partition("=")
    return f"{name}=[{quoted}]"


def stated(key: str, value: str) -> str:
    """Return an override, in quotes where its value needs them."""
    is_plain = PLAIN.fullmatch(value) and value.lower() not in NO_TEXT
    return f"{key}={value}" if is_plain else literal(key, value)


def pasteable(override: str) -> str:
    """Return an override as one word of a POSIX shell."""
    return shlex.quote(override)


def unreadable(override: str) -> str:
    """Return what to say of an override that Hydra cannot read, with one that it can."""
    key, equals, value = override.partition("=")
    if not equals:
        return f"{override}: expected key=value"
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1]  # meant as Hydra's own quotes
    right = literal(key, value) if key == FILE_KEY else _quoted(key, value)
    return (
        f"{override}: cannot be read; a value with blanks, commas, quotes or letters beyond a-z "
        f"goes into quotes within quotes: {pasteable(right)}"
    )


def refuse_ambiguous(override: Override) -> None:
    """Refuse a value with commas where one run is asked for.

    Raises
    ------
    ConfigError
        With the ways to say what may have been meant.
    """
    line = override.input_line or ""
    key, _, value = line.partition("=")
    raise ConfigError(
        f"{line}: commas part values; one value with commas is {pasteable(literal(key, value))}, "
        f"a list {pasteable(f'{key}=[{value}]')}, and one run for each takes -m"
    )


def unfilled(overrides: Sequence[str]) -> str:
    """Return what to add where ``${...}`` in overrides cannot be filled in, else ""."""
    given = [text.partition("=") for text in overrides if "=" in text and "${" in text]
    right = [pasteable(literal(key, value)) for key, _, value in given]
    return f"; where ${{ is part of a name, give {' '.join(right)}" if right else ""


def take_file(command: str, overrides: Sequence[str]) -> list[str]:
    """Return the overrides with a file's bare path, as slicers give it, as ``gcode=``.

    A pipe is a file, and ``-`` standard input.

    Parameters
    ----------
    command
        Name of the command's config.
    overrides
        As on the command line, without options.

    Raises
    ------
    ConfigError
        If there are several, the command takes none, there is no such file, or ``gcode`` is
        given beside it.
    """
    bare = [text for text in overrides if _is_bare(text)]
    if not bare:
        return list(overrides)
    if command not in TAKE_A_FILE:
        raise ConfigError(
            f"{pasteable(bare[0])}: expected key=value; {command} --help lists the keys"
        )
    if len(bare) > 1:
        raise ConfigError(f"{shlex.join(bare)}: expected one file, and key=value for all else")
    (path,) = bare
    right = literal(FILE_KEY, path)
    stated = [text for text in overrides if text.lstrip("+").partition("=")[0] == FILE_KEY]
    if stated:
        raise ConfigError(f"{pasteable(path)}: a second file beside {stated[0]}, expected one")
    if path != STANDARD_INPUT and (not Path(path).exists() or Path(path).is_dir()):
        raise ConfigError(
            f"{pasteable(path)}: no such file; expected key=value, or one file, which is short "
            f"for {pasteable(right)}"
        )
    return [right if text == path else text for text in overrides]


def _is_bare(text: str) -> bool:
    if "=" not in text:
        # ~key takes a key away.
        return not text.startswith("~") or Path(text).is_file()
    return text.startswith(PLACES) or (  # a folder or a file with = in its name
        Path(text).is_file() and not Path(text.partition("=")[2]).is_file()
    )


def _quoted(key: str, value: str) -> str:
    quote = Quote.single if '"' in value and "'" not in value else Quote.double
    return f"{key}={QuotedString(value, quote).with_quotes()}"


def advice_to_install(message: str) -> str:
    """Return which extra brings a launcher that Hydra does not find; "" for other messages."""
    named = _NO_LAUNCHER.search(message)
    if named is None:
        return ""
    return f"; it is not installed, expected it: pip install 'trajerr[{_LAUNCHERS[named[1]]}]'"
