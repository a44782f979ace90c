"""Numbers and lists as configs give them: checked, and named by their key when wrong."""

from collections.abc import Iterable

from trajerr.errors import ConfigError


def require_count(key: str, value: object, at_least: int = 1) -> None:
    """Refuse what is not a whole number from ``at_least`` on.

    Raises
    ------
    ConfigError
        The message names ``key``.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise ConfigError(f"{key} is {value!r}, expected a whole number from {at_least} on")


def require_positive(key: str, value: object) -> None:
    """Refuse what is not a finite number above 0.

    Raises
    ------
    ConfigError
        The message names ``key``.
    """
    if not is_number(value) or not 0.0 < float(str(value)) < float("inf"):
        raise ConfigError(f"{key} is {value!r}, expected a number above 0")


def require_from_zero(key: str, value: object) -> None:
    """Refuse what is not a finite number from 0 on.

    Raises
    ------
    ConfigError
        The message names ``key``.
    """
    if not is_number(value) or not 0.0 <= float(str(value)) < float("inf"):
        raise ConfigError(f"{key} is {value!r}, expected a number from 0 on")


def as_names(value: str | Iterable[str]) -> tuple[str, ...]:
    """Return one name or several as a tuple; a config may give either."""
    return (value,) if isinstance(value, str) else tuple(value)


def is_number(value: object) -> bool:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
