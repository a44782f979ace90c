"""Where what is made goes: a name that a config may have, a file that is not there yet."""

import re
from pathlib import Path

from trajerr.checks import require
from trajerr.errors import DataError

NAME = re.compile(r"(?!(?:null|true|false)$)[A-Za-z_][A-Za-z0-9_-]*")  # as overrides take it


def require_name(name: object) -> None:
    """Refuse what cannot name a config.

    Raises
    ------
    ConfigError
        The message names ``name``.
    """
    holds = isinstance(name, str) and NAME.fullmatch(name) is not None
    require("name", name, holds, "letters, digits, _ and -, a letter first: it names a config")


def refuse_existing(out: Path, *, overwrite: bool) -> None:
    """Refuse to replace a file that is there, unless that is asked for.

    Raises
    ------
    DataError
        The file exists.
    """
    if out.exists() and not overwrite:
        raise DataError(f"{out}: exists; overwrite=true replaces it, another name writes beside")
