"""Values as configs give them: checked, and refused by one sentence that names their key.

The sentence is always ``key: got X, expected Y``.
"""

import difflib
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeGuard

from trajerr.errors import ConfigError

PLAIN = re.compile(r"[A-Za-z_][\w.-]*")  # text that needs no quotes to be told from its sentence


def require(key: str, value: object, holds: bool, expected: str) -> None:
    """Refuse a value unless something holds of it.

    Parameters
    ----------
    key
        Of the config, dotted.
    value
        What it got.
    holds
        Whether the value is taken.
    expected
        What would be.

    Raises
    ------
    ConfigError
        "key: got X, expected Y".
    """
    if not holds:
        raise ConfigError(f"{key}: got {shown(value)}, expected {expected}")


def require_number(key: str, value: object) -> None:
    """Refuse what is no number; true and false are none.

    Raises
    ------
    ConfigError
        The message names ``key``.
    """
    require(key, value, is_number(value), "a number")


def require_numbers(key: str, value: object, expected: str = "a list of numbers") -> None:
    """Refuse what is no list of numbers.

    Raises
    ------
    ConfigError
        The message names ``key``.
    """
    holds = _is_list(value) and all(is_number(item) for item in value)
    require(key, value, holds, expected)


def require_count(key: str, value: object, at_least: int = 1, *, or_null: bool = False) -> None:
    """Refuse what is not a whole number from ``at_least`` on; ``or_null`` lets null through.

    Raises
    ------
    ConfigError
        The message names ``key``.
    """
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= at_least
    _require_or_null(key, value, fits, f"a whole number from {at_least} on", or_null)


def require_positive(key: str, value: object, *, or_null: bool = False) -> None:
    """Refuse what is not a finite number above 0; ``or_null`` lets null through.

    Raises
    ------
    ConfigError
        The message names ``key``.
    """
    fits = is_number(value) and 0.0 < _real(value) < math.inf
    _require_or_null(key, value, fits, "a number above 0", or_null)


def require_from_zero(key: str, value: object) -> None:
    """Refuse what is not a finite number from 0 on.

    Raises
    ------
    ConfigError
        The message names ``key``.
    """
    holds = is_number(value) and 0.0 <= _real(value) < math.inf
    require(key, value, holds, "a number from 0 on")


def require_one_of(key: str, value: object, allowed: Iterable[str]) -> None:
    """Refuse what is none of some names.

    Raises
    ------
    ConfigError
        The message names ``key`` and them.
    """
    names = tuple(allowed)
    require(key, value, isinstance(value, str) and value in names, f"one of {', '.join(names)}")


def require_some_of(key: str, values: object, allowed: Iterable[str]) -> None:
    """Refuse what is no list of some names, at least one.

    Raises
    ------
    ConfigError
        The message names ``key`` and them.
    """
    names = tuple(allowed)
    given = values if _is_list(values) else ()
    holds = len(given) > 0 and all(value in names for value in given)
    require(key, values, holds, f"some of {', '.join(names)}")


def require_known(where: str, values: Mapping[str, object], known: Collection[str]) -> None:
    """Refuse keys that nothing would read, with the nearest one that something does.

    Parameters
    ----------
    where
        Dotted key of what holds them; "" at the top.
    values
        The keys and what they hold.
    known
        Keys that are read.

    Raises
    ------
    ConfigError
        The message names the key.
    """
    place = f"{where}." if where else ""
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), list(known), n=1, cutoff=0.0)
            expected = f"a known key, the nearest is {place}{near[0]}" if near else "no key here"
            raise ConfigError(f"{place}{key}: got {shown(value)}, expected {expected}")


def as_names(value: str | Iterable[str]) -> tuple[str, ...]:
    """Return one name or several as a tuple; a config may give either."""
    return (value,) if isinstance(value, str) else tuple(value)


def is_number(value: object) -> bool:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def shown(value: object) -> str:
    """Return a value as messages show it: as in a config, odd text in quotes."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value if PLAIN.fullmatch(value) and value != "null" else repr(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(shown, value))}]"
    return str(value)


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _require_or_null(key: str, value: object, fits: bool, expected: str, or_null: bool) -> None:
    holds = fits or (or_null and value is None)
    require(key, value, holds, f"{expected}, or null" if or_null else expected)


def _real(value: object) -> float:
    return value if isinstance(value, int | float) else math.nan
